package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/lockfile"
	"reqpm/internal/override"
	"reqpm/internal/pep440"
	"reqpm/internal/target"
)

func (a *app) newLintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint [DIR]",
		Short: "Check reqpm.toml and overrides/ of a project",
		Long: `Read what a project says of packages, in reqpm.toml and overrides/NAME.toml, and report every
problem with its file and line. Where the project has a reqpm.lock, names and versions are compared
with it. With --config, that file and the overrides/ beside it are checked, too.

Errors keep the files from being used; warnings are about what has no effect.

` + exitCodesHelp,
		Example: `  reqpm lint
  reqpm lint ./checkout --json`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runLint(cmd.Context(), cmp.Or(firstArg(args), "."))
		},
	}
}

// errLint: the problems were printed.
var errLint = errors.New("there are errors in what is said of packages")

func (a *app) runLint(ctx context.Context, dir string) error {
	if !isFolder(dir) {
		return usagef("lint: %s is not a folder", dir)
	}
	sources := []override.Source{{FS: os.DirFS(dir), Shown: dir}}
	if path := a.global.config; path != "" {
		at := filepath.Dir(path)
		sources = append(sources, override.Source{FS: os.DirFS(at), Config: filepath.Base(path), Shown: at, User: true})
	}
	known, problems, err := a.lintKnown(ctx, dir)
	if err != nil {
		return err
	}
	for _, src := range sources {
		result, _ := override.Read(src) // the error is among the problems
		problems = append(problems, result.Problems...)
		local := known
		if result.Targets != nil {
			own, err := target.Parse(result.TargetsFile, result.Targets)
			if err != nil {
				text := strings.TrimPrefix(err.Error(), result.TargetsFile+":")
				problems = append(problems, override.Problem{Position: override.Position{File: result.TargetsFile}, Severity: override.Error, Message: strings.TrimSpace(text)})
			}
			for _, t := range own {
				local.Targets = append(local.Targets, t.Name)
			}
		}
		if src.User {
			local.Lock = "" // it is for all projects
		}
		problems = append(problems, override.Check(result.Set, local)...)
	}
	return a.printLint(problems)
}

// lintKnown is what the overrides of a project are held against.
func (a *app) lintKnown(ctx context.Context, dir string) (known override.Known, problems override.Problems, err error) {
	own, err := a.ownTargets()
	if err != nil {
		return known, nil, err
	}
	known.Targets = []string{target.LocalName}
	for _, t := range append(target.All(), own...) {
		known.Targets = append(known.Targets, t.Name)
	}
	path := filepath.Join(dir, lockfile.Name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		a.say("there is no %s: names and versions are not compared with any", path)
		return known, nil, ctx.Err()
	}
	if err != nil {
		return known, nil, err
	}
	lock, err := lockfile.Parse(text)
	if err != nil {
		return known, override.Problems{{Position: override.Position{File: path}, Severity: override.Error, Message: err.Error()}}, nil
	}
	known.Lock, known.Versions = path, map[string][]pep440.Version{}
	add := func(name, version string) {
		if v, err := pep440.Parse(version); err == nil {
			known.Versions[name] = append(known.Versions[name], v)
		}
	}
	for _, t := range lock.Targets {
		for _, p := range append(t.Packages, t.Tools...) {
			add(p.Name, p.Version)
		}
	}
	if project := lock.Inputs.Project; project != nil {
		add(project.Name, "0") // its version is not in the lock
	}
	return known, problems, nil
}

func (a *app) printLint(problems override.Problems) error {
	problems = problems.Sorted()
	errs := problems.Errors()
	if a.global.json {
		doc := struct {
			Problems override.Problems `json:"problems"`
			Errors   int               `json:"errors"`
			Warnings int               `json:"warnings"`
		}{append(override.Problems{}, problems...), errs, len(problems) - errs}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	} else {
		var rows strings.Builder
		for _, p := range problems {
			rows.WriteString(plainText(p.Position.String()+": "+string(p.Severity)+": "+p.Message) + "\n")
		}
		if _, err := a.stdout.Write([]byte(rows.String())); err != nil {
			return err
		}
		a.say("%d errors, %d warnings", errs, len(problems)-errs)
	}
	if errs > 0 {
		return usageError{errLint}
	}
	return nil
}
