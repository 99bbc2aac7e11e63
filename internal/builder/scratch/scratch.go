// Package scratch is the state directory that builders share: base roots, and one locked
// temporary directory per operation, which the next process removes when its owner is gone.
//
// All methods are safe for concurrent use, also by several processes on one directory.
package scratch

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"reqpm/internal/filelock"
)

// State is the state directory: roots/ (bases and their layers) and tmp/ (one
// directory per running operation, locked by its owner).
type State struct{ dir string }

// Dir is the state directory itself, an absolute path.
func (s *State) Dir() string { return s.dir }

// Roots is where base roots are.
func (s *State) Roots() string { return filepath.Join(s.dir, "roots") }

// Tmp is where the directories of running operations are.
func (s *State) Tmp() string { return filepath.Join(s.dir, "tmp") }

// Open checks and makes the directories below dir.
func Open(dir string) (*State, error) {
	if dir == "" {
		return nil, errors.New("no state directory given")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	// overlayfs takes its directories as one option string; these characters part it.
	if strings.ContainsAny(dir, ":,\\") {
		return nil, fmt.Errorf("state directory %s: overlayfs cannot use a path with ':', ',' or '\\' in it; choose another with --state", dir)
	}
	if strings.HasPrefix(dir, "/usr/") {
		return nil, fmt.Errorf("state directory %s: it must not be below /usr, which builds see", dir)
	}
	for _, d := range []string{"roots", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("make state directory: %w", err)
		}
	}
	return &State{dir: dir}, nil
}

// Temp is a directory of one operation. Its lock is held by this process and by the
// operation's child (who inherits Lock), so it counts as dead only when both are gone.
type Temp struct {
	Path string
	Lock *os.File
}

// NewTemp makes a locked temporary directory. Sweeping is shut out between making the
// directory and locking it.
func (s *State) NewTemp(kind string) (*Temp, error) {
	gate, err := filelock.Shared(filepath.Join(s.dir, "tmp.lock"))
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	var r [6]byte
	_, _ = rand.Read(r[:]) // crypto/rand never fails
	path := filepath.Join(s.Tmp(), kind+"-"+hex.EncodeToString(r[:]))
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("make temporary directory: %w", err)
	}
	lock, err := filelock.Exclusive(filepath.Join(path, "lock"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &Temp{Path: path, Lock: lock}, nil
}

// Remove deletes the directory and gives the lock back.
func (t *Temp) Remove() error {
	err := removeTree(t.Path)
	return errors.Join(err, t.Lock.Close())
}

// orphanAge is how old a directory without a lock must be before it counts as dead, when its
// name does not show that it was made by the rule.
const orphanAge = time.Hour

// byTheRule are the names of directories that are made while tmp.lock is held: NewTemp's,
// and internal/pipeline's. While we hold tmp.lock alone, one of them without a lock is
// the rest of a removal or a beginning that a kill cut short.
var byTheRule = regexp.MustCompile(`^([a-z]+-[0-9a-f]{12}|line-[0-9]+)$`)

// Sweep removes the temporary directories of processes that are gone. The rule is for
// everybody who shares the directory: make a directory in tmp/ with tmp.lock shared, hold a
// lock on the file "lock" in it for as long as it is used.
func (s *State) Sweep(logf func(string, ...any)) {
	gate, err := filelock.Exclusive(filepath.Join(s.dir, "tmp.lock"))
	if err != nil {
		logf("clean up %s: %v", s.Tmp(), err)
		return
	}
	defer gate.Close()
	entries, err := os.ReadDir(s.Tmp())
	if err != nil {
		logf("clean up %s: %v", s.Tmp(), err)
		return
	}
	for _, e := range entries {
		path := filepath.Join(s.Tmp(), e.Name())
		info, err := e.Info()
		if err != nil {
			continue // gone
		}
		if !Exists(filepath.Join(path, "lock")) && !byTheRule.MatchString(e.Name()) && time.Since(info.ModTime()) < orphanAge {
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

// Exists tells whether path is there.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Drop removes dir if nobody holds its lock. It is moved away first: a directory
// half removed must not be taken for a whole one.
func (s *State) Drop(dir, lockPath string) (bool, error) {
	lock, err := filelock.Try(lockPath)
	if errors.Is(err, filelock.ErrHeld) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("prune %s: %w", dir, err)
	}
	defer lock.Close()
	temp, err := s.NewTemp("prune")
	if err != nil {
		return false, fmt.Errorf("prune %s: %w", dir, err)
	}
	err = os.Rename(dir, filepath.Join(temp.Path, "old"))
	if err := errors.Join(err, temp.Remove()); err != nil {
		return false, fmt.Errorf("prune %s: %w", dir, err)
	}
	return true, nil
}

// TreeSize is the disk space of everything below dir.
func TreeSize(dir string) int64 {
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

// CopyFile copies the regular file src to dst, which must not exist, with the given mode, owner
// (unless negative) and, unless zero, time.
func CopyFile(src, dst string, mode os.FileMode, uid int, mtime time.Time) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("copy %s: not a regular file", src)
	}
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err = io.Copy(out, in); err != nil {
		return fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	if err := out.Chmod(mode); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	if uid >= 0 {
		if err := out.Chown(uid, uid); err != nil {
			return fmt.Errorf("copy: %w", err)
		}
	}
	if !mtime.IsZero() {
		return os.Chtimes(dst, mtime, mtime)
	}
	return nil
}
