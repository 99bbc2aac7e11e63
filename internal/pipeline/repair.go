package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/builder"
	"reqpm/internal/diagnose"
	"reqpm/internal/override"
	"reqpm/internal/pep508"
	"reqpm/internal/plan"
	"reqpm/internal/sdist"
	"reqpm/internal/solve"
)

// A build that fails says why in its log, and often what would help: an older setuptools, a module
// that its authors forgot to ask for. Where package diagnose holds such a change for safe, and the index
// knows what it names, the package is planned again with it and its build tried again. What a
// repair needs built that was not in the plan is added to it.

// maxRepairs is how often one package is changed in a run.
const maxRepairs = 3

// Repair is one change to the build of a package, made because of what a log or a build backend said.
type Repair struct {
	Cause   diagnose.Cause    `json:"cause"`
	Title   string            `json:"title"`
	Changes []diagnose.Change `json:"changes"`
	Log     string            `json:"log,omitempty"` // of the attempt that showed it; "": the build backend's answer
	Line    int               `json:"line,omitempty"`

	layer override.Layer
}

func (r Repair) String() string {
	var changes []string
	for _, c := range r.Changes {
		changes = append(changes, c.String())
	}
	text := fmt.Sprintf("%s: %s", r.Title, strings.Join(changes, ", "))
	if r.Line > 0 {
		text += fmt.Sprintf(" (found in log line %d)", r.Line)
	}
	return text
}

// mended is a package planned again after a failed attempt.
type mended struct {
	b     *pkgBuild
	grown []*pkgBuild // what its build needs that the plan did not have
}

// facts are what is known of a build besides its log.
func (p *Pipeline) diagnosisFacts(b *pkgBuild, lock *Lock) diagnose.Facts {
	f := diagnose.Facts{Name: b.name, Version: b.version, Python: p.Target().Python.Minor(), Tools: map[string]string{}}
	for _, c := range b.root.Packages {
		f.Tools[c.Name] = c.Version.String()
	}
	for _, r := range b.meta.RequiresDist {
		f.Known = append(f.Known, r.Key())
	}
	if lock != nil {
		for _, l := range lock.Packages {
			f.Known = append(f.Known, l.Name)
		}
	}
	return f
}

// diagnoseBuild reads the log of a failed build.
func (p *Pipeline) diagnoseBuild(b *pkgBuild, lock *Lock, be *builder.BuildError) []diagnose.Finding {
	facts := p.diagnosisFacts(b, lock)
	facts.Phase, facts.Kind, facts.Missing = string(be.Phase), string(be.Cause), be.Missing
	if be.Err != nil {
		facts.Said = be.Err.Error()
	}
	if f, err := os.Open(be.Log); err == nil {
		defer f.Close()
		if found, err := diagnose.Read(f, facts); err == nil {
			return found
		}
	}
	return diagnose.ReadText(be.Tail, facts)
}

// repair is the outcome of a failed attempt: what its log shows, and, where that can be mended, the
// package as it is to be tried again.
func (r *run) repair(ctx context.Context, id plan.ID, err error, o *Outcome) *Outcome {
	if o.State != StateFailed {
		return o
	}
	be, ok := errors.AsType[*builder.BuildError](err)
	if !ok {
		return o
	}
	b, known := r.pkg(id), r.pkgs()
	o.Findings = r.p.diagnoseBuild(b, r.work.Lock, be)
	o.Why = o.Findings[0].Cause
	if o.Why == diagnose.Unknown {
		o.Why = diagnose.Cause(be.Cause) // the builder's word says more
	}
	if be.Cause == builder.CauseInfra || be.Cause == builder.CauseTimeout {
		unsafe(o.Findings)
		return o // nothing of the package is wrong
	}
	o.mended = r.p.mendBuild(ctx, b, o.Findings, be.Log, known)
	return o
}

// tried is how many findings of a log are looked at for a repair, the likeliest.
const tried = 3

