// Package distro answers one question: which Python distributions (PEP 503 names and versions)
// do the repositories of a target provide for its Python stack, and by which RPMs?
//
// Repositories asks them with dnf and remembers the answer for as long as they do not change;
// Table is what ships with ReqPM for releases that cannot be asked; FirstOf tries several in
// turn.
//
// Facts: rpm's pythondistdeps.py writes "python3.12dist(name) = version" into every package
// that installs a distribution; dnf-repoquery is in dnf(8).
package distro

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/rpmname"
	"reqpm/internal/target"
)

// Provider knows what the repositories of targets provide. All methods are safe for concurrent
// use; the answer for one target does not change between two calls unless its repositories do.
type Provider interface {
	// Provides lists the distributions of t's Python stack. A release that has none is an
	// empty Set and no error. ErrUnknown is wrapped when nothing is known of t; errors of the
	// context come as they are; others are a *QueryError, builder.ErrMissingTool (there is no
	// dnf), or of the file system.
	Provides(ctx context.Context, t target.Target) (*Set, error)
}

// ErrUnknown: nothing can be said about what a target's repositories provide, because they do
// not answer (or may not be asked) and nothing is remembered of them.
var ErrUnknown = errors.New("it is not known what the distribution provides")

// UnknownError is an ErrUnknown, and why.
type UnknownError struct {
	Target string
	Why    error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%v of %s: %v", ErrUnknown, e.Target, e.Why)
}

// Unwrap makes it an ErrUnknown, and what it came from.
func (e *UnknownError) Unwrap() []error { return []error{ErrUnknown, e.Why} }

// QueryError: the repositories are there, and dnf could not read them.
type QueryError struct {
	Target string
	Tail   string // the last lines of what dnf said
	Err    error
}

func (e *QueryError) Error() string {
	return fmt.Sprintf("ask the repositories of %s what they provide: %v: %s", e.Target, e.Err, e.Tail)
}

func (e *QueryError) Unwrap() error { return e.Err }

// FirstOf asks one Provider after the other until one knows. It is a Provider.
type FirstOf []Provider

// Provides implements Provider. The answer's Reason says why those before it did not know.
func (list FirstOf) Provides(ctx context.Context, t target.Target) (*Set, error) {
	var before []error
	for _, p := range list {
		s, err := p.Provides(ctx, t)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			before = append(before, err)
		case len(before) == 0:
			return s, nil
		default:
			second := *s
			second.Reason = before[0].Error()
			if unknown, ok := errors.AsType[*UnknownError](before[0]); ok {
				second.Reason = unknown.Why.Error()
			}
			return &second, nil
		}
	}
	if len(before) == 0 {
		return nil, &UnknownError{t.Name, errors.New("nobody is asked")}
	}
	return nil, before[0]
}

// Origin is where an answer comes from.
type Origin string

// An answer is from the repositories of now; from them as they were when last asked, because they
// do not answer; or from the table that ships with ReqPM.
const (
	FromRepositories Origin = "repositories"
	FromCache        Origin = "cache"
	FromTable        Origin = "table"
)

// Package is one distribution, or one extra of it, that an RPM provides.
type Package struct {
	Name    string         // PEP 503
	Extra   string         // "" for the distribution itself
	Version pep440.Version // trailing zeros as in the RPM's own version, where that is the same one
	Provide string         // the dependency name: python3.12dist(ruamel.yaml)
	Text    string         // the version as rpm has it there: 1~rc1
	RPM     RPM
}

// RPM is the package that provides a distribution. From the table only Name and Version are
// known, and Requires is empty.
type RPM struct {
	Name     string   `json:"name"`
	Epoch    string   `json:"epoch,omitempty"` // "" for 0
	Version  string   `json:"version"`
	Release  string   `json:"release,omitempty"`
	Arch     string   `json:"arch,omitempty"`
	Repo     string   `json:"repo"`
	License  string   `json:"license,omitempty"`
	Provides []string `json:"provides,omitempty"`
	Requires []string `json:"requires,omitempty"`
}

// NEVRA is name-[epoch:]version-release.arch, as far as they are known.
func (r RPM) NEVRA() string {
	s := r.Name + "-" + rpmname.EVR(r.Epoch, r.Version, r.Release)
	if r.Arch != "" {
		s += "." + r.Arch
	}
	return s
}

// Set is what a target provides. It does not change once made.
type Set struct {
	Origin   Origin
	Revision string // digest of the state of the repositories; of a table, its date
	Packages []Package
	// Reason is why this is not what the repositories provide now; "" for FromRepositories.
	Reason string

	t      target.Target
	byRPM  map[string][]string // names of distributions by RPM
	byName map[string]int      // of the distribution itself
}

