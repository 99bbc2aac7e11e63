package spec

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// rpmlint has no error to report on any golden spec; testdata/rpmlint.toml says what is filtered, and why.
func TestRPMLint(t *testing.T) {
	rpmlint, err := exec.LookPath("rpmlint")
	if err != nil {
		t.Skip("rpmlint is not installed")
	}
	specs, err := filepath.Glob("testdata/*.spec")
	if err != nil || len(specs) < 30 {
		t.Fatalf("%d golden specs, %v", len(specs), err)
	}
	// Its exit status counts warnings of some versions, too: what it says is read.
	out, err := exec.CommandContext(t.Context(), rpmlint, append([]string{"-c", "testdata/rpmlint.toml"}, specs...)...).CombinedOutput()
	if !strings.Contains(string(out), "specfiles checked") {
		t.Fatalf("rpmlint: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, ": E: ") {
			t.Error(strings.TrimSpace(line))
		}
	}
}
