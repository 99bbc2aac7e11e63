package pep440

import (
	"fmt"
	"strings"
)

// parseClause reads one trimmed clause.
func parseClause(text string) (clause, error) {
	for _, op := range operators {
		rest, ok := strings.CutPrefix(text, op)
		if !ok {
			continue
		}
		c := clause{Clause: Clause{op, trimSpace(rest)}}
		if why := c.compile(); why != "" {
			return clause{}, fmt.Errorf("%w: %q: %s", ErrSpecifier, clip(text), why)
		}
		return c, nil
	}
	return clause{}, fmt.Errorf("%w: %q does not begin with one of ~= == != <= >= < > ===", ErrSpecifier, clip(text))
}

// compile fills in how c matches, or says why c is invalid.
func (c *clause) compile() (why string) {
	if c.Op == "===" {
		return c.compileLiteral()
	}
	text, wildcard := strings.CutSuffix(c.Version, ".*")
	if len(text) > maxVersion {
		return "the version is too long"
	}
	p, ok := scan(lowerASCII(text))
	switch {
	case !ok:
		return fmt.Sprintf("%q is not a version", clip(text))
	case c.Op == "~=" && len(p.Release) < 2:
		return "~= needs a release of at least two numbers"
	case wildcard && c.Op != "==" && c.Op != "!=":
		return ".* can only be used with == and !="
	case wildcard && (p.isPrerelease() || p.HasPost || p.Local != ""):
		return ".* cannot follow a pre-release, post-release, dev or local version"
	case p.Local != "" && c.Op != "==" && c.Op != "!=":
		return "a local version can only be used with == and !="
	}
	c.pre = p.isPrerelease() && c.Op != "!="
	if wildcard {
		c.low, c.high = keyOf(base(p, p.Release)), keyOf(base(p, increment(p.Release)))
		c.outside = c.Op == "!="
		c.same = c.String()
		return ""
	}
	c.bound(p)
	return ""
}

// compileLiteral is for ===, the escape hatch that compares text.
func (c *clause) compileLiteral() (why string) {
	if strings.ContainsFunc(c.Version, func(r rune) bool { return isSpace(r) || r == ';' || r == ')' }) {
		return fmt.Sprintf("white space, ; and ) cannot be part of a version, but %q has one", clip(c.Version))
	}
	c.literal, c.same = pythonLower(c.Version), c.String()
	if v, err := Parse(c.Version); err == nil {
		c.pre = v.IsPrerelease()
	}
	return ""
}

// bound turns an operator into an interval of keys (the reference's _ranges.py).
func (c *clause) bound(p Parts) {
	key := keyOf(p)
	c.same = c.Op + key
	switch c.Op {
	case ">=":
		c.low = key
	case "<=": // local versions of V are V
		c.high = key + afterAll
	case ">":
		// A post-release or local version of V is not greater than V; only after a
		// post-release or dev version do later ones of the same kind count.
		if p.HasPost || p.HasDev {
			c.low = key + afterAll
		} else {
			c.low = string(appendThroughPre(nil, &p)) + afterAll
		}
	case "<": // nor is a pre-release of V less than V, unless V is one
		if !p.isPrerelease() {
			p.HasDev, p.Dev = true, "0"
		}
		c.high = keyOf(p)
	case "==", "!=":
		c.low, c.outside = key, c.Op == "!="
		if p.Local == "" {
			c.high = key + afterAll
		} else {
			c.high = key + justAfter
		}
	case "~=": // ~=1.4.5 is >=1.4.5, ==1.4.*; the zero of ~=1.0 counts
		c.low = key
		c.high = keyOf(base(p, increment(p.Release[:len(p.Release)-1])))
		c.same = c.Op + string(appendNormal(nil, &p))
	}
}

// base is the first version of all that begin with release: its .dev0.
func base(p Parts, release []string) Parts {
	return Parts{Epoch: p.Epoch, Release: release, HasDev: true, Dev: "0"}
}

func keyOf(p Parts) string {
	var buf [128]byte
	return string(appendKey(buf[:0], &p))
}

// increment adds one to the last number of a copy of release.
func increment(release []string) []string {
	next := append([]string(nil), release...)
	digits := []byte(next[len(next)-1])
	i := len(digits) - 1
	for ; i >= 0 && digits[i] == '9'; i-- {
		digits[i] = '0'
	}
	if i >= 0 {
		digits[i]++
	} else {
		digits = append([]byte{'1'}, digits...)
	}
	next[len(next)-1] = string(digits)
	return next
}

// pythonLower is str.lower for what can stand in a version: Go maps U+0130 to a plain i.
func pythonLower(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return strings.ToLower(strings.ReplaceAll(s, "\u0130", "i\u0307"))
		}
	}
	return lowerASCII(s)
}
