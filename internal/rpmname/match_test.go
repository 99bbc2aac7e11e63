package rpmname

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rpmversion "github.com/knqyf263/go-rpm-version"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/target"
)

// holds evaluates a dependency expression against one provided version, as rpm and libsolv do.
func holds(t testing.TB, expression, provided string) bool {
	t.Helper()
	return compiled(t, expression)(rpmversion.NewVersion(provided))
}

// condition tells whether a provided version satisfies an expression.
type condition func(rpmversion.Version) bool

// compiled reads an expression once, for many versions.
func compiled(t testing.TB, expression string) condition {
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
	e := compiler{t: t, tokens: tokens, text: expression}
	result := e.expression()
	if len(e.tokens) != 0 {
		t.Fatalf("%q: left over %q", expression, e.tokens)
	}
	return result
}

type compiler struct {
	t      testing.TB
	tokens []string
	text   string
}

func (e *compiler) next() string {
	if len(e.tokens) == 0 {
		e.t.Fatalf("%q ends too early", e.text)
	}
	s := e.tokens[0]
	e.tokens = e.tokens[1:]
	return s
}

func (e *compiler) expression() condition {
	first := e.next()
	if first != "(" {
		return e.comparison(first)
	}
	all, joiner := []condition{e.expression()}, ""
	for {
		switch w := e.next(); w {
		case ")":
			return func(v rpmversion.Version) bool {
				some := slices.ContainsFunc(all, func(c condition) bool { return c(v) == (joiner == "or") })
				return some == (joiner == "or")
			}
		case "with", "or":
			if joiner != "" && joiner != w {
				e.t.Fatalf("%q mixes %s and %s: rpm refuses that", e.text, joiner, w)
			}
			joiner = w
			all = append(all, e.expression())
		default:
			e.t.Fatalf("%q: unexpected %q", e.text, w)
		}
	}
}

