package solve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

const (
	fetchers        = 16     // goroutines that fetch ahead
	maxRequirements = 10_000 // of one version
	maxAhead        = 5_000  // packages looked at ahead of need
	maxRow          = 64     // versions of one package fetched ahead at once
)

// answer is one call of the Source: made once, by whoever needs it first.
type answer[T any] struct {
	done   chan struct{}
	needed bool // by the solver itself, not only looked at ahead
	value  T
	err    error
}

type versionKey struct{ name, version string }

// fetcher keeps every answer of the Source for one Solve and fetches ahead what
// will likely be needed. Nothing but waiting time depends on it.
type fetcher struct {
	src    Source
	req    *Request
	py     *pythonCheck
	named  map[string]pep440.Specifiers // packages on lines of the user, with all they say of them: hardly a guess, so asked whatever it costs
	ctx    context.Context              // of the goroutines; ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	lists   map[string]*answer[*versions]
	reqs    map[versionKey]*answer[[]pep508.Requirement]
	ahead   map[string]bool
	queue   []func()
	running int
	// frozen: no new calls, for questions asked after a conflict. Only answers the
	// solver has needed count as known then, since what was looked at ahead of need
	// depends on timing.
	frozen bool
}

// errUnknown: not asked for before the fetcher was frozen.
var errUnknown = errors.New("not known")

