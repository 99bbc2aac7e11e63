package service

import (
	"context"
	"fmt"

	"reqpm/internal/source"
	"reqpm/internal/store"
)

// sync looks at the branch of every project that follows its own, and starts a run where it has a new commit.
func (s *Service) sync(ctx context.Context) (string, error) {
	var started []string
	n, err := s.eachProject(ctx, store.ProjectFilter{Sync: true}, func(p store.Project) error {
		run, err := s.SyncProject(ctx, p)
		if err != nil {
			logErr := s.tell(ctx, p.ID, "warning", "sync: %s", firstLine(err.Error()))
			if logErr != nil {
				return logErr
			}
			return err
		}
		if run != nil {
			started = append(started, p.Name)
		}
		return nil
	})
	text := fmt.Sprintf("looked at %s, started %s", count(n, "project"), count(len(started), "run"))
	if len(started) > 0 {
		text += ": " + list(started)
	}
	return text, err
}

// SyncProject starts a run of a project when its branch has a commit that no run was made of; nil: there is none, or one
// that has not begun will take it.
func (s *Service) SyncProject(ctx context.Context, p store.Project) (*store.Run, error) {
	sub, err := s.projectSubject(ctx, p)
	if err != nil {
		return nil, err
	}
	req, err := s.cfg.Pipelines.Source(sub)
	if err != nil {
		return nil, err
	}
	req.Ref = p.Ref
	head, err := source.Head(ctx, req)
	if err != nil || head.Commit == "" || head.Commit == p.LastCommit {
		return nil, sub.cleanError(err)
	}
	var run *store.Run
	err = s.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		run = nil
		going, err := tx.Runs(ctx, store.RunFilter{Project: p.ID, States: []store.RunState{store.RunQueued, store.RunRunning}}, store.Page{Limit: 100})
		if err != nil {
			return err
		}
		for _, r := range going.Items {
			if r.Commit == "" && r.Ref == p.Ref || r.Commit == head.Commit {
				return nil
			}
		}
		r, err := StartRun(ctx, tx, p, NewRun{Reason: "sync: new commit " + short(head.Commit)})
		if err != nil {
			return err
		}
		run = &r
		_, err = tx.AddLogEntry(ctx, store.LogEntry{Project: p.ID, Run: r.ID, Level: "info", Message: fmt.Sprintf("sync: %s has a new commit %s: run %d", head.Name, short(head.Commit), r.Number)})
		return err
	})
	return run, err
}

// short is as much of a commit's id as people read.
func short(commit string) string { return commit[:min(12, len(commit))] }
