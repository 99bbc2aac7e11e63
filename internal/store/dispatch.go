package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrLost: the step is not, or no longer, that attempt's of that worker. Whoever gets it has nothing to
// say about the step any more.
var ErrLost = errors.New("the lease of the step is lost")

// Claim says who asks for a step.
type Claim struct {
	Worker     int64
	WorkerName string
	Labels     map[string]string
	Kinds      []Kind // that it has a slot for
}

// Scopes of limits. A limit of 0 stops what it limits.
const (
	LimitAll     = "all"     // builds at once, name ""
	LimitWorker  = "worker"  // slots of a worker, in place of what it says itself
	LimitTarget  = "target"  // builds at once for a target
	LimitProject = "project" // builds at once of a project, by its id
)

// ClaimStep gives a worker the step that it should do next, of the kinds that it has slots for. Among
// projects, the one with the fewest running builds is first; within a project, the step with the longest chain
// behind it. What somebody raised goes before all that, and what they lowered behind (RaiseStep). ErrNotFound: there is nothing for it now.
//
// An exclusive step waits until its worker runs nothing else, and keeps others from it so long: else it
// would wait for ever.
func (tx *Tx) ClaimStep(ctx context.Context, c Claim) (Step, error) {
	none := fmt.Errorf("claim a step: %w", ErrNotFound)
	state, err := one(ctx, tx.Queries, "look for pauses", value[string], "SELECT CASE WHEN EXISTS (SELECT 1 FROM settings WHERE name = $2 AND value = 'true') THEN 'paused' ELSE state END FROM workers WHERE id = $1", c.Worker, SettingPaused)
	if err != nil {
		return Step{}, err
	}
	if state != string(WorkerActive) {
		return Step{}, none
	}
	heads, err := tx.heads(ctx, c)
	if err != nil {
		return Step{}, err
	}
	if len(heads) == 0 {
		return Step{}, none
	}
	load, err := tx.load(ctx)
	if err != nil {
		return Step{}, err
	}
	best := -1
	for i, s := range heads {
		if !slices.Contains(c.Kinds, s.Kind) || !HasLabels(c.Labels, s.Labels) || s.Kind == Build && !load.room(s, c.Worker, c.WorkerName) {
			continue
		}
		if best < 0 || load.before(s, heads[best]) {
			best = i
		}
	}
	if best < 0 {
		return Step{}, none
	}
	s := heads[best]
	if s.Kind == Build && (s.Exclusive && load.workers[c.Worker] > 0 || load.exclusive[c.Worker]) {
		return Step{}, none
	}
	return tx.give(ctx, c, s)
}

// heads are the first ready steps of each lane.
func (tx *Tx) heads(ctx context.Context, c Claim) ([]Step, error) {
	// Who failed for the machine's sake is given to another machine, where there is one, for a while.
	others, err := one(ctx, tx.Queries, "look for other workers", value[bool], "SELECT EXISTS (SELECT 1 FROM workers WHERE state = 'active' AND name <> $1)", c.WorkerName)
	if err != nil {
		return nil, err
	}
	avoid := "\x00" // no worker's name
	if others {
		avoid = c.WorkerName
	}
	return many(ctx, tx.Queries, "look for steps that are ready", scanStep, "WITH RECURSIVE "+filledLanes(Ready)+`,
		heads (head) AS (
			SELECT (SELECT s.id FROM steps s WHERE s.state = 'ready' AND s.lane = filled.at AND (s.avoid <> $1 OR s.ready < $2 OR s.ready > $3) ORDER BY s.raised DESC, s.priority DESC, s.id LIMIT 1)
			FROM filled WHERE filled.at IS NOT NULL)
		SELECT `+stepColumns+` FROM heads JOIN steps ON id = heads.head`, avoid, millis(now().Add(-avoidFor)), millis(now().Add(avoidFor))) // later than now: the clock went back
}

// avoidFor is how long a step keeps away from the worker where infrastructure failed.
const avoidFor = 30 * time.Second

// load is what runs, and how much may.
type load struct {
	all       int64
	projects  map[int64]int64
	targets   map[string]int64
	workers   map[int64]int64
	exclusive map[int64]bool // workers with an exclusive build
	limits    map[string]int64
}

