package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is what a step does.
type Kind string

// The kinds, in the order of the chain.
const (
	Checkout Kind = "checkout"
	Analyze  Kind = "analyze"
	Resolve  Kind = "resolve"
	Specs    Kind = "specs"
	Plan     Kind = "plan"
	Build    Kind = "build"
	Publish  Kind = "publish"
	Verify   Kind = "verify"
	// Check is a look at a spec file that somebody is about to save. It goes by a run, and is none of its steps: see AddCheck.
	Check Kind = "check"
)

// StepState is where a step is.
type StepState string

// A step's states. From waiting it goes to ready when what it needs has ended, to running when a
// worker claims it, and to one of the rest at its end.
const (
	Waiting   StepState = "waiting" // for other steps, or until RetryAt
	Ready     StepState = "ready"   // for a slot
	Running   StepState = "running"
	Succeeded StepState = "succeeded"
	Failed    StepState = "failed"
	Blocked   StepState = "blocked" // something it needs failed: Root
	Cancelled StepState = "cancelled"
)

// Ended says whether nothing more happens to a step, unless somebody asks for it again.
func (s StepState) Ended() bool { return s != Waiting && s != Ready && s != Running }

// Step is a durable unit of work. A build is a step of kind Build.
type Step struct {
	ID        int64
	Run       int64
	Project   int64
	Key       string // names it within its run
	Kind      Kind
	Target    string
	Package   string // NAME==VERSION, of builds
	Labels    string // that its worker must have: "NAME=VALUE,…", sorted
	Exclusive bool   // it has its worker to itself
	State     StepState
	Waiting   int64   // how many steps it still waits for
	Raised    int64   // 1: people want it before all others; -1: behind them
	Priority  float64 // the seconds expected from its start to the end of what waits for it
	Expected  float64 // the seconds expected of itself
	// Attempt is the fencing token: a result counts only from the holder of the current attempt.
	Attempt       int64
	Worker        int64  // that runs it, or ran it last; 0: none did
	Avoid         string // name of the worker where infrastructure failed last
	RetryAt       time.Time
	InfraFailures int64 // of the infrastructure, since somebody last asked for the step
	Losses        int64 // of workers, likewise
	CancelWanted  bool
	Created       time.Time
	ReadyAt       time.Time
	Started       time.Time
	Finished      time.Time
	Cause         string
	Root          string // of a blocked step: the package or key of what failed
	RootStep      int64
	Input         json.RawMessage
	Result        json.RawMessage

	lane int64
}

const stepColumns = "id, run, project, lane, step_key, kind, target, package, labels, exclusive, state, waiting, raised, priority, expected_seconds, attempt, worker, avoid, retry_at, infra_failures, losses, cancel_wanted, created, ready, started, finished, cause, root, root_step, input, result"

func scanStep(row scanner) (s Step, err error) {
	var input, result string
	err = row.Scan(&s.ID, &s.Run, &s.Project, &s.lane, &s.Key, &s.Kind, &s.Target, &s.Package, &s.Labels, &s.Exclusive, &s.State, &s.Waiting, &s.Raised, &s.Priority, &s.Expected, &s.Attempt, &s.Worker, &s.Avoid,
		timeColumn{&s.RetryAt}, &s.InfraFailures, &s.Losses, &s.CancelWanted, timeColumn{&s.Created}, timeColumn{&s.ReadyAt}, timeColumn{&s.Started}, timeColumn{&s.Finished}, &s.Cause, &s.Root, &s.RootStep, &input, &result)
	s.Input, s.Result = json.RawMessage(input), json.RawMessage(result)
	return s, err
}

// Name is what people call a step: its package, else its key.
func (s Step) Name() string {
	if s.Package != "" {
		return s.Package
	}
	return s.Key
}

// Step is ErrNotFound where there is none.
func (q Queries) Step(ctx context.Context, id int64) (Step, error) {
	return one(ctx, q, fmt.Sprintf("read step %d", id), scanStep, "SELECT "+stepColumns+" FROM steps s WHERE s.id = $1", id)
}

// notCheck leaves out what is no step of its run.
const notCheck = "kind <> 'check'"

// RunSteps are all steps of a run, the oldest first; no checks.
func (q Queries) RunSteps(ctx context.Context, run int64) ([]Step, error) {
	return many(ctx, q, fmt.Sprintf("read the steps of run %d", run), scanStep, "SELECT "+stepColumns+" FROM steps s WHERE s.run = $1 AND s."+notCheck+" ORDER BY s.id", run)
}

// Pending is what of a run has not begun.
type Pending struct {
	Ready, Waiting int     // builds
	Chain          float64 // seconds expected from the start of one of them to the end of all that waits for it, the longest
	Work           float64 // seconds expected of all of them
}

