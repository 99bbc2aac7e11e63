package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"reqpm/internal/distro"
	"reqpm/internal/lockfile"
	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/rpmname"
	"reqpm/internal/solve"
	"reqpm/internal/target"
)

// Policy says when a package of the distribution is taken in place of a build.
type Policy string

// A distribution's version is tried before all others; taken when it happens to be the newest that
// fits; or never taken.
const (
	PreferDistribution Policy = "prefer-distribution"
	PreferNewest       Policy = "prefer-newest"
	NeverReuse         Policy = "never-reuse"
)

// Policies are all of them, the default first.
var Policies = []Policy{PreferDistribution, PreferNewest, NeverReuse}

// DistributionConfig is what a run makes of what the target's distribution has.
type DistributionConfig struct {
	// Provider tells what it has; nil: nothing is known of it, and nothing reused.
	Provider distro.Provider
	// Policy is for the packages of the set, "" is PreferDistribution.
	Policy Policy
	// Tools is for build tools, "" is NeverReuse: the build tools of EL releases are too old for
	// many packages, which shows only when the build fails.
	Tools Policy
	// Packages are exceptions from Policy by PEP 503 name.
	Packages map[string]Policy
	// Replace names packages (PEP 503) that may replace the distribution's own RPM of another
	// version, also where the system's own Python uses it.
	Replace []string
}

// policy is what holds for one package of the set.
func (d DistributionConfig) policy(name string) Policy {
	switch {
	case d.Packages[name] != "":
		return d.Packages[name]
	case d.Policy != "":
		return d.Policy
	}
	return PreferDistribution
}

// toolPolicy is what holds for one build tool: of the exceptions, only those that forbid.
func (d DistributionConfig) toolPolicy(name string) Policy {
	if d.Tools == "" || d.Packages[name] == NeverReuse {
		return NeverReuse
	}
	return d.Tools
}

// needed tells whether what the distribution has can change anything on t.
func (d DistributionConfig) needed(t target.Target) bool {
	if d.Provider == nil || t.Kind != target.DNF {
		return false
	}
	able := func(p Policy) bool { return p != NeverReuse }
	return t.Python.Default || able(d.policy("")) || able(d.toolPolicy("")) || slices.ContainsFunc(slices.Collect(maps.Values(d.Packages)), able)
}

// DistributionUse says in a lock what was known of the distribution. Whether the repositories
// answered now or were remembered is no part of it: the same state of them gives the same text.
type DistributionUse struct {
	Policy   Policy        `json:"policy"`
	Source   distro.Origin `json:"source"`   // FromRepositories or FromTable
	Revision string        `json:"revision"` // the state of the repositories, or the date of the table
	Packages int           `json:"packages"` // distributions it provides
	Reused   int           `json:"reused"`
}

// provided is what the target's distribution provides, asked for once a run; nil where nothing
// is known or nothing could come of it. Not knowing is no error: then everything is built.
func (p *Pipeline) provided(ctx context.Context) (*distro.Set, error) {
	d := &p.distribution
	d.once.Do(func() {
		if !p.cfg.Distribution.needed(p.cfg.Target) && !p.lockReuses() {
			return
		}
		set, err := p.cfg.Distribution.Provider.Provides(ctx, p.cfg.Target)
		switch {
		case ctx.Err() != nil:
			d.err = ctx.Err()
		case err != nil:
			p.warn("resolve", "nothing of the distribution is reused: "+err.Error())
		default:
			d.set = set
			p.noteOrigin(set)
		}
	})
	return d.set, d.err
}

// lockReuses tells whether the lock to follow takes anything of the distribution.
func (p *Pipeline) lockReuses() bool {
	t := p.followed()
	return t != nil && p.cfg.Distribution.Provider != nil && slices.ContainsFunc(slices.Concat(t.Packages, t.Tools), func(l lockfile.Package) bool { return l.Decision == lockfile.Reuse })
}

// distributionAnswer keeps what a run was told.
type distributionAnswer struct {
	once sync.Once
	set  *distro.Set
	err  error
}

