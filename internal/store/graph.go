package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// NewStep is a step to be added to a run.
type NewStep struct {
	Key       string
	Kind      Kind
	Target    string
	Package   string
	Labels    string // "NAME=VALUE,…", sorted
	Exclusive bool
	Expected  float64  // seconds
	Needs     []string // keys of steps that must succeed first, of this run or added with it
	After     []string // keys of steps that must end first, whatever becomes of them
	Input     json.RawMessage
}

// ErrGraph: steps that cannot be added.
var ErrGraph = errors.New("not a graph of steps")

// AddSteps adds steps to a run. A key that the run has already stays what it is, so that adding the same
// twice is well; a need that nobody has, or a circle, is ErrGraph. Steps of a run that is to be
// cancelled are cancelled ones. A run that had ended goes on.
func (tx *Tx) AddSteps(ctx context.Context, run int64, add []NewStep) error {
	r, err := tx.Run(ctx, run)
	if err != nil {
		return err
	}
	known, err := tx.stepsByKey(ctx, run)
	if err != nil {
		return err
	}
	add = slices.DeleteFunc(slices.Clone(add), func(n NewStep) bool { _, ok := known[n.Key]; return ok })
	if len(add) == 0 {
		return nil
	}
	priorities, err := priorities(add, known)
	if err != nil {
		return fmt.Errorf("add steps to run %d: %w", run, err)
	}
	steps := make([]Step, len(add))
	at := now()
	for i, n := range add {
		s := Step{Run: run, Project: r.Project, Key: n.Key, Kind: n.Kind, Target: n.Target, Package: n.Package, Labels: n.Labels, Exclusive: n.Exclusive,
			Expected: n.Expected, Priority: priorities[n.Key], State: Waiting, Created: at, Input: n.Input}
		s.start(n, known)
		if r.Behind != 0 && s.State == Ready {
			s.State, s.Waiting = Waiting, 1 // for another run's end: releaseBehind
		}
		switch {
		case r.CancelWanted:
			s.State, s.Finished, s.Cause = Cancelled, at, "the run was cancelled"
		case s.State == Ready:
			s.ReadyAt = at
		case s.State == Blocked:
			s.Finished = at
		}
		steps[i] = s
	}
	if err := tx.lanes(ctx, steps); err != nil {
		return err
	}
	ids, err := tx.insertSteps(ctx, run, steps)
	if err != nil {
		return err
	}
	for key, s := range known {
		ids[key] = s.ID
	}
	if err := tx.insertEdges(ctx, add, ids); err != nil {
		return err
	}
	// What waits for one that is blocked from the start is blocked with it.
	for _, s := range steps {
		if s.State == Blocked {
			s.ID = ids[s.Key]
			if err := tx.afterEnd(ctx, s); err != nil {
				return err
			}
		}
	}
	data, _ := json.Marshal(map[string]any{"added": len(steps)})
	if err := tx.AddEvent(ctx, Event{Kind: "steps", Project: r.Project, Run: run, Data: data}); err != nil {
		return err
	}
	if r.State.Ended() && !r.CancelWanted {
		return tx.reopenRun(ctx, run)
	}
	return tx.endRun(ctx, run)
}

func (tx *Tx) stepsByKey(ctx context.Context, run int64) (map[string]Step, error) {
	steps, err := many(ctx, tx.Queries, "read a run's steps", func(row scanner) (s Step, err error) {
		err = row.Scan(&s.ID, &s.Key, &s.Package, &s.State, &s.Root, &s.RootStep)
		return s, err
	}, "SELECT id, step_key, package, state, root, root_step FROM steps WHERE run = $1", run)
	known := map[string]Step{}
	for _, s := range steps {
		known[s.Key] = s
	}
	return known, err
}

// start gives a new step its first state, by the states of what it needs.
func (s *Step) start(n NewStep, known map[string]Step) {
	for _, key := range n.Needs {
		switch need, old := known[key]; {
		case !old || !need.State.Ended():
			s.Waiting++
		case need.State != Succeeded && s.Root == "":
			s.State, s.Root, s.RootStep = Blocked, need.Name(), need.ID
			if need.State == Blocked {
				s.Root, s.RootStep = need.Root, need.RootStep
			}
			s.Cause = "blocked by " + s.Root
		}
	}
	for _, key := range n.After {
		if need, old := known[key]; !old || !need.State.Ended() {
			s.Waiting++
		}
	}
	if s.State == Waiting && s.Waiting == 0 {
		s.State = Ready
	}
}

