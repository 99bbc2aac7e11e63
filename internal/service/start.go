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
	r, _, err := startRun(ctx, tx, p, n, 0)
	return r, err
}

// StartPushed makes the run that follows a push of a commit. refs are the names that runs of it may have; the first is the
// new run's. However much is pushed, at most one run waits behind the one that is running: a run that waits is taken, and so is
// one that is of the commit already; created is false then.
func StartPushed(ctx context.Context, tx *store.Tx, p store.Project, refs []string, commit, reason string) (r store.Run, created bool, err error) {
	running, err := tx.RunningRuns(ctx, p.ID, refs)
	if err != nil {
		return store.Run{}, false, err
	}
	behind := int64(0)
	for _, r := range running {
		if r.Commit == commit && !r.CancelWanted {
			return r, false, nil
		}
		behind = max(behind, r.ID)
	}
	return startRun(ctx, tx, p, NewRun{Ref: refs[0], Reason: reason, Coalesce: true}, behind)
}

func startRun(ctx context.Context, tx *store.Tx, p store.Project, n NewRun, behind int64) (r store.Run, created bool, err error) {
	options, err := json.Marshal(n.Options)
	if err != nil {
		return store.Run{}, false, err
	}
	r = store.Run{Project: p.ID, Ref: n.Ref, Commit: n.Commit, Targets: n.Targets, Options: options, Reason: n.Reason, Behind: behind}
	if r.Ref == "" {
		r.Ref = p.Ref
	}
	if len(r.Targets) == 0 {
		r.Targets = p.Targets
	}
	if r, created, err = tx.CreateRun(ctx, r, n.Coalesce); err != nil || !created {
		return r, false, err
	}
	return r, true, tx.AddSteps(ctx, r.ID, Chain(r.Targets))
}
