// Package queueview says what people want to know of the queue: what is begun next, why it is not begun now, and when it
// should begin and end. It computes; what there is it gets from the store.
package queueview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"reqpm/internal/store"
)

// Running is a step that a worker has.
type Running struct {
	Step   store.Step
	Worker string
	End    time.Time // expected; zero: nobody knows
}

// Row is a step that will be begun.
type Row struct {
	Step store.Step
	Why  Reason
	// Start and End are when it should begin and end, by what such steps took before; zero: nobody can say. Guess: something
	// before it, or itself, was never built here, so that it is later than that.
	Start, End time.Time
	Guess      bool
}

// Reason is why a step is not begun now.
type Reason struct {
	Kind Kind
	Text string
	Step int64 // the build that it waits for; 0: none
}

// Kind is a kind of reason.
type Kind string

// The kinds of reasons.
const (
	Slot       Kind = "slot"       // its turn comes
	Dependency Kind = "dependency" // another step
	BackOff    Kind = "back-off"   // the machine failed, it is tried again
	Limit      Kind = "limit"
	Paused     Kind = "paused" // the queue, a target, a project, all workers that could
	Disk       Kind = "disk"   // or whatever else keeps workers from their work
	Alone      Kind = "exclusive"
	NoWorker   Kind = "no worker"
	Run        Kind = "run" // the run before must end
)

// View is the queue as people see it.
type View struct {
	Running []Running
	Line    []Row // in the order in which they will be begun
	More    int64 // steps behind those that were looked at
	End     time.Time
	Slots   int64
	Busy    int64
}

// usual is how long a step of which nobody knows is taken to last.
const usual = 30 * time.Second

// New looks at the queue as it is now. names are those of projects, for reasons.
func New(q store.Queue, names func(project int64) string, now time.Time) View {
	s := newSimulation(q, names, now)
	v := View{Slots: s.slots, Busy: s.load.all, More: q.Behind}
	for _, step := range q.Running {
		r := Running{Step: step, Worker: s.names[step.Worker]}
		if step.Expected > 0 {
			r.End = step.Started.Add(seconds(step.Expected))
		}
		v.Running = append(v.Running, r)
	}
	for _, step := range slices.Concat(q.Ready, q.Waiting) {
		s.rows[step.ID] = &Row{Step: step, Why: s.reason(step)}
	}
	if !q.Paused {
		s.run()
	}
	for _, row := range s.rows {
		v.Line = append(v.Line, *row)
		if row.End.After(v.End) {
			v.End = row.End
		}
	}
	slices.SortFunc(v.Line, func(a, b Row) int {
		if known := cmp.Compare(zero(a.Start), zero(b.Start)); known != 0 {
			return known // those whose start nobody knows are last
		}
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(s.order[a.Step.ID], s.order[b.Step.ID]), claims(&a.Step, &b.Step))
	})
	return v
}

func zero(t time.Time) int {
	if t.IsZero() {
		return 1
	}
	return 0
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// claims is the order within a project: see store.Tx.ClaimStep.
func claims(a, b *store.Step) int {
	return cmp.Or(cmp.Compare(b.Raised, a.Raised), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
}

// name is what people call a step.
func name(s store.Step) string {
	if s.Kind == store.Build {
		n, _, _ := strings.Cut(s.Package, "==")
		return n
	}
	return strings.TrimSpace(string(s.Kind) + " " + s.Target)
}

// reason is why a step is not begun now.
func (s *simulation) reason(step store.Step) Reason {
	switch {
	case step.State == store.Waiting && !step.RetryAt.IsZero():
		return Reason{Kind: BackOff, Text: "Machine failed, tried again"}
	case step.State == store.Waiting && len(s.needs[step.ID]) > 0:
		return s.waitsOn(step)
	case step.State == store.Waiting:
		return Reason{Kind: Run, Text: "Begins when the run before it has ended"}
	case s.paused:
		return Reason{Kind: Paused, Text: "The queue is paused"}
	}
	if why := s.noWorker(step); why.Kind != "" {
		return why
	}
	if step.Kind != store.Build {
		return Reason{Kind: Slot, Text: "Next"}
	}
	if why := s.limited(step); why.Kind != "" {
		return why
	}
	switch {
	case step.Exclusive:
		return Reason{Kind: Alone, Text: "Waits until a worker has nothing else"}
	case step.Raised > 0:
		return Reason{Kind: Slot, Text: "Next free slot, raised"}
	case step.Raised < 0:
		return Reason{Kind: Slot, Text: "A slot that nobody else wants"}
	}
	return Reason{Kind: Slot, Text: "Slot, longest path first"}
}

// waitsOn names the step that the wait will be longest for, by the chain behind it.
func (s *simulation) waitsOn(step store.Step) Reason {
	needs := s.needs[step.ID]
	first := slices.MinFunc(needs, func(a, b store.Step) int { return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID)) })
	text := "Waits on " + name(first)
	if len(needs) > 1 {
		text += fmt.Sprintf(" and %d more", len(needs)-1)
	}
	why := Reason{Kind: Dependency, Text: text}
	if first.Kind == store.Build {
		why.Step = first.ID
	}
	return why
}

// noWorker is the reason where no worker takes a step, however many slots are free.
func (s *simulation) noWorker(step store.Step) Reason {
	if len(s.workers) == 0 {
		return Reason{Kind: NoWorker, Text: "No worker is there"}
	}
	could, message, draining := 0, "", 0
	for _, w := range s.workers {
		switch {
		case !store.HasLabels(w.Labels, step.Labels):
			continue
		case w.State == store.WorkerDraining:
			draining++
		case w.Message != "":
			message = w.Name + ": " + w.Message
		default:
			return Reason{}
		}
		could++
	}
	switch {
	case could == 0:
		return Reason{Kind: NoWorker, Text: "No worker has " + step.Labels}
	case message != "":
		return Reason{Kind: Disk, Text: message}
	}
	return Reason{Kind: Paused, Text: "Its workers take nothing new"}
}

// limited is the limit that a step would be over.
func (s *simulation) limited(step store.Step) Reason {
	for _, l := range []struct {
		scope, name, is, of string
		n                   int64
	}{
		{store.LimitTarget, step.Target, "The target " + step.Target + " is paused", "on " + step.Target, s.load.targets[step.Target]},
		{store.LimitProject, fmt.Sprint(step.Project), "The project " + s.projects(step.Project) + " is paused", "of " + s.projects(step.Project), s.load.projects[step.Project]},
		{store.LimitAll, "", "All builds are paused", "at once", s.load.all},
	} {
		limit, ok := s.limits[l.scope+" "+l.name]
		switch {
		case !ok || l.n < limit:
		case limit == 0:
			return Reason{Kind: Paused, Text: l.is}
		default:
			return Reason{Kind: Limit, Text: fmt.Sprintf("Limit: %d %s", limit, l.of)}
		}
	}
	return Reason{}
}
