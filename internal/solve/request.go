package solve

import (
	"strconv"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// Origin says who asked: a requirement file line, or a package version.
type Origin struct {
	Package string // "" for the user's own requirements
	Version string
	File    string
	Line    int
	Text    string // the requirement as written
}

// Root is one requirement of the user. Constraint: restricts, does not ask.
// A root whose marker does not hold for Request.Env is left out; markers of
// roots see no extra. Extras of a constraint are ignored, as pip does.
type Root struct {
	Req        pep508.Requirement
	Constraint bool
	Origin     Origin

	by *Root // the override that Req is, nil when it counts as written
}

// Request is one problem.
type Request struct {
	Roots  []Root
	Env    pep508.Environment
	Pre    bool                      // --pre
	Prefer map[string]pep440.Version // by PEP 503 name; tried first when it fits (an earlier lock, a shared build tool), yanked or not
	// Overrides count in place of every other requirement and constraint on their names,
	// whoever makes it: see override.go.
	Overrides []Root
	// KeepUnknown keeps a version that the user pins (== or ===) although the Source cannot
	// tell what it requires: Chosen.Unknown says why. Otherwise that rules it out.
	KeepUnknown bool

	near map[string]pep440.Version // of these packages, versions close to this one go first
}

// Edge is one requirement that holds in the solution.
type Edge struct {
	From Origin             // who asks
	To   string             // PEP 503 name
	Req  pep508.Requirement // as it counts
	// Overridden: Req is an override; what the requirer itself says is in From.Text.
	Overridden bool
}

// Chosen is one package of the solution.
type Chosen struct {
	Name    string // PEP 503
	Version pep440.Version
	Extras  []string // extras asked for by anybody, sorted
	Unknown error    // why its requirements could not be had (Request.KeepUnknown); it counts as requiring nothing
}

// Solution is the consistent set, sorted by name, and why each is in it.
type Solution struct {
	Packages []Chosen
	Edges    []Edge // of roots first, then by package
	Warnings []string
}

// String is "requirements.txt:3", "django 5.0", or what was asked when there is no file.
func (o Origin) String() string {
	switch {
	case o.Package != "" && o.Version != "":
		return o.Package + " " + o.Version
	case o.Package != "":
		return o.Package
	case o.File != "" && o.Line > 0:
		return o.File + ":" + strconv.Itoa(o.Line)
	case o.File != "":
		return o.File
	}
	return strconv.Quote(o.Text)
}
