package index

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// TestRealIndex asks the index this machine's pip uses for one small, old project.
func TestRealIndex(t *testing.T) {
	if os.Getenv("REQPM_NETWORK") != "1" {
		t.Skip("needs a real package index: set REQPM_NETWORK=1")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cfg, source, err := Discover(ctx, DiscoverOptions{})
	if err != nil {
		t.Skipf("no index to ask: %v", err)
	}
	t.Log("index by", source)
	cfg.CacheDir = t.TempDir()
	c := newClient(t, cfg)
	files, err := c.Files(ctx, "IniConfig")
	if err != nil {
		t.Skipf("the index is not reachable: %v", err)
	}
	var sdist, wheel *File
	for i, f := range files {
		if f.Version.String() == "2.0.0" && f.Kind == SDist {
			sdist = &files[i]
		}
		if f.Version.String() == "2.0.0" && f.Kind == Wheel {
			wheel = &files[i]
		}
	}
	if sdist == nil || wheel == nil {
		t.Fatalf("version 2.0.0 is missing: %v", names(files))
	}
	const known = "2d91e135bf72d31a410b17c16da610a82cb55f6b0477d1a902134b24a455b8b3"
	if sdist.SHA256 != known {
		t.Errorf("sha256 %s, want %s", sdist.SHA256, known)
	}
	path, err := c.Download(ctx, *sdist)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := hashFile(path); err != nil || got != known {
		t.Errorf("%s: %s, %v", path, got, err)
	}
	data, err := c.Metadata(ctx, *wheel)
	if err != nil || !strings.Contains(string(data), "Name: iniconfig\n") {
		t.Errorf("metadata %q, %v", data, err)
	}
	if _, err := c.Files(ctx, "there-is-no-such-project-of-reqpm"); !isKind(err, ErrNotFound) {
		t.Errorf("a project nobody has: %v", err)
	}
	cfg.Offline = true
	again := newClient(t, cfg)
	if _, err := again.Files(ctx, "iniconfig"); err != nil || again.Stats().Requests != 0 {
		t.Errorf("offline: %v, %+v", err, again.Stats())
	}
}
