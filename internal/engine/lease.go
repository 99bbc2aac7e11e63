package engine

import (
	"context"
	"errors"
	"time"

	"reqpm/internal/store"
)

// beat gives signs of life until ctx ends.
func (e *Engine) beat(ctx context.Context) {
	tick := time.NewTicker(e.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		e.mu.Lock()
		w, free, problem := e.worker, e.free, e.problem
		e.mu.Unlock()
		if w.ID == 0 {
			continue
		}
		err := e.store.Beat(ctx, w.ID, free, problem)
		if errors.Is(err, store.ErrLost) {
			// Others have given us up: a suspended machine, a database that was away for us alone. All that
			// runs here is a zombie; we begin anew.
			e.log.Warn("this worker was given up by others; its steps go on elsewhere")
			e.stopAll(ErrLostLease)
			err = e.register(ctx, false)
			e.poke()
		}
		if err == nil {
			err = e.checkHeld(ctx)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Warn("no sign of life could be given", "error", err)
		}
	}
}

// sighting is what was last seen of a worker.
type sighting struct {
	beats  int64
	silent time.Duration
}

// reap gives up workers that give no sign of life, until ctx ends.
func (e *Engine) reap(ctx context.Context) {
	every := max(min(e.cfg.Lease/4, time.Second), 10*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	seen := map[int64]sighting{}
	before := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		living, err := e.store.LivingWorkers(ctx)
		if err != nil {
			// Who cannot see cannot say that others are silent.
			clear(seen)
			if ctx.Err() == nil {
				e.log.Warn("the other workers cannot be watched", "error", err)
			}
			continue
		}
		// Time in which we ourselves were suspended counts little.
		passed := min(time.Since(before), 2*every)
		before = time.Now()
		now := map[int64]sighting{}
		for _, w := range living {
			s := sighting{beats: w.Beats}
			if old, ok := seen[w.ID]; ok && old.beats == w.Beats {
				s.silent = old.silent + passed
			}
			if s.silent >= w.Lease {
				e.giveUp(ctx, w)
			}
			now[w.ID] = s
		}
		seen = now
	}
}

func (e *Engine) giveUp(ctx context.Context, w store.Worker) {
	var lost []store.Step
	err := e.store.Write(ctx, func(tx *store.Tx) (err error) {
		lost, err = tx.LoseWorker(ctx, w.ID, w.Beats, e.cfg.MaxLosses)
		return err
	})
	switch {
	case err != nil && ctx.Err() == nil:
		e.log.Warn("a silent worker could not be given up", "lost", w.Name, "error", err)
	case err == nil:
		e.log.Warn("a worker is silent: its steps go on elsewhere", "lost", w.Name, "lease", w.Lease, "steps", len(lost))
	}
}
