package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"reqpm/internal/store"
)

// Schedule is something that is done again and again, by one process at a time, whichever is there.
type Schedule struct {
	Name string
	// Every is how often where nobody has changed it: a duration ("6h"), or a time of day in UTC ("02:00").
	Every string
	// Do does it; what it returns is shown as its last result. Its context ends with the engine.
	Do func(ctx context.Context) (string, error)
}

// ErrEvery: a text that says no interval.
var ErrEvery = errors.New(`not an interval: a duration of at least a minute ("6h"), or a time of day in UTC ("02:00")`)

// NextTime is when something is due again that is done every so often, after a time.
func NextTime(every string, after time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(every); err == nil && d >= time.Minute {
		return after.Add(d), nil
	}
	clock, err := time.Parse("15:04", every)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %.40q", ErrEvery, every)
	}
	after = after.UTC()
	next := time.Date(after.Year(), after.Month(), after.Day(), clock.Hour(), clock.Minute(), 0, 0, time.UTC)
	if !next.After(after) {
		next = next.AddDate(0, 0, 1)
	}
	return next, nil
}

// scheduleLease is how long a process that runs a schedule may be silent before another may run it.
const scheduleLease = time.Minute

// scheduleEvery is how often it is looked whether one is due.
const scheduleEvery = 5 * time.Second

// schedule runs what is due until ctx ends.
func (e *Engine) schedule(ctx context.Context) {
	var runs sync.WaitGroup // one that takes long keeps no other waiting
	defer runs.Wait()
	known := false // that all of them are in the database
	tick := time.NewTicker(min(scheduleEvery, 10*e.cfg.Poll))
	defer tick.Stop()
	for {
		var err error
		if !known {
			err = e.addSchedules(ctx)
			known = err == nil
		}
		if known {
			err = e.runDue(ctx, &runs)
		}
		if err != nil && ctx.Err() == nil {
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
		next, err := NextTime(s.Every, time.Now())
		if err != nil {
			return err
		}
		if err := e.store.AddSchedule(ctx, store.Schedule{Name: s.Name, Every: s.Every, Enabled: true, Next: next}); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) runDue(ctx context.Context, runs *sync.WaitGroup) error {
	all, err := e.store.Schedules(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if !s.Enabled || s.Next.After(time.Now()) || s.RunningUntil.After(time.Now()) {
			continue
		}
		runs.Go(func() {
			err := e.RunSchedule(ctx, s.Name, false)
			if err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
				e.log.Warn("a schedule failed", "schedule", s.Name, "error", err)
			}
		})
	}
	return nil
}

// RunSchedule runs a schedule here, and waits for its end: now, or with now false only if it is due.
// store.ErrNotFound: there is none, it runs already, or is not due. What its Do returned is kept with the
// schedule, and is the error here too.
func (e *Engine) RunSchedule(ctx context.Context, name string, now bool) error {
	var do func(ctx context.Context) (string, error)
	for _, s := range e.cfg.Schedules {
		if s.Name == name {
			do = s.Do
		}
	}
	if do == nil {
		return fmt.Errorf("run the schedule %s: %w here", name, store.ErrNotFound)
	}
	s, err := e.store.StartSchedule(ctx, name, scheduleLease, now)
	if err != nil {
		return err
	}
	holding, stop := context.WithCancel(ctx)
	held := make(chan struct{})
	go func() {
		defer close(held)
		tick := time.NewTicker(scheduleLease / 3)
		defer tick.Stop()
		for {
			select {
			case <-holding.Done():
				return
			case <-tick.C:
				if err := e.store.HoldSchedule(holding, name, scheduleLease); err != nil && holding.Err() == nil {
					e.log.Warn("a schedule that runs cannot be held", "schedule", name, "error", err)
				}
			}
		}
	}()
	result, failed := do(ctx)
	stop()
	<-held
	if failed != nil {
		result = strings.TrimSpace(shorten(failed.Error()) + "\n" + result)
	}
	next, err := NextTime(s.Every, time.Now())
	if err != nil {
		next = time.Now().Add(time.Hour) // what somebody wrote there is shown to be wrong
		failed = errors.Join(failed, err)
		result = err.Error()
	}
	// Also when ctx ends: it ran, and another may have to go on.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cfg.Grace)
	defer cancel()
	return errors.Join(failed, e.store.FinishSchedule(ending, name, failed == nil, result, next))
}
