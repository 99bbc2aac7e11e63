package plan

import (
	"encoding/json"
	"fmt"
	"strings"
)

// document is the JSON shape of a plan.
type document struct {
	Nodes        []*Node `json:"nodes"` // in build order
	Edges        []Edge  `json:"edges"`
	CriticalPath []ID    `json:"critical_path"`
	Seconds      float64 `json:"critical_path_seconds"`
	Work         float64 `json:"work_seconds"`
}

// MarshalJSON writes nodes in build order, every edge, and the longest chain.
func (p *Plan) MarshalJSON() ([]byte, error) {
	d := document{Nodes: []*Node{}, Edges: p.edges, Work: p.Work()}
	if d.Edges == nil {
		d.Edges = []Edge{}
	}
	for _, id := range p.order {
		d.Nodes = append(d.Nodes, p.nodes[id])
	}
	d.CriticalPath, d.Seconds = p.CriticalPath()
	if d.CriticalPath == nil {
		d.CriticalPath = []ID{}
	}
	return json.Marshal(d)
}

// DOT writes the graph for Graphviz: builds from left to right, what needs what.
// Solid: to be built first; dotted: needed to run.
func (p *Plan) DOT() string {
	var b strings.Builder
	b.WriteString("digraph plan {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", fontsize=10, fillcolor=white];\n")
	for _, id := range p.order {
		n := p.nodes[id]
		fmt.Fprintf(&b, "  %q [label=%q, fillcolor=%q];\n", string(id), n.Name+"\n"+n.Version, dotColour(n))
	}
	for _, e := range p.edges {
		switch {
		case e.From == "" || p.nodes[e.From] == nil || p.nodes[e.To] == nil:
		case e.Kind == Install:
			fmt.Fprintf(&b, "  %q -> %q [style=dotted];\n", string(e.To), string(e.From))
		default:
			fmt.Fprintf(&b, "  %q -> %q;\n", string(e.To), string(e.From))
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func dotColour(n *Node) string {
	switch {
	case n.Decision == Failed:
		return "#f4c7c3"
	case n.Decision == Cached, n.Decision == Reuse:
		return "#d9ead3"
	case n.Runtime:
		return "#cfe2f3"
	}
	return "#eeeeee"
}
