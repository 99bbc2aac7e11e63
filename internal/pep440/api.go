package pep440

import "errors"

// Version is one parsed PEP 440 version. The zero value is not a version.
type Version struct{ raw string }

// Parse reads s (surrounding white space and a leading v are allowed, as PEP 440 says).
func Parse(s string) (Version, error) { return Version{}, errors.New("pep440: not written yet") }

// Compare returns -1, 0 or +1 in PEP 440 order; local versions take part.
func (v Version) Compare(o Version) int { return 0 }

// String is the normal form: "1.0rc1", "1!2.0.post3+local.1".
func (v Version) String() string { return v.raw }

// IsZero tells whether v is the zero value.
func (v Version) IsZero() bool { return v.raw == "" }

// IsPrerelease is true for a, b, rc and dev versions.
func (v Version) IsPrerelease() bool { return false }

// Parts of the version, for writers of other version systems (rpm).
// Numbers are decimal digit strings without leading zeros, since versions wider
// than 64 bits occur.
type Parts struct {
	Epoch   string   // "0" when absent
	Release []string // at least one
	PreKind string   // "", "a", "b", "rc"
	Pre     string
	HasPost bool
	Post    string
	HasDev  bool
	Dev     string
	Local   string // normalised, "" when absent
}

// Parts splits v.
func (v Version) Parts() Parts { return Parts{} }

// Clause is one comparison of a specifier set, e.g. {"==", "1.4.*"}; Version is
// the text behind the operator, trimmed.
type Clause struct{ Op, Version string }

// Specifiers is a comma-separated specifier set; the zero value matches everything.
type Specifiers struct{ clauses []Clause }

// ParseSpecifiers reads e.g. ">=1.2, !=1.5.*".
func ParseSpecifiers(s string) (Specifiers, error) {
	return Specifiers{}, errors.New("pep440: not written yet")
}

// Contains tells whether v satisfies every clause. Pre-releases are judged like
// any other version (the reference's prereleases=True): leaving them out is the
// resolver's policy, not the matcher's.
func (s Specifiers) Contains(v Version) bool { return false }

// ContainsFinal is the reference's prereleases=False: no pre-release ever matches.
func (s Specifiers) ContainsFinal(v Version) bool { return !v.IsPrerelease() && s.Contains(v) }

// NamesPrerelease tells whether a clause (other than !=) names a pre-release, which makes
// pip accept pre-releases for that requirement.
func (s Specifiers) NamesPrerelease() bool { return false }

// And returns the set that holds the clauses of both.
func (s Specifiers) And(o Specifiers) Specifiers { return Specifiers{} }

// Clauses returns the clauses in the order written.
func (s Specifiers) Clauses() []Clause { return s.clauses }

// IsEmpty is true when every version matches.
func (s Specifiers) IsEmpty() bool { return len(s.clauses) == 0 }

// String is the reference's form: clauses sorted, joined by ",".
func (s Specifiers) String() string { return "" }
