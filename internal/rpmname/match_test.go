package rpmname

import (
	"fmt"
	"strings"
	"testing"

	rpmversion "github.com/knqyf263/go-rpm-version"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// holds evaluates a dependency expression against one provided version, as rpm and libsolv do.
func holds(t testing.TB, expression, provided string) bool {
	t.Helper()
	words := strings.Fields(strings.NewReplacer("(python", " ( python", "((", "( (", "))", ") )").Replace(expression))
	// The names hold parentheses themselves: python3.12dist(n).
	var tokens []string
	for _, w := range words {
		for strings.HasPrefix(w, "(") && w != "(" {
			tokens = append(tokens, "(")
			w = w[1:]
		}
		closing := 0
		for strings.HasSuffix(w, ")") && strings.Count(w, ")") > strings.Count(w, "(") {
			w = w[:len(w)-1]
			closing++
		}
		if w != "" {
			tokens = append(tokens, w)
		}
		for range closing {
			tokens = append(tokens, ")")
		}
	}
	e := evaluator{t: t, tokens: tokens, provided: rpmversion.NewVersion(provided), text: expression}
	result := e.expression()
	if len(e.tokens) != 0 {
		t.Fatalf("%q: left over %q", expression, e.tokens)
	}
	return result
}

type evaluator struct {
	t        testing.TB
	tokens   []string
	provided rpmversion.Version
	text     string
}

func (e *evaluator) next() string {
	if len(e.tokens) == 0 {
		e.t.Fatalf("%q ends too early", e.text)
	}
	s := e.tokens[0]
	e.tokens = e.tokens[1:]
	return s
}

func (e *evaluator) expression() bool {
	first := e.next()
	if first != "(" {
		return e.comparison(first)
	}
	result, joiner := e.expression(), ""
	for {
		switch w := e.next(); w {
		case ")":
			return result
		case "with", "or":
			if joiner != "" && joiner != w {
				e.t.Fatalf("%q mixes %s and %s: rpm refuses that", e.text, joiner, w)
			}
			joiner = w
			operand := e.expression()
			if w == "with" {
				result = result && operand
			} else {
				result = result || operand
			}
		default:
			e.t.Fatalf("%q: unexpected %q", e.text, w)
		}
	}
}

func (e *evaluator) comparison(name string) bool {
	if !Valid(name) {
		e.t.Fatalf("%q: bad name %q", e.text, name)
	}
	if len(e.tokens) < 2 || e.tokens[0] == ")" || e.tokens[0] == "with" || e.tokens[0] == "or" {
		return true
	}
	op, version := e.next(), e.next()
	c := e.provided.Compare(rpmversion.NewVersion(version))
	switch op {
	case "=":
		return c == 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	}
	e.t.Fatalf("%q: bad operator %q", e.text, op)
	return false
}

var (
	releases = []string{
		"0", "0.0", "0.1", "0.9", "0.10", "1", "1.0", "1.0.0", "1.0.0.1", "1.0.1", "1.1", "1.1.0", "1.9", "1.10", "1.10.1",
		"2", "2.0.0", "2.0.1", "9.9", "10.0", "2024.1.5", "1!1.0", "1!2.1", "4.0.0.0.0",
	}
	operators = []string{"==", "!=", "<=", ">=", "<", ">", "~=", "==*", "!=*", "==="}
)

func specifierPool(t testing.TB, versions []string) []pep440.Specifiers {
	t.Helper()
	var out []pep440.Specifiers
	for _, v := range versions {
		for _, op := range operators {
			text := op + v
			if base, ok := strings.CutSuffix(op, "*"); ok {
				text = base + v + ".*"
			}
			s, err := pep440.ParseSpecifiers(text)
			if err != nil {
				continue // ~=1, ==1rc1.*
			}
			out = append(out, s)
		}
	}
	return out
}

// match counts how often the expressions of target name disagree with PEP 440.
func match(t *testing.T, name string, specifiers []pep440.Specifiers, versions []string, known func(pep440.Specifiers, pep440.Version) bool) (total, wrong, excused int) {
	t.Helper()
	tt := named(t, name)
	for _, s := range specifiers {
		lines, err := Requires(tt, pep508.Requirement{Name: "n", Specifiers: s})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range versions {
			v := version(t, text)
			got := true
			for _, l := range lines {
				got = got && holds(t, l, Provided(tt, v))
			}
			total++
			if got == s.Contains(v) {
				continue
			}
			if known != nil && known(s, v) {
				excused++
				continue
			}
			if wrong++; wrong <= 10 {
				t.Errorf("%s: %s with %s: rpm %v, PEP 440 %v (%s; provided %s)", name, v, s, got, !got, strings.Join(lines, " | "), Provided(tt, v))
			}
		}
	}
	return total, wrong, excused
}

// For final releases rpm must answer exactly what PEP 440 answers.
//
// Known exceptions: === compares text, so ===1.0 refuses 1.0.0, which rpm cannot tell apart
// (it would be the same release anyway); EL7 cannot say "!=" in a Requires.
func TestFinalReleasesMatchExactly(t *testing.T) {
	literal := func(s pep440.Specifiers, _ pep440.Version) bool { return s.Clauses()[0].Op == "===" }
	el7 := func(s pep440.Specifiers, v pep440.Version) bool {
		return literal(s, v) || s.Clauses()[0].Op == "!="
	}
	for _, tt := range []struct {
		name  string
		known func(pep440.Specifiers, pep440.Version) bool
	}{{"local", literal}, {"el8", literal}, {"el7", el7}} { // el9 and el10 write what local writes
		total, wrong, excused := match(t, tt.name, specifierPool(t, releases), releases, tt.known)
		t.Logf("%s: %d checks, %d wrong, %d known exceptions", tt.name, total, wrong, excused)
	}
}

// Several clauses must all hold.
func TestSetsMatchExactly(t *testing.T) {
	var sets []pep440.Specifiers
	for _, text := range []string{">=1,<2", ">=1.0,!=1.1,<2", ">1,<=2.0.0", "~=1.0,!=1.2.*", "!=1.0,!=1.1,!=1.2", "==1.*,!=1.10.*,>=1.0.1", ">=0,<1!2"} {
		s, err := pep440.ParseSpecifiers(text)
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, s)
	}
	for _, name := range []string{"local", "el8"} {
		match(t, name, sets, releases, nil)
	}
}

