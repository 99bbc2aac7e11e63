package pages

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Workers: what each does, whether it lives, and how much it takes at once.

func (p *Pages) workerPages() {
	p.get("/workers", auth.Viewer, nil, p.workers)
	p.post("/workers/{worker}/drain", auth.Admin, nil, p.drainWorker)
	p.post("/workers/{worker}/slots", auth.Admin, nil, p.setSlots)
}

type workersData struct {
	Living  []workerData
	Gone    []store.Worker
	Busy    int64
	Slots   int64
	IsAdmin bool
}

// workerData is a worker with what it has.
type workerData struct {
	workerRow
	Own    int64 // slots, by what it says itself
	Builds []workerBuild
	Others int // steps that are no builds, or of projects that are not for this reader
}

type workerBuild struct {
	Step    store.Step
	Project string
}

func (p *Pages) workers(q *request) (view, error) {
	d, err := q.workersData()
	if err != nil {
		return view{}, err
	}
	v := view{Title: "Workers", Nav: "workers", Body: workersPage(d)}
	if len(d.Living) > 0 {
		v.Wake = wakeAfter(q.ctx(), queueWake) // signs of life are no events
	}
	return v, nil
}

func (q *request) workersData() (workersData, error) {
	d := workersData{IsAdmin: q.may(auth.Admin)}
	all, err := q.store().Workers(q.ctx())
	if err != nil {
		return d, err
	}
	limits, err := q.store().Limits(q.ctx())
	if err != nil {
		return d, err
	}
	running, err := q.store().RunningSteps(q.ctx())
	if err != nil {
		return d, err
	}
	names := projectNames{q: q}
	for _, w := range all {
		if w.State == store.WorkerGone {
			d.Gone = append(d.Gone, w)
			continue
		}
		row := workerData{workerRow: workerRow{Worker: w}, Own: w.Slots}
		for _, l := range limits {
			if l.Scope == store.LimitWorker && l.Name == w.Name {
				row.Worker.Slots = l.Value
			}
		}
		for _, s := range running {
			if s.Worker != w.ID {
				continue
			}
			row.Busy += int64(boolInt(s.Kind == store.Build))
			if q.who.In(s.Project) < auth.Viewer {
				row.Others++
				continue
			}
			row.Builds = append(row.Builds, workerBuild{s, names.of(s.Project)})
		}
		d.Busy, d.Slots = d.Busy+row.Busy, d.Slots+row.Worker.Slots
		d.Living = append(d.Living, row)
	}
	slices.SortFunc(d.Gone, func(a, b store.Worker) int { return b.Beat.Compare(a.Beat) })
	return d, nil
}

// worker is the one of the path, which lives.
func (q *request) worker() (store.Worker, error) {
	id, err := q.pathID("worker")
	if err != nil {
		return store.Worker{}, err
	}
	w, err := q.store().Worker(q.ctx(), id)
	if err == nil && w.State == store.WorkerGone {
		err = fmt.Errorf("worker %s: %w: it is gone", w.Name, store.ErrConflict)
	}
	return w, err
}

func (p *Pages) drainWorker(q *request) error {
	w, err := q.worker()
	if err != nil {
		return err
	}
	drain := q.PostFormValue("drain") != "false"
	err = q.write(auth.Change{Action: "worker.drain", Object: w.Name, Detail: map[string]any{"worker": w.ID, "drain": auth.FromTo(w.State == store.WorkerDraining, drain)}}, func(tx *store.Tx) error {
		return tx.DrainWorker(q.ctx(), w.ID, drain)
	})
	if err != nil {
		return err
	}
	if drain {
		return q.done(w.Name+" takes nothing new and ends what it has.", "")
	}
	return q.done(w.Name+" takes work again.", "")
}

// setSlots changes how much a worker builds at once; nothing: as many as it says itself.
func (p *Pages) setSlots(q *request) error {
	w, err := q.worker()
	if err != nil {
		return err
	}
	text, value := strings.TrimSpace(q.PostFormValue("slots")), int64(-1)
	if text != "" {
		if value, err = strconv.ParseInt(text, 10, 64); err != nil || value < 0 || value > 1000 {
			return &invalid{"slots", "A number of slots, 0 to 1,000; nothing: what the worker itself says."}
		}
	}
	if value == w.Slots {
		value = -1
	}
	if err := q.changeLimit(store.Limit{Scope: store.LimitWorker, Name: w.Name, Value: value}); err != nil {
		return err
	}
	return q.done("Changed. What runs goes on.", "")
}

// What workerpage.templ says.

func workerWord(w workerData) string {
	switch {
	case w.Worker.State == store.WorkerDraining && w.Busy > 0:
		return "Draining"
	case w.Worker.State == store.WorkerDraining:
		return "Drained"
	case w.Worker.Message != "":
		return "Takes no work"
	case w.Worker.Slots == 0:
		return "Paused"
	case w.Busy > 0:
		return "Works"
	}
	return "Idle"
}

// versionsText are tools with their versions, ReqPM's first.
func versionsText(versions map[string]string) string {
	names := slices.Sorted(maps.Keys(versions))
	slices.SortStableFunc(names, func(a, b string) int { return boolInt(b == "reqpm") - boolInt(a == "reqpm") })
	var parts []string
	for _, name := range names {
		parts = append(parts, name+" "+versions[name])
	}
	return orText(plain(strings.Join(parts, ", ")), "not told")
}

func labelsText(labels map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, plain(name+"="+labels[name]))
	}
	return all
}

// late says whether a worker has given no sign for so long that it is soon given up.
func late(w store.Worker, at time.Time) bool { return at.Sub(w.Beat) > max(w.Lease/2, 20*time.Second) }

const workerCommand = "reqpm worker --name builder-1 --slots 4 \\\n  --database postgres://reqpm@db.example.org/reqpm"
