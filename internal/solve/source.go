package solve

import (
	"context"
	"errors"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// ErrNotFound is what Source.Candidates wraps when nobody has the package.
// ErrFatal: an error of Source that wraps it ends Solve at once instead of
// ruling out one version. ErrTooHard: Solve gave up after a fixed amount of work.
var (
	ErrNotFound = errors.New("no index has this package")
	ErrFatal    = errors.New("cannot go on resolving")
	ErrTooHard  = errors.New("the requirements are too entangled to resolve")
)

// Candidate is one version of a package that may be chosen.
type Candidate struct {
	Version        pep440.Version
	RequiresPython string // as written; one that does not parse is ignored, as pip does
	Yanked         bool   // every file of the version is yanked (PEP 592)
	NoSource       bool   // there is no source distribution, and nobody allows the wheel; chosen only when nothing else matches
}

// Source gives the solver what it may choose from. Calls may come from several
// goroutines; each (name) and (name, version) is asked for at most once in one
// Solve, and answers must not change meanwhile. Names are in PEP 503 form.
//
// A package some requirement gives by URL ("name @ URL") must be answered with
// exactly that one candidate: the solver looks only at the name of such a
// requirement.
type Source interface {
	// Candidates of a package, any order. ErrNotFound when nobody has it; every
	// other error ends Solve.
	Candidates(ctx context.Context, name string) ([]Candidate, error)
	// Requires returns the Requires-Dist of one version, every extra included.
	// An error rules the version out, with the error as the reason, unless it is
	// a context error or wraps ErrFatal.
	Requires(ctx context.Context, name string, v pep440.Version) ([]pep508.Requirement, error)
}

// Eager may be implemented by a Source too. Cheap tells whether Requires could
// be answered without building anything; only such versions are fetched ahead.
// Without Eager every version counts as cheap.
type Eager interface {
	Cheap(name string, v pep440.Version) bool
}

// ExtraLister may be implemented by a Source too: the Provides-Extra of a
// version, in PEP 685 form. Without it an extra exists when a marker of the
// version's requirements names it.
type ExtraLister interface {
	Extras(ctx context.Context, name string, v pep440.Version) ([]string, error)
}
