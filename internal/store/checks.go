package store

import (
	"context"
	"fmt"
)

// mostChecks is how many checks of a project may be open at once.
const mostChecks = 4

// AddCheck queues a check of a spec file, beside the steps of the run by whose plan it goes: whatever becomes of it, the run stays as it
// is, ended or not, and it is none of RunSteps. It ends with the run, though: cancelled with it, deleted with it. n.Key need
// not be set. ErrConflict where the project has four checks that have not ended.
func (tx *Tx) AddCheck(ctx context.Context, run int64, n NewStep) (Step, error) {
	r, err := tx.Run(ctx, run)
	if err != nil {
		return Step{}, err
	}
	what := fmt.Sprintf("check a spec by run %d", run)
	open, err := one(ctx, tx.Queries, what, value[int64], "SELECT COUNT(*) FROM steps WHERE project = $1 AND kind = 'check' AND state IN "+open, r.Project)
	if err != nil {
		return Step{}, err
	}
	if open >= mostChecks {
		return Step{}, fmt.Errorf("%d checks of the project have not ended, wait for them or cancel one: %w", open, ErrConflict)
	}
	number, err := one(ctx, tx.Queries, what, value[int64], "SELECT COUNT(*) + 1 FROM steps WHERE run = $1 AND kind = 'check'", run)
	if err != nil {
		return Step{}, err
	}
	at := now()
	s := []Step{{Run: run, Project: r.Project, Key: fmt.Sprintf("check %s %s #%d", n.Target, n.Package, number), Kind: Check, Target: n.Target, Package: n.Package, Labels: n.Labels,
		Expected: n.Expected, Priority: n.Expected, State: Ready, Created: at, ReadyAt: at, Input: n.Input}}
	if err := tx.lanes(ctx, s); err != nil {
		return Step{}, err
	}
	ids, err := tx.insertSteps(ctx, run, s)
	if err != nil {
		return Step{}, err
	}
	s[0].ID = ids[s[0].Key]
	return s[0], tx.stepEvents(ctx, s)
}
