package pipeline

import (
	"context"
	"errors"
	"maps"
	"slices"

	"reqpm/internal/distro"
	"reqpm/internal/lockfile"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/solve"
)

// offer is one version that the distribution has and that may be reused.
type offer struct {
	pkg      distro.Package
	requires []pep508.Requirement
	known    bool // requires is what its RPM says; false: the index is asked about the version
	extras   []string
	locked   string // the version as the lock to follow writes it; "" without one
}

// offers are what may be reused of the distribution in this run. A requirement or a lock with
// hashes names the archive it means, and a direct reference its source: neither is met by an RPM.
func (p *Pipeline) offers(ctx context.Context, in Input) (map[string]offer, error) {
	set, err := p.provided(ctx)
	if set == nil || err != nil {
		return nil, err
	}
	bound := map[string]bool{}
	for _, r := range slices.Concat(in.Set.Requirements, in.Set.Constraints) {
		if len(r.Hashes) > 0 || r.Direct() {
			bound[r.Key()] = true
		}
	}
	for name, pin := range p.readPins(in.Set.Locks).versions {
		bound[name] = bound[name] || len(pin.Hashes) > 0
	}
	if in.Project != nil {
		bound[in.Project.Name] = true
	}
	list := map[string]offer{}
	for _, pkg := range set.Packages {
		if pkg.Extra == "" && !bound[pkg.Name] && !p.from.isDirect(pkg.Name) && p.mayReuse(pkg) {
			o := makeOffer(set, pkg)
			if t := p.followed(); t != nil {
				o.locked = t.Package(pkg.Name).Version
			}
			list[pkg.Name] = o
		}
	}
	return list, nil
}

// mayReuse tells whether policy, or the lock to follow, takes a package of the distribution.
func (p *Pipeline) mayReuse(pkg distro.Package) bool {
	t := p.followed()
	if t == nil {
		return p.cfg.Distribution.policy(pkg.Name) != NeverReuse
	}
	l := t.Package(pkg.Name)
	return l != nil && l.Decision == lockfile.Reuse && l.Artifact.Filename == pkg.RPM.NEVRA()
}

func makeOffer(set *distro.Set, pkg distro.Package) offer {
	o := offer{pkg: pkg, requires: set.Requires(pkg.Name), known: set.Origin != distro.FromTable}
	for _, e := range set.Packages {
		if e.Name == pkg.Name && e.Extra != "" && e.Version.Compare(pkg.Version) == 0 {
			o.extras = append(o.extras, e.Extra)
		}
	}
	return o
}

// is tells whether v is the version offered.
func (o offer) is(v pep440.Version) bool { return o.pkg.Version.Compare(v) == 0 }

// withDistribution is the index with what the distribution has laid over it. A version of the
// distribution requires what its RPM says, which may differ from what the same version on the
// index says: distributions change their packages' requirements.
type withDistribution struct {
	*candidates
	from   solve.Source // the index, or what a lock leaves of it
	offers map[string]offer
}

// Candidates implements solve.Source.
func (w withDistribution) Candidates(ctx context.Context, name string) ([]solve.Candidate, error) {
	o, ok := w.offers[name]
	if v, err := pep440.Parse(o.locked); ok && err == nil {
		// Whatever the index has; but what it requires may only be known from there.
		if !o.known {
			if _, err := w.candidates.Candidates(ctx, name); err != nil && !errors.Is(err, solve.ErrNotFound) {
				return nil, err
			}
		}
		return []solve.Candidate{{Version: v}}, nil
	}
	list, err := w.from.Candidates(ctx, name)
	if !ok || err != nil && !errors.Is(err, solve.ErrNotFound) {
		return list, err
	}
	// Neither yanked nor for another Python: it is there, for this one.
	c := solve.Candidate{Version: o.pkg.Version}
	list = slices.DeleteFunc(slices.Clone(list), func(have solve.Candidate) bool {
		same := o.is(have.Version)
		if same {
			c.Version = have.Version // the index knows the trailing zeros
		}
		return same
	})
	return append(list, c), nil
}

