package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/diagnose"
	"reqpm/internal/filelock"
	"reqpm/internal/plan"
)

// Built is one finished build in the cache that all projects of a machine share. It
// stands under its content key and never changes.
type Built struct {
	Key      string             `json:"key"`
	Name     string             `json:"name"`
	Version  string             `json:"version"`
	RPMs     []RPM              `json:"rpms"`
	SRPM     string             `json:"srpm"`   // file name
	Sums     map[string]string  `json:"sha256"` // by file name, of RPMs and SRPM
	Manifest []string           `json:"manifest"`
	Seconds  float64            `json:"seconds"`
	Phases   map[string]float64 `json:"phases"`
	Finished time.Time          `json:"finished"`

	dir string
}

// Outcome is what became of one package in a run.
type Outcome struct {
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Target  string  `json:"target"`
	State   string  `json:"state"` // built, reused, distribution, failed, blocked, waiting (cancelled before its turn)
	Seconds float64 `json:"seconds"`
	Cause   string  `json:"message,omitempty"` // failed: why, for people
	Log     string  `json:"log,omitempty"`
	Root    string  `json:"root,omitempty"`  // blocked: the failed package it waits for
	NEVRA   string  `json:"nevra,omitempty"` // distribution: its RPM
	Runtime bool    `json:"runtime"`
	// Why is the reason of a failure in one word that stays the same (package diagnose, or
	// FailureWord), Findings what its log shows, Repairs what was changed about the build.
	Why      diagnose.Cause     `json:"cause,omitempty"`
	Findings []diagnose.Finding `json:"findings,omitempty"`
	Repairs  []Repair           `json:"repairs,omitempty"`

	built  *Built
	err    error
	mended *mended // the failed package, planned again
}

// path is where an RPM of the build lies.
func (b *Built) path(r RPM) string { return filepath.Join(b.dir, r.File) }

// The states of an outcome.
const (
	StateBuilt   = "built"
	StateReused  = "reused"       // from the cache of builds
	StateDistro  = "distribution" // the distribution's own package
	StateFailed  = "failed"
	StateBlocked = "blocked"
	StateWaiting = "waiting"
)

// run walks the graph: builds that wait for nobody queue for the pool's slots, the one with the
// longest chain behind it first. What it holds belongs to the goroutine that walks.
type run struct {
	p        *Pipeline
	work     *Work
	logs     string
	waiting  map[plan.ID]int
	ready    []plan.ID
	outcomes map[plan.ID]*Outcome
	left     float64 // expected seconds of builds not yet finished
	done     atomic.Int64
	running  int
	results  chan finished
	full     error        // the disk is: nothing new is begun
	graphMu  sync.RWMutex // work's graph may grow while builds run
}

type finished struct {
	id      plan.ID
	outcome *Outcome
	slot    *ticket // still held, so that who waited for this build is in the queue before the slot is free
}

// Build carries out a plan. A failed build blocks its dependents and nothing else. When ctx
// is cancelled nothing new starts, running builds are stopped, and the error is ctx's; what
// was finished stays in the cache, so that the same call goes on from there. A full disk ends
// it likewise, with ErrDiskFull.
func (p *Pipeline) Build(ctx context.Context, work *Work, logDir string) (map[plan.ID]*Outcome, error) {
	p.stage("build", fmt.Sprintf("%d packages on %d slots", work.Plan.Len(), p.Slots()))
	return p.walk(ctx, work, logDir)
}

// walk is Build of a whole plan or a part of one.
func (p *Pipeline) walk(ctx context.Context, work *Work, logDir string) (map[plan.ID]*Outcome, error) {
	r := &run{p: p, work: work, logs: logDir, waiting: map[plan.ID]int{}, outcomes: map[plan.ID]*Outcome{}, results: make(chan finished)}
	for _, id := range work.Plan.Order() {
		n := work.Plan.Node(id)
		r.left += n.Seconds
		r.waiting[id] = len(n.Root)
		if len(n.Root) == 0 {
			r.ready = append(r.ready, id)
		}
	}
	beginning, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.begin(ctx, beginning)
	for r.running > 0 {
		f := <-r.results
		r.running--
		r.finish(f.id, f.outcome)
		if r.full != nil {
			stop(r.full)
		}
		r.begin(ctx, beginning)
		f.slot.leave()
	}
	for _, id := range work.Plan.Order() {
		if r.outcomes[id] == nil {
			r.outcomes[id] = r.outcome(id, StateWaiting)
		}
	}
	if err := p.history.save(); err != nil {
		p.warn("build", "build times could not be kept for the next estimate: "+err.Error())
	}
	if r.full != nil && ctx.Err() == nil {
		return r.outcomes, r.full
	}
	return r.outcomes, ctx.Err()
}

