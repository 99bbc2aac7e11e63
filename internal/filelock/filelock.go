// Package filelock takes locks on files that the kernel gives back when a process dies.
//
// They are flock(2) locks: advisory, held by the open file, so that one process may wait for
// itself too. A lock file is never removed by who holds it: another process may have
// opened it already and would then lock a file that nobody sees.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrHeld: somebody else holds the lock.
var ErrHeld = errors.New("locked by another")

// Shared waits for a lock that many may hold at once; closing the file gives it back.
func Shared(path string) (*os.File, error) { return open(path, unix.LOCK_SH) }

// Exclusive waits for a lock that one alone holds; closing the file gives it back.
func Exclusive(path string) (*os.File, error) { return open(path, unix.LOCK_EX) }

// Try takes an exclusive lock at once or not at all: ErrHeld.
func Try(path string) (*os.File, error) { return open(path, unix.LOCK_EX|unix.LOCK_NB) }

// Hold takes an exclusive lock on a file that is open already, at once or not at all: ErrHeld.
func Hold(f *os.File) error { return flock(f, unix.LOCK_EX|unix.LOCK_NB) }

// HoldShared takes a shared lock on a file that is open already, at once or not at all: ErrHeld.
func HoldShared(f *os.File) error { return flock(f, unix.LOCK_SH|unix.LOCK_NB) }

func open(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := flock(f, how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrHeld
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
}

// interval is how often Wait looks: nothing signals across processes.
const interval = 50 * time.Millisecond

// Wait is Exclusive that can be cancelled; the error then is ctx's cause.
func Wait(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, ErrHeld):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx)), f.Close())
		case <-tick.C:
		}
	}
}
