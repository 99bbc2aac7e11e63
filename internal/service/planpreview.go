package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"reqpm/internal/store"
)

// Bounds of plan previews. They are work of this process that nobody has a run for, so there are few of them.
const (
	previewsAtOnce   = 2 // that resolve
	previewsWaiting  = 20
	previewsKept     = 100
	previewKeep      = time.Hour // after it ended
	previewMost      = 20 * time.Minute
	previewUnwatched = time.Minute // nobody looks at it any more: a page that is hidden looks in every 15 s
	previewTargets   = 12
)

// ErrPreviewsFull: so many plans are being previewed that no other is begun now.
var ErrPreviewsFull = errors.New("too many plans are being previewed; try again in a minute")

// PlanAsk is what a plan is to be previewed for.
type PlanAsk struct {
	Owner   string // whose it is: one of each owner's resolves at a time, and nobody else sees it
	Subject Subject
	Targets []string
	// Now is what it is to be compared with (PlanView.Now); nil: nothing.
	Now *Subject
	// About says what it is a preview of, for whoever started it: not looked at here.
	About string
}

// PlanPreviews are plans that people look at before anything is saved: a subject resolved for its targets in the background, in
// this process and for as long as it lives. Nothing of them is in the database, and none is a run. Safe for concurrent use.
type PlanPreviews struct {
	service *Service
	ctx     context.Context
	stop    context.CancelCauseFunc
	work    sync.WaitGroup
	slots   chan struct{}

	mu  sync.Mutex
	all map[string]*PlanPreview
}

// NewPlanPreviews makes them for a service. Close it before the service.
func NewPlanPreviews(s *Service) *PlanPreviews {
	p := &PlanPreviews{service: s, slots: make(chan struct{}, previewsAtOnce), all: map[string]*PlanPreview{}}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	return p
}

var (
	errServerEnds = errors.New("the server ends")
	errReplaced   = errors.New("another preview was asked for")
	errUnwatched  = errors.New("nobody was looking any more")
	errAsked      = errors.New("cancelled")
	errTooLong    = fmt.Errorf("it took longer than %s", previewMost)
)

// Close ends all of them, and waits for that.
func (all *PlanPreviews) Close() {
	all.stop(errServerEnds)
	all.work.Wait()
}

// Start begins a preview, and ends what its owner had begun before.
func (all *PlanPreviews) Start(ask PlanAsk) (*PlanPreview, error) {
	if len(ask.Targets) == 0 || len(ask.Targets) > previewTargets {
		return nil, fmt.Errorf("a preview is of 1 to %d targets, not of %d", previewTargets, len(ask.Targets))
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.sweep()
	going := 0
	for _, p := range all.all {
		switch {
		case p.ended():
		case p.ask.Owner == ask.Owner:
			p.cancel(errReplaced)
		default:
			going++
		}
	}
	if going >= previewsWaiting || all.ctx.Err() != nil {
		return nil, ErrPreviewsFull
	}
	p := &PlanPreview{all: all, ask: ask, changed: make(chan struct{}), watchers: map[context.Context]func() bool{}, seen: time.Now()}
	p.view = PlanView{ID: rand.Text(), State: PreviewWaiting, Targets: []TargetPlan{}}
	for _, t := range slices.Compact(slices.Sorted(slices.Values(ask.Targets))) {
		p.view.Targets = append(p.view.Targets, newTargetPlan(t))
		if ask.Now != nil {
			p.view.Now = append(p.view.Now, newTargetPlan(t))
		}
	}
	ctx, timeout := context.WithTimeoutCause(all.ctx, previewMost, errTooLong)
	ctx, p.cancel = context.WithCancelCause(ctx)
	all.all[p.view.ID] = p
	all.work.Go(func() {
		defer timeout()
		defer p.cancel(nil)
		p.run(ctx)
	})
	return p, nil
}

// sweep forgets those that ended long ago, and of many the oldest.
func (all *PlanPreviews) sweep() {
	var ended []*PlanPreview
	for id, p := range all.all {
		v := p.View()
		switch {
		case v.Finished == nil:
		case time.Since(*v.Finished) > previewKeep:
			delete(all.all, id)
		default:
			ended = append(ended, p)
		}
	}
	slices.SortFunc(ended, func(a, b *PlanPreview) int { return a.View().Finished.Compare(*b.View().Finished) })
	for _, p := range ended[:max(0, len(ended)-previewsKept)] {
		delete(all.all, p.view.ID)
	}
}

// Get is a preview of an owner: store.ErrNotFound for what is not his, or not there any more.
func (all *PlanPreviews) Get(owner, id string) (*PlanPreview, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.all[id]
	if p == nil || p.ask.Owner != owner {
		return nil, fmt.Errorf("the preview %.40q: %w", id, store.ErrNotFound)
	}
	p.touch()
	return p, nil
}

// PlanPreview is one of them.
type PlanPreview struct {
	all    *PlanPreviews
	ask    PlanAsk
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	view     PlanView
	changed  chan struct{} // closed at the next change
	watchers map[context.Context]func() bool
	seen     time.Time // when somebody looked last
}

// Ask is what it is a preview of.
func (p *PlanPreview) Ask() PlanAsk { return p.ask }

// View is what is known by now. The slices in it do not change.
func (p *PlanPreview) View() PlanView {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.view
	v.Targets, v.Now = slices.Clone(v.Targets), slices.Clone(v.Now)
	return v
}

// Changed is closed when View has something new.
func (p *PlanPreview) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Cancel ends it.
func (p *PlanPreview) Cancel() { p.cancel(errAsked) }

// Watch has it go on as long as ctx lives, and a minute longer: what nobody looks at is cancelled. It may be called again with the same
// context.
func (p *PlanPreview) Watch(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.watchers[ctx]; ok || ctx.Err() != nil {
		return
	}
	p.watchers[ctx] = context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watchers, ctx)
		p.seen = time.Now()
	})
}

