package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"reqpm/internal/store"
)

// A schedule is started and ended by who saw it last, whatever the clocks say; what people changed stays.
func TestSchedules(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		write := func(do func(tx *store.Tx) error) error { return s.Write(ctx, do) }
		start := func(seen store.Schedule) (got store.Schedule, err error) {
			err = write(func(tx *store.Tx) (err error) {
				got, err = tx.StartSchedule(ctx, seen, time.Now(), time.Minute)
				return err
			})
			return got, err
		}
		row := func() store.Schedule { return must[store.Schedule](t)(s.Schedule(ctx, "sync")) }
		for range 2 { // what people changed stays
			if err := s.AddSchedule(ctx, store.Schedule{Name: "sync", Every: "6h", Enabled: true, Next: time.Now()}); err != nil {
				t.Fatal(err)
			}
			if err := write(func(tx *store.Tx) error {
				_, err := tx.ChangeSchedule(ctx, store.Schedule{Name: "sync", Every: "1h", Enabled: true, Next: time.Now()})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		seen := row()
		first := must[store.Schedule](t)(start(seen))
		if first.Every != "1h" || first.Starts != 1 || first.RunningUntil.IsZero() {
			t.Errorf("%+v", first)
		}
		if got, err := start(seen); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("started twice: %+v %v", got, err)
		}
		if err := write(func(tx *store.Tx) error { _, err := tx.AskSchedule(ctx, "sync", "ann"); return err }); !errors.Is(err, store.ErrConflict) {
			t.Errorf("asked for while it runs: %v", err)
		}
		for range 2 { // also when the clock stands still, whoever watches sees a change
			before := row().RunningUntil
			if err := s.HoldSchedule(ctx, first, time.Unix(0, 0), time.Minute); err != nil || !row().RunningUntil.After(before) {
				t.Errorf("held: %v", err)
			}
		}
		first.LastResult, first.Next = "3 projects", time.Now().Add(time.Hour)
		if err := write(func(tx *store.Tx) error { return tx.FinishSchedule(ctx, first, time.Now()) }); err != nil {
			t.Fatal(err)
		}
		if got := row(); !got.LastOK || got.LastResult != "3 projects" || !got.RunningUntil.IsZero() || got.LastFinished.IsZero() {
			t.Errorf("%+v", got)
		}
		if err := write(func(tx *store.Tx) error { _, err := tx.AskSchedule(ctx, "sync", "ann"); return err }); err != nil {
			t.Fatal(err)
		}
		second := must[store.Schedule](t)(start(row()))
		if second.Asked != "" {
			t.Errorf("asked for still: %+v", second)
		}
		if err := write(func(tx *store.Tx) error { return tx.LoseSchedule(ctx, row(), time.Now()) }); err != nil {
			t.Fatal(err)
		}
		if err := s.HoldSchedule(ctx, second, time.Now(), time.Minute); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("held by who has lost it: %v", err)
		}
		if err := write(func(tx *store.Tx) error { return tx.FinishSchedule(ctx, second, time.Now()) }); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("ended by who has lost it: %v", err)
		}
		if got := row(); got.LastOK || !strings.Contains(got.LastError, "lost") {
			t.Errorf("%+v", got)
		}
	})
}

// What the update check found is kept, the newest of each target, and goes with its project.
func TestOutdated(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		p := must[store.Project](t)(s.CreateProject(ctx, store.Project{Name: "app", GitURL: "https://git.example.org/app", Targets: []string{"el9"}}))
		for _, o := range []store.Outdated{
			{Project: p.ID, Target: "el9", Run: 1, Packages: 7, Problem: "the index did not answer", Checked: time.Now()},
			{Project: p.ID, Target: "el9", Run: 2, Packages: 8, Found: json.RawMessage(`[{"name":"flask"}]`), Checked: time.Now()},
		} {
			if err := s.PutOutdated(ctx, o); err != nil {
				t.Fatal(err)
			}
		}
		got := must[[]store.Outdated](t)(s.OutdatedOf(ctx, p.ID))
		if len(got) != 1 || got[0].Run != 2 || got[0].Packages != 8 || got[0].Problem != "" || string(got[0].Found) != `[{"name":"flask"}]` {
			t.Errorf("%+v", got)
		}
		if err := s.DeleteProject(ctx, p.ID); err != nil {
			t.Fatal(err)
		}
		if got := must[[]store.Outdated](t)(s.OutdatedOf(ctx, p.ID)); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}
