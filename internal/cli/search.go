package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/client"
)

func (a *app) newSearchCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "search TEXT…",
		Short: "Find projects, packages, runs, builds, RPMs, repositories, workers and users of a server",
		Long: `Find what has the text in its name, of what you may see. "flask 3.0" is a package and the beginning of a version, "shop 12" a
project and the number of a run; RPMs and commits are found by their beginnings, of commits four letters or more.

` + exitCodesHelp,
		Example: "  reqpm search flask\n  reqpm search flask 3.0 --limit 50 --json",
		Args:    cobra.MinimumNArgs(1),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.runSearch(ctx, c, strings.Join(args, " "), limit)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 10, "of each kind at most; up to 50")
	return cmd
}

func (a *app) runSearch(ctx context.Context, c *client.Client, text string, limit int) error {
	hits, err := c.Search(ctx, text, limit)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]any{"hits": hits})
	}
	if len(hits) == 0 {
		a.say("nothing found")
		return nil
	}
	rows := [][]string{{"KIND", "ID", "NAME", "PROJECT", "TARGET", "STATE", "DETAIL"}}
	for _, h := range hits {
		detail := h.Detail
		if len(h.Commit) > 12 {
			detail = h.Commit[:12]
		}
		rows = append(rows, []string{string(h.Kind), strconv.FormatInt(h.ID, 10), h.Name, h.ProjectName, h.Target, h.State, detail})
	}
	a.table(rows)
	return nil
}
