package solve

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"reqpm/internal/pep440"
)

// maxCandidates bounds what one package may bring; real ones stay below 5,000.
const maxCandidates = 100_000

// versions is what is known of one package before anything is decided: its
// candidates, oldest first. It is shared by all attempts of one Solve.
type versions struct {
	name     string
	found    bool
	cands    []Candidate
	size     int // of sets: one more than candidates
	pre      set
	yanked   set
	noSource set
	odd      bool // some candidate is in one of the three

	mu     sync.Mutex
	bySpec map[string]set
}

func newVersions(name string, found bool, cands []Candidate) (*versions, error) {
	if len(cands) > maxCandidates {
		return nil, fmt.Errorf("%s has %d versions, more than the %d allowed", name, len(cands), maxCandidates)
	}
	sorted := slices.Clone(cands)
	sort.SliceStable(sorted, func(i, j int) bool { return candidateLess(sorted[i], sorted[j]) })
	sorted = slices.CompactFunc(sorted, func(a, b Candidate) bool { return a.Version.String() == b.Version.String() })
	v := &versions{name: name, found: found, cands: sorted, size: len(sorted) + 1, bySpec: map[string]set{}}
	v.pre, v.yanked, v.noSource = newSet(v.size), newSet(v.size), newSet(v.size)
	for i, c := range sorted {
		if c.Version.IsPrerelease() {
			v.pre.add(i + 1)
		}
		if c.Yanked {
			v.yanked.add(i + 1)
		}
		if c.NoSource {
			v.noSource.add(i + 1)
		}
		v.odd = v.odd || c.Version.IsPrerelease() || c.Yanked || c.NoSource
	}
	return v, nil
}

// candidateLess orders by version; the rest only makes the order of equal
// versions independent of the order the source gave them in. A version listed
// twice counts as yanked, or as one without source, only when both entries are.
func candidateLess(a, b Candidate) bool {
	if c := a.Version.Compare(b.Version); c != 0 {
		return c < 0
	}
	if c := strings.Compare(a.Version.String(), b.Version.String()); c != 0 {
		return c < 0
	}
	if a.Yanked != b.Yanked {
		return b.Yanked
	}
	if a.NoSource != b.NoSource {
		return b.NoSource
	}
	return a.RequiresPython < b.RequiresPython
}

// index is the value of the candidate equal to w, 0 when there is none.
func (v *versions) index(w pep440.Version) int {
	i := sort.Search(len(v.cands), func(i int) bool { return v.cands[i].Version.Compare(w) >= 0 })
	for ; i < len(v.cands) && v.cands[i].Version.Compare(w) == 0; i++ {
		if v.cands[i].Version.String() == w.String() {
			return i + 1
		}
	}
	return 0
}

// like is index, or else the value of a candidate that PEP 440 takes for the same version: who
// prefers 1.2 means 1.2.0, too.
func (v *versions) like(w pep440.Version) int {
	if i := v.index(w); i > 0 {
		return i
	}
	i := sort.Search(len(v.cands), func(i int) bool { return v.cands[i].Version.Compare(w) >= 0 })
	if i < len(v.cands) && v.cands[i].Version.Compare(w) == 0 {
		return i + 1
	}
	return 0
}

// all is the set of all candidates, without "not chosen".
func (v *versions) all() set {
	s := newSet(v.size)
	s.fill(1, v.size)
	return s
}

// matching is the set of candidates spec holds for, pre-releases judged like
// any other. The caller must not change it.
func (v *versions) matching(spec pep440.Specifiers) set {
	key := spec.String()
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.bySpec[key]; ok {
		return s
	}
	s := v.all()
	for _, c := range spec.Clauses() {
		s = s.and(v.matchingClause(c))
	}
	v.bySpec[key] = s
	return s
}

// matchingClause uses that every operator but === selects a run of neighbours in
// version order (or, for !=, all but a run), so that two binary searches do
// instead of one comparison per version: packages with thousands of versions
// whose dependents name a different range each are common.
func (v *versions) matchingClause(c pep440.Clause) set {
	one, err := pep440.ParseSpecifiers(c.Op + c.Version)
	if err != nil { // cannot be: it was parsed before
		return newSet(v.size)
	}
	holds := func(i int) bool { return one.Contains(v.cands[i].Version) }
	n := len(v.cands)
	s := newSet(v.size)
	switch c.Op {
	case ">=":
		s.fill(1+sort.Search(n, holds), v.size)
		return s
	case "<=":
		s.fill(1, 1+sort.Search(n, func(i int) bool { return !holds(i) }))
		return s
	case ">", "<":
		// "<1.0.post1" leaves out 1.0rc1 and takes 1.0; ">1.0rc1" is alike. Only
		// a plain release splits the order in two.
		if !isPlain(c.Version) {
			break
		}
		up := c.Op == ">"
		at := sort.Search(n, func(i int) bool { return holds(i) == up })
		if up {
			s.fill(1+at, v.size)
		} else {
			s.fill(1, 1+at)
		}
		return s
	case "==", "~=":
		if lo, ok := v.lowest(c); ok {
			hi := lo + sort.Search(n-lo, func(i int) bool { return !holds(lo + i) })
			s.fill(1+lo, 1+hi)
			return s
		}
	case "!=":
		if lo, ok := v.lowest(c); ok {
			hi := lo + sort.Search(n-lo, func(i int) bool { return holds(lo + i) })
			return v.all().minus(runSet(v.size, lo, hi))
		}
	}
	for i := range v.cands {
		if holds(i) {
			s.add(i + 1)
		}
	}
	return s
}

func isPlain(text string) bool {
	v, err := pep440.Parse(text)
	if err != nil {
		return false
	}
	p := v.Parts()
	return p.PreKind == "" && !p.HasPost && !p.HasDev
}

func runSet(size, lo, hi int) set {
	s := newSet(size)
	s.fill(1+lo, 1+hi)
	return s
}

// lowest is the index of the first candidate that a ==, != or ~= clause can
// concern: the first one not below the version it names.
func (v *versions) lowest(c pep440.Clause) (int, bool) {
	text := c.Version
	if prefix, ok := strings.CutSuffix(text, ".*"); ok {
		text = prefix + ".dev0" // the lowest version with this prefix
	}
	low, err := pep440.Parse(text)
	if err != nil {
		return 0, false
	}
	return sort.Search(len(v.cands), func(i int) bool { return v.cands[i].Version.Compare(low) >= 0 }), true
}