// RunProgress are the steps of a run that run or have ended, the oldest first, and in sum those that have not begun: of a large run that has just
// begun it reads a few instead of all. Of each step it gives ID, Run, Kind, Target, Package, State, Priority, Expected, Started, Finished and RootStep,
// and of a build that succeeded the Result, which says whether somebody had built it before.
func (q Queries) RunProgress(ctx context.Context, run int64) (begun []Step, p Pending, err error) {
	what := fmt.Sprintf("read how far run %d is", run)
	begun, err = many(ctx, q, what, func(row scanner) (s Step, err error) {
		var result string
		err = row.Scan(&s.ID, &s.Run, &s.Kind, &s.Target, &s.Package, &s.State, &s.Priority, &s.Expected, timeColumn{&s.Started}, timeColumn{&s.Finished}, &s.RootStep, &result)
		s.Result = json.RawMessage(result)
		return s, err
	}, `SELECT s.id, s.run, s.kind, s.target, s.package, s.state, s.priority, s.expected_seconds, s.started, s.finished, s.root_step,
			CASE WHEN s.state = 'succeeded' AND s.kind = 'build' THEN s.result ELSE '' END
		FROM steps s WHERE s.run = $1 AND s.state NOT IN ('waiting', 'ready') AND s.`+notCheck+` ORDER BY s.id`, run)
	if err != nil {
		return nil, p, err
	}
	p, err = one(ctx, q, what, func(row scanner) (p Pending, err error) {
		err = row.Scan(&p.Ready, &p.Waiting, &p.Chain, &p.Work)
		return p, err
	}, `SELECT COUNT(CASE WHEN s.state = 'ready' AND s.kind = 'build' THEN 1 END), COUNT(CASE WHEN s.state = 'waiting' AND s.kind = 'build' THEN 1 END),
			COALESCE(MAX(s.priority), 0), COALESCE(SUM(s.expected_seconds), 0)
		FROM steps s WHERE s.run = $1 AND s.state IN ('waiting', 'ready') AND s.`+notCheck, run)
	return begun, p, err
}

// RunFailures are the steps of a run that failed, the oldest first, and by step how many others it blocks: of a large run it reads a few instead
// of all.
func (q Queries) RunFailures(ctx context.Context, run int64) (failed []Step, blocks map[int64]int, err error) {
	what := fmt.Sprintf("read what failed in run %d", run)
	failed, err = many(ctx, q, what, scanStep, "SELECT "+stepColumns+" FROM steps s WHERE s.run = $1 AND s.state = 'failed' AND s."+notCheck+" ORDER BY s.id", run)
	if err != nil || len(failed) == 0 {
		return failed, nil, err
	}
	type blocked struct {
		root int64
		n    int
	}
	rows, err := many(ctx, q, what, func(row scanner) (b blocked, err error) {
		err = row.Scan(&b.root, &b.n)
		return b, err
	}, "SELECT s.root_step, COUNT(*) FROM steps s WHERE s.run = $1 AND s.state = 'blocked' AND s."+notCheck+" GROUP BY s.root_step", run)
	blocks = map[int64]int{}
	for _, b := range rows {
		blocks[b.root] = b.n
	}
	return failed, blocks, err
}

// Edge says that Step waits for Needs: for its success, or when Soft, for its end.
type Edge struct {
	Step, Needs int64
	Soft        bool
}

func scanEdge(row scanner) (e Edge, err error) {
	err = row.Scan(&e.Step, &e.Needs, &e.Soft)
	return e, err
}

// RunEdges are all edges of a run.
func (q Queries) RunEdges(ctx context.Context, run int64) ([]Edge, error) {
	return many(ctx, q, fmt.Sprintf("read the graph of run %d", run), scanEdge, "SELECT e.step, e.needs, e.soft FROM edges e JOIN steps s ON s.id = e.step WHERE s.run = $1 ORDER BY e.step, e.needs", run)
}

// Needs are the steps that a step waits for.
func (q Queries) Needs(ctx context.Context, step int64) ([]Step, error) {
	return many(ctx, q, "read what a step needs", scanStep, "SELECT "+stepColumns+" FROM edges e JOIN steps s ON s.id = e.needs WHERE e.step = $1 ORDER BY s.id", step)
}

// StepFilter chooses steps; a zero field chooses all.
type StepFilter struct {
	Project, Run int64
	Projects     []int64 // one of these
	Kinds        []Kind
	States       []StepState
	Target       string
	Package      string // NAME==VERSION, or NAME for every version
	Worker       int64
	// Finished between; steps that have not ended are then none.
	FinishedAfter, FinishedBefore time.Time
}

