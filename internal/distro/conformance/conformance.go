// Package conformance is the one suite every distro.Provider of repositories passes: what a
// Provider makes of the packages that are there, seen from outside.
package conformance

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"reqpm/internal/distro"
	"reqpm/internal/target"
)

// Subject is a Provider under test.
type Subject struct {
	// Of makes a Provider, and the target to ask it about, whose repositories hold rpms. The target
	// has the Python stack of tgt.
	Of func(t *testing.T, tgt target.Target, rpms []distro.RPM) (distro.Provider, target.Target)
}

// packages are repositories of every kind of package that matters.
var packages = []distro.RPM{
	{Name: "python3.12-six", Version: "1.16.0", Release: "2.el9", Arch: "noarch", License: "MIT",
		Provides: []string{"python3.12-six = 1.16.0-2.el9", "python3.12dist(six) = 1.16"}, Requires: []string{"python(abi) = 3.12"}},
	{Name: "python3.12-app", Version: "2.0", Release: "1.el9", Arch: "x86_64",
		Provides: []string{"python3.12dist(app) = 2"},
		Requires: []string{"libc.so.6(GLIBC_2.14)(64bit)", "(python3.12dist(six) >= 1.10 with python3.12dist(six) < 2~~)", "python3.12dist(rc) >= 1~rc1"}},
	{Name: "python3.12-app+web", Version: "2.0", Release: "1.el9", Arch: "noarch",
		Provides: []string{"python3.12dist(app[web]) = 2"}, Requires: []string{"python3.12dist(app) = 2", "python3.12dist(dotted-name)"}},
	{Name: "python3.12-rc", Epoch: "1", Version: "1.0~rc1", Release: "1.el9", Arch: "noarch", Provides: []string{"python3.12dist(rc) = 1~rc1"}},
	{Name: "python3.12-dotted.name", Version: "3.1", Release: "1.el9", Arch: "noarch",
		Provides: []string{"python3.12dist(dotted.name) = 3.1", "python3.12dist(dotted-name) = 3.1"}},
	{Name: "python3.12-byname", Version: "1", Release: "1.el8", Arch: "noarch",
		Provides: []string{"python3.12dist(byname) = 1.0"}, Requires: []string{"python3.12-six >= 1.9", "python3.12-dotted.name"}},
	// Another stack, another architecture, no Python at all, and an older version.
	{Name: "python3-six", Version: "1.15.0", Release: "9.el9", Arch: "noarch", Provides: []string{"python3.9dist(six) = 1.15", "python3dist(six) = 1.15"}},
	{Name: "python3.12-alien", Version: "1", Release: "1.el9", Arch: "i686", Provides: []string{"python3.12dist(alien) = 1"}},
	{Name: "bash", Version: "5.1", Release: "9.el9", Arch: "x86_64", Provides: []string{"bash = 5.1-9.el9", "bundled(python3.12dist(six)) = 9"}},
	{Name: "python3.12-six", Version: "1.15.0", Release: "1.el9", Arch: "noarch", Provides: []string{"python3.12dist(six) = 1.15"}},
}

// Test runs the suite.
func Test(t *testing.T, s Subject) {
	tgt, err := target.Find(t.Context(), "el9-py312")
	if err != nil {
		t.Fatal(err)
	}
	p, tgt := s.Of(t, tgt, packages)
	t.Run("the stack's distributions", func(t *testing.T) { distributions(t, p, tgt) })
	t.Run("requirements", func(t *testing.T) { requirements(t, p, tgt) })
	t.Run("another stack", func(t *testing.T) { otherStack(t, p, tgt) })
	t.Run("asked side by side", func(t *testing.T) { sideBySide(t, p, tgt) })
	t.Run("cancelled", func(t *testing.T) { cancelled(t, s) })
	t.Run("nothing there", func(t *testing.T) { nothing(t, s) })
}

