package solve

import (
	"slices"

	"reqpm/internal/pep508"
)

// kind says what an incompatibility rests on.
type kind int

const (
	kindRoot       kind = iota // the user asks for it
	kindConstraint             // the user restricts it
	kindDepends                // a version requires something
	kindPython                 // Requires-Python leaves the target out
	kindPre                    // pre-releases nobody asked for
	kindYanked                 // yanked versions nobody pins
	kindNoSource               // versions without a source distribution, where there is another choice
	kindMetadata               // the requirements of a version could not be had
	kindLearned                // follows from causes
)

// term is one condition: the value of v is in set.
type term struct {
	v   *variable
	set set
}

// incompat says that its terms never all hold. Terms are ordered by variable,
// one a variable. Incompatibilities of versions with the same requirement are
// one: the term of the requirer grows as versions become known.
type incompat struct {
	kind   kind
	terms  []term
	dead   int // the decision level at which a term became impossible; alive when negative
	causes []cause
	// forgotten: nothing more is concluded from it.
	forgotten bool

	origin *Origin            // kindRoot, kindConstraint
	req    pep508.Requirement // as it counts
	by     *Root              // the override it is, or nil
	from   *variable          // kindDepends: the requirer
	extra  *variable          // kindDepends: its extra that brings the requirement, or nil
	to     *variable          // what is asked for, restricted or left out
	err    error              // kindMetadata
}

// cause is one step of a proof: the incompatibility that narrowed pivot. The
// first cause has no pivot: it is the one that was broken; the others follow from
// the latest to the earliest.
type cause struct {
	c     *incompat
	pivot *variable
}

func (c *incompat) term(v *variable) (set, bool) {
	for _, t := range c.terms {
		if t.v == v {
			return t.set, true
		}
	}
	return nil, false
}

// with adds a condition, intersecting with one there is on the same variable.
// It reports false when the conditions can never hold together.
func (c *incompat) with(v *variable, s set) bool {
	for i, t := range c.terms {
		if t.v == v {
			c.terms[i].set = t.set.and(s)
			return !c.terms[i].set.empty()
		}
	}
	at, _ := slices.BinarySearchFunc(c.terms, v.id, func(t term, id int) int { return t.v.id - id })
	c.terms = slices.Insert(c.terms, at, term{v, s})
	return !s.empty()
}

// withoutTrivial drops conditions that always hold.
func (c *incompat) withoutTrivial() {
	c.terms = slices.DeleteFunc(c.terms, func(t term) bool { return t.set.equal(t.v.full) })
}

// resolve joins two incompatibilities on pivot: whatever the value of pivot
// in either of their sets, one of them would be broken.
func resolve(a, b *incompat, pivot *variable) *incompat {
	r := &incompat{kind: kindLearned, dead: -1}
	i, j := 0, 0
	for i < len(a.terms) || j < len(b.terms) {
		switch {
		case j == len(b.terms) || i < len(a.terms) && a.terms[i].v.id < b.terms[j].v.id:
			r.terms = append(r.terms, a.terms[i])
			i++
		case i == len(a.terms) || b.terms[j].v.id < a.terms[i].v.id:
			r.terms = append(r.terms, b.terms[j])
			j++
		default:
			v, s := a.terms[i].v, set(nil)
			if v == pivot {
				s = a.terms[i].set.or(b.terms[j].set)
			} else {
				s = a.terms[i].set.and(b.terms[j].set)
			}
			if !s.equal(v.full) {
				r.terms = append(r.terms, term{v, s})
			}
			i++
			j++
		}
	}
	return r
}
