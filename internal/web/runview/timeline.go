package runview

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"time"

	"reqpm/internal/store"
)

// Bar is one attempt in the timeline, or a forecast of one.
type Bar struct {
	Step       int64
	Name       string
	Target     string
	State      State
	Start, End time.Duration // since the run began
	Forecast   bool
	Critical   bool
}

// Lane is one slot of a worker.
type Lane struct {
	Worker string
	Slot   int // from 1
	Bars   []Bar
}

// Timeline is who built what, when, and what is expected.
type Timeline struct {
	Lanes    []Lane
	Now      time.Duration // since the run began; 0 when it has ended
	End      time.Duration // of the last bar
	Left     time.Duration // until then; 0: nothing is left, or nobody knows
	Critical []int64       // the chain of steps that the end waits for, the first one first
	// Guess: of some builds nobody knows how long they take, so that the end is later than it says.
	Guess bool
}

// NewTimeline makes the timeline of a run: a row for each slot that worked for it, or could. Of a worker only its attempts are known, not in
// which slot: they are laid into as few rows as they fit. The forecast gives what is left to the slots, the
// longest path first, as the engine does.
func NewTimeline(run store.Run, steps []store.Step, edges []store.Edge, attempts []store.Attempt, workers []store.Worker, now time.Time) Timeline {
	var t Timeline
	began := run.Started
	if began.IsZero() {
		began = run.Created
	}
	byID := map[int64]*store.Step{}
	for i, s := range steps {
		byID[s.ID] = &steps[i]
	}
	lanes := newLanes(workers)
	slices.SortStableFunc(attempts, func(a, b store.Attempt) int { return a.Started.Compare(b.Started) })
	for _, a := range attempts {
		s := byID[a.Step]
		if s == nil || a.Started.IsZero() || a.Started.Before(began) {
			continue
		}
		bar := barOf(*s, a)
		bar.Start, bar.End = a.Started.Sub(began), a.Finished.Sub(began)
		if a.Finished.IsZero() {
			bar.End = max(now.Sub(began), bar.Start)
		}
		lanes.put(a.WorkerName, bar)
	}
	t.Lanes = lanes.list
	if !run.State.Ended() {
		t.Now = max(0, now.Sub(began))
		t.forecast(steps, edges, workers)
	}
	for _, l := range t.Lanes {
		for _, b := range l.Bars {
			t.End = max(t.End, b.End)
		}
	}
	if t.Now > 0 && t.End > t.Now {
		t.Left = t.End - t.Now
	}
	t.markCritical(edges)
	return t
}

func barOf(s store.Step, a store.Attempt) Bar {
	b := Bar{Step: s.ID, Target: s.Target, State: State(a.State)}
	if b.Name, _ = Split(s.Package); b.Name == "" {
		b.Name = s.Key
	}
	if a.Attempt == s.Attempt && a.State == store.Succeeded {
		b.State = StateOf(s)
	}
	return b
}

// lanes are the rows while they are filled.
type lanes struct{ list []Lane }

// newLanes has a row for every slot of the workers that live, by their names.
func newLanes(workers []store.Worker) *lanes {
	l := &lanes{}
	for _, w := range workers {
		if w.State == store.WorkerGone {
			continue
		}
		for slot := range min(w.Slots, 64) {
			l.list = append(l.list, Lane{Worker: w.Name, Slot: int(slot) + 1})
		}
	}
	l.sort()
	return l
}

func (l *lanes) sort() {
	slices.SortStableFunc(l.list, func(a, b Lane) int {
		return cmp.Or(strings.Compare(a.Worker, b.Worker), cmp.Compare(a.Slot, b.Slot))
	})
}

// put lays a bar into the first row of a worker where nothing is at that time.
func (l *lanes) put(worker string, b Bar) {
	const touch = 500 * time.Millisecond // clocks of two rows in the database
	slots := 0
	for i := range l.list {
		lane := &l.list[i]
		if lane.Worker != worker {
			continue
		}
		slots++
		if n := len(lane.Bars); n == 0 || lane.Bars[n-1].End <= b.Start+touch {
			if n > 0 {
				b.Start = max(b.Start, lane.Bars[n-1].End)
			}
			b.End = max(b.End, b.Start)
			lane.Bars = append(lane.Bars, b)
			return
		}
	}
	l.list = append(l.list, Lane{Worker: worker, Slot: slots + 1, Bars: []Bar{b}})
	l.sort()
}

// slotHeap are slots by when they are free.
type slotHeap []freeSlot

type freeSlot struct {
	at   time.Duration
	lane int
}

