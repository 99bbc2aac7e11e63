package spec

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// CheckLicensePattern refuses a pattern that DeniedLicense could not use.
func CheckLicensePattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || strings.TrimSpace(pattern) == "" {
		return fmt.Errorf("%q is no pattern for SPDX ids, such as GPL-* or AGPL-3.0-only", pattern)
	}
	return nil
}

// DeniedLicense tells which licences of an SPDX expression keep it from being used where the patterns are not
// allowed: of alternatives (OR) all must be denied, of what holds together (AND) one is enough. Patterns
// are those of path.Match, upper or lower case; an exception (WITH) does not lift its
// licence. "" means that it may be used.
func DeniedLicense(expr string, patterns []string) string {
	p := denial{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expr)), patterns: patterns}
	return p.or()
}

// denial reads an expression from left to right; AND binds closer than OR. It reads what License gives,
// and whatever else without failing.
type denial struct {
	words    []string
	patterns []string
}

func (d *denial) next(word string) bool {
	if len(d.words) > 0 && strings.EqualFold(d.words[0], word) {
		d.words = d.words[1:]
		return true
	}
	return false
}

func (d *denial) or() string {
	denied := []string{d.and()}
	for d.next("OR") {
		denied = append(denied, d.and())
	}
	if slices.Contains(denied, "") {
		return ""
	}
	return strings.Join(denied, " OR ")
}

func (d *denial) and() string {
	var denied []string
	for again := true; again; again = d.next("AND") {
		if text := d.unit(); text != "" {
			denied = append(denied, text)
		}
	}
	return strings.Join(denied, " AND ")
}

func (d *denial) unit() string {
	if d.next("(") {
		text := d.or()
		d.next(")")
		return text
	}
	if len(d.words) == 0 {
		return ""
	}
	id := d.words[0]
	d.words = d.words[1:]
	if d.next("WITH") && len(d.words) > 0 {
		d.words = d.words[1:]
	}
	for _, pattern := range d.patterns {
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(id)); ok {
			return id
		}
	}
	return ""
}
