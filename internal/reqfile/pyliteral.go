package reqfile

import (
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"reqpm/internal/tomltree"
)

type pyKind int

const (
	pyName pyKind = iota
	pyString
	pyOther // operators, numbers, and strings that are computed
	pyNewline
)

// pyToken is one token of Python source.
type pyToken struct {
	kind   pyKind
	text   string // of a string its value
	line   int
	indent int  // of its line
	depth  int  // brackets it stands in; of brackets that of their outside
	first  bool // of its line
}

// pyTokens splits source into tokens. It takes anything; what is no Python gives
// tokens that no reader makes sense of.
func pyTokens(text string) []pyToken {
	s := &pyScanner{text: text, line: 1}
	for s.pos < len(s.text) {
		s.next()
	}
	return s.tokens
}

type pyScanner struct {
	text    string
	pos     int
	line    int
	indent  int
	depth   int
	content bool // the line has had a token
	tokens  []pyToken
}

func (s *pyScanner) emit(kind pyKind, text string, line int) {
	s.tokens = append(s.tokens, pyToken{kind: kind, text: text, line: line, indent: s.indent, depth: s.depth, first: !s.content})
	s.content = true
}

func (s *pyScanner) next() {
	switch c := s.text[s.pos]; {
	case c == '\n':
		if s.depth == 0 && s.content {
			s.emit(pyNewline, "", s.line)
		}
		s.line++
		s.pos++
		if s.depth == 0 {
			s.content, s.indent = false, 0
		}
	case c == ' ' || c == '\t' || c == '\r' || c == '\f':
		if !s.content && s.depth == 0 {
			s.indent++
		}
		s.pos++
	case c == '\\' && strings.HasPrefix(s.text[s.pos+1:], "\n"):
		s.line++
		s.pos += 2
	case c == '\\' && strings.HasPrefix(s.text[s.pos+1:], "\r\n"):
		s.line++
		s.pos += 3
	case c == '#':
		end := strings.IndexByte(s.text[s.pos:], '\n')
		if end < 0 {
			end = len(s.text) - s.pos
		}
		s.pos += end
	case isAlnum(rune(c)) || c == '_' || c >= 0x80:
		s.word()
	case c == '\'' || c == '"':
		s.str("")
	default:
		s.operator(c)
	}
}

func (s *pyScanner) operator(c byte) {
	for _, op := range []string{"**", "+=", "-=", "|=", "==", "!=", "<=", ">=", ":=", "->"} {
		if strings.HasPrefix(s.text[s.pos:], op) {
			s.emit(pyOther, op, s.line)
			s.pos += 2
			return
		}
	}
	switch c {
	case '(', '[', '{':
		s.emit(pyOther, string(c), s.line)
		s.depth++
	case ')', ']', '}':
		s.depth = max(0, s.depth-1)
		s.emit(pyOther, string(c), s.line)
	default:
		s.emit(pyOther, string(c), s.line)
	}
	s.pos++
}

// word reads a name, a number, or the prefix of a string.
func (s *pyScanner) word() {
	start := s.pos
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if !isAlnum(rune(c)) && c != '_' && c < 0x80 {
			break
		}
		s.pos++
	}
	word := s.text[start:s.pos]
	if s.pos < len(s.text) && (s.text[s.pos] == '\'' || s.text[s.pos] == '"') && len(word) <= 2 && strings.Trim(strings.ToLower(word), "rbuf") == "" {
		s.str(strings.ToLower(word))
		return
	}
	kind := pyName
	if word[0] >= '0' && word[0] <= '9' {
		kind = pyOther
	}
	s.emit(kind, word, s.line)
}

// str reads a string literal. One with f or b before it, or that is never closed, is
// no string a requirement may stand in.
func (s *pyScanner) str(prefix string) {
	line := s.line
	mark := s.text[s.pos : s.pos+1]
	if strings.HasPrefix(s.text[s.pos:], mark+mark+mark) {
		mark += mark + mark
	}
	s.pos += len(mark)
	var b strings.Builder
	kind := pyString
	if strings.ContainsAny(prefix, "fb") {
		kind = pyOther
	}
	for {
		switch {
		case s.pos >= len(s.text) || len(mark) == 1 && s.text[s.pos] == '\n':
			s.emit(pyOther, "unclosed", line)
			return
		case strings.HasPrefix(s.text[s.pos:], mark):
			s.pos += len(mark)
			if kind == pyOther {
				b.Reset()
				b.WriteString("computed")
			}
			s.emit(kind, b.String(), line)
			return
		case s.text[s.pos] == '\\' && s.pos+1 < len(s.text):
			if !s.escape(&b, strings.Contains(prefix, "r")) {
				kind = pyOther
			}
		default:
			if s.text[s.pos] == '\n' {
				s.line++
			}
			b.WriteByte(s.text[s.pos])
			s.pos++
		}
	}
}

// escape reads a backslash and what is behind it; false for the escapes by number
// and name, which no requirement needs.
func (s *pyScanner) escape(b *strings.Builder, raw bool) bool {
	c := s.text[s.pos+1]
	s.pos += 2
	if c == '\n' {
		s.line++
	}
	if raw {
		b.WriteByte('\\')
		b.WriteByte(c)
		return true
	}
	switch c {
	case '\n':
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case '\\', '\'', '"':
		b.WriteByte(c)
	default:
		return false
	}
	return true
}

// pyReader evaluates literals.
type pyReader struct {
	tokens []pyToken
	pos    int
	names  map[string]*node // names bound to literals

	closing map[int]int // where a square bracket closes
	copied  int         // by joining values, which names of names could do without end
}

