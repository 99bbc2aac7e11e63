package chroot

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"reqpm/internal/filelock"
)

// state is the state directory: roots/ (bases and their layers) and tmp/ (one
// directory per running operation, locked by its owner).
type state struct{ dir string }

func (s *state) roots() string { return filepath.Join(s.dir, "roots") }
func (s *state) tmp() string   { return filepath.Join(s.dir, "tmp") }

// tempDir is a directory of one operation. Its lock is held by this process and by the
// operation's child, so it counts as dead only when both are gone.
type tempDir struct {
	path string
	lock *os.File
}

// newTemp makes a locked temporary directory. Sweeping is shut out between making the
// directory and locking it.
func (s *state) newTemp(kind string) (*tempDir, error) {
	gate, err := filelock.Shared(filepath.Join(s.dir, "tmp.lock"))
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	var r [6]byte
	_, _ = rand.Read(r[:]) // crypto/rand never fails
	path := filepath.Join(s.tmp(), kind+"-"+hex.EncodeToString(r[:]))
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("make temporary directory: %w", err)
	}
	lock, err := filelock.Exclusive(filepath.Join(path, "lock"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &tempDir{path: path, lock: lock}, nil
}

// remove deletes the directory and gives the lock back.
func (t *tempDir) remove() error {
	err := removeTree(t.path)
	return errors.Join(err, t.lock.Close())
}

// orphanAge is how old a directory without a lock must be before it counts as dead, when its
// name does not show that it was made by the rule.
const orphanAge = time.Hour

// byTheRule are the names of directories that are made while tmp.lock is held: newTemp's,
// and internal/pipeline's. While we hold tmp.lock alone, one of them without a lock is
// the rest of a removal or a beginning that a kill cut short.
var byTheRule = regexp.MustCompile(`^([a-z]+-[0-9a-f]{12}|line-[0-9]+)$`)

// sweep removes the temporary directories of processes that are gone. The rule is for
// everybody who shares the directory: make a directory in tmp/ with tmp.lock shared, hold a
// lock on the file "lock" in it for as long as it is used.
func (s *state) sweep(logf func(string, ...any)) {
	gate, err := filelock.Exclusive(filepath.Join(s.dir, "tmp.lock"))
	if err != nil {
		logf("clean up %s: %v", s.tmp(), err)
		return
	}
	defer gate.Close()
	entries, err := os.ReadDir(s.tmp())
	if err != nil {
		logf("clean up %s: %v", s.tmp(), err)
		return
	}
	for _, e := range entries {
		path := filepath.Join(s.tmp(), e.Name())
		info, err := e.Info()
		if err != nil {
			continue // gone
		}
		if !exists(filepath.Join(path, "lock")) && !byTheRule.MatchString(e.Name()) && time.Since(info.ModTime()) < orphanAge {
			continue // somebody else's
		}
		lock, err := filelock.Try(filepath.Join(path, "lock"))
		if errors.Is(err, filelock.ErrHeld) {
			continue // its owner lives
		}
		if lock != nil {
			defer lock.Close()
		}
		if err := removeTree(path); err != nil {
			logf("clean up %s: %v", path, err)
			continue
		}
		logf("removed %s, left behind by a process that is gone", path)
	}
}

// removeTree is os.RemoveAll that tries again for a moment: the kernel may still be
// taking an overlay apart whose upper directory this is.
func removeTree(path string) error {
	var err error
	for range 5 {
		if err = os.RemoveAll(path); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // a tenth of a second at most, and the kernel gives no signal
	}
	return fmt.Errorf("remove %s: %w", path, err)
}

// exists tells whether path is there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
