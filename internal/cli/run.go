package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
	"reqpm/internal/store"
)

func (a *app) newRunCommand() *cobra.Command {
	return a.group("run", "Start, follow, list, show, cancel and retry the runs of a server",
		"Runs of a server's projects. "+runHelp,
		"  reqpm run start app --follow\n  reqpm run list --project app\n  reqpm run show app/12\n  reqpm run retry app --dry-run",
		a.newRunStartCommand(), a.newRunFollowCommand(), a.newRunListCommand(), a.newRunShowCommand(), a.newRunCancelCommand(), a.newRunRetryCommand())
}

// watchOptions say whether a command stays until a run has ended.
type watchOptions struct{ wait, follow bool }

func (o *watchOptions) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.wait, "wait", false, "stay until the run has ended; the exit status says how")
	cmd.Flags().BoolVar(&o.follow, "follow", false, "show the run's progress until it has ended; implies --wait")
}

func (o watchOptions) any() bool { return o.wait || o.follow }

func (a *app) newRunStartCommand() *cobra.Command {
	var want client.NewRun
	var watch watchOptions
	cmd := &cobra.Command{
		Use: "start PROJECT", Short: "Start a run of a project", Args: cobra.ExactArgs(1),
		Long: `Start a run. With --wait or --follow the exit status is that of the run: 0 succeeded, 1 failed, 130 cancelled. Ctrl-C ends the
following and not the run.

` + exitCodesHelp,
		Example:           "  reqpm run start app --follow\n  reqpm run start app --ref v2.1 --target el9 --wait --json",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.startRun(ctx, c, args[0], want, watch)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&want.Ref, "ref", "", "branch, tag or commit; default: the project's")
	f.StringSliceVarP(&want.Targets, "target", "t", nil, "release to build for; repeatable, or with commas; default: the project's")
	f.BoolVar(&want.Refresh, "refresh", false, "build everything again, whatever the cache of builds has")
	watch.register(cmd)
	return cmd
}

func (a *app) startRun(ctx context.Context, c *client.Client, project string, want client.NewRun, watch watchOptions) error {
	r, err := c.StartRun(ctx, project, want)
	if err != nil {
		return err
	}
	if watch.any() {
		return a.watchRun(ctx, c, r.ID, watch, anyStep)
	}
	if a.global.json {
		return a.printJSON(r)
	}
	name := newNames(c).run(ctx, r.Run)
	a.say("the run %s has begun: 'reqpm run follow %s' shows it", name, name)
	return nil
}

func (a *app) newRunFollowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "follow RUN", Short: "Show the progress of a run until it has ended", Args: cobra.ExactArgs(1),
		Long:              "Show the progress of a run, as 'run start --follow' does. " + runHelp + "\n\n" + exitCodesHelp,
		Example:           "  reqpm run follow app\n  reqpm run follow app/12 --json",
		ValidArgsFunction: a.completing(completeRun),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			r, err := findRun(ctx, c, args[0])
			if err != nil {
				return err
			}
			return a.watchRun(ctx, c, r.ID, watchOptions{follow: true}, noStep)
		}),
	}
}

type runListOptions struct {
	filter client.RunFilter
	limit  int
}

func (a *app) newRunListCommand() *cobra.Command {
	var o runListOptions
	cmd := &cobra.Command{
		Use: "list", Short: "List runs, the newest first", Args: cobra.NoArgs, Example: "  reqpm run list\n  reqpm run list --project app --state failed,cancelled --limit 0 --json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ []string) error { return a.listRuns(ctx, c, o) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.filter.Project, "project", "", "of this project alone")
	f.StringVar(&o.filter.States, "state", "", "queued, running, succeeded, failed, cancelled; several with commas")
	f.IntVar(&o.limit, "limit", 20, "lines at most; 0: all")
	_ = cmd.RegisterFlagCompletionFunc("project", func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.completing(completeProject)(cmd, nil, begun)
	})
	return cmd
}

