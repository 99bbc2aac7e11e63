package engine

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"reqpm/internal/store"
)

// keep is how many events the hub has in memory for followers; who is further behind reads the database.
const keep = 1024

// hub reads new events once for all followers.
type hub struct {
	store *store.Store

	mu     sync.Mutex
	recent []store.Event // the newest, in order, without a gap
	last   int64         // number of the newest; -1: not known yet
	more   chan struct{} // closed and replaced when there are more
}

func newHub(s *store.Store) *hub { return &hub{store: s, last: -1, more: make(chan struct{})} }

// run reads events until ctx ends.
func (h *hub) run(ctx context.Context, poll time.Duration, log *slog.Logger) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		changed := h.store.Changed()
		if err := h.read(ctx); err != nil && ctx.Err() == nil {
			log.Warn("events cannot be read", "error", err)
			changed = nil // not faster than the ticks
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-tick.C:
		}
	}
}

func (h *hub) read(ctx context.Context) error {
	h.mu.Lock()
	last := h.last
	h.mu.Unlock()
	if last < 0 {
		newest, err := h.store.LastEvent(ctx)
		if err != nil {
			return err
		}
		h.add(nil, newest)
		return nil
	}
	for {
		events, err := h.store.EventsAfter(ctx, last, store.EventFilter{}, keep)
		if err != nil || len(events) == 0 {
			return err
		}
		last = events[len(events)-1].ID
		h.add(events, last)
	}
}

func (h *hub) add(events []store.Event, last int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recent = append(h.recent, events...)
	if over := len(h.recent) - keep; over > 0 {
		h.recent = append([]store.Event{}, h.recent[over:]...)
	}
	h.last = last
	close(h.more)
	h.more = make(chan struct{})
}

// after are the events after a number that are in memory. whole: none is missing between.
func (h *hub) after(id int64) (events []store.Event, whole bool, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last < 0 {
		return nil, false, h.more
	}
	for i, e := range h.recent {
		if e.ID > id {
			// The one before the first in memory may be missing.
			return h.recent[i:len(h.recent):len(h.recent)], i > 0 || h.recent[0].ID == id+1, h.more
		}
	}
	return nil, id >= h.last, h.more
}

// Events yields the events after a number as they happen, each once and in order, until ctx ends or the
// caller stops. Who was away goes on with the last number he has seen; -1 is from now on. Run must be running.
func (e *Engine) Events(ctx context.Context, after int64, filter store.EventFilter) iter.Seq2[store.Event, error] {
	return func(yield func(store.Event, error) bool) {
		if after < 0 {
			last, err := e.store.LastEvent(ctx)
			if err != nil {
				yield(store.Event{}, err)
				return
			}
			after = last
		}
		for {
			events, whole, more := e.hub.after(after)
			if !whole {
				var err error
				if events, err = e.store.EventsAfter(ctx, after, store.EventFilter{}, keep); err != nil {
					yield(store.Event{}, err)
					return
				}
			}
			for _, event := range events {
				after = event.ID
				if filter.Project != 0 && event.Project != filter.Project || filter.Run != 0 && event.Run != filter.Run {
					continue
				}
				if !yield(event, nil) {
					return
				}
			}
			if len(events) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				yield(store.Event{}, context.Cause(ctx))
				return
			case <-more:
			}
		}
	}
}
