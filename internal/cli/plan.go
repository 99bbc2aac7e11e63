package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
	"reqpm/internal/service"
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
  reqpm plan ./checkout --json
  reqpm plan ./checkout --target el9,el10`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.follow(cmd.Context(), &o.projectOptions, firstArg(args), true); err != nil {
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
	if err := o.oneTarget(); err != nil && o.dot+o.svg != "" {
		return usagef("--dot and --svg draw the graph of one target, got %s", strings.Join(o.targets, ", "))
	}
	progress := a.newProgress(&o.projectOptions)
	defer progress.Close()
	pipelines, err := a.openPipelines(ctx, o.projectOptions, progress.quiet(a.global.json))
	if err != nil {
		return err
	}
	defer closeAll(pipelines)
	answers, works, err := pipeline.PlanAll(ctx, pipelines, o.request(where, state))
	progress.Close()
	switch {
	case err != nil:
		return err
	case len(answers) > 1:
		return a.printPlans(ctx, pipelines, answers, works)
	case answers[0].Err != nil:
		return answers[0].Err
	}
	prepared, work := answers[0].Prepared, works[0]
	switch {
	case a.global.json:
		return json.NewEncoder(a.stdout).Encode(work.Plan)
	case o.dot != "":
		return a.writeOut(o.dot, work.Plan.DOT())
	case o.svg != "":
		return a.writeOut(o.svg, work.Plan.SVG(prepared.Project+" on "+prepared.Lock.Target))
	}
	a.sayFiles(prepared)
	a.printPlan(work, pipelines[0].Slots())
	return nil
}

// planned is one target's element of plan --json, when there are several.
type planned struct {
	Target   string            `json:"target"`
	Python   string            `json:"python"`
	Plan     *plan.Plan        `json:"plan"` // as it is printed for one target; null: there is none
	Conflict *service.Conflict `json:"conflict"`
	Error    string            `json:"error,omitempty"` // why there is no plan
}

// printPlans shows the plans of several targets, one table each; a target without one does not hide the others.
func (a *app) printPlans(ctx context.Context, pipelines []*pipeline.Pipeline, answers []pipeline.Answer, works []*pipeline.Work) error {
	ends := targetErrors{}
	list := []planned{}
	for i, answer := range answers {
		ends.add(ctx, answer.Target.Name, answer.Err)
		p := planned{Target: answer.Target.Name, Python: answer.Target.Python.Version}
		if answer.Err == nil {
			p.Plan = works[i].Plan
		} else if p.Conflict = service.ConflictOf(answer.Err); p.Conflict == nil {
			p.Error = answer.Err.Error()
		}
		list = append(list, p)
	}
	if a.global.json {
		err := a.printJSON(struct {
			Targets []planned `json:"targets"`
		}{list})
		return cmp.Or(err, ends.silently())
	}
	a.sayFiles(answers[0].Prepared)
	for i, answer := range answers {
		if answer.Err != nil {
			continue
		}
		fmt.Fprintf(a.stdout, "%s, Python %s\n", answer.Target.Name, answer.Target.Python.Version)
		a.printPlan(works[i], pipelines[i].Slots())
	}
	return ends.verdict()
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
		case plan.Build:
			if n.Rust != nil && n.Rust.String() != "" {
				what += " (" + n.Rust.String() + ")"
			}
		}
		rows = append(rows, []string{fmt.Sprint(work.Plan.Level(id)), n.Name, n.Version, use, what, took, rootText(n.Root)})
	}
	a.table(rows)
	a.sayOverrides(work)
	path, chain := work.Plan.CriticalPath()
	a.say("%d to build, %d in the cache, %d cannot be built; about %s on %d slots",
		counts[plan.Build], counts[plan.Cached], counts[plan.Failed], seconds(work.Plan.Estimate(slots)), slots)
	if line := fetchLine(work.Plan); line != "" {
		a.say("%s", line)
	}
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
