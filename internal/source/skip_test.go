package source

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// The state directory may lie inside the project: base roots and caches are no part of it.
func TestStateInsideProjectIsLeftOut(t *testing.T) {
	project := t.TempDir()
	state := filepath.Join(project, "state")
	for _, name := range []string{"requirements.txt", "state/roots/base/etc/passwd", "state-notes/readme"} {
		path := filepath.Join(project, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Fetch(context.Background(), Request{URL: project, Dir: filepath.Join(state, "checkouts"), Skip: state, Allow: Policy{Local: true}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"requirements.txt": true, "state-notes/readme": true, "state": false} {
		if _, err := os.Stat(filepath.Join(c.Dir, name)); (err == nil) != want {
			t.Errorf("%s in the checkout: %v, want %v", name, err == nil, want)
		}
	}
}
