package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/fake"
	"reqpm/internal/diagnose"
	"reqpm/internal/plan"
	"reqpm/internal/testindex"
)

// needs makes the builds of a package fail with a log until its spec asks for something.
func (w *workshop) needs(name, inSpec, log string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wants = append(w.wants, unmetNeed{name, inSpec, log})
}

// failsOnce makes the first build of a package fail with a log.
func (w *workshop) failsOnce(name, log string) { w.needs(name, "", log) }

// unmetNeed is what a package's spec needs to say; "" is nothing: one build fails.
type unmetNeed struct{ name, inSpec, log string }

// unmet is the failure of a job whose spec does not say what it needs to.
func (b *workshopBase) unmet(job builder.Job) (builder.Result, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	text, _ := os.ReadFile(job.Spec)
	for i, n := range b.w.wants {
		name, _, _ := strings.Cut(job.Name, " ")
		if name != n.name || n.inSpec != "" && strings.Contains(string(text), n.inSpec) {
			continue
		}
		if n.inSpec == "" {
			b.w.wants = slices.Delete(b.w.wants, i, i+1)
		}
		log := filepath.Join(job.ResultDir, "build.log")
		if err := errors.Join(os.MkdirAll(job.ResultDir, 0o755), os.WriteFile(log, []byte(n.log), 0o644)); err != nil {
			return builder.Result{}, err
		}
		return builder.Result{}, &builder.BuildError{Name: job.Name, Phase: builder.PhaseBuild, Cause: builder.CauseBuild, Log: log, Err: errors.New("exit status 1")}
	}
	return builder.Result{}, nil
}

const noNumpy = "Traceback (most recent call last):\n  File \"<string>\", line 2, in <module>\nModuleNotFoundError: No module named 'numpy'\n"

// A build that fails for want of a module is planned again with it; what the module's project needs is built, too.
func TestFailedBuildIsRepaired(t *testing.T) {
	packages := []testindex.Package{{Name: "app", Version: "1", Requires: []string{"lib"}}, {Name: "lib", Version: "1"}, {Name: "end", Version: "1", BuildRequires: []string{"lib"}},
		{Name: "numpy", Version: "2", BuildRequires: []string{"tool"}}, {Name: "tool", Version: "1", Files: "both"}}
	state, w := t.TempDir(), newWorkshop(t, 2)
	w.needs("lib", "dist(numpy)", noNumpy)
	l := newLine(t, state, w, nil, packages...)
	work := l.plan(t, "app", "end")
	logs := t.TempDir()
	outcomes, err := l.Build(t.Context(), work, logs)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "states", map[string]string{"app 1": StateBuilt, "lib 1": StateBuilt, "end 1": StateBuilt, "numpy 2": StateBuilt, "tool 1": StateBuilt}, states(outcomes))
	lib := outcomes["lib==1"]
	if len(lib.Repairs) != 1 || lib.Repairs[0].Cause != diagnose.MissingModule || lib.Repairs[0].Line != 3 {
		t.Errorf("repairs: %+v", lib.Repairs)
	}
	retried := slices.IndexFunc(l.events.of("package"), func(e Event) bool {
		return e.State == StateRetrying && e.Name == "lib" && strings.Contains(e.Message, "build requirement numpy (found in log line 3)")
	})
	if retried < 0 {
		t.Errorf("nobody was told: %+v", l.events.of("package"))
	}
	for _, attempt := range []string{"attempt-1/build.log", "attempt-2"} {
		if _, err := os.Stat(filepath.Join(logs, "lib-1", attempt)); err != nil {
			t.Errorf("the attempt is not kept: %v", err)
		}
	}
	kept, err := os.ReadFile(filepath.Join(logs, "overrides", "lib.toml"))
	if err != nil || !strings.Contains(string(kept), `build-requires = ["numpy"]`) {
		t.Errorf("what was learned: %s, %v", kept, err)
	}

	// A later run knows: nothing fails, and nothing is built again.
	w = newWorkshop(t, 2)
	w.needs("lib", "dist(numpy)", noNumpy)
	l = newLine(t, state, w, nil, packages...)
	outcomes = build(t, l, l.plan(t, "app", "end"))
	if len(w.Builds()) > 0 {
		t.Errorf("built again: %v, %v", w.Builds(), states(outcomes))
	}

	// Unless it may not.
	w = newWorkshop(t, 2)
	w.needs("lib", "dist(numpy)", noNumpy)
	l = newLine(t, state, w, func(c *Config) { c.NoRepair = true }, packages...)
	outcomes = build(t, l, l.plan(t, "app", "end"))
	failed := outcomes["lib==1"]
	if failed.State != StateFailed || failed.Why != diagnose.MissingModule || len(failed.Findings) == 0 || len(failed.Repairs) > 0 {
		t.Errorf("--no-repair: %+v", failed)
	}
	want(t, "behind it", StateBlocked, outcomes["end==1"].State)
}

