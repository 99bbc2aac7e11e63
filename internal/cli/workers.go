package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
	"reqpm/internal/store"
)

func (a *app) newWorkersCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the workers of a server", Args: cobra.NoArgs, Example: "  reqpm workers list\n  reqpm workers list --json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ []string) error { return a.listWorkers(ctx, c) }),
	}
	pause := &cobra.Command{
		Use: "pause WORKER", Short: "Have a worker take nothing new, and end what it has", Args: cobra.ExactArgs(1), Example: "  reqpm workers pause builder-1",
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.setWorker(ctx, c, args[0], true)
		}),
	}
	resume := &cobra.Command{
		Use: "resume WORKER", Short: "Have a paused worker take work again", Args: cobra.ExactArgs(1), Example: "  reqpm workers resume builder-1",
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.setWorker(ctx, c, args[0], false)
		}),
	}
	drain := &cobra.Command{
		Use: "drain WORKER", Short: "Pause a worker and wait until it has nothing left", Args: cobra.ExactArgs(1), Example: "  reqpm workers drain builder-1 && ssh builder-1 reboot",
		Long: "Pause a worker and wait until what it has is done; then its machine may go. Ctrl-C ends the waiting: the worker stays\npaused until 'reqpm workers resume', or until it is started again.",
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.drainWorker(ctx, c, args[0])
		}),
	}
	for _, cmd := range []*cobra.Command{pause, resume, drain} {
		cmd.ValidArgsFunction = a.completing(completeWorker)
	}
	return a.group("workers", "List, pause, resume and drain the workers of a server", "What builds for a server. WORKER is its name, or its id.", "  reqpm workers list\n  reqpm workers drain builder-1", list, pause, resume, drain)
}

func completeWorker(ctx context.Context, c *client.Client, _ string) []string {
	var list []string
	all, _ := c.Workers(ctx)
	for _, w := range all {
		if w.State != store.WorkerGone {
			list = append(list, w.Name)
		}
	}
	return list
}

func (a *app) listWorkers(ctx context.Context, c *client.Client) error {
	all, err := c.Workers(ctx)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]any{"workers": all})
	}
	rows := [][]string{{"ID", "NAME", "STATE", "SLOTS", "FREE", "LAST SIGN", "LABELS", ""}}
	for _, w := range all {
		free := "-"
		if w.DiskFree >= 0 {
			free = bytesText(w.DiskFree)
			if w.DiskSize > 0 {
				free += " of " + bytesText(w.DiskSize)
			}
		}
		var labels []string
		for _, name := range sortedKeys(w.Labels) {
			labels = append(labels, name+"="+w.Labels[name])
		}
		rows = append(rows, []string{strconv.FormatInt(w.ID, 10), w.Name, string(w.State), strconv.FormatInt(w.Slots, 10), free, took(&w.Beat, nil) + " ago", strings.Join(labels, ","), w.Message})
	}
	a.table(rows)
	return nil
}

// findWorker finds one by name or id.
func findWorker(ctx context.Context, c *client.Client, text string) (api.Worker, error) {
	all, err := c.Workers(ctx)
	if err != nil {
		return api.Worker{}, err
	}
	id := whole(text)
	i := slices.IndexFunc(all, func(w api.Worker) bool { return w.Name == text || w.ID == id })
	if i < 0 {
		return api.Worker{}, usagef("there is no worker %q; see 'reqpm workers list'", text)
	}
	if all[i].State == store.WorkerGone {
		return api.Worker{}, usagef("the worker %s is gone: it does not run", all[i].Name)
	}
	return all[i], nil
}

func (a *app) setWorker(ctx context.Context, c *client.Client, text string, pause bool) error {
	w, err := findWorker(ctx, c, text)
	if err == nil {
		err = c.DrainWorker(ctx, w.ID, pause)
	}
	if err != nil {
		return err
	}
	if w, err = findWorker(ctx, c, strconv.FormatInt(w.ID, 10)); err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(w)
	}
	if pause {
		a.say("%s takes nothing new; what it has goes on to its end", w.Name)
	} else {
		a.say("%s takes work", w.Name)
	}
	return nil
}

func (a *app) drainWorker(ctx context.Context, c *client.Client, text string) error {
	w, err := findWorker(ctx, c, text)
	if err == nil {
		err = c.DrainWorker(ctx, w.ID, true)
	}
	if err != nil {
		return err
	}
	before := -1
	for {
		steps, err := client.Collect(c.Queue(ctx), 0)
		if err != nil {
			return err
		}
		var has []string
		for _, s := range steps {
			if s.State == store.Running && s.Worker == w.ID {
				has = append(has, strings.TrimSpace(s.Package+" (run "+strconv.FormatInt(s.Run, 10)+")"))
			}
		}
		if len(has) == 0 {
			break
		}
		if len(has) != before && !a.global.json {
			a.say("%s still has %d: %s", w.Name, len(has), strings.Join(has, ", "))
		}
		before = len(has)
		select {
		case <-ctx.Done():
			return &saidError{exitCancelled, fmt.Sprintf("%s stays paused; 'reqpm workers resume %s' has it take work again", w.Name, w.Name)}
		case <-time.After(time.Second):
		}
	}
	if a.global.json {
		return a.printJSON(map[string]any{"worker": w.Name, "drained": true})
	}
	a.say("%s has nothing left and takes nothing new", w.Name)
	return nil
}
