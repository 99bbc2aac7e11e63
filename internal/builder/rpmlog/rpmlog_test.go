package rpmlog

import (
	"errors"
	"os"
	"testing"

	"reqpm/internal/builder"
)

func TestDNFErrors(t *testing.T) {
	tests := []struct {
		name, out string
		cause     string
		missing   string
	}{
		{"builddep", "No matching package to install: 'python3dist(x) >= 3'\nNot all dependencies satisfied\n", "missing-buildrequires", "python3dist(x) >= 3"},
		{"install", "No match for argument: nothing\nError: Unable to find a match: nothing\n", "missing-buildrequires", "nothing"},
		{"deeper", "Error: \n Problem: conflicting requests\n  - nothing provides libx.so needed by y-1-1.noarch from reqpm-own\n", "missing-buildrequires", "libx.so"},
		{"disk", "Error: Transaction test error:\n  installing package x needs 5MB more space on the / filesystem\n[Errno 28] No space left on device\n", "infrastructure", ""},
		{"network", "Error: Failed to download metadata for repo 'x'\n", "infrastructure", ""},
	}
	for _, tt := range tests {
		be, ok := errors.AsType[*builder.BuildError](DNFError(os.ErrInvalid, tt.out))
		if !ok {
			t.Fatalf("%s: not a *BuildError", tt.name)
		}
		if string(be.Cause) != tt.cause {
			t.Errorf("%s: cause %s; want %s", tt.name, be.Cause, tt.cause)
		}
		if tt.missing != "" && (len(be.Missing) != 1 || be.Missing[0] != tt.missing) {
			t.Errorf("%s: missing %q; want %q", tt.name, be.Missing, tt.missing)
		}
	}
}
