package solve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sort"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// These bound the work of one Solve, some ten seconds. Hard real inputs need some hundreds
// of conflicts; chains through thousands of releases one or two a release, which
// are quickly done with. Those that teach something complicated are not.
const (
	maxConflicts = 100_000
	maxHard      = 20_000
)

// errRestart: the policy was widened, the attempt rests on the narrow one.
var errRestart = errors.New("begin anew")

// attempt is one run of PubGrub under one policy.
type attempt struct {
	ctx    context.Context
	f      *fetcher
	py     *pythonCheck
	env    pep508.Environment
	req    *Request
	roots  []Root // those whose marker holds
	pol    *policy
	mode   mode
	limit  int             // conflicts before giving up
	pinned map[string]bool // by a line of the user

	trail
	vars      []*variable
	byName    map[string]*variable
	queue     []*variable
	merged    map[mergeKey]*incompat
	conflicts int
	hard      int         // conflicts that taught something with many terms
	learned   []*incompat // of what these taught the newest, oldest first
}

// mode changes an attempt for questions asked after a conflict.
type mode struct {
	pre        bool                      // every pre-release is let in
	yanked     bool                      // every yanked version is let in
	noSource   bool                      // every version without source is let in
	known      bool                      // use only what has been fetched: what is not known is no obstacle
	allAtOnce  bool                      // say everything known of a package when it is met, for short proofs
	preferring map[string]pep440.Version // tried first
}

type mergeKey struct {
	from, extra, to *variable
	spec            string
}

// run returns nil when everything is decided, the incompatibility without terms
// when there is no solution, or an error.
func (a *attempt) run() (*incompat, error) {
	a.byName, a.merged = map[string]*variable{}, map[mergeKey]*incompat{}
	if proof, err := a.addRoots(); proof != nil || err != nil {
		return proof, err
	}
	for {
		if proof, err := a.propagate(); proof != nil || err != nil {
			return proof, err
		}
		v := a.choose()
		if v == nil {
			return nil, nil
		}
		if err := a.decide(v); err != nil {
			return nil, err
		}
	}
}

// variable returns the variable of a package, made known when it is new. nil
// without error: the package is not known, in mode.known.
func (a *attempt) variable(name string, depth int, spec pep440.Specifiers) (*variable, error) {
	if v := a.byName[name]; v != nil {
		return v, a.widen(v, spec)
	}
	vs, err := a.f.versions(a.ctx, name)
	if err != nil {
		if a.mode.known && errors.Is(err, errUnknown) {
			return nil, nil
		}
		return nil, err
	}
	v := &variable{name: name, list: vs, size: vs.size, depth: depth, extras: map[string]*variable{}}
	v.base = v
	a.enlist(v)
	a.byName[name] = v
	a.addFacts(v, spec)
	if a.mode.allAtOnce {
		return v, a.sayAll(v)
	}
	return v, nil
}

func (a *attempt) enlist(v *variable) {
	v.id = len(a.vars)
	v.full = fullSet(v.size)
	v.said = newSet(v.base.size) // an extra has one value, but says something for each version of its base
	v.cur = v.full
	a.vars = append(a.vars, v)
}

// extraOf returns the variable of v[extra].
func (a *attempt) extraOf(v *variable, extra string) (*variable, error) {
	if e := v.extras[extra]; e != nil {
		return e, nil
	}
	e := &variable{name: v.name, extra: extra, base: v, size: 2, depth: v.depth}
	a.enlist(e)
	v.extras[extra] = e
	if a.mode.allAtOnce {
		return e, a.sayAll(e)
	}
	return e, nil
}

// addFacts narrows a new package by what holds whatever is decided.
func (a *attempt) addFacts(v *variable, spec pep440.Specifiers) {
	vs := v.list
	wrong := newSet(v.size)
	for i, c := range vs.cands {
		if !a.py.allows(c.RequiresPython) {
			wrong.add(i + 1)
		}
	}
	v.usable = vs.all().minus(wrong)
	for _, r := range a.roots {
		if r.Req.Key() == v.name {
			v.specs = append(v.specs, r.Req.Specifiers)
		}
	}
	a.pol.widen(vs, v.usable, v.specs, true)
	if !a.mode.known {
		a.pol.widen(vs, v.usable, append(v.specs[:len(v.specs):len(v.specs)], spec), false)
	}
	a.fact(kindPython, v, wrong, nil)
	hides := a.pol.hidden(vs)
	for _, f := range []struct {
		kind    kind
		hidden  set
		allowed bool
	}{
		{kindPre, hides.pre, a.mode.pre},
		{kindYanked, hides.yanked, a.mode.yanked},
		{kindNoSource, hides.noSource, a.mode.noSource},
	} {
		if !f.allowed {
			a.fact(f.kind, v, f.hidden, nil)
		}
	}
	for i := range a.roots {
		r := &a.roots[i]
		if r.Constraint && r.Req.Key() == v.name {
			a.fact(kindConstraint, v, vs.all().minus(vs.matching(r.Req.Specifiers)), r)
		}
	}
}

