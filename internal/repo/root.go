package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"reqpm/internal/filelock"
)

// lockRoot waits for the lock of one root.
func lockRoot(ctx context.Context, root string) (unlock func(), err error) {
	f, err := filelock.Wait(ctx, filepath.Join(root, ".lock"))
	if err != nil {
		return nil, fmt.Errorf("wait for another publication: %w", err)
	}
	return func() { f.Close() }, nil
}

// removeLeftovers clears what a killed publication left. The lock is held: nobody works here.
func (p *publication) removeLeftovers() error {
	entries, err := os.ReadDir(p.root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tmpPrefix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.root, e.Name())); err != nil {
			return fmt.Errorf("remove leftovers: %w", err)
		}
	}
	return nil
}

// pointAt makes snapshot id the current one by one rename.
func (p *publication) pointAt(id string) error {
	target := filepath.Join(snapshotsDir, id)
	link := filepath.Join(p.root, Current)
	if now, err := os.Readlink(link); err == nil && now == target {
		return nil
	}
	tmp := filepath.Join(p.root, tmpPrefix+"link")
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) { // of somebody who was killed
		return err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, link); err != nil {
		os.Remove(tmp)
		return err
	}
	return syncDir(p.root)
}

// prune removes all but the newest snapshots; the current one always stays.
func (p *publication) prune() error {
	dir := filepath.Join(p.root, snapshotsDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	current, err := os.Readlink(filepath.Join(p.root, Current))
	if err != nil {
		return err
	}
	type old struct {
		name string
		at   time.Time
	}
	var others []old
	for _, e := range entries {
		if e.Name() == filepath.Base(current) {
			continue
		}
		if info, err := e.Info(); err == nil {
			others = append(others, old{e.Name(), info.ModTime()})
		}
	}
	sort.Slice(others, func(i, j int) bool { return others[i].at.After(others[j].at) })
	for _, o := range others[min(len(others), p.req.Keep-1):] {
		// Away under another name first: a half-removed snapshot must not look like one.
		gone := filepath.Join(p.root, tmpPrefix+"gone-"+o.name)
		if err := os.Rename(filepath.Join(dir, o.name), gone); err != nil {
			return fmt.Errorf("remove old snapshot: %w", err)
		}
		if err := os.RemoveAll(gone); err != nil {
			return fmt.Errorf("remove old snapshot: %w", err)
		}
	}
	return p.pruneSigned(time.Now())
}

// digestTree hashes every file under dir.
func digestTree(ctx context.Context, dir string) (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		out[rel], _, err = hashFile(path)
		return err
	})
	return out, err
}

// syncTree writes every file and directory under dir to the disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFile(path)
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func syncDir(path string) error { return syncFile(path) }

// writeAtomic writes a file whole or not at all.
func writeAtomic(path string, data []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), tmpPrefix+"f*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
