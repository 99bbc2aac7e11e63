package pep508_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/pep508"
)

func requirement(t testing.TB, s string) pep508.Requirement {
	t.Helper()
	r, err := pep508.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func marker(t testing.TB, s string) *pep508.Marker {
	t.Helper()
	m, err := pep508.ParseMarker(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNormalForm: each requirement is written as on the right, and reads back as the same.
func TestNormalForm(t *testing.T) {
	for in, want := range map[string]string{
		"Foo.Bar":                        "Foo.Bar",
		" foo ~= 2.0 ":                   "foo~=2.0",
		"foo (>=1, <2)":                  "foo<2,>=1",
		"foo()":                          "foo",
		"foo>=1,":                        "foo>=1",
		"foo[]":                          "foo",
		"foo [ B_b , a,b.B ]":            "foo[a,b-b]",
		"foo===1.0,>=2":                  "foo===1.0,>=2",
		"foo===V1-x;extra=='A_b'":        `foo===V1-x; extra == "a-b"`,
		"foo==\n1":                       "foo==1",
		"foo_;os.name!='nt'":             `foo_; os_name != "nt"`,
		"foo @ file:///a;b":              "foo @ file:///a;b",
		"foo[x]@https://example.org/a.b": "foo[x] @ https://example.org/a.b",
		"foo@ https://example.org/a ; 'a' in extras":                       `foo @ https://example.org/a ; "a" in extras`,
		"foo;(python_version<'3')or((sys_platform  not in 'x'))":           `foo; python_version < "3" or sys_platform not in "x"`,
		"foo;python_implementation=='PyPy'and(extra=='a' or 'b' == extra)": `foo; platform_python_implementation == "PyPy" and (extra == "a" or "b" == extra)`,
	} {
		r := requirement(t, in)
		if got := r.String(); got != want {
			t.Errorf("%q is written %q, want %q", in, got, want)
		}
		if again := requirement(t, r.String()); !again.Equal(r) {
			t.Errorf("%q reads back as %q", r, again)
		}
	}
}

func TestRefused(t *testing.T) {
	for in, part := range map[string]string{ // the error must name the part
		"":                                  "a package name",
		" \t":                               "a package name",
		"-foo":                              `"-foo"`,
		"_foo":                              `"_foo"`,
		"f\u00e9":                           "a package name",
		"foo-":                              `"-"`,
		"foo\n":                             `"\n"`,
		"foo bar":                           `"bar"`,
		"foo 1.0":                           `"1.0"`,
		"foo>=1 bar":                        `"bar"`,
		"foo>=1 <2":                         `"<2"`,
		"foo>=1,,<2":                        `",<2"`,
		"foo,>=1":                           `",>=1"`,
		"foo>=1.*":                          `">=1.*"`,
		"foo=1":                             `"=1"`,
		"foo~=1":                            `"~=1"`,
		"foo<1+x":                           "local version",
		"foo(>=1":                           "a comma or )",
		"foo>=1)":                           `")"`,
		"foo[a":                             "a comma or ]",
		"foo[a b]":                          `"b]"`,
		"foo[a,]":                           "extra after the comma",
		"foo[,a]":                           `",a]"`,
		"foo @":                             "a URL",
		"foo @ https://example.org/; x":     `"x"`,
		"foo @ https://example.org/ x":      `"x"`,
		"foo;":                              "a marker variable",
		"foo;os_name":                       "one of <=",
		"foo;os_name=='a":                   "no closing quote",
		"foo;os_name='a'":                   `"='a'"`,
		"foo;os_name notin 'a'":             `"notin 'a'"`,
		"foo;os_name not'a'":                `after "not"`,
		"foo;os_names=='a'":                 `"os_names=='a'"`,
		"foo;os_name=='a' and":              "a marker variable",
		"foo;os_name=='a' xor extra=='b'":   `"xor extra=='b'"`,
		"foo;(os_name=='a'":                 "closing parenthesis",
		"foo;os_name=='a')":                 `")"`,
		`foo;os_name=="C:\"`:                "backslash",
		`foo;os_name=="\x4"`:                `\x4`,
		`foo;os_name=="\ud800"`:             `\ud800`,
		`foo;os_name=="\N{DASH}"`:           `\N{`,
		"foo;os_name=='a\nb'":               "next line",
		"foo;os_name=='\x00'":               "NUL",
		"foo;" + strings.Repeat("(", 200):   "nested parentheses",
		"foo>=" + strings.Repeat("1", 9000): "longer than",
	} {
		r, err := pep508.Parse(in)
		if !errors.Is(err, pep508.ErrRequirement) {
			t.Errorf("Parse(%q) = %q, %v; want ErrRequirement", in, r, err)
			continue
		}
		if msg := err.Error(); !strings.Contains(msg, part) && !strings.Contains(strings.ReplaceAll(msg, `\\`, `\`), part) || len(msg) > 500 {
			t.Errorf("Parse(%q): the error does not say %q: %v", in, part, msg)
		}
	}
}

func TestNormalizeName(t *testing.T) {
	for in, want := range map[string]string{
		"flask": "flask", "Flask": "flask", "a._-b": "a-b", "A--b": "a-b", "_a_": "-a-", "zope.interface": "zope-interface", "": "", "-": "-",
	} {
		if got := pep508.NormalizeName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestLinux(t *testing.T) {
	env := pep508.Linux("3.10.0rc1", "aarch64")
	for _, s := range []string{
		"python_version == '3.10'", "python_version >= '3.9'", "python_full_version < '3.10.1'", "implementation_version == '3.10.0rc1'",
		"sys_platform == 'linux'", "platform_system == 'Linux'", "os_name == 'posix'", "platform_machine == 'aarch64'",
		"implementation_name == 'cpython'", "platform_python_implementation == 'CPython'", "platform_release == ''", "platform_version == ''",
	} {
		if !marker(t, s).Eval(env, "") {
			t.Errorf("%s does not hold", s)
		}
	}
	for in, want := range map[string]string{"3.12.4": "3.12", "3.12": "3.12", "3.13.0a1+": "3.13", "3": "3", "3.13rc1": "3.13"} {
		if got := pep508.Linux(in, "x86_64").PythonVersion; got != want {
			t.Errorf("python_version of %s is %s", in, got)
		}
	}
}

func TestEval(t *testing.T) {
	env := pep508.Linux("3.12.4", "x86_64")
	env.PlatformRelease = "5.14.0-503.el9"
	for _, c := range []struct {
		marker, extra string
		want          bool
	}{
		{"python_version < '3.9'", "", false}, // as text it would hold
		{"python_version in '3.11 3.12'", "", true},
		{"'3.1' in python_version", "", true},
		{"python_version not in '2.7, 3.12'", "", false},
		{"python_version ~= '3.8'", "", true},
		{"python_version == '3.*'", "", true},
		{"python_full_version === '3.12.4'", "", true},
		{"python_version < '=3.12'", "", true}, // reads as <=3.12, in the reference too
		{"'3.8' <= python_version", "", true},
		{"platform_release >= '5'", "", false}, // el9 kernels are no versions
		{"platform_machine > 'a'", "", false},  // texts have no order
		{"platform_machine >= 'x86_64'", "", true},
		{"os_name == 'nt' or os_name == 'posix' and sys_platform == 'linux'", "", true},
		{"(os_name == 'posix' or os_name == 'nt') and sys_platform == 'win32'", "", false},
		{"os_name == 'posix' or os_name == 'nt' and sys_platform == 'win32'", "", true},
		{"extra == 'Dev.Tools'", "dev_tools", true},
		{"'dev-tools' == extra", "DEV_tools", true},
		{"extra == 'dev'", "", false},
		{"extra != 'dev'", "", true},
		{"extra in 'dev test'", "test", true},
		{"extra not in 'dev'", "test", true},
		{"os_name == sys_platform", "", false}, // the right side counts as text
		{"'posix' == 'os_name'", "", true},     // and this names a variable
	} {
		m := marker(t, c.marker)
		got, err := m.Evaluate(env, c.extra)
		if err != nil || got != c.want || m.Eval(env, c.extra) != got {
			t.Errorf("%s with extra %q: %v, %v", c.marker, c.extra, got, err)
		}
	}
	if !(*pep508.Marker)(nil).Eval(env, "") || !(*pep508.Marker)(nil).EvalAny(env, nil) || (*pep508.Marker)(nil).String() != "" {
		t.Error("a nil marker is not true")
	}
}

// TestUndefined: where the reference raises, Evaluate fails and Eval lets the rest decide.
func TestUndefined(t *testing.T) {
	env := pep508.Linux("3.12.4", "x86_64")
	for _, c := range []struct {
		marker string
		eval   bool
	}{
		{"os_name ~= 'posix'", false},
		{"python_version ~= 'x'", false},
		{"'x' in extras", false},
		{"'x' in dependency_groups", false},
		{"'a' == 'b'", false},
		{"os_name === 'posix' or os_name == 'posix'", true},
		{"os_name == 'nt' and os_name === 'posix'", false},
		{"os_name == 'posix' or (os_name == 'nt' and 'a' in extras)", true},
	} {
		m := marker(t, c.marker)
		if got, err := m.Evaluate(env, ""); got || !errors.Is(err, pep508.ErrUndefined) {
			t.Errorf("%s: %v, %v; want ErrUndefined", c.marker, got, err)
		}
		if got := m.Eval(env, ""); got != c.eval {
			t.Errorf("%s: Eval gives %v", c.marker, got)
		}
	}
}

func TestEvalAny(t *testing.T) {
	env := pep508.Linux("3.12.4", "x86_64")
	for _, c := range []struct {
		marker string
		extras []string
		want   bool
	}{
		{"os_name == 'posix'", nil, true},
		{"os_name == 'nt'", []string{"a"}, false},
		{"extra == 'a'", nil, false},
		{"extra == 'a'", []string{"b", "A"}, true},
		{"extra == 'a' and os_name == 'nt'", []string{"a"}, false},
		{"extra == 'a' and extra == 'b'", []string{"a", "b"}, false}, // one at a time
		{"extra != 'a'", []string{"a"}, true},                        // holds with no extra
	} {
		m := marker(t, c.marker)
		if got := m.EvalAny(env, c.extras); got != c.want {
			t.Errorf("%s with %q: %v", c.marker, c.extras, got)
		}
		if m.UsesExtra() != strings.Contains(c.marker, "extra") {
			t.Errorf("UsesExtra of %s is %v", c.marker, m.UsesExtra())
		}
	}
}

// TestLiterals: strings follow Python's escapes, and are written so that they read back.
func TestLiterals(t *testing.T) {
	env := pep508.Environment{}
	for literal, value := range map[string]string{
		`"a"`: "a", `'a"b'`: `a"b`, `"a'b"`: "a'b", `"\x41\102\u0043\U00000044"`: "ABCD", `"\d\8"`: `\d\8`, `"a\\b"`: `a\b`,
		`"\t\n"`: "\t\n", `'\x22\x27'`: `"'`, `"\101\7"`: "A\a", "\"a\\\nb\"": "ab", `"\0"`: "\x00", `"\\x41"`: `\x41`, `"é"`: "é", `""`: "",
	} {
		env.OSName = value
		m := marker(t, "os_name == "+literal)
		if !m.Eval(env, "") {
			t.Errorf("%s is not %q", literal, value)
		}
		if again := marker(t, m.String()); !again.Eval(env, "") || again.String() != m.String() {
			t.Errorf("%s is written %s, which is not %q", literal, m, value)
		}
	}
}

func TestEqual(t *testing.T) {
	a := requirement(t, "Foo_bar[B,a]>=1,<2.0; os_name=='x'")
	if !a.Equal(requirement(t, "foo.bar[A,b] <2,>=1.0 ; os.name == \"x\"")) {
		t.Error("the same requirement, written differently, is not equal")
	}
	for _, other := range []string{
		"foo[a,b]>=1,<2; os_name=='x'", "foo-bar[a]>=1,<2; os_name=='x'", "foo-bar[a,b]>=1,<3; os_name=='x'",
		"foo-bar[a,b]>=1,<2", "foo-bar[a,b]@u ; os_name=='x'",
	} {
		if a.Equal(requirement(t, other)) {
			t.Errorf("%q equals %q", a, other)
		}
	}
	if got := requirement(t, "x[b,a,B]").Extras; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("extras %q", got)
	}
}

func FuzzRequirement(f *testing.F) {
	for _, s := range []string{
		"foo", "Foo.bar[a,B_c] >= 1.0 , != 1.5 ; python_version >= '3.6' and (extra=='a' or extra=='b')", "foo (>=1,<2)",
		"foo @ https://example.org/a.zip ; os_name == \"a\\\\b\"", "foo===a,>=1;'x' in extras", "foo[]~=1.0a1,",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := pep508.Parse(s)
		if err != nil {
			if !errors.Is(err, pep508.ErrRequirement) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if len(r.String()) > 8<<10 { // escapes may lengthen the marker beyond the bound
			return
		}
		again, err := pep508.Parse(r.String())
		if err != nil || !again.Equal(r) || again.String() != r.String() {
			t.Errorf("%q is written %q, which reads as %q, %v", s, r, again, err)
		}
	})
}

func FuzzMarker(f *testing.F) {
	for _, s := range []string{
		"python_version<'3' or (os.name not in \"x\" and 'A_b' == extra)", "((os_name == '\\x41'))", "'a' in extras",
		"python_full_version===\"3.12.4\"and'b'~=platform_release", "extra=='\"\\x27'", "python_version < '=3'",
	} {
		f.Add(s, "a-b")
	}
	env := pep508.Linux("3.12.4", "x86_64")
	f.Fuzz(func(t *testing.T, s, extra string) {
		m, err := pep508.ParseMarker(s)
		if err != nil {
			if !errors.Is(err, pep508.ErrMarker) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		got, undefined := m.Evaluate(env, extra)
		if undefined == nil && got != m.Eval(env, extra) {
			t.Errorf("%q: Evaluate says %v, Eval does not", s, got)
		}
		if got && !m.EvalAny(env, []string{extra}) || m.Eval(env, "") && !m.EvalAny(env, nil) {
			t.Errorf("%q holds, but not for EvalAny", s)
		}
		if len(m.String()) > 8<<10 {
			return
		}
		again, err := pep508.ParseMarker(m.String())
		if err != nil || again.String() != m.String() || again.Eval(env, extra) != m.Eval(env, extra) || again.UsesExtra() != m.UsesExtra() {
			t.Errorf("%q is written %q, which reads as %q, %v", s, m, again, err)
		}
	})
}
