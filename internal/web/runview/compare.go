package runview

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"reqpm/internal/store"
)

// Pair is one package on one target in two runs. Where one side has none, its Step is zero.
type Pair struct {
	Package, Target  string
	Old, New         store.Step
	OldState         State // "": not in that run
	NewState         State
	OldTime, NewTime time.Duration
}

// OldVersion and NewVersion are "" where a side has none.
func (p Pair) OldVersion() string { _, v := Split(p.Old.Package); return v }

// NewVersion is the version in the newer run.
func (p Pair) NewVersion() string { _, v := Split(p.New.Package); return v }

// Change is how much longer the newer one took.
func (p Pair) Change() time.Duration { return p.NewTime - p.OldTime }

// Comparison is what differs between two runs.
type Comparison struct {
	NewlyFailing []Pair // failed now, and did not
	Blocked      int    // builds that they block
	StillFailing []Pair
	Fixed        []Pair
	Added        []Pair // packages that the older run does not have
	Removed      []Pair
	Version      []Pair
	Time         []Pair // slower or faster by more than both bounds, most first
	Both         []Pair // built by both: their files may differ
	Open         int    // builds of the newer run that have no end yet: they are in no group but Added and Version
}

// A build is slower or faster where its time differs by more than both.
const (
	timePart  = 0.10
	TimeBound = 5 * time.Second
)

// Compare compares the builds of two runs.
func Compare(older, newer []store.Step) Comparison {
	var c Comparison
	type key struct{ name, target string }
	pairs := map[key]*Pair{}
	var order []key
	side := func(steps []store.Step, put func(p *Pair, s store.Step)) {
		steps = slices.Clone(steps)
		slices.SortFunc(steps, byName)
		for _, s := range steps {
			if s.Kind != store.Build {
				continue
			}
			name, _ := Split(s.Package)
			k := key{name, s.Target}
			if pairs[k] == nil {
				pairs[k] = &Pair{Package: name, Target: s.Target}
				order = append(order, k)
			}
			put(pairs[k], s)
		}
	}
	side(older, func(p *Pair, s store.Step) { p.Old, p.OldState, p.OldTime = s, StateOf(s), took(s, s.Finished) })
	side(newer, func(p *Pair, s store.Step) { p.New, p.NewState, p.NewTime = s, StateOf(s), took(s, s.Finished) })
	slices.SortFunc(order, func(a, b key) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.target, b.target)) })
	newly := map[int64]bool{}
	for _, k := range order {
		if p := *pairs[k]; c.sort(p) {
			newly[p.New.ID] = true
		}
	}
	for _, s := range newer {
		if s.State == store.Blocked && newly[s.RootStep] {
			c.Blocked++
		}
	}
	slices.SortStableFunc(c.Time, func(a, b Pair) int { return cmp.Compare(b.Change().Abs(), a.Change().Abs()) })
	return c
}

func good(s State) bool { return s == Succeeded || s == Reused }

// sort puts a pair into the groups it is of; newly: it has begun to fail.
func (c *Comparison) sort(p Pair) (newly bool) {
	switch {
	case p.NewState == "":
		c.Removed = append(c.Removed, p)
		return false
	case p.OldState == "":
		c.Added = append(c.Added, p)
	case p.OldVersion() != p.NewVersion():
		c.Version = append(c.Version, p)
	}
	switch {
	case !p.NewState.Over():
		c.Open++
	case p.NewState == Failed && p.OldState == Failed:
		c.StillFailing = append(c.StillFailing, p)
	case p.NewState == Failed:
		c.NewlyFailing = append(c.NewlyFailing, p)
		return true
	case good(p.NewState) && (p.OldState == Failed || p.OldState == Blocked):
		c.Fixed = append(c.Fixed, p)
	case good(p.NewState) && good(p.OldState):
		c.Both = append(c.Both, p)
		change := p.Change().Abs()
		if p.NewState == Succeeded && p.OldState == Succeeded && change >= TimeBound && change.Seconds() > timePart*p.OldTime.Seconds() {
			c.Time = append(c.Time, p)
		}
	}
	return false
}

// Key is the content key under which the result of a build is kept; "" where there is none.
func Key(s store.Step) string {
	var r struct {
		Key string `json:"key"`
	}
	_ = json.Unmarshal(s.Result, &r) // none before its end
	return r.Key
}

// ListChange is one line that only one of two lists has.
type ListChange struct {
	Added bool
	Text  string
}

// DiffLists gives what two sorted lists do not share, in their order.
func DiffLists(older, newer []string) []ListChange {
	var changes []ListChange
	i, j := 0, 0
	for i < len(older) || j < len(newer) {
		switch {
		case j == len(newer) || i < len(older) && older[i] < newer[j]:
			changes = append(changes, ListChange{false, older[i]})
			i++
		case i == len(older) || newer[j] < older[i]:
			changes = append(changes, ListChange{true, newer[j]})
			j++
		default:
			i++
			j++
		}
	}
	return changes
}
