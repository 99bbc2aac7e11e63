package cli

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"reqpm/internal/pep508"
	"reqpm/internal/pipeline"
)

func (a *app) newSpecCommand() *cobra.Command {
	var o projectOptions
	var out string
	cmd := &cobra.Command{
		Use:   "spec NAME[==VERSION]…",
		Short: "Write the spec of one package, with its patches and sources",
		Long: `Choose a version of one package, read its source distribution, and write the spec file that ReqPM
would build it with, beside everything the spec needs. Each of several packages gets a folder of its name in the
output folder; for several targets these are in a folder of each target's name.

` + exitCodesHelp,
		Example: `  reqpm spec markupsafe -o ./markupsafe
  reqpm spec 'django==5.2.*' --target el9 -o ./django
  reqpm spec flask jinja2 --target el9,el10 -o ./specs`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s takes requirements, NAME or NAME==VERSION", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.runSpec(cmd.Context(), o, args, out) },
	}
	f := cmd.Flags()
	o.registerTargets(cmd)
	f.StringVarP(&out, "output", "o", ".", "folder to write to; made when absent")
	f.StringArrayVar(&o.allowWheel, "allow-wheel", nil, "package NAME from its pure wheel when it cannot be built from source; repeatable")
	f.StringArrayVar(&o.allowCompiled, "allow-compiled-wheel", nil, "as --allow-wheel, also a wheel with compiled code; repeatable")
	o.registerSaid(cmd)
	o.registerIndex(cmd)
	return cmd
}

// writtenSpec is one element of spec --json, when there are several.
type writtenSpec struct {
	pipeline.Written
	Error string `json:"error,omitempty"` // why there is none
}

func (a *app) runSpec(ctx context.Context, o projectOptions, texts []string, out string) error {
	reqs, err := specRequirements(texts)
	if err != nil {
		return err
	}
	progress := a.newProgress(&o)
	defer progress.Close()
	pipelines, err := a.openPipelines(ctx, o, progress.quiet(a.global.json))
	if err != nil {
		return err
	}
	defer closeAll(pipelines)
	several := len(pipelines)*len(reqs) > 1
	ends, list := targetErrors{}, []writtenSpec{}
	for _, p := range pipelines {
		for _, req := range reqs {
			dir := out
			if len(pipelines) > 1 {
				dir = filepath.Join(dir, p.Target().Name)
			}
			if len(reqs) > 1 {
				dir = filepath.Join(dir, req.Key())
			}
			w, err := p.WriteSpec(ctx, req, dir)
			if !several && err != nil || ctx.Err() != nil {
				return cmp.Or(err, ctx.Err())
			}
			ends.add(ctx, req.Key()+" on "+p.Target().Name, err)
			if err != nil {
				w = pipeline.Written{Name: req.Key(), Target: p.Target().Name, Sources: []string{}}
			}
			list = append(list, writtenSpec{w, errorText(err)})
		}
	}
	progress.Close()
	switch {
	case a.global.json && several:
		return cmp.Or(a.printJSON(map[string]any{"specs": list}), ends.silently())
	case a.global.json:
		return a.printJSON(list[0])
	}
	for _, w := range list {
		for _, o := range w.Overrides {
			a.say("%s: %s = %s (%s)", w.Name, o.Key, o.Text, o.At())
		}
		if w.Error == "" {
			fmt.Fprintln(a.stdout, w.Spec)
		}
	}
	return ends.verdict()
}

// specRequirements are the packages asked for, each name once: a name is a folder.
func specRequirements(texts []string) ([]pep508.Requirement, error) {
	var reqs []pep508.Requirement
	for _, text := range texts {
		req, err := pep508.Parse(text)
		if err != nil {
			return nil, usageError{err}
		}
		if slices.ContainsFunc(reqs, func(other pep508.Requirement) bool { return other.Key() == req.Key() }) {
			return nil, usagef("%s is asked for twice", req.Key())
		}
		reqs = append(reqs, req)
	}
	return reqs, nil
}
