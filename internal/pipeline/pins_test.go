package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/pep508"
	"reqpm/internal/reqfile"
	"reqpm/internal/testindex"
)

// lockedSet is a requirement file with one line, and what a lock file beside it chose.
func lockedSet(t *testing.T, line string, pins ...reqfile.Pin) reqfile.Set {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte(line+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := reqfile.Read(t.Context(), reqfile.Request{FS: os.DirFS(dir), Files: []string{"requirements.txt"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range pins {
		pins[i].Position = reqfile.Position{File: "uv.lock", Line: 10 + i}
	}
	set.Locks = []reqfile.Lock{{File: "uv.lock", Format: "uv", Pins: pins, Complete: true}}
	return set
}

func versionsOf(lock *Lock) string {
	var all []string
	for _, l := range lock.Packages {
		all = append(all, l.Name+" "+l.Version)
	}
	return strings.Join(all, ", ")
}

func marker(t *testing.T, text string) *pep508.Marker {
	t.Helper()
	m, err := pep508.ParseMarker(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var lockedIndex = []testindex.Package{
	{Name: "app", Version: "1.0", Requires: []string{"lib"}}, {Name: "app", Version: "2.0", Requires: []string{"lib"}},
	{Name: "lib", Version: "1.0"}, {Name: "lib", Version: "1.5"}, {Name: "lib", Version: "2.0", RequiresPython: ">=3.99"}, {Name: "lib", Version: "3.0"},
}

// A lock that the target can take is taken, older versions and all; where markers tell versions
// apart, the target's is meant; what is locked and not asked for is not brought in.
func TestLockIsTaken(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, lockedIndex...)
	lock, err := l.Resolve(t.Context(), Input{Set: lockedSet(t, "app",
		reqfile.Pin{Name: "app", Version: "1.0"},
		reqfile.Pin{Name: "lib", Version: "1.5", Marker: marker(t, "python_version >= '3.0'")},
		reqfile.Pin{Name: "lib", Version: "1.0", Marker: marker(t, "python_version < '3.0'")},
		reqfile.Pin{Name: "unasked", Version: "1.0"})})
	if err != nil {
		t.Fatal(err)
	}
	if got := versionsOf(lock); got != "app 1.0, lib 1.5" {
		t.Errorf("taken: %s", got)
	}
	if w := l.events.of("warning"); len(w) > 0 {
		t.Errorf("warned of nothing: %v", w)
	}
}

// Where the target cannot take a version, only that one changes, and it is told with its line.
func TestLockIsKeptWhereItFits(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, lockedIndex...)
	set := lockedSet(t, "app", reqfile.Pin{Name: "app", Version: "1.0"}, reqfile.Pin{Name: "lib", Version: "2.0"})
	set.Locks[0].RequiresPython = ">=3.99"
	lock, err := l.Resolve(t.Context(), Input{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	if got := versionsOf(lock); got != "app 1.0, lib 3.0" {
		t.Errorf("taken: %s", got)
	}
	var said strings.Builder
	for _, w := range l.events.of("warning") {
		said.WriteString(w.Message + "\n")
	}
	for _, want := range []string{"uv.lock is a lock for Python >=3.99", "uv.lock:11: lib 2.0 is locked, 3.0 is taken"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not said:\n%s", want, &said)
		}
	}
}

// The artifact must have one of the hashes that the lock has for its version.
func TestLockHashes(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, lockedIndex...)
	wrong := "sha256:" + strings.Repeat("1", 64)
	_, err := l.Resolve(t.Context(), Input{Set: lockedSet(t, "lib", reqfile.Pin{Name: "lib", Version: "1.5", Hashes: []string{wrong}})})
	if hash, ok := errors.AsType[*HashError](err); !ok || hash.At.Line != 10 || hash.Package != "lib" {
		t.Errorf("a file that is not the locked one is taken: %v", err)
	}
}