func TestRepairsEnd(t *testing.T) {
	w := newWorkshop(t, 1)
	w.needs("lib", "never in a spec", noNumpy)
	l := newLine(t, t.TempDir(), w, nil, testindex.Package{Name: "lib", Version: "1"}, testindex.Package{Name: "numpy", Version: "1"},
		testindex.Package{Name: "end", Version: "1", BuildRequires: []string{"lib"}})
	outcomes := build(t, l, l.plan(t, "end"))
	want(t, "states", map[string]string{"lib 1": StateFailed, "end 1": StateBlocked, "numpy 1": StateBuilt}, states(outcomes))
	if n := len(outcomes["lib==1"].Repairs); n != 1 {
		t.Errorf("%d repairs of one kind", n)
	}
}

// What no index knows reaches no spec, whatever a log says.
func TestLogAsksForWhatNobodyHas(t *testing.T) {
	for _, log := range []string{noNumpy, "ModuleNotFoundError: No module named 'evil'\n", "Could not find suitable distribution for Requirement.parse('numpy>=99')\n"} {
		w := newWorkshop(t, 1)
		w.needs("lib", "never in a spec", log)
		l := newLine(t, t.TempDir(), w, nil, testindex.Package{Name: "lib", Version: "1"}, testindex.Package{Name: "evil", Version: "1"})
		outcomes := build(t, l, l.plan(t, "lib"))
		want(t, log, map[string]string{"lib 1": StateFailed}, states(outcomes))
	}
}

// A build requirement that no index has is left out, unasked.
func TestRequirementThatNoIndexHas(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, testindex.Package{Name: "lib", Version: "1", BuildRequires: []string{"python-sbom[hatch]>=0.1"}})
	outcomes := build(t, l, l.plan(t, "lib"))
	lib := outcomes["lib==1"]
	if lib.State != StateBuilt || len(lib.Repairs) != 1 || lib.Repairs[0].Cause != diagnose.UnknownRequirement {
		t.Errorf("%+v", lib)
	}
	l = newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.NoRepair = true }, testindex.Package{Name: "lib", Version: "1", BuildRequires: []string{"python-sbom"}})
	if o := build(t, l, l.plan(t, "lib"))["lib==1"]; o.State != StateFailed || o.Why == "" {
		t.Errorf("--no-repair: %+v", o)
	}
}

// A build backend that says in the plan what is wrong is asked again with the change.
func TestBackendSaysWhatIsWrong(t *testing.T) {
	w := newWorkshop(t, 1)
	w.Runner = func(ctx context.Context, c builder.Command) error {
		site := ""
		for _, b := range c.Binds {
			if b.Inside == "/env" {
				site = b.Host
			}
		}
		if old, _ := filepath.Glob(filepath.Join(site, "setuptools-81*")); len(old) == 0 && !isTool(c) {
			return &builder.ExitError{Code: 1, Stderr: "ModuleNotFoundError: No module named 'pkg_resources'"}
		}
		return w.answer(ctx, c)
	}
	l := newLine(t, t.TempDir(), w, nil, testindex.Package{Name: "html5lib", Version: "1", BuildRequires: []string{"setuptools"}},
		testindex.Package{Name: "setuptools", Version: "81.0", Files: "both"}, testindex.Package{Name: "setuptools", Version: "84.0", Files: "both"})
	work := l.plan(t, "html5lib")
	outcomes := build(t, l, work)
	want(t, "states", map[string]string{"html5lib 1": StateBuilt, "setuptools 81.0": StateBuilt}, states(outcomes))
	if r := outcomes[plan.NewID("html5lib", "1")].Repairs; len(r) != 1 || r[0].Changes[0].Value != "setuptools<82" {
		t.Errorf("%+v", r)
	}
}

func isTool(c builder.Command) bool {
	for _, b := range c.Binds {
		if b.Inside == "/src" {
			text, _ := os.ReadFile(filepath.Join(b.Host, "_build", "package.json"))
			return strings.Contains(string(text), "setuptools") && !strings.Contains(string(text), "html5lib")
		}
	}
	return false
}

func TestFailedBuildsSayTheirCause(t *testing.T) {
	w := newWorkshop(t, 1)
	w.Set("lib", fake.Script{Log: map[builder.Phase]string{builder.PhaseBuild: "x.c:1:10: fatal error: zmq.h: No such file or directory\n"}, Fail: &builder.BuildError{}})
	l := newLine(t, t.TempDir(), w, nil, testindex.Package{Name: "lib", Version: "1"})
	o := build(t, l, l.plan(t, "lib"))["lib==1"]
	if o.State != StateFailed || o.Why != diagnose.MissingHeader || len(o.Findings[0].Changes) == 0 || o.Cause == "" {
		t.Errorf("%+v", o)
	}
}