func (tx *Tx) load(ctx context.Context) (load, error) {
	l := load{projects: map[int64]int64{}, targets: map[string]int64{}, workers: map[int64]int64{}, exclusive: map[int64]bool{}, limits: map[string]int64{}}
	limits, err := tx.Limits(ctx)
	if err != nil {
		return l, err
	}
	for _, limit := range limits {
		l.limits[limit.Scope+" "+limit.Name] = limit.Value
	}
	running, err := many(ctx, tx.Queries, "count what runs", func(row scanner) (s Step, err error) {
		err = row.Scan(&s.Project, &s.Target, &s.Worker, &s.Exclusive)
		return s, err
	}, "SELECT project, target, worker, exclusive FROM steps WHERE state = 'running' AND kind = 'build'")
	for _, s := range running {
		l.all++
		l.projects[s.Project]++
		l.targets[s.Target]++
		l.workers[s.Worker]++
		l.exclusive[s.Worker] = l.exclusive[s.Worker] || s.Exclusive
	}
	return l, err
}

func (l load) room(s Step, worker int64, workerName string) bool {
	under := func(scope, name string, n int64) bool {
		limit, ok := l.limits[scope+" "+name]
		return !ok || n < limit
	}
	return under(LimitAll, "", l.all) && under(LimitWorker, workerName, l.workers[worker]) &&
		under(LimitTarget, s.Target, l.targets[s.Target]) && under(LimitProject, fmt.Sprint(s.Project), l.projects[s.Project])
}

func (l load) before(a, b Step) bool {
	if a.Raised != b.Raised {
		return a.Raised > b.Raised
	}
	if x, y := l.projects[a.Project], l.projects[b.Project]; x != y {
		return x < y
	}
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	return a.ID < b.ID
}

// give makes a step a worker's.
func (tx *Tx) give(ctx context.Context, c Claim, s Step) (Step, error) {
	at := now()
	s, err := one(ctx, tx.Queries, "claim a step", scanStep, `UPDATE steps AS s SET state = 'running', worker = $2, attempt = s.attempt + 1, started = $3, cause = '', cancel_wanted = FALSE
		WHERE s.id = $1 AND s.state = 'ready' RETURNING `+stepColumns, s.ID, c.Worker, millis(at))
	if err != nil {
		return s, err
	}
	_, err = tx.exec(ctx, "note an attempt", "INSERT INTO attempts (step, attempt, worker, worker_name, log, state, cause, infrastructure, started, finished) VALUES ($1, $2, $3, $4, $5, 'running', '', FALSE, $6, 0)",
		s.ID, s.Attempt, c.Worker, c.WorkerName, LogName(s.Run, s.ID, s.Attempt), millis(at))
	if err != nil {
		return s, err
	}
	started, err := many(ctx, tx.Queries, "start a run", value[int64], "UPDATE runs SET state = 'running', started = $2 WHERE id = $1 AND state = 'queued' RETURNING project", s.Run, millis(at))
	if err != nil {
		return s, err
	}
	if len(started) > 0 {
		if err := tx.runEvent(ctx, s.Project, s.Run, RunRunning); err != nil {
			return s, err
		}
	}
	return s, tx.stepEvents(ctx, []Step{s})
}

// Finish is how an attempt ended.
type Finish struct {
	Step, Attempt, Worker int64
	State                 StepState // Succeeded, Failed or Cancelled
	Cause                 string
	Infrastructure        bool
	Result                json.RawMessage
	Found                 bool      // the work had been done before: its time says nothing of the next one's
	Add                   []NewStep // that its success adds to the run
}

// FinishStep ends a step: what waits for it goes on or is blocked, and the run ends with its last step.
// ErrLost: the attempt is not the step's current one any more, and nothing was changed.
func (tx *Tx) FinishStep(ctx context.Context, f Finish) (Step, error) {
	s, err := tx.leave(ctx, f, f.State, 0)
	if err != nil {
		return s, err
	}
	if f.State == Succeeded {
		if err := tx.noteDuration(ctx, s, f.Found); err != nil {
			return s, err
		}
		// Most add nothing; to look at what their run has would cost more than all the rest.
		if len(f.Add) > 0 {
			if err := tx.AddSteps(ctx, s.Run, f.Add); err != nil {
				return s, err
			}
		}
	}
	return s, tx.ended(ctx, s)
}

func (tx *Tx) noteDuration(ctx context.Context, s Step, found bool) error {
	if found {
		return nil
	}
	seconds := max(s.Finished.Sub(s.Started).Seconds(), 0.001) // 0 is unknown, and clocks go back
	_, err := tx.exec(ctx, "note a duration", "INSERT INTO durations (kind, package, target, seconds, at) VALUES ($1, $2, $3, $4, $5)", string(s.Kind), packageName(s.Package), s.Target, seconds, millis(s.Finished))
	return err
}

