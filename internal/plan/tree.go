package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Tree writes who requires whom as an indented tree, beginning with the user's own lines and with
// packages that nobody requires. What a package requires is shown once; where the package comes up
// again, (*) says so. label gives a package as people read it.
func Tree(edges []Edge, label func(ID) string) string {
	t := &tree{from: map[ID][]Step{}, shown: map[ID]bool{}, label: label}
	required := map[ID]bool{}
	for _, steps := range stepsInto(edges) {
		for _, step := range steps {
			t.from[step.From] = append(t.from[step.From], step)
			required[step.To] = true
		}
	}
	var tops []ID
	for id := range t.from {
		slices.SortFunc(t.from[id], func(a, b Step) int { return strings.Compare(string(a.To), string(b.To)) })
		if id != "" && !required[id] {
			tops = append(tops, id)
		}
	}
	slices.Sort(tops)
	for _, id := range tops {
		fmt.Fprintf(&t.out, "%s\n", label(id))
		t.below(id, "")
	}
	for _, step := range t.from[""] {
		fmt.Fprintf(&t.out, "%s\n", t.line(step))
		t.expand(step.To, "")
	}
	return t.out.String()
}

type tree struct {
	from  map[ID][]Step
	shown map[ID]bool
	label func(ID) string
	out   strings.Builder
}

// line is a package with the requirements that bring it there.
func (t *tree) line(s Step) string {
	var texts []string
	for _, e := range s.Requirements {
		text := e.Requirement
		if e.File != "" {
			text = fmt.Sprintf("%s:%d %s", e.File, e.Line, text)
		}
		if e.Kind != Install && e.Kind != TopLevel {
			text = string(e.Kind) + " " + text
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	again := ""
	if t.shown[s.To] && len(t.from[s.To]) > 0 {
		again = " (*)"
	}
	return fmt.Sprintf("%s (%s)%s", t.label(s.To), strings.Join(texts, "; "), again)
}

func (t *tree) expand(id ID, indent string) {
	if !t.shown[id] {
		t.shown[id] = true
		t.below(id, indent)
	}
}

func (t *tree) below(id ID, indent string) {
	steps := t.from[id]
	for i, step := range steps {
		branch, further := "├── ", "│   "
		if i == len(steps)-1 {
			branch, further = "└── ", "    "
		}
		fmt.Fprintf(&t.out, "%s%s%s\n", indent, branch, t.line(step))
		t.expand(step.To, indent+further)
	}
}
