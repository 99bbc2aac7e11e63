package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Outdated is what the update check found of a project's set for one target.
type Outdated struct {
	Target   string            `json:"target"`
	Run      int64             `json:"run" doc:"whose lock was looked at"`
	Packages int64             `json:"packages" doc:"of the lock"`
	Outdated []OutdatedPackage `json:"outdated" nullable:"false" doc:"those with newer versions"`
	Problem  string            `json:"problem,omitempty" doc:"why it could not be checked"`
	Checked  time.Time         `json:"checked"`
}

// OutdatedPackage is a package with a newer version.
type OutdatedPackage struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Newest   string `json:"newest" doc:"on the index"`
	Resolves string `json:"resolves" doc:"the newest with which the whole has a solution; version when there is none newer"`
}

func (a *API) outdatedOperations() {
	register(a, operation{method: http.MethodGet, about: aboutProject, path: "/projects/{id}/outdated", id: "project-outdated", summary: "Newer versions of locked packages, as the update check found them last", role: auth.Viewer, tag: "projects"}, a.projectOutdated)
}

func (a *API) projectOutdated(ctx context.Context, in *ProjectPath) (*listOf[Outdated], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	all, err := a.cfg.Store.OutdatedOf(ctx, p.ID)
	return newList(store.Part[store.Outdated]{Items: all}, func(o store.Outdated) Outdated {
		v := Outdated{Target: o.Target, Run: o.Run, Packages: o.Packages, Outdated: []OutdatedPackage{}, Problem: o.Problem, Checked: o.Checked}
		_ = json.Unmarshal(o.Found, &v.Outdated) // what the check wrote itself
		return v
	}), err
}