// mendBuild plans a package again with the first safe change there is, nil when there is none. A change
// that is not applied, and would not be without --no-repair either, is no longer called safe.
func (p *Pipeline) mendBuild(ctx context.Context, b *pkgBuild, found []diagnose.Finding, log string, known map[plan.ID]*pkgBuild) *mended {
	none := b.set || len(b.repairs) >= maxRepairs
	for i := range found {
		x := &found[i]
		none = none || i == tried || ctx.Err() != nil || x.Cause == diagnose.DiskFull || x.Cause == diagnose.Timeout || x.Cause == diagnose.Repositories
		if none {
			unsafe(found[i:])
			return nil
		}
		var repair Repair
		if repair, x.Safe = p.propose(ctx, b, *x); !x.Safe || p.cfg.NoRepair {
			continue
		}
		repair.Log = log
		undo := p.learn(repair.layer)
		m, err := p.replan(ctx, b, repair, known)
		if err != nil {
			undo()
			x.Safe = false
			p.cfg.Log.Info("a repair does not help", "package", b.id, "repair", repair.String(), "why", err)
			continue
		}
		return m
	}
	return nil
}

// unsafe says of findings that nothing is tried.
func unsafe(found []diagnose.Finding) {
	for i := range found {
		found[i].Safe = false
	}
}

// propose makes a repair of a finding: what of its changes is known to those who would have to have it. Changes after
// those of the first kind that is known are other ways to the same end.
func (p *Pipeline) propose(ctx context.Context, b *pkgBuild, x diagnose.Finding) (Repair, bool) {
	r := Repair{Cause: x.Cause, Title: x.Title, layer: override.Layer{Package: b.name, Target: p.cfg.Target.Name, Place: override.Learned}}
	if !x.Safe {
		return r, false
	}
	if len(x.Evidence) > 0 {
		r.Line = x.Evidence[0].Number
	}
	for _, c := range x.Changes {
		if len(r.Changes) > 0 && r.Changes[0].Do != c.Do {
			break
		}
		if p.put(ctx, b, c, &r.layer.Override) {
			r.Changes = append(r.Changes, c)
		}
	}
	again := slices.ContainsFunc(b.repairs, func(old Repair) bool { return slices.Equal(old.Changes, r.Changes) })
	return r, len(r.Changes) > 0 && !again
}

// put says a change as an override. False: it cannot be, or nobody knows what it names.
func (p *Pipeline) put(ctx context.Context, b *pkgBuild, c diagnose.Change, o *override.Override) bool {
	if !c.Valid() {
		return false
	}
	switch c.Do {
	case diagnose.AddRequirement, diagnose.Constrain:
		r, err := pep508.Parse(c.Value)
		if err != nil || r.Key() == b.name || !p.indexHas(ctx, r) {
			return false
		}
		if c.Do == diagnose.AddRequirement && slices.ContainsFunc(b.requires, func(have pep508.Requirement) bool { return have.Key() == r.Key() }) {
			return false // it is there already
		}
		o.BuildRequires = append(o.BuildRequires, override.Dependency{Python: r})
		return true
	case diagnose.DropRequirement:
		r, err := pep508.Parse(c.Value)
		if err != nil || !p.indexLacks(ctx, r.Key()) {
			return false
		}
		o.DropBuildRequires = append(o.DropBuildRequires, override.Dependency{Python: r})
		return true
	case diagnose.AddNative:
		deps := p.nativeDeps(ctx, b, c)
		for _, d := range deps {
			if !slices.ContainsFunc(o.BuildRequires, func(have override.Dependency) bool { return have.RPM == d.RPM }) {
				o.BuildRequires = append(o.BuildRequires, d)
			}
		}
		return len(deps) > 0
	case diagnose.SetEnv:
		name, value, _ := strings.Cut(c.Value, "=")
		if o.Env == nil {
			o.Env = map[string]string{}
		}
		o.Env[name] = value
		return true
	case diagnose.DropHook:
		patch, err := p.withoutHook(ctx, b, c.Value)
		if err != nil {
			p.cfg.Log.Info("a build hook cannot be left out", "package", b.id, "hook", c.Value, "why", err)
			return false
		}
		o.Patches = append(o.Patches, patch)
		return true
	}
	return false
}