func (p *Pipeline) noteOrigin(set *distro.Set) {
	switch set.Origin {
	case distro.FromTable:
		p.warn("resolve", fmt.Sprintf("what %s has is taken from the table shipped with ReqPM (%s), which is not complete: %s", p.cfg.Target.Name, set.Revision, set.Reason))
	case distro.FromCache:
		p.warn("resolve", fmt.Sprintf("what %s has is taken %s", p.cfg.Target.Name, set.Reason))
	default:
		p.report(Event{Event: "note", Stage: "resolve", Message: fmt.Sprintf("%s provides %d Python distributions", p.cfg.Target.Name, len(set.Packages))})
	}
}

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

// KindDistribution is the artifact kind of a package that the distribution has: no archive.
const KindDistribution = "distribution"

// lockChosen locks one package of a solution: the distribution's, or one to build.
func (p *Pipeline) lockChosen(ctx context.Context, chosen solve.Chosen, reused map[string]offer, edges []solve.Edge) (Locked, error) {
	if o, ok := reused[chosen.Name]; ok {
		return p.lockReused(chosen, o, edges), nil
	}
	return p.lockOne(ctx, chosen, edges)
}

// lockReused is lockOne for a package of the distribution.
func (p *Pipeline) lockReused(chosen solve.Chosen, o offer, edges []solve.Edge) Locked {
	set := p.distribution.set
	rpm := o.pkg.RPM
	locked := Locked{Name: chosen.Name, Version: chosen.Version.String(), Extras: chosen.Extras,
		Artifact:   Artifact{Filename: rpm.NEVRA(), Kind: KindDistribution},
		Meta:       metadata.Metadata{Name: chosen.Name, Version: chosen.Version, License: rpm.License, RequiresDist: o.requires, ProvidesExtra: o.extras},
		RequiredBy: requiredBy(edges),
		reused:     []distro.Package{o.pkg},
	}
	for _, extra := range chosen.Extras {
		if e, ok := set.Extra(chosen.Name, extra); ok && e.RPM.Name != rpm.Name {
			locked.reused = append(locked.reused, e)
		}
	}
	return locked
}

// reusedReason says for people and content keys which RPMs of the distribution a package is.
func reusedReason(reused []distro.Package) string {
	names := make([]string, len(reused))
	for i, r := range reused {
		names[i] = r.RPM.NEVRA()
	}
	return strings.Join(names, " ") + " from " + reused[0].RPM.Repo
}

// Replaced is a package of the set whose RPM would replace one of the distribution.
type Replaced struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	RPM     string `json:"rpm"`
	Has     string `json:"has"` // the distribution's version
}

// ReplaceError: the set would replace packages that the system's own Python programs use.
type ReplaceError struct {
	Target   string
	Python   string
	Packages []Replaced
}

func (e *ReplaceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "on %s the set would replace packages of the system's own Python %s, which the system's programs use:", e.Target, e.Python)
	for _, r := range e.Packages {
		fmt.Fprintf(&b, "\n  %s: the set has %s %s, the distribution %s", r.RPM, r.Name, r.Version, r.Has)
	}
	name, has := e.Packages[0].Name, e.Packages[0].Has
	fmt.Fprintf(&b, "\nWays out: another Python stack of the release (reqpm targets); --constrain '%s==%s' takes the distribution's version; --replace %s lets it be replaced.", name, has, name)
	return b.String()
}

// replaced finds the packages of a lock whose RPMs would replace the distribution's by another
// version, where the target's stack is the system's own Python.
func (p *Pipeline) replaced(lock *Lock) []Replaced {
	set := p.distribution.set
	t := p.cfg.Target
	if set == nil || !t.Python.Default {
		return nil
	}
	packages := slices.Clone(lock.Packages)
	if lock.project != nil {
		packages = append(packages, Locked{Name: lock.project.Name, Version: lock.project.Version})
	}
	var list []Replaced
	for _, l := range packages {
		v, err := pep440.Parse(l.Version)
		if err != nil || l.reused != nil || slices.Contains(p.cfg.Distribution.Replace, l.Name) {
			continue
		}
		rpm := rpmname.Package(t, l.Name)
		for _, has := range set.ByRPM(rpm) {
			if has.Version.Compare(v) != 0 {
				list = append(list, Replaced{Name: l.Name, Version: l.Version, RPM: rpm, Has: has.Version.String()})
				break
			}
		}
	}
	return list
}

