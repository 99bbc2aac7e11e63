package pep508

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parser walks over one text. Its small steps match what the reference's tokens match;
// a step that finds nothing leaves the position alone.
type parser struct {
	text  string
	pos   int
	depth int // open parentheses of a marker
}

func (p *parser) atEnd() bool { return p.pos == len(p.text) }

// space skips blanks and tabs, the only white space the grammar knows.
func (p *parser) space() { p.until(func(r rune) bool { return !isBlank(r) }) }

func (p *parser) take(token string) bool {
	if !strings.HasPrefix(p.text[p.pos:], token) {
		return false
	}
	p.pos += len(token)
	return true
}

func (p *parser) firstOf(tokens ...string) string {
	for _, t := range tokens {
		if p.take(t) {
			return t
		}
	}
	return ""
}

// until returns the text up to the first rune that stop accepts.
func (p *parser) until(stop func(rune) bool) string {
	rest := p.text[p.pos:]
	if i := strings.IndexFunc(rest, stop); i >= 0 {
		rest = rest[:i]
	}
	p.pos += len(rest)
	return rest
}

// word takes w where it stands as a word of its own.
func (p *parser) word(w string) bool {
	end := p.pos + len(w)
	if !strings.HasPrefix(p.text[p.pos:], w) || !p.boundary(p.pos) || !p.boundary(end) {
		return false
	}
	p.pos = end
	return true
}

// identifier reads a name: letters, digits and ._- between, ending at the end of a
// word, so that a trailing . or - is left over.
func (p *parser) identifier() string {
	rest := p.text[p.pos:]
	end := strings.IndexFunc(rest, func(r rune) bool { return r >= utf8.RuneSelf || !isNameByte(byte(r)) })
	if end < 0 {
		end = len(rest)
	}
	if end == 0 || strings.IndexByte("._-", rest[0]) >= 0 || !p.boundary(p.pos) {
		return ""
	}
	for end > 0 && !p.boundary(p.pos+end) {
		end--
	}
	p.pos += end
	return rest[:end]
}

// boundary is the regular expression \b at offset i.
func (p *parser) boundary(i int) bool {
	before, _ := utf8.DecodeLastRuneInString(p.text[:i])
	after, _ := utf8.DecodeRuneInString(p.text[i:])
	return (i > 0 && isWord(before)) != (i < len(p.text) && isWord(after))
}

// expected says what is missing here and what stands here instead.
func (p *parser) expected(what string) error {
	if p.atEnd() {
		return fmt.Errorf("expected %s, but the text ends", what)
	}
	return fmt.Errorf("expected %s, found %q", what, clip(p.text[p.pos:]))
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// isWord and isSpace are \w and \s of Python's regular expressions.
func isWord(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r))
}
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// clip shortens hostile text for an error message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