func ask(t *testing.T, p distro.Provider, tgt target.Target) *distro.Set {
	t.Helper()
	set, err := p.Provides(t.Context(), tgt)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func distributions(t *testing.T, p distro.Provider, tgt target.Target) {
	set := ask(t, p, tgt)
	var have []string
	for _, d := range set.Packages {
		name := d.Name
		if d.Extra != "" {
			name += "[" + d.Extra + "]"
		}
		have = append(have, name+" "+d.Version.String()+" "+d.Provide+" = "+d.Text+" "+d.RPM.NEVRA())
	}
	want := []string{
		"app 2.0 python3.12dist(app) = 2 python3.12-app-2.0-1.el9.x86_64",
		"app[web] 2.0 python3.12dist(app[web]) = 2 python3.12-app+web-2.0-1.el9.noarch",
		"byname 1.0 python3.12dist(byname) = 1.0 python3.12-byname-1-1.el8.noarch",
		"dotted-name 3.1 python3.12dist(dotted-name) = 3.1 python3.12-dotted.name-3.1-1.el9.noarch",
		"rc 1.0rc1 python3.12dist(rc) = 1~rc1 python3.12-rc-1:1.0~rc1-1.el9.noarch",
		"six 1.16.0 python3.12dist(six) = 1.16 python3.12-six-1.16.0-2.el9.noarch",
	}
	if !slices.Equal(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
	if d, ok := set.Distribution("six"); !ok || d.RPM.License != "MIT" || d.RPM.Repo == "" {
		t.Errorf("six: %+v", d)
	}
	if _, ok := set.Extra("app", "web"); !ok {
		t.Error("app[web] is not found")
	}
	if _, ok := set.Extra("app", "cli"); ok {
		t.Error("app[cli] is found, which nobody has")
	}
	if list := set.ByRPM("python3.12-dotted.name"); len(list) != 1 || list[0].Name != "dotted-name" {
		t.Errorf("by the RPM's name: %v", list)
	}
	if set.Origin != distro.FromRepositories || set.Reason != "" {
		t.Errorf("origin %s, reason %q", set.Origin, set.Reason)
	}
}

func requirements(t *testing.T, p distro.Provider, tgt target.Target) {
	set := ask(t, p, tgt)
	for name, want := range map[string][]string{
		"six":    nil,
		"app":    {"six<2,>=1.10", "rc>=1rc1", `dotted-name; extra == "web"`},
		"byname": {"six", "dotted-name"}, // EL 8: by the names of RPMs
		"nobody": nil,
	} {
		var have []string
		for _, r := range set.Requires(name) {
			have = append(have, r.String())
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("%s requires %q, want %q", name, have, want)
		}
	}
}

func otherStack(t *testing.T, p distro.Provider, tgt target.Target) {
	tgt.Python.Version = "3.9.21"
	set := ask(t, p, tgt)
	if len(set.Packages) != 1 || set.Packages[0].Version.String() != "1.15.0" {
		t.Errorf("Python 3.9 has %v", set.Packages)
	}
}

func sideBySide(t *testing.T, p distro.Provider, tgt target.Target) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if set, err := p.Provides(t.Context(), tgt); err != nil || len(set.Packages) != 6 {
				t.Errorf("%v, %v", set, err)
			}
		})
	}
	wg.Wait()
}

func cancelled(t *testing.T, s Subject) {
	tgt, err := target.Find(t.Context(), "el9-py312")
	if err != nil {
		t.Fatal(err)
	}
	p, tgt := s.Of(t, tgt, packages)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Provides(ctx, tgt); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func nothing(t *testing.T, s Subject) {
	tgt, err := target.Find(t.Context(), "el9-py312")
	if err != nil {
		t.Fatal(err)
	}
	p, tgt := s.Of(t, tgt, packages[len(packages)-2:len(packages)-1])
	if set := ask(t, p, tgt); len(set.Packages) != 0 {
		t.Errorf("repositories without Python have %v", set.Packages)
	}
}
