package chroot

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"reqpm/internal/builder/scratch"
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
	b.state.Sweep(b.logf)
	var done Pruned
	bases, err := filepath.Glob(filepath.Join(b.state.Roots(), "*", "base.json"))
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
			size := scratch.TreeSize(dir)
			if ok, err := b.state.Drop(dir, dir+".use"); err != nil {
				return done, err
			} else if ok {
				done.Bases, done.Bytes = done.Bases+1, done.Bytes+size
				continue
			}
		}
		manifests, _ := filepath.Glob(filepath.Join(dir, "layers", "*", "manifest"))
		debs, _ := filepath.Glob(filepath.Join(dir, "debs", "*", "manifest"))
		for _, m := range append(manifests, debs...) {
			l := kept{path: filepath.Dir(m), size: scratch.TreeSize(filepath.Dir(m))}
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
		ok, err := b.state.Drop(l.path, l.path+".lock")
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
