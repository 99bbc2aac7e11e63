package chroot

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSweep(t *testing.T) {
	s, err := openState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	living, err := s.newTemp("build")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := s.newTemp("build")
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.lock.Close(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	// Killed while it removed its directory: the lock went before the rest.
	halfway, err := s.newTemp("run")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(halfway.path, "lock")); err != nil {
		t.Fatal(err)
	}
	fresh, old := filepath.Join(s.tmp(), "fresh"), filepath.Join(s.tmp(), "old")
	for _, d := range []string{fresh, old} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * orphanAge)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	s.sweep(t.Logf)
	for path, stays := range map[string]bool{living.path: true, dead.path: false, halfway.path: false, fresh: true, old: false} {
		if exists(path) != stays {
			t.Errorf("%s: still there %v; want %v", filepath.Base(path), exists(path), stays)
		}
	}
}

func TestStateDirectory(t *testing.T) {
	for _, bad := range []string{"", "/var/lib/a:b", "/var/lib/a,b", `/var/lib/a\b`, "/usr/lib/reqpm"} {
		if _, err := New(Config{StateDir: bad}); err == nil {
			t.Errorf("state directory %q was taken", bad)
		}
	}
}

func TestRepoFileMustCheckSignatures(t *testing.T) {
	const good = "[a]\nname=a\nbaseurl=file:///x/$basearch,\n  http://127.0.0.1/y\ngpgcheck=1\nrepo_gpgcheck = 1\ngpgkey=file:///x/key\n"
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"good", good, true},
		{"no metadata signature", "[a]\nbaseurl=file:///x\ngpgcheck=1\n", false},
		{"no package signature", "[a]\nbaseurl=file:///x\nrepo_gpgcheck=1\n", false},
		{"second section", good + "[b]\nbaseurl=file:///z\n", false},
		{"empty", "\n", false},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "a.repo")
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		urls, err := checkRepoFile(path)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.ok && len(urls) != 3 {
			t.Errorf("addresses %q; want three", urls)
		}
	}
}

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
		be := asBuildError(t, dnfError(os.ErrInvalid, tt.out))
		if string(be.Cause) != tt.cause {
			t.Errorf("%s: cause %s; want %s", tt.name, be.Cause, tt.cause)
		}
		if tt.missing != "" && (len(be.Missing) != 1 || be.Missing[0] != tt.missing) {
			t.Errorf("%s: missing %q; want %q", tt.name, be.Missing, tt.missing)
		}
	}
}
