package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/service"
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
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Newest   string   `json:"newest" doc:"on the index"`
	Resolves string   `json:"resolves" doc:"the newest with which the whole has a solution; version when there is none newer"`
	HeldBy   []string `json:"held_by" nullable:"false" doc:"what keeps newest out, in words"`
}

// outdatedOf is what a check wrote of the packages that it found.
func outdatedOf(o store.Outdated) []OutdatedPackage {
	found := service.FoundOutdated(o)
	all := make([]OutdatedPackage, 0, len(found))
	for _, f := range found {
		v := OutdatedPackage{Name: f.Name, Version: f.Version, Newest: f.Newest, Resolves: f.Resolves, HeldBy: []string{}}
		for _, h := range f.HeldBy {
			v.HeldBy = append(v.HeldBy, h.String())
		}
		all = append(all, v)
	}
	return all
}

func (a *API) outdatedOperations() {
	register(a, operation{method: http.MethodGet, about: aboutProject, path: "/projects/{id}/outdated", id: "project-outdated", summary: "Newer versions of locked packages, as the update check found them last", role: auth.Viewer, tag: "projects"}, a.projectOutdated)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: "/projects/{id}/outdated/take", id: "take-newer", summary: "Have the project take no older versions than those that the update check proved to fit, and start a run", role: auth.Maintainer, tag: "projects"}, a.takeNewer)
}

func (a *API) projectOutdated(ctx context.Context, in *ProjectPath) (*listOf[Outdated], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	all, err := a.cfg.Store.OutdatedOf(ctx, p.ID)
	return newList(store.Part[store.Outdated]{Items: all}, func(o store.Outdated) Outdated {
		return Outdated{Target: o.Target, Run: o.Run, Packages: o.Packages, Outdated: outdatedOf(o), Problem: o.Problem, Checked: o.Checked}
	}), err
}

type takeNewerInput struct {
	ProjectPath
	DryRun bool `query:"dry_run" doc:"say what the project would say, and change nothing"`
	Body   struct {
		Packages []string `json:"packages,omitempty" minItems:"1" maxItems:"500" nullable:"false" doc:"as project-outdated has them"`
		All      bool     `json:"all,omitempty" doc:"in place of packages: every package that can take a newer version. Each was proven by itself, not with the others"`
	}
}

// TakenNewer is what comes of taking newer versions.
type TakenNewer struct {
	DryRun    bool               `json:"dry_run"`
	Versions  []service.Newer    `json:"versions" nullable:"false" doc:"the oldest that are taken from now on, each on its target"`
	Overrides []service.SaidText `json:"overrides" nullable:"false" doc:"what the project says of each package for that"`
	Run       *Run               `json:"run,omitempty" doc:"that begins with it; absent in a dry run"`
}

type takenNewerOutput struct{ Body TakenNewer }

func (a *API) takeNewer(ctx context.Context, in *takeNewerInput) (*takenNewerOutput, error) {
	if (len(in.Body.Packages) == 0) == !in.Body.All {
		return nil, invalid("packages", "either packages or all is needed")
	}
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	newer, err := service.NewerOf(ctx, a.cfg.Store.Queries, p.ID, in.Body.Packages...)
	if err != nil {
		return nil, err
	}
	for i, name := range in.Body.Packages {
		if !slices.ContainsFunc(newer, func(n service.Newer) bool { return n.Package == name }) {
			return nil, invalid(fmt.Sprintf("packages[%d]", i), "the last update check found nothing newer of %s that fits", name)
		}
	}
	if len(newer) == 0 {
		return nil, invalid("all", "the last update check found nothing newer that fits")
	}
	out := &takenNewerOutput{TakenNewer{DryRun: in.DryRun, Versions: newer}}
	if in.DryRun {
		out.Body.Overrides, err = service.SaidOfNewer(p, newer)
	} else {
		who := auth.FromContext(ctx)
		err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
			run, said, err := service.TakeNewer(ctx, tx, p.ID, newer, "newer versions, taken by "+who.String())
			if err != nil {
				return err
			}
			view := runView(run)
			out.Body.Overrides, out.Body.Run = said, &view
			return who.Audit(ctx, tx, auth.Change{Action: "outdated.take", Object: p.Name, Project: p.ID, Detail: map[string]any{"versions": newer}})
		})
	}
	if errors.Is(err, service.ErrOverride) {
		return nil, conflict("%v", err)
	}
	return out, err
}
