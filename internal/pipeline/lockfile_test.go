package pipeline

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/lockfile"
	"reqpm/internal/metadata"
	"reqpm/internal/testindex"
)

// withTools is the lock of a plan, as reqpm lock --tools writes it. Whoever was interrupted says it again, which makes no difference.
func withTools(t *testing.T, l *line, work *Work) lockfile.File {
	t.Helper()
	target, err := l.LockTarget(t.Context(), work.Lock)
	if err == nil {
		err = l.LockTools(t.Context(), &target, work)
	}
	if err == nil {
		err = l.LockTools(t.Context(), &target, work)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := lockfile.Parse(lockfile.Marshal(lockfile.File{Targets: []lockfile.Target{target}}))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLockedBuildToolsAreTakenAgain(t *testing.T) {
	packages := []testindex.Package{
		{Name: "app", Version: "1", Requires: []string{"lib"}, BuildRequires: []string{"tool"}, HookRequires: []string{"helper>=1"}},
		{Name: "lib", Version: "1", BuildRequires: []string{"tool<2"}},
		{Name: "tool", Version: "1", Requires: []string{"helper"}, Files: "both"}, {Name: "tool", Version: "2", Files: "both"},
		{Name: "helper", Version: "1", Files: "both"},
	}
	w := newWorkshop(t, 2)
	first := newLine(t, t.TempDir(), w, nil, packages...)
	work := first.plan(t, "app")
	lock := withTools(t, first, work)
	target := lock.Target("el9")
	var tools []string
	for _, tool := range target.Tools {
		tools = append(tools, tool.ID())
	}
	want(t, "tools", []string{"helper 1", "tool 1", "tool 2"}, tools)
	want(t, "who needs helper", []lockfile.Edge{
		{Kind: "build-backend", From: "app 1", Requirement: "helper>=1"}, {Kind: "install", From: "tool 1", Requirement: "helper"}},
		target.Tools[0].RequiredBy)
	want(t, "roots", []lockfile.BuildRoot{
		{Requires: []string{"helper>=1", "tool"}, Packages: []string{"helper 1", "tool 2"}},
		{Requires: []string{"tool"}, Packages: []string{"tool 2"}},
		{Requires: []string{"tool<2"}, Packages: []string{"helper 1", "tool 1"}}}, target.BuildRoots)

	// Newer tools appear, and nothing changes for who follows the lock.
	newer := append(packages, testindex.Package{Name: "tool", Version: "3", Files: "both"},
		testindex.Package{Name: "tool", Version: "1.5", Files: "both"}, testindex.Package{Name: "helper", Version: "7", Files: "both"})
	again := newLine(t, t.TempDir(), w, func(c *Config) { c.Locked = &lock }, newer...)
	replayed := again.plan(t, "app")
	want(t, "plan", planText(t, work), planText(t, replayed))
	want(t, "lock", string(lockfile.Marshal(lock)), string(lockfile.Marshal(withTools(t, again, replayed))))

	// Who locks anew keeps them too.
	kept := newLine(t, t.TempDir(), w, func(c *Config) { c.Keep = lock.Target("el9") }, newer...)
	want(t, "kept", planText(t, work), planText(t, kept.plan(t, "app")))
	upgraded := newLine(t, t.TempDir(), w, func(c *Config) { c.Keep, c.Upgrade = lock.Target("el9"), []string{"tool"} }, newer...)
	if p := upgraded.plan(t, "app").Plan; p.Node("tool==3") == nil || p.Node("helper==1") == nil || p.Node("helper==7") != nil {
		t.Errorf("upgraded: %v", p.Order())
	}
}

func planText(t *testing.T, work *Work) string {
	t.Helper()
	text, err := json.Marshal(work.Plan)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLockThatDoesNotHoldTogether(t *testing.T) {
	packages := []testindex.Package{{Name: "app", Version: "1", Requires: []string{"lib>=2"}}, {Name: "lib", Version: "1"}, {Name: "lib", Version: "2"}, {Name: "odd", Version: "1"}}
	w := newWorkshop(t, 1)
	l := newLine(t, t.TempDir(), w, nil, packages...)
	target, err := l.LockTarget(t.Context(), l.lock(t, "app"))
	if err != nil {
		t.Fatal(err)
	}
	follow := func(change func(*lockfile.Target)) string {
		edited := target
		edited.Packages = slices.Clone(target.Packages)
		change(&edited)
		l := newLine(t, t.TempDir(), w, func(c *Config) { c.Locked = &lockfile.File{Targets: []lockfile.Target{edited}} }, packages...)
		_, err := l.resolve(t, "app")
		if err != nil && !as[*LockError](err) {
			t.Errorf("not a *LockError: %v", err)
		}
		if err == nil {
			return ""
		}
		return err.Error()
	}
	want(t, "as it was", "", follow(func(*lockfile.Target) {}))
	for name, c := range map[string]struct {
		change func(*lockfile.Target)
		says   string
	}{
		"an older version":   {func(t *lockfile.Target) { t.Packages[1].Version = "1" }, "do not satisfy what is required"},
		"a package left out": {func(t *lockfile.Target) { t.Packages = t.Packages[:1] }, "do not satisfy what is required"},
		"a package too much": {func(t *lockfile.Target) { t.Packages = append(t.Packages, lockfile.Package{Name: "odd", Version: "1"}) }, "odd 1 is gone"},
		"another requirement": {func(t *lockfile.Target) {
			t.Packages[1].RequiredBy = []lockfile.Edge{{Kind: "install", From: "app", Requirement: "lib"}}
		}, "required by others"},
		"another file": {func(t *lockfile.Target) { t.Packages[1].Artifact.Filename = "lib-2.zip" }, "does not have lib-2.zip"},
		"another hash": {func(t *lockfile.Target) { t.Packages[1].Artifact.SHA256 = strings.Repeat("0", 64) }, "in the lock"},
	} {
		if got := follow(c.change); !strings.Contains(got, c.says) {
			t.Errorf("%s: %q does not say %q", name, got, c.says)
		}
	}
}

// What a backend says and what pyproject.toml says are the same project to a lock.
func TestLockedProjectInOneSpelling(t *testing.T) {
	project := func(python string, requires ...string) *Project {
		reqs, err := parseAll(requires)
		if err != nil {
			t.Fatal(err)
		}
		return &Project{Name: "app", Version: "1", Meta: metadata.Metadata{RequiresPython: python, RequiresDist: reqs}}
	}
	asked := lockedProject(project(">=3.8,<4", `Flask[Async]<4,>=3 ; python_version > "3.8"`, `pytest; extra == "test"`))
	read := lockedProject(project("<4, >=3.8", `flask [async] >=3, <4; python_version>'3.8'`))
	want(t, "project", read, asked)
}
