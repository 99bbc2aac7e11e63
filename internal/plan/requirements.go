package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// RequirementsDOT writes who requires whom for Graphviz, from left to right, each requirement at its line.
func RequirementsDOT(nodes []Node, edges []Edge) string {
	asked := askedFor(edges)
	var b strings.Builder
	b.WriteString("digraph requirements {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", fontsize=10, fillcolor=\"#eeeeee\"];\n  edge [fontname=\"sans-serif\", fontsize=8, color=\"#777777\"];\n")
	for _, n := range nodes {
		fill := ""
		if asked[n.ID] {
			fill = `, fillcolor="#cfe2f3"`
		}
		fmt.Fprintf(&b, "  %q [label=%q%s];\n", string(n.ID), n.Name+"\n"+n.Version, fill)
	}
	for _, e := range edges {
		if e.From == "" {
			continue
		}
		style := ""
		if e.Kind != Install {
			style = ", style=dashed"
		}
		fmt.Fprintf(&b, "  %q -> %q [label=%q%s];\n", string(e.From), string(e.To), e.Requirement, style)
	}
	b.WriteString("}\n")
	return b.String()
}

// RequirementsSVG draws who requires whom as Plan.SVG draws builds: in the first column what the user asked
// for and nobody else requires, to the right of each package what it requires. Where
// packages require each other in a circle, the last link of it is not drawn.
func RequirementsSVG(title string, nodes []Node, edges []Edge) (string, error) {
	asked := askedFor(edges)
	requires := map[ID][]ID{}
	known := map[ID]bool{}
	for _, n := range nodes {
		known[n.ID] = true
	}
	for _, e := range edges {
		if known[e.From] && known[e.To] && e.From != e.To {
			requires[e.From] = append(requires[e.From], e.To)
		}
	}
	by := withoutCircles(nodes, edges, requires)
	drawn := make([]Node, 0, len(nodes))
	for _, n := range nodes {
		drawn = append(drawn, Node{ID: n.ID, Name: n.Name, Version: n.Version, Runtime: asked[n.ID], Decision: Build, Root: by[n.ID]})
	}
	p, err := New(drawn, edges)
	if err != nil {
		return "", fmt.Errorf("draw the requirements: %w", err)
	}
	p.requirements = true
	return p.SVG(title), nil
}

// askedFor are the packages that a line of the user's names, and those that nobody requires.
func askedFor(edges []Edge) map[ID]bool {
	asked, required := map[ID]bool{}, map[ID]bool{}
	for _, e := range edges {
		if e.From == "" {
			asked[e.To] = true
		} else {
			required[e.To] = true
		}
	}
	for _, e := range edges {
		if e.From != "" && !required[e.From] {
			asked[e.From] = true
		}
	}
	return asked
}

// withoutCircles is who requires each package, less the links that lead back to a package on the way. It goes
// down from what was asked for, in the order of the nodes.
func withoutCircles(nodes []Node, edges []Edge, requires map[ID][]ID) map[ID][]ID {
	const open, done = 1, 2
	state := map[ID]int{}
	by := map[ID][]ID{}
	var visit func(id ID)
	visit = func(id ID) {
		state[id] = open
		for _, to := range slices.Compact(slices.Sorted(slices.Values(requires[id]))) {
			if state[to] == open {
				continue
			}
			by[to] = append(by[to], id)
			if state[to] == 0 {
				visit(to)
			}
		}
		state[id] = done
	}
	asked := askedFor(edges)
	for _, first := range []bool{true, false} {
		for _, n := range nodes {
			if asked[n.ID] == first && state[n.ID] == 0 {
				visit(n.ID)
			}
		}
	}
	return by
}

// tile is one number of the header.
type tile struct{ number, label, class string }

// requirementTiles are the numbers above a picture of requirements.
func (g *picture) requirementTiles() []tile {
	asked := 0
	for _, n := range g.nodes {
		if n.Runtime {
			asked++
		}
	}
	return []tile{
		{strconv.Itoa(len(g.nodes)), "packages", ""},
		{strconv.Itoa(asked), "asked for", ""},
		{strconv.Itoa(len(g.nodes) - asked), "required", ""},
		{strconv.Itoa(len(g.plan.edges)), "requirements", ""},
	}
}

// requirementCaption is what the members of a block have in common.
func (g *picture) requirementCaption(b *box) (short, full string) {
	var names []string
	for _, u := range g.parents[b.members[0]] {
		names = append(names, g.nodes[u].Name)
	}
	if len(names) == 0 {
		return "asked for", plural(len(b.members), "package") + " that nobody else requires"
	}
	all := strings.Join(names, ", ")
	return bounded("required by "+all, 600), bounded(plural(len(b.members), "package")+" required by "+all, 600)
}
