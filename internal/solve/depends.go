package solve

import (
	"context"
	"errors"

	"reqpm/internal/pep440"
)

// say states what one version of a package requires: by itself, or (e given) what
// its extra e adds. It returns the incompatibilities that are new or have grown.
func (a *attempt) say(v *variable, value int, e *variable) ([]*incompat, error) {
	who := v
	if e != nil {
		who = e
	}
	if who.said.has(value) {
		return nil, nil
	}
	who.said.add(value)
	reqs, err := a.f.requires(a.ctx, v.name, v.list.cands[value-1].Version)
	if err != nil {
		return a.withoutMetadata(v, value, err)
	}
	active := a.req.active(reqs, a.env, who.extra)
	for _, r := range active {
		a.f.look(r.Requirement)
	}
	var said []*incompat
	for _, r := range active {
		new, err := a.sayOne(v, value, e, r)
		if err != nil {
			return nil, err
		}
		said = append(said, new...)
	}
	return said, nil
}

// withoutMetadata rules a version out whose requirements could not be had, unless the
// user pins it and that is put up with.
func (a *attempt) withoutMetadata(v *variable, value int, err error) ([]*incompat, error) {
	switch {
	case a.mode.known && errors.Is(err, errUnknown):
		return nil, nil
	case a.ctx.Err() != nil:
		return nil, a.ctx.Err()
	case endsSolving(err):
		return nil, err
	case a.putsUpWith(v, err):
		return nil, nil
	}
	c := &incompat{kind: kindMetadata, to: v, err: err, dead: -1}
	c.with(v, single(v.size, value))
	a.add(c)
	return []*incompat{c}, nil
}

// endsSolving: err is no trait of one version.
func endsSolving(err error) bool {
	return errors.Is(err, ErrFatal) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// putsUpWith: that the requirements of v's version cannot be had (err) does not rule it
// out, since the user pins it.
func (a *attempt) putsUpWith(v *variable, err error) bool {
	return a.req.KeepUnknown && a.pinned[v.name] && !endsSolving(err) && !errors.Is(err, errUnknown)
}

// sayOne states one requirement r of a version (and extra e) of v.
func (a *attempt) sayOne(v *variable, value int, e *variable, r counting) ([]*incompat, error) {
	to, err := a.variable(r.Key(), v.depth+1, r.Specifiers)
	if err != nil || to == nil {
		return nil, err
	}
	var said []*incompat
	if c := a.depends(v, value, e, to, to.list.matching(r.Specifiers), r); c != nil {
		said = append(said, c)
	}
	for _, extra := range r.Extras {
		x, err := a.extraOf(to, extra)
		if err != nil {
			return nil, err
		}
		if c := a.depends(v, value, e, x, single(2, 1), r); c != nil {
			said = append(said, c)
		}
	}
	return said, nil
}

// depends states that v at value (with e) needs to within allowed. Versions with
// the same requirement share one statement.
func (a *attempt) depends(v *variable, value int, e, to *variable, allowed set, r counting) *incompat {
	key := mergeKey{v, e, to, r.Specifiers.String()}
	if c := a.merged[key]; c != nil && c.dead != 0 && to != v {
		a.grow(c, v, value)
		return c
	}
	c := &incompat{kind: kindDepends, from: v, extra: e, to: to, req: r.Requirement, by: r.by, dead: -1}
	possible := c.with(v, single(v.size, value))
	if e != nil {
		possible = c.with(e, single(2, 1)) && possible
	}
	possible = c.with(to, to.full.minus(allowed)) && possible
	if !possible { // a version that requires itself
		return nil
	}
	c.withoutTrivial()
	if to != v {
		a.merged[key] = c
	}
	a.add(c)
	return c
}

// grow lets statement c hold for a further version. Conclusions drawn from c
// stay right: what held for fewer versions was a part of what c says now.
func (a *attempt) grow(c *incompat, v *variable, value int) {
	s, ok := c.term(v)
	if !ok || s.has(value) {
		return
	}
	s = s.clone()
	s.add(value)
	for i, t := range c.terms {
		if t.v == v {
			c.terms[i].set = s
		}
	}
	c.dead = -1
	for _, t := range c.terms {
		a.changed(t.v)
	}
}

// sayAll states what all fetched versions of a package, or of its extra, require.
func (a *attempt) sayAll(v *variable) error {
	for i, c := range v.base.list.cands {
		if !v.base.cur.has(i+1) || !a.f.knows(v.name, c.Version) {
			continue
		}
		var e *variable
		if v.extra != "" {
			e = v
		}
		if _, err := a.say(v.base, i+1, e); err != nil {
			return err
		}
	}
	return nil
}

// widenTogether asks, when deciding v would break c, whether all requirements on
// that package together leave only pre-releases or yanked versions: then those
// are let in, as pip does.
func (a *attempt) widenTogether(c *incompat, v *variable) error {
	if a.mode.known || c.kind != kindDepends || c.to.list == nil || !c.to.list.odd {
		return nil
	}
	specs := append(c.to.specs[:len(c.to.specs):len(c.to.specs)], c.req.Specifiers)
	for _, d := range a.vars {
		if d.decided == 0 && d != v.base {
			continue
		}
		for _, r := range a.decidedRequirements(d, v) {
			if r.Key() == c.to.name {
				specs = append(specs, r.Specifiers)
			}
		}
	}
	if a.pol.widen(c.to.list, c.to.usable, specs, false) {
		return errRestart
	}
	return nil
}

// decidedRequirements are what the decided version of d requires; d may be the
// one being decided (about), whose statement is at hand already.
func (a *attempt) decidedRequirements(d, about *variable) []counting {
	if d.decided == 0 || d == about || !a.f.knows(d.name, d.base.version()) {
		return nil
	}
	reqs, err := a.f.requires(a.ctx, d.name, d.base.version())
	if err != nil {
		return nil
	}
	return a.req.active(reqs, a.env, d.extra)
}

// version is the decided version of a package.
func (v *variable) version() pep440.Version { return v.list.cands[v.decided-1].Version }
