package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Queue is what decides which step is begun next, as it is at one moment.
type Queue struct {
	Paused  bool
	Running []Step // without Input and Result, as all here
	// Ready and Waiting are those that ClaimStep would look at first; there may be more.
	Ready, Waiting []Step
	Needs          []Edge // of the waiting ones, to what has not ended
	Workers        []Worker
	Limits         []Limit
	Depth          []Depth // of all
}

// queueColumns are stepColumns without what is long.
var queueColumns = strings.TrimSuffix(stepColumns, "input, result") + "'{}', '{}'"

// queued chooses the unfinished by an index, which wants the kinds.
const queued = " WHERE s.kind IN ('build', 'checkout', 'analyze', 'resolve', 'specs', 'plan', 'publish', 'verify') AND s.state = "

// claimOrder is how ClaimStep goes through the steps of a project.
const claimOrder = " ORDER BY s.raised DESC, s.priority DESC, s.id"

// Queue reads the queue: of what is ready and of what waits, the first limit steps each.
func (q Queries) Queue(ctx context.Context, limit int) (all Queue, err error) {
	paused, err := q.Setting(ctx, SettingPaused)
	if err != nil {
		return all, err
	}
	all.Paused = paused == "true"
	if all.Running, err = many(ctx, q, "read what runs", scanStep, "SELECT "+queueColumns+" FROM steps s WHERE s.state = 'running' ORDER BY s.started, s.id"); err != nil {
		return all, err
	}
	for state, into := range map[StepState]*[]Step{Ready: &all.Ready, Waiting: &all.Waiting} {
		if *into, err = many(ctx, q, "read the queue", scanStep, fmt.Sprintf("SELECT %s FROM steps s%s$1%s LIMIT %d", queueColumns, queued, claimOrder, limit), string(state)); err != nil {
			return all, err
		}
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
	all.Depth, err = q.QueueDepth(ctx)
	return all, err
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
