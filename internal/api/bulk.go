package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Number is an id in a list of them.
type Number int64

// Schema implements huma.SchemaProvider: tags of a list say nothing about what is in it.
func (Number) Schema(huma.Registry) *huma.Schema {
	one, most := 1.0, float64(mostNumber)
	s := &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &one, Maximum: &most}
	s.PrecomputeMessages()
	return s
}

// BulkItem is what became of one of many.
type BulkItem struct {
	ID     int64  `json:"id"`
	Status int    `json:"status" doc:"as if it had been asked for by itself: 200, 403, 404, …"`
	Detail string `json:"detail,omitempty"`
	Steps  int    `json:"steps" doc:"how many steps are cancelled or done again; of builds of one run, at the first"`
}

type bulkOutput struct {
	Body struct {
		DryRun bool       `json:"dry_run"`
		Failed int        `json:"failed" doc:"items whose status is not 200"`
		Items  []BulkItem `json:"items"`
	}
}

func (a *API) bulkOperations() {
	register(a, operation{method: http.MethodPost, many: true, path: "/runs/bulk", id: "bulk-runs", summary: "Cancel or retry many runs", role: auth.Builder, tag: "runs"}, a.bulkRuns)
	register(a, operation{method: http.MethodPost, many: true, path: "/builds/bulk", id: "bulk-builds", summary: "Cancel or retry many builds", role: auth.Builder, tag: "builds"}, a.bulkBuilds)
}

type bulkRunsInput struct {
	DryRun bool `query:"dry_run" doc:"say what would be done, and do nothing"`
	Body   struct {
		Action  string   `json:"action" enum:"cancel,retry"`
		IDs     []Number `json:"ids,omitempty" maxItems:"500"`
		Project string   `json:"project,omitempty" maxLength:"64" doc:"in place of ids: the project's runs that have not ended; only to cancel them"`
		Scope   string   `json:"scope,omitempty" enum:"failed,all" default:"failed" doc:"of a retry: what failed and what it blocked, or everything"`
	}
}

func (a *API) bulkRuns(ctx context.Context, in *bulkRunsInput) (*bulkOutput, error) {
	ids := in.Body.IDs
	switch {
	case (len(ids) == 0) == (in.Body.Project == ""):
		return nil, invalid("ids", "either ids or a project is needed")
	case in.Body.Project != "" && in.Body.Action != "cancel":
		return nil, invalid("project", "runs to be tried again are named one by one")
	case in.Body.Project != "":
		var err error
		if ids, err = a.openRuns(ctx, in.Body.Project); err != nil {
			return nil, err
		}
	}
	return a.bulk(ctx, ids, in.DryRun, func(id int64) (int, string, error) {
		run, err := a.cfg.Store.Run(ctx, id)
		if err == nil {
			err = a.allow(ctx, auth.Builder, func(context.Context, *API, string) (int64, error) { return run.Project, nil }, false, "")
		}
		if err != nil {
			return 0, "", err
		}
		if in.Body.Action == "retry" {
			plan, err := a.retry(ctx, store.Retry{Run: id, Failed: in.Body.Scope != "all", All: in.Body.Scope == "all"}, in.DryRun)
			if err != nil {
				return 0, "", err
			}
			return len(plan.Body.Steps), "", nil
		}
		if run.State.Ended() {
			return 0, "it has ended", nil
		}
		steps, err := a.cfg.Store.RunSteps(ctx, id)
		if err != nil {
			return 0, "", err
		}
		open := len(slices.DeleteFunc(steps, func(s store.Step) bool { return s.State.Ended() }))
		if !in.DryRun {
			err = a.endRun(ctx, id)
		}
		return open, "", err
	})
}

// openRuns are the runs of a project that have not ended, of which 500 are cancelled in one go.
func (a *API) openRuns(ctx context.Context, name string) ([]Number, error) {
	project, err := a.maybeProject(ctx, name)
	if err == nil {
		err = auth.Allowed(auth.FromContext(ctx), auth.Builder, project)
	}
	if err != nil {
		return nil, err
	}
	part, err := a.cfg.Store.Runs(ctx, store.RunFilter{Project: project, States: []store.RunState{store.RunQueued, store.RunRunning}}, store.Page{Limit: 500})
	ids := make([]Number, 0, len(part.Items))
	for _, run := range part.Items {
		ids = append(ids, Number(run.ID))
	}
	return ids, err
}

type bulkBuildsInput struct {
	DryRun bool `query:"dry_run" doc:"say what would be done, and do nothing"`
	Body   struct {
		Action     string   `json:"action" enum:"cancel,retry"`
		IDs        []Number `json:"ids" minItems:"1" maxItems:"500"`
		Dependents bool     `json:"dependents,omitempty" doc:"of a retry: and whatever needs them, though that succeeded"`
	}
}

func (a *API) bulkBuilds(ctx context.Context, in *bulkBuildsInput) (*bulkOutput, error) {
	builds, errs := map[int64]store.Step{}, map[int64]error{}
	runs := map[int64][]int64{}
	for _, number := range in.Body.IDs {
		id := int64(number)
		s, err := a.cfg.Store.Step(ctx, id)
		if err == nil {
			err = a.allow(ctx, auth.Builder, func(context.Context, *API, string) (int64, error) { return s.Project, nil }, false, "")
		}
		if err != nil {
			errs[id] = err
			continue
		}
		if _, twice := builds[id]; !twice {
			builds[id], runs[s.Run] = s, append(runs[s.Run], id)
		}
	}
	done := map[int64]error{} // by run
	return a.bulk(ctx, in.Body.IDs, in.DryRun, func(id int64) (int, string, error) {
		s := builds[id]
		err, again := done[s.Run]
		switch {
		case errs[id] != nil:
			return 0, "", errs[id]
		case in.Body.Action == "retry" && !s.State.Ended():
			return 0, "it has not ended", nil
		case in.Body.Action == "retry" && again:
			return 0, "", err // with the first of its run
		case in.Body.Action == "retry":
			var plan *retryOutput
			plan, err := a.retry(ctx, store.Retry{Run: s.Run, Steps: runs[s.Run], Dependents: in.Body.Dependents}, in.DryRun)
			done[s.Run] = err
			if err != nil {
				return 0, "", err
			}
			return len(plan.Body.Steps), "", nil
		case s.State.Ended():
			return 0, "it has ended", nil
		case in.DryRun:
			return 1, "", nil
		}
		return 1, "", a.endBuild(ctx, id)
	})
}

// bulk does something to each of many, and says of each what became of it. One that fails holds up no other.
func (a *API) bulk(ctx context.Context, ids []Number, dry bool, do func(id int64) (steps int, detail string, err error)) (*bulkOutput, error) {
	out := &bulkOutput{}
	out.Body.DryRun, out.Body.Items = dry, make([]BulkItem, 0, len(ids))
	seen := map[int64]bool{}
	for _, number := range ids {
		id := int64(number)
		if seen[id] {
			continue
		}
		seen[id] = true
		item := BulkItem{ID: id, Status: http.StatusOK}
		var err error
		if item.Steps, item.Detail, err = do(id); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			problem, ok := errors.AsType[huma.StatusError](a.problem(ctx, err))
			if !ok {
				return nil, err
			}
			item.Steps, item.Status, item.Detail = 0, problem.GetStatus(), problem.Error()
			out.Body.Failed++
		}
		out.Body.Items = append(out.Body.Items, item)
	}
	return out, nil
}
