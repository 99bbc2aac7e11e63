package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/apt"
	"reqpm/internal/diagnose"
	"reqpm/internal/distro"
	distrofake "reqpm/internal/distro/fake"
	"reqpm/internal/plan"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// repositories know the RPMs of some dependencies.
type repositories struct {
	distrofake.Provider
	have map[string]string // RPM name by dependency
}

func (r *repositories) Knows(_ context.Context, _ target.Target, deps []string) (map[string]distro.RPM, error) {
	known := map[string]distro.RPM{}
	for _, d := range deps {
		if name := r.have[d]; name != "" {
			known[d] = distro.RPM{Name: name, Version: "1"}
		}
	}
	return known, nil
}

func withRepositories(have map[string]string) func(*Config) {
	return func(c *Config) { c.Distribution.Provider = &repositories{have: have} }
}

const (
	noZMQ     = "x.c:1:10: fatal error: zmq.h: No such file or directory\n"
	noOdd     = "x.c:1:10: fatal error: odd/odd.h: No such file or directory\n"
	noOddLib  = "/usr/bin/ld: cannot find -lodd: No such file or directory\n"
	noOddPC   = "No package 'odd-1.0' found\n"
	noOddTool = "/bin/sh: line 3: oddgen: command not found\n"
	noOddCM   = "CMake Error: Could NOT find Odd (missing: ODD_LIBRARY)\n"
)

// What a log misses outside of Python becomes a build requirement by the name that the target's repositories have it under.
func TestNativeNeedOfALogIsRepaired(t *testing.T) {
	have := map[string]string{"pkgconfig(libzmq)": "zeromq-devel", "/usr/include/odd/odd.h": "odd-devel", "/usr/lib64/libodd.so": "odd-devel",
		"pkgconfig(odd-1.0)": "odd-devel", "/usr/bin/oddgen": "odd-tools", "cmake(Odd)": "odd-devel"}
	for log, dep := range map[string]string{noZMQ: "pkgconfig(libzmq)", noOdd: "odd-devel", noOddLib: "odd-devel", noOddPC: "pkgconfig(odd-1.0)",
		noOddTool: "/usr/bin/oddgen", noOddCM: "cmake(Odd)"} {
		w := newWorkshop(t, 1)
		w.needs("lib", "BuildRequires:  "+dep+"\n", log)
		l := newLine(t, t.TempDir(), w, withRepositories(have), testindex.Package{Name: "lib", Version: "1"})
		work, logs := l.plan(t, "lib"), t.TempDir()
		outcomes, err := l.Build(t.Context(), work, logs)
		if err != nil {
			t.Fatal(err)
		}
		lib := outcomes["lib==1"]
		if lib.State != StateBuilt || len(lib.Repairs) != 1 {
			t.Errorf("%s%+v\n%s", log, lib, work.builds["lib==1"].spec.text)
			continue
		}
		kept, err := os.ReadFile(filepath.Join(logs, "overrides", "lib.toml"))
		if err != nil || !strings.Contains(string(kept), `build-requires = ["rpm:`+dep+`"]`) {
			t.Errorf("what was learned: %s, %v", kept, err)
		}
	}
}

// What the repositories do not know reaches no spec, and is not called safe; nor does what they could not mean.
func TestNativeNeedThatNobodyHas(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"unknown":     withRepositories(nil),
		"nobody asks": nil,
		"a bad name":  withRepositories(map[string]string{"/usr/include/odd/odd.h": "odd %{lua:x}\nRequires: evil"}),
	} {
		w := newWorkshop(t, 1)
		w.needs("lib", "never in a spec", noOdd)
		l := newLine(t, t.TempDir(), w, change, testindex.Package{Name: "lib", Version: "1"})
		work := l.plan(t, "lib")
		lib := build(t, l, work)["lib==1"]
		if lib.State != StateFailed || lib.Why != diagnose.MissingHeader || len(lib.Repairs) != 0 || lib.Findings[0].Safe || len(w.Builds()) != 0 {
			t.Errorf("%s: %+v", name, lib)
		}
		if text := work.builds["lib==1"].spec.text; strings.Contains(text, "odd") {
			t.Errorf("%s: the spec:\n%s", name, text)
		}
	}
	// A build that has it and fails all the same is not built a third time.
	w := newWorkshop(t, 1)
	w.needs("lib", "never in a spec", noZMQ)
	l := newLine(t, t.TempDir(), w, withRepositories(map[string]string{"pkgconfig(libzmq)": "zeromq-devel", "/usr/include/zmq.h": "zeromq-devel"}), testindex.Package{Name: "lib", Version: "1"})
	if lib := build(t, l, l.plan(t, "lib"))["lib==1"]; lib.State != StateFailed || len(lib.Repairs) != 1 || lib.Findings[0].Safe {
		t.Errorf("%+v", lib)
	}
}

