package store

import (
	"context"
	"fmt"
)

// Retry says which steps of a run are to be done again.
type Retry struct {
	Run        int64
	Steps      []int64 // these; one that is blocked brings what it is blocked by
	Failed     bool    // every step that failed or was cancelled
	All        bool    // every step
	Dependents bool    // and whatever needs one of them, though it succeeded
}

// graph is a run in memory.
type graph struct {
	steps    map[int64]*Step
	order    []int64
	needs    map[int64][]Edge // by Step
	neededBy map[int64][]Edge // by Needs
}

func (q Queries) graph(ctx context.Context, run int64) (graph, error) {
	g := graph{steps: map[int64]*Step{}, needs: map[int64][]Edge{}, neededBy: map[int64][]Edge{}}
	steps, err := q.RunSteps(ctx, run)
	if err != nil {
		return g, err
	}
	edges, err := q.RunEdges(ctx, run)
	if err != nil {
		return g, err
	}
	for i, s := range steps {
		g.steps[s.ID] = &steps[i]
		g.order = append(g.order, s.ID)
	}
	for _, e := range edges {
		g.needs[e.Step] = append(g.needs[e.Step], e)
		g.neededBy[e.Needs] = append(g.neededBy[e.Needs], e)
	}
	return g, nil
}

// missed says whether a step ended without what hard edges wait for.
func missed(s StepState) bool { return s == Failed || s == Cancelled || s == Blocked }

// again are the steps that r means, and those that follow from it.
func (g graph) again(r Retry) (map[int64]bool, error) {
	set := map[int64]bool{}
	var queue []int64
	add := func(id int64) {
		if !set[id] && g.steps[id].State.Ended() {
			set[id] = true
			queue = append(queue, id)
		}
	}
	for _, id := range r.Steps {
		if g.steps[id] == nil {
			return nil, fmt.Errorf("step %d of run %d: %w", id, r.Run, ErrNotFound)
		}
		add(id)
	}
	for _, id := range g.order {
		if state := g.steps[id].State; r.All || r.Failed && (state == Failed || state == Cancelled) {
			add(id)
		}
	}
	chosen := map[int64]bool{}
	for id := range set {
		chosen[id] = true
	}
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		for _, e := range g.neededBy[id] {
			if r.Dependents || !e.Soft && g.steps[e.Step].State == Blocked {
				add(e.Step)
			}
		}
		if chosen[id] && g.steps[id].State == Blocked {
			for _, e := range g.needs[id] {
				if !e.Soft && missed(g.steps[e.Needs].State) {
					add(e.Needs)
					chosen[e.Needs] = set[e.Needs]
				}
			}
		}
	}
	// What is blocked by something else too, which is not done again, stays blocked.
	for changed := true; changed; {
		changed = false
		for id := range set {
			for _, e := range g.needs[id] {
				if !e.Soft && missed(g.steps[e.Needs].State) && !set[e.Needs] && g.steps[id].State == Blocked {
					delete(set, id)
					changed = true
					break
				}
			}
		}
	}
	return set, nil
}

// PlanRetry says which steps Retry would do again, and changes nothing.
func (q Queries) PlanRetry(ctx context.Context, r Retry) ([]Step, error) {
	g, err := q.graph(ctx, r.Run)
	if err != nil {
		return nil, err
	}
	set, err := g.again(r)
	if err != nil {
		return nil, err
	}
	steps := []Step{}
	for _, id := range g.order {
		if set[id] {
			steps = append(steps, *g.steps[id])
		}
	}
	return steps, nil
}

// Retry queues steps that have ended again, and goes on with their run. Earlier attempts stay, with their logs.
// It returns the steps as they are then; none is no error.
func (tx *Tx) Retry(ctx context.Context, r Retry) ([]Step, error) {
	g, err := tx.graph(ctx, r.Run)
	if err != nil {
		return nil, err
	}
	set, err := g.again(r)
	if err != nil || len(set) == 0 {
		return nil, err
	}
	if err := tx.reopenRun(ctx, r.Run); err != nil {
		return nil, err
	}
	var changed []Step
	for _, id := range g.order {
		s := g.steps[id]
		waiting, held := int64(0), int64(0)
		for _, e := range g.needs[id] {
			need := g.steps[e.Needs]
			if set[e.Needs] || !need.State.Ended() {
				waiting++
			}
			if set[e.Needs] && (e.Soft || need.State == Succeeded) {
				held++ // it had been counted down for this one
			}
		}
		switch {
		case set[id]:
			state, ready := Waiting, int64(0)
			if waiting == 0 {
				state, ready = Ready, millis(now())
			}
			again, err := one(ctx, tx.Queries, "queue a step again", scanStep, `UPDATE steps SET state = $2, waiting = $3, ready = $4, infra_failures = 0, losses = 0, avoid = '', retry_at = 0,
				cancel_wanted = FALSE, cause = '', root = '', root_step = 0, finished = 0 WHERE id = $1 RETURNING `+stepColumns, id, string(state), waiting, ready)
			if err != nil {
				return nil, err
			}
			changed = append(changed, again)
		case r.Dependents && held > 0 && (s.State == Waiting || s.State == Ready):
			// It has not begun: it waits for them again.
			if _, err := tx.exec(ctx, "have a step wait again", "UPDATE steps SET state = 'waiting', waiting = waiting + $2 WHERE id = $1", id, held); err != nil {
				return nil, err
			}
		}
	}
	return changed, tx.stepEvents(ctx, changed)
}
