package solve

import (
	"strings"

	"reqpm/internal/pep440"
)

// anchorOf is the version a specifier set is about: the first one it names.
func anchorOf(s pep440.Specifiers) (pep440.Version, bool) {
	for _, c := range s.Clauses() {
		if v, err := pep440.Parse(strings.TrimSuffix(c.Version, ".*")); err == nil {
			return v, true
		}
	}
	return pep440.Version{}, false
}

// relaxed is s changed as little as possible so that it admits v: clauses that do are kept, bounds
// move to v, pins and prefixes become v's, exclusions of v go.
func relaxed(s pep440.Specifiers, v pep440.Version) pep440.Specifiers {
	var out pep440.Specifiers
	for _, c := range s.Clauses() {
		one, err := pep440.ParseSpecifiers(c.String())
		if err == nil && one.Contains(v) {
			out = out.And(one)
			continue
		}
		if moved, ok := moved(c, v); ok {
			out = out.And(moved)
		}
	}
	if !out.Contains(v) {
		return exactly(v)
	}
	return out
}

// moved is the clause with v in place of its version; false when nothing should be left of it.
func moved(c pep440.Clause, v pep440.Version) (pep440.Specifiers, bool) {
	text := ""
	switch c.Op {
	case "!=":
		return pep440.Specifiers{}, false
	case "<", "<=":
		text = "<=" + public(v)
	case ">", ">=":
		text = ">=" + public(v)
	case "~=":
		text = "~=" + prefix(v, strings.Count(c.Version, ".")+1)
	case "==":
		if base, ok := strings.CutSuffix(c.Version, ".*"); ok {
			text = "==" + prefix(v, strings.Count(base, ".")+1) + ".*"
		}
	}
	if s, err := pep440.ParseSpecifiers(text); err == nil && text != "" && s.Contains(v) {
		return s, true
	}
	return exactly(v), true
}

// exactly is "==v".
func exactly(v pep440.Version) pep440.Specifiers {
	s, err := pep440.ParseSpecifiers("==" + v.String())
	if err != nil { // a version's own normal form parses
		return pep440.Specifiers{}
	}
	return s
}

// public is v without its local part, which ordered comparisons refuse.
func public(v pep440.Version) string {
	text, _, _ := strings.Cut(v.String(), "+")
	return text
}

// prefix is the first n numbers of v's release, epoch included.
func prefix(v pep440.Version, n int) string {
	p := v.Parts()
	for len(p.Release) < n {
		p.Release = append(p.Release, "0")
	}
	text := strings.Join(p.Release[:n], ".")
	if p.Epoch != "0" {
		text = p.Epoch + "!" + text
	}
	return text
}
