package solve

import (
	"slices"
	"strings"

	"reqpm/internal/pep440"
)

// policy holds which versions that are left out at first were let in: pre-releases
// of packages and pinned yanked versions. It grows while solving; an attempt that
// finds it too narrow is begun anew with the wider one.
type policy struct {
	pre    map[string]bool
	yanked map[string]map[string]bool // package, version
	barred map[string]bool            // packages never opened by other packages' requirements
}

func newPolicy() *policy {
	return &policy{pre: map[string]bool{}, yanked: map[string]map[string]bool{}, barred: map[string]bool{}}
}

// hidden returns the pre-releases and yanked versions of vs still left out.
func (p *policy) hidden(vs *versions, all bool) (pre, yanked set) {
	pre, yanked = vs.pre, vs.yanked
	if all || p.pre[vs.name] {
		pre = newSet(vs.size)
	}
	if open := p.yanked[vs.name]; len(open) > 0 {
		yanked = yanked.clone()
		for i, c := range vs.cands {
			if open[c.Version.String()] {
				yanked.remove(i + 1)
			}
		}
	}
	return pre, yanked
}

// widen lets in what specs, all of which hold together on vs, call for; usable
// is what Python admits. It reports whether anything was let in.
//
// Pre-releases as pip: a specifier names one, or no final version matches.
// Yanked versions as PEP 592: pinned by == or ===, and nothing else matches.
func (p *policy) widen(vs *versions, usable set, specs []pep440.Specifiers) bool {
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
	yanked := match.and(vs.yanked)
	if pinned && !yanked.empty() && yanked.equal(match) {
		open := p.yanked[vs.name]
		if open == nil {
			open = map[string]bool{}
			p.yanked[vs.name] = open
		}
		for i := yanked.next(1); i > 0; i = yanked.next(i + 1) {
			if v := vs.cands[i-1].Version.String(); !open[v] {
				open[v], widened = true, true
			}
		}
	}
	return widened
}

// pins tells whether s names one exact version.
func pins(s pep440.Specifiers) bool {
	return slices.ContainsFunc(s.Clauses(), func(c pep440.Clause) bool {
		return c.Op == "===" || c.Op == "==" && !strings.HasSuffix(c.Version, ".*")
	})
}