// Requires implements solve.Source.
func (w withDistribution) Requires(ctx context.Context, name string, v pep440.Version) ([]pep508.Requirement, error) {
	o, ok := w.offers[name]
	if !ok || !o.is(v) {
		return w.from.Requires(ctx, name, v)
	}
	if !o.known && w.indexHas(name, v) {
		return w.from.Requires(ctx, name, v)
	}
	return o.requires, nil
}

// Cheap implements solve.Eager.
func (w withDistribution) Cheap(name string, v pep440.Version) bool {
	if o, ok := w.offers[name]; ok && o.is(v) && o.known {
		return true
	}
	return w.candidates.Cheap(name, v)
}

// Extras implements solve.ExtraLister.
func (w withDistribution) Extras(ctx context.Context, name string, v pep440.Version) ([]string, error) {
	if o, ok := w.offers[name]; ok && o.is(v) {
		return o.extras, nil
	}
	return w.candidates.Extras(ctx, name, v)
}

// indexHas tells whether the index has files of a version; its page must have been read.
func (c *candidates) indexHas(name string, v pep440.Version) bool {
	c.mu.Lock()
	page := c.project[name]
	c.mu.Unlock()
	return page != nil && len(page.files(v)) > 0
}

// isDirect tells whether a direct reference, anybody's, is what a package is.
func (c *candidates) isDirect(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.project[name] != nil && c.project[name].direct != nil
}

// solveReusing solves with what the distribution has. Beside the solution it returns which of its
// packages are reused. An extra that the distribution does not package cannot be reused, nor can
// an override reach what its RPM requires; both show only in a solution. Then it is solved again
// without those packages' offers.
func (p *Pipeline) solveReusing(ctx context.Context, in Input, req solve.Request) (solve.Solution, map[string]offer, error) {
	offers, err := p.offers(ctx, in)
	if err != nil {
		return solve.Solution{}, nil, err
	}
	own := req.Prefer
	for len(offers) > 0 {
		req.Prefer = p.preferences(offers, own)
		solution, err := p.solvePinned(ctx, withDistribution{p.from, p.choices(), offers}, req, in.Set.Locks)
		if errors.As(err, new(*solve.Conflict)) {
			break // its RPM may ask for more than the same version on the index does
		}
		if err != nil {
			return solution, nil, err
		}
		reused, lacking := chosenOffers(req, solution, offers)
		if len(lacking) == 0 {
			return solution, reused, nil
		}
		for _, name := range lacking {
			delete(offers, name)
		}
	}
	req.Prefer = own
	solution, err := p.solvePinned(ctx, p.choices(), req, in.Set.Locks)
	return solution, nil, err
}

// preferences are the versions to try first: what the caller prefers, then the distribution's.
func (p *Pipeline) preferences(offers map[string]offer, own map[string]pep440.Version) map[string]pep440.Version {
	prefer := map[string]pep440.Version{}
	for name, o := range offers {
		if p.cfg.Distribution.policy(name) == PreferDistribution {
			prefer[name] = o.pkg.Version
		}
	}
	maps.Copy(prefer, own)
	return prefer
}

// chosenOffers are the offers that a solution took, and those of them that cannot be: they lack an
// extra it asks for, or an override is about what they require.
func chosenOffers(req solve.Request, solution solve.Solution, offers map[string]offer) (reused map[string]offer, lacking []string) {
	reused = map[string]offer{}
	for _, c := range solution.Packages {
		o, ok := offers[c.Name]
		if !ok || !o.is(c.Version) {
			continue
		}
		reused[c.Name] = o
		_, overridden := req.Counting(o.requires)
		if len(overridden) > 0 || slices.ContainsFunc(c.Extras, func(e string) bool { return !slices.Contains(o.extras, e) }) {
			lacking = append(lacking, c.Name)
		}
	}
	return reused, lacking
}
