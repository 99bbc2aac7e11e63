package service

import (
	"context"
	"encoding/json"

	"reqpm/internal/store"
)

// NewRun is what a run is to be about, beyond its project.
type NewRun struct {
	Ref     string   // "": the project's
	Commit  string   // "": what Ref is when the run begins
	Targets []string // none: the project's
	Options RunOptions
	Reason  string
	// Coalesce takes a run of the same that still waits in place of a new one.
	Coalesce bool
}

// StartRun makes a run of a project, queued. Everything after that goes by itself.
func StartRun(ctx context.Context, tx *store.Tx, p store.Project, n NewRun) (store.Run, error) {
	options, err := json.Marshal(n.Options)
	if err != nil {
		return store.Run{}, err
	}
	r := store.Run{Project: p.ID, Ref: n.Ref, Commit: n.Commit, Targets: n.Targets, Options: options, Reason: n.Reason}
	if r.Ref == "" {
		r.Ref = p.Ref
	}
	if len(r.Targets) == 0 {
		r.Targets = p.Targets
	}
	r, created, err := tx.CreateRun(ctx, r, n.Coalesce)
	if err != nil || !created {
		return r, err
	}
	return r, tx.AddSteps(ctx, r.ID, Chain(r.Targets))
}