// useDistribution completes a lock: what was known of the distribution, and what of it the set
// would replace.
func (p *Pipeline) useDistribution(lock *Lock) {
	set := p.distribution.set
	if set == nil {
		return
	}
	lock.Distribution = &DistributionUse{Policy: p.cfg.Distribution.policy(""), Source: set.Origin, Revision: set.Revision, Packages: len(set.Packages)}
	if set.Origin == distro.FromCache {
		lock.Distribution.Source = distro.FromRepositories
	}
	for _, l := range lock.Packages {
		if l.reused != nil {
			lock.Distribution.Reused++
		}
	}
	lock.Replaces = p.replaced(lock)
	for _, text := range p.besides(lock) {
		p.warn("resolve", text)
	}
}

// besides finds the packages of a lock that the system's own Python has from an RPM of another
// name: dnf refuses to install both, as they hold the same files.
func (p *Pipeline) besides(lock *Lock) []string {
	t := p.cfg.Target
	if !t.Python.Default {
		return nil
	}
	var list []string
	for _, l := range lock.Packages {
		has, ok := p.distribution.set.Distribution(l.Name)
		if own := rpmname.Package(t, l.Name); ok && l.reused == nil && has.RPM.Name != own {
			list = append(list, fmt.Sprintf("%s cannot be installed where the distribution's %s is: both hold %s (%s and %s)", own, has.RPM.Name, l.Name, l.Version, has.Version))
		}
	}
	return list
}

// Refused is why a lock can be looked at, but not be built: it replaces packages of the system's
// own Python. nil where it can.
func (l *Lock) Refused() error {
	if len(l.Replaces) == 0 {
		return nil
	}
	return &ReplaceError{Target: l.Target, Python: l.Python, Packages: l.Replaces}
}

// preferTools are the versions of build tools to try first: what the caller prefers, then those
// that the distribution has, where policy takes them.
func (p *Pipeline) preferTools(ctx context.Context, own map[string]pep440.Version) (map[string]pep440.Version, error) {
	if p.cfg.Distribution.toolPolicy("") != PreferDistribution {
		return own, nil
	}
	set, err := p.provided(ctx)
	if set == nil || err != nil {
		return own, err
	}
	prefer := map[string]pep440.Version{}
	for _, pkg := range set.Packages {
		if pkg.Extra == "" && p.cfg.Distribution.toolPolicy(pkg.Name) == PreferDistribution {
			prefer[pkg.Name] = pkg.Version
		}
	}
	maps.Copy(prefer, own)
	return prefer, nil
}

// mayReuseTool tells whether policy, or the lock to follow, takes a build tool of the distribution.
func (p *Pipeline) mayReuseTool(tool solve.Chosen) bool {
	t := p.followed()
	if t == nil || len(t.BuildRoots) == 0 {
		return p.cfg.Distribution.toolPolicy(tool.Name) != NeverReuse
	}
	return slices.ContainsFunc(t.Tools, func(l lockfile.Package) bool {
		return l.Name == tool.Name && l.Version == tool.Version.String() && l.Decision == lockfile.Reuse
	})
}

// reusedTool is the distribution's package of a build tool, when policy takes it and it has the
// version and the extras that were chosen. The version is one that the index has, too: a build
// backend is asked in an environment of the index's wheels.
func (p *Pipeline) reusedTool(ctx context.Context, tool solve.Chosen) ([]distro.Package, error) {
	if !p.mayReuseTool(tool) {
		return nil, nil
	}
	set, err := p.provided(ctx)
	if set == nil || err != nil {
		return nil, err
	}
	pkg, ok := set.Distribution(tool.Name)
	if !ok || pkg.Version.Compare(tool.Version) != 0 {
		return nil, nil
	}
	reused := []distro.Package{pkg}
	for _, extra := range tool.Extras {
		e, ok := set.Extra(tool.Name, extra)
		if !ok {
			return nil, nil
		}
		reused = append(reused, e)
	}
	return reused, nil
}
