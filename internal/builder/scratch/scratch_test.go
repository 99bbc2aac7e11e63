package scratch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSweep(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	living, err := s.NewTemp("build")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := s.NewTemp("build")
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Lock.Close(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	// Killed while it removed its directory: the lock went before the rest.
	halfway, err := s.NewTemp("run")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(halfway.Path, "lock")); err != nil {
		t.Fatal(err)
	}
	fresh, old := filepath.Join(s.Tmp(), "fresh"), filepath.Join(s.Tmp(), "old")
	for _, d := range []string{fresh, old} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * orphanAge)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	s.Sweep(t.Logf)
	for path, stays := range map[string]bool{living.Path: true, dead.Path: false, halfway.Path: false, fresh: true, old: false} {
		if Exists(path) != stays {
			t.Errorf("%s: still there %v; want %v", filepath.Base(path), Exists(path), stays)
		}
	}
}

func TestStateDirectory(t *testing.T) {
	for _, bad := range []string{"", "/var/lib/a:b", "/var/lib/a,b", `/var/lib/a\b`, "/usr/lib/reqpm"} {
		if _, err := Open(bad); err == nil {
			t.Errorf("state directory %q was taken", bad)
		}
	}
}
