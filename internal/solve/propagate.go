package solve

import (
	"fmt"
	"slices"
)

// propagate draws every conclusion there is. It returns the proof when the
// conclusions contradict each other whatever is decided.
func (a *attempt) propagate() (*incompat, error) {
	for len(a.queue) > 0 {
		v := a.queue[0]
		a.queue = a.queue[1:]
		v.queued = false
		for i := len(v.about) - 1; i >= 0; i-- {
			c := v.about[i]
			if c.dead == 0 || c.forgotten { // for ever
				last := len(v.about) - 1
				v.about[i] = v.about[last]
				v.about = v.about[:last]
				continue
			}
			if c.dead > 0 {
				continue
			}
			state, open := a.judge(c)
			switch state {
			case broken:
				if proof, err := a.learn(c); proof != nil || err != nil {
					return proof, err
				}
				i = 0 // the rest of v is looked at again if it matters
			case unit:
				a.conclude(open.v, open.set, c)
				a.changed(open.v)
			case impossible:
				a.shutAt(c)
			}
		}
	}
	return nil, nil
}

type judgement int

const (
	undecided judgement = iota
	impossible
	unit
	broken
)

// judge says what c means now; for unit also the one term that is open.
func (a *attempt) judge(c *incompat) (judgement, term) {
	var open term
	for _, t := range c.terms {
		if t.v.cur.disjoint(t.set) {
			return impossible, term{}
		}
	}
	n := 0
	for _, t := range c.terms {
		if !t.v.cur.subsetOf(t.set) {
			if n++; n > 1 {
				return undecided, term{}
			}
			open = t
		}
	}
	if n == 0 {
		return broken, term{}
	}
	return unit, open
}

// learn finds out why broken came about, jumps back to where the new knowledge
// first leads to a conclusion, and draws it. The proof is returned when nothing
// is left to take back.
func (a *attempt) learn(broken *incompat) (*incompat, error) {
	if err := a.ctx.Err(); err != nil {
		return nil, err
	}
	if a.conflicts++; a.conflicts > a.limit || a.hard > maxHard {
		return nil, fmt.Errorf("%w: gave up after %d clashes, the last about %s", ErrTooHard, a.conflicts-1, broken.terms[0].v.name)
	}
	for _, t := range broken.terms {
		t.v.base.conflicts++
	}
	c, causes := broken, []cause{{c: broken}}
	for len(c.terms) > 0 {
		s, back := a.lastReason(c)
		if s.cause == nil || back < s.level {
			a.takeBack(c, causes, back)
			return nil, nil
		}
		c = resolve(c, s.cause, s.v)
		causes = append(causes, cause{s.cause, s.v})
	}
	c.causes = causes
	return c, nil
}

// lastReason is the step that completed c, and the level at which all the rest of
// c already held.
func (a *attempt) lastReason(c *incompat) (*step, int) {
	var last *step
	var set set
	back := 0
	for _, t := range c.terms {
		s := t.v.satisfier(t.set)
		if last == nil || s.order > last.order {
			if last != nil {
				back = max(back, last.level)
			}
			last, set = s, t.set
		} else {
			back = max(back, s.level)
		}
	}
	if last.cause != nil {
		if own, ok := last.cause.term(last.v); ok {
			if before := set.or(own); !before.equal(last.v.full) {
				back = max(back, last.v.satisfier(before).level)
			}
		}
	}
	return last, back
}

func (a *attempt) takeBack(c *incompat, causes []cause, level int) {
	a.backTo(level)
	if len(causes) > 1 {
		c.causes = causes
		for _, t := range c.terms {
			t.v.about = append(t.v.about, c)
		}
		a.keep(c)
	}
	for _, t := range c.terms {
		a.changed(t.v)
	}
}

const (
	smallLearned = 3   // a learned fact with no more terms is kept for ever
	maxLearned   = 500 // of the bigger ones that many are kept
)

// keep remembers a learned fact. Of the big ones, which seldom come to matter again and
// have to be looked at all the same, only the newest are kept: without that, the work of a
// conflict would grow with their number. What rests on a forgotten one stays proven.
func (a *attempt) keep(c *incompat) {
	if len(c.terms) <= smallLearned {
		return
	}
	a.hard++
	if a.learned = append(a.learned, c); len(a.learned) < 2*maxLearned {
		return
	}
	for _, old := range a.learned[:maxLearned] {
		old.forgotten = true
	}
	a.learned = slices.Delete(a.learned, 0, maxLearned)
}
