package store_test

import (
	"errors"
	"fmt"
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

// The queue is read project by project: whoever has nothing running is next, however long the paths of others are. What is
// behind what was read is counted.
func TestQueueFront(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		many, few := project(t, s, "many"), project(t, s, "few")
		var builds []store.NewStep
		for i := range 40 {
			builds = append(builds, build(fmt.Sprint("long", i), float64(1000+i)), build(fmt.Sprint("after", i), 900, fmt.Sprint("long", i)))
		}
		run(t, s, many.ID, builds...)
		run(t, s, few.ID, build("short", 1))
		q := must[store.Queue](t)(s.Queue(ctx, 10))
		var ready []string
		for _, step := range q.Ready {
			ready = append(ready, step.Key)
		}
		if want := []string{"long39", "long38", "long37", "long36", "long35", "short"}; !slices.Equal(ready, want) || len(q.Waiting) != 10 || q.Behind != 81-6-10 {
			t.Errorf("ready %q, want %q; %d waiting, %d behind them", ready, want, len(q.Waiting), q.Behind)
		}
		if q := must[store.Queue](t)(s.Queue(ctx, 200)); len(q.Ready) != 41 || len(q.Waiting) != 40 || len(q.Needs) != 40 || q.Behind != 0 {
			t.Errorf("all of it are %d and %d, and %d behind them", len(q.Ready), len(q.Waiting), q.Behind)
		}
	})
}
