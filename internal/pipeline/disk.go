package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"reqpm/internal/builder"
)

// ErrDiskFull: there is no room where the state directory is. The message says where and
// how much is left.
var ErrDiskFull = errors.New("the disk is full")

// Free space, in bytes, below which a failure is put down to it: less than any step needs that
// is worth beginning, and programs we start do not always say why they failed.
const (
	noRoom   = 1 << 20
	fewRooms = 32 << 20 // for a build that says itself that it ran out of space
)

// explainDisk makes an error that comes from a full disk say so, and where. Others stay as
// they are.
func (p *Pipeline) explainDisk(err error) error {
	if err == nil || errors.Is(err, ErrDiskFull) {
		return err
	}
	free := p.freeBytes()
	full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || free < noRoom
	if !full && free < fewRooms {
		// Out of the sandbox comes text only, and a package may print whatever it likes.
		text := err.Error()
		if be, ok := errors.AsType[*builder.BuildError](err); ok {
			text += be.Tail
		}
		full = strings.Contains(strings.ToLower(text), "no space left on device")
	}
	if !full {
		return err
	}
	return p.diskFull(err, free)
}

// explainHook is explainDisk for questions to a build backend. It need not say that it had no
// room, and what it left in its scratch folder is gone by now: a failure where there is hardly room
// for a build is put down to that, and not to the package, which another version would replace.
func (p *Pipeline) explainHook(err error) error {
	if free := p.freeBytes(); err != nil && free < fewRooms && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrDiskFull) {
		return p.diskFull(err, free)
	}
	return err
}

func (p *Pipeline) diskFull(err error, free uint64) error {
	return fmt.Errorf("%w: %s has %.1f MB left; make room (reqpm clean helps) and run the same command again: %w",
		ErrDiskFull, p.cfg.StateDir, float64(free)/1e6, err)
}

// freeBytes is the room left for us where the state directory is.
func (p *Pipeline) freeBytes() uint64 {
	var fs unix.Statfs_t
	if unix.Statfs(p.cfg.StateDir, &fs) != nil {
		return ^uint64(0)
	}
	return fs.Bavail * uint64(fs.Bsize)
}
