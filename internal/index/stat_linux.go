//go:build linux

package index

import (
	"fmt"
	"io/fs"
	"syscall"
)

// statKey changes whenever a file is replaced or its content or mode is: nobody can set
// the change time back.
func statKey(info fs.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(s.Dev, s.Ino, s.Ctim)
	}
	return ""
}
