package pep440

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxSpecifiers bounds the length of a specifier set in bytes.
const maxSpecifiers = 8 << 10

// ErrSpecifier is wrapped by every error of ParseSpecifiers and ParseSpecifier.
var ErrSpecifier = errors.New("not a PEP 440 version specifier")

// Clause is one comparison of a specifier set, e.g. {"==", "1.4.*"}; Version is
// the text behind the operator, trimmed.
type Clause struct{ Op, Version string }

// String is the clause as it is written in a set: "==1.4.*".
func (c Clause) String() string { return c.Op + c.Version }

// Specifiers is a comma-separated specifier set; the zero value matches everything.
type Specifiers struct{ clauses []clause }

// clause is a Clause made ready for matching: every operator but === is "the key
// lies in [low, high)", or, for !=, that it does not.
type clause struct {
	Clause
	low, high string // high "" is infinite
	outside   bool
	literal   string // ===: the lower case text to equal
	same      string // equal for clauses that mean the same (==1.0 and ==1.0.0)
	pre       bool   // names a pre-release, in a way that asks for pre-releases
}

// operators, the longer of a common prefix first.
var operators = []string{"===", "~=", "==", "!=", "<=", ">=", "<", ">"}

// ParseSpecifiers reads e.g. ">=1.2, !=1.5.*". Empty clauses are skipped, as the
// reference does. Errors wrap ErrSpecifier and name the clause.
func ParseSpecifiers(s string) (Specifiers, error) {
	if len(s) > maxSpecifiers {
		return Specifiers{}, fmt.Errorf("%w: %q is longer than %d bytes", ErrSpecifier, clip(s), maxSpecifiers)
	}
	var set Specifiers
	for text := range strings.SplitSeq(s, ",") {
		if text = trimSpace(text); text == "" {
			continue
		}
		c, err := parseClause(text)
		if err != nil {
			return Specifiers{}, err
		}
		set.clauses = append(set.clauses, c)
	}
	return set, nil
}

// ParseSpecifier reads exactly one clause; a comma is part of its text (and
// therefore an error behind any operator but ===). Markers need this.
func ParseSpecifier(s string) (Specifiers, error) {
	if len(s) > maxSpecifiers {
		return Specifiers{}, fmt.Errorf("%w: %q is longer than %d bytes", ErrSpecifier, clip(s), maxSpecifiers)
	}
	c, err := parseClause(trimSpace(s))
	if err != nil {
		return Specifiers{}, err
	}
	return Specifiers{[]clause{c}}, nil
}

// Contains tells whether v satisfies every clause. Pre-releases are judged like
// any other version (the reference's prereleases=True): leaving them out is the
// resolver's policy, not the matcher's.
func (s Specifiers) Contains(v Version) bool {
	if v.p == nil {
		return len(s.clauses) == 0
	}
	for i := range s.clauses {
		if c := &s.clauses[i]; !c.contains(v.p.key, v.p.raw) {
			return false
		}
	}
	return true
}

// ContainsFinal is the reference's prereleases=False: no pre-release ever matches.
func (s Specifiers) ContainsFinal(v Version) bool { return !v.IsPrerelease() && s.Contains(v) }

// ContainsText is Contains for text that need not be a version: then only === can
// match it.
func (s Specifiers) ContainsText(text string) bool {
	if v, err := Parse(text); err == nil {
		return s.Contains(v)
	}
	for i := range s.clauses {
		if c := &s.clauses[i]; c.Op != "===" || c.literal != pythonLower(text) {
			return false
		}
	}
	return true
}

func (c *clause) contains(key, raw string) bool {
	if c.Op == "===" {
		return c.literal == pythonLower(raw)
	}
	inside := key >= c.low && (c.high == "" || key < c.high)
	return inside != c.outside
}

// NamesPrerelease tells whether a clause (other than !=) names a pre-release, which makes
// pip accept pre-releases for that requirement.
func (s Specifiers) NamesPrerelease() bool {
	return slices.ContainsFunc(s.clauses, func(c clause) bool { return c.pre })
}

// And returns the set that holds the clauses of both.
func (s Specifiers) And(o Specifiers) Specifiers {
	return Specifiers{slices.Concat(s.clauses, o.clauses)}
}

// Clauses returns the clauses in the order written.
func (s Specifiers) Clauses() []Clause {
	if len(s.clauses) == 0 {
		return nil
	}
	list := make([]Clause, len(s.clauses))
	for i, c := range s.clauses {
		list[i] = c.Clause
	}
	return list
}

// IsEmpty is true when every version matches.
func (s Specifiers) IsEmpty() bool { return len(s.clauses) == 0 }

// String is the reference's form: clauses sorted, joined by ",", those that mean
// the same only once.
func (s Specifiers) String() string {
	if len(s.clauses) == 1 {
		return s.clauses[0].String()
	}
	var b strings.Builder
	for _, c := range s.distinct() {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(c.Op)
		b.WriteString(c.Version)
	}
	return b.String()
}

// Equal tells whether both sets consist of the same clauses: order, repetition and
// trailing zeros aside. Sets that match the same versions by different clauses
// are not equal.
func (s Specifiers) Equal(o Specifiers) bool {
	return slices.Equal(s.meanings(), o.meanings())
}

func (s Specifiers) meanings() []string {
	list := make([]string, len(s.clauses))
	for i, c := range s.clauses {
		list[i] = c.same
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (s Specifiers) distinct() []clause {
	sorted := slices.Clone(s.clauses)
	slices.SortStableFunc(sorted, func(a, b clause) int { return strings.Compare(a.String(), b.String()) })
	seen := make(map[string]bool, len(sorted))
	return slices.DeleteFunc(sorted, func(c clause) bool {
		double := seen[c.same]
		seen[c.same] = true
		return double
	})
}
