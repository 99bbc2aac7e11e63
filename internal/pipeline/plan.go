package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/index"
	"reqpm/internal/plan"
	"reqpm/internal/rpmname"
	"reqpm/internal/solve"
)

// Work is a plan and everything needed to carry it out.
type Work struct {
	Plan *plan.Plan
	Lock *Lock

	builds map[plan.ID]*pkgBuild
}

// Plan gathers the facts of every package, writes the specs, and decides what is built
// and what the cache of builds already has.
func (p *Pipeline) Plan(ctx context.Context, lock *Lock) (*Work, error) {
	if err := p.CheckSources(lock); err != nil {
		return nil, err
	}
	if err := p.checkNames(lock); err != nil {
		return nil, err
	}
	if err := lock.Refused(); err != nil {
		return nil, err
	}
	p.stage("facts", fmt.Sprintf("read the sources of %d packages", len(lock.Packages)))
	base, err := p.openBase(ctx)
	if err != nil {
		return nil, err
	}
	builds, err := p.gather(ctx, lock)
	if err != nil {
		return nil, err
	}
	p.stage("plan", fmt.Sprintf("write the specs of %d packages and plan their builds", len(builds)))
	// The first plan only orders: a key needs the keys of its build root.
	first, err := p.breakLoops(builds, lock)
	if err != nil {
		return nil, err
	}
	wanted := extrasWanted(builds)
	for _, id := range first.Order() {
		b := builds[id]
		if b.err != nil || b.reused != nil {
			continue
		}
		if err := p.writeSpec(ctx, b, wanted[b.name]); err != nil {
			b.err = fmt.Errorf("write the spec of %s: %w", id, err)
			continue
		}
		p.decide(base, b, builds)
	}
	p.unheard(builds)
	second, err := p.graph(builds, lock)
	if err != nil {
		return nil, err
	}
	return &Work{Plan: second, Lock: lock, builds: builds}, nil
}

// CollisionError: packages of the set that would be the same RPM.
type CollisionError struct {
	RPM   string
	Names []string
}

func (e *CollisionError) Error() string {
	return fmt.Sprintf("%s would all be packaged as %s, so they cannot be in one repository; leave all but one out with --ignore NAME",
		strings.Join(e.Names, " and "), e.RPM)
}

// checkNames refuses a set in which two projects would have one RPM name.
func (p *Pipeline) checkNames(lock *Lock) error {
	var names []string
	for _, l := range lock.Packages {
		names = append(names, l.Name)
	}
	for _, group := range rpmname.Collisions(p.cfg.Target, names) {
		return &CollisionError{RPM: rpmname.Package(p.cfg.Target, group[0]), Names: group}
	}
	return nil
}

// decide computes the content key and looks whether it was built before, by any project.
func (p *Pipeline) decide(base interface{ ID() string }, b *pkgBuild, builds map[plan.ID]*pkgBuild) {
	var roots []string
	for _, id := range b.rootIDs() {
		roots = append(roots, builds[id].rootKey)
	}
	roots = append(roots, debKeys(b.outside.debs)...)
	slices.Sort(roots)
	b.key, b.rootKey = contentKey(base.ID(), b, roots), rootKey(base.ID(), b, roots)
	if !p.cfg.Refresh {
		b.cached = p.cachedBuild(b.key)
	}
}

// breakLoops orders the builds. Packages that need each other to be built cannot be built from
// source at all: they are failed packages, with the shortest loop as the reason, unless
// policy breaks the loop by taking one of them from its wheel.
func (p *Pipeline) breakLoops(builds map[plan.ID]*pkgBuild, lock *Lock) (*plan.Plan, error) {
	for {
		ordered, err := p.graph(builds, lock)
		cycle, ok := errors.AsType[*plan.CycleError](err)
		if !ok {
			return ordered, err
		}
		if slices.ContainsFunc(cycle.Loop, func(id plan.ID) bool { return p.takeWheel(builds[id], "it needs itself to be built") }) {
			continue
		}
		for _, id := range cycle.Loop {
			builds[id].err = fmt.Errorf("%w; --allow-wheel %s takes one of them from its wheel", cycle, builds[id].name)
		}
	}
}

