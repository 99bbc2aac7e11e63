package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/builder"
	"reqpm/internal/builder/fake"
	"reqpm/internal/plan"
	"reqpm/internal/rpmname"
	"reqpm/internal/testindex"
)

// chain is a set with a long chain of builds and two packages that wait for nobody.
var chain = []testindex.Package{
	{Name: "a-lone", Version: "1"}, {Name: "b-lone", Version: "1"},
	{Name: "x-end", Version: "1", BuildRequires: []string{"x-middle"}},
	{Name: "x-middle", Version: "1", BuildRequires: []string{"x-start"}, Files: "both"},
	{Name: "x-start", Version: "1", Files: "both"},
}

func build(t *testing.T, l *line, work *Work) map[plan.ID]*Outcome {
	t.Helper()
	outcomes, err := l.Build(t.Context(), work, filepath.Join(t.TempDir(), "logs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.State == StateFailed {
			t.Logf("%s: %s", o.Name, o.Cause)
		}
	}
	return outcomes
}

func want(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestLongestChainFirst(t *testing.T) {
	w := newWorkshop(t, 1)
	l := newLine(t, t.TempDir(), w, func(c *Config) { c.Pool = NewPool(1) }, chain...)
	outcomes := build(t, l, l.plan(t, "a-lone", "b-lone", "x-end"))
	want(t, "order", []string{"x-start 1", "x-middle 1", "a-lone 1", "b-lone 1", "x-end 1"}[:2], w.Builds()[:min(2, len(w.Builds()))])
	for id, state := range states(outcomes) {
		if state != StateBuilt {
			t.Errorf("%s is %s", id, state)
		}
	}
	if n := w.MostAtOnce(); n != 1 {
		t.Errorf("%d builds at once on one slot", n)
	}
}

func TestFailureBlocksItsDependents(t *testing.T) {
	w := newWorkshop(t, 2)
	w.Set("x-middle", fake.Script{Fail: &builder.BuildError{Err: errors.New("no compiler")}})
	state := t.TempDir()
	l := newLine(t, state, w, nil, chain...)
	outcomes := build(t, l, l.plan(t, "a-lone", "b-lone", "x-end"))
	want(t, "states", map[string]string{"a-lone 1": StateBuilt, "b-lone 1": StateBuilt, "x-start 1": StateBuilt,
		"x-middle 1": StateFailed, "x-end 1": StateBlocked}, states(outcomes))
	if o := outcomes["x-end==1"]; o.Root != "x-middle==1" {
		t.Errorf("x-end waits for %q", o.Root)
	}
	failed := outcomes["x-middle==1"]
	if _, err := os.Stat(failed.Log); err != nil || !strings.Contains(failed.Cause, "no compiler") {
		t.Errorf("failed: %+v, log: %v", failed, err)
	}

	// Another process, later: what was built stays built, what failed is tried again.
	w = newWorkshop(t, 2)
	l = newLine(t, state, w, nil, chain...)
	outcomes = build(t, l, l.plan(t, "a-lone", "b-lone", "x-end"))
	want(t, "states", map[string]string{"a-lone 1": StateReused, "b-lone 1": StateReused, "x-start 1": StateReused,
		"x-middle 1": StateBuilt, "x-end 1": StateBuilt}, states(outcomes))
	want(t, "builds", []string{"x-middle 1", "x-end 1"}, w.Builds())

	// --refresh takes nothing from the cache.
	w = newWorkshop(t, 2)
	l = newLine(t, state, w, func(c *Config) { c.Refresh = true }, chain...)
	build(t, l, l.plan(t, "a-lone", "b-lone", "x-end"))
	if n := len(w.Builds()); n != 5 {
		t.Errorf("%d of 5 packages were built again: %v", n, w.Builds())
	}
}

func TestChangeIsBuiltWithAllBehindIt(t *testing.T) {
	state := t.TempDir()
	w := newWorkshop(t, 2)
	l := newLine(t, state, w, nil, chain...)
	build(t, l, l.plan(t, "a-lone", "x-end"))
	changed := slices.Clone(chain)
	changed[4].Body = "changed = True\n" // x-start, under the same version
	w = newWorkshop(t, 2)
	l = newLine(t, state, w, nil, changed...)
	build(t, l, l.plan(t, "a-lone", "x-end"))
	want(t, "builds", []string{"x-start 1", "x-middle 1", "x-end 1"}, w.Builds())
}

func TestDamagedCacheIsBuiltAgain(t *testing.T) {
	state := t.TempDir()
	l := newLine(t, state, newWorkshop(t, 2), nil, chain...)
	build(t, l, l.plan(t, "a-lone"))
	rpms, _ := filepath.Glob(filepath.Join(state, "builds", "a-lone-*", "*.noarch.rpm"))
	if len(rpms) != 1 {
		t.Fatalf("the cache holds %v", rpms)
	}
	if err := os.Truncate(rpms[0], 10); err != nil {
		t.Fatal(err)
	}
	w := newWorkshop(t, 2)
	l = newLine(t, state, w, nil, chain...)
	build(t, l, l.plan(t, "a-lone"))
	want(t, "builds", []string{"a-lone 1"}, w.Builds())
}

func TestCancelledBuildsCanGoOn(t *testing.T) {
	w := newWorkshop(t, 2)
	w.Set("x-middle", fake.Script{Silent: true})
	state := t.TempDir()
	l := newLine(t, state, w, nil, chain...)
	work := l.plan(t, "a-lone", "x-end")
	ctx, cancel := context.WithCancel(t.Context())
	lone, middle := false, false
	l.events.see = func(e Event) {
		lone = lone || e.Name == "a-lone" && e.State == StateBuilt
		middle = middle || e.Name == "x-middle" && e.Phase == string(builder.PhaseBuild)
		if lone && middle {
			cancel()
		}
	}
	outcomes, err := l.Build(ctx, work, t.TempDir())
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v", err)
	}
	want(t, "states", map[string]string{"a-lone 1": StateBuilt, "x-start 1": StateBuilt, "x-middle 1": StateWaiting, "x-end 1": StateWaiting}, states(outcomes))
	w = newWorkshop(t, 2)
	l = newLine(t, state, w, nil, chain...)
	build(t, l, l.plan(t, "a-lone", "x-end"))
	want(t, "builds", []string{"x-middle 1", "x-end 1"}, w.Builds())
}

