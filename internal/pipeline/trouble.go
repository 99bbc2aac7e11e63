package pipeline

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// machineTrouble tells that the machine, and no package, is what is wrong: its disk is full, say.
func machineTrouble(err error) bool {
	errno, ok := errors.AsType[unix.Errno](err)
	return ok && slices.Contains([]unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EIO, unix.ENOMEM, unix.EMFILE, unix.ENFILE}, errno)
}

// lastLine of what a program said is mostly the one that says why it ended.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}
