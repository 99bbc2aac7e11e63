package pipeline

import (
	"context"
	"slices"
	"sync"
)

// Pool is how much this machine does at once for all pipelines that were given it: builds, of which
// the most urgent gets the next free slot whichever pipeline it is of, and questions to build backends.
// All methods are safe for concurrent use.
type Pool struct {
	size      int
	questions chan struct{}

	mu      sync.Mutex
	free    int
	waiting []*ticket // in the order they came
}

// NewPool makes a pool of that many slots, at least one.
func NewPool(slots int) *Pool {
	slots = max(slots, 1)
	return &Pool{size: slots, free: slots, questions: make(chan struct{}, slots)}
}

// Slots is how many builds run at once.
func (p *Pool) Slots() int { return p.size }

// ticket is one build's place in the queue. Whoever joined waits, and leaves in any case.
type ticket struct {
	pool    *Pool
	urgency float64
	turn    chan struct{} // closed when the slot is there
	held    bool          // under the pool's lock
}

// join queues up; the greater the urgency, the sooner.
func (p *Pool) join(urgency float64) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &ticket{pool: p, urgency: urgency, turn: make(chan struct{})}
	p.waiting = append(p.waiting, t)
	p.serve()
	return t
}

// serve gives free slots to the most urgent; of equals the first who came.
func (p *Pool) serve() {
	for p.free > 0 && len(p.waiting) > 0 {
		next := p.waiting[0]
		for _, t := range p.waiting {
			if t.urgency > next.urgency {
				next = t
			}
		}
		p.drop(next)
		p.free--
		next.held = true
		close(next.turn)
	}
}

func (p *Pool) drop(t *ticket) {
	p.waiting = slices.DeleteFunc(p.waiting, func(other *ticket) bool { return other == t })
}

// wait returns when the slot is there, or with the cause why ctx ended.
func (t *ticket) wait(ctx context.Context) error {
	select {
	case <-t.turn:
	case <-ctx.Done():
	}
	if ctx.Err() != nil { // also where both are true: nothing begins after the end
		return context.Cause(ctx)
	}
	return nil
}

// rejoin queues up again after leave.
func (t *ticket) rejoin() {
	p := t.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	t.turn = make(chan struct{})
	p.waiting = append(p.waiting, t)
	p.serve()
}

// leave gives the slot, or the place in the queue, to others. It may be called more than once.
func (t *ticket) leave() {
	p := t.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(t)
	if t.held {
		t.held = false
		p.free++
	}
	p.serve()
}
