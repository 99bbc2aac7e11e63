package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/pipeline"
	"reqpm/internal/store"
)

// updates looks for newer versions of what the newest lock of every project has, by target, and keeps what it found.
func (s *Service) updates(ctx context.Context) (string, error) {
	sets, newer := 0, 0
	n, err := s.eachProject(ctx, store.ProjectFilter{}, func(p store.Project) error {
		var failed []error
		for _, target := range p.Targets {
			run, err := s.locked(ctx, p, target)
			if err == nil && run != nil {
				var found int
				found, err = s.checkUpdates(ctx, p, *run, target)
				sets++
				newer += found
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", target, err))
			}
		}
		return errors.Join(failed...)
	})
	return fmt.Sprintf("looked at %s of %s: %s with newer versions", count(sets, "lock"), count(n, "project"), count(newer, "package")), err
}

// locked is the newest run of a project that has a lock for a target; nil: none has.
func (s *Service) locked(ctx context.Context, p store.Project, target string) (*store.Run, error) {
	runs, err := s.cfg.Store.Runs(ctx, store.RunFilter{Project: p.ID}, store.Page{Limit: 50})
	if err != nil {
		return nil, err
	}
	for _, r := range runs.Items {
		_, err := s.cfg.Blobs.Stat(ctx, lockBlob(Subject{Run: r.ID, Target: target}))
		if err == nil && r.Commit != "" {
			return &r, nil
		}
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return nil, err
		}
	}
	return nil, nil
}

// checkUpdates compares one lock with the index. That it could not is kept too.
func (s *Service) checkUpdates(ctx context.Context, p store.Project, run store.Run, target string) (int, error) {
	sub, err := s.projectSubject(ctx, p)
	if err != nil {
		return 0, err
	}
	sub.Run, sub.Ref, sub.Commit, sub.Target = run.ID, run.Ref, run.Commit, target
	kept := store.Outdated{Project: p.ID, Target: target, Run: run.ID, Checked: time.Now()}
	found, packages, err := s.outdated(ctx, sub)
	err = sub.cleanError(err)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	level, text := "info", fmt.Sprintf("%d of %s have newer versions", len(found), count(packages, "package"))
	if err != nil {
		level, text, kept.Problem = "warning", firstLine(err.Error()), firstLine(err.Error())
	} else if kept.Found, err = json.Marshal(found); err != nil {
		return 0, err
	}
	kept.Packages = int64(packages)
	err = errors.Join(err, s.cfg.Store.PutOutdated(ctx, kept), s.tell(ctx, p.ID, level, "update check, %s: %s", target, text))
	return len(found), err
}

func (s *Service) outdated(ctx context.Context, sub Subject) ([]pipeline.Outdated, int, error) {
	lock, err := s.readLock(ctx, lockBlob(sub))
	if err != nil {
		return nil, 0, err
	}
	x := &session{}
	defer func() {
		if x.pipeline != nil {
			x.pipeline.Close()
		}
	}()
	if err := s.prepare(ctx, sub, lock, x); err != nil {
		return nil, 0, err
	}
	found, err := x.pipeline.Outdated(ctx, x.prepared)
	return found, len(x.prepared.Lock.Packages), err
}