func (a *app) listRuns(ctx context.Context, c *client.Client, o runListOptions) error {
	all, err := client.Collect(c.Runs(ctx, o.filter), o.limit)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]any{"runs": all})
	}
	if len(all) == 0 {
		if o.filter == (client.RunFilter{}) {
			a.say("no runs yet; 'reqpm project create' makes a project and its first run")
			return nil
		}
		a.say("no run is like that; without --project and --state all are listed")
		return nil
	}
	n := newNames(c)
	rows := [][]string{{"RUN", "ID", "STATE", "BUILDS", "BEGAN", "TOOK", "COMMIT", "REASON"}}
	for _, r := range all {
		commit := r.Commit
		rows = append(rows, []string{n.run(ctx, r), strconv.FormatInt(r.ID, 10), string(r.State), buildCounts(r.Builds), when(r.Started), took(r.Started, r.Finished), commit[:min(10, len(commit))], r.Reason})
	}
	a.table(rows)
	return nil
}

// buildCounts are the builds by state: 12 succeeded, 1 failed.
func buildCounts(builds map[store.StepState]int) string {
	var parts []string
	for _, state := range []store.StepState{store.Running, store.Succeeded, store.Failed, store.Blocked, store.Cancelled, store.Ready, store.Waiting} {
		if n := builds[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

func (a *app) newRunShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "Show a run: its stages, and its builds", Args: cobra.ExactArgs(1), Example: "  reqpm run show app\n  reqpm run show app/12 --json",
		Long:              "Show a run. " + runHelp + "\n\n" + exitCodesHelp,
		ValidArgsFunction: a.completing(completeRun),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.showRun(ctx, c, args[0])
		}),
	}
}

func (a *app) showRun(ctx context.Context, c *client.Client, text string) error {
	r, err := findRun(ctx, c, text)
	if err != nil {
		return err
	}
	builds, err := client.Collect(c.Builds(ctx, client.BuildFilter{Run: r.ID}), 0)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(struct {
			client.RunDetail
			Packages []api.Build `json:"packages"`
		}{r, builds})
	}
	a.say("run %s (%d): %s, %s", newNames(c).run(ctx, r.Run), r.ID, r.State, buildCounts(r.Builds))
	a.say("commit %s, %s; began %s, took %s; %s", dash(r.Commit), dash(r.Ref), when(r.Started), took(r.Started, r.Finished), r.Reason)
	if r.Message != "" {
		a.say("%s", r.Message)
	}
	rows := [][]string{{"ID", "STEP", "TARGET", "STATE", "ATTEMPT", "TOOK", ""}}
	for _, s := range r.Steps {
		rows = append(rows, []string{strconv.FormatInt(s.ID, 10), string(s.Kind), s.Target, string(s.State), strconv.FormatInt(s.Attempt, 10), took(s.Started, s.Finished), because(s.Cause, s.Root)})
	}
	for _, b := range builds {
		rows = append(rows, []string{strconv.FormatInt(b.ID, 10), b.Package, b.Target, string(b.State), strconv.FormatInt(b.Attempt, 10), took(b.Started, b.Finished), because(b.Cause, b.Root)})
	}
	a.table(rows)
	return nil
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// because says in one line why a step is as it is.
func because(cause, root string) string {
	if root != "" {
		return "needs " + root
	}
	return firstLine(cause)
}

func (a *app) newRunCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cancel RUN", Short: "Cancel a run", Args: cobra.ExactArgs(1), Example: "  reqpm run cancel app\n  reqpm run cancel app/12",
		Long:              "Cancel a run; one that has ended stays as it is. " + runHelp + "\n\n" + exitCodesHelp,
		ValidArgsFunction: a.completing(completeRun),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.cancelRun(ctx, c, args[0])
		}),
	}
}

func (a *app) cancelRun(ctx context.Context, c *client.Client, text string) error {
	r, err := findRun(ctx, c, text)
	if err != nil {
		return err
	}
	ended := r.State.Ended()
	if r, err = c.CancelRun(ctx, r.ID); err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(r)
	}
	name := newNames(c).run(ctx, r.Run)
	switch {
	case ended:
		a.say("the run %s has ended already: %s", name, r.State)
	case r.State == store.RunCancelled:
		a.say("the run %s is cancelled", name)
	default:
		a.say("the run %s is being cancelled: what runs is told to stop", name)
	}
	return nil
}

