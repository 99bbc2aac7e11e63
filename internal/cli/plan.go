package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
)

type planOptions struct {
	projectOptions
	dot, svg string
}

func (a *app) newPlanCommand() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan [URL|DIR]",
		Short: "Show what would be built, in which order, and how long it should take",
		Long: `Resolve a project, read the source of every package, ask build backends what they need, and show
the graph of builds: the packages of the set, the build tools they need, what the cache of
builds already has, and the longest chain. Nothing is built.

` + exitCodesHelp,
		Example: `  reqpm plan ./checkout
  reqpm plan ./checkout --svg plan.svg
  reqpm plan ./checkout --dot - | dot -Tpdf -o plan.pdf
  reqpm plan ./checkout --json`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.follow(cmd.Context(), &o.projectOptions, firstArg(args), false); err != nil {
				return err
			}
			return a.runPlan(cmd.Context(), o, firstArg(args))
		},
	}
	o.register(cmd)
	o.registerLocked(cmd)
	o.registerBuild(cmd)
	cmd.Flags().StringVar(&o.dot, "dot", "", "write the graph for Graphviz to FILE, - for stdout")
	cmd.Flags().StringVar(&o.svg, "svg", "", "write the graph as a picture to FILE, - for stdout")
	return cmd
}

func (a *app) runPlan(ctx context.Context, o planOptions, where string) error {
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	progress := a.newProgress()
	defer progress.Close()
	p, err := a.openPipeline(ctx, o.projectOptions, progress.quiet(a.global.json))
	if err != nil {
		return err
	}
	defer p.Close()
	prepared, err := p.Prepare(ctx, o.request(where, state))
	if err != nil {
		return err
	}
	work, err := p.Plan(ctx, prepared.Lock)
	progress.Close()
	if err != nil {
		return err
	}
	switch {
	case a.global.json:
		return json.NewEncoder(a.stdout).Encode(work.Plan)
	case o.dot != "":
		return a.writeOut(o.dot, work.Plan.DOT())
	case o.svg != "":
		return a.writeOut(o.svg, work.Plan.SVG(prepared.Project+" on "+prepared.Lock.Target))
	}
	a.sayFiles(prepared)
	a.printPlan(work, p.Slots())
	return nil
}

func (a *app) writeOut(path, text string) error {
	if path == "-" {
		_, err := fmt.Fprint(a.stdout, text)
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	a.say("wrote %s", path)
	return nil
}

func (a *app) printPlan(work *pipeline.Work, slots int) {
	rows := [][]string{{"WAVE", "PACKAGE", "VERSION", "FOR", "DECISION", "TIME", "BUILD ROOT"}}
	counts := map[plan.Decision]int{}
	for _, id := range work.Plan.Order() {
		n := work.Plan.Node(id)
		counts[n.Decision]++
		use := "tool"
		if n.Runtime {
			use = "set"
		}
		took := ""
		if n.Seconds > 0 {
			took = seconds(n.Seconds)
		}
		what := string(n.Decision)
		switch n.Decision {
		case plan.Failed:
			what += ": " + firstLine(n.Reason)
		case plan.Reuse:
			what += " " + n.Reason
		}
		rows = append(rows, []string{fmt.Sprint(work.Plan.Level(id)), n.Name, n.Version, use, what, took, rootText(n.Root)})
	}
	a.table(rows)
	path, chain := work.Plan.CriticalPath()
	a.say("%d to build, %d in the cache, %d cannot be built; about %s on %d slots",
		counts[plan.Build], counts[plan.Cached], counts[plan.Failed], seconds(work.Plan.Estimate(slots)), slots)
	if line := distributionLine(work.Lock.Distribution); line != "" {
		a.say("%s", line)
	}
	if len(path) > 1 {
		names := make([]string, len(path))
		for i, id := range path {
			names[i] = work.Plan.Node(id).Name
		}
		a.say("longest chain (%s): %s", seconds(chain), strings.Join(names, " → "))
	}
}

func rootText(ids []plan.ID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i], _, _ = strings.Cut(string(id), "==")
	}
	return strings.Join(names, " ")
}