func (a *attempt) fact(k kind, v *variable, excluded set, r *Root) {
	if excluded.empty() {
		return
	}
	c := &incompat{kind: k, to: v, dead: -1, terms: []term{{v, excluded}}}
	if r != nil {
		c.origin, c.req, c.by = &r.Origin, r.Req, r.by
	}
	if !excluded.disjoint(v.cur) {
		a.trail.fact(v, excluded, c)
	}
}

// widen checks a further requirement on a known package against the policy.
func (a *attempt) widen(v *variable, spec pep440.Specifiers) error {
	if a.mode.known {
		return nil
	}
	if a.pol.widen(v.list, v.usable, append(v.specs[:len(v.specs):len(v.specs)], spec), false) {
		return errRestart
	}
	return nil
}

// addRoots states what the user asks for. Constraints wait until their package
// is asked for by somebody.
func (a *attempt) addRoots() (*incompat, error) {
	for _, r := range a.roots {
		if !r.Constraint {
			a.f.look(r.Req)
		}
	}
	var impossible *incompat // told when all lines are known: the Python may rule some out, too
	for i := range a.roots {
		r := &a.roots[i]
		if r.Constraint {
			continue
		}
		v, err := a.variable(r.Req.Key(), 0, r.Req.Specifiers)
		if v == nil || err != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		c := &incompat{kind: kindRoot, origin: &r.Origin, req: r.Req, by: r.by, to: v, dead: -1}
		c.with(v, v.full.minus(v.list.matching(r.Req.Specifiers)))
		if c.withoutTrivial(); len(c.terms) == 0 {
			impossible = cmp.Or(impossible, c)
			continue
		}
		a.add(c)
		for _, extra := range r.Req.Extras {
			e, err := a.extraOf(v, extra)
			if err != nil {
				return nil, err
			}
			ec := &incompat{kind: kindRoot, origin: &r.Origin, req: r.Req, by: r.by, to: e, dead: -1}
			ec.with(e, single(e.size, none))
			a.add(ec)
		}
	}
	return impossible, nil
}

// add makes c take part, and has its variables looked at.
func (a *attempt) add(c *incompat) {
	for _, t := range c.terms {
		t.v.about = append(t.v.about, c)
		a.changed(t.v)
	}
}

func (a *attempt) changed(v *variable) {
	if !v.queued {
		v.queued = true
		a.queue = append(a.queue, v)
	}
}

// choose picks the package to decide next, nil when nothing is open: whatever has
// one value left, then packages that clash often, then the user's own by name, then
// by distance from the user and number of versions left, and at last those that kept
// others from being taken (see blame). Names settle ties, so that
// the order of the input does not matter.
//
// The user's own go by name and not by number of versions, since who goes first gets
// the newest: people keep their lists sorted, and pip and uv go by the list. Of
// celery[redis] and redis it is redis that then steps back, by one release, and not
// celery by years.
func (a *attempt) choose() *variable {
	var best *variable
	var bestRank [4]int
	for _, v := range a.vars {
		if v.decided > 0 || !v.wanted() || v.extra != "" && v.base.decided == 0 {
			continue
		}
		rank := [4]int{0, 0, v.depth, v.cur.count()}
		if rank[3] > 1 {
			rank[0] = 1
			if v.depth == 0 {
				rank[3] = 0
			}
		}
		if v.conflicts >= 5 {
			rank[1] = -1
		}
		if v.late {
			rank[1] = 1
		}
		if best == nil || less(rank, bestRank, v, best) {
			best, bestRank = v, rank
		}
	}
	return best
}

func less(a, b [4]int, v, w *variable) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	if v.name != w.name {
		return v.name < w.name
	}
	return v.extra < w.extra
}

