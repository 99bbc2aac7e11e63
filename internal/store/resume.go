package store

import (
	"context"
	"fmt"
	"slices"
)

// Resumed says what was stuck and goes on.
type Resumed struct {
	Queued  int // steps whose worker is no more
	Freed   int // steps that waited for nothing
	Blocked int // steps that waited for what has failed
	Ended   int // runs with nothing left to do
	// Empty are runs that have no steps, which the caller has to give them.
	Empty []Run
}

// Some says whether anything was stuck.
func (r Resumed) Some() bool { return r.Queued+r.Freed+r.Blocked+r.Ended+len(r.Empty) > 0 }

// open are the states of what has not ended.
const open = "('waiting', 'ready', 'running')"

// stuckSteps are steps of runs that go on, whose state does not fit those of their worker and of what they need.
const stuckSteps = "SELECT " + stepColumns + " FROM steps s WHERE s.run IN (SELECT r.id FROM runs r WHERE r.state IN ('queued', 'running') AND" +
	" NOT EXISTS (SELECT 1 FROM runs b WHERE b.id = r.behind AND b.state IN ('queued', 'running'))) AND (" +
	"s.state = 'running' AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = s.worker AND w.state <> 'gone')" +
	" OR s.state = 'waiting' AND s.retry_at = 0 AND (" +
	"EXISTS (SELECT 1 FROM edges e JOIN steps n ON n.id = e.needs WHERE e.step = s.id AND NOT e.soft AND n.state IN ('failed', 'blocked', 'cancelled'))" +
	" OR NOT EXISTS (SELECT 1 FROM edges e JOIN steps n ON n.id = e.needs WHERE e.step = s.id AND n.state IN " + open + ")))"

const stuckRuns = "SELECT " + runColumns + " FROM runs WHERE state IN ('queued', 'running') AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.run = runs.id AND s." + notCheck + " AND s.state IN " + open + ") ORDER BY id"

// Stuck says whether there is something for Resume. It keeps no writer waiting.
func (q Queries) Stuck(ctx context.Context) (bool, error) {
	steps, err := many(ctx, q, "look for stuck steps", scanStep, stuckSteps+" LIMIT 1")
	if err != nil || len(steps) > 0 {
		return err == nil, err
	}
	runs, err := many(ctx, q, "look for stuck runs", scanRun, stuckRuns+" LIMIT 1")
	return len(runs) > 0, err
}

// Resume has everything go on that nothing else would move. Each change of the graph is one transaction, so it should
// find nothing, ever; it is there because a team that waits for a run should not depend on that.
func (tx *Tx) Resume(ctx context.Context) (Resumed, error) {
	var r Resumed
	for { // what is blocked blocks others
		steps, err := many(ctx, tx.Queries, "look for stuck steps", scanStep, stuckSteps+" ORDER BY s.id")
		if err != nil {
			return r, err
		}
		if len(steps) == 0 {
			break
		}
		for _, s := range steps {
			if err := tx.resumeStep(ctx, s, &r); err != nil {
				return r, err
			}
		}
	}
	runs, err := many(ctx, tx.Queries, "look for stuck runs", scanRun, stuckRuns)
	if err != nil {
		return r, err
	}
	for _, run := range runs {
		steps, err := tx.RunSteps(ctx, run.ID)
		switch {
		case err != nil:
			return r, err
		case len(steps) == 0:
			r.Empty = append(r.Empty, run)
			continue
		}
		if err := tx.endRun(ctx, run.ID); err != nil {
			return r, err
		}
		r.Ended++
	}
	return r, nil
}

func (tx *Tx) resumeStep(ctx context.Context, s Step, r *Resumed) error {
	if s.State == Running {
		r.Queued++
		f := Finish{Step: s.ID, Attempt: s.Attempt, Worker: s.Worker, State: Failed, Infrastructure: true, Cause: "its worker is no more"}
		if s.CancelWanted {
			f.State = Cancelled
			_, err := tx.FinishStep(ctx, f)
			return err
		}
		s, err := tx.leave(ctx, f, Ready, 0)
		if err != nil {
			return err
		}
		return tx.stepEvents(ctx, []Step{s})
	}
	needs, err := many(ctx, tx.Queries, "read what a step needs", scanStep, "SELECT "+stepColumns+" FROM edges e JOIN steps s ON s.id = e.needs WHERE e.step = $1 AND NOT e.soft ORDER BY s.id", s.ID)
	if err != nil {
		return err
	}
	at := millis(now())
	i := slices.IndexFunc(needs, func(n Step) bool { return n.State.Ended() && n.State != Succeeded })
	if i < 0 {
		r.Freed++
		s, err = one(ctx, tx.Queries, "release what waited for nothing", scanStep, "UPDATE steps AS s SET state = 'ready', waiting = 0, ready = $2 WHERE s.id = $1 RETURNING "+stepColumns, s.ID, at)
	} else {
		r.Blocked++
		root, rootStep := needs[i].Name(), needs[i].ID
		if needs[i].State == Blocked {
			root, rootStep = needs[i].Root, needs[i].RootStep
		}
		s, err = one(ctx, tx.Queries, fmt.Sprintf("block what waited for %s", root), scanStep, "UPDATE steps AS s SET state = 'blocked', root = $2, root_step = $3, cause = $4, finished = $5 WHERE s.id = $1 RETURNING "+stepColumns,
			s.ID, root, rootStep, "blocked by "+root, at)
	}
	if err != nil {
		return err
	}
	return tx.stepEvents(ctx, []Step{s})
}
