package rpmname

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	rpmversion "github.com/knqyf263/go-rpm-version"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/target"
)

func named(t testing.TB, name string) target.Target {
	t.Helper()
	if name == "local" {
		return target.Target{
			Name: "local", Kind: target.Host,
			Python: target.Python{Version: "3.11.2", Prefix: "python3.11-"},
			RPM:    target.RPM{Version: "4.18.0", Caret: true, RichDeps: true, DynamicBR: true, Style: target.StyleDriver},
		}
	}
	got, err := target.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func version(t testing.TB, s string) pep440.Version {
	t.Helper()
	v, err := pep440.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func requirement(t testing.TB, s string) pep508.Requirement {
	t.Helper()
	r, err := pep508.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPackage(t *testing.T) {
	for _, tt := range []struct{ target, name, want string }{
		{"el9", "foo-bar", "python3.12-foo-bar"},
		{"el9", "python-dateutil", "python3.12-dateutil"},
		{"el9", "python3-openid", "python3.12-openid"},
		{"el9", "python-python-x", "python3.12-python-x"},
		{"el9", "ipython-genutils", "python3.12-ipython-genutils"},
		{"el9", "pythonnet", "python3.12-pythonnet"},
		{"el9", "my-python-lib", "python3.12-my-python-lib"},
		{"el10", "foo", "python3-foo"},
		{"el7", "foo", "python3-foo"},
		{"el8", "foo", "python3.12-foo"},
		{"local", "foo", "python3.11-foo"},
	} {
		if got := Package(named(t, tt.target), tt.name); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.target, tt.name, got, tt.want)
		}
	}
}

func TestCollisions(t *testing.T) {
	got := Collisions(named(t, "el9"), []string{"slugify", "python-slugify", "flask", "slugify"})
	if want := [][]string{{"python-slugify", "slugify"}}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestVersion(t *testing.T) {
	el9, el7 := named(t, "el9"), named(t, "el7")
	for _, tt := range []struct {
		target                   target.Target
		in, epoch, want, provide string
	}{
		{el9, "1.0", "", "1.0", "1"},
		{el9, "1.2.0", "", "1.2.0", "1.2"},
		{el9, "0.0", "", "0.0", "0"},
		{el9, "1.0a1", "", "1.0~a1", "1~a1"},
		{el9, "1.0.dev3", "", "1.0~~dev3", "1~~dev3"},
		{el9, "1.0-1", "", "1.0^post1", "1^post1"},
		{el9, "1!2.0", "1", "2.0", "1:2"},
		{el9, "2024.01.05", "", "2024.1.5", "2024.1.5"},
		{el9, "1.0+local", "", "1.0", "1"},
		{el9, "1.0a1.dev2", "", "1.0~a1~dev2", "1~a1"},
		{el9, "1.0.post1.dev2", "", "1.0^post1~dev2", "1~~dev2"},
		{el9, "1.0rc1.post2.dev3", "", "1.0~rc1^post2~dev3", "1~rc1"},
		{el7, "1.0.post1", "", "1.0.post1", "1.0.post1"},
		{el7, "1.0rc1", "", "1.0~rc1", "1.0rc1"},
	} {
		epoch, got := Version(tt.target, version(t, tt.in))
		if epoch != tt.epoch || got != tt.want {
			t.Errorf("%s: %q %q, want %q %q", tt.in, epoch, got, tt.epoch, tt.want)
		}
		if p := Provided(tt.target, version(t, tt.in)); p != tt.provide {
			t.Errorf("%s provides %q, want %q", tt.in, p, tt.provide)
		}
	}
}

func TestRequires(t *testing.T) {
	for _, tt := range []struct {
		target, in string
		want       []string
	}{
		{"el9", "Foo.Bar", []string{"python3.12dist(foo-bar)"}},
		{"el9", "foo==1.2.0", []string{"python3.12dist(foo) = 1.2"}},
		{"el9", "foo==1.2.*", []string{"(python3.12dist(foo) >= 1.2~~ with python3.12dist(foo) < 1.3~~)"}},
		{"el9", "foo!=1.2", []string{"(python3.12dist(foo) < 1.2 or python3.12dist(foo) > 1.2)"}},
		{"el9", "foo!=1.2.*", []string{"(python3.12dist(foo) < 1.2~~ or python3.12dist(foo) >= 1.3~~)"}},
		{"el9", "foo~=1.4.2", []string{"(python3.12dist(foo) >= 1.4.2 with python3.12dist(foo) < 1.5~~)"}},
		{"el9", "foo>=1.2,<2", []string{"(python3.12dist(foo) >= 1.2 with python3.12dist(foo) < 2~~)"}},
		{"el9", "foo>1.2", []string{"python3.12dist(foo) > 1.2.0"}},
		{"el9", "foo<=9.9", []string{"python3.12dist(foo) <= 9.9"}},
		{"el9", "foo~=1.9", []string{"(python3.12dist(foo) >= 1.9 with python3.12dist(foo) < 2~~)"}},
		{"el9", "foo==1.99.*", []string{"(python3.12dist(foo) >= 1.99~~ with python3.12dist(foo) < 1.100~~)"}},
		{"el9", "foo>=1!2.0", []string{"python3.12dist(foo) >= 1:2"}},
		{"el9", "foo[Bar_x]>=1", []string{"python3.12dist(foo) >= 1", "python3.12dist(foo[bar-x]) >= 1"}},
		{"el9", "foo @ https://example.org/foo.tar.gz", []string{"python3.12dist(foo)"}},
		{"el9", "foo>=99999999999999999999999", []string{"python3.12dist(foo) >= 99999999999999999999999"}},
		{"el10", "foo>=1", []string{"python3.12dist(foo) >= 1"}},
		{"local", "ruamel.yaml>=0.17", []string{"python3.11dist(ruamel-yaml) >= 0.17"}},
		{"el8", "foo==1.2", []string{"(python3.12dist(foo) = 1.2 or python3.12dist(foo) = 1.2.0 or python3.12dist(foo) = 1.2.0.0 or python3.12dist(foo) = 1.2.0.0.0 or python3.12dist(foo) = 1.2.0.0.0.0)"}},
		{"el8", "ruamel.yaml>=0.17", []string{"(python3.12dist(ruamel-yaml) >= 0.17 or python3.12dist(ruamel.yaml) >= 0.17)"}},
		{"el7", "foo~=1.4", []string{"python3.6dist(foo) >= 1.4", "python3.6dist(foo) < 2~~"}},
		{"el7", "foo==1.4", []string{"python3.6dist(foo) >= 1.4", "python3.6dist(foo) <= 1.4.0.0.0.0"}},
		{"el7", "foo!=1.4", []string{"python3.6dist(foo)"}},
	} {
		got, err := Requires(named(t, tt.target), requirement(t, tt.in))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s %s:\n got %q, %v\nwant %q", tt.target, tt.in, got, err, tt.want)
		}
	}
}

func TestRequiresErrors(t *testing.T) {
	arbitrary, err := pep440.ParseSpecifiers("===not-a-version")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []pep508.Requirement{
		{Name: "foo\nRequires: evil"},
		{Name: "%(touch /x)"},
		{Name: ""},
		{Name: "foo", Extras: []string{"a]b"}},
		{Name: "foo", Specifiers: arbitrary},
	} {
		if got, err := Requires(named(t, "el9"), r); err == nil {
			t.Errorf("%+v: %q and no error", r, got)
		}
	}
}

func TestConflicts(t *testing.T) {
	got := Conflicts(named(t, "el7"), requirement(t, "foo!=1.4,>1"))
	if len(got) != 5 || got[0] != "python3.6dist(foo) = 1.4" || got[1] != "python3.6dist(foo) = 1.4.0" {
		t.Errorf("got %q", got)
	}
	if got := Conflicts(named(t, "el9"), requirement(t, "foo!=1.4")); got != nil {
		t.Errorf("el9: %q", got)
	}
}

func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"gcc": true, "gcc-c++": true, "pkgconfig(libxml-2.0)": true, "python3.12dist(foo[bar])": true, "/usr/bin/gcc": true,
		"libc.so.6(GLIBC_2.14)(64bit)": true, "perl(Foo::Bar)": true, "python(abi)": true, "font(:lang=en)": true,
		"": false, "gcc gcc-c++": false, "%{x}": false, "$(id)": false, "`id`": false, "a\nb": false, "foo(": false, "-rf": false,
		"/usr/bin/../x": false, "(a or b)": false, "a;b": false, "a'b": false,
	} {
		if got := Valid(s); got != want {
			t.Errorf("Valid(%q) = %v", s, got)
		}
	}
	if Valid(strings.Repeat("a", maxName+1)) {
		t.Error("too long a name is valid")
	}
	for s, want := range map[string]bool{
		"gcc": true, "gcc >= 11": true, "python3.12dist(x) = 1:1.0~rc1-1.el9": true,
		"gcc >=": false, "gcc => 1": false, "gcc >= 1 2": false, "gcc >= %{v}": false, "gcc  11": false,
	} {
		if got := ValidDependency(s); got != want {
			t.Errorf("ValidDependency(%q) = %v", s, got)
		}
	}
}

