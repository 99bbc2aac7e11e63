package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// SpecCheck is a spec file that a worker looks at in the build root of its target, before it is saved.
type SpecCheck struct {
	ID       int64                 `json:"id" doc:"of a step: its log is /steps/ID/log"`
	Run      int64                 `json:"run" doc:"by whose plan it goes"`
	Target   string                `json:"target"`
	Package  string                `json:"package"`
	Build    bool                  `json:"build" doc:"it is built once, too; the result is thrown away"`
	State    store.StepState       `json:"state" enum:"waiting,ready,running,succeeded,failed,blocked,cancelled" doc:"succeeded: it was looked at, and ok says how it is; failed: it could not be"`
	Cause    string                `json:"cause,omitempty" doc:"why it could not be looked at"`
	OK       *bool                 `json:"ok,omitempty" doc:"nothing failed; absent before its end"`
	Findings []service.SpecFinding `json:"findings" nullable:"false"`
	Created  time.Time             `json:"created"`
	Started  *time.Time            `json:"started,omitempty"`
	Finished *time.Time            `json:"finished,omitempty"`
}

func specCheckView(s store.Step, build bool) (SpecCheck, error) {
	c := SpecCheck{ID: s.ID, Run: s.Run, Target: s.Target, Package: s.Package, Build: build, State: s.State, Cause: s.Cause, Findings: []service.SpecFinding{}, Created: s.Created, Started: at(s.Started), Finished: at(s.Finished)}
	result, err := service.CheckResult(s)
	if err != nil || s.State != store.Succeeded {
		return c, err
	}
	c.OK = &result.OK
	c.Findings = append(c.Findings, result.Findings...)
	return c, nil
}

// CheckPath names a check of a project.
type CheckPath struct {
	ProjectPath
	Check int64 `path:"check" minimum:"1" doc:"id of the check"`
}

func (a *API) specCheckOperations() {
	const path = "/projects/{id}/spec-checks"
	register(a, operation{method: http.MethodPost, about: aboutProject, path: path, id: "check-spec", summary: "Have a worker look at a spec file in the build root, before it is saved", role: auth.Maintainer, tag: "specs", status: http.StatusAccepted}, a.checkSpec)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path + "/{check}", id: "read-spec-check", summary: "How a check goes, and what it found", role: auth.Viewer, tag: "specs"}, a.readSpecCheck)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: path + "/{check}/cancel", id: "cancel-spec-check", summary: "Cancel a check", role: auth.Maintainer, tag: "specs"}, a.cancelSpecCheck)
}

type checkSpecInput struct {
	ProjectPath
	Body struct {
		SpecPlace
		Text  string `json:"text" minLength:"1" maxLength:"262144" doc:"the spec file, at most 256 KiB of UTF-8"`
		Build bool   `json:"build,omitempty" doc:"build it once, too: nothing of it is kept or published"`
	}
}

type specCheckOutput struct{ Body SpecCheck }

func (a *API) checkSpec(ctx context.Context, in *checkSpecInput) (*specCheckOutput, error) {
	e, err := a.edit(ctx, in.ID, in.Body.Target, SpecChange{})
	if err != nil {
		return nil, err
	}
	e.Package, e.Text = in.Body.Package, in.Body.Text
	step, err := service.StartCheck(ctx, a.cfg.Store, a.cfg.Blobs, service.NewCheck{SpecEdit: e, Build: in.Body.Build}, func(tx *store.Tx, s store.Step) error {
		return auth.FromContext(ctx).Audit(ctx, tx, auth.Change{Action: "spec.check", Object: s.Package, Project: s.Project, Detail: map[string]any{"target": s.Target, "check": s.ID, "build": in.Body.Build}})
	})
	if errors.Is(err, service.ErrNoPlan) {
		return nil, conflict("%v", err)
	}
	if err != nil {
		return nil, specProblem(err)
	}
	v, err := specCheckView(step, in.Body.Build)
	return &specCheckOutput{v}, err
}

// specCheck is a check of a project.
func (a *API) specCheck(ctx context.Context, in *CheckPath) (*specCheckOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	c, err := service.CheckOf(ctx, a.cfg.Store.Queries, a.cfg.Blobs, p.ID, in.Check)
	if err != nil {
		return nil, err
	}
	v, err := specCheckView(c.Step, c.Build)
	return &specCheckOutput{v}, err
}

func (a *API) readSpecCheck(ctx context.Context, in *CheckPath) (*specCheckOutput, error) {
	return a.specCheck(ctx, in)
}

func (a *API) cancelSpecCheck(ctx context.Context, in *CheckPath) (*specCheckOutput, error) {
	if _, err := a.specCheck(ctx, in); err != nil {
		return nil, err
	}
	if err := a.endBuild(ctx, in.Check); err != nil {
		return nil, err
	}
	return a.specCheck(ctx, in)
}
