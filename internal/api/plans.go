package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/service"
)

// Plans that are looked at before anything is saved. The server makes them in the background and keeps them for an hour, for whoever
// asked; nothing of them is in the database.

func (a *API) planOperations() {
	const path = "/plan-previews"
	register(a, operation{method: http.MethodPost, path: path, id: "preview-plan", summary: "Make the plan of a project that there is not yet; ask for it until it is done", role: auth.Maintainer, status: http.StatusAccepted, tag: "projects",
		errors: []int{http.StatusTooManyRequests}, unkeyed: true}, a.previewPlan)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: "/projects/{id}" + path, id: "preview-project-plan", summary: "Make the plan of a project as it is, or as it would be with other fields", role: auth.Maintainer, status: http.StatusAccepted, tag: "projects",
		errors: []int{http.StatusTooManyRequests}, unkeyed: true}, a.previewProjectPlan)
	register(a, operation{method: http.MethodGet, many: true, path: path + "/{preview}", id: "get-plan-preview", summary: "A plan that was asked for, as far as it is", role: auth.Maintainer, tag: "projects"}, a.getPlanPreview)
	register(a, operation{method: http.MethodDelete, many: true, path: path + "/{preview}", id: "cancel-plan-preview", summary: "Stop making a plan", role: auth.Maintainer, status: http.StatusNoContent, tag: "projects"}, a.cancelPlanPreview)
}

// Plan is the preview of a plan, as far as it is.
type Plan = service.PlanView

type planOutput struct{ Body Plan }

// PlanFields are what a project that there is not yet is planned for.
type PlanFields struct {
	GitURL           string           `json:"git_url" minLength:"1" maxLength:"2000"`
	Ref              string           `json:"ref,omitempty" maxLength:"255" doc:"branch, tag or commit; absent: the repository's default branch"`
	RequirementFiles []string         `json:"requirement_files,omitempty" maxItems:"100" nullable:"false" doc:"absent: those that are found"`
	Targets          []string         `json:"targets,omitempty" minItems:"1" maxItems:"12" nullable:"false" doc:"absent: the default_targets of the server's settings"`
	Settings         service.Settings `json:"settings,omitempty"`
}

type previewPlanInput struct{ Body PlanFields }

func (a *API) previewPlan(ctx context.Context, in *previewPlanInput) (*planOutput, error) {
	sub := service.Subject{GitURL: in.Body.GitURL, Ref: in.Body.Ref, Files: in.Body.RequirementFiles, Settings: in.Body.Settings}
	if len(in.Body.Targets) == 0 {
		now, err := a.cfg.Settings.Read(ctx, a.cfg.Store.Queries)
		if err != nil {
			return nil, err
		}
		in.Body.Targets = now.DefaultTargets
	}
	return a.startPreview(ctx, sub, in.Body.Targets)
}

type previewProjectInput struct {
	ProjectPath
	Body struct {
		Ref              *string           `json:"ref,omitempty" maxLength:"255"`
		RequirementFiles *[]string         `json:"requirement_files,omitempty" maxItems:"100"`
		Targets          *[]string         `json:"targets,omitempty" minItems:"1" maxItems:"12"`
		Settings         *service.Settings `json:"settings,omitempty" doc:"in place of all that the project has, as changing it would have them"`
		Overrides        map[string]string `json:"overrides,omitempty" doc:"by package, in place of what the settings say of it; an empty text: nothing"`
	}
}

func (a *API) previewProjectPlan(ctx context.Context, in *previewProjectInput) (*planOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	sub := service.Subject{Project: p.Name, GitURL: p.GitURL, Ref: p.Ref, Files: p.RequirementFiles, Settings: projectView(p).Settings}
	set(&sub.Ref, in.Body.Ref)
	set(&sub.Files, in.Body.RequirementFiles)
	set(&sub.Settings, in.Body.Settings)
	if _, err := service.ReadOverrides(in.Body.Overrides); err != nil {
		return nil, invalid("overrides", "%v", err)
	}
	said := map[string]string{}
	maps.Copy(said, sub.Settings.Overrides)
	maps.Copy(said, in.Body.Overrides)
	sub.Settings.Overrides = said
	set(&p.Targets, in.Body.Targets)
	if sub.Secrets, err = a.cfg.Vault.ProjectSecrets(ctx, a.cfg.Store.Queries, p.ID); err != nil {
		return nil, err
	}
	return a.startPreview(ctx, sub, p.Targets)
}

func (a *API) startPreview(ctx context.Context, sub service.Subject, targets []string) (*planOutput, error) {
	if err := a.cfg.Projects.Check(ctx, sub, targets); err != nil {
		return nil, invalid("", "%v", withoutSecrets(err, sub.Secrets))
	}
	preview, err := a.cfg.Plans.Start(service.PlanAsk{Owner: auth.FromContext(ctx).Key(), Subject: sub, Targets: targets})
	if errors.Is(err, service.ErrPreviewsFull) {
		return nil, huma.ErrorWithHeaders(huma.Error429TooManyRequests(err.Error()), http.Header{"Retry-After": {"60"}})
	}
	if err != nil {
		return nil, invalid("targets", "%v", err)
	}
	return &planOutput{preview.View()}, nil
}

// PreviewPath names a preview.
type PreviewPath struct {
	Preview string `path:"preview" maxLength:"64" pattern:"^[A-Z0-9]+$" doc:"id of the preview"`
}

type getPlanPreviewInput struct {
	PreviewPath
	Wait int `query:"wait" minimum:"0" maximum:"20" doc:"seconds to wait for the end, when it has not ended"`
}

func (a *API) getPlanPreview(ctx context.Context, in *getPlanPreviewInput) (*planOutput, error) {
	preview, err := a.cfg.Plans.Get(auth.FromContext(ctx).Key(), in.Preview)
	if err != nil {
		return nil, err
	}
	preview.Watch(ctx)
	end := time.After(time.Duration(in.Wait) * time.Second)
	for {
		changed := preview.Changed()
		view := preview.View()
		if view.Finished != nil {
			return &planOutput{view}, nil
		}
		select {
		case <-changed:
		case <-end:
			return &planOutput{view}, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (a *API) cancelPlanPreview(ctx context.Context, in *PreviewPath) (*struct{}, error) {
	preview, err := a.cfg.Plans.Get(auth.FromContext(ctx).Key(), in.Preview)
	if err != nil {
		return nil, err
	}
	preview.Cancel()
	return nil, nil
}
