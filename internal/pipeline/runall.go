package pipeline

import (
	"context"
	"sync"
	"time"
)

// Ending is how a run ended on one target.
type Ending struct {
	Summary Summary
	Err     error // as Run has it, and what Answer.Err is
}

// RunAll is Run for several targets, one pipeline each, all of them with the same index client, the
// same Pool and builders that share one: every package on every target is a build of its own, and the
// most urgent of all goes first. What goes wrong on one target stops no other. The targets are planned one
// after the other, so that each finds in the caches what was learned of the same archives before it,
// while what is planned is built already. An error that no target has alone is returned; else there is an
// ending for each.
func RunAll(ctx context.Context, pipelines []*Pipeline, req Request) ([]Ending, error) {
	started := time.Now()
	answers, err := PrepareAll(ctx, pipelines, req)
	if err != nil {
		return nil, pipelines[0].explainDisk(err)
	}
	endings := make([]Ending, len(pipelines))
	var group sync.WaitGroup
	for i, p := range pipelines {
		end := &endings[i]
		finish := func(err error) {
			end.Err, end.Summary.Seconds = p.explainDisk(err), time.Since(started).Seconds()
		}
		var work *Work
		var err error
		if end.Summary, work, err = p.planRun(ctx, answers[i].Prepared, started, answers[i].Err); err != nil {
			finish(err)
			continue
		}
		group.Go(func() { finish(p.carryOut(ctx, req, answers[i].Prepared, work, &end.Summary)) })
	}
	group.Wait()
	return endings, nil
}

// PlanAll is PrepareAll and Plan for each target that could be resolved; works are nil where that, or the
// plan itself, failed, which Err of the answer says.
func PlanAll(ctx context.Context, pipelines []*Pipeline, req Request) ([]Answer, []*Work, error) {
	answers, err := PrepareAll(ctx, pipelines, req)
	if err != nil {
		return nil, nil, err
	}
	works := make([]*Work, len(pipelines))
	for i, p := range pipelines {
		if answers[i].Err == nil {
			works[i], answers[i].Err = p.Plan(ctx, answers[i].Prepared.Lock)
		}
	}
	return answers, works, ctx.Err()
}
