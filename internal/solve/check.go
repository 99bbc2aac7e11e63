package solve

import (
	"context"
	"fmt"
	"slices"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// Check tests a solution against the request by reading every requirement again,
// without any of the solver's own conclusions: every root and every requirement
// that holds is met, constraints are kept, Python is admitted, nothing is in the
// solution that nobody asks for, and every edge is one.
func Check(ctx context.Context, sol Solution, req Request, src Source) error {
	c := checker{ctx: ctx, src: src, req: req, chosen: map[string]Chosen{}, asked: map[string]bool{}}
	for _, p := range sol.Packages {
		if _, twice := c.chosen[p.Name]; twice {
			return fmt.Errorf("%s is chosen twice", p.Name)
		}
		c.chosen[p.Name] = p
	}
	for _, r := range req.Roots {
		if !r.Req.Marker.Eval(req.Env, "") {
			continue
		}
		if err := c.root(r); err != nil {
			return fmt.Errorf("%s: %w", r.Origin, err)
		}
	}
	if err := c.overridesKept(); err != nil {
		return err
	}
	for _, p := range sol.Packages {
		if err := c.chosenVersion(p); err != nil {
			return err
		}
	}
	return c.reached(sol)
}

type checker struct {
	ctx    context.Context
	src    Source
	req    Request
	chosen map[string]Chosen
	asked  map[string]bool
}

func (c *checker) root(r Root) error {
	if !r.Constraint {
		return c.asWritten(r.Req)
	}
	p, ok := c.chosen[r.Req.Key()]
	if there, _ := c.override(r.Req.Key()); there {
		return nil
	}
	if ok && r.Req.URL == "" && !r.Req.Specifiers.Contains(p.Version) {
		return fmt.Errorf("constraint %s is not kept by %s", r.Req, p.Version)
	}
	return nil
}

// override tells whether a name is overridden, and whether it is asked for all the same.
func (c *checker) override(name string) (there, wanted bool) {
	for _, o := range c.req.Overrides {
		if o.Req.Key() == name {
			there = true
			wanted = wanted || o.Req.Marker.Eval(c.req.Env, "")
		}
	}
	return there, wanted
}

// overridesKept holds every chosen version against the overrides of its name.
func (c *checker) overridesKept() error {
	for _, o := range c.req.Overrides {
		p, ok := c.chosen[o.Req.Key()]
		if ok && o.Req.Marker.Eval(c.req.Env, "") && o.Req.URL == "" && !o.Req.Specifiers.Contains(p.Version) {
			return fmt.Errorf("override %s is not kept by %s", o.Req, p.Version)
		}
	}
	return nil
}

// asWritten is met for a requirement as its requirer says it: where an override counts in its
// place, only its name and extras matter.
func (c *checker) asWritten(r pep508.Requirement) error {
	if there, wanted := c.override(r.Key()); there {
		if !wanted {
			return nil
		}
		r.Specifiers, r.URL = pep440.Specifiers{}, ""
	}
	return c.met(r)
}

func (c *checker) met(r pep508.Requirement) error {
	p, ok := c.chosen[r.Key()]
	switch {
	case !ok:
		return fmt.Errorf("%s is not in the solution", r)
	case r.URL == "" && !r.Specifiers.Contains(p.Version):
		return fmt.Errorf("%s is not met by %s", r, p.Version)
	}
	for _, extra := range r.Extras {
		if !slices.Contains(p.Extras, extra) {
			return fmt.Errorf("extra of %s is not chosen", r)
		}
	}
	return nil
}

func (c *checker) chosenVersion(p Chosen) error {
	cands, err := c.src.Candidates(c.ctx, p.Name)
	if err != nil {
		return err
	}
	py := newPythonCheck(c.req.Env)
	if !slices.ContainsFunc(cands, func(k Candidate) bool {
		return k.Version.Compare(p.Version) == 0 && py.allows(k.RequiresPython)
	}) {
		return fmt.Errorf("%s %s is no candidate", p.Name, p.Version)
	}
	reqs, err := c.src.Requires(c.ctx, p.Name, p.Version)
	if err != nil && p.Unknown != nil && c.req.KeepUnknown {
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range reqs {
		if r.Marker.EvalAny(c.req.Env, p.Extras) {
			if err := c.asWritten(r); err != nil {
				return fmt.Errorf("%s %s: %w", p.Name, p.Version, err)
			}
		}
	}
	return nil
}

// reached follows the edges from the roots.
func (c *checker) reached(sol Solution) error {
	seen := map[string]bool{}
	for again := true; again; {
		again = false
		for _, e := range sol.Edges {
			if (e.From.Package == "" || seen[e.From.Package]) && !seen[e.To] {
				seen[e.To], again = true, true
			}
		}
	}
	for _, p := range sol.Packages {
		if !seen[p.Name] {
			return fmt.Errorf("nobody asks for %s", p.Name)
		}
	}
	for _, e := range sol.Edges {
		if err := c.met(e.Req); err != nil {
			return fmt.Errorf("edge of %s: %w", e.From, err)
		}
	}
	return nil
}
