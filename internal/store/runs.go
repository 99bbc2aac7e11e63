package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// RunState is where a run is.
type RunState string

// A run's states.
const (
	RunQueued    RunState = "queued"
	RunRunning   RunState = "running"
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunCancelled RunState = "cancelled"
)

// Ended says whether nothing more happens to a run, unless somebody asks for it again.
func (s RunState) Ended() bool { return s == RunSucceeded || s == RunFailed || s == RunCancelled }

// Run is one pass through the pipeline for one commit and one or more targets.
type Run struct {
	ID           int64
	Project      int64
	Number       int64  // counts a project's runs from 1
	Commit       string // "": not looked up yet
	Ref          string
	Targets      []string
	Options      json.RawMessage // what this run alone is told
	State        RunState
	CancelWanted bool
	Reason       string // why there is a run: "created", "sync", "push", "asked by NAME", …
	Message      string // what people should know about how it ended
	LockBlob     string
	PlanBlob     string
	Behind       int64 // the run that must end before this one begins; 0: none
	Pinned       bool  // retention leaves it alone
	Created      time.Time
	Started      time.Time
	Finished     time.Time
}

const runColumns = "id, project, number, commit_id, ref, targets, options, state, cancel_wanted, reason, message, lock_blob, plan_blob, behind, pinned, created, started, finished"

func scanRun(row scanner) (r Run, err error) {
	var options string
	err = row.Scan(&r.ID, &r.Project, &r.Number, &r.Commit, &r.Ref, jsonColumn{&r.Targets}, &options, &r.State, &r.CancelWanted, &r.Reason, &r.Message, &r.LockBlob, &r.PlanBlob, &r.Behind, &r.Pinned,
		timeColumn{&r.Created}, timeColumn{&r.Started}, timeColumn{&r.Finished})
	r.Options = json.RawMessage(options)
	return r, err
}

// CreateRun makes a queued run, and tells listeners (event "run"). With coalesce, a run of the project that
// is still queued for the same ref, commit and targets is returned instead, and created is false: a storm of
// pushes makes one run.
func (tx *Tx) CreateRun(ctx context.Context, r Run, coalesce bool) (run Run, created bool, err error) {
	what := fmt.Sprintf("create a run of project %d", r.Project)
	if coalesce {
		queued, err := many(ctx, tx.Queries, what, scanRun, "SELECT "+runColumns+" FROM runs WHERE project = $1 AND state = 'queued' AND NOT cancel_wanted AND ref = $2 AND commit_id = $3 AND targets = $4 ORDER BY id LIMIT 1",
			r.Project, r.Ref, r.Commit, list(r.Targets))
		if err != nil || len(queued) > 0 {
			return append(queued, Run{})[0], false, err
		}
	}
	r.State, r.Created = RunQueued, now()
	if r.Number, err = one(ctx, tx.Queries, what, value[int64], "SELECT COALESCE(MAX(number), 0) + 1 FROM runs WHERE project = $1", r.Project); err != nil {
		return Run{}, false, err
	}
	r.ID, err = tx.insert(ctx, what, `INSERT INTO runs (project, number, commit_id, ref, targets, options, state, cancel_wanted, reason, message, lock_blob, plan_blob, behind, created, started, finished)
		VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE, $8, $9, $10, $11, $12, $13, 0, 0)`,
		r.Project, r.Number, r.Commit, r.Ref, list(r.Targets), object(r.Options), string(r.State), r.Reason, r.Message, r.LockBlob, r.PlanBlob, r.Behind, millis(r.Created))
	if err != nil {
		return Run{}, false, err
	}
	return r, true, tx.runEvent(ctx, r.Project, r.ID, r.State)
}

func (tx *Tx) runEvent(ctx context.Context, project, run int64, state RunState) error {
	data, _ := json.Marshal(map[string]any{"state": state})
	return tx.AddEvent(ctx, Event{Kind: "run", Project: project, Run: run, Data: data})
}

// Run is ErrNotFound where there is none.
func (q Queries) Run(ctx context.Context, id int64) (Run, error) {
	return one(ctx, q, fmt.Sprintf("read run %d", id), scanRun, "SELECT "+runColumns+" FROM runs WHERE id = $1", id)
}

