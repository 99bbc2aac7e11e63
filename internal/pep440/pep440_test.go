package pep440_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/pep440"
)

func version(t testing.TB, s string) pep440.Version {
	t.Helper()
	v, err := pep440.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func specifiers(t testing.TB, s string) pep440.Specifiers {
	t.Helper()
	set, err := pep440.ParseSpecifiers(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestParts(t *testing.T) {
	got := version(t, " V01!1.02.0-ALPHA_7.Rev3-dev+Ubuntu_007.x\v").Parts()
	want := pep440.Parts{
		Epoch: "1", Release: []string{"1", "2", "0"}, PreKind: "a", Pre: "7",
		HasPost: true, Post: "3", HasDev: true, Dev: "0", Local: "ubuntu.7.x",
	}
	if !slices.Equal(got.Release, want.Release) {
		t.Errorf("release %q, want %q", got.Release, want.Release)
	}
	got.Release[0], want.Release = "changed", nil
	if again := version(t, "1.0"); again.Parts().Release[0] != "1" {
		t.Error("Parts shares its slice with the version")
	}
	got.Release = nil
	if got.Epoch != want.Epoch || got.PreKind != want.PreKind || got.Pre != want.Pre || got.Post != want.Post ||
		got.Dev != want.Dev || got.Local != want.Local || !got.HasPost || !got.HasDev {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestOrder lists versions in ascending order, none equal.
func TestOrder(t *testing.T) {
	long := strings.Repeat("9", 300)
	ascending := []string{
		"0.dev0", "0a0", "0", "0.0.1", "0.9", "0.10", "1.dev0", "1a1.dev1", "1a1", "1a1.post1.dev1", "1a1.post1", "1a2",
		"1b1", "1rc1", "1", "1+a", "1+a.0", "1+ab", "1+0", "1+0.a", "1+0.0", "1+10", "1.post0.dev1", "1.post0", "1.post0+x",
		"1.post1", "1.0.1", "1.9", "1.18446744073709551615", "1.18446744073709551616",
		"2.0." + long[:233], "2.0.1" + long[:233], "2.0." + long, "2.0." + long + ".1", "2.1", long, "1!0",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			if got, want := version(t, a).Compare(version(t, b)), cmp.Compare(i, j); got != want {
				t.Errorf("%s against %s is %d, want %d", clip(a), clip(b), got, want)
			}
		}
	}
}

func clip(s string) string { return s[:min(len(s), 30)] }

func TestZeroVersion(t *testing.T) {
	var zero pep440.Version
	if !zero.IsZero() || zero.String() != "" || zero.Raw() != "" || zero.IsPrerelease() || zero.Parts().Release != nil {
		t.Errorf("the zero version is %q", zero)
	}
	if zero.Compare(version(t, "0.dev0")) != -1 || !zero.Equal(pep440.Version{}) {
		t.Error("the zero version does not sort first")
	}
	if specifiers(t, "<2").Contains(zero) || !specifiers(t, "").Contains(zero) {
		t.Error("the zero version satisfies a clause")
	}
}

func TestInvalidVersions(t *testing.T) {
	for _, s := range []string{
		"", " ", "v", "1..0", "1.", "!1", "1!", "a1", "1a1a2", "1.0 .0", "1+", "1+a.", "1+a..b", "1+\u017f", "1.0po\u017ft1",
		"\u0661", "1-", "1.0-1-1", "1.*", "1.0.dev1.post1", "1\x00", "1.0\xff", strings.Repeat("1", 5000),
	} {
		v, err := pep440.Parse(s)
		if !errors.Is(err, pep440.ErrVersion) {
			t.Errorf("Parse(%q) = %q, %v; want ErrVersion", clip(s), v, err)
		} else if len(err.Error()) > 200 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

func TestJSON(t *testing.T) {
	type lock struct{ V, None pep440.Version }
	data, err := json.Marshal(lock{V: version(t, "v1.0-RC1")})
	if err != nil || string(data) != `{"V":"1.0rc1","None":""}` {
		t.Fatalf("%s, %v", data, err)
	}
	var back lock
	if err := json.Unmarshal(data, &back); err != nil || back.V.String() != "1.0rc1" || !back.None.IsZero() {
		t.Errorf("%+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"V":"x"}`), &back); !errors.Is(err, pep440.ErrVersion) {
		t.Errorf("got %v, want ErrVersion", err)
	}
}

func TestContains(t *testing.T) {
	for _, c := range []struct{ set, in, out string }{
		{"", "1 1a1 1!0 1+x", ""},
		{">=1.0", "1 1.0+x 1.post1 2 1!0", "1rc1 1.0.dev0 0.9"},
		{"<=1.0", "1 1.0+x 1rc1 0.9", "1.post1 1.0.1 1!0"},
		{">1.0", "1.0.1 1.1.dev0 2", "1.0 1.0+x 1.0.post1 1rc1"},
		{">1.0.post1", "1.0.post2 1.0.post2.dev0", "1.0.post1 1.0.post1+x"},
		{">1.0a1", "1.0a2 1.0", "1.0a1.post1 1.0a1.dev1"},
		{">1.0.dev1", "1.0.dev2 1.0a1 1.0", "1.0.dev1 1.0.dev1+x"},
		{"<1.0", "0.9 0.9.post1", "1.0 1.0a1 1.0.dev0"},
		{"<1.0rc1", "1.0a1 1.0.dev1 1.0rc1.dev1", "1.0rc1 1.0"},
		{"<1.0.post1", "1.0 1.0+x 1.0a1", "1.0.post1 1.0.post1.dev1"},
		{"==1.0", "1 1.0.0 1.0+x v1", "1.0.post1 1.0.1 1rc1"},
		{"==1.0+x", "1+X 1.0.0+x", "1.0 1.0+x.1 1.0+y"},
		{"!=1.0", "1.0.1 1.0a1", "1 1.0+x"},
		{"!=1.0+x", "1.0 1.0+y", "1.0+x"},
		{"==1.0.*", "1 1.0.9 1.0a1 1.0.dev0 1.0.post1+x", "1.1 1.1.dev0 0.9 1!1.0"},
		{"!=1.9.*", "1.8 1.10 1.10.dev0", "1.9 1.9.1 1.9rc1"},
		{"==99999999999999999999.*", "99999999999999999999.5", "100000000000000000000"},
		{"~=1.4.5", "1.4.5 1.4.99", "1.4.4 1.5 1.5.dev0 1.4.5rc1"},
		{"~=2.0", "2.0 2.9", "3.0 3.0a1 1.9"},
		{"~=1.4.5a4", "1.4.5a4 1.4.5 1.4.9", "1.5 1.4.5a3"},
		{"===1.0", "1.0", "1 1.0.0 v1.0"},
		{"=== V1.0-Rc1", "v1.0-rc1", "1.0rc1"},
		{" >=1 , <2 ,, != 1.5.* ", "1 1.4 1.6", "2 1.5 1.5.1"},
	} {
		set := specifiers(t, c.set)
		for _, v := range strings.Fields(c.in) {
			if !set.Contains(version(t, v)) {
				t.Errorf("%s is not in %q", v, c.set)
			}
		}
		for _, v := range strings.Fields(c.out) {
			if set.Contains(version(t, v)) {
				t.Errorf("%s is in %q", v, c.set)
			}
		}
	}
}

func TestContainsText(t *testing.T) {
	for _, c := range []struct {
		set, text string
		want      bool
	}{
		{"", "anything", true},
		{">=1", "2", true},
		{">=1", "anything", false},
		{"!=1", "anything", false},
		{"===Anything", "aNYTHING", true},
		{"===anything,>=1", "anything", false},
		{"===", "", true},
	} {
		if got := specifiers(t, c.set).ContainsText(c.text); got != c.want {
			t.Errorf("%q in %q: %v", c.text, c.set, got)
		}
	}
}

func TestInvalidSpecifiers(t *testing.T) {
	for _, s := range []string{
		"1.0", "=1.0", "==", ">=", ">=x", ">=1 2", "~=1", "~=1.0.*", ">=1.*", "<1.0+x", "~=1.0+x", "==1.0a1.*", "==1.0+x.*",
		"==1.*.*", "=>1", "><1", "===a b", "===a;b", ">=1,lolwat", ">=1;", "==*", "==.*", ">=" + strings.Repeat("1", 9000),
	} {
		set, err := pep440.ParseSpecifiers(s)
		if !errors.Is(err, pep440.ErrSpecifier) {
			t.Errorf("ParseSpecifiers(%q) = %q, %v; want ErrSpecifier", clip(s), set, err)
		}
	}
	// The error names the clause, not the whole set.
	_, err := pep440.ParseSpecifiers(">=1, <2.*")
	if err == nil || !strings.Contains(err.Error(), `"<2.*"`) || strings.Contains(err.Error(), ">=1") {
		t.Errorf("got %v", err)
	}
}

func TestSpecifiersString(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		" >= 1.0 , < 2 ":         "<2,>=1.0",
		"==1.0.0,==1.0,>=2,==1":  "==1,>=2",
		"~=1.0,~=1.0.0":          "~=1.0,~=1.0.0",
		"===A,===a":              "===A,===a",
		"==1.0.*,==1.0.*,==1.*,": "==1.*,==1.0.*",
	} {
		if got := specifiers(t, in).String(); got != want {
			t.Errorf("%q is written %q, want %q", in, got, want)
		}
	}
}

func TestNamesPrerelease(t *testing.T) {
	for in, want := range map[string]bool{
		"": false, ">=1.0": false, ">=1.0a1": true, "<2.dev0": true, "!=1.0a1": false, "==1.0.*": false, "~=1.0rc1": true,
		"===1.0b1": true, "===x": false, ">=1,==2.0a0": true, ">=1.post1": false,
	} {
		if got := specifiers(t, in).NamesPrerelease(); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestAnd(t *testing.T) {
	a, b := specifiers(t, ">=1"), specifiers(t, "<2,!=1.5")
	first, second := a.And(b), a.And(specifiers(t, "<1.2"))
	if first.String() != "!=1.5,<2,>=1" || second.String() != "<1.2,>=1" || a.String() != ">=1" {
		t.Errorf("%s, %s, %s", first, second, a)
	}
	want := []pep440.Clause{{Op: ">=", Version: "1"}, {Op: "<", Version: "2"}, {Op: "!=", Version: "1.5"}}
	if got := first.Clauses(); !slices.Equal(got, want) {
		t.Errorf("clauses %q, want %q", got, want)
	}
	if !first.Equal(specifiers(t, "!=1.5.0,<2,<2.0,>=1")) || first.Equal(second) {
		t.Error("Equal does not compare the clauses' meaning")
	}
}