type retryOptions struct {
	all, dependents, dryRun bool
	builds                  []string
	watch                   watchOptions
}

func (a *app) newRunRetryCommand() *cobra.Command {
	var o retryOptions
	cmd := &cobra.Command{
		Use: "retry RUN", Short: "Do again what failed in a run, saying first what that is", Args: cobra.ExactArgs(1),
		Long: "Say what would be done again, and do it: what failed and what that blocked, with --package one build and what it needs, with --all\neverything. " + runHelp + "\n\n" + exitCodesHelp,
		Example: `  reqpm run retry app --dry-run
  reqpm run retry app/12 --follow
  reqpm run retry app/12 --package flask --dependents`,
		ValidArgsFunction: a.completing(completeRun),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.retryRun(ctx, c, args[0], o)
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "everything, also what succeeded")
	f.StringSliceVar(&o.builds, "package", nil, "this package alone (NAME or NAME==VERSION), with what it is blocked by; repeatable")
	f.BoolVar(&o.dependents, "dependents", false, "with --package: and whatever needs it, though that succeeded")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be done again, and do nothing")
	o.watch.register(cmd)
	return cmd
}

func (a *app) retryRun(ctx context.Context, c *client.Client, text string, o retryOptions) error {
	switch {
	case o.all && len(o.builds) > 0:
		return usagef("--all and --package do not go together")
	case o.dependents && len(o.builds) == 0:
		return usagef("--dependents are those of --package")
	case o.dryRun && o.watch.any():
		return usagef("--wait and --follow are about a run, and --dry-run does nothing")
	}
	r, err := findRun(ctx, c, text)
	if err != nil {
		return err
	}
	var builds []int64
	for _, name := range o.builds {
		found, err := matches(ctx, c, client.RunDetail{Run: r.Run}, name, "")
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return usagef("the run %s has no package %q", text, name)
		}
		for _, f := range found { // on every target
			builds = append(builds, f.id)
		}
	}
	retry := func(dry bool) (api.RetryPlan, error) {
		if len(builds) == 0 {
			return c.RetryRun(ctx, r.ID, o.all, dry)
		}
		whole, seen := api.RetryPlan{DryRun: dry, Steps: []api.Step{}}, map[int64]bool{}
		for _, id := range builds {
			p, err := c.RetryBuild(ctx, id, o.dependents, dry)
			if err != nil {
				return whole, err
			}
			for _, s := range p.Steps {
				if !seen[s.ID] {
					seen[s.ID], whole.Steps = true, append(whole.Steps, s)
				}
			}
		}
		return whole, nil
	}
	plan, err := retry(true)
	if err != nil {
		return err
	}
	name := newNames(c).run(ctx, r.Run)
	if !a.global.json {
		a.sayRetry(name, plan, o.dryRun)
	}
	if !o.dryRun && len(plan.Steps) > 0 {
		if plan, err = retry(false); err != nil {
			return err
		}
		if o.watch.any() {
			again := map[int64]bool{}
			for _, s := range plan.Steps {
				again[s.ID] = true
			}
			return a.watchRun(ctx, c, r.ID, o.watch, func(step int64) bool { return again[step] })
		}
	}
	if a.global.json {
		return a.printJSON(plan)
	}
	return nil
}

// sayRetry tells what is done again.
func (a *app) sayRetry(name string, plan api.RetryPlan, dry bool) {
	verb := "are"
	if dry {
		verb = "would be"
	}
	if len(plan.Steps) == 0 {
		a.say("nothing of the run %s has to be done again", name)
		return
	}
	a.say("of the run %s %d steps %s done again:", name, len(plan.Steps), verb)
	for i, s := range plan.Steps {
		if i == 30 {
			a.say("  … and %d more", len(plan.Steps)-i)
			break
		}
		a.say("  %s (%s)", s.Key, s.State)
	}
}