// Post-releases are the second commonest kind; where Provides are normalised they are exact, too.
func TestPostReleasesMatch(t *testing.T) {
	versions := append([]string{"1.0.post1", "1.1.post2", "2.post0", "2.0.1.post3"}, releases...)
	literal := func(s pep440.Specifiers, _ pep440.Version) bool { return s.Clauses()[0].Op == "===" }
	match(t, "local", specifierPool(t, versions), versions, literal)
}

// Pre-releases of the version asked for with <, and those below a bound, are told apart.
func TestPreReleasesMatch(t *testing.T) {
	versions := []string{"1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.1.dev4", "1.1rc2", "1.1", "1.1.0", "2.0rc1", "2.0"}
	literal := func(s pep440.Specifiers, _ pep440.Version) bool { return s.Clauses()[0].Op == "===" }
	total, wrong, excused := match(t, "local", specifierPool(t, versions), versions, literal)
	t.Logf("%d checks, %d wrong, %d known exceptions", total, wrong, excused)
}

func TestGeneratorWrong(t *testing.T) {
	for text, want := range map[string]bool{"n!=1.2.*": true, "n>=1,!=1.2.*": true, "n!=1.2": false, "n==1.2.*": false, "n": false} {
		if got := GeneratorWrong(requirement(t, text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzRequires(f *testing.F) {
	f.Add("foo>=1,!=1.2.*")
	f.Add("Foo.Bar[x,y]~=1.4.2; python_version<'3'")
	f.Add("a @ https://example.org/%(id)")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := pep508.Parse(text)
		if err != nil {
			return
		}
		for _, name := range []string{"local", "el8", "el7"} {
			lines, err := Requires(named(t, name), r)
			if err != nil {
				continue
			}
			for _, l := range lines {
				if strings.ContainsAny(l, "%\n\r\\'\"`$;#") {
					t.Fatalf("%q gives %q", text, l)
				}
				holds(t, l, "1.0")
			}
		}
	})
}

func ExampleRequires() {
	// A target with normalised Provides and rich dependencies.
	el9 := named(&testing.T{}, "el9")
	r, _ := pep508.Parse("requests[socks]>=2.20,<3")
	lines, _ := Requires(el9, r)
	fmt.Println(strings.Join(lines, "\n"))
	// Output:
	// (python3.12dist(requests) >= 2.20 with python3.12dist(requests) < 3~~)
	// (python3.12dist(requests[socks]) >= 2.20 with python3.12dist(requests[socks]) < 3~~)
}
