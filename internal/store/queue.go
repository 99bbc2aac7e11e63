package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Queue is what decides which step is begun next, as it is at one moment.
type Queue struct {
	Paused bool
	// Running and the others have what names them and what the order depends on: no times of their past, no results.
	Running []Step
	// Ready and Waiting are those that ClaimStep would look at first; there may be more.
	Ready, Waiting []Step
	Needs          []Edge // of the waiting ones, to what has not ended
	Workers        []Worker
	Limits         []Limit
	Behind         int64 // how many there are besides Ready and Waiting
}

// queueColumns are what the order depends on, and what names a step: a third of what stepColumns cost with a thousand rows.
const queueColumns = "id, run, project, lane, step_key, kind, target, package, labels, exclusive, state, raised, priority, expected_seconds, worker, retry_at, started"

func scanQueued(row scanner) (s Step, err error) {
	err = row.Scan(&s.ID, &s.Run, &s.Project, &s.lane, &s.Key, &s.Kind, &s.Target, &s.Package, &s.Labels, &s.Exclusive, &s.State, &s.Raised, &s.Priority, &s.Expected, &s.Worker, timeColumn{&s.RetryAt}, timeColumn{&s.Started})
	return s, err
}

// filledLanes walks from lane to lane in the index of what is ready, or of what waits, however many steps are in each. The state is
// written into the statement: an index of one state alone is not used for a state that is known only later. Each lane is at least 0: without
// that being said SQLite takes an index of kinds and states for the first lane, and reads all that waits.
func filledLanes(state StepState) string {
	return fmt.Sprintf(`filled (at) AS (
			SELECT MIN(lane) FROM steps WHERE state = '%[1]s' AND lane >= 0
			UNION ALL SELECT (SELECT MIN(s.lane) FROM steps s WHERE s.state = '%[1]s' AND s.lane > filled.at) FROM filled WHERE filled.at IS NOT NULL)`, state)
}

// front reads the first steps of each lane in a state, limit of all lanes together or a few more, in the order of claims; more says whether
// there may be others behind them. Each project has its own there: whoever has nothing running is served before the longest path of others.
func (q Queries) front(ctx context.Context, state StepState, limit int) (all []Step, more bool, err error) {
	filled := "WITH RECURSIVE " + filledLanes(state)
	lanes, err := one(ctx, q, "look where the queue is", value[int], filled+" SELECT COUNT(at) FROM filled")
	if err != nil || lanes == 0 {
		return nil, false, err
	}
	each := (limit + lanes - 1) / lanes
	first := fmt.Sprintf("FROM steps s WHERE s.state = '%s' AND s.lane = filled.at ORDER BY s.raised DESC, s.priority DESC, s.id LIMIT %d", state, each)
	all, err = many(ctx, q, "read the queue", scanQueued, fmt.Sprintf("%s SELECT %s FROM filled CROSS JOIN %s", filled, queueColumns, fmt.Sprintf(q.dialect.ofEach, first)))
	if err != nil {
		return nil, false, err
	}
	count := map[int64]int{}
	for _, s := range all {
		count[s.lane]++
		more = more || count[s.lane] == each
	}
	slices.SortFunc(all, func(a, b Step) int {
		return cmp.Or(cmp.Compare(b.Raised, a.Raised), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
	})
	return all, more, nil
}

// Queue reads the queue: of what is ready and of what waits, about the first limit steps each.
func (q Queries) Queue(ctx context.Context, limit int) (all Queue, err error) {
	paused, err := q.Setting(ctx, SettingPaused)
	if err != nil {
		return all, err
	}
	all.Paused = paused == "true"
	if all.Running, err = many(ctx, q, "read what runs", scanQueued, "SELECT "+queueColumns+" FROM steps s WHERE s.state = 'running' ORDER BY s.started, s.id"); err != nil {
		return all, err
	}
	more := false
	for state, into := range map[StepState]*[]Step{Ready: &all.Ready, Waiting: &all.Waiting} {
		steps, behind, err := q.front(ctx, state, limit)
		if err != nil {
			return all, err
		}
		*into, more = steps, more || behind
	}
	for part := range slices.Chunk(all.Waiting, most) {
		ids := make([]int64, len(part))
		for i, s := range part {
			ids[i] = s.ID
		}
		set, args := inList(nil, ids)
		needs, err := many(ctx, q, "read what the queue waits for", scanEdge,
			"SELECT e.step, e.needs, e.soft FROM edges e JOIN steps n ON n.id = e.needs WHERE e.step IN "+set+" AND n.state IN ('waiting', 'ready', 'running') ORDER BY e.step, e.needs", args...)
		if err != nil {
			return all, err
		}
		all.Needs = append(all.Needs, needs...)
	}
	if all.Workers, err = q.LivingWorkers(ctx); err != nil {
		return all, err
	}
	if all.Limits, err = q.Limits(ctx); err != nil {
		return all, err
	}
	if more {
		all.Behind, err = q.queued(ctx)
		all.Behind = max(0, all.Behind-int64(len(all.Ready)+len(all.Waiting))) // the two are read one after the other
	}
	return all, err
}

// RunningSteps are what workers have now, the oldest first, with what names each of them; no checks.
func (q Queries) RunningSteps(ctx context.Context) ([]Step, error) {
	return many(ctx, q, "read what runs", scanQueued, "SELECT "+queueColumns+" FROM steps s WHERE s.state = 'running' AND s.worker > 0 AND s."+notCheck+" ORDER BY s.id")
}

// queued counts what is ready and what waits, in a thirtieth of the time of QueueDepth: in the index of each state.
func (q Queries) queued(ctx context.Context) (int64, error) {
	return one(ctx, q, "count the queue", value[int64], "SELECT (SELECT COUNT(*) FROM steps WHERE state = 'ready' AND lane >= 0) + (SELECT COUNT(*) FROM steps WHERE state = 'waiting' AND lane >= 0)")
}

// RaiseStep moves a step in the queue: to 1 before all others, of all projects, to -1 behind them, to 0 where its turn
// is. What it waits for comes with it to the front. ErrConflict: it runs, or has ended.
func (tx *Tx) RaiseStep(ctx context.Context, id, to int64) error {
	what := fmt.Sprintf("move step %d in the queue", id)
	s, err := tx.Step(ctx, id)
	if err != nil {
		return err
	}
	if s.State != Ready && s.State != Waiting {
		return fmt.Errorf("%s: %w: it is %s", what, ErrConflict, s.State)
	}
	before := "SELECT CAST($2 AS BIGINT)"
	if to > 0 {
		before += " UNION SELECT e.needs FROM edges e JOIN moved m ON e.step = m.id JOIN steps n ON n.id = e.needs WHERE n.state IN ('waiting', 'ready')"
	}
	moved, err := many(ctx, tx.Queries, what, scanStep, "WITH RECURSIVE moved (id) AS ("+before+`)
		UPDATE steps AS s SET raised = $1 WHERE s.id IN (SELECT id FROM moved) AND s.state IN ('waiting', 'ready') RETURNING `+stepColumns, to, id)
	if err != nil {
		return err
	}
	return tx.stepEvents(ctx, moved)
}
