package pep508

import (
	"fmt"
	"strings"
)

// maxDepth bounds nested parentheses; Python's own recursion ends a little above.
const maxDepth = 100

// marker parses up to the first text that cannot belong to one.
func (p *parser) marker() (*Marker, error) {
	g, err := p.group()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	g.format(&b, true)
	return &Marker{root: g, text: b.String(), extra: g.uses("extra")}, nil
}

// group = term (("and" | "or") term)*
func (p *parser) group() (*group, error) {
	g := &group{}
	for {
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		g.terms = append(g.terms, t)
		switch {
		case p.word("or"):
			g.or = append(g.or, true)
		case p.word("and"):
			g.or = append(g.or, false)
		default:
			return g, nil
		}
	}
}

// term = "(" group ")" | operand op operand
func (p *parser) term() (t term, err error) {
	p.space()
	if p.take("(") {
		if p.depth++; p.depth > maxDepth {
			return t, fmt.Errorf("more than %d nested parentheses", maxDepth)
		}
		if t.group, err = p.group(); err != nil {
			return t, err
		}
		if !p.take(")") {
			return t, p.expected("and, or, or the closing parenthesis of the marker")
		}
		p.depth--
	} else if t.comparison, err = p.comparison(); err != nil {
		return t, err
	}
	p.space()
	return t, nil
}

func (p *parser) comparison() (*comparison, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.space()
	op, err := p.operator()
	if err != nil {
		return nil, err
	}
	p.space()
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	c := &comparison{left: left, op: op, right: right}
	c.normalizeNames()
	if left.variable && isVersion(left.value) {
		c.spec = clauseOf(op, right.value)
	}
	return c, nil
}

// normalizeNames brings literals compared with names of extras or groups into PEP 685's
// normal form.
func (c *comparison) normalizeNames() {
	switch {
	case c.left == operand{"extra", true} && !c.right.variable:
		c.right.value = NormalizeName(c.right.value)
	case c.left.variable || !c.right.variable:
	case c.right.value == "extra", c.right.value == "extras", c.right.value == "dependency_groups":
		c.left.value = NormalizeName(c.left.value)
	}
}

func (p *parser) operator() (string, error) {
	if p.word("in") {
		return "in", nil
	}
	if p.word("not") {
		before := p.pos
		if p.space(); p.pos == before || !p.word("in") {
			return "", p.expected(`white space and "in" after "not"`)
		}
		return "not in", nil
	}
	if op := p.firstOf("===", "==", "~=", "!=", "<=", ">=", "<", ">"); op != "" {
		return op, nil
	}
	return "", p.expected("one of <= < != == >= > ~= === in, not in")
}

// variables in all their spellings, and what they are called here. PEP 345 wrote dots.
var variables = []struct{ spelling, name string }{
	{"python_version", "python_version"},
	{"python_full_version", "python_full_version"},
	{"os_name", "os_name"},
	{"os.name", "os_name"},
	{"sys_platform", "sys_platform"},
	{"sys.platform", "sys_platform"},
	{"platform_release", "platform_release"},
	{"platform_system", "platform_system"},
	{"platform_version", "platform_version"},
	{"platform.version", "platform_version"},
	{"platform_machine", "platform_machine"},
	{"platform.machine", "platform_machine"},
	{"platform_python_implementation", "platform_python_implementation"},
	{"platform.python_implementation", "platform_python_implementation"},
	{"python_implementation", "platform_python_implementation"},
	{"implementation_name", "implementation_name"},
	{"implementation_version", "implementation_version"},
	{"extras", "extras"},
	{"extra", "extra"},
	{"dependency_groups", "dependency_groups"},
}

func (p *parser) operand() (operand, error) {
	for _, v := range variables {
		if p.word(v.spelling) {
			return operand{v.name, true}, nil
		}
	}
	for _, mark := range []string{`'`, `"`} {
		if !strings.HasPrefix(p.text[p.pos:], mark) {
			continue
		}
		inner, _, closed := strings.Cut(p.text[p.pos+1:], mark)
		if !closed {
			return operand{}, fmt.Errorf("the string %q has no closing quote", clip(p.text[p.pos:]))
		}
		value, err := unescape(inner)
		if err != nil {
			return operand{}, fmt.Errorf("the string %q: %w", clip(inner), err)
		}
		p.pos += len(inner) + 2
		return operand{value: value}, nil
	}
	return operand{}, p.expected("a marker variable or a quoted string")
}
