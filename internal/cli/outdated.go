package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/pipeline"
)

func (a *app) newOutdatedCommand() *cobra.Command {
	var o projectOptions
	cmd := &cobra.Command{
		Use:   "outdated [URL|DIR]",
		Short: "List packages with newer versions: which still resolve, and who holds the others back",
		Long: `Resolve a project (or, with --locked, follow its lock) and compare every package with the index. For each newer
version the whole is solved again: RESOLVES is the newest with which there is a solution, and HELD BACK BY
names the requirements that keep a newer one out.

` + exitCodesHelp,
		Example: `  reqpm outdated ./checkout
  reqpm outdated ./checkout --locked --json`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.follow(cmd.Context(), &o, firstArg(args), false); err != nil {
				return err
			}
			return a.runOutdated(cmd.Context(), o, firstArg(args))
		},
	}
	o.register(cmd)
	o.registerLocked(cmd)
	return cmd
}

// outdatedJSON is the answer of outdated --json.
type outdatedJSON struct {
	Target   string              `json:"target"`
	Packages []pipeline.Outdated `json:"packages"` // those with newer versions only
	Total    int                 `json:"total"`    // packages of the set
}

func (a *app) runOutdated(ctx context.Context, o projectOptions, where string) error {
	session, err := a.resolveOne(ctx, &o, where)
	if err != nil {
		return err
	}
	defer session.close()
	prepared := session.answers[0].Prepared
	list, err := session.pipelines[0].Outdated(ctx, prepared)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(outdatedJSON{prepared.Lock.Target, list, len(prepared.Lock.Packages)})
	}
	rows := [][]string{{"PACKAGE", "VERSION", "RESOLVES", "NEWEST", "HELD BACK BY"}}
	can := 0
	for _, p := range list {
		resolves := p.Resolves
		if p.Resolves == p.Version {
			resolves = "-"
		} else {
			can++
		}
		rows = append(rows, []string{p.Name, p.Version, resolves, p.Newest, heldText(p)})
	}
	if len(list) > 0 {
		a.table(rows)
	}
	a.say("%d of %d packages have a newer version, %d can take one", len(list), len(prepared.Lock.Packages), can)
	return nil
}

// heldText says what keeps the newest version out, and what the one that resolves would cost.
func heldText(p pipeline.Outdated) string {
	var texts []string
	for _, h := range p.HeldBy {
		texts = append(texts, h.String())
	}
	if len(p.Lowers) > 0 {
		texts = append(texts, p.Resolves+" only with "+strings.Join(p.Lowers, ", "))
	}
	return strings.Join(texts, "; ")
}
