package rpmlog

import (
	"sync"
	"time"

	"reqpm/internal/builder"
)

// Clock follows which phase a build is in and how long each took. Safe for concurrent use.
type Clock struct {
	mu    sync.Mutex
	tell  func(builder.Phase)
	cur   builder.Phase
	since time.Time
	took  map[builder.Phase]float64
}

// NewClock makes a clock that tells of each phase entered.
func NewClock(tell func(builder.Phase)) *Clock {
	return &Clock{tell: tell, took: map[builder.Phase]float64{}}
}

// Enter ends the phase there was and begins p, unless the clock is in it.
func (c *Clock) Enter(p builder.Phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == c.cur {
		return
	}
	c.add()
	c.cur = p
	c.tell(p)
}

func (c *Clock) add() {
	if c.cur != "" && !c.since.IsZero() {
		c.took[c.cur] += time.Since(c.since).Seconds()
	}
	c.since = time.Now()
}

// Stop ends the time of the phase that the clock is in.
func (c *Clock) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add()
	c.since = time.Time{}
}

// Now is the phase entered last.
func (c *Clock) Now() builder.Phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cur
}

// Seconds stops the clock and says how long each phase took.
func (c *Clock) Seconds() map[builder.Phase]float64 {
	c.Stop()
	return c.took
}
