package blob_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/blob/conformance"
)

func openDir(t *testing.T, dir string) *blob.Dir {
	t.Helper()
	d, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDir(t *testing.T) {
	conformance.Test(t, func(t *testing.T) blob.Store { return openDir(t, t.TempDir()) })
}

// What a writer that died left is removed by whoever opens the store a day later, and not before.
func TestStaleFiles(t *testing.T) {
	dir := t.TempDir()
	openDir(t, dir)
	old, young := filepath.Join(dir, ".tmp", "old"), filepath.Join(dir, ".tmp", "young")
	for _, f := range []string{old, young} {
		if err := os.WriteFile(f, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	openDir(t, dir)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a day old: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("somebody's still: %v", err)
	}
}

// A link out of the directory leads nowhere.
func TestLinkOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	d := openDir(t, dir)
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if o, err := d.Open(t.Context(), "link/secret"); err == nil {
		t.Errorf("read through a link: %v", o.Info())
	}
	if _, err := d.Put(t.Context(), "link/new", strings.NewReader("x")); err == nil {
		t.Error("wrote through a link")
	}
}
