package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/near"
	"reqpm/internal/pep508"
	"reqpm/internal/plan"
)

type whyOptions struct {
	projectOptions
	build bool
	limit int
}

func (a *app) newWhyCommand() *cobra.Command {
	var o whyOptions
	cmd := &cobra.Command{
		Use:   "why PACKAGE [URL|DIR]",
		Short: "Show why a package is in the set: every way to it, the shortest first",
		Long: `Resolve a project and show the ways by which its requirements lead to a package, each step with the
requirement as written, and file and line of the user's own. With --build the build tools count too.

` + exitCodesHelp,
		Example: `  reqpm why markupsafe ./checkout
  reqpm why setuptools ./checkout --build
  reqpm why markupsafe ./checkout --locked --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef("%s takes a package, then at most one URL or folder", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.follow(cmd.Context(), &o.projectOptions, firstArg(args[1:]), false); err != nil {
				return err
			}
			return a.runWhy(cmd.Context(), o, args[0], firstArg(args[1:]))
		},
	}
	o.register(cmd)
	o.registerLocked(cmd)
	cmd.Flags().BoolVar(&o.build, "build", false, "count build tools too; this makes a plan, and needs what 'reqpm plan' needs")
	cmd.Flags().IntVar(&o.limit, "limit", 10, "show at most so many ways")
	return cmd
}

// whyJSON is the answer of why --json: one element a version, as there may be several of a build tool.
type whyJSON struct {
	Package  string       `json:"package"`
	Target   string       `json:"target"`
	Versions []whyVersion `json:"versions"`
}

type whyVersion struct {
	Version string        `json:"version"`
	Paths   [][]plan.Step `json:"paths"`
	More    bool          `json:"more"` // there are others beyond --limit
}

func (a *app) runWhy(ctx context.Context, o whyOptions, name, where string) error {
	if o.limit < 1 {
		return usagef("--limit %d: at least 1", o.limit)
	}
	graph, err := a.graphOf(ctx, o.projectOptions, where, o.build)
	if err != nil {
		return err
	}
	name = pep508.NormalizeName(name)
	answer := whyJSON{Package: name, Target: graph.target}
	for _, n := range graph.nodes {
		if n.Name != name {
			continue
		}
		paths, more := plan.Paths(graph.edges, n.ID, o.limit)
		answer.Versions = append(answer.Versions, whyVersion{n.Version, paths, more})
	}
	if len(answer.Versions) == 0 {
		return graph.unknown(name, o.build)
	}
	if a.global.json {
		return a.printJSON(answer)
	}
	for _, v := range answer.Versions {
		a.printWays(graph, name, v)
	}
	return nil
}

func (a *app) printWays(g *requirementGraph, name string, v whyVersion) {
	out := func(format string, args ...any) { fmt.Fprintln(a.stdout, plainText(fmt.Sprintf(format, args...))) }
	out("%s %s", name, v.Version)
	if len(v.Paths) == 0 {
		out("  the project itself, or a package that nobody requires")
	}
	for i, path := range v.Paths {
		for k, step := range path {
			number := "   "
			if k == 0 {
				number = fmt.Sprintf("%2d.", i+1)
			}
			out("%s %s", number, stepText(g, step))
		}
	}
	if v.More {
		out("and more: see --limit")
	}
}

// stepText is "requirements.txt:2: flask>=3" or "flask 3.1.3: click>=8".
func stepText(g *requirementGraph, step plan.Step) string {
	var texts []string
	for _, e := range step.Requirements {
		text := e.Requirement
		switch {
		case e.From == "" && e.Line > 0:
			text = fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
		case e.From == "":
			text = e.File + ": " + text
		case e.Kind != plan.Install:
			text += " (" + string(e.Kind) + ")"
		}
		texts = append(texts, text)
	}
	who := ""
	if step.From != "" {
		who = g.label(step.From) + ": "
	}
	return who + strings.Join(texts, "; ")
}

// requirementGraph is who requires whom on one target.
type requirementGraph struct {
	project, target string
	nodes           []plan.Node
	edges           []plan.Edge
}

// graphOf resolves a project, and with tools plans it.
func (a *app) graphOf(ctx context.Context, o projectOptions, where string, tools bool) (*requirementGraph, error) {
	session, err := a.resolveOne(ctx, &o, where)
	if err != nil {
		return nil, err
	}
	defer session.close()
	p, prepared := session.pipelines[0], session.answers[0].Prepared
	g := &requirementGraph{project: prepared.Project, target: prepared.Lock.Target}
	if !tools {
		g.nodes, g.edges = prepared.Lock.Graph()
		return g, nil
	}
	work, err := p.Plan(ctx, prepared.Lock)
	if err != nil {
		return nil, err
	}
	g.nodes, g.edges = work.Graph()
	return g, nil
}

// label is a package for people.
func (g *requirementGraph) label(id plan.ID) string { return strings.Replace(string(id), "==", " ", 1) }

// unknown says that nobody requires a package, and which name may have been meant.
func (g *requirementGraph) unknown(name string, tools bool) error {
	text := fmt.Sprintf("%s is not in the set for %s", name, g.target)
	best := 3
	for _, n := range g.nodes {
		if d := near.Distance(name, n.Name); d < best {
			best = d
			text = fmt.Sprintf("%s is not in the set for %s; did you mean %s?", name, g.target, n.Name)
		}
	}
	if best == 3 && !tools {
		text += "; --build looks among the build tools too"
	}
	return usageError{fmt.Errorf("%s", text)}
}
