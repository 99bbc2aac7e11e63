package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/backend"
	"reqpm/internal/builder"
	"reqpm/internal/crates"
	"reqpm/internal/distro"
	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/pep508"
	"reqpm/internal/plan"
	"reqpm/internal/solve"
)

// pkgBuild is one package version on its way to an RPM: first what is known of
// it, then its spec and key, then its result.
type pkgBuild struct {
	id       plan.ID
	name     string
	version  string
	runtime  bool
	extras   []string
	file     index.File
	all      []index.File // every file of the version, for comparing with its wheels
	meta     metadata.Metadata
	record   sdistRecord
	crates   *vendored            // nil when cargo builds nothing
	requires []pep508.Requirement // direct build requirements, markers true
	root     solve.Solution
	edges    []plan.Edge
	patch    *backend.Patch // with which the build backend chosen builds it; nil: none is needed
	why      string         // it is taken from a wheel although it has a source; or what the patch is for
	outside  outside        // libraries and tools that are no Python packages
	// overridden names requirements of meta that stand in place of the archive's own.
	overridden []string
	err        error // it cannot be built, and this is why

	spec    specFiles
	key     string
	rootKey string // its key in build roots of others
	cached  *Built
	set     bool // the package that requires the whole locked set
	project *Project
	// repairs are what was changed after it failed, attempts how often it was built in this run.
	repairs  []Repair
	attempts int
	reused   []distro.Package // of the distribution: nothing to build, no archive, no spec
}

// gather finds, from the lock on, everything that must be built: the locked
// packages, what their builds need, what those need to be built, until nothing new turns
// up. A package whose facts cannot be had is a failed package, not a failed run.
type gather struct {
	p     *Pipeline
	group *errgroup.Group
	mu    sync.Mutex
	found map[plan.ID]*pkgBuild
	// rootless: nothing is going to be built, so a base root that cannot be made only
	// costs the backends' answers.
	rootless bool
}

func (p *Pipeline) gather(ctx context.Context, lock *Lock) (map[plan.ID]*pkgBuild, error) {
	g := &gather{p: p, found: map[plan.ID]*pkgBuild{}}
	var inner context.Context
	g.group, inner = errgroup.WithContext(ctx)
	var set []*pkgBuild
	for _, l := range lock.Packages {
		set = append(set, &pkgBuild{name: l.Name, version: l.Version, runtime: true, extras: l.Extras, file: l.file, all: l.all, meta: l.Meta, overridden: l.overridden, err: l.err, reused: l.reused})
	}
	if lock.project != nil {
		pr := lock.project
		set = append(set, &pkgBuild{name: pr.Name, version: pr.Version, runtime: true, file: pr.file, meta: pr.Meta, overridden: pr.overridden, project: pr})
	}
	// All of the set first: a build tool of the same version is the set's package.
	set = slices.DeleteFunc(set, func(b *pkgBuild) bool { return !g.note(b) })
	for _, b := range set {
		g.learn(inner, b)
	}
	if err := g.group.Wait(); err != nil {
		return nil, err
	}
	return g.found, nil
}

// add starts work on a build that was not seen before.
func (g *gather) add(ctx context.Context, b *pkgBuild) {
	if g.note(b) {
		g.learn(ctx, b)
	}
}

