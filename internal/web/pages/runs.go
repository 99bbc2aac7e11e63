package pages

import (
	"slices"
	"strings"
	"time"

	"reqpm/internal/store"
)

// What several pages say of a run.

// tallies are a run's builds by state.
func tallies(steps []store.Step) map[string]int {
	n := map[string]int{}
	for _, s := range steps {
		if s.Kind == store.Build {
			n[stateOf(s)]++
		}
	}
	return n
}

// segments are tallies in the order of states.
func segments(n map[string]int) []segment {
	var all []segment
	for _, state := range states {
		all = append(all, segment{state, n[state]})
	}
	return all
}

// ended is how many builds of tallies are decided, and how many there are.
func ended(n map[string]int) (done, all int) {
	for state, count := range n {
		all += count
		if state != "running" && state != "queued" && state != "waiting" {
			done += count
		}
	}
	return done, all
}

// remaining is when a run should be done by what earlier builds took: the longest chain that is left, or all that
// is left over the slots, whichever is more. Zero: not known.
func remaining(steps []store.Step, pending store.Pending, slots int64, now time.Time) time.Duration {
	chain, work := pending.Chain, pending.Work
	for _, s := range steps {
		if s.State.Ended() {
			continue
		}
		gone := 0.0
		if s.State == store.Running && !s.Started.IsZero() {
			gone = min(now.Sub(s.Started).Seconds(), s.Expected)
		}
		chain = max(chain, s.Priority-gone)
		work += s.Expected - gone
	}
	return time.Duration(max(chain, work/float64(max(1, slots))) * float64(time.Second))
}

// doing says what a run does now, in a few words: the chain's step that goes on, or the builds.
func doing(r store.Run, steps []store.Step) string {
	switch {
	case r.CancelWanted:
		return "being cancelled"
	case r.State == store.RunQueued:
		return "waits for a slot"
	}
	var running []string
	builds := false
	for _, s := range steps {
		if s.State != store.Running {
			continue
		}
		if s.Kind == store.Build {
			builds = true
			continue
		}
		text := string(s.Kind)
		if s.Target != "" {
			text += " " + s.Target
		}
		running = append(running, text)
	}
	if builds {
		running = append(running, "building")
	}
	return strings.Join(running, ", ")
}

// failure is a step that failed first: what others are blocked by.
type failure struct {
	Step    store.Step
	Project string
	Run     int64 // its number
	Blocks  int
}

// Title names what failed.
func (f failure) Title() string {
	if f.Step.Kind == store.Build {
		name, version := splitPackage(f.Step.Package)
		return plain(strings.TrimSpace(name + " " + version))
	}
	return string(f.Step.Kind)
}

// failures are a run's root causes: those that block most first.
func failures(steps []store.Step) []failure {
	blocks := map[int64]int{}
	for _, s := range steps {
		if s.State == store.Blocked {
			blocks[s.RootStep]++
		}
	}
	return rootCauses(slices.DeleteFunc(slices.Clone(steps), func(s store.Step) bool { return s.State != store.Failed }), blocks)
}

// rootCauses is failures, of the steps that failed and how many each blocks.
func rootCauses(failed []store.Step, blocks map[int64]int) []failure {
	var all []failure
	for _, s := range failed {
		all = append(all, failure{Step: s, Blocks: blocks[s.ID]})
	}
	slices.SortStableFunc(all, func(a, b failure) int { return b.Blocks - a.Blocks })
	return all
}

// runBars are a project's runs for a sparkline, oldest first.
func runBars(runs []store.Run, now time.Time) []runBar {
	var bars []runBar
	for _, r := range slices.Backward(runs) {
		bars = append(bars, runBar{State: string(r.State), Seconds: runSeconds(r, now)})
	}
	return bars
}

func runSeconds(r store.Run, now time.Time) float64 {
	end := r.Finished
	if end.IsZero() {
		end = now
	}
	if r.Started.IsZero() {
		return 0
	}
	return end.Sub(r.Started).Seconds()
}

// medianTime is what half of the runs that succeeded took less than; 0 where none did.
func medianTime(runs []store.Run) time.Duration {
	var all []float64
	for _, r := range runs {
		if r.State == store.RunSucceeded {
			all = append(all, runSeconds(r, time.Time{}))
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return time.Duration(all[len(all)/2] * float64(time.Second))
}
