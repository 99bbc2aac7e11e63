package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/distro"
	distrofake "reqpm/internal/distro/fake"
	"reqpm/internal/lockfile"
	"reqpm/internal/plan"
	"reqpm/internal/solve"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// rpmOf is the distribution's package of one version, for a stack such as "3.12".
func rpmOf(stack, prefix, name, version string, requires ...string) distro.RPM {
	return distro.RPM{Name: prefix + name, Version: version, Release: "3.el9", Arch: "noarch", Repo: "appstream",
		Provides: []string{fmt.Sprintf("python%sdist(%s) = %s", stack, name, version)}, Requires: requires}
}

// el9Has is what the distribution of these tests has for Python 3.12.
func el9Has() []distro.RPM {
	return []distro.RPM{
		rpmOf("3.12", "python3.12-", "leaf", "1.2"),
		rpmOf("3.12", "python3.12-", "web", "2.1", "(python3.12dist(leaf) >= 1 with python3.12dist(leaf) < 2~~)"),
		rpmOf("3.12", "python3.12-", "only-here", "5", "python3.12dist(leaf)"),
		rpmOf("3.12", "python3.12-", "lame", "3", "python3.12dist(nowhere)"),
		rpmOf("3.12", "python3.12-", "tool", "0.9"),
	}
}

// theIndex has newer versions of most.
func theIndex() []testindex.Package {
	return []testindex.Package{
		{Name: "leaf", Version: "1.2.0"}, {Name: "leaf", Version: "1.9"}, {Name: "leaf", Version: "2.0"},
		{Name: "web", Version: "2.1", Requires: []string{"leaf>=2"}, Extras: map[string][]string{"fast": {"leaf"}}},
		{Name: "web", Version: "3.0", Requires: []string{"leaf>=2"}, Extras: map[string][]string{"fast": {"leaf"}}},
		{Name: "lame", Version: "2"},
		{Name: "app", Version: "1", Requires: []string{"leaf"}, BuildRequires: []string{"tool"}},
		{Name: "tool", Version: "0.9", Files: "both"}, {Name: "tool", Version: "1.0", Files: "both"},
	}
}

func distroLine(t *testing.T, w *workshop, change func(*Config)) *line {
	t.Helper()
	return newLine(t, t.TempDir(), w, func(c *Config) {
		c.Distribution.Provider = &distrofake.Provider{RPMs: el9Has()}
		if change != nil {
			change(c)
		}
	}, theIndex()...)
}

// chosen says of a lock what was taken: "name version kind".
func chosenOf(lock *Lock) []string {
	var list []string
	for _, l := range lock.Packages {
		list = append(list, l.Name+" "+l.Version+" "+l.Artifact.Kind)
	}
	return list
}

