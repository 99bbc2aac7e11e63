package pep508

import (
	"fmt"
	"strings"
)

// Not returns the marker that holds where m does not. It fails, wrapping
// ErrMarker, for ~= and ===, which have no opposite; a nil marker, which always holds,
// has none either.
func (m *Marker) Not() (*Marker, error) {
	if m == nil {
		return nil, fmt.Errorf("%w: nothing is the opposite of no marker", ErrMarker)
	}
	text, err := m.root.not()
	if err != nil {
		return nil, err
	}
	return ParseMarker(text)
}

// not is De Morgan's: or of the opposites for and, and the other way round. The
// parentheses keep and before or.
func (g *group) not() (string, error) {
	var all, some []string
	for i, t := range g.terms {
		text, err := t.not()
		if err != nil {
			return "", err
		}
		some = append(some, text)
		if i == len(g.or) || g.or[i] {
			all = append(all, "("+strings.Join(some, " or ")+")")
			some = nil
		}
	}
	return strings.Join(all, " and "), nil
}

func (t term) not() (string, error) {
	if t.group != nil {
		text, err := t.group.not()
		return "(" + text + ")", err
	}
	opposite, ok := map[string]string{"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in"}[t.op]
	if !ok {
		return "", fmt.Errorf("%w: %q has no opposite", ErrMarker, t.op)
	}
	c := *t.comparison
	c.op = opposite
	return c.String(), nil
}
