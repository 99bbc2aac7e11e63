package pipeline

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// machineTrouble tells that the machine, and no package, is what is wrong: its disk is full, say.
func machineTrouble(err error) bool {
	errno, ok := errors.AsType[unix.Errno](err)
	return ok && slices.Contains([]unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EIO, unix.ENOMEM, unix.EMFILE, unix.ENFILE}, errno)
}
