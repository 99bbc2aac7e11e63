package pipeline

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/fake"
	"reqpm/internal/testindex"
)

func TestPoolServesTheMostUrgent(t *testing.T) {
	pool := NewPool(1)
	holder := pool.join(1)
	if err := holder.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	tickets := map[string]*ticket{"late": pool.join(2), "urgent": pool.join(9), "later": pool.join(2)}
	ended, cancel := context.WithCancel(t.Context())
	gaveUp := pool.join(99)
	cancel()
	if err := gaveUp.wait(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	gaveUp.leave()
	for _, next := range []string{"urgent", "late", "later"} {
		holder.leave()
		holder.leave() // twice gives nothing away
		holder = tickets[next]
		for name, other := range tickets {
			select {
			case <-other.turn:
				if name != next {
					t.Fatalf("%s has a slot, it is the turn of %s", name, next)
				}
			default:
				if name == next {
					t.Fatalf("%s has no slot", next)
				}
			}
		}
		delete(tickets, next)
	}
}

// Two pipelines that have builds in common: each is made once, and who waits for the other's holds
// no slot meanwhile.
func TestPipelinesShareSlots(t *testing.T) {
	state := t.TempDir()
	w := newWorkshop(t, 0)
	w.Set("shared", fake.Script{Seconds: map[builder.Phase]time.Duration{builder.PhaseBuild: 300 * time.Millisecond}})
	pool := NewPool(2)
	packages := []testindex.Package{{Name: "shared", Version: "1"}, {Name: "first", Version: "1", BuildRequires: []string{"shared"}},
		{Name: "second", Version: "1", BuildRequires: []string{"shared"}}, {Name: "alone", Version: "1"}}
	one := newLine(t, state, w, func(c *Config) { c.Pool = pool }, packages...)
	two := newLine(t, state, w, func(c *Config) { c.Pool = pool }, packages...)
	workOne, workTwo := one.plan(t, "first"), two.plan(t, "second", "alone")
	done := make(chan map[string]string)
	go func() {
		outcomes, err := one.Build(t.Context(), workOne, filepath.Join(state, "one"))
		if err != nil {
			t.Error(err)
		}
		done <- states(outcomes)
	}()
	outcomes, err := two.Build(t.Context(), workTwo, filepath.Join(state, "two"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := <-done, states(outcomes)
	built := 0
	for _, s := range []map[string]string{first, second} {
		if s["shared 1"] == StateBuilt {
			built++
		}
	}
	if built != 1 || first["first 1"] != StateBuilt || second["second 1"] != StateBuilt || second["alone 1"] != StateBuilt {
		t.Errorf("first %v, second %v", first, second)
	}
	if n := w.MostAtOnce(); n > pool.Slots() {
		t.Errorf("%d builds at once on %d slots", n, pool.Slots())
	}
	if order := w.Builds(); len(order) != 4 || order[2] == "alone 1" || order[3] == "alone 1" {
		t.Errorf("a build that waits for somebody else's held a slot: %v", order)
	}
}

// What goes wrong on one target stops no other, and each says for itself how it ended.
func TestPlansOfSeveralTargets(t *testing.T) {
	state := t.TempDir()
	good, bad := newWorkshop(t, 2), newWorkshop(t, 2)
	bad.OpenError = errors.New("no repository answers")
	bad.target.Name = "el9-broken"
	a, b := newLine(t, state, good, nil, chain...), newLine(t, state, bad, nil, chain...)
	dir := requirementsFolder(t, "x-end")
	answers, works, err := PlanAll(t.Context(), []*Pipeline{b.Pipeline, a.Pipeline}, fromFolder(dir, state))
	if err != nil {
		t.Fatal(err)
	}
	if answers[0].Err == nil || works[0] != nil || answers[0].Target.Name != "el9-broken" {
		t.Errorf("the broken target: %v, %v", answers[0].Err, works[0])
	}
	if answers[1].Err != nil || works[1].Plan.Len() != 3 {
		t.Errorf("the good target: %v", answers[1].Err)
	}
	endings, err := RunAll(t.Context(), []*Pipeline{b.Pipeline, a.Pipeline}, fromFolder(dir, state))
	if err != nil {
		t.Fatal(err)
	}
	if endings[0].Err == nil || endings[0].Summary.Target != "el9-broken" || len(endings[0].Summary.Built) > 0 {
		t.Errorf("the broken target: %+v", endings[0])
	}
	if n := len(endings[1].Summary.Built); n != 3 {
		t.Errorf("%d built on the good target: %+v", n, endings[1])
	}
}
