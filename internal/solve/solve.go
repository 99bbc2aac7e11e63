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
	s := &solver{ctx: ctx, f: newFetcher(ctx, src, &req), pol: newPolicy(&req), req: req, limit: maxConflicts, pinned: map[string]bool{}}
	s.roots = s.req.rootsFor(req.Env)
	slices.SortStableFunc(s.roots, compareRoots)
	for _, r := range s.roots {
		if pins(r.Req.Specifiers) {
			s.pinned[r.Req.Key()] = true
		}
	}
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
	// pinned names what a line of the user pins to one version.
	pinned map[string]bool
	// unexplained: nobody reads the Conflict.
	unexplained bool
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
	return &attempt{ctx: s.ctx, f: s.f, py: s.f.py, env: s.req.Env, req: &s.req, roots: s.roots, pol: s.pol, pinned: s.pinned, mode: m, limit: s.limit}
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
		case proof != nil && s.unexplained:
			return Solution{}, &Conflict{}
		case proof != nil:
			return Solution{}, s.explain(proof)
		}
		sol, err := a.solution()
		if err != nil {
			return Solution{}, err
		}
		odd := a.unsupported(sol)
		if len(odd) == 0 {
			sol.Warnings = append(sol.Warnings, a.passedOver(sol)...)
			sol.Warnings = append(sol.Warnings, s.overridden(sol)...)
			return sol, nil
		}
		// What opened these packages to such versions is no part of the solution any
		// more. Look for one without; keep this as the last resort.
		for _, c := range odd {
			for _, why := range c.why {
				s.pol.bar(c.Name, why)
			}
			sol.Warnings = append(sol.Warnings, fmt.Sprintf("%s %s is a pre-release, was yanked or has no source distribution, and was taken because no other choice fits", c.Name, c.Version))
		}
		sol.Warnings = append(sol.Warnings, s.overridden(sol)...)
		fallback = &sol
	}
}

// oddChoice is a chosen version that the policy hides.
type oddChoice struct {
	Chosen
	why []kind
}

// unsupported are the chosen versions that the policy hides, judged by the
// requirements of the solution alone.
func (a *attempt) unsupported(sol Solution) []oddChoice {
	var odd []oddChoice
	specs := sol.specifiers(a.roots)
	for _, c := range sol.Packages {
		v := a.byName[c.Name]
		p := newPolicy(a.req)
		p.widen(v.list, v.usable, specs[c.Name], false)
		if why := p.hidden(v.list).kinds(v.decided); v.list.odd && len(why) > 0 {
			odd = append(odd, oddChoice{c, why})
		}
	}
	return odd
}

// passedOver tells of versions that would have been taken if they had a source distribution.
func (a *attempt) passedOver(sol Solution) []string {
	var texts []string
	specs := sol.specifiers(a.roots)
	for _, c := range sol.Packages {
		v := a.byName[c.Name]
		hides := a.pol.hidden(v.list)
		if hides.noSource.empty() {
			continue
		}
		match := v.usable
		for _, s := range specs[c.Name] {
			match = match.and(v.list.matching(s))
		}
		without := match.and(hides.noSource).minus(hides.pre).minus(hides.yanked).max()
		if without > v.decided && hides.from(match).max() == v.decided {
			texts = append(texts, fmt.Sprintf("%s %s has no source distribution; %s is taken", c.Name, v.list.cands[without-1].Version, c.Version))
		}
	}
	return texts
}