func TestDistributionPolicies(t *testing.T) {
	none := func(*DistributionConfig) {}
	for _, tt := range []struct {
		name     string
		config   func(*DistributionConfig)
		requires []string
		want     []string
	}{
		{"the distribution's version is preferred", none, []string{"leaf"}, []string{"leaf 1.2.0 distribution"}},
		{"where it fits", none, []string{"leaf>=1.5"}, []string{"leaf 2.0 sdist"}},
		{"and where it fits all", none, []string{"leaf", "web>=3"}, []string{"leaf 2.0 sdist", "web 3.0 sdist"}},
		{"with what its RPM requires, not the index", none, []string{"web"}, []string{"leaf 1.2.0 distribution", "web 2.1 distribution"}},
		{"its closure may come from the index", none, []string{"web", "leaf>1.2,<2"}, []string{"leaf 1.9 sdist", "web 2.1 distribution"}},
		{"a version that no index has", none, []string{"only-here"}, []string{"leaf 1.2.0 distribution", "only-here 5 distribution"}},
		{"not when its closure cannot be had", none, []string{"lame"}, []string{"lame 2 sdist"}},
		{"an extra that the distribution does not package", none, []string{"web[fast]"}, []string{"leaf 2.0 sdist", "web 3.0 sdist"}},
		{"newest first", func(c *DistributionConfig) { c.Policy = PreferNewest }, []string{"web"}, []string{"leaf 2.0 sdist", "web 3.0 sdist"}},
		{"newest first takes what fits", func(c *DistributionConfig) { c.Policy = PreferNewest }, []string{"leaf<1.5"}, []string{"leaf 1.2.0 distribution"}},
		{"never", func(c *DistributionConfig) { c.Policy = NeverReuse }, []string{"leaf<1.5", "web"}, nil},
		{"never by name", func(c *DistributionConfig) { c.Packages = map[string]Policy{"leaf": NeverReuse} }, []string{"web"}, []string{"leaf 1.9 sdist", "web 2.1 distribution"}},
		{"by name only", func(c *DistributionConfig) {
			c.Policy, c.Packages = NeverReuse, map[string]Policy{"leaf": PreferDistribution}
		}, []string{"web<3", "leaf<2"}, nil},
		{"by name only, alone", func(c *DistributionConfig) {
			c.Policy, c.Packages = NeverReuse, map[string]Policy{"leaf": PreferDistribution}
		}, []string{"leaf"}, []string{"leaf 1.2.0 distribution"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := distroLine(t, newWorkshop(t, 1), func(c *Config) { tt.config(&c.Distribution) })
			lock, err := l.resolve(t, tt.requires...)
			if tt.want == nil {
				if !errors.As(err, new(*solve.Conflict)) {
					t.Errorf("want a conflict: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want(t, "lock", tt.want, chosenOf(lock))
		})
	}
}

func TestHashesMeanTheArchive(t *testing.T) {
	l := distroLine(t, newWorkshop(t, 1), nil)
	lock := l.lock(t, "leaf==1.2.0")
	if kind := lock.Packages[0].Artifact.Kind; kind != KindDistribution {
		t.Fatalf("without a hash it is %s", kind)
	}
	page, err := l.from.page(t.Context(), "leaf")
	if err != nil {
		t.Fatal(err)
	}
	files := page.files(lock.Packages[0].Meta.Version)
	lock = l.lock(t, "leaf==1.2.0 --hash=sha256:"+files[0].SHA256)
	want(t, "lock", []string{"leaf 1.2.0 sdist"}, chosenOf(lock))
}

func TestReusedIsNotBuilt(t *testing.T) {
	w := newWorkshop(t, 2)
	l := distroLine(t, w, nil)
	lock := l.lock(t, "app", "only-here")
	want(t, "file", Artifact{Filename: "python3.12-leaf-1.2-3.el9.noarch", Kind: KindDistribution}, lock.Packages[1].Artifact)
	if len(lock.Packages[1].RequiredBy) != 2 {
		t.Errorf("who requires leaf: %+v", lock.Packages[1].RequiredBy)
	}
	want(t, "use", &DistributionUse{Policy: PreferDistribution, Source: distro.FromRepositories, Revision: "1", Packages: 5, Reused: 2}, lock.Distribution)
	work, err := l.Plan(t.Context(), lock)
	if err != nil {
		t.Fatal(err)
	}
	n := work.Plan.Node("leaf==1.2.0")
	if n.Decision != plan.Reuse || !n.Runtime || n.Seconds != 0 || n.Reason != "python3.12-leaf-1.2-3.el9.noarch from appstream" {
		t.Errorf("leaf: %+v", n)
	}
	if !slices.ContainsFunc(work.Plan.Edges(), func(e plan.Edge) bool { return e.From == "app==1" && e.To == "leaf==1.2.0" }) {
		t.Error("the edge from app to leaf is gone")
	}
	outcomes := build(t, l, work)
	want(t, "states", map[string]string{"app 1": StateBuilt, "leaf 1.2.0": StateDistro, "only-here 5": StateDistro, "tool 1.0": StateBuilt}, states(outcomes))
	if o := outcomes["leaf==1.2.0"]; o.NEVRA != "python3.12-leaf-1.2-3.el9.noarch" {
		t.Errorf("leaf: %+v", o)
	}
	if builds := w.Builds(); slices.ContainsFunc(builds, func(b string) bool { return strings.HasPrefix(b, "leaf") }) {
		t.Errorf("built: %v", builds)
	}
}

func TestBuildToolsOfTheDistribution(t *testing.T) {
	keys := map[Policy]string{}
	for _, tools := range []Policy{"", PreferDistribution, PreferNewest} {
		l := distroLine(t, newWorkshop(t, 1), func(c *Config) { c.Distribution.Tools = tools })
		work := l.plan(t, "app")
		keys[tools] = work.builds["app==1"].key
		root := work.Plan.Node("app==1").Root
		if tools == PreferDistribution {
			want(t, "build root", []plan.ID{"tool==0.9"}, root)
			if n := work.Plan.Node("tool==0.9"); n.Decision != plan.Reuse || n.Runtime {
				t.Errorf("tool: %+v", n)
			}
			want(t, "states", map[string]string{"app 1": StateBuilt, "leaf 1.2.0": StateDistro, "tool 0.9": StateDistro}, states(build(t, l, work)))
			continue
		}
		want(t, "build root", []plan.ID{"tool==1.0"}, root)
	}
	// The same build root again, but for the release of the distribution's package.
	l := distroLine(t, newWorkshop(t, 1), func(c *Config) {
		rpms := el9Has()
		rpms[4].Release = "4.el9"
		c.Distribution.Tools, c.Distribution.Provider = PreferDistribution, &distrofake.Provider{RPMs: rpms}
	})
	if key := l.plan(t, "app").builds["app==1"].key; key == keys[PreferDistribution] || keys[PreferDistribution] == keys[""] {
		t.Errorf("the keys do not tell build roots apart: %s, %v", key, keys)
	}
}

// systemPython is a workshop for el9's own Python 3.9.
func systemPython(t *testing.T) *workshop {
	w := newWorkshop(t, 1)
	py39, err := target.Find(t.Context(), "el9-py39")
	if err != nil {
		t.Fatal(err)
	}
	py39.RPM.Style = target.StyleDriver
	w.target = py39
	return w
}

func TestSystemPackagesAreNotReplaced(t *testing.T) {
	has := &distrofake.Provider{RPMs: []distro.RPM{rpmOf("3.9", "python3-", "leaf", "1.2")}}
	l := distroLine(t, systemPython(t), func(c *Config) { c.Distribution.Provider = has })
	lock := l.lock(t, "leaf>=1.5")
	_, err := l.Plan(t.Context(), lock)
	refused, ok := errors.AsType[*ReplaceError](err)
	if !ok {
		t.Fatalf("not refused: %v", err)
	}
	want(t, "packages", []Replaced{{Name: "leaf", Version: "2.0", RPM: "python3-leaf", Has: "1.2"}}, refused.Packages)
	for _, word := range []string{"python3-leaf", "leaf 2.0", "1.2", "another Python stack", "--constrain 'leaf==1.2'", "--replace leaf"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the message has no %q:\n%v", word, err)
		}
	}
	want(t, "the lock says so, too", refused.Packages, lock.Replaces)

	// The same is not asked of who says so, of other stacks, and of the distribution's version.
	for name, change := range map[string]func(c *Config){
		"told":                        func(c *Config) { c.Distribution.Replace = []string{"leaf"} },
		"its own":                     nil,
		"never, but the same version": func(c *Config) { c.Distribution.Policy = NeverReuse },
	} {
		t.Run(name, func(t *testing.T) {
			l := distroLine(t, systemPython(t), func(c *Config) {
				c.Distribution.Provider = has
				if change != nil {
					change(c)
				}
			})
			require := "leaf==1.2"
			if name == "told" {
				require = "leaf>=1.5"
			}
			l.plan(t, require)
		})
	}
	other := distroLine(t, newWorkshop(t, 1), nil)
	other.plan(t, "leaf>=1.5")
}

// The distribution calls dnspython's RPM python3-dns.
func TestAnotherNameForTheSameFiles(t *testing.T) {
	other := rpmOf("3.9", "python3-", "leaf", "1.2")
	other.Name = "python3-leaves"
	l := distroLine(t, systemPython(t), func(c *Config) { c.Distribution.Provider = &distrofake.Provider{RPMs: []distro.RPM{other}} })
	l.plan(t, "leaf>=1.5")
	if w := l.events.of("warning"); len(w) != 1 || !strings.Contains(w[0].Message, "python3-leaf cannot be installed where the distribution's python3-leaves is") {
		t.Errorf("warnings: %v", w)
	}
}

func TestNothingKnownOfTheDistribution(t *testing.T) {
	unknown := &distrofake.Provider{Err: fmt.Errorf("%w of el9: no route", distro.ErrUnknown)}
	l := distroLine(t, newWorkshop(t, 1), func(c *Config) { c.Distribution.Provider = unknown })
	want(t, "lock", []string{"leaf 2.0 sdist"}, chosenOf(l.lock(t, "leaf")))
	if w := l.events.of("warning"); len(w) != 1 || !strings.Contains(w[0].Message, "no route") {
		t.Errorf("warnings: %v", w)
	}
}

func TestTableIsMarked(t *testing.T) {
	table := &distrofake.Provider{RPMs: el9Has()[:2], Origin: distro.FromTable, Reason: "no route"}
	l := distroLine(t, newWorkshop(t, 1), func(c *Config) { c.Distribution.Provider = table })
	lock := l.lock(t, "leaf", "web")
	// What a table does not know of a version the index says.
	want(t, "lock", []string{"leaf 2.0 sdist", "web 2.1 distribution"}, chosenOf(lock))
	if lock.Distribution.Source != distro.FromTable {
		t.Errorf("use: %+v", lock.Distribution)
	}
	if w := l.events.of("warning"); len(w) != 1 || !strings.Contains(w[0].Message, "table shipped with ReqPM") {
		t.Errorf("warnings: %v", w)
	}
}

// A machine whose packages are not rpm's has nothing to reuse, and is not asked.
func TestLocalIsNotAsked(t *testing.T) {
	w := newWorkshop(t, 1)
	w.target.Kind = target.Host
	has := &distrofake.Provider{RPMs: el9Has()}
	l := distroLine(t, w, func(c *Config) { c.Distribution.Provider = has })
	want(t, "lock", []string{"leaf 2.0 sdist"}, chosenOf(l.lock(t, "leaf")))
	if has.Asked() > 0 || len(l.events.of("warning")) > 0 {
		t.Errorf("asked %d times, warnings %v", has.Asked(), l.events.of("warning"))
	}
}

func TestSetRequiresTheDistributionsVersion(t *testing.T) {
	l := distroLine(t, newWorkshop(t, 1), nil)
	work := l.plan(t, "app")
	outcomes := build(t, l, work)
	base, err := l.openBase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set, err := l.buildSet(t.Context(), base, work, outcomes, Publishing{Project: "shop", Logs: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(set.dir, "shop-requirements.spec"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "python3.12dist(leaf) = 1.2\n") || !strings.Contains(string(text), "python3-app = 1") {
		t.Errorf("the set's spec:\n%s", text)
	}
}

func TestProofHoldsVersions(t *testing.T) {
	planned := map[string]string{"leaf": "1.2.0"}
	for found, ok := range map[string]bool{"1.2": true, "1.2.0": true, "1.3": false, "": false} {
		if err := checkVersions(planned, map[string]string{"leaf": found}); (err == nil) != ok {
			t.Errorf("%q: %v", found, err)
		}
	}
	if err := checkVersions(planned, nil); err != nil {
		t.Errorf("a Python that cannot tell: %v", err)
	}
}

// A lock with packages of the distribution is followed to the release of their RPMs.
func TestLockOfReusedPackages(t *testing.T) {
	state := t.TempDir()
	has := &distrofake.Provider{RPMs: el9Has()}
	open := func(change func(*Config)) *line {
		return newLine(t, state, newWorkshop(t, 1), func(c *Config) {
			c.Distribution.Provider, c.Distribution.Tools = has, PreferDistribution
			if change != nil {
				change(c)
			}
		}, theIndex()...)
	}
	l := open(nil)
	lock := l.lock(t, "app", "only-here")
	locked, err := l.LockTarget(t.Context(), lock)
	if err != nil {
		t.Fatal(err)
	}
	work, err := l.Plan(t.Context(), lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.LockTools(t.Context(), &locked, work); err != nil {
		t.Fatal(err)
	}
	text := lockfile.Marshal(lockfile.File{Targets: []lockfile.Target{locked}})
	read, err := lockfile.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	leaf := read.Targets[0].Package("leaf")
	if leaf == nil || leaf.Decision != lockfile.Reuse || leaf.Artifact.Filename != "python3.12-leaf-1.2-3.el9.noarch" {
		t.Errorf("leaf in the lock: %+v", leaf)
	}
	follow := func(c *Config) { c.Locked, c.Distribution.Tools = &read, "" }
	again := open(follow)
	want(t, "followed", chosenOf(lock), chosenOf(again.lock(t, "app", "only-here")))
	if n := again.plan(t, "app", "only-here").Plan.Node("tool==0.9"); n == nil || n.Decision != plan.Reuse {
		t.Errorf("the lock's build tool: %+v", n)
	}

	for i := range has.RPMs {
		has.RPMs[i].Release = "4.el9"
	}
	if _, err := open(follow).resolve(t, "app", "only-here"); !errors.As(err, new(*LockError)) {
		t.Errorf("followed though the distribution's release is another: %v", err)
	}
}

// An override cannot reach into the distribution's RPM, so its package is built.
func TestOverrideOfWhatTheDistributionRequires(t *testing.T) {
	l := distroLine(t, newWorkshop(t, 1), func(c *Config) {
		reqs, err := parseAll([]string{"leaf==2.0"})
		if err != nil {
			t.Fatal(err)
		}
		c.Overrides = reqs
	})
	want(t, "lock", []string{"leaf 2.0 sdist", "web 3.0 sdist"}, chosenOf(l.lock(t, "web")))
}