// decide picks a version of v, states what it requires, and takes it unless a
// requirement cannot hold: then propagation rules the version out.
func (a *attempt) decide(v *variable) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	value := a.preferred(v)
	a.lookFurther(v, value)
	a.lookBeside(v, value)
	var said []*incompat
	var err error
	if v.extra == "" {
		said, err = a.say(v, value, nil)
	} else {
		said, err = a.say(v.base, v.base.decided, v)
	}
	if err != nil {
		return fmt.Errorf("resolving %s: %w", v.label(), err)
	}
	a.changed(v)
	for _, c := range said {
		if a.clashes(c, v) {
			if err := a.widenTogether(c, v); err != nil {
				return err
			}
			a.blame(c, v)
			return nil
		}
	}
	a.trail.decide(v, value)
	return nil
}

// preferred is the value that v takes when it is decided now.
func (a *attempt) preferred(v *variable) int {
	if v.extra != "" {
		return v.cur.max()
	}
	if anchor, ok := a.req.near[v.name]; ok {
		return v.nearest(anchor)
	}
	if want, ok := a.mode.preferring[v.name]; ok {
		if i := v.list.like(want); i > 0 && v.cur.has(i) {
			return i
		}
	}
	return v.cur.max()
}

// maxBlocked is how many versions of one package another may rule out before it has to wait.
const maxBlocked = 5

// blame counts whose chosen version keeps v from being taken. Whoever rules out version after
// version gives way: its choice is taken back, and it is decided after all others. Otherwise one
// new release that nothing admits yet (python-dateutil 3 beside botocore) would have a package with
// thousands of versions stepped back to its first years, one question to the index each.
func (a *attempt) blame(c *incompat, v *variable) {
	if a.mode.known {
		return
	}
	for _, t := range c.terms {
		d := t.v
		if d.base == v.base || d.decided == 0 || d.late || !d.hadChoice() {
			continue
		}
		if v.blocked == nil {
			v.blocked = map[*variable]int{}
		}
		if v.blocked[d]++; v.blocked[d] < maxBlocked {
			continue
		}
		d.late = true
		a.backTo(d.at.level - 1)
		for _, w := range a.vars { // what was concluded above and holds here as well is found again
			a.changed(w)
		}
		return
	}
}

// lookFurther fetches versions ahead in a row when a package is stepped back again and again:
// one at a time, each costs a round trip to the index. The row doubles, so that no more is
// fetched in vain than was of use.
func (a *attempt) lookFurther(v *variable, value int) {
	if v.extra != "" || a.mode.known || v.said.has(value) {
		return
	}
	v.tries++
	if v.tries < 4 || v.tries < v.fetched {
		return
	}
	row := min(v.tries, maxRow)
	v.fetched = v.tries + row
	for i := value - 1; i > 0 && row > 0; i-- {
		if v.cur.has(i) {
			a.f.lookAt(v.name, v.list.cands[i-1].Version)
			row--
		}
	}
}

// maxBeside is how many costly questions are asked beside the one that the solver waits for.
const maxBeside = 3

// lookBeside has other costly questions answered while the solver waits for one: those about what
// would be decided next of the packages wanted now. Without a wait they would be guesses too dear
// to make; one after the other they are what resolving a set with sources takes longest for.
func (a *attempt) lookBeside(v *variable, value int) {
	if v.extra != "" || a.mode.known || !a.f.dear(v.name, v.list.cands[value-1].Version) {
		return
	}
	left := maxBeside
	for _, w := range a.vars {
		if left == 0 {
			return
		}
		if w == v || w.extra != "" || w.decided > 0 || !w.wanted() {
			continue
		}
		if next := w.list.cands[a.preferred(w)-1].Version; a.f.dear(w.name, next) {
			a.f.ask(w.name, next)
			left--
		}
	}
}

// nearest is the value still possible whose version is fewest versions away from w, the newer of
// two, final versions before pre-releases.
func (v *variable) nearest(w pep440.Version) int {
	at := 1 + sort.Search(len(v.list.cands), func(i int) bool { return v.list.cands[i].Version.Compare(w) >= 0 })
	choice := v.cur
	if finals := withoutNone(v.cur.minus(v.list.pre)); !finals.empty() {
		choice = finals
	}
	best := -1
	for i := choice.next(1); i > 0; i = choice.next(i + 1) {
		if best < 0 || abs(i-at) <= abs(best-at) {
			best = i
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// clashes: deciding v would break c.
func (a *attempt) clashes(c *incompat, v *variable) bool {
	for _, t := range c.terms {
		if t.v != v && !t.v.cur.subsetOf(t.set) {
			return false
		}
	}
	return true
}
