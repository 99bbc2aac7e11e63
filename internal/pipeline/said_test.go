package pipeline

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"reqpm/internal/override"
	"reqpm/internal/plan"
	"reqpm/internal/spec"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// say reads overrides/NAME.toml files as a project's.
func say(t *testing.T, files ...string) override.Set {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	got, err := override.Read(override.Source{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	return got.Set
}

var saidIndex = []testindex.Package{
	{Name: "app", Version: "1", Requires: []string{"base", "unwanted"}, BuildRequires: []string{"oldtool"}},
	{Name: "base", Version: "1.0"}, {Name: "base", Version: "2.0"}, {Name: "unwanted", Version: "1"}, {Name: "added", Version: "3"},
	{Name: "oldtool", Version: "1"}, {Name: "newtool", Version: "1"}, {Name: "newtool", Version: "2"},
}

func saidPlan(t *testing.T, set override.Set) (*line, *Work) {
	t.Helper()
	l := newLine(t, t.TempDir(), newWorkshop(t, 2), func(c *Config) { c.Said = set }, saidIndex...)
	return l, l.plan(t, "app")
}

const saidPatch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"

func TestOverridesReachSpecPlanKeyAndRoot(t *testing.T) {
	_, plain := saidPlan(t, override.Set{})
	l, work := saidPlan(t, say(t, "overrides/app.toml", `build-requires = ["newtool<2", "rpm:libxml2-devel"]
drop-build-requires = ["oldtool"]
requires = ["added", "rpm:redis"]
drop-requires = ["unwanted"]
patches = ["fix.patch"]
env = { SPEED = "it's 100%" }
[target.el9]
checks.commands = ["$PYTHON -m app"]
[target.el8]
env = { SPEED = "other" }
`, "overrides/fix.patch", saidPatch, "overrides/base.toml", "version = '<2'\n", "overrides/nobody.toml", "allow-pure = true\n"))

	var locked []string
	for _, p := range work.Lock.Packages {
		locked = append(locked, p.Name+" "+p.Version)
	}
	want(t, "the set", []string{"added 3", "app 1", "base 1.0"}, locked)
	app := work.builds["app==1"]
	want(t, "the build root", []plan.ID{"newtool==1"}, app.rootIDs())
	for _, line := range []string{
		"BuildRequires:  libxml2-devel\n", "BuildRequires:  python3.12dist(newtool) < 2~~\n", "Requires:       redis\n", "Requires:       python3.12dist(added)\n",
		"\nexport SPEED='it'\\''s 100%%'\n", "\nPatch0:         fix.patch\n", "\n$PYTHON -m app\n", "python3[.]12dist[(]unwanted[)]",
		"# Changed by overrides: build-requires, drop-build-requires, requires, drop-requires, env, patches, checks\n",
	} {
		if !strings.Contains(app.spec.text, line) {
			t.Errorf("no %q in\n%s", line, app.spec.text)
		}
	}
	if strings.Contains(app.spec.text, "oldtool") {
		t.Errorf("oldtool was dropped, and is in\n%s", app.spec.text)
	}
	if !slices.ContainsFunc(app.spec.sources, func(s sourceFile) bool {
		return s.name == "fix.patch" && string(s.data) == saidPatch && len(s.sha256) == 64
	}) {
		t.Errorf("the patch is no source: %+v", app.spec.sources)
	}
	if app.key == plain.builds["app==1"].key {
		t.Error("another build has the same key")
	}
	note := plan.Override{Key: "env.SPEED", Text: "it's 100%", File: "overrides/app.toml", Line: 6}
	if notes := work.Plan.Node("app==1").Overrides; !slices.Contains(notes, note) {
		t.Errorf("the plan does not say %+v: %+v", note, notes)
	}
	if !slices.ContainsFunc(l.events.of("warning"), func(e Event) bool {
		return e.Message == "overrides/nobody.toml:1 is about nobody, which is neither in the set nor a build tool of it"
	}) {
		t.Errorf("nobody was told of an override for a package that is not there: %v", l.events.of("warning"))
	}
	if d := l.cfg.Distribution.Packages; d["app"] != NeverReuse || d["base"] != "" {
		t.Errorf("a changed package may be reused from the distribution, or an unchanged one not: %v", d)
	}
}

// The %pyproject macros ask for all that pyproject.toml asks for, so what is dropped must be built without them.
func TestDroppedRequirementIsBuiltWithoutTheMacros(t *testing.T) {
	l, work := saidPlan(t, say(t, "overrides/app.toml", "drop-build-requires = ['oldtool', 'never-wanted']\n", "overrides/base.toml", "drop-build-requires = ['oldtool']\n"))
	el9, err := target.Find(t.Context(), "el9")
	if err != nil {
		t.Fatal(err)
	}
	base := l.base
	l.base, l.cfg.Target = nil, el9
	defer func() { l.base = base }()
	for id, macros := range map[plan.ID]bool{"app==1": false, "base==2.0": true} {
		out, err := spec.Write(l.specInput(work.builds[id]))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.Text, "%pyproject_buildrequires") != macros || strings.Contains(out.Text, "oldtool") {
			t.Errorf("%s: with macros: want %v, got\n%s", id, macros, out.Text)
		}
	}
}

func TestPatchTextChangesTheKey(t *testing.T) {
	with := func(patch string) string {
		_, work := saidPlan(t, say(t, "overrides/app.toml", "patches = ['fix.patch']\n", "overrides/fix.patch", patch))
		return work.builds["app==1"].key
	}
	first, again, other := with(saidPatch), with(saidPatch), with(saidPatch+"+c\n")
	if first == other {
		t.Error("two patches, one key")
	}
	if first != again {
		t.Error("one patch, two keys")
	}
}

func TestSpecOfYourOwnIsUsedAsItIs(t *testing.T) {
	const own = "Name: mine\nSource0: app-1.tar.gz\nPatch0: fix.patch\n%build\n%{__python3} %{SOURCE1}\n"
	_, work := saidPlan(t, say(t, "overrides/app.toml", "spec = 'mine.spec'\npatches = ['fix.patch']\nbconds = { docs = false }\n",
		"overrides/mine.spec", own, "overrides/fix.patch", saidPatch))
	app := work.builds["app==1"]
	want(t, "the spec", "%global _without_docs --without-docs\n"+own, app.spec.text)
	want(t, "its name", "mine.spec", app.spec.fileName)
	var names []string
	for _, s := range app.spec.sources {
		names = append(names, s.name)
	}
	want(t, "its sources", []string{"app-1.tar.gz", "fix.patch"}, names)
	want(t, "its build root", []plan.ID{"oldtool==1"}, app.rootIDs())
}

func TestVersionThatIsNotThereIsAConflictWithItsLine(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 2), func(c *Config) { c.Said = say(t, "reqpm.toml", "\n[package.base]\nversion = '>=3'\n") }, saidIndex...)
	_, err := l.resolve(t, "app")
	if err == nil || !strings.Contains(err.Error(), "reqpm.toml:3") {
		t.Errorf("the conflict does not name the line: %v", err)
	}
}

func TestWheelByOverride(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.Said = say(t, "overrides/certifi.toml", "wheel = true\n") },
		testindex.Package{Name: "certifi", Version: "1"}, testindex.Package{Name: "certifi", Version: "2", Files: "wheel"})
	want(t, "taken", "2", l.lock(t, "certifi").Packages[0].Version)
}

func TestWhatTheProofImports(t *testing.T) {
	l, _ := saidPlan(t, say(t, "overrides/app.toml", "checks.modules = ['app.core']\n", "overrides/base.toml", "checks.import = false\n"))
	modules, ok := l.saidModules("app", []string{"app", "tests"})
	want(t, "app", []string{"app.core"}, modules)
	want(t, "app is imported", true, ok)
	if _, ok := l.saidModules("base", []string{"base"}); ok {
		t.Error("base is imported")
	}
	modules, _ = l.saidModules("added", []string{"added"})
	want(t, "added", []string{"added"}, modules)
}
