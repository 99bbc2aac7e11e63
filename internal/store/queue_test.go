package store_test

import (
	"errors"
	"slices"
	"testing"

	"reqpm/internal/store"
)

// What is raised is begun before all others with what it waits for, and before other projects have their share; what is
// lowered comes last.
func TestRaise(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		one, two := project(t, s, "one"), project(t, s, "two")
		r := run(t, s, one.ID, build("long", 90), build("low", 80), build("need", 2), build("goal", 1, "need"))
		run(t, s, two.ID, build("other", 50))
		w := worker(t, s, "w")
		ids := map[string]int64{}
		for _, step := range must[[]store.Step](t)(s.RunSteps(ctx, r.ID)) {
			ids[step.Key] = step.ID
		}
		before := must[store.Queue](t)(s.Queue(ctx, 100))
		if len(before.Ready) != 4 || len(before.Waiting) != 1 || len(before.Needs) != 1 || before.Needs[0].Needs != ids["need"] || before.Paused {
			t.Errorf("the queue is %+v", before)
		}
		write(t, s, func(tx *store.Tx) error {
			return errors.Join(tx.RaiseStep(ctx, ids["goal"], 1), tx.RaiseStep(ctx, ids["low"], -1))
		})
		var order []string
		for range 5 {
			step := claim(t, s, w)
			order = append(order, step.Key)
			if step.Key == "need" {
				finish(t, s, step, store.Succeeded)
			}
		}
		if want := []string{"need", "goal", "other", "long", "low"}; !slices.Equal(order, want) {
			t.Errorf("begun in the order %q, want %q", order, want)
		}
		err := s.Write(ctx, func(tx *store.Tx) error { return tx.RaiseStep(ctx, ids["goal"], 1) })
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("a step that runs is raised: %v", err)
		}
	})
}
