package solve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/pep508"
)

const (
	maxCoreRoots = 40  // more requirements in a proof are not narrowed down
	maxOrigins   = 50  // of a Conflict
	maxSteps     = 14  // shown of a derivation
	maxWhatIf    = 500 // conflicts one question after a failure may cost
)

// explain turns a proof into a Conflict. It asks the Source nothing more: first it
// looks for the fewest requirements of the user that already clash by what is
// known, then it proves that clash again as directly as can be, and words the proof.
func (s *solver) explain(proof *incompat) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	s.f.freeze()
	n := newNarrative(s.f.py)
	core, leaves, headline := s.pythonFirst(n)
	about := core // what another Python must admit
	if core == nil {
		core = s.core(proof)
		if short := s.ask(core, mode{known: true, allAtOnce: true}, nil); short != nil {
			proof = short
		}
		leaves = leavesOf(proof)
		n.tell(proof)
		headline = s.headline(core, leaves)
	}
	c := &Conflict{Origins: origins(leaves)}

	var b strings.Builder
	b.WriteString(headline)
	b.WriteString("\n")
	b.WriteString(n.text())
	c.proof = b.String()
	c.restsOn(core, leaves)
	for _, hint := range s.hints(leaves, about, c) {
		b.WriteString("\nHint: " + hint)
	}
	c.Message = b.String()
	return c
}

// ask solves with other roots by what is known; nil when there may be a solution.
// change may alter the attempt before it runs.
func (s *solver) ask(roots []Root, m mode, change func(*attempt)) *incompat {
	a := s.attempt(m)
	a.roots, a.limit = roots, maxWhatIf
	if change != nil {
		change(a)
	}
	proof, err := a.run()
	if err != nil {
		return nil
	}
	return proof
}

// core returns the fewest roots found that clash without the others. What a proof
// rests on is a good beginning; each root of it that turns out not to be needed is
// then left out.
func (s *solver) core(proof *incompat) []Root {
	core := used(s.roots, leavesOf(proof))
	if len(core) > maxCoreRoots || s.ask(core, mode{known: true}, nil) == nil {
		return core
	}
	for i := len(core) - 1; i >= 0 && len(core) > 1; i-- {
		fewer := slices.Delete(slices.Clone(core), i, i+1)
		if s.ask(fewer, mode{known: true}, nil) != nil {
			core = fewer
		}
	}
	return core
}

// used are the roots among the facts of a proof that was made from them.
func used(roots []Root, leaves []*incompat) []Root {
	from := map[*Origin]bool{}
	for _, l := range leaves {
		if l.origin != nil {
			from[l.origin] = true
		}
	}
	var list []Root
	for i := range roots {
		if from[&roots[i].Origin] {
			list = append(list, roots[i])
		}
	}
	return list
}

// leavesOf are the facts a proof rests on, each once, in the order first used.
func leavesOf(proof *incompat) []*incompat {
	var leaves []*incompat
	seen := map[*incompat]bool{}
	todo := []*incompat{proof}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[c] {
			continue
		}
		seen[c] = true
		if c.kind != kindLearned {
			leaves = append(leaves, c)
			continue
		}
		for _, cause := range c.causes {
			todo = append(todo, cause.c)
		}
	}
	return leaves
}

// origins of the leaves, the user's own first.
func origins(leaves []*incompat) []Origin {
	var own, others []Origin
	at := map[[3]*variable]Origin{}
	newest := map[[3]*variable]int{} // one origin for all versions that need the same package
	for _, l := range leaves {
		if l.by != nil {
			own = append(own, l.by.Origin)
		}
		switch {
		case l.origin != nil:
			own = append(own, *l.origin)
		case l.kind == kindDepends:
			set, ok := l.term(l.from)
			key := [3]*variable{l.from, l.extra, l.to.base}
			if !ok || set.max() <= newest[key] {
				continue
			}
			newest[key] = set.max()
			o := Origin{Package: l.from.name, Version: l.from.list.cands[set.max()-1].Version.String(), Text: l.req.String()}
			others = slices.DeleteFunc(others, func(p Origin) bool { return p == at[key] })
			others, at[key] = append(others, o), o
		}
	}
	order := func(a, b Origin) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line,
			strings.Compare(a.Package, b.Package), strings.Compare(a.Version, b.Version), strings.Compare(a.Text, b.Text))
	}
	slices.SortStableFunc(own, order)
	slices.SortStableFunc(others, order)
	all := slices.Concat(slices.Compact(own), slices.Compact(others))
	return all[:min(len(all), maxOrigins)]
}

// naming says whose requirements are meant: lines in order of the files, constraints last.
func naming(core []Root) []string {
	core = slices.Clone(core)
	slices.SortStableFunc(core, func(a, b Root) int {
		if a.Constraint != b.Constraint {
			return map[bool]int{false: -1, true: 1}[a.Constraint]
		}
		return cmp.Or(strings.Compare(a.Origin.File, b.Origin.File), a.Origin.Line-b.Origin.Line)
	})
	var who []string
	for _, r := range core {
		who = append(who, fmt.Sprintf("%s (%s)", r.Origin, wanted(r.Req, r.by)))
	}
	if len(who) > 4 {
		who = append(who[:4], fmt.Sprintf("%d more requirements", len(who)-4))
	}
	return who
}

// headline names who cannot be satisfied together.
func (s *solver) headline(core []Root, leaves []*incompat) string {
	who := naming(core)
	switch len(who) {
	case 0:
		return "The requirements cannot hold together:"
	case 1:
		for _, l := range leaves {
			if l.kind == kindPython {
				return fmt.Sprintf("%s cannot be satisfied with Python %s:", who[0], s.f.py.python)
			}
		}
		return who[0] + " cannot be satisfied:"
	}
	return list(who) + " cannot hold together:"
}

// wanted is a requirement as people read it, without its marker; by is the override it is.
func wanted(r pep508.Requirement, by *Root) string {
	if by != nil {
		return wanted(r, nil) + ", as " + by.Origin.String() + " says"
	}
	name := r.Name
	if len(r.Extras) > 0 {
		name += "[" + strings.Join(r.Extras, ",") + "]"
	}
	switch {
	case r.URL != "":
		return name + " @ " + r.URL
	case r.Specifiers.IsEmpty():
		return name
	}
	return name + " " + r.Specifiers.String()
}

// list is "a", "a and b", "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
