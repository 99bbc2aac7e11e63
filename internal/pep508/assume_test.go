package pep508

import (
	"errors"
	"strings"
	"testing"
)

func TestAssume(t *testing.T) {
	known := func(variable, op, literal string) (bool, bool) {
		if variable != "extra" && variable != "extras" {
			return false, false
		}
		return (literal == "yes") == (op == "==" || op == "in"), true
	}
	for text, want := range map[string]string{
		`extra == "yes"`:                                                                   "holds",
		`extra == "no"`:                                                                    "fails",
		`extra != "no" and os_name == "posix"`:                                             `os_name == "posix"`,
		`"no" in extras or os_name == "posix"`:                                             `os_name == "posix"`,
		`"yes" in extras or os_name == "posix"`:                                            "holds",
		`os_name == "a" and extra == "no" or os_name == "b"`:                               `os_name == "b"`,
		`(os_name == "a" or extra == "no") and (os_name == "b" or extra == "yes")`:         `os_name == "a"`,
		`(os_name == "a" and extra == "no") or (os_name == "b" and "no" not in extras)`:    `os_name == "b"`,
		`os_name == "a" and (os_name == "b" or extra == "no" or os_name == "c")`:           `os_name == "a" and (os_name == "b" or os_name == "c")`,
		`(os_name == "a" and (extra == "no" or extra == "never")) or extra == "no"`:        "fails",
		`os_name == "a" or os_name == "b" and extra == "yes" and os_name == "c"`:           `os_name == "a" or os_name == "b" and os_name == "c"`,
		`(extra == "yes" and os_name == "a") or (extra == "yes" and python_version > "3")`: `os_name == "a" or python_version > "3"`,
	} {
		m, err := ParseMarker(text)
		if err != nil {
			t.Fatal(err)
		}
		rest, possible := m.Assume(known)
		got := rest.String()
		switch {
		case !possible:
			got = "fails"
		case rest == nil:
			got = "holds"
		case rest.UsesExtra():
			t.Errorf("%s: still mentions extra", text)
		}
		got = strings.NewReplacer("(os_name == \"a\") or", "os_name == \"a\" or").Replace(got)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestNotIsTheOpposite evaluates a marker and its opposite for environments that
// differ.
func TestNotIsTheOpposite(t *testing.T) {
	for _, text := range []string{
		`python_version < "3.11"`, `os_name == "posix" and python_version >= "3.11"`, `os_name == "nt" or sys_platform == "linux"`,
		`os_name == "nt" and sys_platform == "linux" or python_version > "3.9" and python_version <= "3.12"`,
		`(os_name == "nt" or python_version > "3.11") and sys_platform != "win32"`, `sys_platform in "linux darwin"`, `"lin" not in sys_platform`,
	} {
		m, err := ParseMarker(text)
		if err != nil {
			t.Fatal(err)
		}
		not, err := m.Not()
		if err != nil {
			t.Fatal(err)
		}
		for _, python := range []string{"3.9.1", "3.11.0", "3.12.5", "3.13.0"} {
			for _, system := range []string{"posix", "nt"} {
				for _, platform := range []string{"linux", "win32"} {
					env := Linux(python, "x86_64")
					env.OSName, env.SysPlatform = system, platform
					if m.Eval(env, "") == not.Eval(env, "") {
						t.Errorf("%s and %s agree for %s %s %s", m, not, python, system, platform)
					}
				}
			}
		}
	}
	m, err := ParseMarker(`python_version ~= "3.8"`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Not(); !errors.Is(err, ErrMarker) {
		t.Errorf("~=: %v", err)
	}
	if _, err := (*Marker)(nil).Not(); !errors.Is(err, ErrMarker) {
		t.Errorf("nil: %v", err)
	}
}
