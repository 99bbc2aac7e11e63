package pipeline

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"reqpm/internal/plan"
	"reqpm/internal/testindex"
)

// Two workers with pipelines of their own build one plan in turn, one package at a time.
func TestBuildsOneAtATime(t *testing.T) {
	state, w := t.TempDir(), newWorkshop(t, 2)
	first, second := newLine(t, state, w, nil, chain...), newLine(t, state, w, nil, chain...)
	works := []*Work{first.plan(t, "a-lone", "x-end"), second.plan(t, "a-lone", "x-end")}
	if _, err := first.Collect(works[0]); !errors.Is(err, ErrNotBuilt) {
		t.Fatalf("collected before anything was built: %v", err)
	}
	for i, id := range works[0].Plan.Order() {
		if works[0].Key(id) != works[1].Key(id) {
			t.Fatalf("%s has another key on the other worker", id)
		}
		o, err := []*line{first, second}[i%2].BuildOne(t.Context(), works[i%2], id, t.TempDir())
		if err != nil || o.State != StateBuilt {
			t.Fatalf("%s: %+v, %v", id, o, err)
		}
	}
	builds := slices.Sorted(slices.Values(w.Builds()))
	want(t, "builds", []string{"a-lone 1", "x-end 1", "x-middle 1", "x-start 1"}, builds)
	for i, l := range []*line{first, second} {
		outcomes, err := l.Collect(works[i])
		if err != nil {
			t.Fatal(err)
		}
		want(t, "states", []string{StateReused}, slices.Compact(slices.Sorted(maps.Values(states(outcomes)))))
	}
}

// What is gone from the cache is built before the package that needs it.
func TestBuildOneBringsItsNeeds(t *testing.T) {
	w := newWorkshop(t, 2)
	l := newLine(t, t.TempDir(), w, nil, chain...)
	o, err := l.BuildOne(t.Context(), l.plan(t, "a-lone", "x-end"), "x-end==1", t.TempDir())
	if err != nil || o.State != StateBuilt {
		t.Fatalf("%+v, %v", o, err)
	}
	want(t, "builds", []string{"x-start 1", "x-middle 1", "x-end 1"}, w.Builds())
	if _, err := l.BuildOne(t.Context(), l.plan(t, "a-lone"), "x-end==1", t.TempDir()); err == nil {
		t.Error("built what is not in the plan")
	}
}

// A repair of one build brings what it needs, and whoever plans again finds its result.
func TestBuildOneRepairs(t *testing.T) {
	packages := []testindex.Package{{Name: "lib", Version: "1"}, {Name: "end", Version: "1", BuildRequires: []string{"lib"}},
		{Name: "numpy", Version: "2", BuildRequires: []string{"tool"}}, {Name: "tool", Version: "1", Files: "both"}}
	state, w := t.TempDir(), newWorkshop(t, 2)
	w.needs("lib", "dist(numpy)", noNumpy)
	l := newLine(t, state, w, nil, packages...)
	work := l.plan(t, "end", "lib")
	before := work.Key("lib==1")
	o, err := l.BuildOne(t.Context(), work, "lib==1", t.TempDir())
	if err != nil || o.State != StateBuilt || len(o.Repairs) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	again := newLine(t, state, w, nil, packages...)
	work = again.plan(t, "end", "lib")
	if work.Key("lib==1") == before {
		t.Error("the new plan does not heed the repair")
	}
	if o, err = again.BuildOne(t.Context(), work, "end==1", t.TempDir()); err != nil || o.State != StateBuilt {
		t.Fatalf("%+v, %v", o, err)
	}
	want(t, "builds", []string{"end 1", "lib 1", "numpy 2", "tool 1"}, slices.Sorted(slices.Values(w.Builds())))
	if _, err := again.Collect(work); err != nil {
		t.Error(err)
	}
	if n := work.Plan.Node(plan.ID("lib==1")); n.Decision != plan.Cached {
		t.Errorf("lib is to be %s", n.Decision)
	}
}
