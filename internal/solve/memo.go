package solve

import (
	"context"
	"errors"
	"sync"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// memo keeps the answers of a Source for several solves: also that something cannot be had,
// which may have taken a build backend's time to find out. Safe for concurrent use.
type memo struct {
	src    Source
	mu     sync.Mutex
	cands  map[string]kept[[]Candidate]
	reqs   map[versionKey]kept[[]pep508.Requirement]
	extras map[versionKey]kept[[]string]
}

type kept[T any] struct {
	value T
	err   error
}

func newMemo(src Source) *memo {
	return &memo{src: src, cands: map[string]kept[[]Candidate]{}, reqs: map[versionKey]kept[[]pep508.Requirement]{}, extras: map[versionKey]kept[[]string]{}}
}

// remember answers from all, or calls and keeps the answer.
func remember[K comparable, V any](m *memo, all map[K]kept[V], key K, call func() (V, error)) (V, error) {
	m.mu.Lock()
	k, ok := all[key]
	m.mu.Unlock()
	if ok {
		return k.value, k.err
	}
	k.value, k.err = call()
	if !errors.Is(k.err, context.Canceled) && !errors.Is(k.err, context.DeadlineExceeded) {
		m.mu.Lock()
		all[key] = k
		m.mu.Unlock()
	}
	return k.value, k.err
}

// Candidates implements Source.
func (m *memo) Candidates(ctx context.Context, name string) ([]Candidate, error) {
	return remember(m, m.cands, name, func() ([]Candidate, error) { return m.src.Candidates(ctx, name) })
}

// Requires implements Source.
func (m *memo) Requires(ctx context.Context, name string, v pep440.Version) ([]pep508.Requirement, error) {
	return remember(m, m.reqs, versionKey{name, v.String()}, func() ([]pep508.Requirement, error) { return m.src.Requires(ctx, name, v) })
}

// Cheap implements Eager.
func (m *memo) Cheap(name string, v pep440.Version) bool {
	e, ok := m.src.(Eager)
	return !ok || e.Cheap(name, v)
}

// Extras implements ExtraLister. Without one behind it, it knows none, which costs a warning
// that nobody reads.
func (m *memo) Extras(ctx context.Context, name string, v pep440.Version) ([]string, error) {
	l, ok := m.src.(ExtraLister)
	if !ok {
		return nil, nil
	}
	return remember(m, m.extras, versionKey{name, v.String()}, func() ([]string, error) { return l.Extras(ctx, name, v) })
}

// opened shows a memo's packages with one kind of version of one package no longer
// marked, so that the policy lets it in.
type opened struct {
	*memo
	name string
	kind kind
}

// Candidates implements Source.
func (o *opened) Candidates(ctx context.Context, name string) ([]Candidate, error) {
	cands, err := o.memo.Candidates(ctx, name)
	if err != nil || name != o.name {
		return cands, err
	}
	shown := make([]Candidate, len(cands))
	for i, c := range cands {
		switch o.kind {
		case kindYanked:
			c.Yanked = false
		case kindNoSource:
			c.NoSource = false
		}
		shown[i] = c
	}
	return shown, nil
}

// ask is req with the pre-releases of the package named, when it is about these.
func (o *opened) ask(req Request) Request {
	if o.kind != kindPre {
		return req
	}
	named, err := pep508.Parse(o.name + ">=0.dev0")
	if err != nil {
		return req
	}
	req.Roots = append(append([]Root(nil), req.Roots...), Root{Req: named, Constraint: true})
	return req
}

// was tells whether a version is one of those that were not let in before.
func (o *opened) was(ctx context.Context, v pep440.Version) bool {
	cands, err := o.memo.Candidates(ctx, o.name)
	if err != nil {
		return false
	}
	for _, c := range cands {
		if c.Version.Compare(v) == 0 {
			return o.kind == kindPre && v.IsPrerelease() || o.kind == kindYanked && c.Yanked || o.kind == kindNoSource && c.NoSource
		}
	}
	return false
}
