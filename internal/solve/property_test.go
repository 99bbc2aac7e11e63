package solve

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// problem is a small random universe and what is asked of it.
type problem struct {
	u   *universe
	req Request
}

var (
	finals   = []string{"1.0", "1.5", "2.0", "3.0"}
	mixed    = []string{"1.0", "1.5", "2.0rc1", "2.0"}
	specText = []string{"", "", "==1.0", "!=1.5", ">=1.5", "<2", ">2", "~=1.0", "==1.*", ">=2,<3", "===2.0", "==2.0"}
	names    = []string{"a", "b", "c", "d", "e", "f"}
)

func drawRequirement(t *rapid.T, markers, pre bool) pep508.Requirement {
	text := rapid.SampledFrom(names).Draw(t, "name")
	if rapid.IntRange(0, 4).Draw(t, "with extra") == 0 {
		text += "[" + rapid.SampledFrom([]string{"x", "y", "x,y"}).Draw(t, "extra") + "]"
	}
	specs := specText
	if pre {
		specs = append(slices.Clone(specText), ">=2.0rc1", "==2.0rc1", ">1.5,<2.0")
	}
	text += rapid.SampledFrom(specs).Draw(t, "spec")
	if markers {
		text += rapid.SampledFrom([]string{"", "", "", "; extra=='x'", "; extra=='y'", "; python_version<'3'"}).Draw(t, "marker")
	}
	r, err := pep508.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func drawProblem(t *rapid.T, pre bool) problem {
	u := &universe{cands: map[string][]Candidate{}, reqs: map[string][]pep508.Requirement{}, fail: map[string]error{}}
	versions := finals
	if pre {
		versions = mixed
	}
	for _, name := range names[:rapid.IntRange(1, len(names)).Draw(t, "packages")] {
		for _, text := range versions[:rapid.IntRange(1, len(versions)).Draw(t, "versions")] {
			v, err := pep440.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c := Candidate{Version: v}
			if rapid.IntRange(0, 9).Draw(t, "python") == 0 {
				c.RequiresPython = ">=3.12"
			}
			c.NoSource = pre && rapid.IntRange(0, 7).Draw(t, "no source") == 0
			u.cands[name] = append(u.cands[name], c)
			key := name + " " + v.String()
			for range rapid.IntRange(0, 3).Draw(t, "requirements") {
				u.reqs[key] = append(u.reqs[key], drawRequirement(t, true, pre))
			}
			if rapid.IntRange(0, 19).Draw(t, "fails") == 0 {
				u.fail[key] = errors.New("no metadata")
			}
		}
	}
	req := Request{Env: pep508.Linux("3.11.2", "x86_64"), KeepUnknown: rapid.Bool().Draw(t, "keep unknown")}
	if rapid.IntRange(0, 3).Draw(t, "override") == 0 {
		r := drawRequirement(t, false, pre)
		if rapid.IntRange(0, 3).Draw(t, "never") == 0 {
			never, err := pep508.Parse("a; sys_platform=='never'")
			if err != nil {
				t.Fatal(err)
			}
			r.Marker = never.Marker
		}
		req.Overrides = []Root{{Req: r, Origin: Origin{File: "--override", Text: r.String()}}}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "roots") {
		r := drawRequirement(t, false, pre)
		req.Roots = append(req.Roots, Root{
			Req:        r,
			Constraint: rapid.IntRange(0, 5).Draw(t, "constraint") == 0,
			Origin:     Origin{File: "requirements.txt", Line: i + 1, Text: r.String()},
		})
	}
	return problem{u, req}
}

// exhaustive tells whether any choice of versions holds, by trying them all. It
// follows what is asked for, package by package, and knows nothing of the solver.
func (p problem) exhaustive(allowed func(map[string]Candidate) bool) bool {
	chosen := map[string]Candidate{}
	var try func() bool
	try = func() bool {
		extras, missing, ok := p.closure(chosen)
		if !ok {
			return false
		}
		_ = extras
		if missing == "" {
			return allowed(chosen)
		}
		for _, c := range p.u.cands[missing] {
			if c.RequiresPython != "" && p.req.Env.PythonVersion != "3.12" || p.u.fail[missing+" "+c.Version.String()] != nil && !p.keeps(missing) {
				continue
			}
			chosen[missing] = c
			if try() {
				return true
			}
			delete(chosen, missing)
		}
		return false
	}
	return try()
}

// closure follows requirements through the chosen versions: the extras asked
// for, a package that is asked for and not chosen yet, and whether all is well.
func (p problem) closure(chosen map[string]Candidate) (extras map[string]map[string]bool, missing string, ok bool) {
	extras = map[string]map[string]bool{}
	ok = true
	want := func(r pep508.Requirement) (grew bool) {
		r, asked := p.counts(r)
		if !asked {
			return false
		}
		if extras[r.Key()] == nil {
			extras[r.Key()], grew = map[string]bool{}, true
		}
		for _, e := range r.Extras {
			if !extras[r.Key()][e] {
				extras[r.Key()][e], grew = true, true
			}
		}
		c, have := chosen[r.Key()]
		if !have {
			missing = r.Key()
		} else if !r.Specifiers.Contains(c.Version) {
			ok = false
		}
		return grew
	}
	for _, r := range p.req.Roots {
		if c, have := chosen[r.Req.Key()]; r.Constraint {
			ok = ok && (!have || p.overrides(r.Req.Key()) || r.Req.Specifiers.Contains(c.Version))
		} else {
			want(r.Req)
		}
	}
	for again := true; again; {
		again = false
		for name := range maps.Clone(extras) {
			c, have := chosen[name]
			if !have {
				continue
			}
			for _, r := range p.requires(name, c) {
				if r.Marker.EvalAny(p.req.Env, slices.Collect(maps.Keys(extras[name]))) {
					again = want(r) || again
				}
			}
		}
	}
	return extras, missing, ok
}

// overrides tells whether a name is overridden.
func (p problem) overrides(name string) bool {
	return slices.ContainsFunc(p.req.Overrides, func(o Root) bool { return o.Req.Key() == name })
}

// counts is what an override, one a name at most, makes of a requirement.
func (p problem) counts(r pep508.Requirement) (pep508.Requirement, bool) {
	i := slices.IndexFunc(p.req.Overrides, func(o Root) bool { return o.Req.Key() == r.Key() })
	if i < 0 {
		return r, true
	}
	o := p.req.Overrides[i].Req
	r.Specifiers, r.Extras = o.Specifiers, slices.Concat(r.Extras, o.Extras)
	return r, o.Marker.Eval(p.req.Env, "")
}

// requires is what a version needs: nothing, where that is not known.
func (p problem) requires(name string, c Candidate) []pep508.Requirement {
	key := name + " " + c.Version.String()
	if p.u.fail[key] != nil {
		return nil
	}
	return p.u.reqs[key]
}

// keeps: a version of name is taken although nobody knows what it requires.
func (p problem) keeps(name string) bool {
	return p.req.KeepUnknown && slices.ContainsFunc(p.req.Roots, func(r Root) bool {
		if r.Constraint && p.overrides(name) {
			return false
		}
		counts, asked := p.counts(r.Req)
		return asked && r.Req.Key() == name && pins(counts.Specifiers)
	})
}

func anything(map[string]Candidate) bool { return true }

// rapidRuns checks that many random universes, fewer with -short, or what REQPM_RAPID says.
func rapidRuns(t *testing.T, runs int, check func(*rapid.T)) {
	if testing.Short() {
		runs = 500
	}
	if n, err := strconv.Atoi(os.Getenv("REQPM_RAPID")); err == nil {
		runs = n
	}
	// rapid takes the number from a flag only; run its checks in equal parts.
	for i := 0; i*100 < runs; i++ {
		if rapid.Check(t, check); t.Failed() {
			return
		}
	}
}

func solveProblem(t *rapid.T, p problem) (Solution, *Conflict) {
	sol, err := Solve(t.Context(), p.u, p.req)
	if err == nil {
		if err := Check(t.Context(), sol, p.req, p.u); err != nil {
			t.Fatalf("wrong solution %s: %v", packages(sol), err)
		}
		return sol, nil
	}
	c, ok := errors.AsType[*Conflict](err)
	if !ok {
		t.Fatal(err)
	}
	return sol, c
}

func (p problem) String() string {
	text := fmt.Sprintf("keep unknown=%v\n", p.req.KeepUnknown)
	for _, r := range p.req.Overrides {
		text += fmt.Sprintf("override %s\n", r.Req)
	}
	for _, r := range p.req.Roots {
		text += fmt.Sprintf("root %s constraint=%v\n", r.Req, r.Constraint)
	}
	for _, n := range slices.Sorted(maps.Keys(p.u.cands)) {
		for _, c := range p.u.cands[n] {
			k := n + " " + c.Version.String()
			text += fmt.Sprintf("%s py%s source=%v: %v %v\n", k, c.RequiresPython, !c.NoSource, p.u.reqs[k], p.u.fail[k])
		}
	}
	return text
}

func TestSolvesWhateverHasASolution(t *testing.T) {
	solved, not := 0, 0
	rapidRuns(t, 10_000, func(t *rapid.T) {
		p := drawProblem(t, false)
		_, conflict := solveProblem(t, p)
		if conflict == nil {
			solved++
			return
		}
		not++
		if p.exhaustive(anything) {
			t.Fatalf("there is a solution, said: %s\n%s", conflict.Message, p)
		}
		p.blamesRightly(t, conflict)
	})
	t.Logf("%d solved, %d without solution", solved, not)
	if solved == 0 || not == 0 {
		t.Error("the universes do not test both answers")
	}
}

// blamesRightly: the user's requirements a conflict names clash without the rest.
func (p problem) blamesRightly(t *rapid.T, c *Conflict) {
	var named []Root
	for _, r := range p.req.Roots {
		if slices.Contains(c.Origins, r.Origin) {
			named = append(named, r)
		}
	}
	p.req.Roots = named
	if len(named) == 0 || p.exhaustive(anything) {
		t.Fatalf("what it names can hold together: %s\n%s", c.Message, p)
	}
	for _, bad := range []string{"step 0", "which cannot be.", "  ", "needs ,", "%!"} {
		if strings.Contains(strings.ReplaceAll(c.Message, "\n  ", "\n"), bad) {
			t.Fatalf("%q in %s\n%s", bad, c.Message, p)
		}
	}
	if first, _, _ := strings.Cut(c.Message, "\n"); !strings.Contains(first, "requirements.txt:") {
		t.Fatalf("the first line names nobody: %s", c.Message)
	}
}

func TestPreReleasesOnlyWithSupport(t *testing.T) {
	solved, not, missed := 0, 0, 0
	rapidRuns(t, 2000, func(t *rapid.T) {
		p := drawProblem(t, true)
		_, conflict := solveProblem(t, p)
		if conflict == nil {
			solved++
			return
		}
		not++
		if p.exhaustive(func(chosen map[string]Candidate) bool { return p.supported(chosen) }) {
			missed++
		}
	})
	// A pre-release that only a version never looked at would let in is missed.
	t.Logf("%d solved, %d without solution, %d missed", solved, not, missed)
	if missed*200 > solved+not {
		t.Error("too many solutions with pre-releases are missed")
	}
}

// supported: every chosen pre-release is named by a requirement on it or the only kind that matches.
func (p problem) supported(chosen map[string]Candidate) bool {
	extras, _, _ := p.closure(chosen)
	specs := map[string][]pep440.Specifiers{}
	say := func(r pep508.Requirement) {
		if r, asked := p.counts(r); asked {
			specs[r.Key()] = append(specs[r.Key()], r.Specifiers)
		}
	}
	for _, r := range p.req.Roots {
		if !r.Constraint || !p.overrides(r.Req.Key()) {
			say(r.Req)
		}
	}
	for name, c := range chosen {
		for _, r := range p.requires(name, c) {
			if r.Marker.EvalAny(p.req.Env, slices.Collect(maps.Keys(extras[name]))) {
				say(r)
			}
		}
	}
	for name, c := range chosen {
		named, finals, sources := false, false, false
		for _, s := range specs[name] {
			named = named || s.NamesPrerelease()
		}
		fitting := slices.DeleteFunc(slices.Clone(p.u.cands[name]), func(o Candidate) bool {
			return o.RequiresPython != "" || slices.ContainsFunc(specs[name], func(s pep440.Specifiers) bool { return !s.Contains(o.Version) })
		})
		for _, o := range fitting {
			finals = finals || !o.Version.IsPrerelease()
		}
		for _, o := range fitting {
			sources = sources || !o.NoSource && (named || !finals || !o.Version.IsPrerelease())
		}
		if c.Version.IsPrerelease() && !named && finals || c.NoSource && sources {
			return false
		}
	}
	return true
}

func TestOrderAndStrangersChangeNothing(t *testing.T) {
	rapidRuns(t, 2000, func(t *rapid.T) {
		p := drawProblem(t, true)
		first, firstErr := Solve(t.Context(), p.u, p.req)

		q := problem{u: &universe{cands: map[string][]Candidate{}, reqs: p.u.reqs, fail: p.u.fail}, req: p.req}
		for name, c := range p.u.cands {
			c = slices.Clone(c)
			slices.Reverse(c)
			q.u.cands[name] = c
		}
		q.u.cands["stranger"] = []Candidate{{Version: p.u.cands["a"][0].Version}}
		q.req.Overrides = p.req.Overrides
		q.req.KeepUnknown = p.req.KeepUnknown
		q.req.Roots = rapid.Permutation(p.req.Roots).Draw(t, "order")
		second, secondErr := Solve(t.Context(), q.u, q.req)
		if !reflect.DeepEqual(firstErr, secondErr) {
			t.Fatalf("errors differ:\n%v\n%v", firstErr, secondErr)
		}
		if a, b := fmt.Sprint(first), fmt.Sprint(second); a != b {
			t.Fatalf("solutions differ:\n%s\n%s", a, b)
		}
		// The stranger is asked for, too: it comes, and nothing else changes.
		asked := Root{Req: pep508.Requirement{Name: "stranger"}, Origin: Origin{File: "requirements.txt", Line: 9, Text: "stranger"}}
		q.req.Roots = append(slices.Clone(q.req.Roots), asked)
		third, thirdErr := Solve(t.Context(), q.u, q.req)
		// Of several conflicts another may be the one that is told, since one more package is decided upon.
		if (firstErr == nil) != (thirdErr == nil) || thirdErr != nil && strings.Contains(thirdErr.Error(), "stranger") {
			t.Fatalf("with a stranger, errors differ:\n%v\n%v", firstErr, thirdErr)
		}
		if thirdErr == nil {
			third.Packages = slices.DeleteFunc(third.Packages, func(c Chosen) bool { return c.Name == "stranger" })
			third.Edges = slices.DeleteFunc(third.Edges, func(e Edge) bool { return e.To == "stranger" })
		}
		if a, b := fmt.Sprint(first), fmt.Sprint(third); a != b {
			t.Fatalf("with a stranger, solutions differ:\n%s\n%s", a, b)
		}
	})
}
