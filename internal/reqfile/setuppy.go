package reqfile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reqpm/internal/pep508"
)

// parseSetupPy reads what a setup.py says in literals: it is read, never run. What
// it computes is warned of, because only its build backend can tell it.
func (r *reader) parseSetupPy(ctx context.Context, loc location, data []byte, _ role) {
	text, _, err := decode(data)
	if err != nil {
		r.fail(Position{File: loc.String()}, "", err)
		return
	}
	s := newSetupFile(r, loc)
	call := readSetupCall(text)
	about := &Project{Position: Position{s.file, max(call.line, 1)}, HasBuildSystem: true}
	if call.line == 0 {
		r.warn(Position{s.file, 1}, "there is no call of setup() to read; its build backend must be asked")
	}
	about.Name, about.Version = call.str("name"), call.str("version")
	if v, ok := call.arguments["python_requires"]; ok {
		if v.value.IsString() {
			about.RequiresPython = s.python(Position{s.file, v.value.Line}, v.value.Text)
		} else {
			s.computed("python_requires", v)
		}
	}
	if about.Name != "" || call.line > 0 {
		s.describeSetup(about)
	}
	s.setupExtras(ctx, call, about)
	requires, has := call.arguments["install_requires"]
	switch {
	case has && requires.value.IsStrings():
		s.literals(ctx, requires.value, nil)
	case has && requires.value.IsString():
		s.splitLiteral(requires.value, nil)
	case has:
		s.computed("install_requires", requires)
	case call.unknown > 0:
		s.computed("install_requires", pyArgument{line: call.unknown})
	case r.root.isFile(s.beside("setup.cfg").path):
		r.readFile(ctx, s.beside("setup.cfg"), Position{s.file, about.Position.Line}, "", asRequirements)
	}
	s.extra("", nil)
	s.wantedExtras(about)
}

// computed warns of an argument that is no literal.
func (s *setupFile) computed(name string, v pyArgument) {
	hint := ""
	if v.file != "" {
		hint = fmt.Sprintf(" (it reads %s: -r %s names it)", quote(v.file), v.file)
	}
	s.warn(Position{s.file, max(v.line, 1)}, "%s is computed%s; its build backend must be asked", name, hint)
}

// literals keeps an array of requirement strings.
func (s *setupFile) literals(ctx context.Context, list *node, marker *pep508.Marker) {
	for _, n := range list.Items {
		if s.stopped(ctx) {
			return
		}
		s.splitLiteral(n, marker)
	}
}

// splitLiteral reads one string, which may hold several lines, as setuptools does.
func (s *setupFile) splitLiteral(n *node, marker *pep508.Marker) {
	line := n.Line
	for text := range strings.SplitSeq(n.Text, "\n") {
		if text = strings.TrimSpace(text); text != "" && text[0] != '#' {
			s.setupRequirement(Position{s.file, line}, text, marker)
		}
	}
}

// setupExtras reads extras_require. A key "name:marker" holds for the marker only,
// ":marker" belongs to the requirements themselves.
func (s *setupFile) setupExtras(ctx context.Context, call setupCall, about *Project) {
	extras, has := call.arguments["extras_require"]
	if !has {
		return
	}
	at := Position{s.file, max(extras.line, 1)}
	s.extras.at = at
	if !extras.value.IsTable() {
		s.computed("extras_require", extras)
		s.unknown = true
		for _, name := range s.req.Extras { // nobody can say that they are wrong
			s.extras.found[pep508.NormalizeName(name)] = true
		}
		return
	}
	for _, key := range extras.value.Keys {
		name, condition, conditional := strings.Cut(key, ":")
		var condMarker *pep508.Marker
		if conditional {
			var ok bool
			if condMarker, ok = s.parseMarker(at, condition); !ok {
				continue
			}
		}
		read := func(marker *pep508.Marker) { s.extraValue(ctx, extras, key, condMarker, marker) }
		if name == "" {
			s.own[""] = append(s.own[""], read)
			continue
		}
		s.noteExtra(about, name, read)
	}
}

// extraValue reads one entry of extras_require for both markers.
func (s *setupFile) extraValue(ctx context.Context, extras pyArgument, key string, condition, outer *pep508.Marker) {
	marker, err := bothMarkers(outer.String(), condition)
	if err != nil {
		s.fail(Position{s.file, extras.line}, key, err)
		return
	}
	switch v := extras.value.Get(key); {
	case v.IsStrings():
		s.literals(ctx, v, marker)
	case v.IsString():
		s.splitLiteral(v, marker)
	default:
		s.computed("the extra "+quote(key), extras)
	}
}

// setupCall is what was read of the call of setup().
type setupCall struct {
	line      int // 0: there is none
	arguments map[string]pyArgument
	unknown   int // line of a **argument that is no literal, 0: none
}

// pyArgument is an argument; value is nil where it is computed, file then the
// requirement file whose name stands in it.
type pyArgument struct {
	line  int
	value *node
	file  string
}

func (c setupCall) str(name string) string {
	if v := c.arguments[name].value; v.IsString() {
		return v.Text
	}
	return ""
}

