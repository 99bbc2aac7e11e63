package pipeline

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"reqpm/internal/filelock"
)

// Of the cache of builds goes what nothing used for long: not what somebody builds at the moment, and not what was used
// after it was looked at.
func TestOldBuilds(t *testing.T) {
	state, now := t.TempDir(), time.Now()
	for name, days := range map[string]int{"old": 40, "locked": 40, "used": 40, "young": 2} {
		dir := filepath.Join(state, "builds", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		file, at := filepath.Join(dir, "result.json"), now.AddDate(0, 0, -days)
		if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	old, err := OldBuilds(state, now.AddDate(0, 0, -30))
	if err != nil || len(old) != 3 {
		t.Fatalf("%+v %v", old, err)
	}
	lock, err := filelock.Try(filepath.Join(state, "builds", "locked.lock"))
	if err != nil {
		t.Fatal(err)
	}
	noteUse(filepath.Join(state, "builds", "used"))
	for _, b := range old {
		if gone, err := b.Remove(); err != nil || gone != (b.Key == "old") {
			t.Errorf("%s: %v %v", b.Key, gone, err)
		}
		if _, err := os.Stat(b.Dir); os.IsNotExist(err) != (b.Key == "old") {
			t.Errorf("%s: %v", b.Key, err)
		}
	}
	lock.Close()
	if old, err = OldBuilds(state, now.AddDate(0, 0, -30)); err != nil || len(old) != 1 || old[0].Key != "locked" {
		t.Errorf("%+v %v", old, err)
	}
}
