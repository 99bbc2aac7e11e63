package pages

import (
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/plan"
	"reqpm/internal/store"
	"reqpm/internal/web/runview"
)

// graphData is the picture of one target's builds. The layout is made once for an open page; what changes is the
// state of each node, told by one letter.
type graphData struct {
	Target  string
	Targets []string
	Nodes   int
	Levels  int
	Hidden  int // finished ones that are left out
	Hide    bool
	SVG     string
	Letters string // of the nodes in the order of their numbers: the first of each state's word
	Words   string // the failing path in words, for small screens
}

// letters of states. Cancelled is "x": "c" would do, but a script reads better with no doubt.
var letters = map[runview.State]byte{runview.Failed: 'f', runview.Blocked: 'b', runview.Running: 'r', runview.Queued: 'q', runview.Waiting: 'w', runview.Cancelled: 'x', runview.Succeeded: 's', runview.Reused: 'u'}

// graph draws the builds of one target: of the one that was asked for, else of the first in which something failed.
func (q *request) graph(r store.Run, steps []store.Step, edges []store.Edge, m *memo) (graphData, error) {
	d := graphData{Targets: r.Targets, Target: q.URL.Query().Get("graph"), Hide: q.URL.Query().Get("finished") == "hidden"}
	if !slices.Contains(r.Targets, d.Target) {
		d.Target = ""
		for _, s := range steps {
			if s.Kind == store.Build && s.State == store.Failed {
				d.Target = s.Target
				break
			}
		}
		if d.Target == "" && len(r.Targets) > 0 {
			d.Target = r.Targets[0]
		}
	}
	hidden := m.finished
	if m.finished == nil {
		hidden = map[int64]bool{}
		m.finished = hidden
		for _, s := range steps {
			state := runview.StateOf(s)
			hidden[s.ID] = d.Hide && (state == runview.Succeeded || state == runview.Reused)
		}
	}
	p, byID, err := runGraph(steps, edges, d.Target, hidden)
	if err != nil {
		return d, err
	}
	d.Nodes = p.Len()
	for _, s := range steps {
		if s.Target == d.Target && s.Kind == store.Build && hidden[s.ID] {
			d.Hidden++
		}
	}
	var states strings.Builder
	for _, id := range p.Order() {
		states.WriteByte(letters[runview.StateOf(byID[id])])
		d.Levels = max(d.Levels, p.Level(id)+1)
	}
	d.Letters = states.String()
	d.Words = blockedWords(byID)
	if key := fmt.Sprintf("%s %d %d", d.Target, p.Len(), len(edges)); key != m.graph {
		m.graph, m.svg = key, q.p.pictures.draw(fmt.Sprintf("%d %s %s", r.ID, key, d.Letters), func() string { return drawGraph(p, byID, d) })
	}
	d.SVG = m.svg
	return d, nil
}

// runGraph is the graph of a target's builds as the plan package has it.
func runGraph(steps []store.Step, edges []store.Edge, target string, hidden map[int64]bool) (*plan.Plan, map[plan.ID]store.Step, error) {
	needs, ids := map[int64][]plan.ID{}, map[int64]plan.ID{}
	byID := map[plan.ID]store.Step{}
	for _, s := range steps {
		if s.Kind == store.Build && s.Target == target && !hidden[s.ID] {
			ids[s.ID] = plan.ID(s.Package)
			byID[plan.ID(s.Package)] = s
		}
	}
	for _, e := range edges {
		if from, ok := ids[e.Needs]; ok && ids[e.Step] != "" {
			needs[e.Step] = append(needs[e.Step], from)
		}
	}
	var nodes []plan.Node
	for _, s := range steps {
		id, ok := ids[s.ID]
		if !ok {
			continue
		}
		name, version := runview.Split(s.Package)
		node := plan.Node{ID: id, Name: name, Version: version, Decision: plan.Build, Seconds: s.Expected, Root: needs[s.ID]}
		if runview.StateOf(s) == runview.Reused {
			node.Decision, node.Seconds = plan.Cached, 0
			if runview.OfDistribution(s) {
				node.Decision = plan.Reuse
			}
		} else if s.State == store.Succeeded && !s.Started.IsZero() {
			node.Seconds = s.Finished.Sub(s.Started).Seconds()
		}
		nodes = append(nodes, node)
	}
	p, err := plan.New(nodes, nil)
	return p, byID, err
}

func drawGraph(p *plan.Plan, byID map[plan.ID]store.Step, d graphData) string {
	label := fmt.Sprintf("Build graph of %s: %s in %s. %s", d.Target, plural(d.Nodes, "package"), plural(d.Levels, "level"), d.Words)
	return p.Live(label, func(n *plan.Node) plan.Look {
		s := byID[n.ID]
		state := runview.StateOf(s)
		look := plan.Look{State: string(state), Link: buildPath(s.ID), Title: fmt.Sprintf("%s %s: %s", n.Name, n.Version, state)}
		switch {
		case state == runview.Succeeded || state == runview.Failed:
			look.Note = took(s.Started, s.Finished, s.Finished)
		case s.Expected > 0 && !state.Over():
			look.Note = "~" + clock(durationOf(s.Expected))
		}
		if s.Root != "" && state == runview.Blocked {
			root, _ := runview.Split(s.Root)
			look.Title += " by " + root
		}
		return look
	})
}

// blockedWords says what blocks what, for those who do not see the picture whole.
func blockedWords(byID map[plan.ID]store.Step) string {
	by := map[string][]string{}
	for _, s := range byID {
		if s.State == store.Blocked {
			root, _ := runview.Split(s.Root)
			name, _ := runview.Split(s.Package)
			by[root] = append(by[root], name)
		}
	}
	var parts []string
	for _, root := range sortedKeys(by) {
		slices.Sort(by[root])
		names := by[root]
		text := strings.Join(names[:min(3, len(names))], ", ")
		if more := len(names) - 3; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, root+" blocks "+text+".")
	}
	return strings.Join(parts, " ")
}
