package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reqpm/internal/engine"
	"reqpm/internal/store"
)

func TestNextTime(t *testing.T) {
	at := time.Date(2026, 11, 26, 2, 0, 0, 0, time.FixedZone("CET", 3600)) // 01:00 UTC
	for every, want := range map[string]time.Time{
		"6h":    at.Add(6 * time.Hour),
		"02:00": at.AddDate(0, 0, 1), // a time of day of the server, not of Greenwich
		"02:01": at.Add(time.Minute),
		"01:00": at.Add(23 * time.Hour),
	} {
		if got, err := engine.NextTime(every, at); !got.Equal(want) || err != nil {
			t.Errorf("%s: %v %v, want %v", every, got, err, want)
		}
	}
	for _, every := range []string{"", "1s", "-1h", "25:00", "daily", "100000h"} {
		if got, err := engine.NextTime(every, at); !errors.Is(err, engine.ErrEvery) {
			t.Errorf("%q: %v %v", every, got, err)
		}
	}
}

// Wherever clocks are put forward or back, what is due at a time of day comes once on every day.
func TestOnceADayThroughoutTheYear(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut"} {
		place, err := time.LoadLocation(zone)
		if err != nil {
			t.Skip(err)
		}
		for _, every := range []string{"00:00", "00:30", "01:30", "02:00", "02:30", "03:00"} {
			at := time.Date(2025, 12, 31, 23, 0, 0, 0, place)
			for day := range 366 {
				next, err := engine.NextTime(every, at)
				if err != nil {
					t.Fatal(err)
				}
				want := time.Date(2026, 1, 1+day, 12, 0, 0, 0, place)
				if y, m, d := next.Date(); !next.After(at) || y != want.Year() || m != want.Month() || d != want.Day() {
					t.Fatalf("%s in %s: after %v comes %v", every, zone, at, next)
				}
				at = next.Add(3 * time.Second)
			}
		}
	}
}

// clock is one that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func (h *house) schedule(name string) store.Schedule {
	h.t.Helper()
	s, err := h.store.Schedule(h.t.Context(), name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		h.t.Fatal(err)
	}
	return s
}

// A schedule that is due is run by one of two engines, once, and its result is kept; it can be asked for.
func TestSchedules(t *testing.T) {
	each(t, func(h *house) {
		var count atomic.Int64
		c := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		cfg := engine.Config{Store: h.store, Poll: 5 * time.Millisecond, Now: c.now, Schedules: []engine.Schedule{{Name: "sync", Every: "6h", Do: func(context.Context) (string, error) {
			if count.Add(1) == 2 {
				return "1 project before that", errors.New("no network")
			}
			return "3 projects", nil
		}}}}
		h.start(cfg)
		h.start(cfg)
		h.await("it is known", 5*time.Second, func() bool { return h.schedule("sync").Name == "sync" })
		if s := h.schedule("sync"); !s.Next.Equal(c.now().Add(6 * time.Hour)) {
			h.t.Errorf("%+v", s)
		}
		c.set(c.now().Add(6 * time.Hour))
		h.await("it has run", 5*time.Second, func() bool { return !h.schedule("sync").LastFinished.IsZero() })
		if s := h.schedule("sync"); s.LastResult != "3 projects" || !s.LastOK || !s.Next.Equal(c.now().Add(6*time.Hour)) || !s.LastStarted.Equal(c.now()) {
			h.t.Errorf("%+v", s)
		}
		if err := h.store.Write(h.t.Context(), func(tx *store.Tx) error {
			if _, err := tx.ChangeSchedule(h.t.Context(), store.Schedule{Name: "sync", Every: "02:00", Next: c.now().Add(time.Hour)}); err != nil {
				return err
			}
			_, err := tx.AskSchedule(h.t.Context(), "sync", "ann") // though it is switched off
			return err
		}); err != nil {
			h.t.Fatal(err)
		}
		h.await("it has run as asked", 5*time.Second, func() bool { return h.schedule("sync").Starts == 2 && h.schedule("sync").RunningUntil.IsZero() })
		if s := h.schedule("sync"); s.LastOK || s.LastResult != "1 project before that" || s.LastError != "no network" || !s.Next.Equal(time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)) {
			h.t.Errorf("%+v", s)
		}
		c.set(c.now().AddDate(0, 1, 0)) // switched off: a month passes
		h.never("it runs though it is switched off", func() bool { return count.Load() != 2 })
	})
}

// never looks for a while, which is many times what a schedule that is due takes to be started.
func (h *house) never(what string, happened func() bool) {
	h.t.Helper()
	end := time.NewTimer(400 * time.Millisecond)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end.C:
			return
		case <-tick.C:
			if happened() {
				h.t.Fatal(what)
			}
		}
	}
}

