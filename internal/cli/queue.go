package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"reqpm/internal/client"
)

func (a *app) newQueueCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "Show what a server builds, and what it will next",
		Long: `List the steps that run and those that could run now, the most urgent first. What waits for other builds is not in the queue
yet: 'reqpm run show' counts it.

` + exitCodesHelp,
		Example: "  reqpm queue\n  reqpm queue --limit 0 --json",
		Args:    cobra.NoArgs,
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ []string) error {
			return a.runQueue(ctx, c, limit)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "lines at most; 0: all")
	return cmd
}

func (a *app) runQueue(ctx context.Context, c *client.Client, limit int) error {
	steps, err := client.Collect(c.Queue(ctx), limit)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]any{"steps": steps})
	}
	if len(steps) == 0 {
		a.say("nothing runs and nothing waits for a slot")
		return nil
	}
	workers := map[int64]string{}
	if all, err := c.Workers(ctx); err == nil { // who may not see them sees numbers
		for _, w := range all {
			workers[w.ID] = w.Name
		}
	}
	n := newNames(c)
	rows := [][]string{{"ID", "PROJECT", "RUN", "STEP", "TARGET", "STATE", "WORKER", "SINCE", "EXPECTED"}}
	for _, s := range steps {
		what, worker, since := s.Package, "", took(s.Ready, nil)
		if what == "" {
			what = "(stage)"
		}
		if s.Started != nil && s.State == "running" {
			since = took(s.Started, nil)
			if worker = workers[s.Worker]; worker == "" {
				worker = strconv.FormatInt(s.Worker, 10)
			}
		}
		rows = append(rows, []string{strconv.FormatInt(s.ID, 10), n.project(ctx, s.Project), strconv.FormatInt(s.Run, 10), what, s.Target, string(s.State), worker, since, seconds(s.Expected)})
	}
	a.table(rows)
	return nil
}