// takeWheel turns a build into the unpacking of a wheel, where that is allowed and there is one.
func (p *Pipeline) takeWheel(b *pkgBuild, why string) bool {
	wheels := slices.DeleteFunc(slices.Clone(b.all), func(f index.File) bool {
		return f.Kind != index.Wheel || !p.cfg.wheelAllowed(b.name, f.Wheel)
	})
	if len(wheels) == 0 {
		return false
	}
	f, err := p.artifact(b.name, wheels)
	if err != nil {
		return false
	}
	b.file, b.root, b.requires, b.edges, b.record, b.crates = f, solve.Solution{}, nil, nil, sdistRecord{}, nil
	b.patch, b.why = nil, why
	return true
}

// graph makes the plan of what is known so far.
func (p *Pipeline) graph(builds map[plan.ID]*pkgBuild, lock *Lock) (*plan.Plan, error) {
	var nodes []plan.Node
	var edges []plan.Edge
	for id, b := range builds {
		n := plan.Node{ID: id, Name: b.name, Version: b.version, Runtime: b.runtime, Native: b.native().Any(), Rust: b.planRust(), Decision: plan.Build, Root: b.rootIDs(), Fetch: fetched(b.outside.debs), Notes: b.outside.notes}
		switch {
		case b.err != nil:
			n.Decision, n.Reason, n.Root = plan.Failed, b.err.Error(), nil
		case b.reused != nil:
			n.Decision, n.Reason = plan.Reuse, reusedReason(b.reused)
		case b.cached != nil:
			n.Decision, n.Reason = plan.Cached, "built "+b.cached.Finished.Format("2006-01-02 15:04")
		default:
			n.Reason = b.reason()
		}
		n.Overrides = p.overridesOf(b.name, b.version)
		n.Seconds = p.history.expect(b.name, b.native(), n.Decision)
		nodes = append(nodes, n)
		edges = append(edges, b.edges...)
		edges = append(edges, toolEdges(b.root)...)
	}
	edges = append(edges, lockEdges(lock)...)
	return plan.New(nodes, uniqueEdges(edges))
}

// toolEdges are the run-time requirements among the build tools of one build root.
func toolEdges(root solve.Solution) []plan.Edge {
	version := map[string]string{}
	for _, c := range root.Packages {
		version[c.Name] = c.Version.String()
	}
	var edges []plan.Edge
	for _, e := range root.Edges {
		if from, ok := version[e.From.Package]; ok && from == e.From.Version {
			edges = append(edges, plan.Edge{From: plan.NewID(e.From.Package, from), To: plan.NewID(e.To, version[e.To]), Kind: plan.Install, Requirement: e.Req.String()})
		}
	}
	return edges
}

func lockEdges(lock *Lock) []plan.Edge {
	version := map[string]string{}
	for _, l := range lock.Packages {
		version[l.Name] = l.Version
	}
	if lock.project != nil {
		version[lock.project.Name] = lock.project.Version
	}
	var edges []plan.Edge
	for _, l := range lock.Packages {
		for _, by := range l.RequiredBy {
			e := plan.Edge{To: plan.NewID(l.Name, l.Version), Kind: by.Edge, Requirement: by.Requirement, File: by.File, Line: by.Line}
			if v, ok := version[by.Name]; ok && by.Name != "" {
				e.From = plan.NewID(by.Name, v)
			}
			edges = append(edges, e)
		}
	}
	return edges
}

func uniqueEdges(edges []plan.Edge) []plan.Edge {
	seen := map[plan.Edge]bool{}
	return slices.DeleteFunc(edges, func(e plan.Edge) bool {
		was := seen[e]
		seen[e] = true
		return was
	})
}

// extrasWanted collects, by package name, every extra that the lock asks for.
func extrasWanted(builds map[plan.ID]*pkgBuild) map[string][]string {
	wanted := map[string][]string{}
	want := func(name string, extras []string) {
		if len(extras) > 0 {
			wanted[name] = append(wanted[name], extras...)
		}
	}
	for _, b := range builds {
		want(b.name, b.extras)
		for _, c := range b.root.Packages {
			want(c.Name, c.Extras)
		}
	}
	for name := range wanted {
		slices.Sort(wanted[name])
		wanted[name] = slices.Compact(wanted[name])
	}
	return wanted
}