// The clock goes back: a little, and nothing is run a second time for it; far, and nothing waits until it
// is there again.
func TestClockGoesBack(t *testing.T) {
	each(t, func(h *house) {
		var often, daily atomic.Int64
		noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		c := &clock{at: noon}
		count := func(n *atomic.Int64) func(context.Context) (string, error) {
			return func(context.Context) (string, error) { n.Add(1); return "", nil }
		}
		h.start(engine.Config{Store: h.store, Poll: 5 * time.Millisecond, Now: c.now,
			Schedules: []engine.Schedule{{Name: "often", Every: "6h", Do: count(&often)}, {Name: "daily", Every: "12:30", Do: count(&daily)}}})
		h.await("they are known", 5*time.Second, func() bool { return h.schedule("often").Name != "" && h.schedule("daily").Name != "" })
		runs := func(what string, wantOften, wantDaily int64) {
			h.t.Helper()
			h.await(what, 5*time.Second, func() bool {
				return often.Load() == wantOften && daily.Load() == wantDaily && h.schedule("often").RunningUntil.IsZero() && h.schedule("daily").RunningUntil.IsZero()
			})
		}
		c.set(noon.Add(6 * time.Hour))
		runs("both at their time", 1, 1)
		c.set(noon.Add(-time.Hour)) // 7 hours back, and 12:30 comes once more
		h.never("run again because the clock went back", func() bool { return often.Load() > 1 || daily.Load() > 1 })
		c.set(noon.Add(time.Hour))
		h.never("run twice for one time of day", func() bool { return daily.Load() > 1 })
		c.set(noon.Add(5*time.Hour + time.Minute)) // 6 hours after the clock went back
		runs("after a whole interval", 2, 1)
		c.set(noon.AddDate(-1, 0, 0)) // a year back
		h.await("what is due is soon again", 5*time.Second, func() bool {
			return h.schedule("often").Next.Equal(c.now().Add(6*time.Hour)) && h.schedule("daily").Next.Equal(c.now().Add(30*time.Minute))
		})
		c.set(c.now().Add(6 * time.Hour))
		runs("as if nothing had been", 3, 2)
	})
}

// A schedule whose process dies is run again by another one after a lease, whatever the clock says; the
// zombie's context ends, and what it says counts no more.
func TestScheduleOfTheDead(t *testing.T) {
	each(t, func(h *house) {
		c := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		ctx := h.t.Context()
		if err := h.store.AddSchedule(ctx, store.Schedule{Name: "sync", Every: "6h", Enabled: true, Next: c.now()}); err != nil {
			h.t.Fatal(err)
		}
		var dead store.Schedule
		if err := h.store.Write(ctx, func(tx *store.Tx) (err error) {
			dead, err = tx.StartSchedule(ctx, h.schedule("sync"), c.now().AddDate(5, 0, 0), time.Minute) // its clock was wrong besides
			return err
		}); err != nil {
			h.t.Fatal(err)
		}
		var runs, ended atomic.Int64
		work := make(chan struct{})
		h.start(engine.Config{Store: h.store, Poll: 5 * time.Millisecond, Lease: 200 * time.Millisecond, Now: c.now,
			Schedules: []engine.Schedule{{Name: "sync", Every: "6h", Do: func(ctx context.Context) (string, error) {
				if runs.Add(1) == 1 {
					<-work // longer than a lease, and held all the while
					return "done", nil
				}
				<-ctx.Done()
				ended.Add(1)
				return "", context.Cause(ctx)
			}}}})
		h.await("another takes it", 5*time.Second, func() bool { return runs.Load() == 1 })
		if err := h.store.Write(ctx, func(tx *store.Tx) error { return tx.FinishSchedule(ctx, dead, c.now()) }); !errors.Is(err, store.ErrNotFound) {
			h.t.Errorf("the dead has spoken: %v", err)
		}
		c.set(c.now().Add(-24 * time.Hour)) // while it runs
		h.never("started twice", func() bool { return runs.Load() > 1 })
		close(work)
		h.await("its end", 5*time.Second, func() bool { return h.schedule("sync").LastOK })
		c.set(c.now().Add(7 * 24 * time.Hour))
		h.await("the next", 5*time.Second, func() bool { return runs.Load() == 2 })
		if err := h.store.Write(ctx, func(tx *store.Tx) error { return tx.LoseSchedule(ctx, h.schedule("sync"), c.now()) }); err != nil {
			h.t.Fatal(err)
		}
		h.await("who was given up hears of it", 5*time.Second, func() bool { return ended.Load() >= 1 })
	})
}

// What a stopping server interrupts is due at the next start.
func TestInterruptedSchedule(t *testing.T) {
	each(t, func(h *house) {
		c := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		if err := h.store.AddSchedule(h.t.Context(), store.Schedule{Name: "sync", Every: "02:00", Enabled: true, Next: c.now()}); err != nil {
			h.t.Fatal(err)
		}
		running := make(chan struct{})
		cfg := engine.Config{Store: h.store, Poll: 5 * time.Millisecond, Now: c.now, Schedules: []engine.Schedule{{Name: "sync", Every: "02:00", Do: func(ctx context.Context) (string, error) {
			close(running)
			<-ctx.Done()
			return "", ctx.Err()
		}}}}
		_, stop := h.start(cfg)
		<-running
		stop()
		if s := h.schedule("sync"); !s.Next.Equal(c.now()) || !strings.Contains(s.LastError, "stopped") || !s.RunningUntil.IsZero() {
			h.t.Errorf("%+v", s)
		}
		var again atomic.Bool
		cfg.Schedules[0].Do = func(context.Context) (string, error) { again.Store(true); return "", nil }
		h.start(cfg)
		h.await("it is run again", 5*time.Second, again.Load)
	})
}