// orderPool holds, per release, versions in PEP 440 order.
func orderPool(t testing.TB) []pep440.Version {
	var pool []pep440.Version
	for epoch, releases := range map[string][]string{
		"":   {"0", "1.0", "1.0.0.1", "1.0.1", "1.9", "1.10", "2024.1.5", "99999999999999999999.1"},
		"1!": {"0.9"},
	} {
		for _, release := range releases {
			for _, suffix := range []string{".dev0", ".dev3", "a0.dev1", "a0", "a1", "a1.post1", "b2.dev2", "b2", "rc1", "rc1.post1.dev1", "rc1.post1", "rc10", "", ".post0.dev1", ".post0", ".post1.dev2", ".post1", ".post10"} {
				pool = append(pool, version(t, epoch+release+suffix))
			}
		}
	}
	slices.SortFunc(pool, pep440.Version.Compare)
	return pool
}

func TestVersionOrderIsPEP440(t *testing.T) {
	pool := orderPool(t)
	el9 := named(t, "el9")
	written := make([]rpmversion.Version, len(pool))
	for i, v := range pool {
		epoch, s := Version(el9, v)
		written[i] = rpmversion.NewVersion(EVR(epoch, s, ""))
	}
	wrong := 0
	for i := range pool {
		for j := range i {
			if got, want := written[i].Compare(written[j]), pool[i].Compare(pool[j]); got != want {
				if wrong++; wrong < 10 {
					t.Errorf("%s against %s: rpm says %d for %s and %s, PEP 440 %d", pool[i], pool[j], got, written[i].String(), written[j].String(), want)
				}
			}
		}
	}
	t.Logf("%d pairs, %d wrong", len(pool)*(len(pool)-1)/2, wrong)
}

