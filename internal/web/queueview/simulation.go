package queueview

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"reqpm/internal/store"
)

// simulation goes on with the queue as ClaimStep would, by how long steps took before.
type simulation struct {
	now      time.Time
	paused   bool
	workers  []worker
	names    map[int64]string // of workers
	limits   map[string]int64
	projects func(int64) string
	slots    int64

	load    load
	needs   map[int64][]store.Step // of what waits, not ended
	waits   map[int64]int          // how many of them are left
	then    map[int64][]int64      // who waits for a step
	rows    map[int64]*Row
	order   map[int64]int // in which steps were begun
	running []job
	lanes   []*lane
	free    bool // a slot has become free, or a step ready, since it was last looked
}

type worker struct {
	store.Worker
	room int64 // builds that it takes at once
}

// load is what runs, as the store counts it.
type load struct {
	all      int64
	projects map[int64]int64
	targets  map[string]int64
	workers  map[int64]int64
	alone    map[int64]bool // workers with an exclusive build
}

// job is a step that runs in the simulation.
type job struct {
	step   *store.Step
	worker int64
	end    time.Time
	guess  bool
}

func newSimulation(q store.Queue, names func(int64) string, now time.Time) *simulation {
	s := &simulation{now: now, paused: q.Paused, names: map[int64]string{}, limits: map[string]int64{}, projects: names, needs: map[int64][]store.Step{}, waits: map[int64]int{}, then: map[int64][]int64{},
		rows: map[int64]*Row{}, order: map[int64]int{}, load: load{projects: map[int64]int64{}, targets: map[string]int64{}, workers: map[int64]int64{}, alone: map[int64]bool{}}}
	for _, l := range q.Limits {
		s.limits[l.Scope+" "+l.Name] = l.Value
	}
	for _, w := range q.Workers {
		s.names[w.ID] = w.Name
		room := w.Slots
		if limit, ok := s.limits[store.LimitWorker+" "+w.Name]; ok {
			room = limit
		}
		s.slots += room
		s.workers = append(s.workers, worker{w, room})
	}
	known := map[int64]store.Step{}
	for _, step := range slices.Concat(q.Running, q.Ready, q.Waiting) {
		known[step.ID] = step
	}
	for _, e := range q.Needs {
		s.waits[e.Step]++ // also for what was not looked at: it is then never begun here
		s.then[e.Needs] = append(s.then[e.Needs], e.Step)
		if step, ok := known[e.Needs]; ok {
			s.needs[e.Step] = append(s.needs[e.Step], step)
		}
	}
	for i := range q.Running {
		step := &q.Running[i]
		end, guess := now.Add(usual), true
		if step.Expected > 0 {
			// What has taken longer than expected already should end soon.
			end, guess = step.Started.Add(seconds(step.Expected)), false
			if soon := now.Add(max(2*time.Second, seconds(step.Expected)/10)); end.Before(soon) {
				end = soon
			}
		}
		s.begin(job{step, step.Worker, end, guess})
	}
	return s
}

// begin counts a job among what runs.
func (s *simulation) begin(j job) {
	s.running = append(s.running, j)
	if j.step.Kind == store.Build {
		s.count(j, 1)
	}
}

func (s *simulation) count(j job, n int64) {
	s.load.all += n
	s.load.projects[j.step.Project] += n
	s.load.targets[j.step.Target] += n
	s.load.workers[j.worker] += n
	if j.step.Exclusive {
		s.load.alone[j.worker] = n > 0
	}
}

// lane is what is alike for claims: of each lane only the first step can be next.
type lane struct {
	project        int64
	kind           store.Kind
	target, labels string
	ready          []*store.Step
}

// put makes a step ready, in the order in which steps are claimed.
func (s *simulation) put(step *store.Step) {
	s.free = true
	at := slices.IndexFunc(s.lanes, func(l *lane) bool {
		return l.project == step.Project && l.kind == step.Kind && l.target == step.Target && l.labels == step.Labels
	})
	if at < 0 {
		at, s.lanes = len(s.lanes), append(s.lanes, &lane{project: step.Project, kind: step.Kind, target: step.Target, labels: step.Labels})
	}
	l := s.lanes[at]
	i, _ := slices.BinarySearchFunc(l.ready, step, claims)
	l.ready = slices.Insert(l.ready, i, step)
}

