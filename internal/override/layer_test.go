package override

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/pep440"
)

func dep(t *testing.T, text string) Dependency {
	t.Helper()
	d, err := ParseDependency(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func deps(t *testing.T, texts ...string) []Dependency {
	var list []Dependency
	for _, text := range texts {
		list = append(list, dep(t, text))
	}
	return list
}

func texts(list []Dependency) []string {
	var out []string
	for _, d := range list {
		out = append(out, d.String())
	}
	return out
}

func at(o Override, file string, line int, keys ...string) Override {
	for _, k := range keys {
		o.SetWhere(k, Position{file, line})
	}
	return o
}

func TestLayersGoFromGlobalToTarget(t *testing.T) {
	yes, no := true, false
	set := NewSet(
		Layer{Package: "lxml", Target: "el9", Place: Global, Override: at(Override{Version: "==3", Env: map[string]string{"A": "el9"}}, "global", 9, "version", "env.A")},
		Layer{Package: "lxml", Place: Global, Override: at(Override{Version: "==1", Memory: 1 << 30}, "global", 1, "version", "memory")},
		Layer{Package: "*", Place: Project, Override: Override{Env: map[string]string{"A": "any", "B": "any"}}},
		Layer{Package: "lxml", Place: ProjectFile, Override: Override{Version: "==2.1", Env: map[string]string{"B": "file"}, Wheel: &yes}},
		Layer{Package: "lxml", Place: Project, Override: Override{Version: "==2", Env: map[string]string{"A": "project"}}},
		Layer{Package: "lxml", Target: "el9-py312", Place: Global, Override: Override{Wheel: &no}},
		Layer{Package: "other", Place: ProjectFile, Override: Override{Version: "==7"}},
	)
	for _, c := range []struct{ target, version, a, b string }{
		{"el8", "==2.1", "project", "file"},
		{"el9", "==3", "el9", "file"},
		{"el9-py312", "==3", "el9", "file"},
		{"el90", "==2.1", "project", "file"},
	} {
		e := set.For("lxml", pep440.Version{}, c.target)
		if e.Version != c.version || e.Env["A"] != c.a || e.Env["B"] != c.b || e.Memory != 1<<30 {
			t.Errorf("%s: version %s, env %v, memory %d; want %+v", c.target, e.Version, e.Env, e.Memory, c)
		}
		if e.AllowsWheel() != (c.target != "el9-py312") {
			t.Errorf("%s: wheel %v", c.target, e.AllowsWheel())
		}
	}
	e := set.For("lxml", pep440.Version{}, "el9")
	if got := e.Where("version").String(); got != "global:9" {
		t.Errorf("the version was said at %s", got)
	}
	if e := set.With(Layer{Package: "lxml", Place: CommandLine, Override: Override{Version: "==9"}}).For("lxml", pep440.Version{}, "el9"); e.Version != "==9" {
		t.Errorf("the command line says ==9, it is %s", e.Version)
	}
	want := []Version{{"lxml", "==3", Position{"global", 9}}, {"other", "==7", Position{}}}
	if d := cmp.Diff(want, set.Versions("el9")); d != "" {
		t.Error(d)
	}
}

func TestListsAddUpAndDrop(t *testing.T) {
	set := NewSet(
		Layer{Package: "*", Place: Global, Override: Override{BuildRequires: deps(t, "wheel", "rpm:gcc", "cython")}},
		Layer{Package: "a", Place: Project, Override: Override{DropBuildRequires: deps(t, "Cython", "numpy"), BuildRequires: deps(t, "cython<3", "rpm:gcc")}},
		Layer{Package: "a", Target: "el8", Place: Project, Override: Override{DropBuildRequires: deps(t, "rpm:gcc")}},
	)
	e := set.For("a", pep440.Version{}, "el8")
	if d := cmp.Diff([]string{"wheel", "cython<3"}, texts(e.BuildRequires)); d != "" {
		t.Errorf("added: %s", d)
	}
	if d := cmp.Diff([]string{"Cython", "numpy", "rpm:gcc"}, texts(e.DropBuildRequires)); d != "" {
		t.Errorf("dropped: %s", d)
	}
	if !Drops(e.DropBuildRequires, "cython") || Drops(e.DropBuildRequires, "gcc") || !slices.Equal(DropsRPM(e.DropBuildRequires), []string{"gcc"}) {
		t.Errorf("dropped: %v", e.DropBuildRequires)
	}
}

func TestPatchesAreForSomeVersions(t *testing.T) {
	set := NewSet(
		Layer{Package: "a", Place: Project, Override: Override{Patches: []Patch{{File: File{Name: "old.patch"}, Versions: "<2"}, {File: File{Name: "fix.patch", Text: []byte("1")}}}}},
		Layer{Package: "a", Target: "el8", Place: Project, Override: Override{Patches: []Patch{{File: File{Name: "fix.patch", Text: []byte("2")}}}}},
	)
	for _, c := range []struct{ version, target, want string }{
		{"1.5", "el9", "old.patch fix.patch1"}, {"2", "el9", "fix.patch1"}, {"2", "el8", "fix.patch2"}, {"", "el9", "fix.patch1"},
	} {
		var v pep440.Version
		if c.version != "" {
			v, _ = pep440.Parse(c.version)
		}
		var names []string
		for _, p := range set.For("a", v, c.target).Patches {
			names = append(names, p.Name+string(p.Text))
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.version, c.target, got, c.want)
		}
	}
}

func TestParseDependency(t *testing.T) {
	for _, c := range []struct{ text, want, key string }{
		{"Cython <3", "Cython<3", "cython"},
		{"py:foo-devel", "py:foo-devel", "foo-devel"},
		{"rpm:libxml2-devel  >=  2.9", "rpm:libxml2-devel >= 2.9", "rpm:libxml2-devel"},
		{"pkgconfig(libpq)", "rpm:pkgconfig(libpq)", "rpm:pkgconfig(libpq)"},
		{"pkgconfig(libpq) >= 5", "rpm:pkgconfig(libpq) >= 5", "rpm:pkgconfig(libpq)"},
		{"/usr/bin/swig", "rpm:/usr/bin/swig", "rpm:/usr/bin/swig"},
		{`foo; python_version<"3.9"`, `foo; python_version < "3.9"`, "foo"},
	} {
		d, err := ParseDependency(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if d.String() != c.want || d.Key() != c.key {
			t.Errorf("%s: %s, %s; want %s, %s", c.text, d, d.Key(), c.want, c.key)
		}
		if again, err := ParseDependency(d.String()); err != nil || again.String() != d.String() {
			t.Errorf("%s read again: %v, %v", d, again, err)
		}
	}
	for _, bad := range []string{"", "rpm:", "rpm:a b", "rpm:%(id)", "rpm:a\nRequires: b", "libxml2-devel", "foo @ https://example.org/foo.zip", "a ==", "/usr/bin/%{x}", "x(%(id))"} {
		if d, err := ParseDependency(bad); err == nil {
			t.Errorf("%q was read as %v", bad, d)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"4GiB": 4 << 30, "512 MiB": 512 << 20, "2G": 2 << 30, "2gb": 2 << 30, "1000": 1000, "16KiB": 16 << 10} {
		if n, err := ParseBytes(text); err != nil || n != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
		if n, err := ParseBytes(FormatBytes(want)); err != nil || n != want {
			t.Errorf("%s: %d, %v", FormatBytes(want), n, err)
		}
	}
	for _, bad := range []string{"", "0", "-1", "GiB", "4 apples", "9999999999999999TiB"} {
		if n, err := ParseBytes(bad); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
}
