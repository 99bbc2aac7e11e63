package pipeline

import (
	"errors"
	"os"
	"path/filepath"

	"reqpm/internal/filelock"
)

// scratch is the folder for everything a pipeline makes only for a while. It lies beside
// those of builds and follows their rule: whoever holds the lock in it lives, and a folder
// whose lock is free is removed by the next process that opens a base root.
type scratch struct {
	dir  string
	lock *os.File
}

// newScratch makes a locked folder below state/tmp. Removing what is dead is shut out while
// the folder is there and not yet locked.
func newScratch(state string) (s scratch, err error) {
	gate, err := filelock.Shared(filepath.Join(state, "tmp.lock"))
	if err != nil {
		return s, err
	}
	defer gate.Close()
	if s.dir, err = os.MkdirTemp(filepath.Join(state, "tmp"), "line-"); err != nil {
		return s, err
	}
	if s.lock, err = filelock.Exclusive(filepath.Join(s.dir, "lock")); err != nil {
		return s, errors.Join(err, os.RemoveAll(s.dir))
	}
	// Builds read from it as another user.
	return s, os.Chmod(s.dir, 0o755)
}

func (s scratch) remove() error {
	removeTree(s.dir)
	return s.lock.Close()
}
