package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"reqpm/internal/store"
)

// Schedule is something that is done again and again, by one process at a time, whichever is there.
type Schedule struct {
	Name string
	// Every is how often where nobody has changed it: a duration ("6h"), or a time of day in the server's time zone ("02:00").
	Every string
	// Do does it; what it returns is shown as its last result, also beside an error. Its context ends with the
	// engine, or when others gave this process up; what it has begun then it must bear to do again.
	Do func(ctx context.Context) (string, error)
}

// scheduleEvery is how often it is looked whether one is due.
const scheduleEvery = 5 * time.Second

// scheduler runs the schedules of one engine.
type scheduler struct {
	e    *Engine
	runs sync.WaitGroup // one that takes long keeps no other waiting
	seen map[string]silence
}

// silence is how long a schedule has said nothing to this process: by its own monotonic clock, so that
// clocks may differ and jump.
type silence struct {
	starts int64
	until  time.Time
	passed time.Duration
}

// schedule runs what is due until ctx ends.
func (e *Engine) schedule(ctx context.Context) {
	s := scheduler{e: e, seen: map[string]silence{}}
	defer s.runs.Wait()
	known := false // that all of them are in the database
	every := min(scheduleEvery, 10*e.cfg.Poll)
	tick := time.NewTicker(every)
	defer tick.Stop()
	before := time.Now()
	for {
		var err error
		if !known {
			err = e.addSchedules(ctx)
			known = err == nil
		}
		if known {
			// Time in which we ourselves were suspended counts little.
			passed := min(time.Since(before), 2*every)
			before = time.Now()
			err = s.look(ctx, passed)
		}
		if err != nil && ctx.Err() == nil {
			clear(s.seen) // who cannot see cannot say that others are silent
			e.log.Warn("schedules cannot be run", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (e *Engine) addSchedules(ctx context.Context) error {
	for _, s := range e.cfg.Schedules {
		next, err := NextTime(s.Every, e.cfg.Now())
		if err != nil {
			return err
		}
		if err := e.store.AddSchedule(ctx, store.Schedule{Name: s.Name, Every: s.Every, Enabled: true, Next: next}); err != nil {
			return err
		}
	}
	return nil
}

// look starts what is due, and gives up what a process that died was doing.
func (s *scheduler) look(ctx context.Context, passed time.Duration) error {
	all, err := s.e.store.Schedules(ctx)
	if err != nil {
		return err
	}
	for _, row := range all {
		if s.e.do(row.Name) == nil {
			continue // of another version
		}
		if !row.RunningUntil.IsZero() {
			if err := s.watch(ctx, row, passed); err != nil {
				return err
			}
			continue
		}
		due, err := s.e.due(ctx, row)
		if err != nil {
			return err
		}
		if due {
			s.runs.Go(func() {
				if err := s.e.runSeen(ctx, row); err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
					s.e.log.Warn("a schedule failed", "schedule", row.Name, "error", err)
				}
			})
		}
	}
	return nil
}

// due tells whether a schedule that nobody runs should be, and puts right what a clock that went back has left of it.
func (e *Engine) due(ctx context.Context, row store.Schedule) (bool, error) {
	now := e.cfg.Now()
	if row.Asked != "" || row.Enabled && !row.Next.After(now) {
		return true, nil
	}
	next, err := pulledIn(row.Every, row.Next, now)
	if err != nil || next.Equal(row.Next) || !row.Enabled {
		return false, err
	}
	e.log.Warn("the clock has gone back: a schedule is due sooner by it", "schedule", row.Name, "was", row.Next, "next", next)
	if err = e.store.MoveSchedule(ctx, row, next); errors.Is(err, store.ErrNotFound) {
		err = nil // another process has
	}
	return false, err
}

// watch gives up a run that has said nothing for a whole lease.
func (s *scheduler) watch(ctx context.Context, row store.Schedule, passed time.Duration) error {
	now := silence{starts: row.Starts, until: row.RunningUntil}
	if old, ok := s.seen[row.Name]; ok && old.starts == row.Starts && old.until.Equal(row.RunningUntil) {
		now.passed = old.passed + passed
	}
	s.seen[row.Name] = now
	if now.passed < s.e.cfg.Lease && !s.e.cfg.Takeover {
		return nil
	}
	if s.e.runsHere(row) {
		return nil
	}
	err := s.e.store.Write(ctx, func(tx *store.Tx) error { return tx.LoseSchedule(ctx, row, s.e.cfg.Now()) })
	if errors.Is(err, store.ErrNotFound) {
		return nil // it has ended meanwhile, or another process was first
	}
	if err == nil {
		s.e.log.Warn("the process that ran a schedule is silent", "schedule", row.Name)
	}
	return err
}

// runsHere tells whether this very process runs a schedule, as seen.
func (e *Engine) runsHere(row store.Schedule) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	starts, ok := e.schedules[row.Name]
	return ok && starts == row.Starts
}

// noteSchedule remembers what this process runs; starts 0: no more.
func (e *Engine) noteSchedule(name string, starts int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if starts == 0 {
		delete(e.schedules, name)
		return
	}
	e.schedules[name] = starts
}

func (e *Engine) do(name string) func(ctx context.Context) (string, error) {
	for _, s := range e.cfg.Schedules {
		if s.Name == name {
			return s.Do
		}
	}
	return nil
}

// runSeen runs a schedule that still is as it was seen, and waits for its end: store.ErrNotFound when it is not.
func (e *Engine) runSeen(ctx context.Context, row store.Schedule) error {
	do := e.do(row.Name)
	if do == nil {
		return fmt.Errorf("run the schedule %s: %w here", row.Name, store.ErrNotFound)
	}
	var s store.Schedule
	err := e.store.Write(ctx, func(tx *store.Tx) (err error) {
		s, err = tx.StartSchedule(ctx, row, e.cfg.Now(), e.cfg.Lease)
		if err == nil {
			e.noteSchedule(s.Name, s.Starts) // before anybody can see it
		}
		return err
	})
	if s.Starts > 0 {
		defer e.noteSchedule(row.Name, 0)
	}
	if err != nil {
		return err
	}
	result, failed := e.held(ctx, s, do)
	s.LastResult, s.LastError = shorten(result), ""
	if failed != nil {
		s.LastError = shorten(failed.Error())
	}
	interrupted := failed != nil && ctx.Err() != nil
	if interrupted {
		s.LastError = "interrupted, because the server was stopped"
	}
	// Also when ctx ends: it ran, and another may have to go on.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cfg.Grace)
	defer cancel()
	return errors.Join(failed, e.store.Write(ending, func(tx *store.Tx) error { return e.finish(ending, tx, s, interrupted) }))
}

// finish notes how a schedule went, and when it is due again: by what its interval is now, and where it was
// interrupted, when it was due before.
func (e *Engine) finish(ctx context.Context, tx *store.Tx, s store.Schedule, interrupted bool) error {
	row, err := tx.Schedule(ctx, s.Name)
	if err != nil {
		return err
	}
	now := e.cfg.Now()
	if interrupted {
		s.Next = row.Next
		return tx.FinishSchedule(ctx, s, now)
	}
	from := now
	if s.LastStarted.After(from) {
		from = s.LastStarted.In(now.Location()) // the clock went back meanwhile; this day's turn was had
	}
	if s.Next, err = NextTime(row.Every, from); err != nil {
		s.Next, s.LastError = now.Add(time.Hour), err.Error() // what somebody wrote there is shown to be wrong
	}
	return tx.FinishSchedule(ctx, s, now)
}

// held does a schedule's work and says all the while that it goes on; when it was given up, its context ends.
func (e *Engine) held(ctx context.Context, s store.Schedule, do func(ctx context.Context) (string, error)) (string, error) {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	held := make(chan struct{})
	go func() {
		defer close(held)
		tick := time.NewTicker(e.cfg.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-working.Done():
				return
			case <-tick.C:
				err := e.store.HoldSchedule(working, s, e.cfg.Now(), e.cfg.Lease)
				if errors.Is(err, store.ErrNotFound) {
					stop(ErrLostLease)
				}
				if err != nil && working.Err() == nil {
					e.log.Warn("a schedule that runs cannot be held", "schedule", s.Name, "error", err)
				}
			}
		}
	}()
	result, failed := do(working)
	stop(nil)
	<-held
	return result, failed
}
