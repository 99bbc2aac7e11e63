package pep508

import "strings"

// Assume decides the comparisons that known has an answer for and returns what is
// left to decide, nil when m holds already. possible is false when m can no longer
// hold, whatever is left.
//
// known is asked with the variable of a comparison, its operator and the literal,
// wherever they stand: "x" in extras asks ("extras", "in", "x").
func (m *Marker) Assume(known func(variable, op, literal string) (holds, decided bool)) (rest *Marker, possible bool) {
	if m == nil {
		return nil, true
	}
	switch left, truth := m.root.assume(known); truth {
	case holds:
		return nil, true
	case fails:
		return nil, false
	default:
		var b strings.Builder
		left.format(&b, true)
		return &Marker{root: left, text: b.String(), extra: left.uses("extra")}, true
	}
}

// truth of a part of a marker.
type truth int

const (
	open truth = iota // not decided
	holds
	fails
)

// assume returns the part of g that is not decided, as an or of ands.
func (g *group) assume(known func(variable, op, literal string) (bool, bool)) (*group, truth) {
	left := &group{}
	var and []term
	failed := false
	for i, t := range g.terms {
		switch t, truth := t.assume(known); truth {
		case fails:
			failed = true
		case open:
			and = append(and, t)
		}
		if i < len(g.or) && !g.or[i] {
			continue
		}
		switch {
		case failed:
		case len(and) == 0:
			return nil, holds
		default:
			for j, t := range and {
				if len(left.terms) > 0 {
					left.or = append(left.or, j == 0)
				}
				left.terms = append(left.terms, t)
			}
		}
		and, failed = nil, false
	}
	if len(left.terms) == 0 {
		return nil, fails
	}
	return left, open
}

func (t term) assume(known func(variable, op, literal string) (bool, bool)) (term, truth) {
	if t.group != nil {
		left, truth := t.group.assume(known)
		return term{group: left}, truth
	}
	variable, literal := t.left, t.right
	if !variable.variable {
		variable, literal = literal, variable
	}
	if literal.variable {
		return t, open
	}
	switch yes, decided := known(variable.value, t.op, literal.value); {
	case !decided:
		return t, open
	case yes:
		return t, holds
	}
	return t, fails
}
