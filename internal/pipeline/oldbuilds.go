package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reqpm/internal/filelock"
)

// OldBuild is a result in a state directory's cache of builds that nothing has used for long.
type OldBuild struct {
	Key  string
	Dir  string // absolute
	Used time.Time
}

// OldBuilds are those that nothing has used since a time. A result is used when it is built, taken by another build or
// published; results of before this was noted count from when they were built.
func OldBuilds(state string, since time.Time) ([]OldBuild, error) {
	dir := paths{state: state}.builds()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the cache of builds: %w", err)
	}
	var old []OldBuild
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		b := OldBuild{Key: e.Name(), Dir: filepath.Join(dir, e.Name())}
		if b.Used, err = b.used(); err == nil && b.Used.Before(since) {
			old = append(old, b)
		}
	}
	return old, nil
}

// used is when the result was used last: the time of its result.json, or of the folder where it has none.
func (b OldBuild) used() (time.Time, error) {
	info, err := os.Stat(filepath.Join(b.Dir, resultName))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(b.Dir)
	}
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// Remove removes the result, holding the lock of its key as who builds it does. One that somebody builds, or has used
// meanwhile, stays: false. Who has just found it and reads it without the lock finds parts of it gone, which counts as not
// built; after the time that it was not used for that does not happen twice.
func (b OldBuild) Remove() (bool, error) {
	lock, err := filelock.Try(b.Dir + ".lock")
	if errors.Is(err, filelock.ErrHeld) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove the build %s: %w", b.Key, err)
	}
	defer lock.Close()
	if used, err := b.used(); err != nil || used.After(b.Used) {
		return false, nil
	}
	// First: without it, what is left of the folder counts for nothing.
	if err := os.Remove(filepath.Join(b.Dir, resultName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("remove the build %s: %w", b.Key, err)
	}
	if err := os.RemoveAll(b.Dir); err != nil {
		return false, fmt.Errorf("remove the build %s: %w", b.Key, err)
	}
	return true, nil
}

// resultName is the file with which a result is whole; its time says when the result was used last.
const resultName = "result.json"

// noteUse notes that a result is used. Where it cannot be, the result looks older than it is.
func noteUse(dir string) {
	file, now := filepath.Join(dir, resultName), time.Now()
	if info, err := os.Stat(file); err == nil && now.Sub(info.ModTime()) > time.Hour {
		_ = os.Chtimes(file, now, now)
	}
}
