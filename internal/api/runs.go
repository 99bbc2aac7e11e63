package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Run is a run as answers have it.
type Run struct {
	ID       int64          `json:"id"`
	Project  int64          `json:"project"`
	Number   int64          `json:"number"`
	Commit   string         `json:"commit,omitempty"`
	Ref      string         `json:"ref,omitempty"`
	Targets  []string       `json:"targets"`
	State    store.RunState `json:"state" enum:"queued,running,succeeded,failed,cancelled"`
	Reason   string         `json:"reason"`
	Message  string         `json:"message,omitempty"`
	Behind   int64          `json:"behind,omitempty" doc:"the run that must end before this one begins"`
	Pinned   bool           `json:"pinned,omitempty" doc:"retention leaves it alone"`
	Created  time.Time      `json:"created"`
	Started  *time.Time     `json:"started,omitempty"`
	Finished *time.Time     `json:"finished,omitempty"`
	// Builds counts the builds by state.
	Builds map[store.StepState]int `json:"builds,omitempty"`
}

func runView(r store.Run) Run {
	return Run{ID: r.ID, Project: r.Project, Number: r.Number, Commit: r.Commit, Ref: r.Ref, Targets: r.Targets, State: r.State, Reason: r.Reason, Message: r.Message, Behind: r.Behind, Pinned: r.Pinned,
		Created: r.Created, Started: at(r.Started), Finished: at(r.Finished)}
}