// priorities are the seconds expected from each new step's start to the end of what waits for it.
func priorities(add []NewStep, known map[string]Step) (map[string]float64, error) {
	children := map[string][]string{}
	left := map[string]int{} // children that have no priority yet
	expected := map[string]float64{}
	for _, n := range add {
		if _, twice := expected[n.Key]; twice || n.Key == "" {
			return nil, fmt.Errorf("%w: the key %q is there twice, or is none", ErrGraph, n.Key)
		}
		expected[n.Key] = n.Expected
	}
	for _, n := range add {
		needs := slices.Concat(n.Needs, n.After)
		slices.Sort(needs)
		if len(slices.Compact(slices.Clone(needs))) != len(needs) {
			return nil, fmt.Errorf("%w: %s needs the same step twice", ErrGraph, n.Key)
		}
		for _, need := range needs {
			if _, isNew := expected[need]; isNew {
				children[n.Key] = append(children[n.Key], need)
				left[need]++
			} else if _, old := known[need]; !old {
				return nil, fmt.Errorf("%w: %s needs %s, which is not there", ErrGraph, n.Key, need)
			}
		}
	}
	// From the ends backwards: a step has its priority when all that wait for it have theirs.
	var queue []string
	for _, n := range add {
		if left[n.Key] == 0 {
			queue = append(queue, n.Key)
		}
	}
	tail := map[string]float64{}
	for i := 0; i < len(queue); i++ {
		key := queue[i]
		tail[key] += expected[key]
		for _, need := range children[key] {
			tail[need] = max(tail[need], tail[key])
			if left[need]--; left[need] == 0 {
				queue = append(queue, need)
			}
		}
	}
	if len(queue) < len(add) {
		for _, n := range add {
			if left[n.Key] > 0 {
				return nil, fmt.Errorf("%w: %s waits for itself", ErrGraph, n.Key)
			}
		}
	}
	return tail, nil
}

// lanes gives each step its lane, made where there is none.
func (tx *Tx) lanes(ctx context.Context, steps []Step) error {
	type lane struct {
		kind           Kind
		target, labels string
	}
	ids := map[lane]int64{}
	for i := range steps {
		s := &steps[i]
		l := lane{s.Kind, s.Target, s.Labels}
		if ids[l] == 0 {
			_, err := tx.exec(ctx, "make a lane", "INSERT INTO lanes (project, kind, target, labels) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", s.Project, string(s.Kind), s.Target, s.Labels)
			if err != nil {
				return err
			}
			if ids[l], err = one(ctx, tx.Queries, "find a lane", value[int64], "SELECT id FROM lanes WHERE project = $1 AND kind = $2 AND target = $3 AND labels = $4", s.Project, string(s.Kind), s.Target, s.Labels); err != nil {
				return err
			}
		}
		s.lane = ids[l]
	}
	return nil
}

// rows is "(…), (…)" of n values each, with the arguments appended.
func rows[T any](items []T, values func(T) []any) (string, []any) {
	var args []any
	marks := make([]string, len(items))
	for i, item := range items {
		marks[i], args = inList(args, values(item))
	}
	return strings.Join(marks, ", "), args
}

func (tx *Tx) insertSteps(ctx context.Context, run int64, steps []Step) (map[string]int64, error) {
	ids := map[string]int64{}
	for part := range slices.Chunk(steps, most/29) {
		marks, args := rows(part, func(s Step) []any {
			return []any{run, s.Project, s.lane, s.Key, string(s.Kind), s.Target, s.Package, s.Labels, s.Exclusive, string(s.State), s.Waiting, s.Priority, s.Expected,
				0, 0, "", 0, 0, 0, false, millis(s.Created), millis(s.ReadyAt), 0, millis(s.Finished), s.Cause, s.Root, s.RootStep, object(s.Input), "{}"}
		})
		added, err := many(ctx, tx.Queries, fmt.Sprintf("add steps to run %d", run), func(row scanner) (s Step, err error) {
			err = row.Scan(&s.ID, &s.Key)
			return s, err
		}, "INSERT INTO steps (run, project, lane, step_key, kind, target, package, labels, exclusive, state, waiting, priority, expected_seconds, attempt, worker, avoid, retry_at, infra_failures, losses, cancel_wanted, created, ready, started, finished, cause, root, root_step, input, result) VALUES "+marks+" RETURNING id, step_key", args...)
		if err != nil {
			return nil, err
		}
		for _, s := range added {
			ids[s.Key] = s.ID
		}
	}
	return ids, nil
}

func (tx *Tx) insertEdges(ctx context.Context, add []NewStep, ids map[string]int64) error {
	var edges []Edge
	for _, n := range add {
		for _, need := range n.Needs {
			edges = append(edges, Edge{ids[n.Key], ids[need], false})
		}
		for _, need := range n.After {
			edges = append(edges, Edge{ids[n.Key], ids[need], true})
		}
	}
	for part := range slices.Chunk(edges, most/3) {
		marks, args := rows(part, func(e Edge) []any { return []any{e.Step, e.Needs, e.Soft} })
		if _, err := tx.exec(ctx, "add edges", "INSERT INTO edges (step, needs, soft) VALUES "+marks, args...); err != nil {
			return err
		}
	}
	return nil
}