// SetRunSource notes what was checked out.
func (q Queries) SetRunSource(ctx context.Context, run int64, commit, ref string) error {
	return q.must(ctx, "note a run's commit", "UPDATE runs SET commit_id = $2, ref = $3 WHERE id = $1", run, commit, ref)
}

// SetRunBlobs notes a run's lock and plan; "" leaves what is there.
func (q Queries) SetRunBlobs(ctx context.Context, run int64, lock, plan string) error {
	return q.must(ctx, "note a run's lock and plan", "UPDATE runs SET lock_blob = CASE WHEN $2 = '' THEN lock_blob ELSE $2 END, plan_blob = CASE WHEN $3 = '' THEN plan_blob ELSE $3 END WHERE id = $1", run, lock, plan)
}

// SetRunMessage notes what people should know.
func (q Queries) SetRunMessage(ctx context.Context, run int64, message string) error {
	return q.must(ctx, "note a run's message", "UPDATE runs SET message = $2 WHERE id = $1", run, message)
}

// DeleteRun removes a run and everything of it, its steps too. Its blobs are the caller's.
func (q Queries) DeleteRun(ctx context.Context, run int64) error {
	return q.must(ctx, fmt.Sprintf("delete run %d", run), "DELETE FROM runs WHERE id = $1", run)
}

// RunFilter chooses runs; a zero field chooses all.
type RunFilter struct {
	Project        int64
	Projects       []int64 // one of these
	Number         int64   // within its project
	States         []RunState
	Ref            string
	CreatedAfter   time.Time
	CreatedBefore  time.Time
	FinishedBefore time.Time // ended runs only
}

// Runs lists runs; sorted by id, created or finished.
func (q Queries) Runs(ctx context.Context, f RunFilter, p Page) (Part[Run], error) {
	var w where
	if f.Project != 0 {
		w.add("project = ?", f.Project)
	}
	in(&w, "project", f.Projects)
	if f.Number != 0 {
		w.add("number = ?", f.Number)
	}
	in(&w, "state", texts(f.States))
	if f.Ref != "" {
		w.add("ref = ?", f.Ref)
	}
	if !f.CreatedAfter.IsZero() {
		w.add("created >= ?", millis(f.CreatedAfter))
	}
	if !f.CreatedBefore.IsZero() {
		w.add("created < ?", millis(f.CreatedBefore))
	}
	if !f.FinishedBefore.IsZero() {
		w.add("finished > 0 AND finished < ?", millis(f.FinishedBefore))
	}
	return listing[Run]{
		what: "list runs", query: "SELECT " + runColumns + " FROM runs", id: "id", scan: scanRun,
		orders: map[string]order{"created": {"created", true}, "finished": {"finished", true}},
		key: func(r Run, sort string) (any, int64) {
			if sort == "finished" {
				return millis(r.Finished), r.ID
			}
			return millis(r.Created), r.ID
		},
	}.page(ctx, q, w, p)
}

// texts are values of a type of texts as the drivers take them.
func texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// StepCounts are how many steps of a kind are in each state, by run; of these states only, where some are given.
func (q Queries) StepCounts(ctx context.Context, kind Kind, runs []int64, states ...StepState) (map[int64]map[StepState]int, error) {
	counts := map[int64]map[StepState]int{}
	if len(runs) == 0 {
		return counts, nil
	}
	var w where
	w.add("kind = ?", string(kind))
	in(&w, "run", runs)
	in(&w, "state", texts(states))
	type count struct {
		run   int64
		state StepState
		n     int
	}
	rows, err := many(ctx, q, "count steps", func(row scanner) (c count, err error) {
		err = row.Scan(&c.run, &c.state, &c.n)
		return c, err
	}, "SELECT run, state, COUNT(*) FROM steps"+w.String()+" GROUP BY run, state", w.args...)
	for _, c := range rows {
		if counts[c.run] == nil {
			counts[c.run] = map[StepState]int{}
		}
		counts[c.run][c.state] = c.n
	}
	return counts, err
}

// CountRuns says how many runs are in a state.
func (q Queries) CountRuns(ctx context.Context, state RunState) (int64, error) {
	return one(ctx, q, "count the runs", value[int64], "SELECT COUNT(*) FROM runs WHERE state = $1", string(state))
}