func newFetcher(ctx context.Context, src Source, req *Request) *fetcher {
	f := &fetcher{
		src: src, req: req, py: newPythonCheck(req.Env),
		lists: map[string]*answer[*versions]{},
		reqs:  map[versionKey]*answer[[]pep508.Requirement]{},
		ahead: map[string]bool{}, named: named(req),
	}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// named are the packages on lines of the user that hold for the target, each with the
// specifiers of all such lines and constraints.
func named(req *Request) map[string]pep440.Specifiers {
	lines := slices.DeleteFunc(slices.Clone(req.Roots), func(r Root) bool { return !r.Req.Marker.Eval(req.Env, "") })
	found := map[string]pep440.Specifiers{}
	for _, r := range lines {
		if !r.Constraint {
			found[r.Req.Key()] = pep440.Specifiers{}
		}
	}
	for _, r := range lines {
		if said, ok := found[r.Req.Key()]; ok {
			found[r.Req.Key()] = said.And(r.Req.Specifiers)
		}
	}
	return found
}

// freeze ends all fetching; answers so far stay.
func (f *fetcher) freeze() {
	f.mu.Lock()
	f.frozen, f.queue = true, nil
	f.mu.Unlock()
	f.cancel()
	f.wg.Wait()
}

func (f *fetcher) versions(ctx context.Context, name string) (*versions, error) {
	return get(ctx, f, f.lists, name, ahead(ctx, f), func(ctx context.Context) (*versions, error) {
		cands, err := f.src.Candidates(ctx, name)
		if errors.Is(err, ErrNotFound) {
			return newVersions(name, false, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("versions of %s: %w", name, err)
		}
		return newVersions(name, true, cands)
	})
}

func (f *fetcher) requires(ctx context.Context, name string, v pep440.Version) ([]pep508.Requirement, error) {
	return get(ctx, f, f.reqs, versionKey{name, v.String()}, ahead(ctx, f), func(ctx context.Context) ([]pep508.Requirement, error) {
		reqs, err := f.src.Requires(ctx, name, v)
		if err == nil && len(reqs) > maxRequirements {
			err = fmt.Errorf("%d requirements, more than the %d allowed", len(reqs), maxRequirements)
		}
		return reqs, err
	})
}

// ahead tells whether a call is made on the fetcher's own account.
func ahead(ctx context.Context, f *fetcher) bool { return ctx == f.ctx }

// get answers from m, or makes the call itself when nobody has begun it.
func get[K comparable, T any](ctx context.Context, f *fetcher, m map[K]*answer[T], key K, ahead bool, call func(context.Context) (T, error)) (value T, err error) {
	f.mu.Lock()
	a := m[key]
	if f.frozen && (a == nil || !a.needed) {
		f.mu.Unlock()
		return value, errUnknown
	}
	mine := a == nil
	if mine {
		a = &answer[T]{done: make(chan struct{})}
		m[key] = a
	}
	a.needed = a.needed || !ahead
	f.mu.Unlock()
	if mine {
		a.value, a.err = call(ctx)
		close(a.done)
	}
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// knows tells whether the requirements of a version have been answered.
func (f *fetcher) knows(name string, v pep440.Version) bool {
	f.mu.Lock()
	a := f.reqs[versionKey{name, v.String()}]
	needed := a != nil && a.needed
	f.mu.Unlock()
	if !needed {
		return false
	}
	select {
	case <-a.done:
		return !errors.Is(a.err, context.Canceled)
	default:
		return false
	}
}

// look starts fetching what r will likely need: the versions of the package,
// the requirements of the version that would be chosen for r alone, and so on.
func (f *fetcher) look(r pep508.Requirement) {
	name := r.Key()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen || f.ahead[name] || len(f.ahead) >= maxAhead {
		return
	}
	f.ahead[name] = true
	f.enqueue(func() { f.lookNow(name, r) })
}

// enqueue has work done by the goroutines; f.mu is held.
func (f *fetcher) enqueue(work func()) {
	f.queue = append(f.queue, work)
	if f.running < fetchers {
		f.running++
		f.wg.Go(f.work)
	}
}

// lookAt starts fetching the requirements of one version.
func (f *fetcher) lookAt(name string, v pep440.Version) {
	if e, ok := f.src.(Eager); !ok || e.Cheap(name, v) {
		f.ask(name, v)
	}
}

// dear tells whether the requirements of a version are costly to have, and nobody asks for them yet.
func (f *fetcher) dear(name string, v pep440.Version) bool {
	f.mu.Lock()
	asked := f.reqs[versionKey{name, v.String()}] != nil
	f.mu.Unlock()
	e, ok := f.src.(Eager)
	return ok && !asked && !e.Cheap(name, v)
}

// ask has the requirements of one version fetched, whatever that costs.
func (f *fetcher) ask(name string, v pep440.Version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.frozen && f.reqs[versionKey{name, v.String()}] == nil {
		f.enqueue(func() { _, _ = f.requires(f.ctx, name, v) }) // who needs it gets the error, too
	}
}

func (f *fetcher) work() {
	for {
		f.mu.Lock()
		if len(f.queue) == 0 || f.ctx.Err() != nil {
			f.running--
			f.mu.Unlock()
			return
		}
		next := f.queue[0]
		f.queue = f.queue[1:]
		f.mu.Unlock()
		next()
	}
}

func (f *fetcher) lookNow(name string, r pep508.Requirement) {
	vs, err := f.versions(f.ctx, name)
	if err != nil {
		return
	}
	said, named := f.named[name]
	v, ok := f.likely(vs, said.And(r.Specifiers))
	if !ok {
		return
	}
	if e, ok := f.src.(Eager); ok && !e.Cheap(name, v) && !named { // asked in any case: Cheap may get ready
		return
	}
	reqs, err := f.requires(f.ctx, name, v)
	if err != nil {
		return
	}
	for _, q := range reqs {
		if q.Marker.EvalAny(f.req.Env, r.Extras) {
			for _, c := range f.req.inPlaceOf(q, f.req.Env) {
				f.look(c.Requirement)
			}
		}
	}
}

// likely guesses the version the solver will try first for spec.
func (f *fetcher) likely(vs *versions, spec pep440.Specifiers) (pep440.Version, bool) {
	if v, ok := f.req.Prefer[vs.name]; ok && spec.Contains(v) {
		if i := vs.like(v); i > 0 {
			return vs.cands[i-1].Version, true
		}
	}
	pre := f.req.Pre || spec.NamesPrerelease()
	for i := len(vs.cands) - 1; i >= 0; i-- {
		c := vs.cands[i]
		if !c.Yanked && !c.NoSource && (pre || !c.Version.IsPrerelease()) && spec.Contains(c.Version) && f.py.allows(c.RequiresPython) {
			return c.Version, true
		}
	}
	return pep440.Version{}, false
}