// readSetupCall finds the first call of setup() and evaluates its arguments as far
// as they are literals or names that the module binds once, to literals.
func readSetupCall(text string) setupCall {
	p := &pyReader{tokens: pyTokens(text), names: map[string]*node{}}
	p.closeBrackets()
	p.bindNames()
	call := setupCall{arguments: map[string]pyArgument{}}
	for i, t := range p.tokens {
		if t.kind != pyName || t.text != "setup" || !p.is(i+1, "(") {
			continue
		}
		if i > 0 && (p.tokens[i-1].text == "def" || p.is(i-1, ".") && !p.isName(i-2, "setuptools", "core")) {
			continue
		}
		call.line = t.line
		p.pos = i + 2
		p.arguments(&call)
		break
	}
	return call
}

// arguments reads up to the closing parenthesis.
func (p *pyReader) arguments(call *setupCall) {
	for p.pos < len(p.tokens) && !p.is(p.pos, ")") {
		start := p.pos
		line := p.tokens[start].line
		switch {
		case p.is(start, "**"):
			p.pos++
			value, ok := p.whole()
			if !ok || !value.IsTable() {
				call.unknown = line
				break
			}
			for _, key := range value.Keys {
				call.arguments[key] = pyArgument{line: line, value: value.Get(key)}
			}
		case p.tokens[start].kind == pyName && p.is(start+1, "="):
			p.pos = start + 2
			value, ok := p.whole()
			if !ok {
				value = nil
			}
			end := p.argumentEnd(start)
			argument, name := pyArgument{line: line, value: value}, p.tokens[start].text
			if value == nil && strings.HasSuffix(name, "_requires") {
				argument.file = p.fileNamed(start, end)
			}
			if _, twice := call.arguments[name]; !twice {
				call.arguments[name] = argument
			}
		}
		p.pos = p.argumentEnd(start)
		if p.is(p.pos, ",") {
			p.pos++
		}
	}
}

// fileNamed is the requirement file that a computed argument mentions, itself or
// elsewhere in the module.
func (p *pyReader) fileNamed(start, end int) string {
	for _, tokens := range [][]pyToken{p.tokens[start:end], p.tokens} {
		for _, t := range tokens {
			if t.kind == pyString && isRequirementFile(t.text) && len(t.text) < 200 {
				return t.text
			}
		}
	}
	return ""
}

// bindNames notes the module's names that are bound once, at the start of a line,
// to a literal, and changed nowhere.
func (p *pyReader) bindNames() {
	spoilt := map[string]bool{}
	at := map[string]int{}
	for i, t := range p.tokens {
		if t.kind != pyName {
			continue
		}
		switch {
		case p.is(i+1, ".") && p.isName(i+2, "append", "extend", "insert", "remove", "pop", "update", "setdefault", "clear", "sort", "add") && p.is(i+3, "("),
			p.is(i+1, "+="), p.is(i+1, "-="), p.is(i+1, "|="), p.is(i+1, "["):
			if p.is(i+1, "[") && !p.assignsItem(i+1) {
				continue
			}
			spoilt[t.text] = true
		case p.is(i+1, "=") && t.depth == 0:
			if _, twice := at[t.text]; twice || t.indent > 0 {
				spoilt[t.text] = true
			}
			at[t.text] = i + 2
		case p.is(i+1, ":") && t.depth == 0 && t.first && t.indent == 0: // name: type = value
			for j := i + 2; j < len(p.tokens) && p.tokens[j].kind != pyNewline; j++ {
				if p.is(j, "=") && p.tokens[j].depth == 0 {
					at[t.text] = j + 1
					break
				}
			}
		}
	}
	order := slices.SortedFunc(maps.Keys(at), func(a, b string) int { return cmp.Compare(at[a], at[b]) })
	for _, name := range order { // as written, since names may be made of names
		if spoilt[name] {
			continue
		}
		p.pos = at[name]
		if value, ok := p.expression(0); ok && (p.pos >= len(p.tokens) || p.tokens[p.pos].kind == pyNewline || p.is(p.pos, ";")) {
			p.names[name] = value
		}
	}
}

// assignsItem tells whether name[…] is assigned to.
func (p *pyReader) assignsItem(open int) bool {
	i := p.closing[open]
	return i > 0 && (p.is(i+1, "=") || p.is(i+1, "+=") || p.is(i+1, ".") || p.is(i+1, "|="))
}

// closeBrackets finds where each square bracket closes.
func (p *pyReader) closeBrackets() {
	p.closing = map[int]int{}
	var open []int
	for i := range p.tokens {
		switch {
		case p.is(i, "["):
			open = append(open, i)
		case p.is(i, "]") && len(open) > 0:
			p.closing[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
}

// whole evaluates the expression at pos, which must be the whole argument.
func (p *pyReader) whole() (*node, bool) {
	value, ok := p.expression(0)
	return value, ok && (p.is(p.pos, ",") || p.is(p.pos, ")"))
}

func (p *pyReader) isName(i int, names ...string) bool {
	return i >= 0 && i < len(p.tokens) && p.tokens[i].kind == pyName && slices.Contains(names, p.tokens[i].text)
}