// note tells whether a build was not seen before.
func (g *gather) note(b *pkgBuild) bool {
	b.id = plan.NewID(b.name, b.version)
	if b.reused != nil {
		b.key = "distribution " + reusedReason(b.reused)
		b.rootKey = b.key
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.found[b.id] != nil {
		return false
	}
	g.found[b.id] = b
	return true
}

// learn starts work on what b needs. The distribution's packages need nothing of us.
func (g *gather) learn(ctx context.Context, b *pkgBuild) {
	if b.reused != nil || b.err != nil {
		return
	}
	// No limit on the group: a task adds tasks, and what is scarce (connections,
	// processors) is bounded where it is used.
	g.group.Go(func() error {
		err := g.facts(ctx, b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if fatal(err) {
			return fmt.Errorf("%s: %w", b.id, err)
		}
		b.err = err
		return nil
	})
}

// fatal tells errors of the whole run (the index is down, the base root cannot be
// made, there is no cargo) from those of one package.
func fatal(err error) bool {
	return errors.Is(err, index.ErrUnavailable) || errors.Is(err, index.ErrOffline) || errors.Is(err, crates.ErrUnavailable) || errors.Is(err, builder.ErrMissingTool) || errors.Is(err, errBase) || errors.Is(err, ErrDiskFull) || machineTrouble(err)
}

// facts learns what the build of b needs and adds those packages in turn.
func (g *gather) facts(ctx context.Context, b *pkgBuild) error {
	if err := g.ownFacts(ctx, b); err != nil {
		return err
	}
	for _, tool := range b.root.Packages {
		if err := g.addTool(ctx, tool); err != nil {
			return err
		}
	}
	return nil
}

// ownFacts learns what the build of b itself needs.
func (g *gather) ownFacts(ctx context.Context, b *pkgBuild) error {
	if b.file.Kind == index.Wheel {
		return nil // unpacked, not built: it needs nothing
	}
	g.p.report(Event{Event: "progress", Stage: "facts", Name: b.name, Version: b.version})
	var err error
	if b.record, err = g.p.sdistFacts(ctx, b.file); err != nil {
		return err
	}
	if source := b.record.Sdist; len(b.overridden)+len(g.p.saidOverridden(b.name)) == 0 && source.HasPkgInfo && source.PkgInfo.StaticDependencies() {
		if how := g.p.disagreement(b.meta, source.PkgInfo); how != "" {
			g.p.warn("plan", fmt.Sprintf("%s: its wheel and its source distribution do not say the same, and the wheel counts: %s", b.id, how))
		}
	}
	fit, err := g.p.hooks.fit(ctx, b.file, b.record)
	if err != nil {
		if g.p.mendPlanned(ctx, b, err) {
			return g.ownFacts(ctx, b)
		}
		return g.p.lastResort(b, err)
	}
	system := fit.requires
	if b.patch = fit.patch; b.patch != nil {
		b.why = strings.Join(b.patch.Why, "; ")
	}
	if b.crates, err = g.p.vendor(ctx, string(b.id), b.file, b.record); err != nil {
		return err
	}
	if b.outside, err = g.p.outsideOf(ctx, b.name, g.p.pureRecord(b)); err != nil {
		return err
	}
	hook, tools, err := g.p.hooks.hookRequires(ctx, b.file, b.record)
	if err != nil {
		if g.p.mendPlanned(ctx, b, err) {
			return g.ownFacts(ctx, b)
		}
		noBase := g.rootless && errors.Is(err, errBase)
		if ctx.Err() != nil || fatal(err) && !noBase || errors.As(err, new(*solve.Conflict)) {
			return err
		}
		// The build itself will say better what is wrong than a failing question does.
		g.p.warn("plan", fmt.Sprintf("%s: its build backend could not be asked what it needs: %s", b.id, lastLine(err.Error())))
	}
	if len(tools) > 0 {
		if b.outside, err = g.p.outsideOf(ctx, b.name, g.p.pureRecord(b), tools...); err != nil {
			return err
		}
	}
	for _, note := range b.outside.notes {
		g.p.warn("plan", fmt.Sprintf("%s: %s", b.id, note))
	}
	backend := hook
	b.requires = append(slices.Clone(system), backend...)
	if b.root, err = g.p.hooks.solveTools(ctx, b.requires); err != nil {
		if g.p.mendPlanned(ctx, b, err) {
			return g.ownFacts(ctx, b)
		}
		return g.p.lastResort(b, err)
	}
	b.edges = buildEdges(b.id, b.root, system, backend)
	return nil
}

// offerWaysOut adds what a user can do about build requirements that cannot be had.
func offerWaysOut(err error) error {
	conflict, ok := errors.AsType[*solve.Conflict](err)
	if !ok {
		return err
	}
	return fmt.Errorf("%w\n--drop-build-requirement NAME leaves a build requirement out; "+
		"--build-constraint 'NAME<VERSION' takes an older build tool", conflict)
}

func (g *gather) addTool(ctx context.Context, tool solve.Chosen) error {
	reused, err := g.p.reusedTool(ctx, tool)
	if err != nil {
		return err
	}
	if reused != nil {
		g.add(ctx, &pkgBuild{name: tool.Name, version: tool.Version.String(), reused: reused})
		return nil
	}
	page, err := g.p.from.page(ctx, tool.Name)
	if err != nil {
		return err
	}
	files := page.files(tool.Version)
	file, err := g.p.artifact(tool.Name, files)
	if err != nil {
		return err
	}
	if file.Kind == index.Wheel && !g.p.cfg.wheelAllowed(tool.Name, file.Wheel) {
		refused := &NoSourceError{Packages: []string{tool.Name + " " + tool.Version.String()}}
		if !pureTags(file.Wheel) {
			refused.Compiled = refused.Packages
		}
		return refused
	}
	meta, err := g.p.from.Metadata(ctx, tool.Name, tool.Version)
	if err != nil {
		return err
	}
	g.add(ctx, &pkgBuild{name: tool.Name, version: tool.Version.String(), file: file, all: files, meta: meta})
	return nil
}

// buildEdges are the direct requirements of one build, by the kind of who asked.
func buildEdges(from plan.ID, root solve.Solution, system, backend []pep508.Requirement) []plan.Edge {
	version := map[string]string{}
	for _, c := range root.Packages {
		version[c.Name] = c.Version.String()
	}
	var edges []plan.Edge
	add := func(reqs []pep508.Requirement, kind plan.Kind) {
		for _, r := range reqs {
			if v, ok := version[r.Key()]; ok {
				edges = append(edges, plan.Edge{From: from, To: plan.NewID(r.Key(), v), Kind: kind, Requirement: r.String()})
			}
		}
	}
	add(system, plan.BuildSystem)
	add(backend, plan.BuildBackend)
	return edges
}

// rootIDs are the builds that are installed into b's build root.
func (b *pkgBuild) rootIDs() []plan.ID {
	ids := make([]plan.ID, 0, len(b.root.Packages))
	for _, c := range b.root.Packages {
		ids = append(ids, plan.NewID(c.Name, c.Version.String()))
	}
	return ids
}
