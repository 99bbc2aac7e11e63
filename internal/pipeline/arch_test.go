package pipeline

import (
	"errors"
	"testing"

	"reqpm/internal/builder"
)

// What only a build can show is recognised in its last lines, and nothing else is.
func TestArchMistakesAreRecognised(t *testing.T) {
	for tail, want := range map[string]*archError{
		"error: Arch dependent binaries in noarch package":                                {},
		"error: Empty %files file /build/BUILD/msgspec-0.21.1/debugsourcefiles.list":      {noDebug: true},
		"error: Empty %files file /build/BUILD/x-1/debugfiles.list":                       {noDebug: true},
		"error: Empty %files file /build/BUILD/x-1/pyproject-files":                       nil,
		"gcc: fatal error: debugsourcefiles.list: No such file or directory":              nil,
		"reqpm_pep517: the package is noarch, but its wheel holds compiled files: a.so\n": {},
	} {
		err := archMistake(&builder.BuildError{Tail: tail, Err: errors.New("exit status 1")})
		got, ok := errors.AsType[*archError](err)
		if ok != (want != nil) || ok && *got != *want {
			t.Errorf("%q: %v, want %v", tail, err, want)
		}
	}
}
