package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/index"
	"reqpm/internal/pipeline"
	"reqpm/internal/secret"
	"reqpm/internal/store"
)

// What else the schedule clean-builds removes: from the caches of this machine's state directory what nothing used for as
// long as runs stay, and what projects and secrets have left that there are not any more.

// leastUnused is how long a result stays in the cache of builds whatever the settings say: longer than any run takes.
const leastUnused = 14 * 24 * time.Hour

// oldBuilds are the results in this machine's cache that nothing used for long; none where runs stay for ever.
func (s *Service) oldBuilds(r store.Retention) ([]pipeline.OldBuild, error) {
	if r.Before.IsZero() {
		return nil, nil
	}
	since := s.cfg.Now().Add(-leastUnused)
	if r.Before.Before(since) {
		since = r.Before
	}
	return pipeline.OldBuilds(s.cfg.StateDir, since)
}

// cleanCache removes them.
func (s *Service) cleanCache(ctx context.Context, r store.Retention, c *cleaned) error {
	old, err := s.oldBuilds(r)
	if err != nil {
		return err
	}
	for _, b := range old {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		bytes := treeSize(b.Dir)
		gone, err := b.Remove()
		if err != nil {
			return err
		}
		if gone {
			c.cached++
			c.bytes += bytes
		}
	}
	return nil
}

// lostSpecs are the spec files of projects that there are not, with their sizes.
func (s *Service) lostSpecs(ctx context.Context) (map[string]int64, error) {
	lost := map[string]int64{}
	there := map[int64]bool{}
	for info, err := range s.cfg.Blobs.List(ctx, "specs/") {
		if err != nil {
			return nil, err
		}
		parts := strings.SplitN(info.Name, "/", 3)
		id, err := strconv.ParseInt(parts[1], 10, 64)
		if len(parts) < 3 || err != nil || s.cfg.Now().Sub(info.Modified) <= blobGrace {
			continue
		}
		known, looked := there[id]
		if !looked {
			_, err := s.cfg.Store.Project(ctx, id)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			known = err == nil
			there[id] = known
		}
		if !known {
			lost[info.Name] = info.Size
		}
	}
	return lost, nil
}

func (s *Service) cleanSpecs(ctx context.Context, c *cleaned) error {
	lost, err := s.lostSpecs(ctx)
	if err != nil {
		return err
	}
	for name, size := range lost {
		if err := s.cfg.Blobs.Delete(ctx, name); err != nil {
			return err
		}
		c.specs++
		c.bytes += size
	}
	return nil
}

// orphanMark is a file in a folder that nobody's secret opens: since when.
const orphanMark = ".orphan"

// orphans are the parts of this machine's index cache that no project's secret opens any more.
func (s *Service) orphans(ctx context.Context) ([]string, error) {
	if s.cfg.Secrets == nil {
		return nil, nil
	}
	var all []secret.Secret
	_, err := s.eachProject(ctx, store.ProjectFilter{}, func(p store.Project) error {
		some, err := s.cfg.Secrets(ctx, p.ID)
		all = append(all, some...)
		return err
	})
	if err != nil { // whose secrets cannot be read here may have one of them
		return nil, fmt.Errorf("look for what nobody's secrets open: %w", err)
	}
	return index.Orphans(filepath.Join(s.cfg.StateDir, "index"), all)
}

// cleanOrphans removes them, blobGrace after they were first seen: a run may still be at work with them.
func (s *Service) cleanOrphans(ctx context.Context, c *cleaned) error {
	orphans, err := s.orphans(ctx)
	if err != nil {
		return err
	}
	for _, dir := range orphans {
		mark := filepath.Join(dir, orphanMark)
		info, err := os.Stat(mark)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = os.WriteFile(mark, nil, 0o600)
			now := s.cfg.Now()
			err = errors.Join(err, os.Chtimes(mark, now, now))
		case err == nil && s.cfg.Now().Sub(info.ModTime()) > blobGrace:
			bytes := treeSize(dir)
			if err = os.RemoveAll(dir); err == nil {
				c.orphans++
				c.bytes += bytes
			}
		}
		if err != nil {
			return fmt.Errorf("remove what nobody's secrets open: %w", err)
		}
	}
	return nil
}

// previewSweep adds what these would remove.
func (s *Service) previewSweep(ctx context.Context, r store.Retention, add func(Removal)) error {
	old, err := s.oldBuilds(r)
	if err != nil {
		return err
	}
	for _, b := range old {
		add(Removal{Kind: "cached build", Name: b.Key, Bytes: treeSize(b.Dir), Why: "nothing used it since " + b.Used.Format(time.DateOnly)})
	}
	lost, err := s.lostSpecs(ctx)
	if err != nil {
		return err
	}
	for name, size := range lost {
		add(Removal{Kind: "spec", Name: name, Bytes: size, Why: "its project was deleted"})
	}
	orphans, err := s.orphans(ctx)
	for _, dir := range orphans {
		add(Removal{Kind: "index cache", Name: filepath.Base(dir), Bytes: treeSize(dir), Why: "the secret that showed it was replaced or deleted"})
	}
	return err
}