// afterEnd does what follows from the end of a step: what it held up goes on, or is blocked.
func (tx *Tx) afterEnd(ctx context.Context, s Step) error {
	ended := []int64{s.ID}
	if s.State != Succeeded {
		root, rootStep := s.Name(), s.ID
		if s.State == Blocked {
			root, rootStep = s.Root, s.RootStep
		}
		blocked, err := many(ctx, tx.Queries, "block what waits for "+root, scanStep, `WITH RECURSIVE hit (id) AS (
				SELECT step FROM edges WHERE needs = $1 AND NOT soft
				UNION SELECT e.step FROM edges e JOIN hit ON e.needs = hit.id WHERE NOT e.soft)
			UPDATE steps AS s SET state = 'blocked', root = $2, root_step = $3, cause = $4, finished = $5, retry_at = 0
			WHERE s.state = 'waiting' AND s.id IN (SELECT id FROM hit) RETURNING `+stepColumns,
			s.ID, root, rootStep, "blocked by "+root, millis(now()))
		if err != nil {
			return err
		}
		if err := tx.stepEvents(ctx, blocked); err != nil {
			return err
		}
		for _, b := range blocked {
			ended = append(ended, b.ID)
		}
	}
	for part := range slices.Chunk(ended, most) {
		if err := tx.release(ctx, part, s.State == Succeeded); err != nil {
			return err
		}
	}
	return nil
}

// release counts down what waits for steps that have ended; after a failure only what waits for their end.
func (tx *Tx) release(ctx context.Context, ended []int64, succeeded bool) error {
	set, args := inList(nil, ended)
	soft := ""
	if !succeeded {
		soft = " AND soft"
	}
	args = append(args, millis(now()))
	at := fmt.Sprintf("$%d", len(args))
	// The state is compared so that its index is of no use: PostgreSQL, before it has counted a table that was filled just now, would read all that
	// waits (40 ms of 50,000 steps) instead of the few that have these ids.
	freed, err := many(ctx, tx.Queries, "release what waited", scanStep, `UPDATE steps AS s SET waiting = s.waiting - n.count,
			state = CASE WHEN s.waiting = n.count THEN 'ready' ELSE s.state END, ready = CASE WHEN s.waiting = n.count THEN `+at+` ELSE s.ready END
		FROM (SELECT step, COUNT(*) AS count FROM edges WHERE needs IN `+set+soft+` GROUP BY step) AS n
		WHERE s.id = n.step AND s.state || '' = 'waiting' RETURNING `+stepColumns, args...)
	if err != nil {
		return err
	}
	return tx.stepEvents(ctx, slices.DeleteFunc(freed, func(s Step) bool { return s.State != Ready }))
}

// stepEvents tells listeners the state of steps.
func (tx *Tx) stepEvents(ctx context.Context, steps []Step) error {
	at := millis(now())
	for part := range slices.Chunk(steps, most/6) {
		marks, args := rows(part, func(s Step) []any {
			data := map[string]any{"state": s.State, "kind": s.Kind, "key": s.Key, "attempt": s.Attempt}
			for name, text := range map[string]string{"target": s.Target, "package": s.Package, "cause": s.Cause, "root": s.Root} {
				if text != "" {
					data[name] = text
				}
			}
			text, _ := json.Marshal(data)
			return []any{at, "step", s.Project, s.Run, s.ID, string(text)}
		})
		if _, err := tx.exec(ctx, "tell what happened", "INSERT INTO events (at, kind, project, run, step, data) VALUES "+marks, args...); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) reopenRun(ctx context.Context, run int64) error {
	project, err := one(ctx, tx.Queries, "go on with a run", value[int64], "UPDATE runs SET state = 'running', finished = 0, cancel_wanted = FALSE WHERE id = $1 RETURNING project", run)
	if err != nil {
		return err
	}
	return tx.runEvent(ctx, project, run, RunRunning)
}

// endRun ends a run when none of its steps has anything left to do.
func (tx *Tx) endRun(ctx context.Context, run int64) error {
	open, err := one(ctx, tx.Queries, "look what is left of a run", value[bool], "SELECT EXISTS (SELECT 1 FROM steps WHERE run = $1 AND state IN ('waiting', 'ready', 'running') AND "+notCheck+")", run)
	if err != nil || open {
		return err
	}
	ended, err := many(ctx, tx.Queries, "end a run", scanRun, `UPDATE runs SET finished = $2, state = CASE
			WHEN EXISTS (SELECT 1 FROM steps WHERE run = $1 AND state = 'failed' AND `+notCheck+`) THEN 'failed'
			WHEN EXISTS (SELECT 1 FROM steps WHERE run = $1 AND state IN ('cancelled', 'blocked') AND `+notCheck+`) THEN 'cancelled'
			ELSE 'succeeded' END
		WHERE id = $1 AND finished = 0 RETURNING `+runColumns, run, millis(now()))
	if err != nil || len(ended) == 0 {
		return err
	}
	if err := tx.releaseBehind(ctx, run); err != nil {
		return err
	}
	if err := tx.notify(ctx, ended[0]); err != nil {
		return err
	}
	return tx.runEvent(ctx, ended[0].Project, run, ended[0].State)
}