// begin queues every ready build for a slot, the most urgent first. beginning ends when nothing new may
// start, ctx when what runs must stop as well.
func (r *run) begin(ctx, beginning context.Context) {
	for len(r.ready) > 0 && beginning.Err() == nil {
		id := r.next()
		if known := r.known(id); known != nil {
			r.finish(id, known)
			continue
		}
		r.running++
		rpms, slot := r.rootRPMs(id), r.p.cfg.Pool.join(r.work.Plan.Tail(id))
		go func() { r.results <- finished{id, r.build(ctx, beginning, id, rpms, slot), slot} }()
	}
}

// next takes the ready build with the longest chain behind it.
func (r *run) next() plan.ID {
	best := slices.MinFunc(r.ready, func(a, b plan.ID) int {
		return cmp.Or(cmp.Compare(r.work.Plan.Tail(b), r.work.Plan.Tail(a)), cmp.Compare(a, b))
	})
	r.ready = slices.DeleteFunc(r.ready, func(id plan.ID) bool { return id == best })
	return best
}

func (r *run) outcome(id plan.ID, state string) *Outcome {
	r.graphMu.RLock()
	n := r.work.Plan.Node(id)
	r.graphMu.RUnlock()
	return &Outcome{Name: n.Name, Version: n.Version, Target: r.p.cfg.Target.Name, State: state, Runtime: n.Runtime}
}

// known is the outcome of a package that needs no build.
func (r *run) known(id plan.ID) *Outcome {
	b := r.work.builds[id]
	switch {
	case b.err != nil:
		o := r.outcome(id, StateFailed)
		o.Cause, o.err = b.err.Error(), b.err
		return o
	case b.reused != nil:
		o := r.outcome(id, StateDistro)
		o.NEVRA = b.reused[0].RPM.NEVRA()
		return o
	case b.cached != nil:
		o := r.outcome(id, StateReused)
		o.built = b.cached
		return o
	}
	return nil
}

// finish notes an outcome and lets go, or blocks, who waited for it.
func (r *run) finish(id plan.ID, o *Outcome) {
	if r.outcomes[id] != nil || r.retry(id, o) {
		return
	}
	r.p.explainFailure(o)
	r.keepLearned(id, o)
	r.outcomes[id] = o
	r.done.Add(1)
	r.left -= r.work.Plan.Node(id).Seconds
	if errors.Is(o.err, ErrDiskFull) {
		r.full = o.err
	}
	r.report(o)
	for _, dependent := range r.work.Plan.Dependents(id) {
		switch o.State {
		case StateBuilt, StateReused, StateDistro:
			if r.waiting[dependent]--; r.waiting[dependent] == 0 && r.outcomes[dependent] == nil {
				r.ready = append(r.ready, dependent)
			}
		case StateFailed, StateBlocked:
			blocked := r.outcome(dependent, StateBlocked)
			blocked.Root = cmp.Or(o.Root, string(id))
			r.finish(dependent, blocked)
		}
	}
}

func (r *run) report(o *Outcome) {
	if o.State == StateWaiting {
		return
	}
	message := o.Cause
	if o.State == StateBlocked {
		message = "needs " + o.Root + ", which failed"
	}
	r.p.report(Event{Event: "package", Stage: "build", Name: o.Name, Version: o.Version, State: o.State, Message: message,
		Log: o.Log, Seconds: o.Seconds, Done: int(r.done.Load()), Total: r.work.Plan.Len(), Left: max(r.left, 0) / float64(r.p.Slots())})
}

// build makes one package when slot is there, or finds that another process, or another target's
// pipeline, just did.
func (r *run) build(ctx, beginning context.Context, id plan.ID, rpms []string, slot *ticket) *Outcome {
	if slot.wait(beginning) != nil {
		return r.outcome(id, StateWaiting)
	}
	b := r.pkg(id)
	started := time.Now()
	unlock, err := r.p.lockKeyFor(ctx, beginning, b.key, slot)
	if err != nil {
		return r.failed(beginning, id, err, started)
	}
	defer unlock()
	if cached := r.cached(b); cached != nil {
		o := r.outcome(id, StateReused)
		o.built = cached
		return o
	}
	r.p.report(Event{Event: "package", Stage: "build", Name: b.name, Version: b.version, State: "building", Done: int(r.done.Load()), Total: r.total()})
	built, err := r.attempt(ctx, b, rpms)
	if err != nil {
		return r.repair(ctx, id, err, r.failed(ctx, id, err, started))
	}
	o := r.outcome(id, StateBuilt)
	o.built, o.Seconds = built, time.Since(started).Seconds()
	r.p.history.record(b.name, o.Seconds)
	return o
}