// ended is what follows from a step's end.
func (tx *Tx) ended(ctx context.Context, s Step) error {
	if err := tx.stepEvents(ctx, []Step{s}); err != nil {
		return err
	}
	if err := tx.afterEnd(ctx, s); err != nil {
		return err
	}
	return tx.endRun(ctx, s.Run)
}

// leave takes a running step from its worker: ErrLost when it is not its own.
func (tx *Tx) leave(ctx context.Context, f Finish, state StepState, retryAt int64) (Step, error) {
	what := fmt.Sprintf("end attempt %d of step %d", f.Attempt, f.Step)
	at := millis(now())
	finished := at
	if !state.Ended() {
		finished = 0
	}
	s, err := one(ctx, tx.Queries, what, scanStep, `UPDATE steps AS s SET state = $4, cause = $5, finished = $6, retry_at = $7, result = $8,
			ready = CASE WHEN $4 = 'ready' THEN $9 ELSE s.ready END
		WHERE s.id = $1 AND s.attempt = $2 AND s.worker = $3 AND s.state = 'running' RETURNING `+stepColumns,
		f.Step, f.Attempt, f.Worker, string(state), f.Cause, finished, retryAt, object(f.Result), at)
	if errors.Is(err, ErrNotFound) {
		return s, fmt.Errorf("%s: %w", what, ErrLost)
	}
	if err != nil {
		return s, err
	}
	_, err = tx.exec(ctx, what, "UPDATE attempts SET state = $3, cause = $4, infrastructure = $5, finished = $6 WHERE step = $1 AND attempt = $2", f.Step, f.Attempt, string(f.State), f.Cause, f.Infrastructure, at)
	return s, err
}

// RetryStep ends an attempt that failed for the machine's sake (Infrastructure), or was handed back, and
// queues the step again, not before after has passed. A step to be cancelled is cancelled. ErrLost.
func (tx *Tx) RetryStep(ctx context.Context, f Finish, after time.Duration, avoid string) (Step, error) {
	wanted, err := one(ctx, tx.Queries, "look whether a step is to be cancelled", value[bool], "SELECT cancel_wanted FROM steps WHERE id = $1", f.Step)
	if err != nil {
		return Step{}, err
	}
	if wanted {
		f.State = Cancelled
		return tx.FinishStep(ctx, f)
	}
	state, retryAt := Ready, int64(0)
	if after > 0 {
		state, retryAt = Waiting, millis(now().Add(after))
	}
	s, err := tx.leave(ctx, f, state, retryAt)
	if err != nil {
		return s, err
	}
	failures := 0
	if f.Infrastructure {
		failures = 1
	}
	if _, err := tx.exec(ctx, "queue a step again", "UPDATE steps SET avoid = $2, infra_failures = infra_failures + $3 WHERE id = $1", s.ID, avoid, failures); err != nil {
		return s, err
	}
	return s, tx.stepEvents(ctx, []Step{s})
}

// maxBackOff is longer than any step waits to be tried again: one that would wait longer was given its time
// by a clock that has gone back since.
const maxBackOff = 15 * time.Minute

// PromoteDue makes steps ready whose time to be tried again has come.
func (tx *Tx) PromoteDue(ctx context.Context) error {
	due, err := many(ctx, tx.Queries, "look what is to be tried again", scanStep, `UPDATE steps AS s SET state = 'ready', retry_at = 0, ready = $1
		WHERE s.retry_at > 0 AND s.state = 'waiting' AND (s.retry_at <= $1 OR s.retry_at > $2) RETURNING `+stepColumns, millis(now()), millis(now().Add(maxBackOff)))
	if err != nil {
		return err
	}
	return tx.stepEvents(ctx, due)
}

// RetryDue says whether PromoteDue has something to do.
func (q Queries) RetryDue(ctx context.Context) (bool, error) {
	return one(ctx, q, "look what is to be tried again", value[bool], "SELECT EXISTS (SELECT 1 FROM steps WHERE retry_at > 0 AND (retry_at <= $1 OR retry_at > $2))", millis(now()), millis(now().Add(maxBackOff)))
}

// Held is a step as its worker must see it.
type Held struct {
	Step, Attempt int64
	CancelWanted  bool
}

