// Package runview makes of the rows of a run what its pages show: the grid of packages and targets, root causes,
// the timeline of workers with a forecast, the graph, and what differs between two runs. It is pure: values in,
// values out, the same for the same, so that what people see is tested without a browser.
package runview

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"reqpm/internal/store"
)

// State is how a build is shown.
type State string

// The states, in the order that is kept everywhere: what needs somebody first.
const (
	Failed    State = "failed"
	Blocked   State = "blocked"
	Running   State = "running"
	Queued    State = "queued"
	Waiting   State = "waiting"
	Cancelled State = "cancelled"
	Succeeded State = "succeeded"
	Reused    State = "reused"
)

// States are all, in their order.
var States = []State{Failed, Blocked, Running, Queued, Waiting, Cancelled, Succeeded, Reused}

// place is where a state comes in the order.
func (s State) place() int { return slices.Index(States, s) }

// Over says whether nothing more happens to a build by itself.
func (s State) Over() bool { return s != Running && s != Queued && s != Waiting }

// Title is the state's word.
func (s State) Title() string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(string(s[:1])) + string(s[1:])
}

// outcome is what is read here of a build's result.
type outcome struct {
	State   string  `json:"state"`
	Seconds float64 `json:"seconds"`
	NEVRA   string  `json:"nevra"`
	Runtime bool    `json:"runtime"`
}

func outcomeOf(s store.Step) (o outcome) {
	if len(s.Result) > 2 {
		_ = json.Unmarshal(s.Result, &o) // what cannot be read is nothing known
	}
	return o
}

// StateOf is how a step is shown.
func StateOf(s store.Step) State {
	switch s.State {
	case store.Ready:
		return Queued
	case store.Succeeded:
		if state := outcomeOf(s).State; state == "reused" || state == "distribution" {
			return Reused
		}
		return Succeeded
	}
	return State(s.State)
}

// OfDistribution says whether a step found that the distribution has its package.
func OfDistribution(s store.Step) bool {
	return s.State == store.Succeeded && outcomeOf(s).State == "distribution"
}

// Split takes NAME==VERSION apart.
func Split(pkg string) (name, version string) {
	name, version, _ = strings.Cut(pkg, "==")
	return name, version
}

// took is how long a step ran, or has run.
func took(s store.Step, now time.Time) time.Duration {
	switch {
	case s.Started.IsZero():
		return 0
	case s.Finished.IsZero() || s.Finished.Before(s.Started):
		return max(0, now.Sub(s.Started))
	}
	return s.Finished.Sub(s.Started)
}

// Counts are builds by state.
type Counts map[State]int

// Count counts builds.
func Count(steps []store.Step) Counts {
	counts := Counts{}
	for _, s := range steps {
		if s.Kind == store.Build {
			counts[StateOf(s)]++
		}
	}
	return counts
}

// Total is how many builds there are.
func (c Counts) Total() int {
	n := 0
	for _, of := range c {
		n += of
	}
	return n
}

// Decided is how many have an end.
func (c Counts) Decided() int {
	n := 0
	for state, of := range c {
		if state.Over() {
			n += of
		}
	}
	return n
}

// Share is a part of a bar: from X on, W wide, of a thousand.
type Share struct {
	State State
	X, W  float64
	N     int
}

// Shares are the parts of a bar, with gaps of two.
func (c Counts) Shares() []Share {
	total := c.Total()
	var shares []Share
	x := 0.0
	for _, state := range States {
		if n := c[state]; n > 0 {
			w := 1000 * float64(n) / float64(total)
			shares = append(shares, Share{state, x, max(w-2, 1), n})
			x += w
		}
	}
	return shares
}

// TargetCounts are the builds of a target by state.
type TargetCounts struct {
	Target string
	Counts Counts
}

// ByTarget counts each target's builds, in the order of the run's targets.
func ByTarget(run store.Run, steps []store.Step) []TargetCounts {
	var list []TargetCounts
	for _, target := range run.Targets {
		c := Count(slices.DeleteFunc(slices.Clone(steps), func(s store.Step) bool { return s.Target != target }))
		list = append(list, TargetCounts{target, c})
	}
	return list
}

// byName orders steps by package and target.
func byName(a, b store.Step) int {
	return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Target, b.Target))
}
