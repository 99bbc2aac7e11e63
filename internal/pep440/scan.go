package pep440

import (
	"strings"
	"unicode"
)

// scan splits a trimmed lower case version. It does what the reference's regular
// expression does with its possessive quantifiers: left to right, never back. (Go's
// own (?i) would also take U+017F for an s, and its \s differs from Python's.)
func scan(s string) (Parts, bool) {
	c := cursor{s: s}
	p := Parts{Epoch: "0"}
	c.take("v")
	first, ok := c.digits()
	if !ok {
		return Parts{}, false
	}
	if c.take("!") {
		p.Epoch = first
		if first, ok = c.digits(); !ok {
			return Parts{}, false
		}
	}
	p.Release = make([]string, 1, 1+strings.Count(c.s, "."))
	p.Release[0] = first
	for len(c.s) > 1 && c.s[0] == '.' && isDigit(c.s[1]) {
		c.s = c.s[1:]
		n, _ := c.digits()
		p.Release = append(p.Release, n)
	}
	if c.s == "" {
		return p, true
	}
	p.PreKind, p.Pre = c.pre()
	p.HasPost, p.Post = c.post()
	p.HasDev, p.Dev = c.labelled(devNames)
	if c.take("+") {
		if p.Local, ok = c.local(); !ok {
			return Parts{}, false
		}
	}
	return p, c.s == ""
}

// The names of a segment, longest of a common prefix first.
var (
	preNames  = []string{"alpha", "a", "beta", "b", "preview", "pre", "c", "rc"}
	postNames = []string{"post", "rev", "r"}
	devNames  = []string{"dev"}
)

// cursor is the rest of a version still to be read.
type cursor struct{ s string }

func (c *cursor) take(prefix string) bool {
	rest, ok := strings.CutPrefix(c.s, prefix)
	c.s = rest
	return ok
}

// digits reads a number and returns it without leading zeros.
func (c *cursor) digits() (string, bool) {
	n := 0
	for n < len(c.s) && isDigit(c.s[n]) {
		n++
	}
	if n == 0 {
		return "", false
	}
	d := trimZeros(c.s[:n])
	c.s = c.s[n:]
	return d, true
}

// label reads "[-_.]?name[-_.]?[0-9]*"; a missing number is 0.
func (c *cursor) label(names []string) (name, number string, ok bool) {
	rest := cursor{c.s}
	rest.separator()
	for _, name := range names {
		if !rest.take(name) {
			continue
		}
		rest.separator()
		number, ok := rest.digits()
		if !ok {
			number = "0"
		}
		c.s = rest.s
		return name, number, true
	}
	return "", "", false
}

func (c *cursor) labelled(names []string) (bool, string) {
	_, number, ok := c.label(names)
	return ok, number
}

func (c *cursor) pre() (kind, number string) {
	name, number, ok := c.label(preNames)
	switch {
	case !ok:
		return "", ""
	case name[0] == 'a' || name[0] == 'b':
		return name[:1], number
	}
	return "rc", number
}

// post reads a post-release, also in the form "-1".
func (c *cursor) post() (bool, string) {
	if len(c.s) > 1 && c.s[0] == '-' && isDigit(c.s[1]) {
		c.s = c.s[1:]
		n, _ := c.digits()
		return true, n
	}
	return c.labelled(postNames)
}

// local reads "[a-z0-9]+([-_.][a-z0-9]+)*" and returns it normalised.
func (c *cursor) local() (string, bool) {
	var b strings.Builder
	for {
		n := 0
		number := true
		for n < len(c.s) && isAlnum(c.s[n]) {
			number = number && isDigit(c.s[n])
			n++
		}
		if n == 0 {
			return "", false
		}
		if number {
			b.WriteString(trimZeros(c.s[:n]))
		} else {
			b.WriteString(c.s[:n])
		}
		c.s = c.s[n:]
		if !c.separator() {
			return b.String(), true
		}
		b.WriteByte('.')
	}
}

func (c *cursor) separator() bool {
	if c.s != "" && (c.s[0] == '.' || c.s[0] == '-' || c.s[0] == '_') {
		c.s = c.s[1:]
		return true
	}
	return false
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
func isAlnum(b byte) bool { return isDigit(b) || b >= 'a' && b <= 'z' }

func trimZeros(digits string) string {
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	return digits
}

// isSpace is Python's idea of white space (str.isspace, \s), which has four control
// characters more than Go's.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func trimSpace(s string) string { return strings.TrimFunc(s, isSpace) }

// lowerASCII leaves everything but A-Z alone: only ASCII letters may fold in a version.
func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// clip shortens hostile text for an error message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
