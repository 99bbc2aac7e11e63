package pagetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Past is a state directory with what Seed makes, made once and copied to each test that wants one of its own: making it takes half a minute
// under the race detector. Its zero value is ready, and safe for concurrent use.
type Past struct {
	once sync.Once
	dir  string
	err  error
}

// Copy puts it into a new directory.
func (p *Past) Copy(ctx context.Context, to string) error {
	p.once.Do(func() { p.err = p.make(ctx) })
	if p.err != nil {
		return fmt.Errorf("make the past: %w", p.err)
	}
	from := filepath.Join(p.dir, "state")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("copy the past: %w", err)
	}
	// Which snapshot was published last is told by the times of folders.
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return os.Chtimes(filepath.Join(to, rel), info.ModTime(), info.ModTime())
	})
}

func (p *Past) make(ctx context.Context) (err error) {
	if p.dir, err = os.MkdirTemp("", "reqpm-past-"); err != nil {
		return err
	}
	state := filepath.Join(p.dir, "state")
	if err := os.Mkdir(state, 0o755); err != nil {
		return err
	}
	b, err := Open(ctx, state)
	if err != nil {
		return err
	}
	return errors.Join(Seed(ctx, b), b.Close())
}

// Remove removes what the copies are made of.
func (p *Past) Remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // it is below the folder of temporary files
	}
}