// run goes on until nothing runs and nothing more can begin.
func (s *simulation) run() {
	at, later := s.now, []*store.Step{}
	for _, row := range s.rows {
		switch {
		case row.Step.State == store.Ready:
			s.put(&row.Step)
		case !row.Step.RetryAt.IsZero():
			later = append(later, &row.Step)
		}
	}
	slices.SortFunc(later, func(a, b *store.Step) int { return a.RetryAt.Compare(b.RetryAt) })
	for guess := false; ; {
		for len(later) > 0 && !later[0].RetryAt.After(at) {
			s.put(later[0])
			later = later[1:]
		}
		if s.free {
			s.dispatch(at, guess)
			s.free = false
		}
		next := s.next()
		switch {
		case next >= 0 && (len(later) == 0 || s.running[next].end.Before(later[0].RetryAt)):
			at = s.running[next].end
			guess = guess || s.running[next].guess
			s.end(next)
		case len(later) > 0:
			at = later[0].RetryAt
		default:
			return
		}
	}
}

// next is the job that ends first; -1: none runs.
func (s *simulation) next() int {
	first := -1
	for i, j := range s.running {
		if first < 0 || j.end.Before(s.running[first].end) {
			first = i
		}
	}
	return first
}

// end ends a job, and makes ready what waited for it alone.
func (s *simulation) end(i int) {
	j := s.running[i]
	s.running = slices.Delete(s.running, i, i+1)
	s.free = true
	if j.step.Kind == store.Build {
		s.count(j, -1)
	}
	for _, id := range s.then[j.step.ID] {
		if s.waits[id]--; s.waits[id] == 0 && s.rows[id] != nil {
			s.put(&s.rows[id].Step)
		}
	}
}

// dispatch gives the workers what there is for them at a time.
func (s *simulation) dispatch(at time.Time, guess bool) {
	for given := true; given; {
		given = false
		for i := range s.workers {
			w := &s.workers[i]
			l := s.claim(w)
			if l == nil {
				continue
			}
			step := l.ready[0]
			l.ready, given = l.ready[1:], true
			row := s.rows[step.ID]
			lasts, unknown := seconds(step.Expected), step.Expected <= 0
			if unknown {
				lasts = usual
			}
			row.Start, row.End, row.Guess = at, at.Add(lasts), guess || unknown
			s.order[step.ID] = len(s.order) + 1
			s.begin(job{step, w.ID, row.End, row.Guess})
		}
	}
}

// claim is the lane whose first step a worker would be given; nil: none.
func (s *simulation) claim(w *worker) *lane {
	if w.State != store.WorkerActive || w.Message != "" {
		return nil
	}
	var best *lane
	for _, l := range s.lanes {
		if len(l.ready) == 0 || l.kind == store.Build && s.load.workers[w.ID] >= w.room {
			continue
		}
		if best != nil && !s.before(l.ready[0], best.ready[0]) || !store.HasLabels(w.Labels, l.labels) || l.kind == store.Build && !s.room(l.ready[0]) {
			continue
		}
		best = l
	}
	if best == nil {
		return nil
	}
	if first := best.ready[0]; first.Kind == store.Build && (first.Exclusive && s.load.workers[w.ID] > 0 || s.load.alone[w.ID]) {
		return nil
	}
	return best
}

// before is the order of claims over all projects.
func (s *simulation) before(a, b *store.Step) bool {
	if a.Raised != b.Raised {
		return a.Raised > b.Raised
	}
	return cmp.Or(cmp.Compare(s.load.projects[a.Project], s.load.projects[b.Project]), claims(a, b)) < 0
}

// room says whether the limits let one more begin.
func (s *simulation) room(step *store.Step) bool {
	if len(s.limits) == 0 {
		return true
	}
	under := func(scope, name string, n int64) bool {
		limit, ok := s.limits[scope+" "+name]
		return !ok || n < limit
	}
	return under(store.LimitAll, "", s.load.all) && under(store.LimitTarget, step.Target, s.load.targets[step.Target]) &&
		under(store.LimitProject, fmt.Sprint(step.Project), s.load.projects[step.Project])
}
