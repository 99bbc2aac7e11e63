package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/override"
	"reqpm/internal/pep508"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
)

func (o *projectOptions) registerSaid(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.overrideDirs, "overrides", nil, "folder with a reqpm.toml and overrides/NAME.toml, beside those of the project; repeatable")
}

// said is what the user's configuration, the folders named and the flags say of packages.
func (a *app) said(o projectOptions) (override.Set, error) {
	var set override.Set
	sources, err := a.overrideSources(o.overrideDirs)
	if err != nil {
		return set, err
	}
	for _, src := range sources {
		result, err := override.Read(src)
		for _, p := range result.Problems {
			if p.Severity == override.Warning {
				a.say("warning: %s: %s", p.Position, p.Message)
			}
		}
		if err != nil {
			return set, err
		}
		set = set.And(result.Set)
	}
	return set.With(o.saidByFlags()...), nil
}

// overrideSources are the folder of the configuration, where there is one, and those named.
func (a *app) overrideSources(dirs []string) ([]override.Source, error) {
	var list []override.Source
	if path := a.configPath(); path != "" {
		dir := filepath.Dir(path)
		list = append(list, override.Source{FS: os.DirFS(dir), Config: filepath.Base(path), Shown: dir, User: true})
	}
	for _, dir := range dirs {
		src := override.Source{FS: os.DirFS(dir), Shown: dir}
		if !override.Exists(src.FS) {
			return nil, usagef("--overrides %s: there is neither a %s nor a folder %s in it", dir, override.ConfigName, override.FolderName)
		}
		list = append(list, src)
	}
	return list, nil
}

// saidByFlags is what flags say, in the form of overrides.
func (o *projectOptions) saidByFlags() []override.Layer {
	var layers []override.Layer
	yes := true
	flag := func(name, pkg string, said override.Override, key string) {
		at := override.Position{File: name}
		said.SetWhere(key, at)
		layers = append(layers, override.Layer{Package: pkg, Place: override.CommandLine, At: at, Override: said})
	}
	for _, name := range normalNames(o.dropBuild) {
		d := override.Dependency{Python: pep508.Requirement{Name: name}}
		flag("--drop-build-requirement", override.AnyPackage, override.Override{DropBuildRequires: []override.Dependency{d}}, "drop-build-requires "+d.String())
	}
	for _, name := range normalNames(o.allowPure) {
		flag("--allow-pure", name, override.Override{AllowPure: &yes}, "allow-pure")
	}
	return layers
}

// sayOverrides lists what people say of the packages of a plan, and where.
func (a *app) sayOverrides(work *pipeline.Work) {
	about := map[plan.Override][]string{}
	var order []plan.Override
	for _, id := range work.Plan.Order() {
		n := work.Plan.Node(id)
		for _, o := range n.Overrides {
			if about[o] == nil {
				order = append(order, o)
			}
			about[o] = append(about[o], n.Name)
		}
	}
	for _, o := range order {
		names := strings.Join(about[o], ", ")
		if n := len(about[o]); n > 3 {
			names = fmt.Sprintf("%d packages", n)
		}
		a.say("%s: %s = %s (%s)", names, o.Key, o.Text, o.At())
	}
}
