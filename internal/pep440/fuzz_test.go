package pep440_test

import (
	"errors"
	"strings"
	"testing"

	"reqpm/internal/pep440"
)

func FuzzVersion(f *testing.F) {
	for _, s := range []string{"1.0", "v1!2.0-Alpha_1.post-2.dev3+Ab.1_x", "1.0-1", " 0\v", "1.0c", "99999999999999999999.0.0", "1a-.dev+0a"} {
		f.Add(s, "1.0.post1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		v, err := pep440.Parse(a)
		if err != nil {
			if !errors.Is(err, pep440.ErrVersion) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		again, err := pep440.Parse(v.String())
		if err != nil || !again.Equal(v) || again.String() != v.String() {
			t.Errorf("%q is written %q, which reads as %q, %v", a, v, again, err)
		}
		o, err := pep440.Parse(b)
		if err != nil {
			return
		}
		if v.Compare(o) != -o.Compare(v) {
			t.Errorf("%q against %q: %d and %d", v, o, v.Compare(o), o.Compare(v))
		}
		checkOperators(t, v, o)
	})
}

// checkOperators compares the operators, which work on intervals of keys, with what PEP 440
// says about them in words.
func checkOperators(t *testing.T, v, o pep440.Version) {
	bound := public(t, o)
	for op, want := range map[string]bool{
		">=": v.Compare(bound) >= 0,
		"<=": public(t, v).Compare(bound) <= 0,
		"==": public(t, v).Equal(bound),
		"!=": !public(t, v).Equal(bound),
	} {
		set, err := pep440.ParseSpecifiers(op + bound.String())
		if err != nil || set.Contains(v) != want {
			t.Errorf("%q in %q: %v (%v)", v, op+bound.String(), !want, err)
		}
	}
}

// public is v without its local version.
func public(t *testing.T, v pep440.Version) pep440.Version {
	text, _, _ := strings.Cut(v.String(), "+")
	return version(t, text)
}

func FuzzSpecifiers(f *testing.F) {
	for _, s := range []string{">=1.0,<2", "==1.*,!=1.5.*", "~=1.4.5a4", "===A b", "=== x,>1", ",,>=1!1.post1", "==1.0+Ab", "<0"} {
		f.Add(s, "1.4.5")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		set, err := pep440.ParseSpecifiers(a)
		if err != nil {
			if !errors.Is(err, pep440.ErrSpecifier) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		again, err := pep440.ParseSpecifiers(set.String())
		if err != nil || !again.Equal(set) || again.String() != set.String() {
			t.Fatalf("%q is written %q, which reads as %q, %v", a, set, again, err)
		}
		v, err := pep440.Parse(b)
		if err != nil {
			return
		}
		if set.Contains(v) != again.Contains(v) || set.Contains(v) != set.ContainsText(b) {
			t.Errorf("%q in %q: %v; in %q: %v; as text: %v", b, a, set.Contains(v), set, again.Contains(v), set.ContainsText(b))
		}
		if set.ContainsFinal(v) && (v.IsPrerelease() || !set.Contains(v)) {
			t.Errorf("%q in %q as a final release", b, a)
		}
	})
}
