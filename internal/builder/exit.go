package builder

import (
	"errors"
	"os/exec"
	"syscall"
)

// AsExit turns what package os/exec returns into *ExitError where a program ran and failed; a
// signal counts as 128 and its number, as in a shell.
func AsExit(err error, stderr string) error {
	var xe *exec.ExitError
	if errors.As(err, &xe) {
		code := xe.ExitCode()
		if ws, ok := xe.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			code = 128 + int(ws.Signal())
		}
		return &ExitError{Code: code, Stderr: stderr}
	}
	return err
}