// TestComparisonIsRPMs checks the library the other tests compare with against rpm itself.
func TestComparisonIsRPMs(t *testing.T) {
	rpm, err := exec.LookPath("rpm")
	if err != nil {
		t.Skip("rpm is not installed")
	}
	el9, el7 := named(t, "el9"), named(t, "el7")
	var list []string
	for i, v := range orderPool(t) {
		for _, tt := range []target.Target{el9, el7} {
			epoch, s := Version(tt, v)
			if i%4 == 0 && !slices.Contains(list, EVR(epoch, s, "")) {
				list = append(list, EVR(epoch, s, ""))
			}
		}
	}
	for _, text := range finalPool() { // and the bounds that are written into requirements
		for _, name := range []string{"el8", "el9"} {
			for _, s := range []string{Provided(named(t, name), version(t, text)), Provided(named(t, name), version(t, text)) + "~~"} {
				if !slices.Contains(list, s) {
					list = append(list, s)
				}
			}
		}
	}
	t.Logf("%d versions, %d pairs", len(list), len(list)*len(list))
	var lua strings.Builder
	lua.WriteString("%{lua: v={")
	for _, s := range list {
		fmt.Fprintf(&lua, "%q,", s)
	}
	lua.WriteString("} for i=1,#v do for j=1,#v do print(rpm.vercmp(v[i],v[j])..' ') end end}")
	out, err := exec.Command(rpm, "--eval", lua.String()).Output()
	if err != nil {
		t.Skip("this rpm has no rpm.vercmp: ", err)
	}
	results := strings.Fields(string(out))
	if len(results) != len(list)*len(list) {
		t.Fatalf("%d comparisons, want %d", len(results), len(list)*len(list))
	}
	for n, r := range results {
		a, b := list[n/len(list)], list[n%len(list)]
		va := rpmversion.NewVersion(a)
		if got := fmt.Sprint(va.Compare(rpmversion.NewVersion(b))); got != r {
			t.Errorf("%s against %s: rpm %s, library %s", a, b, r, got)
		}
	}
}