func (p *PlanPreview) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = time.Now()
}

func (p *PlanPreview) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.view.Finished != nil
}

// abandoned tells whether nobody has looked for too long.
func (p *PlanPreview) abandoned() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.watchers) == 0 && time.Since(p.seen) > previewUnwatched
}

// change changes the view, and tells who waits for that.
func (p *PlanPreview) change(do func(v *PlanView)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do(&p.view)
	close(p.changed)
	p.changed = make(chan struct{})
}

// place is one plan of a preview: of a target, with what is asked for, or as it is now.
type place struct {
	target int
	now    bool
}

// at changes one plan of the view.
func (p *PlanPreview) at(at place, do func(t *TargetPlan)) {
	p.change(func(v *PlanView) {
		if at.now {
			v.Now = slices.Clone(v.Now)
			do(&v.Now[at.target])
			return
		}
		v.Targets = slices.Clone(v.Targets)
		do(&v.Targets[at.target])
	})
}

// run resolves one target after the other: what the first asked of the index, the others find in the caches.
func (p *PlanPreview) run(ctx context.Context) {
	watch := time.NewTicker(previewUnwatched / 4)
	defer watch.Stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-watch.C:
				if p.abandoned() {
					p.cancel(errUnwatched)
				}
			}
		}
	}()
	select {
	case p.all.slots <- struct{}{}:
		defer func() { <-p.all.slots }()
	case <-ctx.Done():
		p.finish(ctx)
		return
	}
	now := time.Now()
	p.change(func(v *PlanView) { v.State, v.Started = PreviewRunning, &now })
	for i := range p.View().Targets {
		if p.ask.Now != nil && (ctx.Err() != nil || !p.target(ctx, place{i, true})) || ctx.Err() != nil || !p.target(ctx, place{i, false}) {
			break
		}
	}
	p.finish(ctx)
}

// finish says how it ended. What had not ended did not.
func (p *PlanPreview) finish(ctx context.Context) {
	now := time.Now()
	p.change(func(v *PlanView) {
		v.Finished, v.State = &now, PreviewDone
		if ctx.Err() != nil {
			v.State, v.Error = PreviewCancelled, context.Cause(ctx).Error()
		}
		v.Targets, v.Now = slices.Clone(v.Targets), slices.Clone(v.Now)
		for _, plans := range [][]TargetPlan{v.Targets, v.Now} {
			for i := range plans {
				if s := plans[i].State; s == PreviewWaiting || s == PreviewRunning {
					plans[i].State, plans[i].Doing = PreviewCancelled, ""
				}
			}
		}
	})
}
