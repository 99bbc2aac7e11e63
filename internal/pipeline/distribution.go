package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"reqpm/internal/distro"
	"reqpm/internal/lockfile"
	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
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