// debian is a machine's distribution with one package.
type debian struct{ name string }

func (d debian) Candidates(_ context.Context, names []string) (map[string]string, error) {
	found := map[string]string{}
	if slices.Contains(names, d.name) {
		found[d.name] = "4.3-1"
	}
	return found, nil
}

func (d debian) Resolve(_ context.Context, names []string) ([]apt.Package, error) {
	var list []apt.Package
	for _, n := range names {
		if n != d.name {
			return nil, &apt.NoCandidateError{Names: []string{n}}
		}
		list = append(list, apt.Package{Name: n, Version: "4.3-1", Arch: "amd64", Size: 1000, SHA256: strings.Repeat("a", 64)})
	}
	return list, nil
}

func (d debian) Fetch(_ context.Context, list []apt.Package) ([]string, error) {
	return make([]string, len(list)), nil
}

// localLine is a line for target local on a machine of Debian's kind that has nothing installed.
func localLine(t *testing.T, state string, w *workshop, system SystemPackages, packages ...testindex.Package) *line {
	t.Helper()
	tgt, err := target.Find(t.Context(), "local")
	if err != nil {
		t.Fatal(err)
	}
	tgt.RPM.Style, tgt.Kind = target.StyleDriver, target.Host
	w.target = tgt
	l := newLine(t, state, w, func(c *Config) { c.System = system }, append(packages, testindex.Package{Name: "lib", Version: "1"})...)
	l.system.installed = func() (map[string]string, error) { return map[string]string{}, nil }
	return l
}

// On a machine of Debian's kind the same override means a package of apt's: plan, spec and key follow.
func TestNativeNeedIsMetByApt(t *testing.T) {
	for _, c := range []struct{ log, deb, dep, inSpec string }{
		{noZMQ, "libzmq3-dev", "pkgconfig(libzmq)", "BuildRequires:  pkgconfig(libzmq)\n"},
		// Debian's package has nothing that a spec could ask for by RPM's words.
		{"x.c:1:10: fatal error: lber.h: No such file or directory\n", "libldap-dev", "openldap-devel", ""},
	} {
		state, w := t.TempDir(), newWorkshop(t, 1)
		l := localLine(t, state, w, debian{c.deb})
		work := l.plan(t, "lib")
		before := work.builds["lib==1"].key
		if c.inSpec != "" {
			w.needs("lib", c.inSpec, c.log)
		} else {
			w.failsOnce("lib", c.log)
		}
		lib := build(t, l, work)["lib==1"]
		b := work.builds["lib==1"]
		if lib.State != StateBuilt || b.key == before {
			t.Errorf("%+v, key %s\n%s", lib, b.key, b.spec.text)
			continue
		}
		if strings.Contains(b.spec.text, "openldap") {
			t.Errorf("the spec asks for what this machine has no RPM of:\n%s", b.spec.text)
		}
		fetch := work.Plan.Node("lib==1").Fetch
		want(t, "fetch", []plan.Fetched{{Name: c.deb, Version: "4.3-1", Bytes: 1000}}, fetch)
		learned, err := os.ReadFile(filepath.Join(state, "learned", "overrides", "lib.toml"))
		if err != nil || !strings.Contains(string(learned), `"rpm:`+c.dep+`"`) {
			t.Errorf("learned: %s, %v", learned, err)
		}
		// A later run fetches it from the start.
		l = localLine(t, state, newWorkshop(t, 1), debian{c.deb})
		if again := l.plan(t, "lib").builds["lib==1"]; again.key != b.key || again.cached == nil {
			t.Errorf("a later run plans %s, not %s", again.key, b.key)
		}
	}
	// apt has nothing of it.
	w := newWorkshop(t, 1)
	w.needs("lib", "never in a spec", noZMQ)
	l := localLine(t, t.TempDir(), w, debian{"other"})
	if lib := build(t, l, l.plan(t, "lib"))["lib==1"]; lib.State != StateFailed || len(lib.Repairs) != 0 || lib.Findings[0].Safe {
		t.Errorf("%+v", lib)
	}
}
