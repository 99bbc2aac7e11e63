package api

import (
	"context"
	"fmt"
	"net/http"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Hit is something that a search found.
type Hit struct {
	Kind        store.HitKind `json:"kind" enum:"project,package,run,build,rpm,repository,worker,user"`
	ID          int64         `json:"id" doc:"of a package that of its newest build, of an RPM that of the build that made it"`
	Name        string        `json:"name" doc:"of a build NAME==VERSION, of a repository its channel, of a run its project and number"`
	Project     int64         `json:"project,omitempty" doc:"absent: of none"`
	ProjectName string        `json:"project_name,omitempty"`
	Number      int64         `json:"number,omitempty" doc:"of a run, within its project"`
	Target      string        `json:"target,omitempty"`
	State       string        `json:"state,omitempty" doc:"of a run or build, of a package that of its newest build, of a worker"`
	Commit      string        `json:"commit,omitempty" doc:"of a run"`
	Detail      string        `json:"detail,omitempty" doc:"of a project its Git address, of a package its newest version, of a worker its host, of a user the role"`
}

func (a *API) findOperations() {
	register(a, operation{method: http.MethodGet, many: true, path: "/search", id: "search", summary: "Projects, packages, runs, builds, RPMs, repositories, workers and users that have a text in their names, of what one may see", role: auth.Viewer, tag: "operation"}, a.find)
}

type findInput struct {
	Text  string `query:"q" required:"true" minLength:"1" maxLength:"200" doc:"part of a name; 'flask 3.0' is a package and the beginning of a version, 'shop 12' a project and the number of a run; RPMs and commits by their beginnings, of commits four letters or more"`
	Limit int    `query:"limit" minimum:"1" maximum:"50" default:"10" doc:"of each kind at most"`
}

type findOutput struct {
	Body struct {
		Items []Hit `json:"items" doc:"by kind, in each what begins with the text before what has it somewhere"`
	}
}

func (a *API) find(ctx context.Context, in *findInput) (*findOutput, error) {
	hits, err := a.cfg.Store.Search(ctx, auth.FromContext(ctx).Search(in.Text, in.Limit))
	if err != nil {
		return nil, err
	}
	out := &findOutput{}
	out.Body.Items = make([]Hit, 0, len(hits))
	for _, h := range hits {
		out.Body.Items = append(out.Body.Items, hitView(h))
	}
	return out, nil
}

func hitView(h store.Hit) Hit {
	out := Hit{Kind: h.Kind, ID: h.ID, Name: h.Name, Project: h.Project, ProjectName: h.ProjectName, Number: h.Number, Target: h.Target, State: h.State, Commit: h.Commit, Detail: h.Detail}
	if h.Kind == store.HitRun {
		out.Name = fmt.Sprintf("%s %d", h.ProjectName, h.Number)
	}
	return out
}