func (h slotHeap) Len() int { return len(h) }
func (h slotHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].at, h[j].at), cmp.Compare(h[i].lane, h[j].lane)) < 0
}
func (h slotHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *slotHeap) Push(x any)   { *h = append(*h, x.(freeSlot)) }
func (h *slotHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// forecast lays what is left behind what is there.
func (t *Timeline) forecast(steps []store.Step, edges []store.Edge, workers []store.Worker) {
	takes := map[string]bool{}
	for _, w := range workers {
		takes[w.Name] = w.State == store.WorkerActive
	}
	var free slotHeap
	ends := map[int64]time.Duration{} // when a step is expected to be done
	byID := map[int64]store.Step{}
	for _, s := range steps {
		byID[s.ID] = s
		if s.State.Ended() {
			ends[s.ID] = 0
		}
	}
	for i := range t.Lanes {
		lane := &t.Lanes[i]
		at := t.Now
		if n := len(lane.Bars); n > 0 {
			last := lane.Bars[n-1]
			if s := byID[last.Step]; s.State == store.Running && last.State == Running {
				left := last.Start + seconds(s.Expected) - t.Now // of what is expected of it
				if left > 0 {
					lane.Bars = append(lane.Bars, Bar{Step: s.ID, Name: last.Name, Target: s.Target, State: Running, Start: t.Now, End: t.Now + left, Forecast: true})
					at += left
				}
				t.Guess = t.Guess || s.Expected == 0
				ends[s.ID] = at
			}
		}
		if takes[lane.Worker] {
			free = append(free, freeSlot{at, i})
		}
	}
	if len(free) == 0 {
		return
	}
	heap.Init(&free)
	t.schedule(steps, edges, &free, ends)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// due is a step of which all that it needs has its time, from at on.
type due struct {
	step *store.Step
	at   time.Duration
}

// dueHeap has the first by less on top.
type dueHeap struct {
	list []due
	less func(a, b due) bool
}

func (h *dueHeap) Len() int           { return len(h.list) }
func (h *dueHeap) Less(i, j int) bool { return h.less(h.list[i], h.list[j]) }
func (h *dueHeap) Swap(i, j int)      { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *dueHeap) Push(x any)         { h.list = append(h.list, x.(due)) }
func (h *dueHeap) Pop() any {
	last := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return last
}

// schedule gives the slot that is free first the step with the highest priority that can begin then, else the
// one that can begin first. What waits for something that nobody does gets no time.
func (t *Timeline) schedule(steps []store.Step, edges []store.Edge, free *slotHeap, ends map[int64]time.Duration) {
	byID, open := map[int64]*store.Step{}, map[int64]int{}
	needs, neededBy := map[int64][]int64{}, map[int64][]int64{}
	for i, s := range steps {
		byID[s.ID] = &steps[i]
	}
	for _, e := range edges {
		needs[e.Step] = append(needs[e.Step], e.Needs)
		if _, known := ends[e.Needs]; !known {
			open[e.Step]++
			neededBy[e.Needs] = append(neededBy[e.Needs], e.Step)
		}
	}
	later := &dueHeap{less: func(a, b due) bool { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step.ID, b.step.ID)) < 0 }}
	ready := &dueHeap{less: func(a, b due) bool {
		return cmp.Or(cmp.Compare(b.step.Priority, a.step.Priority), cmp.Compare(a.step.ID, b.step.ID)) < 0
	}}
	add := func(s *store.Step) {
		if open[s.ID] > 0 || s.State != store.Ready && s.State != store.Waiting {
			return
		}
		at := time.Duration(0)
		for _, need := range needs[s.ID] {
			at = max(at, ends[need])
		}
		heap.Push(later, due{s, at})
	}
	for i := range steps {
		add(&steps[i])
	}
	for later.Len()+ready.Len() > 0 {
		slot := (*free)[0]
		for later.Len() > 0 && (later.list[0].at <= slot.at || ready.Len() == 0) {
			heap.Push(ready, heap.Pop(later))
		}
		d, _ := heap.Pop(ready).(due)
		s, start := d.step, max(d.at, slot.at)
		t.Guess = t.Guess || s.Expected == 0 && s.Kind == store.Build
		end := start + max(seconds(s.Expected), 0)
		name, _ := Split(s.Package)
		lane := &t.Lanes[slot.lane]
		lane.Bars = append(lane.Bars, Bar{Step: s.ID, Name: cmp.Or(name, s.Key), Target: s.Target, State: StateOf(*s), Start: start, End: end, Forecast: true})
		ends[s.ID], (*free)[0].at = end, end
		heap.Fix(free, 0)
		for _, next := range neededBy[s.ID] {
			open[next]--
			add(byID[next])
		}
	}
}

// markCritical follows from the bar that ends last what it waited for, the latest each time.
func (t *Timeline) markCritical(edges []store.Edge) {
	last := map[int64]time.Duration{}
	var at int64
	for _, l := range t.Lanes {
		for _, b := range l.Bars {
			if b.End >= last[b.Step] {
				last[b.Step] = b.End
			}
			if at == 0 || b.End > last[at] {
				at = b.Step
			}
		}
	}
	needs := map[int64][]int64{}
	for _, e := range edges {
		needs[e.Step] = append(needs[e.Step], e.Needs)
	}
	on := map[int64]bool{}
	for at != 0 && !on[at] {
		on[at] = true
		t.Critical = append(t.Critical, at)
		var next int64
		for _, need := range needs[at] {
			if _, there := last[need]; there && (next == 0 || last[need] > last[next]) {
				next = need
			}
		}
		at = next
	}
	slices.Reverse(t.Critical)
	for i := range t.Lanes {
		for k := range t.Lanes[i].Bars {
			t.Lanes[i].Bars[k].Critical = on[t.Lanes[i].Bars[k].Step]
		}
	}
}