func TestTimeLimit(t *testing.T) {
	w := newWorkshop(t, 2)
	w.Set("a-lone", fake.Script{Silent: true})
	l := newLine(t, t.TempDir(), w, func(c *Config) { c.Limits.Idle = 20 * time.Millisecond }, chain...)
	o := build(t, l, l.plan(t, "a-lone"))["a-lone==1"]
	if o.State != StateFailed || !strings.Contains(o.Cause, string(builder.CauseTimeout)) {
		t.Errorf("%+v", o)
	}
}

// A build can be green and wrong.
func TestResultsAreInspected(t *testing.T) {
	w := newWorkshop(t, 2)
	dist := func(name string) []string { return []string{rpmname.Dist(w.target, name) + " = 1"} }
	arch, lib := w.target.Arch, w.target.Python.Sitearch
	compiled := []string{lib + "/speed.cpython-39-x86_64-linux-gnu.so"}
	tests := []struct {
		name   string
		rpm    []byte
		state  string
		cause  string
		builds int
	}{
		{"good", testindex.RPM("python3-good", "1", "1", "noarch", dist("good"), nil), StateBuilt, "", 1},
		{"other", testindex.RPM("python3-other", "1", "1", "noarch", dist("somebody-else"), nil), StateFailed, "could require it", 1},
		{"no-rpm", []byte("not an RPM"), StateFailed, "", 1},
		// The spec was wrong about noarch: a second attempt says it right.
		{"native", testindex.RPM("python3-native", "1", "1", arch, dist("native"), compiled), StateBuilt, "", 1},
		{"liar", testindex.RPM("python3-liar", "1", "1", "noarch", dist("liar"), compiled), StateFailed, "compiled", 2},
	}
	var packages []testindex.Package
	var names []string
	for _, test := range tests {
		w.brings(test.name+" 1", test.rpm)
		packages = append(packages, testindex.Package{Name: test.name, Version: "1"})
		names = append(names, test.name)
	}
	l := newLine(t, t.TempDir(), w, nil, packages...)
	outcomes := build(t, l, l.plan(t, names...))
	for _, test := range tests {
		o := outcomes[plan.NewID(test.name, "1")]
		if o.State != test.state || !strings.Contains(o.Cause, test.cause) {
			t.Errorf("%s: %s: %s", test.name, o.State, o.Cause)
		}
		n := 0
		for _, job := range w.Builds() {
			if job == test.name+" 1" {
				n++
			}
		}
		if n != test.builds {
			t.Errorf("%s was built %d times, not %d", test.name, n, test.builds)
		}
	}
}

func TestNoBaseRootEndsTheRun(t *testing.T) {
	w := newWorkshop(t, 1)
	w.OpenError = builder.ErrMissingTool
	l := newLine(t, t.TempDir(), w, nil, chain...)
	if _, err := l.Plan(t.Context(), l.lock(t, "a-lone")); !errors.Is(err, builder.ErrMissingTool) {
		t.Errorf("plan: %v", err)
	}
	// Resolving asks backends too: that it cannot is no reason to take an older version.
	l = newLine(t, t.TempDir(), w, nil, testindex.Package{Name: "lib", Version: "1"}, testindex.Package{Name: "lib", Version: "2", Dynamic: true})
	if lock, err := l.resolve(t, "lib"); !errors.Is(err, builder.ErrMissingTool) {
		t.Errorf("resolve: %+v, %v", lock, err)
	}
}

func TestHookThatFailsIsOnlyAWarning(t *testing.T) {
	w := newWorkshop(t, 1)
	l := newLine(t, t.TempDir(), w, nil, testindex.Package{Name: "lib", Version: "1", Fault: testindex.HookFails})
	work := l.plan(t, "lib")
	warnings := l.events.of("warning")
	if len(warnings) != 1 || !strings.Contains(warnings[0].Message, "lib==1") || strings.Contains(warnings[0].Message, "\n") {
		t.Errorf("warnings: %+v", warnings)
	}
	want(t, "states", map[string]string{"lib 1": StateBuilt}, states(build(t, l, work)))
}

// Each archive is asked once for each base and environment, whatever the process.
func TestBackendsAreAskedOnce(t *testing.T) {
	state := t.TempDir()
	first := newWorkshop(t, 1)
	newLine(t, state, first, nil, chain...).plan(t, "a-lone", "x-end")
	if len(first.asked) != 4 {
		t.Errorf("asked: %v", first.asked)
	}
	second := newWorkshop(t, 1)
	newLine(t, state, second, nil, chain...).plan(t, "a-lone", "x-end")
	if len(second.asked) > 0 {
		t.Errorf("asked again: %v", second.asked)
	}
}