// Step is one step of a run that is no build.
type Step struct {
	ID       int64           `json:"id"`
	Key      string          `json:"key"`
	Kind     store.Kind      `json:"kind"`
	Target   string          `json:"target,omitempty"`
	State    store.StepState `json:"state"`
	Attempt  int64           `json:"attempt"`
	Cause    string          `json:"cause,omitempty"`
	Root     string          `json:"root,omitempty"`
	Started  *time.Time      `json:"started,omitempty"`
	Finished *time.Time      `json:"finished,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
}

func stepView(s store.Step) Step {
	return Step{ID: s.ID, Key: s.Key, Kind: s.Kind, Target: s.Target, State: s.State, Attempt: s.Attempt, Cause: s.Cause, Root: s.Root,
		Started: at(s.Started), Finished: at(s.Finished), Result: s.Result}
}

type RunPath struct {
	ID int64 `path:"id" minimum:"1"`
}

type runOutput struct {
	Status int
	Body   struct {
		Run
		Steps []Step `json:"steps,omitempty"`
	}
}

func (a *API) runOperations() {
	register(a, operation{method: http.MethodGet, many: true, path: "/runs", id: "list-runs", summary: "List runs, newest first", role: auth.Viewer, tag: "runs", sorts: []string{"created", "finished"}}, a.listRuns)
	register(a, operation{method: http.MethodGet, about: aboutRun, path: "/runs/{id}", id: "get-run", summary: "One run with its steps", role: auth.Viewer, tag: "runs"}, a.getRun)
	register(a, operation{method: http.MethodPost, about: aboutRun, path: "/runs/{id}/cancel", id: "cancel-run", summary: "Cancel a run", role: auth.Builder, tag: "runs"}, a.cancelRun)
	register(a, operation{method: http.MethodPut, about: aboutRun, path: "/runs/{id}/pin", id: "pin-run", summary: "Keep a run, whatever retention says, or leave it to retention again", role: auth.Maintainer, tag: "runs"}, a.pinRun)
}

type pinRunInput struct {
	RunPath
	Body struct {
		Pinned bool `json:"pinned"`
	}
}

func (a *API) pinRun(ctx context.Context, in *pinRunInput) (*runOutput, error) {
	who := auth.FromContext(ctx)
	err := a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		r, err := tx.PinRun(ctx, in.ID, in.Body.Pinned)
		if err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "run.pin", Object: fmt.Sprintf("run %d", r.Number), Project: r.Project, Detail: map[string]any{"run": r.ID, "pinned": in.Body.Pinned}})
	})
	if err != nil {
		return nil, err
	}
	return a.showRun(ctx, in.ID, http.StatusOK)
}

type listRunsInput struct {
	Page
	Project string    `query:"project" maxLength:"64" doc:"id or name"`
	Ref     string    `query:"ref" maxLength:"255"`
	After   time.Time `query:"after" doc:"created at this time or later"`
	Before  time.Time `query:"before" doc:"created before this time"`
	Number  int64     `query:"number" minimum:"0" doc:"of the run within its project"`
	State   string    `query:"state" maxLength:"80" pattern:"^((queued|running|succeeded|failed|cancelled)(,(queued|running|succeeded|failed|cancelled))*)?$" doc:"several by comma"`
}

// maybeProject is 0 where no project is named.
func (a *API) maybeProject(ctx context.Context, name string) (int64, error) {
	if name == "" {
		return 0, nil
	}
	p, err := a.project(ctx, name)
	if err == nil && auth.FromContext(ctx).In(p.ID) < auth.Viewer {
		err = store.ErrNotFound
	}
	return p.ID, err
}

func (a *API) listRuns(ctx context.Context, in *listRunsInput) (*listOf[Run], error) {
	project, err := a.maybeProject(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	filter := store.RunFilter{Project: project, Projects: a.visible(ctx, project), Ref: in.Ref, CreatedAfter: in.After, CreatedBefore: in.Before, Number: in.Number, States: states[store.RunState](in.State)}
	part, err := a.cfg.Store.Runs(ctx, filter, in.store())
	if err != nil {
		return nil, err
	}
	out := newList(part, runView)
	return out, a.count(ctx, out.Body.Items)
}

// visible are the projects whose things a list may show: nil for all.
func (a *API) visible(ctx context.Context, project int64) []int64 {
	who := auth.FromContext(ctx)
	if all, ids := who.Projects(auth.Viewer); project == 0 && !all {
		return ids
	}
	return nil
}

// count fills in how many builds are in which state.
func (a *API) count(ctx context.Context, runs []Run) error {
	ids := make([]int64, 0, len(runs))
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	counts, err := a.cfg.Store.StepCounts(ctx, store.Build, ids)
	for i := range runs {
		runs[i].Builds = counts[runs[i].ID]
	}
	return err
}

func (a *API) getRun(ctx context.Context, in *RunPath) (*runOutput, error) {
	return a.showRun(ctx, in.ID, http.StatusOK)
}

func (a *API) showRun(ctx context.Context, id int64, status int) (*runOutput, error) {
	r, err := a.cfg.Store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &runOutput{Status: status}
	runs := []Run{runView(r)}
	if err := a.count(ctx, runs); err != nil {
		return nil, err
	}
	out.Body.Run = runs[0]
	steps, err := a.cfg.Store.RunSteps(ctx, id)
	for _, s := range steps {
		if s.Kind != store.Build {
			out.Body.Steps = append(out.Body.Steps, stepView(s))
		}
	}
	return out, err
}

type startRunInput struct {
	ProjectPath
	Body *struct {
		Ref     string   `json:"ref,omitempty" maxLength:"255" doc:"absent: the project's"`
		Targets []string `json:"targets,omitempty" maxItems:"40" nullable:"false" doc:"absent: the project's"`
		Refresh bool     `json:"refresh,omitempty" doc:"build everything again"`
	}
}

func (a *API) startRun(ctx context.Context, in *startRunInput) (*runOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	var want struct {
		Ref     string
		Targets []string
		Refresh bool
	}
	if in.Body != nil {
		want.Ref, want.Targets, want.Refresh = in.Body.Ref, in.Body.Targets, in.Body.Refresh
	}
	if len(want.Targets) > 0 || want.Ref != "" {
		f := ProjectFields{Name: p.Name, GitURL: p.GitURL, Ref: want.Ref, RequirementFiles: p.RequirementFiles, Targets: p.Targets, Settings: projectView(p).Settings}
		if len(want.Targets) > 0 {
			f.Targets = want.Targets
		}
		if err := a.check(ctx, f); err != nil {
			return nil, err
		}
	}
	who := auth.FromContext(ctx)
	var run store.Run
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if run, err = service.StartRun(ctx, tx, p, service.NewRun{Ref: want.Ref, Targets: want.Targets, Options: service.RunOptions{Refresh: want.Refresh}, Reason: "asked by " + who.String()}); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "run.start", Object: p.Name, Project: p.ID, Detail: map[string]any{"run": run.ID}})
	})
	if err != nil {
		return nil, err
	}
	return a.showRun(ctx, run.ID, http.StatusCreated)
}

func (a *API) cancelRun(ctx context.Context, in *RunPath) (*runOutput, error) {
	if err := a.endRun(ctx, in.ID); err != nil {
		return nil, err
	}
	return a.showRun(ctx, in.ID, http.StatusOK)
}

// endRun cancels a run; one that has ended stays as it is.
func (a *API) endRun(ctx context.Context, id int64) error {
	who := auth.FromContext(ctx)
	return a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		r, err := tx.Run(ctx, id)
		if err != nil || r.State.Ended() {
			return err
		}
		if err := tx.CancelRun(ctx, id, "cancelled by "+who.String()); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "run.cancel", Project: r.Project, Detail: map[string]any{"run": r.ID}})
	})
}
