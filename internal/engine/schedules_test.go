package engine_test

import (
	"context"
	"errors"
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
		"02:00": time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC),
		"01:00": time.Date(2026, 11, 27, 1, 0, 0, 0, time.UTC),
		"00:30": time.Date(2026, 11, 27, 0, 30, 0, 0, time.UTC),
	} {
		if got, err := engine.NextTime(every, at); !got.Equal(want) || err != nil {
			t.Errorf("%s: %v %v, want %v", every, got, err, want)
		}
	}
	for _, every := range []string{"", "1s", "-1h", "25:00", "daily"} {
		if got, err := engine.NextTime(every, at); !errors.Is(err, engine.ErrEvery) {
			t.Errorf("%q: %v %v", every, got, err)
		}
	}
}

// A schedule that is due is run by one of two engines, once, and its result is kept; it can be run by hand.
func TestSchedules(t *testing.T) {
	each(t, func(h *house) {
		var count atomic.Int64
		broken := errors.New("no network")
		cfg := engine.Config{Store: h.store, Poll: 10 * time.Millisecond, Schedules: []engine.Schedule{{Name: "sync", Every: "6h", Do: func(context.Context) (string, error) {
			if count.Add(1) == 2 {
				return "1 project before that", broken
			}
			return "3 projects", nil
		}}}}
		e, _ := h.start(cfg)
		h.start(cfg)
		get := func() store.Schedule {
			all, err := h.store.Schedules(h.t.Context())
			if err != nil || len(all) > 1 {
				h.t.Fatal(all, err)
			}
			if len(all) == 0 {
				return store.Schedule{}
			}
			return all[0]
		}
		h.await("it is known", 5*time.Second, func() bool { return get().Name == "sync" })
		if err := h.store.ChangeSchedule(h.t.Context(), store.Schedule{Name: "sync", Every: "1h", Enabled: true, Next: time.Now()}); err != nil {
			h.t.Fatal(err)
		}
		h.await("it has run", 10*time.Second, func() bool { return !get().LastFinished.IsZero() })
		if s := get(); s.LastResult != "3 projects" || !s.LastOK || s.Next.Before(time.Now().Add(50*time.Minute)) || s.Next.After(time.Now().Add(time.Hour)) {
			h.t.Errorf("%+v", s)
		}
		if err := e.RunSchedule(h.t.Context(), "sync", false); !errors.Is(err, store.ErrNotFound) {
			h.t.Errorf("run though it is not due: %v", err)
		}
		if err := e.RunSchedule(h.t.Context(), "sync", true); !errors.Is(err, broken) {
			h.t.Errorf("by hand: %v", err)
		}
		if s := get(); s.LastOK || s.LastResult != "no network\n1 project before that" {
			h.t.Errorf("%+v", s)
		}
		if n := count.Load(); n != 2 {
			h.t.Errorf("run %d times", n)
		}
	})
}