// withoutHook makes the patch that leaves out a build hook of hatchling. It comes after the one that fits the source to
// its backend, so it is made on what that one leaves.
func (p *Pipeline) withoutHook(ctx context.Context, b *pkgBuild, hook string) (override.Patch, error) {
	fit, err := p.hooks.fit(ctx, b.file, b.record)
	if err != nil {
		return override.Patch{}, err
	}
	var diff string
	err = p.withSource(ctx, b.file, func(_, dir string) error {
		if err := fit.apply(dir); err != nil {
			return err
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		text, err := root.ReadFile("pyproject.toml")
		if err != nil {
			return err
		}
		diff, err = diagnose.WithoutHook(string(text), hook)
		return err
	})
	if err != nil {
		return override.Patch{}, err
	}
	name := fmt.Sprintf("%s-%s-without-%s.patch", b.name, b.version, strings.ToLower(hook))
	return override.Patch{File: override.File{Name: name, Path: name, Text: []byte(diff), SHA256: textSHA256([]byte(diff))}, Strip: 1, Versions: "==" + b.version}, nil
}

// indexHas tells whether an index has a version that a requirement takes.
func (p *Pipeline) indexHas(ctx context.Context, r pep508.Requirement) bool {
	list, err := p.from.Candidates(ctx, r.Key())
	return err == nil && slices.ContainsFunc(list, func(c solve.Candidate) bool { return r.Specifiers.Contains(c.Version) })
}

// indexLacks tells whether every index said that there is no such project.
func (p *Pipeline) indexLacks(ctx context.Context, name string) bool {
	_, err := p.from.Candidates(ctx, name)
	return errors.Is(err, solve.ErrNotFound)
}

// afresh is b as it was before anything was learned of its build.
func (b *pkgBuild) afresh(r Repair) *pkgBuild {
	return &pkgBuild{id: b.id, name: b.name, version: b.version, runtime: b.runtime, extras: b.extras, file: b.file, all: b.all, meta: b.meta,
		overridden: b.overridden, project: b.project, repairs: append(slices.Clip(b.repairs), r), attempts: b.attempts}
}

// replan learns again what the build of a package needs, which may be more than the plan has.
func (p *Pipeline) replan(ctx context.Context, b *pkgBuild, repair Repair, known map[plan.ID]*pkgBuild) (*mended, error) {
	m := &mended{b: b.afresh(repair)}
	g := &gather{p: p, found: maps.Clone(known)}
	g.found[m.b.id] = m.b
	var inner context.Context
	g.group, inner = errgroup.WithContext(ctx)
	err := errors.Join(g.facts(inner, m.b), g.group.Wait())
	if err != nil {
		return nil, err
	}
	wanted := extrasWanted(g.found)
	for id, other := range g.found {
		if known[id] != nil && id != m.b.id {
			continue
		}
		if other.err != nil {
			return nil, fmt.Errorf("%s: %w", id, other.err)
		}
		if id != m.b.id {
			m.grown = append(m.grown, other)
		}
		if other.reused == nil {
			if err := p.writeSpec(ctx, other, wanted[other.name]); err != nil {
				return nil, fmt.Errorf("write the spec of %s: %w", id, err)
			}
		}
	}
	return m, nil
}

// mendPlanned changes a package whose build backend could not be asked, or whose build requirements
// cannot be had. True: ask again.
func (p *Pipeline) mendPlanned(ctx context.Context, b *pkgBuild, err error) bool {
	if p.cfg.NoRepair || len(b.repairs) >= maxRepairs || ctx.Err() != nil {
		return false
	}
	var found []diagnose.Finding
	if _, ok := errors.AsType[*solve.Conflict](err); ok {
		for _, r := range p.active(p.saidBuild(b.name, b.record.Sdist.Requires)) {
			if p.indexLacks(ctx, r.Key()) {
				found = append(found, diagnose.NoIndexHas(r.Key(), r.String()))
			}
		}
	} else if hook, ok := errors.AsType[*sdist.HookError](err); ok {
		facts := p.diagnosisFacts(b, nil)
		if tools, err := p.hooks.solveTools(ctx, p.buildSystem(ctx, b.name, b.record)); err == nil {
			for _, c := range tools.Packages {
				facts.Tools[c.Name] = c.Version.String()
			}
		}
		found = diagnose.ReadText(hook.Stderr+"\n"+hook.Error(), facts)
	}
	for _, x := range found[:min(len(found), tried)] {
		repair, ok := p.propose(ctx, b, x)
		if !ok {
			continue
		}
		repair.Line = 0
		p.learn(repair.layer)
		b.repairs = append(b.repairs, repair)
		p.warn("plan", fmt.Sprintf("%s is built with a change: %s", b.id, repair))
		return true
	}
	return false
}

// learn lays a change over what people say; undo takes it away.
func (p *Pipeline) learn(l override.Layer) (undo func()) {
	p.learned.mu.Lock()
	defer p.learned.mu.Unlock()
	p.learned.serial++
	serial := p.learned.serial
	p.learned.layers = append(slices.Clip(p.learned.layers), learnedLayer{serial, l})
	return func() {
		p.learned.mu.Lock()
		defer p.learned.mu.Unlock()
		p.learned.layers = slices.DeleteFunc(slices.Clone(p.learned.layers), func(x learnedLayer) bool { return x.serial == serial })
	}
}

// heard is what people say, and what was learned.
func (p *Pipeline) heard() override.Set {
	p.learned.mu.RLock()
	defer p.learned.mu.RUnlock()
	if len(p.learned.layers) == 0 {
		return p.words
	}
	layers := make([]override.Layer, len(p.learned.layers))
	for i, l := range p.learned.layers {
		layers[i] = l.Layer
	}
	return p.words.With(layers...)
}

// graft puts a package that was planned again, and all that it needs, into the plan in place of the failed one.
// False: the graph would have a loop, and stays as it was. Only the goroutine that walks the graph may call it.
func (r *run) graft(id plan.ID, m *mended) bool {
	builds := maps.Clone(r.work.builds)
	fresh := map[plan.ID]bool{id: true}
	for _, g := range m.grown {
		if builds[g.id] == nil { // another repair may have brought it
			builds[g.id], fresh[g.id] = g, true
		}
	}
	builds[id] = m.b
	ordered, err := r.p.graph(builds, r.work.Lock)
	if err != nil {
		r.p.cfg.Log.Info("a repair does not help", "package", id, "why", err)
		return false
	}
	for _, at := range ordered.Order() { // the key of a build has the keys of its root in it
		b := builds[at]
		behind := slices.ContainsFunc(b.rootIDs(), func(need plan.ID) bool { return fresh[need] })
		if !fresh[at] && !behind || r.outcomes[at] != nil || b.err != nil || b.reused != nil {
			continue
		}
		if behind && !fresh[at] {
			changed := *b // who builds one now reads the old one
			b = &changed
			builds[at], fresh[at] = b, true
		}
		b.cached = nil
		r.p.decide(r.p.base, b, builds)
	}
	second, err := r.p.graph(builds, r.work.Lock)
	if err != nil {
		return false
	}
	r.regrow(id, builds, second)
	return true
}

// regrow makes the new plan the one that is walked.
func (r *run) regrow(id plan.ID, builds map[plan.ID]*pkgBuild, p *plan.Plan) {
	running := map[plan.ID]bool{}
	for _, at := range r.work.Plan.Order() {
		running[at] = at != id && r.outcomes[at] == nil && r.waiting[at] == 0 && !slices.Contains(r.ready, at)
		if r.outcomes[at] == nil {
			r.left -= r.work.Plan.Node(at).Seconds
		}
	}
	r.graphMu.Lock()
	r.work.builds, r.work.Plan = builds, p
	r.graphMu.Unlock()
	r.ready = nil
	var lost []plan.ID
	for _, at := range p.Order() {
		if r.outcomes[at] != nil {
			continue
		}
		r.left += p.Node(at).Seconds
		if running[at] {
			continue
		}
		r.waiting[at] = 0
		for _, need := range p.Node(at).Root {
			switch o := r.outcomes[need]; {
			case o == nil:
				r.waiting[at]++
			case o.State == StateFailed || o.State == StateBlocked:
				lost = append(lost, at)
			}
		}
		if r.waiting[at] == 0 {
			r.ready = append(r.ready, at)
		}
	}
	for _, at := range lost {
		r.ready = slices.DeleteFunc(r.ready, func(other plan.ID) bool { return other == at })
		o := r.outcome(at, StateBlocked)
		for _, need := range p.Node(at).Root {
			if bad := r.outcomes[need]; bad != nil && (bad.State == StateFailed || bad.State == StateBlocked) && o.Root == "" {
				if o.Root = bad.Root; o.Root == "" {
					o.Root = string(need)
				}
			}
		}
		r.finish(at, o)
	}
}

// retry has a failed package that was planned again tried again. False: it stays failed.
func (r *run) retry(id plan.ID, o *Outcome) bool {
	if o.mended == nil || r.full != nil || !r.graft(id, o.mended) {
		return false
	}
	last := o.mended.b.repairs[len(o.mended.b.repairs)-1]
	r.p.report(Event{Event: "package", Stage: "build", Name: o.Name, Version: o.Version, State: StateRetrying, Message: last.String(), Log: o.Log,
		Done: int(r.done.Load()), Total: r.work.Plan.Len()})
	return true
}

// StateRetrying is the state of a package, in events only, whose build failed and is tried again with a change.
const StateRetrying = "retrying"

// pkg and pkgs read the plan while it may grow.
func (r *run) pkg(id plan.ID) *pkgBuild {
	r.graphMu.RLock()
	defer r.graphMu.RUnlock()
	return r.work.builds[id]
}

// total is how many packages the plan has by now.
func (r *run) total() int {
	r.graphMu.RLock()
	defer r.graphMu.RUnlock()
	return r.work.Plan.Len()
}

func (r *run) pkgs() map[plan.ID]*pkgBuild {
	r.graphMu.RLock()
	defer r.graphMu.RUnlock()
	return r.work.builds // never changed in place
}

// keepLearned writes down what mended a package, once it is built.
func (r *run) keepLearned(id plan.ID, o *Outcome) {
	b := r.work.builds[id]
	if b == nil || len(b.repairs) == 0 {
		return
	}
	o.Repairs = b.repairs
	if o.State != StateBuilt && o.State != StateReused {
		return
	}
	shown, err := r.p.keepLearned(b, r.logs)
	if err != nil {
		r.p.warn("build", fmt.Sprintf("what mended %s could not be written down: %v", id, err))
		return
	}
	r.p.report(Event{Event: "note", Stage: "build", Name: b.name, Version: b.version, Log: shown,
		Message: fmt.Sprintf("%s was built with a change; keep it: %s", id, shown)})
}

// explainFailure gives a failure that no log tells of its word, and what its message shows.
func (p *Pipeline) explainFailure(o *Outcome) {
	if o.err == nil || o.Why != "" {
		return
	}
	o.Why = diagnose.Cause(FailureWord(o.err))
	if found := diagnose.ReadText(o.Cause, diagnose.Facts{Name: o.Name, Version: o.Version}); found[0].Cause != diagnose.Unknown {
		unsafe(found)
		o.Why, o.Findings = found[0].Cause, found
	}
}
