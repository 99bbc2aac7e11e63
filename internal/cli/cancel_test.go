package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/testindex"
)

// TestCancelWhileWaiting: a run that waits for an index which never answers ends at once, by
// Ctrl-C as by the signals of a service manager and of a terminal that closes.
func TestCancelWhileWaiting(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			server, err := testindex.Start(testindex.Package{Name: "lib", Version: "1.0"})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			server.SetTrouble(testindex.Hanging)
			state := t.TempDir()
			var stderr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), "reqpm", "resolve", folder(t, "lib"), "-i", server.URL, "--state", state, "--json")
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-server.First():
			case <-time.After(time.Minute):
				t.Fatal("the index was not asked")
			}
			asked := time.Now()
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exits with %d (%v), not with 130:\n%s", code, err, stderr.String())
			}
			if took := time.Since(asked); took > 10*time.Second {
				t.Errorf("it took %s to stop", took)
			}
			if !strings.Contains(stderr.String(), "cancelled") {
				t.Errorf("stderr: %s", stderr.String())
			}
			if left := leftovers(state); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
