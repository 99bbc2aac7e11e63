package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"reqpm/internal/plan"
)

type graphOptions struct {
	projectOptions
	build    bool
	dot, svg string
}

func (a *app) newGraphCommand() *cobra.Command {
	var o graphOptions
	cmd := &cobra.Command{
		Use:   "graph [URL|DIR]",
		Short: "Show who requires whom, as a tree, JSON, Graphviz or a picture",
		Long: `Resolve a project and show which package requires which, beginning with the user's own lines. The order of
builds is another graph: see 'reqpm plan'.

` + exitCodesHelp,
		Example: `  reqpm graph ./checkout
  reqpm graph ./checkout --svg requirements.svg
  reqpm graph ./checkout --dot - | dot -Tpdf -o requirements.pdf`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.follow(cmd.Context(), &o.projectOptions, firstArg(args), false); err != nil {
				return err
			}
			return a.runGraph(cmd.Context(), o, firstArg(args))
		},
	}
	o.register(cmd)
	o.registerLocked(cmd)
	cmd.Flags().BoolVar(&o.build, "build", false, "build tools too; this makes a plan, and needs what 'reqpm plan' needs")
	cmd.Flags().StringVar(&o.dot, "dot", "", "write the graph for Graphviz to FILE, - for stdout")
	cmd.Flags().StringVar(&o.svg, "svg", "", "write the graph as a picture to FILE, - for stdout")
	return cmd
}

// graphJSON is the answer of graph --json.
type graphJSON struct {
	Target string      `json:"target"`
	Nodes  []graphNode `json:"nodes"`
	Edges  []plan.Edge `json:"edges"`
}

type graphNode struct {
	ID      plan.ID `json:"id"`
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Runtime bool    `json:"runtime"` // of the set; false: a build tool only
}

func (a *app) runGraph(ctx context.Context, o graphOptions, where string) error {
	g, err := a.graphOf(ctx, o.projectOptions, where, o.build)
	if err != nil {
		return err
	}
	switch {
	case a.global.json:
		doc := graphJSON{Target: g.target, Nodes: []graphNode{}, Edges: g.edges}
		for _, n := range g.nodes {
			doc.Nodes = append(doc.Nodes, graphNode{n.ID, n.Name, n.Version, n.Runtime})
		}
		return a.printJSON(doc)
	case o.dot != "":
		return a.writeOut(o.dot, plan.RequirementsDOT(g.nodes, g.edges))
	case o.svg != "":
		picture, err := plan.RequirementsSVG(g.project+" on "+g.target, g.nodes, g.edges)
		if err != nil {
			return err
		}
		return a.writeOut(o.svg, picture)
	}
	_, err = fmt.Fprint(a.stdout, plainText(plan.Tree(g.edges, g.label)))
	a.say("%d packages, %d requirements", len(g.nodes), len(g.edges))
	return err
}
