package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
)

// repoOptions choose one of a project's repositories.
type repoOptions struct {
	channel, target string
}

func (a *app) newRepoCommand() *cobra.Command {
	return a.group("repo", "Show the snapshots of published repositories, and go back to an earlier one",
		`A run publishes its packages as a snapshot, and clients get the newest. Some earlier ones stay: a repository can be rolled back to one of
them. It is pinned to it then: runs go on publishing, and clients go on getting that snapshot, until it is unpinned.`,
		"  reqpm repo snapshots app\n  reqpm repo rollback app --target el9\n  reqpm repo unpin app --target el9",
		a.newRepoSnapshotsCommand(), a.newRepoRollbackCommand(), a.newRepoUnpinCommand())
}

func (o *repoOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.channel, "channel", "", "channel of the repository, where there are several")
	cmd.Flags().StringVar(&o.target, "target", "", "target of the repository, where there are several")
}

// repositories are a project's that the options name.
func (o repoOptions) repositories(ctx context.Context, c *client.Client, project string) ([]api.Repository, error) {
	all, err := c.Repositories(ctx, project)
	if err != nil {
		return nil, err
	}
	var chosen []api.Repository
	var names []string
	for _, r := range all {
		names = append(names, r.Channel+"/"+r.Target)
		if (o.channel == "" || r.Channel == o.channel) && (o.target == "" || r.Target == o.target) {
			chosen = append(chosen, r)
		}
	}
	if len(all) == 0 {
		return nil, usagef("%s has published nothing yet", project)
	}
	if len(chosen) == 0 {
		return nil, usagef("%s has no such repository; it has %s", project, strings.Join(names, ", "))
	}
	return chosen, nil
}

// repository is the one that they name.
func (o repoOptions) repository(ctx context.Context, c *client.Client, project string) (api.Repository, error) {
	all, err := o.repositories(ctx, c, project)
	if err != nil {
		return api.Repository{}, err
	}
	if len(all) > 1 {
		return api.Repository{}, usagef("%s has several repositories: say which with --target (%s, …)", project, all[0].Target)
	}
	return all[0], nil
}

func (a *app) newRepoSnapshotsCommand() *cobra.Command {
	var o repoOptions
	cmd := &cobra.Command{
		Use: "snapshots PROJECT", Short: "List the snapshots that clients could get", Args: cobra.ExactArgs(1), Example: "  reqpm repo snapshots app --target el9 --json",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.listSnapshots(ctx, c, args[0], o)
		}),
	}
	o.register(cmd)
	return cmd
}

func (a *app) listSnapshots(ctx context.Context, c *client.Client, project string, o repoOptions) error {
	all, err := o.repositories(ctx, c, project)
	if err != nil {
		return err
	}
	type listed struct {
		api.Repository
		Snapshots []api.Snapshot `json:"snapshots"`
	}
	out := []listed{}
	rows := [][]string{{"REPOSITORY", "SNAPSHOT", "PACKAGES", "PUBLISHED", ""}}
	for _, r := range all {
		snapshots, err := c.Snapshots(ctx, r)
		if err != nil {
			return err
		}
		out = append(out, listed{r, snapshots})
		for _, s := range snapshots {
			state := ""
			if s.Current {
				state = "current"
			}
			if s.Pinned {
				state = "current, pinned by " + r.PinnedBy
			}
			rows = append(rows, []string{r.Channel + "/" + r.Target, s.ID, fmt.Sprint(s.Packages), when(&s.Published), state})
		}
	}
	if a.global.json {
		return a.printJSON(map[string]any{"repositories": out})
	}
	a.table(rows)
	return nil
}

func (a *app) newRepoRollbackCommand() *cobra.Command {
	var o repoOptions
	var dry bool
	cmd := &cobra.Command{
		Use: "rollback PROJECT [SNAPSHOT]", Short: "Have clients get an earlier snapshot, whatever is published, until it is unpinned", Args: cobra.RangeArgs(1, 2),
		Long:    "Make a snapshot current again and pin it; without SNAPSHOT the one that was published before the current one.\n\n" + exitCodesHelp,
		Example: "  reqpm repo rollback app --target el9 --dry-run\n  reqpm repo rollback app 0f3c5a9be1d24c7788aa --target el9", ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			r, err := o.repository(ctx, c, args[0])
			if err != nil {
				return err
			}
			snapshot := ""
			if len(args) == 2 {
				snapshot = args[1]
			}
			s, err := c.RollBack(ctx, r, snapshot, dry)
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(s)
			}
			verb := "get"
			if s.DryRun {
				verb = "would get"
			}
			a.say("clients of %s/%s %s the snapshot %s of %s (%d packages), whatever is published, until it is unpinned", r.Channel, r.Target, verb, s.Snapshot.ID, when(&s.Snapshot.Published), s.Snapshot.Packages)
			return nil
		}),
	}
	o.register(cmd)
	cmd.Flags().BoolVarP(&dry, "dry-run", "n", false, "say what clients would get, do nothing")
	return cmd
}

func (a *app) newRepoUnpinCommand() *cobra.Command {
	var o repoOptions
	cmd := &cobra.Command{
		Use: "unpin PROJECT", Short: "Have clients get what was published last again", Args: cobra.ExactArgs(1), Example: "  reqpm repo unpin app --target el9",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			r, err := o.repository(ctx, c, args[0])
			if err != nil {
				return err
			}
			s, err := c.Unpin(ctx, r)
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(s)
			}
			a.say("clients of %s/%s get the snapshot %s of %s (%d packages), and what is published from now on", r.Channel, r.Target, s.Snapshot.ID, when(&s.Snapshot.Published), s.Snapshot.Packages)
			return nil
		}),
	}
	o.register(cmd)
	return cmd
}