// maxCopied bounds what is joined in one file.
const maxCopied = 4 << 20

// join notes that so much is copied; false when it is too much.
func (p *pyReader) join(size int) bool {
	p.copied += size
	return p.copied <= maxCopied
}

func (p *pyReader) is(i int, text string) bool {
	return i >= 0 && i < len(p.tokens) && p.tokens[i].kind == pyOther && p.tokens[i].text == text
}

// argumentEnd is the comma or closing bracket behind the argument at start.
func (p *pyReader) argumentEnd(start int) int {
	depth := p.tokens[start].depth
	for i := start; i < len(p.tokens); i++ {
		t := p.tokens[i]
		if t.kind == pyOther && (t.text == "," && t.depth == depth || t.depth < depth) {
			return i
		}
	}
	return len(p.tokens)
}

// expression evaluates a literal, a known name, or such joined by +.
func (p *pyReader) expression(depth int) (*node, bool) {
	value, ok := p.operand(depth)
	for ok && p.is(p.pos, "+") {
		p.pos++
		var right *node
		if right, ok = p.operand(depth); !ok {
			return nil, false
		}
		switch {
		case value.IsArray() && right.IsArray():
			value = &node{Kind: unstable.Array, Line: value.Line, Items: slices.Concat(value.Items, right.Items)}
			ok = p.join(len(value.Items))
		case value.IsString() && right.IsString():
			value = &node{Kind: unstable.String, Line: value.Line, Text: value.Text + right.Text}
			ok = p.join(len(value.Text))
		default:
			ok = false
		}
	}
	return value, ok
}

func (p *pyReader) operand(depth int) (*node, bool) {
	if p.pos >= len(p.tokens) || depth > maxDepth {
		return nil, false
	}
	t := p.tokens[p.pos]
	switch {
	case t.kind == pyString:
		n := &node{Kind: unstable.String, Line: t.line}
		var b strings.Builder
		for p.pos < len(p.tokens) && p.tokens[p.pos].kind == pyString {
			b.WriteString(p.tokens[p.pos].text)
			p.pos++
		}
		n.Text = b.String()
		return n, !p.is(p.pos, "%") && !p.is(p.pos, ".")
	case t.kind == pyName && t.text == "dict" && p.is(p.pos+1, "("):
		p.pos += 2
		return p.keywords(depth)
	case t.kind == pyName:
		value := p.names[t.text]
		p.pos++
		return value, value != nil
	case p.is(p.pos, "[") || p.is(p.pos, "("):
		return p.sequence(depth)
	case p.is(p.pos, "{"):
		return p.braces(depth)
	}
	return nil, false
}

// sequence reads a list, a tuple, or an expression in parentheses.
func (p *pyReader) sequence(depth int) (*node, bool) {
	open := p.tokens[p.pos]
	end := map[string]string{"[": "]", "(": ")"}[open.text]
	list := &node{Kind: unstable.Array, Line: open.line}
	commas := 0
	p.pos++
	for !p.is(p.pos, end) {
		starred := p.is(p.pos, "*")
		if starred {
			p.pos++
		}
		item, ok := p.expression(depth + 1)
		switch {
		case !ok:
			return nil, false
		case starred && item.IsArray() && p.join(len(item.Items)):
			list.Items = append(list.Items, item.Items...)
		case starred:
			return nil, false
		default:
			list.Items = append(list.Items, item)
		}
		if len(list.Items) > maxRequirements {
			return nil, false
		}
		if p.is(p.pos, ",") {
			commas++
			p.pos++
		} else if !p.is(p.pos, end) {
			return nil, false
		}
	}
	p.pos++
	if open.text == "(" && commas == 0 && len(list.Items) == 1 {
		return list.Items[0], true
	}
	return list, true
}

// braces reads a dict with string keys, or a set.
func (p *pyReader) braces(depth int) (*node, bool) {
	open := p.tokens[p.pos]
	dict := tomltree.NewTable(open.line)
	set := &node{Kind: unstable.Array, Line: open.line}
	p.pos++
	for !p.is(p.pos, "}") {
		key, ok := p.expression(depth + 1)
		if !ok {
			return nil, false
		}
		if p.is(p.pos, ":") {
			p.pos++
			value, ok := p.expression(depth + 1)
			if !ok || !key.IsString() {
				return nil, false
			}
			dict.Put(key.Text, value)
		} else {
			set.Items = append(set.Items, key)
		}
		if p.is(p.pos, ",") {
			p.pos++
		} else if !p.is(p.pos, "}") {
			return nil, false
		}
	}
	p.pos++
	if len(set.Items) > 0 {
		return set, len(dict.Keys) == 0
	}
	return dict, true
}

// keywords reads the arguments of dict(name=value, …).
func (p *pyReader) keywords(depth int) (*node, bool) {
	dict := tomltree.NewTable(p.tokens[p.pos-1].line)
	for !p.is(p.pos, ")") {
		if p.pos >= len(p.tokens) || p.tokens[p.pos].kind != pyName || !p.is(p.pos+1, "=") {
			return nil, false
		}
		name := p.tokens[p.pos].text
		p.pos += 2
		value, ok := p.expression(depth + 1)
		if !ok {
			return nil, false
		}
		dict.Put(name, value)
		if p.is(p.pos, ",") {
			p.pos++
		} else if !p.is(p.pos, ")") {
			return nil, false
		}
	}
	p.pos++
	return dict, true
}
