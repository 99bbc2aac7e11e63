package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"reqpm/internal/auth"
	"reqpm/internal/repo"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Snapshots of published repositories: what there is, and which one clients get.

// Snapshot is one of them.
type Snapshot = service.Snapshot

// Change is a package that two snapshots do not have alike.
type Change = repo.Change

// RepositoryPath names a repository of a project.
type RepositoryPath struct {
	ProjectPath
	Repository int64 `path:"repository" minimum:"1" doc:"id of the repository"`
}

type rollBackInput struct {
	RepositoryPath
	DryRun bool `query:"dry_run" doc:"say what clients would get, and do nothing"`
	Body   struct {
		Snapshot string `json:"snapshot,omitempty" minLength:"20" maxLength:"20" pattern:"^[0-9a-f]{20}$" doc:"absent: the one that was published before the current one"`
	}
}

// SwitchedRepository is a repository after its snapshot was chosen, or as it would be.
type SwitchedRepository struct {
	DryRun     bool       `json:"dry_run"`
	Repository Repository `json:"repository"`
	Snapshot   Snapshot   `json:"snapshot" doc:"that clients get"`
	Changes    []Change   `json:"changes,omitempty" doc:"with dry_run: packages that clients would get otherwise than now"`
}

type switchedOutput struct{ Body SwitchedRepository }

func (a *API) snapshotOperations() {
	const path = "/projects/{id}/repositories/{repository}"
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path + "/snapshots", id: "list-snapshots", summary: "Snapshots of a repository that are there, the one that was published last first", role: auth.Viewer, tag: "repositories"}, a.listSnapshots)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: path + "/rollback", id: "roll-back", summary: "Have clients get an earlier snapshot, whatever is published, until it is unpinned", role: auth.Maintainer, tag: "repositories"}, a.rollBack)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: path + "/unpin", id: "unpin-repository", summary: "Have clients get what was published last, and what is published from now on", role: auth.Maintainer, tag: "repositories"}, a.unpin)
}

// repository is one of a project: nobody reaches another's by its number.
func (a *API) repository(ctx context.Context, in RepositoryPath) (store.Project, store.Repository, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return p, store.Repository{}, err
	}
	all, err := a.cfg.Store.Repositories(ctx, p.ID)
	if err != nil {
		return p, store.Repository{}, err
	}
	for _, r := range all {
		if r.ID == in.Repository {
			return p, r, nil
		}
	}
	return p, store.Repository{}, fmt.Errorf("repository %d of %s: %w", in.Repository, p.Name, store.ErrNotFound)
}

func (a *API) listSnapshots(ctx context.Context, in *RepositoryPath) (*listOf[Snapshot], error) {
	p, r, err := a.repository(ctx, *in)
	if err != nil {
		return nil, err
	}
	all, err := a.cfg.Repositories.Snapshots(ctx, p, r)
	return newList(store.Part[Snapshot]{Items: all}, func(s Snapshot) Snapshot { return s }), err
}

// errNoEarlier is 409 where there is nothing to roll back to.
func errNoEarlier(p store.Project, r store.Repository) error {
	return conflict("%s/%s of %s has no earlier snapshot", r.Channel, r.Target, p.Name)
}

func (a *API) rollBack(ctx context.Context, in *rollBackInput) (*switchedOutput, error) {
	p, r, err := a.repository(ctx, in.RepositoryPath)
	if err != nil {
		return nil, err
	}
	all, err := a.cfg.Repositories.Snapshots(ctx, p, r)
	if err != nil {
		return nil, err
	}
	chosen, was := -1, ""
	for i, s := range all {
		if s.Current {
			was = s.ID
			if in.Body.Snapshot == "" && i+1 < len(all) {
				chosen = i + 1
			}
		}
		if s.ID == in.Body.Snapshot {
			chosen = i
		}
	}
	switch {
	case chosen < 0 && in.Body.Snapshot == "":
		return nil, errNoEarlier(p, r)
	case chosen < 0:
		return nil, invalid("snapshot", "%s/%s of %s has no snapshot %s any more", r.Channel, r.Target, p.Name, in.Body.Snapshot)
	}
	out := &switchedOutput{SwitchedRepository{DryRun: in.DryRun, Repository: repositoryView(p, r), Snapshot: all[chosen]}}
	if in.DryRun {
		out.Body.Changes, err = a.cfg.Repositories.Changes(ctx, p, r, all[chosen].ID)
		return out, unusable(err, all[chosen].ID)
	}
	who := auth.FromContext(ctx)
	r, err = a.cfg.Repositories.RollBack(ctx, p, r, all[chosen].ID, who.String(), a.noteSwitch(ctx, "repository.roll-back", p, r, was, all[chosen].ID))
	if err != nil {
		return nil, unusable(err, all[chosen].ID)
	}
	out.Body.Repository, out.Body.Snapshot.Current, out.Body.Snapshot.Pinned = repositoryView(p, r), true, true
	return out, nil
}

// unusable is 409 where a publication has removed the snapshot meanwhile, or somebody has changed its files.
func unusable(err error, snapshot string) error {
	switch {
	case errors.Is(err, repo.ErrNoSnapshot):
		return conflict("the snapshot %s was removed just now", snapshot)
	case errors.Is(err, repo.ErrDamaged):
		return conflict("the snapshot %s is not as it was written; clients get what they got before", snapshot)
	}
	return err
}

func (a *API) unpin(ctx context.Context, in *RepositoryPath) (*switchedOutput, error) {
	p, r, err := a.repository(ctx, *in)
	if err != nil {
		return nil, err
	}
	all, err := a.cfg.Repositories.Snapshots(ctx, p, r)
	if err != nil {
		return nil, err
	}
	was, last := "", ""
	for i, s := range all {
		if i == 0 {
			last = s.ID
		}
		if s.Current {
			was = s.ID
		}
	}
	r, err = a.cfg.Repositories.Unpin(ctx, p, r, auth.FromContext(ctx).String(), a.noteSwitch(ctx, "repository.unpin", p, r, was, last))
	if errors.Is(err, repo.ErrNotPinned) || errors.Is(err, repo.ErrNoSnapshot) {
		return nil, conflict("%s/%s of %s is not pinned", r.Channel, r.Target, p.Name)
	}
	if err != nil {
		return nil, err
	}
	if all, err = a.cfg.Repositories.Snapshots(ctx, p, r); err != nil {
		return nil, err
	}
	out := &switchedOutput{SwitchedRepository{Repository: repositoryView(p, r)}}
	for _, s := range all {
		if s.Current {
			out.Body.Snapshot = s
		}
	}
	return out, nil
}

// noteSwitch notes who chose which snapshot.
func (a *API) noteSwitch(ctx context.Context, action string, p store.Project, r store.Repository, was, is string) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		return auth.FromContext(ctx).Audit(ctx, tx, auth.Change{Action: action, Object: r.Channel + "/" + r.Target, Project: p.ID, Detail: map[string]any{"snapshot": auth.FromTo(was, is)}})
	}
}
