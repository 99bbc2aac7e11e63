package solve

import (
	"slices"
	"strings"

	"reqpm/internal/pep440"
)

// policy holds which versions that are left out at first were let in: pre-releases
// of packages, pinned yanked versions, and versions without source where there is
// nothing else. It grows while solving; an attempt that finds it too narrow is begun
// anew with the wider one.
type policy struct {
	allPre   bool                      // --pre
	prefer   map[string]pep440.Version // let in by name and version: an earlier lock had it
	pre      map[string]bool
	yanked   map[string]map[string]bool // package, version
	noSource map[string]bool
	barred   map[barKey]bar
}

// barKey is one reason for hiding versions, of one package.
type barKey struct {
	name string
	kind kind // kindPre, kindYanked or kindNoSource
}

// bar is who may not let such versions in any more. It only rises, so that a solver which bars
// what it found wanting ends.
type bar int

const (
	barOthers bar = iota + 1 // requirements of other packages
	barAll                   // and the user's own lines
)

func newPolicy(req *Request) *policy {
	return &policy{
		allPre: req.Pre, prefer: req.Prefer,
		pre: map[string]bool{}, yanked: map[string]map[string]bool{}, noSource: map[string]bool{}, barred: map[barKey]bar{},
	}
}

// hiding is what the policy leaves out of one package's versions, by reason.
type hiding struct{ pre, yanked, noSource set }

// kinds are the reasons for which i is left out.
func (h hiding) kinds(i int) (kinds []kind) {
	for _, r := range []struct {
		kind kind
		set  set
	}{{kindPre, h.pre}, {kindYanked, h.yanked}, {kindNoSource, h.noSource}} {
		if r.set.has(i) {
			kinds = append(kinds, r.kind)
		}
	}
	return kinds
}

func (h hiding) from(s set) set { return s.minus(h.pre).minus(h.yanked).minus(h.noSource) }

// hidden returns what of vs is still left out.
func (p *policy) hidden(vs *versions) hiding {
	h := hiding{vs.pre, vs.yanked, vs.noSource}
	if !vs.odd {
		return h
	}
	if p.allPre || p.pre[vs.name] {
		h.pre = newSet(vs.size)
	}
	if p.noSource[vs.name] {
		h.noSource = newSet(vs.size)
	}
	if open := p.yanked[vs.name]; len(open) > 0 {
		h.yanked = h.yanked.clone()
		for i, c := range vs.cands {
			if open[c.Version.String()] {
				h.yanked.remove(i + 1)
			}
		}
	}
	if want, ok := p.prefer[vs.name]; ok {
		if i := vs.like(want); i > 0 {
			h.pre, h.yanked = without(h.pre, i), without(h.yanked, i)
		}
	}
	return h
}

// without is s less one value; s itself stays as it is.
func without(s set, value int) set {
	if s.has(value) {
		s = s.clone()
		s.remove(value)
	}
	return s
}

// widen lets in what specs, all of which hold together on vs, call for; usable
// is what Python admits. It reports whether anything was let in. own: the user himself
// says all of specs, which opens what is barred for others.
//
// Pre-releases as pip: a specifier names one, or no final version matches.
// Yanked versions as PEP 592: pinned by == or ===, and nothing else matches.
// Versions without a source distribution: nothing else that may be taken matches.
func (p *policy) widen(vs *versions, usable set, specs []pep440.Specifiers, own bool) bool {
	if !vs.odd {
		return false
	}
	match := usable
	names, pinned := false, false
	for _, s := range specs {
		match = match.and(vs.matching(s))
		names = names || s.NamesPrerelease()
		pinned = pinned || pins(s)
	}
	may := func(k kind) bool {
		b := p.barred[barKey{vs.name, k}]
		return b == 0 || own && b == barOthers
	}
	widened := false
	pre := match.and(vs.pre)
	if may(kindPre) && !p.pre[vs.name] && !pre.empty() && (names || pre.equal(match)) {
		p.pre[vs.name], widened = true, true
	}
	if yanked := match.and(vs.yanked); pinned && may(kindYanked) && !yanked.empty() && yanked.equal(match) {
		widened = p.openYanked(vs, yanked) || widened
	}
	h := p.hidden(vs)
	rest := match.minus(h.pre).minus(h.yanked)
	if may(kindNoSource) && !p.noSource[vs.name] && !rest.empty() && rest.subsetOf(vs.noSource) {
		p.noSource[vs.name], widened = true, true
	}
	return widened
}

func (p *policy) openYanked(vs *versions, which set) (opened bool) {
	open := p.yanked[vs.name]
	if open == nil {
		open = map[string]bool{}
		p.yanked[vs.name] = open
	}
	for i := which.next(1); i > 0; i = which.next(i + 1) {
		if v := vs.cands[i-1].Version.String(); !open[v] {
			open[v], opened = true, true
		}
	}
	return opened
}

// bar undoes what was let in of a package for one reason, and has fewer let it in again: not
// other packages at first, nobody when the user's own lines opened it to no better end.
func (p *policy) bar(name string, why kind) {
	switch why {
	case kindPre:
		delete(p.pre, name)
	case kindYanked:
		delete(p.yanked, name)
	case kindNoSource:
		delete(p.noSource, name)
	}
	p.barred[barKey{name, why}]++
}

// pins tells whether s names one exact version.
func pins(s pep440.Specifiers) bool {
	return slices.ContainsFunc(s.Clauses(), func(c pep440.Clause) bool {
		return c.Op == "===" || c.Op == "==" && !strings.HasSuffix(c.Version, ".*")
	})
}