// HeldSteps are the steps that are a worker's now. What it runs and is not among them is lost.
func (q Queries) HeldSteps(ctx context.Context, worker int64) ([]Held, error) {
	return many(ctx, q, "look what a worker has", func(row scanner) (h Held, err error) {
		err = row.Scan(&h.Step, &h.Attempt, &h.CancelWanted)
		return h, err
	}, "SELECT id, attempt, cancel_wanted FROM steps WHERE state = 'running' AND worker = $1", worker)
}

// CancelStep cancels a step that waits, and asks for the end of one that runs. One that has ended stays.
func (tx *Tx) CancelStep(ctx context.Context, id int64, cause string) error {
	s, err := tx.Step(ctx, id)
	if err != nil || s.State.Ended() {
		return err
	}
	if s.State == Running {
		if err := tx.must(ctx, "cancel a step", "UPDATE steps SET cancel_wanted = TRUE WHERE id = $1", id); err != nil {
			return err
		}
		return tx.stepEvents(ctx, []Step{s}) // its worker looks
	}
	s, err = one(ctx, tx.Queries, "cancel a step", scanStep, "UPDATE steps AS s SET state = 'cancelled', cause = $2, finished = $3, retry_at = 0 WHERE s.id = $1 RETURNING "+stepColumns, id, cause, millis(now()))
	if err != nil {
		return err
	}
	return tx.ended(ctx, s)
}

// CancelRun cancels every step of a run that waits, and asks for the end of those that run. A run that
// has ended stays as it is.
func (tx *Tx) CancelRun(ctx context.Context, run int64, cause string) error {
	r, err := tx.Run(ctx, run)
	if err != nil || r.State.Ended() {
		return err
	}
	if err := tx.must(ctx, "cancel a run", "UPDATE runs SET cancel_wanted = TRUE WHERE id = $1", run); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, "cancel a run", "UPDATE steps SET cancel_wanted = TRUE WHERE run = $1 AND state = 'running'", run); err != nil {
		return err
	}
	cancelled, err := many(ctx, tx.Queries, "cancel a run", scanStep, "UPDATE steps AS s SET state = 'cancelled', cause = $2, finished = $3, retry_at = 0 WHERE s.run = $1 AND s.state IN ('waiting', 'ready') RETURNING "+stepColumns, run, cause, millis(now()))
	if err != nil {
		return err
	}
	if err := tx.stepEvents(ctx, cancelled); err != nil {
		return err
	}
	data, _ := json.Marshal(map[string]any{"state": r.State, "cancel_wanted": true}) // workers look
	if err := tx.AddEvent(ctx, Event{Kind: "run", Project: r.Project, Run: run, Data: data}); err != nil {
		return err
	}
	return tx.endRun(ctx, run)
}

// HasLabels says whether labels has all of wanted ("NAME=VALUE,…").
func HasLabels(labels map[string]string, wanted string) bool {
	if wanted == "" {
		return true
	}
	for label := range strings.SplitSeq(wanted, ",") {
		name, text, _ := strings.Cut(label, "=")
		if have, ok := labels[name]; !ok || have != text {
			return false
		}
	}
	return true
}

// Limit is how much may run at once: see the Limit scopes.
type Limit struct {
	Scope, Name string
	Value       int64
}

// Limits are all limits there are.
func (q Queries) Limits(ctx context.Context) ([]Limit, error) {
	return many(ctx, q, "read the limits", func(row scanner) (l Limit, err error) {
		err = row.Scan(&l.Scope, &l.Name, &l.Value)
		return l, err
	}, "SELECT scope, name, value FROM limits ORDER BY scope, name")
}

// SetLimit changes a limit while everything runs; a negative value removes it. Work that is running already
// is not stopped.
func (tx *Tx) SetLimit(ctx context.Context, l Limit) error {
	var err error
	if l.Value < 0 {
		_, err = tx.exec(ctx, "remove a limit", "DELETE FROM limits WHERE scope = $1 AND name = $2", l.Scope, l.Name)
	} else {
		_, err = tx.exec(ctx, "set a limit", "INSERT INTO limits (scope, name, value) VALUES ($1, $2, $3) ON CONFLICT (scope, name) DO UPDATE SET value = excluded.value", l.Scope, l.Name, l.Value)
	}
	if err != nil {
		return err
	}
	return tx.AddEvent(ctx, Event{Kind: "limits"})
}
