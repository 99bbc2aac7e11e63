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
	barred   map[string]bool // packages never opened by other packages' requirements
}

func newPolicy(req *Request) *policy {
	return &policy{
		allPre: req.Pre, prefer: req.Prefer,
		pre: map[string]bool{}, yanked: map[string]map[string]bool{}, noSource: map[string]bool{}, barred: map[string]bool{},
	}
}

// hiding is what the policy leaves out of one package's versions, by reason.
type hiding struct{ pre, yanked, noSource set }

func (h hiding) has(i int) bool { return h.pre.has(i) || h.yanked.has(i) || h.noSource.has(i) }

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
// is what Python admits. It reports whether anything was let in.
//
// Pre-releases as pip: a specifier names one, or no final version matches.
// Yanked versions as PEP 592: pinned by == or ===, and nothing else matches.
// Versions without a source distribution: nothing else that may be taken matches.
func (p *policy) widen(vs *versions, usable set, specs []pep440.Specifiers) bool {
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
	widened := false
	pre := match.and(vs.pre)
	if !p.pre[vs.name] && !pre.empty() && (names || pre.equal(match)) {
		p.pre[vs.name], widened = true, true
	}
	if yanked := match.and(vs.yanked); pinned && !yanked.empty() && yanked.equal(match) {
		widened = p.openYanked(vs, yanked) || widened
	}
	h := p.hidden(vs)
	rest := match.minus(h.pre).minus(h.yanked)
	if !p.noSource[vs.name] && !rest.empty() && rest.subsetOf(vs.noSource) {
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

// bar undoes what was let in of a package, for good.
func (p *policy) bar(name string) {
	delete(p.pre, name)
	delete(p.yanked, name)
	delete(p.noSource, name)
	p.barred[name] = true
}

// pins tells whether s names one exact version.
func pins(s pep440.Specifiers) bool {
	return slices.ContainsFunc(s.Clauses(), func(c pep440.Clause) bool {
		return c.Op == "===" || c.Op == "==" && !strings.HasSuffix(c.Version, ".*")
	})
}
