package blob_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/blob/conformance"
	"reqpm/internal/filelock"
)

func openStoreLogs(t *testing.T, store blob.Store, dir string) *blob.Logs {
	t.Helper()
	l, err := blob.OpenStoreLogs(store, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestStoreLogs(t *testing.T) {
	conformance.Logs(t, func(t *testing.T) func() *blob.Logs {
		store := openDir(t, t.TempDir())
		return func() *blob.Logs { return openStoreLogs(t, store, t.TempDir()) }
	})
}

// files are what lies below a directory, scratch apart.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.HasPrefix(name, ".tmp/") {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// The directory is empty when the store has everything, and what was left there by who was killed comes into the
// store with the next start, whole.
func TestStoreLogsAfterAKill(t *testing.T) {
	blobs, dir := t.TempDir(), t.TempDir()
	store := openDir(t, blobs)
	w := conformance.CreateLog(t, openStoreLogs(t, store, dir), "closed.log")
	fmt.Fprintln(w, "text")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left in the directory: %q", left)
	}
	if got := files(t, blobs); len(got) != 1 || got[0] != "closed.log.gz" {
		t.Errorf("in the store: %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "killed.log"), []byte("more than was sent"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"killed.log.parts/beat": "", "killed.log.parts/000000000000000": "more"} {
		if _, err := store.Put(t.Context(), name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	openStoreLogs(t, store, dir)
	there := openStoreLogs(t, store, t.TempDir())
	r := conformance.OpenLog(t, there, "killed.log")
	if text, err := conformance.ReadLog(t.Context(), r); text != "more than was sent" || err != nil {
		t.Errorf("%q %v", text, err)
	}
}

// A log whose machine is gone ends for its readers with what was sent, and can be finished by another, but not
// while its writer may live.
func TestStoreLogsOfALostMachine(t *testing.T) {
	blobs := t.TempDir()
	store := openDir(t, blobs)
	there := openStoreLogs(t, store, t.TempDir())
	for name, text := range map[string]string{"beat": "", "000000000000000": "one\n", "000000000000004": "two\n"} {
		if _, err := store.Put(t.Context(), "lost.log.parts/"+name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := there.Finish("lost.log"); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("a log was finished under its writer: %v", err)
	}
	for _, f := range files(t, blobs) {
		if err := os.Chtimes(filepath.Join(blobs, f), time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if text, err := conformance.ReadLog(t.Context(), conformance.OpenLog(t, there, "lost.log")); text != "one\ntwo\n" || err != nil {
			t.Errorf("%q %v", text, err)
		}
		if err := there.Finish("lost.log"); err != nil {
			t.Fatal(err)
		}
	}
	if got := files(t, blobs); len(got) != 1 {
		t.Errorf("in the store: %q", got)
	}
	if err := there.Finish("nosuch.log"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("finish what is not there: %v", err)
	}
}
