package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Build is a package on a target in a run.
type Build struct {
	ID       int64           `json:"id"`
	Run      int64           `json:"run"`
	Project  int64           `json:"project"`
	Package  string          `json:"package" doc:"NAME==VERSION"`
	Target   string          `json:"target"`
	State    store.StepState `json:"state" enum:"waiting,ready,running,succeeded,failed,blocked,cancelled"`
	Attempt  int64           `json:"attempt"`
	Expected float64         `json:"expected_seconds"`
	Waiting  int64           `json:"waiting_for,omitempty" doc:"how many builds it waits for"`
	Worker   int64           `json:"worker,omitempty"`
	Cause    string          `json:"cause,omitempty"`
	Root     string          `json:"root,omitempty" doc:"of a blocked build: the package that failed"`
	Ready    *time.Time      `json:"ready,omitempty"`
	Started  *time.Time      `json:"started,omitempty"`
	Finished *time.Time      `json:"finished,omitempty"`
	RetryAt  *time.Time      `json:"retry_at,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
}

func buildView(s store.Step) Build {
	return Build{ID: s.ID, Run: s.Run, Project: s.Project, Package: s.Package, Target: s.Target, State: s.State, Attempt: s.Attempt, Expected: s.Expected, Waiting: s.Waiting,
		Worker: s.Worker, Cause: s.Cause, Root: s.Root, Ready: at(s.ReadyAt), Started: at(s.Started), Finished: at(s.Finished), RetryAt: at(s.RetryAt), Result: s.Result}
}

// Attempt is one try of a build.
type Attempt struct {
	Attempt        int64           `json:"attempt"`
	Worker         string          `json:"worker"`
	State          store.StepState `json:"state"`
	Cause          string          `json:"cause,omitempty"`
	Infrastructure bool            `json:"infrastructure" doc:"the machine failed, not the package"`
	Started        *time.Time      `json:"started,omitempty"`
	Finished       *time.Time      `json:"finished,omitempty"`
	Log            string          `json:"log,omitempty" doc:"where it is read"`
	LogRemoved     bool            `json:"log_removed,omitempty" doc:"the log was removed, as the settings say of logs that old"`
}

// StepPath names a step: builds are steps.
type StepPath struct {
	ID int64 `path:"id" minimum:"1"`
}

type buildOutput struct {
	Body struct {
		Build
		Attempts []Attempt `json:"attempts"`
	}
}

func (a *API) buildOperations() {
	register(a, operation{method: http.MethodGet, many: true, path: "/builds", id: "list-builds", summary: "List builds", role: auth.Viewer, tag: "builds", sorts: []string{"package", "started", "finished"}}, a.listBuilds)
	register(a, operation{method: http.MethodGet, about: aboutStep, path: "/builds/{id}", id: "get-build", summary: "One build with its attempts", role: auth.Viewer, tag: "builds"}, a.getBuild)
	register(a, operation{method: http.MethodPost, about: aboutStep, path: "/builds/{id}/cancel", id: "cancel-build", summary: "Cancel a build", role: auth.Builder, tag: "builds"}, a.cancelBuild)
	register(a, operation{method: http.MethodGet, about: aboutRun, path: "/runs/{id}/artifacts", id: "run-artifacts", summary: "Files of a run", role: auth.Viewer, tag: "artifacts", sorts: []string{"name"}}, a.runArtifacts)
}

type listBuildsInput struct {
	Page
	Project string    `query:"project" maxLength:"64" doc:"id or name"`
	Run     int64     `query:"run" minimum:"0" doc:"needed to sort by started or finished"`
	State   string    `query:"state" maxLength:"80" pattern:"^((waiting|ready|running|succeeded|failed|blocked|cancelled)(,(waiting|ready|running|succeeded|failed|blocked|cancelled))*)?$" doc:"several by comma"`
	Target  string    `query:"target" maxLength:"64"`
	Worker  int64     `query:"worker" minimum:"0" doc:"id of the worker that has it, or had it last"`
	After   time.Time `query:"after" doc:"ended at this time or later"`
	Before  time.Time `query:"before" doc:"ended before this time"`
	Package string    `query:"package" maxLength:"300" doc:"NAME==VERSION, or NAME for every version"`
}

func (a *API) listBuilds(ctx context.Context, in *listBuildsInput) (*listOf[Build], error) {
	project, err := a.maybeProject(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	if by := strings.TrimPrefix(in.Sort, "-"); in.Run == 0 && (by == "started" || by == "finished") {
		return nil, huma.Error422UnprocessableEntity("only the builds of one run are sorted by "+by+": give run", &huma.ErrorDetail{Location: "query.sort", Message: "needs run", Value: in.Sort})
	}
	filter := store.StepFilter{Project: project, Projects: a.visible(ctx, project), Run: in.Run, Kinds: []store.Kind{store.Build}, States: states[store.StepState](in.State), Target: in.Target, Package: in.Package, Worker: in.Worker, FinishedAfter: in.After, FinishedBefore: in.Before}
	part, err := a.cfg.Store.Steps(ctx, filter, in.store())
	if err != nil {
		return nil, err
	}
	return newList(part, buildView), nil
}

func (a *API) getBuild(ctx context.Context, in *StepPath) (*buildOutput, error) {
	s, err := a.cfg.Store.Step(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &buildOutput{}
	out.Body.Build, out.Body.Attempts = buildView(s), []Attempt{}
	attempts, err := a.cfg.Store.Attempts(ctx, in.ID)
	for _, t := range attempts {
		v := Attempt{Attempt: t.Attempt, Worker: t.WorkerName, State: t.State, Cause: t.Cause, Infrastructure: t.Infrastructure,
			Started: at(t.Started), Finished: at(t.Finished), Log: logPath(s.ID, t.Attempt)}
		if t.Log == "" {
			v.Log, v.LogRemoved = "", true
		}
		out.Body.Attempts = append(out.Body.Attempts, v)
	}
	return out, err
}

func (a *API) cancelBuild(ctx context.Context, in *StepPath) (*buildOutput, error) {
	if err := a.endBuild(ctx, in.ID); err != nil {
		return nil, err
	}
	return a.getBuild(ctx, in)
}

// endBuild cancels a build; one that has ended stays as it is.
func (a *API) endBuild(ctx context.Context, id int64) error {
	who := auth.FromContext(ctx)
	return a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		s, err := tx.Step(ctx, id)
		if err != nil || s.State.Ended() {
			return err
		}
		if err := tx.CancelStep(ctx, id, "cancelled by "+who.String()); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "build.cancel", Object: s.Name(), Project: s.Project, Detail: map[string]any{"build": s.ID}})
	})
}

// Artifact is a file that a run made.
type Artifact struct {
	ID     int64  `json:"id"`
	Build  int64  `json:"build"`
	Kind   string `json:"kind" enum:"rpm,srpm,spec,log,manifest"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
	Path   string `json:"path"`
}

type runArtifactsInput struct {
	RunPath
	Page
	Kind string `query:"kind" maxLength:"60" pattern:"^((rpm|srpm|spec|log|manifest)(,(rpm|srpm|spec|log|manifest))*)?$" doc:"several by comma"`
}

func (a *API) runArtifacts(ctx context.Context, in *runArtifactsInput) (*listOf[Artifact], error) {
	part, err := a.cfg.Store.Artifacts(ctx, store.ArtifactFilter{Run: in.ID, Kinds: states[string](in.Kind)}, in.store())
	if err != nil {
		return nil, err
	}
	return newList(part, artifactView), nil
}