func (e *compiler) comparison(name string) condition {
	if !Valid(name) {
		e.t.Fatalf("%q: bad name %q", e.text, name)
	}
	if len(e.tokens) < 2 || e.tokens[0] == ")" || e.tokens[0] == "with" || e.tokens[0] == "or" {
		return func(rpmversion.Version) bool { return true }
	}
	op, bound := e.next(), rpmversion.NewVersion(e.next())
	wanted, ok := map[string][]int{"=": {0}, "<": {-1}, "<=": {-1, 0}, ">": {1}, ">=": {0, 1}}[op]
	if !ok {
		e.t.Fatalf("%q: bad operator %q", e.text, op)
	}
	return func(v rpmversion.Version) bool { return slices.Contains(wanted, v.Compare(bound)) }
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

// mismatch tells of one disagreement that is known, and why; "" of one that is not.
type mismatch func(pep440.Clause, pep440.Version) string

// match counts how often what is written for target name disagrees with PEP 440, for every specifier
// and every version. Requires and Conflicts are taken together: on EL7 it takes both to say "!=".
func match(t *testing.T, name string, specifiers []pep440.Specifiers, versions []string, known mismatch) (total, wrong int, excused map[string]int) {
	t.Helper()
	tt := named(t, name)
	type provide struct {
		version pep440.Version
		rpm     rpmversion.Version
	}
	var pool []provide
	for _, text := range versions {
		v := version(t, text)
		pool = append(pool, provide{v, rpmversion.NewVersion(Provided(tt, v))})
	}
	excused = map[string]int{}
	for _, s := range specifiers {
		r := pep508.Requirement{Name: "n", Specifiers: s}
		lines, err := Requires(tt, r)
		if err != nil {
			t.Fatal(err)
		}
		var requires, conflicts []condition
		for _, l := range lines {
			requires = append(requires, compiled(t, l))
		}
		for _, l := range Conflicts(tt, r) {
			conflicts = append(conflicts, compiled(t, l))
		}
		for _, p := range pool {
			got := !slices.ContainsFunc(requires, func(c condition) bool { return !c(p.rpm) }) &&
				!slices.ContainsFunc(conflicts, func(c condition) bool { return c(p.rpm) })
			total++
			if got == s.Contains(p.version) {
				continue
			}
			if known != nil {
				if why := known(s.Clauses()[0], p.version); why != "" {
					excused[why]++
					continue
				}
			}
			if wrong++; wrong <= 10 {
				t.Errorf("%s: %s with %s: rpm %v, PEP 440 %v (%s; provided %s)", name, p.version, s, got, !got, strings.Join(lines, " | "), Provided(tt, p.version))
			}
		}
	}
	return total, wrong, excused
}

// everyRelease are the targets whose dialects differ, and the host's.
var everyRelease = []string{"local", "el10", "el9", "el8", "el7"}

// literal is the one exception that every release has: === compares text, so ===1.0 refuses 1.0.0, which rpm
// cannot tell apart where Provides are normalised. It would be the same release anyway.
func literal(c pep440.Clause, _ pep440.Version) string {
	if c.Op == "===" {
		return "=== compares text, rpm compares versions"
	}
	return ""
}

// el7 adds what its rpm has no words for.
func el7(c pep440.Clause, v pep440.Version) string {
	if c.Op == "!=" && strings.HasSuffix(c.Version, ".*") {
		return "EL7 has no words for !=V.*"
	}
	return literal(c, v)
}

func knownOn(name string) mismatch {
	if name == "el7" {
		return el7
	}
	return literal
}

// finalPool is a large pool of final releases: all releases of up to four numbers out of a few that order
// differently as text and as numbers, with every way to write trailing zeros, and two epochs.
func finalPool() []string {
	pool := slices.Clone(releases)
	for _, a := range []string{"0", "1", "10"} {
		pool = append(pool, a)
		for _, b := range []string{"0", "9", "10"} {
			pool = append(pool, a+"."+b)
			for _, c := range []string{"0", "1", "10"} {
				pool = append(pool, a+"."+b+"."+c, a+"."+b+"."+c+".0")
			}
			pool = append(pool, a+"."+b+".1.2")
		}
	}
	pool = append(pool, "1!0.9", "1!1.0.0", "1!10", "2!0.1")
	slices.Sort(pool)
	return slices.Compact(pool)
}

// For final releases every release's rpm must answer exactly what PEP 440 answers, with every operator.
func TestFinalReleasesMatchExactly(t *testing.T) {
	pool := finalPool()
	specifiers := specifierPool(t, pool)
	for _, name := range everyRelease {
		total, wrong, excused := match(t, name, specifiers, pool, knownOn(name))
		t.Logf("%s: %d versions, %d specifiers, %d checks, %d wrong, known: %v", name, len(pool), len(specifiers), total, wrong, excused)
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
	for _, name := range everyRelease[:4] {
		match(t, name, sets, finalPool(), nil)
	}
}

// Post-releases are the second commonest kind; where Provides are normalised they are exact, too.
func TestPostReleasesMatch(t *testing.T) {
	versions := append([]string{"1.0.post1", "1.1.post2", "2.post0", "2.0.1.post3"}, releases...)
	for _, name := range []string{"local", "el9", "el10"} {
		match(t, name, specifierPool(t, versions), versions, literal)
	}
}

// Pre-releases of the version asked for with <, and those below a bound, are told apart.
func TestPreReleasesMatch(t *testing.T) {
	versions := []string{"1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.1.dev4", "1.1rc2", "1.1", "1.1.0", "2.0rc1", "2.0"}
	for _, name := range []string{"local", "el9", "el10"} {
		total, wrong, excused := match(t, name, specifierPool(t, versions), versions, literal)
		t.Logf("%s: %d checks, %d wrong, known: %v", name, total, wrong, excused)
	}
}

// Where Provides are raw (EL8, EL7), 1.0rc1 sorts above 1.0 whatever a requirement says. What can be said
// is exact: an equality finds the version it names, and a final version is never taken for another.
func TestRawProvidesOfPreReleases(t *testing.T) {
	finals := []string{"0.9", "1.0", "1.0.0", "1.1", "2.0"}
	others := []string{"1.0.dev1", "1.0a1", "1.0rc1", "1.0.post1", "1.1rc2", "1!1.0rc1"}
	for _, name := range []string{"el8", "el7"} {
		tt := named(t, name)
		for _, text := range others {
			s, err := pep440.ParseSpecifiers("==" + text)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := Requires(tt, pep508.Requirement{Name: "n", Specifiers: s})
			if err != nil {
				t.Fatal(err)
			}
			all := func(v string) bool {
				return !slices.ContainsFunc(lines, func(l string) bool { return !holds(t, l, Provided(tt, version(t, v))) })
			}
			if !all(text) {
				t.Errorf("%s: %s does not find itself: %v", name, text, lines)
			}
			for _, f := range finals {
				if all(f) {
					t.Errorf("%s: %s is taken for %s: %v", name, f, text, lines)
				}
			}
		}
		match(t, name, specifierPool(t, finals), finals, knownOn(name))
	}
}

// written is what the generator of EL9 (python-rpm-generators 12) or of EL10 and Fedora (14) makes of one
// clause; ok is false where it ends the build.
func written(tt target.Target, c pep440.Clause, el10 bool) (line string, ok bool) {
	text, star := strings.CutSuffix(c.Version, ".*")
	v, err := pep440.Parse(text)
	if err != nil {
		return "", false
	}
	p := v.Parts()
	n, low := "python3.12dist(n)", Provided(tt, v)
	up := func(release []string) string {
		parts := p
		parts.Release, parts.PreKind, parts.HasDev, parts.HasPost = increment(release), "", false, false
		return normal(tt, parts)
	}
	switch {
	case star && c.Op == "==":
		return fmt.Sprintf("(%s >= %s with %s < %s)", n, low, n, up(p.Release)), true
	case star && el10:
		return fmt.Sprintf("(%s < %s~~ or %s >= %s)", n, low, n, up(p.Release)), true
	case star:
		return fmt.Sprintf("(%s < %s or %s > %s)", n, low, n, up(p.Release)), true
	case c.Op == "~=" && len(p.Release) < 2:
		return "", false
	case c.Op == "~=":
		return fmt.Sprintf("(%s >= %s with %s < %s)", n, low, n, up(p.Release[:len(p.Release)-1])), true
	case c.Op == "!=":
		return fmt.Sprintf("(%s < %s or %s > %s)", n, low, n, low), true
	case c.Op == "==" || c.Op == "===":
		return n + " = " + low, true
	case el10 && c.Op == "<":
		low += "~~"
	case el10 && c.Op == ">":
		low += ".0"
	}
	return n + " " + c.Op + " " + low, true
}

// On EL9 and EL10 rpm's generator writes most requirements. For final releases it is as exact as ours,
// but for what GeneratorWrong names, which the specs write themselves.
func TestGeneratorsMatchButForWhatIsWrittenInstead(t *testing.T) {
	pool := finalPool()
	for name, el10 := range map[string]bool{"el9": false, "el10": true} {
		tt := named(t, name)
		caught, checks := 0, 0
		for _, s := range specifierPool(t, pool) {
			line, ok := written(tt, s.Clauses()[0], el10)
			if !ok {
				continue
			}
			holds := compiled(t, line)
			for _, text := range pool {
				v := version(t, text)
				checks++
				if holds(rpmversion.NewVersion(Provided(tt, v))) == s.Contains(v) || literal(s.Clauses()[0], v) != "" {
					continue
				}
				if GeneratorWrong(pep508.Requirement{Name: "n", Specifiers: s}) {
					caught++
					continue
				}
				t.Fatalf("%s: %s with %s: the generator's %s disagrees, and GeneratorWrong says it is right", name, v, s, line)
			}
		}
		t.Logf("%s: %d checks; %d wrong, all written by the spec instead", name, checks, caught)
		if (caught > 0) == el10 {
			t.Errorf("%s: the generator is wrong %d times", name, caught)
		}
	}
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
