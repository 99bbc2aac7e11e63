package solve

import (
	"context"

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
type Root struct {
	Req        pep508.Requirement
	Constraint bool
	Origin     Origin
}

// Candidate is one version of a package that may be chosen.
type Candidate struct {
	Version        pep440.Version
	RequiresPython string
	Yanked         bool
}

// Source gives the solver what it may choose from. Calls may come from several
// goroutines (prefetching); answers must not change during one Solve.
type Source interface {
	// Candidates of a package, any order. ErrNotFound of package index when nobody has it.
	Candidates(ctx context.Context, name string) ([]Candidate, error)
	// Requires returns the Requires-Dist of one version, every extra included.
	Requires(ctx context.Context, name string, v pep440.Version) ([]pep508.Requirement, error)
}

// Request is one problem.
type Request struct {
	Roots  []Root
	Env    pep508.Environment
	Pre    bool                      // --pre
	Prefer map[string]pep440.Version // tried first when it fits (an earlier lock, a shared build tool)
}

// Edge is one requirement that holds in the solution.
type Edge struct {
	From Origin // who asks
	To   string // PEP 503 name
	Req  pep508.Requirement
}

// Chosen is one package of the solution.
type Chosen struct {
	Name    string // PEP 503
	Version pep440.Version
	Extras  []string // extras asked for by anybody, sorted
}

// Solution is the consistent set, sorted by name, and why each is in it.
type Solution struct {
	Packages []Chosen
	Edges    []Edge
}

// Conflict is the typed error of "no solution".
type Conflict struct {
	Message string   // a short derivation in plain words, several lines
	Origins []Origin // the requirements that cannot hold together, users' own first
}

func (c *Conflict) Error() string { return c.Message }