// Steps lists steps, builds with Kinds {Build}; sorted by id or package, and with one run also by
// expected, started or finished.
func (q Queries) Steps(ctx context.Context, f StepFilter, p Page) (Part[Step], error) {
	var w where
	if f.Run != 0 {
		w.add("s.run = ?", f.Run)
	}
	if f.Project != 0 {
		w.add("s.project = ?", f.Project)
	}
	in(&w, "s.project", f.Projects)
	in(&w, "s.kind", texts(f.Kinds))
	in(&w, "s.state", texts(f.States))
	if f.Target != "" {
		w.add("s.target = ?", f.Target)
	}
	if f.Worker != 0 {
		w.add("s.worker = ?", f.Worker)
	}
	if !f.FinishedAfter.IsZero() {
		w.add("s.finished >= ?", millis(f.FinishedAfter))
	}
	if !f.FinishedBefore.IsZero() {
		w.add("s.finished > 0 AND s.finished < ?", millis(f.FinishedBefore))
	}
	if f.Package != "" {
		w.addPackage("s.package", f.Package)
	}
	orders := map[string]order{"package": {"s.package", false}}
	if f.Run != 0 {
		orders["started"], orders["finished"] = order{"s.started", true}, order{"s.finished", true}
	}
	return listing[Step]{
		what: "list steps", query: "SELECT " + stepColumns + " FROM steps s", id: "s.id", scan: scanStep, orders: orders,
		key: func(s Step, sort string) (any, int64) {
			switch sort {
			case "started":
				return millis(s.Started), s.ID
			case "finished":
				return millis(s.Finished), s.ID
			}
			return s.Package, s.ID
		},
	}.page(ctx, q, w, p)
}

// addPackage wants a column to have one version of a package, or with a bare name every one.
func (w *where) addPackage(column, name string) {
	if strings.Contains(name, "==") {
		w.add(column+" = ?", name)
		return
	}
	w.add(column+" >= ?", name+"==")
	w.add(column+" < ?", name+"=>") // ">" is the character after "="
}

// Attempt is one try of a step, each with a log of its own.
type Attempt struct {
	Step           int64
	Attempt        int64
	Worker         int64
	WorkerName     string
	Log            string // its name among the blob.Logs
	State          StepState
	Cause          string
	Infrastructure bool // the machine failed, not the package
	Started        time.Time
	Finished       time.Time
}

// LogName is the name of an attempt's log among the blob.Logs.
func LogName(run, step, attempt int64) string {
	return fmt.Sprintf("runs/%d/%d.%d.log", run, step, attempt)
}

const attemptColumns = "a.step, a.attempt, a.worker, a.worker_name, a.log, a.state, a.cause, a.infrastructure, a.started, a.finished"

func scanAttempt(row scanner) (a Attempt, err error) {
	err = row.Scan(&a.Step, &a.Attempt, &a.Worker, &a.WorkerName, &a.Log, &a.State, &a.Cause, &a.Infrastructure, timeColumn{&a.Started}, timeColumn{&a.Finished})
	return a, err
}

// Attempts are a step's tries, the first one first.
func (q Queries) Attempts(ctx context.Context, step int64) ([]Attempt, error) {
	return many(ctx, q, "read a step's attempts", scanAttempt, "SELECT "+attemptColumns+" FROM attempts a WHERE a.step = $1 ORDER BY a.attempt", step)
}

// RunAttempts are the tries of all steps of a run, by step, the first one first.
func (q Queries) RunAttempts(ctx context.Context, run int64) ([]Attempt, error) {
	return many(ctx, q, fmt.Sprintf("read the attempts of run %d", run), scanAttempt, "SELECT "+attemptColumns+" FROM attempts a JOIN steps s ON s.id = a.step WHERE s.run = $1 AND s."+notCheck+" ORDER BY a.step, a.attempt", run)
}

// BuildTimes are how long builds of packages take, in seconds: of each the median of the last nine, of any version, on a
// target. Packages that no build of succeeded there yet are absent.
func (q Queries) BuildTimes(ctx context.Context, target string, packages []string) (map[string]float64, error) {
	type duration struct {
		name    string
		seconds float64
	}
	times := map[string]float64{}
	for part := range slices.Chunk(packages, most) {
		set, args := inList([]any{string(Build), target}, part)
		newest, err := many(ctx, q, "read durations", func(row scanner) (d duration, err error) {
			err = row.Scan(&d.name, &d.seconds)
			return d, err
		}, `SELECT package, seconds FROM (
			SELECT package, seconds, ROW_NUMBER() OVER (PARTITION BY package ORDER BY id DESC) AS place FROM durations WHERE kind = $1 AND target = $2 AND package IN `+set+`) d
			WHERE place <= 9 ORDER BY package, seconds`, args...)
		if err != nil {
			return nil, err
		}
		for len(newest) > 0 {
			n := 1
			for n < len(newest) && newest[n].name == newest[0].name {
				n++
			}
			times[newest[0].name] = (newest[(n-1)/2].seconds + newest[n/2].seconds) / 2
			newest = newest[n:]
		}
	}
	return times, nil
}

// packageName is the name of NAME==VERSION: durations are of packages, not versions.
func packageName(pkg string) string {
	for i := range pkg {
		if pkg[i] == '=' {
			return pkg[:i]
		}
	}
	return pkg
}

// Depth is how many steps of a kind are in a state.
type Depth struct {
	Kind  Kind
	State StepState
	Count int64
}

// QueueDepth counts the steps that have not ended.
func (q Queries) QueueDepth(ctx context.Context) ([]Depth, error) {
	return many(ctx, q, "count the steps", func(row scanner) (d Depth, err error) {
		err = row.Scan(&d.Kind, &d.State, &d.Count)
		return d, err
	}, "SELECT kind, state, COUNT(*) FROM steps WHERE state IN ('waiting', 'ready', 'running') GROUP BY kind, state ORDER BY kind, state")
}
