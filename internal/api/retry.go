package api

import (
	"context"
	"net/http"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// RetryPlan is what trying again means: these steps are done again.
type RetryPlan struct {
	DryRun bool   `json:"dry_run"`
	Steps  []Step `json:"steps"`
}

type retryOutput struct{ Body RetryPlan }

type retryRunInput struct {
	RunPath
	DryRun bool `query:"dry_run" doc:"say what would be done again, and do nothing"`
	Body   *struct {
		Scope string `json:"scope,omitempty" enum:"failed,all" default:"failed" doc:"what failed and what it blocked, or everything"`
	}
}

type retryBuildInput struct {
	StepPath
	DryRun bool `query:"dry_run" doc:"say what would be done again, and do nothing"`
	Body   *struct {
		Dependents bool `json:"dependents,omitempty" doc:"and whatever needs it, though that succeeded"`
	}
}

func (a *API) retryOperations() {
	register(a, operation{method: http.MethodPost, about: aboutRun, path: "/runs/{id}/retry", id: "retry-run", summary: "Try again what failed, or everything", role: auth.Builder, tag: "runs"}, a.retryRun)
	register(a, operation{method: http.MethodPost, about: aboutStep, path: "/builds/{id}/retry", id: "retry-build", summary: "Build again, with what it is blocked by", role: auth.Builder, tag: "builds"}, a.retryBuild)
}

func (a *API) retryRun(ctx context.Context, in *retryRunInput) (*retryOutput, error) {
	all := in.Body != nil && in.Body.Scope == "all"
	return a.retry(ctx, store.Retry{Run: in.ID, Failed: !all, All: all}, in.DryRun)
}

func (a *API) retryBuild(ctx context.Context, in *retryBuildInput) (*retryOutput, error) {
	s, err := a.cfg.Store.Step(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return a.retry(ctx, store.Retry{Run: s.Run, Steps: []int64{s.ID}, Dependents: in.Body != nil && in.Body.Dependents}, in.DryRun)
}

func (a *API) retry(ctx context.Context, r store.Retry, dry bool) (*retryOutput, error) {
	out := &retryOutput{RetryPlan{DryRun: dry, Steps: []Step{}}}
	add := func(steps []store.Step) {
		for _, s := range steps {
			v := stepView(s)
			v.Result = nil
			out.Body.Steps = append(out.Body.Steps, v)
		}
	}
	if dry {
		steps, err := a.cfg.Store.PlanRetry(ctx, r)
		add(steps)
		return out, err
	}
	who := auth.FromContext(ctx)
	return out, a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		run, err := tx.Run(ctx, r.Run)
		if err != nil {
			return err
		}
		steps, err := tx.Retry(ctx, r)
		if err != nil {
			return err
		}
		out.Body.Steps = []Step{}
		add(steps)
		return who.Audit(ctx, tx, auth.Change{Action: "run.retry", Project: run.Project, Detail: map[string]any{"run": run.ID, "steps": len(steps)}})
	})
}
