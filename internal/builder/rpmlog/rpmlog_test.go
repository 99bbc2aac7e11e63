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
		{"rich", "Error: \n Problem: nothing provides requested (python3dist(x) < 4~~ with python3dist(x) >= 3.11)\n(try to add '--skip-broken')\n",
			"missing-buildrequires", "(python3dist(x) < 4~~ with python3dist(x) >= 3.11)"},
		{"rich, of several", "Error: \n Problem 1: nothing provides requested (a with b)\n Problem 2: cannot install both c-1-1.noarch and c-2-1.noarch\n", "missing-buildrequires", "(a with b)"},
		{"several", "Error: \n Problem 1: cannot install both c-1-1.noarch and c-2-1.noarch\n Problem 2: cannot install both d-1-1.noarch and d-2-1.noarch\n", "missing-buildrequires", ""},
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
