package pipeline

import (
	"slices"
	"strings"
	"testing"

	"reqpm/internal/pep508"
	"reqpm/internal/plan"
	"reqpm/internal/testindex"
)

func TestOverrideReachesTheRPM(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 2), func(c *Config) {
		r, err := pep508.Parse("base==2.0")
		if err != nil {
			t.Fatal(err)
		}
		c.Overrides = []pep508.Requirement{r}
	}, testindex.Package{Name: "app", Version: "1", Requires: []string{"base<2", "other"}},
		testindex.Package{Name: "base", Version: "1.0"}, testindex.Package{Name: "base", Version: "2.0"}, testindex.Package{Name: "other", Version: "1"})
	work := l.plan(t, "app")
	base := work.Lock.Packages[1]
	want(t, "base is", "base 2.0", base.Name+" "+base.Version)
	want(t, "why", []RequiredBy{{Name: "app", Requirement: "base==2.0", Edge: plan.Install, Overridden: "base<2"}}, base.RequiredBy)

	spec := work.builds["app==1"].spec.text
	for _, line := range []string{"Requires:       python3.12dist(base) = 2", "%global __requires_exclude ^[(]*(python3[.]12dist[(]base[)])\n"} {
		if !strings.Contains(spec, line) {
			t.Errorf("no %q in\n%s", line, spec)
		}
	}
	warnings := l.events.of("warning")
	if !slices.ContainsFunc(warnings, func(e Event) bool {
		return e.Message == "--override base ==2.0 counts in place of base<2 of app 1"
	}) {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestPinnedPackageWithoutMetadataIsOneFailedPackage(t *testing.T) {
	w := newWorkshop(t, 2)
	l := newLine(t, t.TempDir(), w, nil, testindex.Package{Name: "app", Version: "1", Requires: []string{"mod"}}, testindex.Package{Name: "lone", Version: "1"},
		testindex.Package{Name: "mod", Version: "1", Dynamic: true, Fault: testindex.HookFails})
	if _, err := l.resolve(t, "app", "lone"); err == nil || !strings.Contains(err.Error(), "fails on purpose") {
		t.Fatalf("not pinned, it is no failed package: %v", err)
	}
	work := l.plan(t, "app==1", "lone==1", "mod==1")
	node := work.Plan.Node("mod==1")
	if node == nil || node.Decision != plan.Failed || !strings.Contains(node.Reason, "fails on purpose") {
		t.Errorf("planned: %+v", node)
	}
	want(t, "states", map[string]string{"app 1": StateBuilt, "lone 1": StateBuilt, "mod 1": StateFailed}, states(build(t, l, work)))
}

func TestNewestVersionWithASourceIsTaken(t *testing.T) {
	packages := []testindex.Package{{Name: "certifi", Version: "1"}, {Name: "certifi", Version: "2", Files: "wheel"}, {Name: "wheels", Version: "1", Files: "wheel"}}
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, packages...)
	want(t, "certifi", "1", l.lock(t, "certifi").Packages[0].Version)
	want(t, "said", "certifi 2 has no source distribution; 1 is taken", l.events.of("warning")[0].Message)

	// What nothing else can be taken for is named, all of it at once.
	lock := l.lock(t, "certifi==2", "wheels")
	want(t, "named", `the index has no source distribution of certifi 2, wheels 1
  --allow-wheel certifi  packages it from its wheel instead (not built from source)
  --allow-wheel wheels  packages it from its wheel instead (not built from source)`, l.CheckSources(lock).Error())

	l = newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.AllowWheel = []string{"certifi"} }, packages...)
	want(t, "allowed", "2", l.lock(t, "certifi").Packages[0].Version)
}
