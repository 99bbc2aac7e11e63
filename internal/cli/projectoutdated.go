package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
)

type projectOutdatedOptions struct {
	take    []string
	takeAll bool
	dryRun  bool
	watch   watchOptions
}

func (a *app) newProjectOutdatedCommand() *cobra.Command {
	var o projectOutdatedOptions
	cmd := &cobra.Command{
		Use: "outdated PROJECT", Short: "List the newer versions that the server's update check found, and take them", Args: cobra.ExactArgs(1),
		Long: `List packages of a project with newer versions, as the server's update check found them last. RESOLVES is the newest with which
there is a solution. --take has the project say that it takes nothing older, on each target where that fits, and starts a run.
Each version was proven by itself, not with the others.

` + exitCodesHelp,
		Example: `  reqpm project outdated app
  reqpm project outdated app --take numpy,six --dry-run
  reqpm project outdated app --take-all --follow`,
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.projectOutdated(ctx, c, args[0], o)
		}),
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.take, "take", nil, "packages whose newer versions are taken; repeatable, or with commas")
	f.BoolVar(&o.takeAll, "take-all", false, "take every newer version that fits")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what the project would say of each package, and change nothing")
	o.watch.register(cmd)
	return cmd
}

func (a *app) projectOutdated(ctx context.Context, c *client.Client, project string, o projectOutdatedOptions) error {
	taking := len(o.take) > 0 || o.takeAll
	switch {
	case len(o.take) > 0 && o.takeAll:
		return usagef("--take and --take-all do not go together")
	case !taking && o.dryRun:
		return usagef("--dry-run is about --take and --take-all")
	case o.watch.any() && (!taking || o.dryRun):
		return usagef("--wait and --follow are about a run, and none is started")
	case !taking:
		return a.listOutdated(ctx, c, project)
	}
	taken, err := c.TakeNewer(ctx, project, normalNames(o.take), o.dryRun)
	if err != nil {
		return err
	}
	if o.watch.any() && taken.Run != nil {
		return a.watchRun(ctx, c, taken.Run.ID, o.watch, anyStep)
	}
	if a.global.json {
		return a.printJSON(taken)
	}
	rows := [][]string{{"PACKAGE", "TARGET", "NOTHING OLDER THAN"}}
	for _, v := range taken.Versions {
		rows = append(rows, []string{v.Package, v.Target, v.Version})
	}
	a.table(rows)
	if taken.Run == nil {
		for _, s := range taken.Overrides {
			a.say("of %s the project would say:\n%s", s.Package, indented(s.Text))
		}
		return nil
	}
	a.say("the run %s/%d begins with it: 'reqpm run follow %s/%d' shows it", project, taken.Run.Number, project, taken.Run.Number)
	return nil
}

// indented is a text below the line that tells of it.
func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

func (a *app) listOutdated(ctx context.Context, c *client.Client, project string) error {
	all, err := c.Outdated(ctx, project)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]any{"outdated": all})
	}
	if len(all) == 0 {
		a.say("the server has not looked for newer versions of %s yet: it does once a day, and of what a run has resolved", project)
		return nil
	}
	rows := [][]string{{"PACKAGE", "TARGET", "VERSION", "RESOLVES", "NEWEST", "HELD BACK BY"}}
	for _, t := range all {
		for _, p := range t.Outdated {
			rows = append(rows, []string{p.Name, t.Target, p.Version, resolvesText(p), p.Newest, strings.Join(p.HeldBy, "; ")})
		}
	}
	if len(rows) > 1 {
		a.table(rows)
	}
	for _, t := range all {
		if t.Problem != "" {
			a.say("%s could not be checked: %s", t.Target, t.Problem)
			continue
		}
		a.say("%s", outdatedSum(t))
	}
	return nil
}

func resolvesText(p api.OutdatedPackage) string {
	if p.Resolves == p.Version {
		return "-"
	}
	return p.Resolves
}

func outdatedSum(t api.Outdated) string {
	can := 0
	for _, p := range t.Outdated {
		if p.Resolves != p.Version {
			can++
		}
	}
	return fmt.Sprintf("%s: %d of %d packages have a newer version, %d can take one; checked %s", t.Target, len(t.Outdated), t.Packages, can, when(&t.Checked))
}
