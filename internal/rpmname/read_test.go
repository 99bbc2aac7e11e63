package rpmname

import (
	"testing"

	"reqpm/internal/pep508"
)

func TestReadVersion(t *testing.T) {
	for text, want := range map[string]string{
		"1.2": "1.2", "1.2.0": "1.2.0", "1~rc1": "1rc1", "1.0rc1": "1.0rc1", "1~~dev2": "1.dev2", "1^post1": "1.post1", "1:2": "1!2", "1.0~rc1~dev2": "1.0rc1.dev2",
	} {
		v, err := ReadVersion(text)
		if err != nil || v.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, v, err, want)
		}
	}
	if _, err := ReadVersion("1.0-5.el9"); err == nil {
		t.Error("a release is no part of a distribution's version")
	}
}

func TestReadDist(t *testing.T) {
	el9 := named(t, "el9")
	for name, want := range map[string][2]string{
		"python3.12dist(foo)": {"foo", ""}, "python3.12dist(ruamel.yaml)": {"ruamel-yaml", ""}, "python3.12dist(foo[bar])": {"foo", "bar"},
		"python3.9dist(foo)": {}, "python3dist(foo)": {}, "bundled(python3.12dist(foo))": {}, "python3.12dist()": {}, "libfoo.so.1()(64bit)": {},
	} {
		project, extra, ok := ReadDist(el9, name)
		if ok != (want[0] != "") || project != want[0] || extra != want[1] {
			t.Errorf("%s: %q %q %t", name, project, extra, ok)
		}
	}
}

// What Requires writes, and what rpm's own generators write, reads as the requirement it came from.
func TestReadRequires(t *testing.T) {
	for _, release := range []string{"el8", "el9", "el10"} {
		tgt := named(t, release)
		for _, text := range []string{"foo", "foo==1.2", "foo>=1.2", "foo>1.2", "foo<=1.2", "foo<2", "foo!=1.5", "foo==1.2.*", "foo~=1.4.2", "foo>=1.2,<2",
			"foo>=1.21.1,<1.27", "foo>=1.2,!=1.5,<2", "foo>=2,!=2.1.*", "foo==1!2.0"} {
			exprs, err := Requires(tgt, requirement(t, text))
			if err != nil || len(exprs) != 1 {
				t.Fatalf("%s: %v, %v", text, exprs, err)
			}
			read, exact, ok := ReadRequires(tgt, exprs[0])
			if !ok || !exact {
				t.Errorf("%s %s: %s is not understood", release, text, exprs[0])
				continue
			}
			want := requirement(t, text)
			for _, v := range []string{"0.9", "1.2", "1.2.0", "1.2.1", "1.3", "1.4", "1.4.2", "1.4.9", "1.5", "1.5.1", "1.21.1", "1.26.5", "1.27", "2", "2.0.1", "2.1", "2.1.4", "2.2", "3", "1!2", "1!3"} {
				if v := version(t, v); read.Specifiers.Contains(v) != want.Specifiers.Contains(v) {
					t.Errorf("%s %s: %s reads as %s, which differs for %s", release, text, exprs[0], read, v)
				}
			}
		}
	}
}

func TestReadRequiresOfOthers(t *testing.T) {
	el9 := named(t, "el9")
	for expr, want := range map[string]struct {
		text      string
		exact, ok bool
	}{
		"python3.12dist(foo[bar]) >= 2":                                      {"foo[bar]>=2", true, true},
		"(python3.12dist(foo) < 1.2 or python3.12dist(foo) > 1.3)":           {"foo!=1.2.*", true, true}, // EL9's generator
		"(python3.12dist(foo) >= 1 if python3.12dist(foo))":                  {"foo", false, true},
		"(python3.12dist(foo) < 1 or python3.12dist(foo) > 5)":               {"foo", false, true},
		"(python3.12dist(foo) or python3.12dist(bar))":                       {},
		"python(abi) = 3.12":                                                 {},
		"libc.so.6(GLIBC_2.14)(64bit)":                                       {},
		"((python3.12dist(foo) = 1.2 or python3.12dist(foo) = 1.2.0) with x": {},
		"(": {}, "": {}, "(python3.12dist(foo)": {"foo", false, true}, "python3.12dist(foo) >= %{v}": {"foo", false, true},
	} {
		r, exact, ok := ReadRequires(el9, expr)
		if ok != want.ok || exact != want.exact || ok && r.String() != want.text {
			t.Errorf("%s: %s, exact %t, ok %t", expr, r, exact, ok)
		}
	}
}

func FuzzReadRequires(f *testing.F) {
	f.Add("(python3.12dist(foo) >= 1.2 with python3.12dist(foo) < 2~~)")
	f.Add("((python3.12dist(foo) < 1 or python3.12dist(foo) > 1) with python3.12dist(foo) < 2)")
	f.Fuzz(func(t *testing.T, expr string) {
		r, _, ok := ReadRequires(named(t, "el9"), expr)
		if !ok {
			return
		}
		if _, err := pep508.Parse(r.String()); err != nil {
			t.Errorf("%q reads as %s: %v", expr, r, err)
		}
	})
}
