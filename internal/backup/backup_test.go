package backup_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"reqpm/internal/backup"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a backup of either database has is there after a restore into either.
func TestThereAndBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, from string) {
		dir := t.TempDir()
		state := filepath.Join(dir, "state")
		snapshot := filepath.Join(state, "repos", "app", "stable", "el9")
		for _, d := range []string{filepath.Join(state, "keys"), filepath.Join(state, "blobs", ".tmp"), filepath.Join(snapshot, "s1")} {
			must(t, os.MkdirAll(d, 0o755))
		}
		must(t, os.WriteFile(filepath.Join(state, "keys", "signing-key.asc"), []byte("key"), 0o600))
		must(t, os.WriteFile(filepath.Join(state, "blobs", ".tmp", "half"), []byte("x"), 0o600))
		must(t, os.WriteFile(filepath.Join(snapshot, "s1", "a.rpm"), []byte("rpm"), 0o644))
		must(t, os.Symlink("s1", filepath.Join(snapshot, "current")))
		s := storetest.Open(t, from)
		_, err := s.CreateProject(t.Context(), store.Project{Name: "app", GitURL: "https://git.example.org/app.git"})
		must(t, err)
		file := filepath.Join(dir, "b.tar")
		if _, err := backup.Write(t.Context(), s, state, file, "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Write(t.Context(), s, state, file, "test"); !errors.Is(err, os.ErrExist) {
			t.Errorf("a second backup to the same file: %v", err)
		}
		storetest.Each(t, func(t *testing.T, into string) {
			back := filepath.Join(t.TempDir(), "state")
			m, sum, err := backup.Restore(t.Context(), file, back, into)
			if err != nil || m.Program != "test" || sum.Files != 3 {
				t.Fatalf("%+v, %+v, %v", m, sum, err)
			}
			if _, err := storetest.Open(t, into).ProjectNamed(t.Context(), "app"); err != nil {
				t.Error(err)
			}
			text, err := os.ReadFile(filepath.Join(back, "repos", "app", "stable", "el9", "current", "a.rpm"))
			if err != nil || string(text) != "rpm" {
				t.Errorf("the published package: %q, %v", text, err)
			}
			info, err := os.Stat(filepath.Join(back, "keys", "signing-key.asc"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the key: %v, %v", info, err)
			}
			if _, _, err := backup.Restore(t.Context(), file, back, into); !errors.Is(err, backup.ErrFull) {
				t.Errorf("restored over what is there: %v", err)
			}
		})
		whole, err := os.ReadFile(file)
		must(t, err)
		short := filepath.Join(dir, "short.tar")
		must(t, os.WriteFile(short, whole[:len(whole)-4096], 0o600))
		if _, _, err := backup.Restore(t.Context(), short, filepath.Join(dir, "state2"), filepath.Join(dir, "x.db")); !errors.Is(err, backup.ErrShort) && !errors.Is(err, backup.ErrFormat) {
			t.Errorf("a backup that is cut short: %v", err)
		}
	})
}
