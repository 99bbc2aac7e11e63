package solve

import (
	"sort"

	"reqpm/internal/pep440"
)

// variable is a package, or one extra of a package, in one attempt to solve.
type variable struct {
	id    int
	name  string // PEP 503
	extra string // "" for the package itself
	base  *variable
	list  *versions // nil for an extra
	size  int
	full  set

	cur       set                 // values still possible
	steps     []*step             // what narrowed cur, oldest first
	said      set                 // values whose requirements are stated
	usable    set                 // candidates this Python admits
	specs     []pep440.Specifiers // of the user's own requirements and constraints
	decided   int                 // the chosen value, 0 while there is none
	at        *step               // the decision
	about     []*incompat
	extras    map[string]*variable
	depth     int // requirements between the roots and this package
	conflicts int
	blocked   map[*variable]int // versions ruled out by what somebody else was decided to be
	late      bool              // decided last, see blame
	queued    bool
	tries     int // versions decided on that were not looked at before
	fetched   int // the tries for which versions were fetched ahead
}

// label is how people write the variable: foo or foo[bar].
func (v *variable) label() string {
	if v.extra == "" {
		return v.name
	}
	return v.name + "[" + v.extra + "]"
}

// hadChoice tells whether the decision could have been another.
func (v *variable) hadChoice() bool {
	before := v.full
	for i, s := range v.steps {
		if s == v.at && i > 0 {
			before = v.steps[i-1].cum
		}
	}
	return before.count() > 1
}

func (v *variable) wanted() bool { return !v.cur.has(none) }

// step is one narrowing of a variable: a decision (cause nil) or a consequence of
// cause. cum is what was possible after it.
type step struct {
	v     *variable
	cause *incompat
	cum   set
	level int
	order int // in the trail; -1 for facts that hold before anything is decided
}

// trail is the partial solution: everything decided and concluded, in order.
type trail struct {
	steps []*step
	level int
	// shut remembers which incompatibilities became impossible, to revive them
	// when jumping back.
	shut []shutting
}

type shutting struct {
	c     *incompat
	level int
}

func (t *trail) push(v *variable, cum set, cause *incompat) *step {
	s := &step{v: v, cause: cause, cum: cum, level: t.level, order: len(t.steps)}
	t.steps = append(t.steps, s)
	v.steps = append(v.steps, s)
	v.cur = cum
	return s
}

func (t *trail) decide(v *variable, value int) {
	t.level++
	v.at = t.push(v, single(v.size, value), nil)
	v.decided = value
}

// conclude narrows v to what cause leaves: everything outside excluded.
func (t *trail) conclude(v *variable, excluded set, cause *incompat) {
	t.push(v, v.cur.minus(excluded), cause)
}

// fact narrows v for good, before anything else is known about it.
func (t *trail) fact(v *variable, excluded set, cause *incompat) {
	s := &step{v: v, cause: cause, cum: v.cur.minus(excluded), order: -1}
	v.steps = append(v.steps, s)
	v.cur = s.cum
}

// shutAt marks c as impossible at this level and above.
func (t *trail) shutAt(c *incompat) {
	c.dead = t.level
	if t.level > 0 {
		t.shut = append(t.shut, shutting{c, t.level})
	}
}

// backTo forgets every step above level.
func (t *trail) backTo(level int) {
	for n := len(t.steps); n > 0 && t.steps[n-1].level > level; n-- {
		v := t.steps[n-1].v
		v.steps = v.steps[:len(v.steps)-1]
		v.cur = v.full
		if k := len(v.steps); k > 0 {
			v.cur = v.steps[k-1].cum
		}
		if v.at == t.steps[n-1] {
			v.at, v.decided = nil, 0
		}
		t.steps[n-1] = nil
		t.steps = t.steps[:n-1]
	}
	for n := len(t.shut); n > 0 && t.shut[n-1].level > level; n-- {
		if c := t.shut[n-1].c; c.dead > level {
			c.dead = -1
		}
		t.shut = t.shut[:n-1]
	}
	t.level = level
}

// satisfier is the first step after which v's value is known to be in s.
func (v *variable) satisfier(s set) *step {
	i := sort.Search(len(v.steps), func(i int) bool { return v.steps[i].cum.subsetOf(s) })
	return v.steps[i]
}
