package service

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"reqpm/internal/source"
	"reqpm/internal/store"
)

// checkoutAge is how long a checkout stays that nobody uses. It is fetched again when it is wanted.
const checkoutAge = 14 * 24 * time.Hour

// unusedCheckouts are those that nobody used for long, but for the commits of runs that have not ended.
func (s *Service) unusedCheckouts(ctx context.Context) ([]source.Kept, error) {
	all, err := source.Unused(filepath.Join(s.cfg.StateDir, "checkouts"), time.Now().Add(-checkoutAge))
	if err != nil || len(all) == 0 {
		return nil, err
	}
	needed := map[string]bool{}
	page := store.Page{Limit: 500}
	for {
		part, err := s.cfg.Store.Runs(ctx, store.RunFilter{States: []store.RunState{store.RunQueued, store.RunRunning}}, page)
		if err != nil {
			return nil, err
		}
		for _, r := range part.Items {
			needed[r.Commit] = r.Commit != ""
		}
		if page.Cursor = part.Next; page.Cursor == "" {
			break
		}
	}
	var unused []source.Kept
	for _, k := range all {
		if !needed[k.Commit] {
			unused = append(unused, k)
		}
	}
	return unused, nil
}

// cleanCheckouts removes them, on this machine.
func (s *Service) cleanCheckouts(ctx context.Context) (string, error) {
	unused, err := s.unusedCheckouts(ctx)
	if err != nil {
		return "", err
	}
	removed, bytes := 0, int64(0)
	for _, k := range unused {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		size := treeSize(k.Dir)
		gone, err := k.Remove()
		if err != nil {
			return fmt.Sprintf("removed %s, %.1f MB", count(removed, "checkout"), float64(bytes)/1e6), err
		}
		if gone {
			removed++
			bytes += size
		}
	}
	return fmt.Sprintf("removed %s, %.1f MB", count(removed, "checkout"), float64(bytes)/1e6), nil
}

// maxPreview is how many things a preview names.
const maxPreview = 1000

func (s *Service) previewCheckouts(ctx context.Context) (Preview, error) {
	unused, err := s.unusedCheckouts(ctx)
	p := Preview{Items: []Removal{}}
	for _, k := range unused {
		size := treeSize(k.Dir)
		p.Count, p.Bytes = p.Count+1, p.Bytes+size
		if len(p.Items) < maxPreview {
			p.Items = append(p.Items, Removal{Kind: "checkout", Name: filepath.Base(k.Dir), Bytes: size, Why: "not used since " + k.Used.UTC().Format(time.DateOnly)})
		}
	}
	return p, err
}

// treeSize is what a folder's files take, in bytes.
func treeSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it may be going away while we look
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}
