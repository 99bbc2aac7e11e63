package queueview

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"reqpm/internal/store"
)

var now = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func step(id int64, name string, state store.StepState, expected, priority float64) store.Step {
	return store.Step{ID: id, Project: 1, Kind: store.Build, Package: name + "==1", Target: "el9", State: state, Expected: expected, Priority: priority}
}

// lines are "name start end", in seconds from now; "name -" for what nobody can say.
func lines(v View) string {
	var all []string
	for _, r := range v.Line {
		text := name(r.Step) + " -"
		if !r.Start.IsZero() {
			text = fmt.Sprintf("%s %.0f %.0f", name(r.Step), r.Start.Sub(now).Seconds(), r.End.Sub(now).Seconds())
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func look(q store.Queue) View { return New(q, func(int64) string { return "app" }, now) }

// The order is that of dispatch: the longest path first, what waits when it is free, and within it the slots there are.
func TestOrder(t *testing.T) {
	q := store.Queue{
		Workers: []store.Worker{{ID: 7, Name: "w", Slots: 2, State: store.WorkerActive}},
		Running: []store.Step{step(1, "running", store.Running, 10, 10)},
		Ready:   []store.Step{step(2, "short", store.Ready, 5, 5), step(3, "long", store.Ready, 30, 50)},
		Waiting: []store.Step{step(4, "after", store.Waiting, 20, 20)},
		Needs:   []store.Edge{{Step: 4, Needs: 3}},
	}
	q.Running[0].Started, q.Running[0].Worker = now.Add(-4*time.Second), 7
	v := look(q)
	if got, want := lines(v), "long 0 30, short 6 11, after 30 50"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if v.Line[2].Why.Kind != Dependency || v.Line[2].Why.Text != "Waits on long" || v.Line[2].Why.Step != 3 || v.End.Sub(now) != 50*time.Second || v.Slots != 2 || v.Busy != 1 {
		t.Errorf("%+v", v)
	}
	q.Ready[0].Raised = 1
	if got, want := lines(look(q)), "short 0 5, long 5 35, after 35 55"; got != want {
		t.Errorf("with the short one raised: %s, want %s", got, want)
	}
	other := step(9, "other", store.Ready, 5, 1)
	other.Project = 2
	q.Ready[0].Raised = 0
	q.Ready = append(q.Ready, other)
	if got, want := lines(look(q)), "other 0 5, long 5 35, short 6 11, after 35 55"; got != want {
		t.Errorf("a project that has nothing yet comes first: %s, want %s", got, want)
	}
}

// Every reason for waiting is said, and nothing is forecast of what will not begin by itself.
func TestReasons(t *testing.T) {
	good := store.Worker{ID: 7, Name: "w", Slots: 1, State: store.WorkerActive, Labels: map[string]string{"builder": "mock"}}
	for _, c := range []struct {
		name   string
		change func(q *store.Queue)
		kind   Kind
		text   string
		line   string
	}{
		{"a slot", func(*store.Queue) {}, Slot, "longest path", "a 0 5"},
		{"paused", func(q *store.Queue) { q.Paused = true }, Paused, "queue is paused", "a -"},
		{"a paused target", func(q *store.Queue) { q.Limits = []store.Limit{{Scope: "target", Name: "el9"}} }, Paused, "target el9 is paused", "a -"},
		{"a limit", func(q *store.Queue) {
			q.Limits = []store.Limit{{Scope: "target", Name: "el9", Value: 1}}
			q.Running = []store.Step{step(8, "b", store.Running, 9, 9)}
			q.Running[0].Started = now
		}, Limit, "Limit: 1 on el9", "a 9 14"},
		{"a paused project", func(q *store.Queue) { q.Limits = []store.Limit{{Scope: "project", Name: "1"}} }, Paused, "project app is paused", "a -"},
		{"a disk", func(q *store.Queue) { q.Workers[0].Message = "only 1 GB free" }, Disk, "w: only 1 GB", "a -"},
		{"a drained worker", func(q *store.Queue) { q.Workers[0].State = store.WorkerDraining }, Paused, "take nothing new", "a -"},
		{"no worker", func(q *store.Queue) { q.Workers = nil }, NoWorker, "No worker is there", "a -"},
		{"a label", func(q *store.Queue) { q.Ready[0].Labels = "arch=arm64" }, NoWorker, "arch=arm64", "a -"},
		{"an exclusive one", func(q *store.Queue) {
			q.Ready[0].Exclusive, q.Workers[0].Slots = true, 2
			q.Running = []store.Step{step(8, "b", store.Running, 9, 9)}
			q.Running[0].Started, q.Running[0].Worker = now, 7
		}, Alone, "nothing else", "a 9 14"},
		{"a back-off", func(q *store.Queue) {
			s := q.Ready[0]
			s.State, s.RetryAt = store.Waiting, now.Add(40*time.Second)
			q.Ready, q.Waiting = nil, []store.Step{s}
		}, BackOff, "tried again", "a 40 45"},
		{"the run before", func(q *store.Queue) { q.Ready[0].State = store.Waiting }, Run, "run before", "a -"},
	} {
		q := store.Queue{Workers: []store.Worker{good}, Ready: []store.Step{step(1, "a", store.Ready, 5, 5)}}
		c.change(&q)
		v := look(q)
		if why := v.Line[0].Why; why.Kind != c.kind || !strings.Contains(why.Text, c.text) || lines(v) != c.line {
			t.Errorf("%s: %+v, %s", c.name, why, lines(v))
		}
	}
}

// A step that nobody has ever built makes a guess of it and of all that comes after it.
func TestGuess(t *testing.T) {
	q := store.Queue{Workers: []store.Worker{{ID: 7, Slots: 1, State: store.WorkerActive}}, Ready: []store.Step{step(1, "new", store.Ready, 0, 9), step(2, "known", store.Ready, 5, 5)}}
	v := look(q)
	if got := lines(v); got != "new 0 30, known 30 35" || !v.Line[0].Guess || !v.Line[1].Guess {
		t.Errorf("%s, %+v", got, v.Line)
	}
}

// A thousand steps are looked at fast enough for a page that lives.
func TestMany(t *testing.T) {
	q := store.Queue{}
	for i := range int64(20) {
		q.Workers = append(q.Workers, store.Worker{ID: i + 1, Slots: 4, State: store.WorkerActive})
	}
	for i := range int64(1000) {
		s := step(i+1, fmt.Sprint("p", i), store.Ready, float64(1+i%7), float64(i%90))
		s.Project = i % 5
		q.Ready = append(q.Ready, s)
	}
	began := time.Now()
	v := look(q)
	if took := time.Since(began); len(v.Line) != 1000 || v.Line[999].Start.IsZero() || took > 2*time.Second {
		t.Errorf("%d rows in %v", len(v.Line), took)
	} else {
		t.Log(took)
	}
}
