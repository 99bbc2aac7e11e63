package solve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Solve finds versions for everything req asks for. The error is a *Conflict when
// there are none, the context's error, ErrTooHard, or what the Source failed with.
// No goroutine of it is left running. The same request and answers give the same
// result, whatever the order of roots and candidates.
func Solve(ctx context.Context, src Source, req Request) (Solution, error) {
	s := newSolver(ctx, src, req)
	defer s.f.freeze()
	return s.solve()
}

func newSolver(ctx context.Context, src Source, req Request) *solver {
	s := &solver{ctx: ctx, f: newFetcher(ctx, src, &req), pol: newPolicy(), req: req, limit: maxConflicts}
	for _, r := range req.Roots {
		if r.Req.Marker.Eval(req.Env, "") {
			s.roots = append(s.roots, r)
		}
	}
	slices.SortStableFunc(s.roots, compareRoots)
	return s
}

// solver holds what outlives one attempt.
type solver struct {
	ctx   context.Context
	f     *fetcher
	pol   *policy
	req   Request
	roots []Root
	limit int // conflicts of one attempt
}

func compareRoots(a, b Root) int {
	return cmp.Or(
		strings.Compare(a.Req.Key(), b.Req.Key()),
		strings.Compare(a.Req.String(), b.Req.String()),
		strings.Compare(a.Origin.File, b.Origin.File),
		a.Origin.Line-b.Origin.Line,
	)
}

func (s *solver) attempt(m mode) *attempt {
	m.preferring = s.req.Prefer
	return &attempt{ctx: s.ctx, f: s.f, py: s.f.py, env: s.req.Env, roots: s.roots, pol: s.pol, mode: m, limit: s.limit}
}

func (s *solver) solve() (Solution, error) {
	var fallback *Solution
	for {
		a := s.attempt(mode{})
		proof, err := a.run()
		switch {
		case errors.Is(err, errRestart):
			continue
		case err != nil:
			return Solution{}, err
		case proof != nil && fallback != nil:
			return *fallback, nil
		case proof != nil:
			return Solution{}, s.explain(proof)
		}
		sol, err := a.solution()
		if err != nil {
			return Solution{}, err
		}
		odd := a.unsupported(sol)
		if len(odd) == 0 {
			return sol, nil
		}
		// What opened these packages to pre-releases or yanked versions is no part
		// of the solution any more. Look for one without; keep this as the last resort.
		for _, c := range odd {
			s.pol.bar(c.Name)
			sol.Warnings = append(sol.Warnings, fmt.Sprintf("%s %s is a pre-release or was yanked, and was taken because no other choice fits", c.Name, c.Version))
		}
		fallback = &sol
	}
}

// bar undoes what was let in of a package, for good.
func (p *policy) bar(name string) {
	delete(p.pre, name)
	delete(p.yanked, name)
	p.barred[name] = true
}

// unsupported are the chosen versions that the policy hides, judged by the
// requirements of the solution alone.
func (a *attempt) unsupported(sol Solution) []Chosen {
	var odd []Chosen
	specs := sol.specifiers(a.roots)
	for _, c := range sol.Packages {
		v := a.byName[c.Name]
		if v.list.pre.empty() && v.list.yanked.empty() {
			continue
		}
		p := newPolicy()
		p.widen(v.list, v.usable, specs[c.Name])
		pre, yanked := p.hidden(v.list, a.f.req.Pre)
		if pre.has(v.decided) || yanked.has(v.decided) {
			odd = append(odd, c)
		}
	}
	return odd
}
