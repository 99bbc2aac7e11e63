package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reqpm/internal/filelock"
)

// Kept is a checkout in a directory of them.
type Kept struct {
	Dir    string // absolute
	Commit string
	Used   time.Time // when it was last fetched
}

// Unused are the checkouts in dir that nobody has fetched since a time. Who works with one for longer than that must
// not lose it: the caller knows which commits those are.
func Unused(dir string, since time.Time) ([]Kept, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkouts: %w", err)
	}
	var all []Kept
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		k := Kept{Dir: filepath.Join(dir, e.Name())}
		info, err := os.Stat(metaFile(k.Dir))
		if errors.Is(err, fs.ErrNotExist) { // the rest of one that was being kept, or removed
			info, err = e.Info()
		}
		if err != nil || !info.ModTime().Before(since) {
			continue
		}
		k.Used = info.ModTime()
		var c Checkout
		if data, err := os.ReadFile(metaFile(k.Dir)); err == nil && json.Unmarshal(data, &c) == nil {
			k.Commit = c.Commit
		}
		all = append(all, k)
	}
	return all, nil
}

// Remove removes a checkout. One that somebody is just about to keep stays: false.
func (k Kept) Remove() (bool, error) {
	lock, err := filelock.Try(k.Dir + ".lock")
	if errors.Is(err, filelock.ErrHeld) {
		return false, nil
	}
	if err == nil {
		defer lock.Close()
		if err = os.Remove(metaFile(k.Dir)); errors.Is(err, fs.ErrNotExist) { // first: without it, what is left of the tree counts for nothing
			err = nil
		}
	}
	if err == nil {
		err = os.RemoveAll(k.Dir)
	}
	if err != nil {
		return false, fmt.Errorf("remove the checkout %s: %w", k.Dir, err)
	}
	return true, nil
}