// NewSet reads the Provides of rpms, for t's stack and architecture only. Of several RPMs that
// provide one distribution the highest version counts, then the first RPM by name.
func NewSet(t target.Target, origin Origin, revision string, rpms []RPM) *Set {
	s := &Set{Origin: origin, Revision: revision, t: t, byRPM: map[string][]string{}, byName: map[string]int{}}
	best := map[[2]string]Package{}
	for _, r := range rpms {
		if r.Arch != "" && r.Arch != "noarch" && r.Arch != t.Arch {
			continue // the 32-bit twin of a library, a source package
		}
		for _, p := range provided(t, r) {
			key := [2]string{p.Name, p.Extra}
			if old, seen := best[key]; !seen || better(t, p, old) {
				best[key] = p
			}
			if p.Extra == "" && !slices.Contains(s.byRPM[r.Name], p.Name) {
				s.byRPM[r.Name] = append(s.byRPM[r.Name], p.Name)
			}
		}
	}
	for _, p := range best {
		s.Packages = append(s.Packages, p)
	}
	slices.SortFunc(s.Packages, func(a, b Package) int {
		return strings.Compare(a.Name+"\x00"+a.Extra, b.Name+"\x00"+b.Extra)
	})
	for i, p := range s.Packages {
		if p.Extra == "" {
			s.byName[p.Name] = i
		}
	}
	return s
}

// better tells which of two RPMs with one distribution stands for it. EL9's generator provides
// a name with dots in both spellings: the PEP 503 one is taken.
func better(t target.Target, p, old Package) bool {
	if c := p.Version.Compare(old.Version); c != 0 {
		return c > 0
	}
	if p.RPM.Name != old.RPM.Name {
		return p.RPM.Name < old.RPM.Name
	}
	return p.Provide != old.Provide && p.Provide == dist(t, p)
}

func dist(t target.Target, p Package) string {
	if p.Extra != "" {
		return rpmname.Dist(t, p.Name, p.Extra)
	}
	return rpmname.Dist(t, p.Name)
}

// provided are the distributions that r says it has. What cannot be read is left out: it could
// not be required either.
func provided(t target.Target, r RPM) []Package {
	var list []Package
	for _, line := range r.Provides {
		name, version, ok := strings.Cut(line, " = ")
		project, extra, dist := rpmname.ReadDist(t, name)
		if !ok || !dist || !rpmname.ValidDependency(line) {
			continue
		}
		v, err := rpmname.ReadVersion(version)
		if err != nil {
			continue
		}
		// The RPM's own version knows the zeros that Provides have lost.
		if full, err := rpmname.ReadVersion(r.Version); err == nil && full.Compare(v) == 0 && len(full.String()) > len(v.String()) {
			v = full
		}
		list = append(list, Package{Name: project, Extra: extra, Version: v, Provide: name, Text: version, RPM: r})
	}
	return list
}

// Distribution is the package that provides the distribution with this PEP 503 name.
func (s *Set) Distribution(name string) (Package, bool) {
	i, ok := s.byName[name]
	if !ok {
		return Package{}, false
	}
	return s.Packages[i], true
}

// Extra is the package that provides an extra of a distribution, in the version of the
// distribution itself.
func (s *Set) Extra(name, extra string) (Package, bool) {
	base, ok := s.Distribution(name)
	if !ok {
		return Package{}, false
	}
	for _, p := range s.Packages {
		if p.Name == name && p.Extra == extra && p.Version.Compare(base.Version) == 0 {
			return p, true
		}
	}
	return Package{}, false
}

// ByRPM are the distributions that the RPM of this name provides, sorted.
func (s *Set) ByRPM(rpm string) []Package {
	var list []Package
	for _, p := range s.Packages {
		if p.RPM.Name == rpm && p.Extra == "" {
			list = append(list, p)
		}
	}
	return list
}

// Requires is what a distribution needs of other distributions, as its RPM says it: by its
// python3.Xdist() requirements where the release's generator writes them, else (EL 7 and 8) by
// the names of RPMs that provide distributions. What the extras need comes with a marker. An
// expression that no specifiers say asks for the name only; dnf still holds to it.
func (s *Set) Requires(name string) []pep508.Requirement {
	var reqs []pep508.Requirement
	for _, p := range s.Packages {
		if p.Name != name {
			continue
		}
		for _, r := range s.requires(p) {
			if p.Extra != "" {
				marked, err := pep508.Parse(r.String() + fmt.Sprintf("; extra == %q", p.Extra))
				if err != nil {
					continue
				}
				r = marked
			}
			reqs = append(reqs, r)
		}
	}
	return reqs
}

func (s *Set) requires(p Package) []pep508.Requirement {
	var reqs []pep508.Requirement
	named := map[string]bool{p.Name: true} // an extra needs its own package
	for _, expr := range p.RPM.Requires {
		if r, _, ok := rpmname.ReadRequires(s.t, expr); ok && r.Key() != p.Name {
			named[r.Key()] = true
			reqs = append(reqs, r)
		}
	}
	for _, expr := range p.RPM.Requires {
		rpm, _, _ := strings.Cut(expr, " ")
		for _, other := range s.byRPM[rpm] {
			if named[other] {
				continue
			}
			named[other] = true
			if r, err := pep508.Parse(other); err == nil {
				reqs = append(reqs, r)
			}
		}
	}
	return reqs
}
