package chroot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"reqpm/internal/filelock"
)

// Pruned says what Prune removed.
type Pruned struct {
	Layers, Bases int
	Bytes         int64
}

// kept is one layer or base on disk.
type kept struct {
	path string
	used time.Time
	size int64
}

// Prune removes base roots not opened for maxAge, then the layers used longest ago until
// all layers together take at most maxBytes. What is in use now, by any process, stays.
// Everything removed is made again when it is needed.
func (b *Builder) Prune(ctx context.Context, maxBytes int64, maxAge time.Duration) (Pruned, error) {
	b.state.sweep(b.logf)
	var done Pruned
	bases, err := filepath.Glob(filepath.Join(b.state.roots(), "*", "base.json"))
	if err != nil {
		return done, fmt.Errorf("prune build roots: %w", err)
	}
	var layers []kept
	var total int64
	for _, f := range bases {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		dir := filepath.Dir(f)
		if st, err := os.Stat(f); err == nil && time.Since(st.ModTime()) > maxAge {
			size := treeSize(dir)
			if ok, err := b.dropLocked(dir, dir+".use"); err != nil {
				return done, err
			} else if ok {
				done.Bases, done.Bytes = done.Bases+1, done.Bytes+size
				continue
			}
		}
		manifests, _ := filepath.Glob(filepath.Join(dir, "layers", "*", "manifest"))
		for _, m := range manifests {
			l := kept{path: filepath.Dir(m), size: treeSize(filepath.Dir(m))}
			if st, err := os.Stat(l.path); err == nil {
				l.used = st.ModTime()
			}
			total += l.size
			layers = append(layers, l)
		}
	}
	slices.SortFunc(layers, func(a, b kept) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
	for _, l := range layers {
		if total <= maxBytes || ctx.Err() != nil {
			break
		}
		ok, err := b.dropLocked(l.path, l.path+".lock")
		if err != nil {
			return done, err
		}
		if ok {
			total -= l.size
			done.Layers, done.Bytes = done.Layers+1, done.Bytes+l.size
		}
	}
	return done, ctx.Err()
}

// dropLocked removes dir if nobody holds its lock. It is moved away first: a directory
// half removed must not be taken for a whole one.
func (b *Builder) dropLocked(dir, lockPath string) (bool, error) {
	lock, err := filelock.Try(lockPath)
	if errors.Is(err, filelock.ErrHeld) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("prune %s: %w", dir, err)
	}
	defer lock.Close()
	temp, err := b.state.newTemp("prune")
	if err != nil {
		return false, fmt.Errorf("prune %s: %w", dir, err)
	}
	err = os.Rename(dir, filepath.Join(temp.path, "old"))
	if err := errors.Join(err, temp.remove()); err != nil {
		return false, fmt.Errorf("prune %s: %w", dir, err)
	}
	return true, nil
}

// treeSize is the disk space of everything below dir.
func treeSize(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it may be going away while we look
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
