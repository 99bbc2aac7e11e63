package textdiff_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reqpm/internal/textdiff"
)

// What Unified writes is a patch: patch(1) makes the newer text of the older one with it.
func TestUnifiedIsAPatch(t *testing.T) {
	if _, err := exec.LookPath("patch"); err != nil {
		t.Skip("patch is not installed")
	}
	dir := t.TempDir()
	lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "", "%prep", "+x", "-y", " z"}), 1, 30)
	rapid.Check(t, func(rt *rapid.T) {
		older, newer := strings.Join(lines.Draw(rt, "older"), "\n")+"\nend\n", strings.Join(lines.Draw(rt, "newer"), "\n")+"\nend\n"
		diff := textdiff.Unified(textdiff.Lines(textdiff.Split(older), textdiff.Split(newer), 3))
		if older == newer {
			if diff != "" {
				rt.Fatalf("the same text differs: %q", diff)
			}
			return
		}
		file := filepath.Join(dir, "text")
		if err := os.WriteFile(file, []byte(older), 0o600); err != nil {
			rt.Fatal(err)
		}
		cmd := exec.Command("patch", "-s", "-f", "--no-backup-if-mismatch", "-F0", file)
		cmd.Stdin = strings.NewReader("--- text\n+++ text\n" + diff)
		if out, err := cmd.CombinedOutput(); err != nil {
			rt.Fatalf("%v: %s\n%s", err, out, diff)
		}
		if got, _ := os.ReadFile(file); string(got) != newer {
			rt.Fatalf("%q became %q by\n%s", older, got, diff)
		}
	})
}