func (r *run) failed(ctx context.Context, id plan.ID, err error, started time.Time) *Outcome {
	if ctx.Err() != nil {
		return r.outcome(id, StateWaiting)
	}
	err = r.p.explainDisk(err)
	o := r.outcome(id, StateFailed)
	o.Seconds, o.Cause, o.err = time.Since(started).Seconds(), err.Error(), err
	if be, ok := errors.AsType[*builder.BuildError](err); ok {
		o.Log = be.Log
	}
	return o
}

// attempt builds, and builds once more when the first result shows that the package is
// compiled where the spec said noarch, or the other way round: only a build knows.
func (r *run) attempt(ctx context.Context, b *pkgBuild, rpms []string) (*Built, error) {
	for try := 1; ; try++ {
		b.attempts++
		built, err := r.buildOnce(ctx, b, rpms, b.attempts)
		flip, ok := errors.AsType[*archError](err)
		if !ok || try > 1 {
			return built, err
		}
		r.p.report(Event{Event: "note", Stage: "build", Name: b.name, Version: b.version, Message: fmt.Sprintf("%s is built once more: %v", b.id, flip)})
		if err := r.p.learnArch(ctx, b, flip); err != nil {
			return nil, err
		}
	}
}

// buildOnce is one attempt. Its folder under the run keeps the logs; a good result goes to the cache.
func (r *run) buildOnce(ctx context.Context, b *pkgBuild, rpms []string, try int) (*Built, error) {
	result, err := r.p.buildIn(ctx, b, rpms, r.logs, try)
	if err != nil {
		return nil, archMistake(err)
	}
	return r.p.accept(b, result)
}

// buildIn has the base build a spec, with logs below a folder.
func (p *Pipeline) buildIn(ctx context.Context, b *pkgBuild, rpms []string, logs string, try int) (builder.Result, error) {
	base, err := p.openBase(ctx)
	if err != nil {
		return builder.Result{}, err
	}
	scratch, err := os.MkdirTemp(p.paths.tmp(), "build-")
	if err != nil {
		return builder.Result{}, err
	}
	defer os.RemoveAll(scratch)
	specPath, sources, err := b.spec.materialise(scratch)
	if err != nil {
		return builder.Result{}, err
	}
	debs, err := p.fetchDebs(ctx, b.outside.debs)
	if err != nil {
		return builder.Result{}, err
	}
	folder := filepath.Join(logs, b.name+"-"+b.version)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return builder.Result{}, err
	}
	return base.Build(ctx, builder.Job{
		Name: b.name + " " + b.version, Spec: specPath, Sources: sources, RPMs: rpms, Debs: debs,
		ResultDir: filepath.Join(folder, fmt.Sprintf("attempt-%d", try)), Limits: p.saidLimits(b),
		Phase: func(phase builder.Phase) {
			p.report(Event{Event: "progress", Stage: "build", Name: b.name, Version: b.version, State: "building", Phase: string(phase)})
		},
	})
}

// rootRPMs are the files of the planned build root of id. Only the goroutine that walks the
// graph may call it.
func (r *run) rootRPMs(id plan.ID) []string {
	var files []string
	for _, need := range r.work.builds[id].rootIDs() {
		built := r.outcomes[need].built
		if built == nil {
			continue // the distribution's: dnf takes it from the target's repositories
		}
		for _, rpm := range built.RPMs {
			files = append(files, filepath.Join(built.dir, rpm.File))
		}
	}
	return files
}

// cached is what another pipeline or process has built since the plan was made.
func (r *run) cached(b *pkgBuild) *Built {
	if r.p.cfg.Refresh {
		return nil
	}
	return r.p.cachedBuild(b.key)
}

// lockKeyFor is lockKey for who holds a slot: while somebody else builds the key, others may have it.
func (p *Pipeline) lockKeyFor(ctx, beginning context.Context, key string, slot *ticket) (unlock func(), err error) {
	f, err := filelock.Try(p.keyLock(key))
	if err == nil {
		return func() { f.Close() }, nil
	}
	if !errors.Is(err, filelock.ErrHeld) {
		return nil, err
	}
	slot.leave()
	if unlock, err = p.lockKey(ctx, key); err != nil {
		return nil, err
	}
	slot.rejoin()
	if err := slot.wait(beginning); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

func (p *Pipeline) keyLock(key string) string { return filepath.Join(p.paths.builds(), key+".lock") }

// lockKey holds the right to build one key among all processes on the machine.
func (p *Pipeline) lockKey(ctx context.Context, key string) (unlock func(), err error) {
	f, err := filelock.Wait(ctx, p.keyLock(key))
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}
