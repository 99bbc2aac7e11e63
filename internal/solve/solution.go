package solve

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// specifiers are, for each chosen package, all that is asked of its version.
func (s *Solution) specifiers(roots []Root) map[string][]pep440.Specifiers {
	m := map[string][]pep440.Specifiers{}
	for _, e := range s.Edges {
		m[e.To] = append(m[e.To], e.Req.Specifiers)
	}
	for _, r := range roots {
		if k := r.Req.Key(); r.Constraint {
			m[k] = append(m[k], r.Req.Specifiers)
		}
	}
	return m
}

// solution collects what is reachable from the roots.
func (a *attempt) solution() (Solution, error) {
	g := gather{a: a, chosen: map[string]map[string]bool{}, askers: map[string][]Edge{}, unknown: map[string]error{}}
	for _, r := range a.roots {
		if !r.Constraint {
			g.edge(Edge{From: r.Origin, To: r.Req.Key(), Req: r.Req, Overridden: r.by != nil})
		}
	}
	for len(g.todo) > 0 {
		v := g.todo[0]
		g.todo = g.todo[1:]
		ver := v.base.version()
		reqs, err := a.f.requires(a.ctx, v.name, ver)
		if err != nil && a.putsUpWith(v, err) {
			g.unknown[v.name] = err
			continue
		}
		if err != nil {
			return Solution{}, err
		}
		for _, r := range a.req.active(reqs, a.env, v.extra) {
			from := Origin{Package: v.name, Version: ver.String(), Text: r.written.String()}
			g.edge(Edge{From: from, To: r.Key(), Req: r.Requirement, Overridden: r.by != nil})
		}
	}
	return g.finish()
}

type gather struct {
	a       *attempt
	chosen  map[string]map[string]bool // package, extras
	askers  map[string][]Edge          // by name[extra], for warnings
	edges   []Edge
	todo    []*variable
	unknown map[string]error
}

func (g *gather) edge(e Edge) {
	g.edges = append(g.edges, e)
	v := g.a.byName[e.To]
	if g.chosen[e.To] == nil {
		g.chosen[e.To] = map[string]bool{}
		g.todo = append(g.todo, v)
	}
	for _, extra := range e.Req.Extras {
		x := v.extras[extra]
		g.askers[x.label()] = append(g.askers[x.label()], e)
		if !g.chosen[e.To][extra] {
			g.chosen[e.To][extra] = true
			g.todo = append(g.todo, x)
		}
	}
}

func (g *gather) finish() (Solution, error) {
	sol := Solution{Edges: g.edges}
	for _, name := range slices.Sorted(maps.Keys(g.chosen)) {
		v := g.a.byName[name]
		c := Chosen{Name: name, Version: v.version(), Extras: slices.Sorted(maps.Keys(g.chosen[name])), Unknown: g.unknown[name]}
		sol.Packages = append(sol.Packages, c)
		if c.Unknown != nil {
			sol.Warnings = append(sol.Warnings, fmt.Sprintf("what %s %s requires could not be found out; it is kept because it is pinned: %v", name, c.Version, c.Unknown))
			continue
		}
		for _, extra := range c.Extras {
			has, err := g.a.hasExtra(v, extra)
			if err != nil {
				return Solution{}, err
			}
			if !has {
				asker := g.askers[v.extras[extra].label()][0]
				sol.Warnings = append(sol.Warnings, fmt.Sprintf("%s %s has no extra named %s (asked for by %s)", name, c.Version, extra, asker.From))
			}
		}
	}
	slices.SortStableFunc(sol.Edges, compareEdges)
	sol.Edges = slices.CompactFunc(sol.Edges, func(a, b Edge) bool { return compareEdges(a, b) == 0 })
	return sol, nil
}

func compareEdges(a, b Edge) int {
	return cmp.Or(
		strings.Compare(a.From.Package, b.From.Package),
		strings.Compare(a.From.Version, b.From.Version),
		strings.Compare(a.From.File, b.From.File),
		a.From.Line-b.From.Line,
		strings.Compare(a.To, b.To),
		strings.Compare(a.Req.String(), b.Req.String()),
		strings.Compare(a.From.Text, b.From.Text),
	)
}

// hasExtra tells whether the decided version of v knows extra.
func (a *attempt) hasExtra(v *variable, extra string) (bool, error) {
	if l, ok := a.f.src.(ExtraLister); ok {
		known, err := l.Extras(a.ctx, v.name, v.version())
		if err != nil {
			return false, fmt.Errorf("extras of %s %s: %w", v.name, v.version(), err)
		}
		return slices.Contains(known, extra), nil
	}
	reqs, err := a.f.requires(a.ctx, v.name, v.version())
	if err != nil {
		return false, err
	}
	for _, r := range reqs {
		if namesExtra(r.Marker, extra) {
			return true, nil
		}
	}
	return false, nil
}

var quoted = regexp.MustCompile(`"([^"]*)"|'([^']*)'`)

// namesExtra tells whether m compares something with the name of extra.
func namesExtra(m *pep508.Marker, extra string) bool {
	if !m.UsesExtra() {
		return false
	}
	for _, q := range quoted.FindAllStringSubmatch(m.String(), -1) {
		if pep508.NormalizeName(q[1]+q[2]) == extra {
			return true
		}
	}
	return false
}
