package pep508

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/pep440"
)

var (
	// ErrMarker is wrapped by every error of ParseMarker.
	ErrMarker = errors.New("not a PEP 508 marker")
	// ErrUndefined is wrapped by every error of Marker.Evaluate.
	ErrUndefined = errors.New("undefined marker comparison")
)

// Marker is a parsed environment marker. A nil Marker is true everywhere.
type Marker struct {
	root  *group
	text  string // normal form
	extra bool   // mentions extra
}

// group is "a and b or c", as written: and binds before or.
type group struct {
	terms []term
	or    []bool // or[i]: terms[i] and terms[i+1] are joined by or, else by and
}

// term is a comparison or a group in parentheses.
type term struct {
	*comparison
	*group
}

// comparison is one "left op right". Like the reference it takes a variable on
// the left for the variable, whatever the right is; else the right must name one.
type comparison struct {
	left, right operand
	op          string
	spec        *pep440.Specifiers // op and right as a version clause, where they are one
}

type operand struct {
	value    string // the variable's name, or the literal
	variable bool
}

// ParseMarker reads a marker without the leading semicolon. Errors wrap ErrMarker.
func ParseMarker(s string) (*Marker, error) {
	if len(s) > maxInput {
		return nil, fmt.Errorf("%w: %q is longer than %d bytes", ErrMarker, clip(s), maxInput)
	}
	p := &parser{text: s}
	m, err := p.marker()
	if err == nil && !p.atEnd() {
		err = p.expected("and, or, or the end of the marker")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrMarker, clip(s), err)
	}
	return m, nil
}

// Eval evaluates m. extra is the one extra being asked for, "" for none.
// A nil marker is true. A comparison the reference refuses to make (see Evaluate)
// is false, the rest of the marker counts.
func (m *Marker) Eval(env Environment, extra string) bool {
	if m == nil {
		return true
	}
	ok, _ := m.root.eval(&env, NormalizeName(extra))
	return ok
}

// EvalAny is true when m holds with no extra or with one of extras.
func (m *Marker) EvalAny(env Environment, extras []string) bool {
	if m.Eval(env, "") {
		return true
	}
	return m.UsesExtra() && slices.ContainsFunc(extras, func(extra string) bool { return m.Eval(env, extra) })
}

// Evaluate is Eval, but fails, wrapping ErrUndefined, where the reference does: on
// ~= and === between what are not versions, and on variables that have no value,
// such as extras outside a lock file. One such comparison makes the whole
// marker undefined, wherever it stands.
func (m *Marker) Evaluate(env Environment, extra string) (bool, error) {
	if m == nil {
		return true, nil
	}
	ok, err := m.root.eval(&env, NormalizeName(extra))
	if err != nil {
		return false, err
	}
	return ok, nil
}

// String is the reference's normal form, "" for a nil marker. Literals that Python
// would read back differently are escaped, which the reference omits.
func (m *Marker) String() string {
	if m == nil {
		return ""
	}
	return m.text
}

// UsesExtra tells whether m mentions extra anywhere: whether asking for an extra can
// change its value.
func (m *Marker) UsesExtra() bool { return m != nil && m.extra }

func (g *group) uses(variable string) bool {
	return slices.ContainsFunc(g.terms, func(t term) bool {
		if t.group != nil {
			return t.group.uses(variable)
		}
		if t.left.variable {
			return t.left.value == variable
		}
		return t.right.value == variable
	})
}

// eval returns the value with undefined comparisons taken for false, and the first of
// these as an error.
func (g *group) eval(env *Environment, extra string) (result bool, undefined error) {
	all := true // of the terms since the last or
	for i, t := range g.terms {
		if i > 0 && g.or[i-1] {
			result = result || all
			all = true
		}
		var ok bool
		var err error
		if t.group != nil {
			ok, err = t.group.eval(env, extra)
		} else {
			ok, err = t.comparison.eval(env, extra)
		}
		if undefined == nil {
			undefined = err
		}
		all = all && ok
	}
	return result || all, undefined
}

func (c *comparison) eval(env *Environment, extra string) (bool, error) {
	left, right, key := c.left.value, c.right.value, c.right.value
	var known bool
	if c.left.variable {
		key = c.left.value
		left, known = env.lookup(key, extra)
	} else {
		right, known = env.lookup(key, extra)
	}
	if !known {
		return false, fmt.Errorf("%w: %s: no variable %q here", ErrUndefined, c, clip(key))
	}
	if isVersion(key) {
		spec := c.spec
		if !c.left.variable {
			spec = clauseOf(c.op, right)
		}
		if spec != nil {
			return spec.ContainsText(left), nil
		}
	}
	switch c.op {
	case "in":
		return strings.Contains(right, left), nil
	case "not in":
		return !strings.Contains(right, left), nil
	case "==", "<=", ">=":
		return left == right, nil
	case "!=":
		return left != right, nil
	case "<", ">": // texts have no order
		return false, nil
	}
	return false, fmt.Errorf("%w: %s: %s compares versions only", ErrUndefined, c, c.op)
}

// clauseOf reads op and text as a version clause; nil when they are none, and the
// comparison then is one of texts.
func clauseOf(op, text string) *pep440.Specifiers {
	spec, err := pep440.ParseSpecifier(op + text)
	if err != nil {
		return nil
	}
	return &spec
}

func (c *comparison) String() string {
	return c.left.String() + " " + c.op + " " + c.right.String()
}

func (o operand) String() string {
	if o.variable {
		return o.value
	}
	return quote(o.value)
}

// format writes g; parentheses appear only where they group more than one term.
func (g *group) format(b *strings.Builder, outermost bool) {
	for len(g.terms) == 1 && g.terms[0].group != nil {
		g = g.terms[0].group
	}
	enclose := !outermost && len(g.terms) > 1
	if enclose {
		b.WriteByte('(')
	}
	for i, t := range g.terms {
		switch {
		case i == 0:
		case g.or[i-1]:
			b.WriteString(" or ")
		default:
			b.WriteString(" and ")
		}
		if t.group != nil {
			t.group.format(b, false)
		} else {
			b.WriteString(t.comparison.String())
		}
	}
	if enclose {
		b.WriteByte(')')
	}
}
