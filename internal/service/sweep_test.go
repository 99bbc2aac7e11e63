package service_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/secret"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// What nothing used, and what deleted projects and replaced secrets have left, goes as the preview says; what is used stays.
func TestCleanBuildsSweepsWhatIsLeft(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	b.now = time.Now()
	p := b.project(store.Project{Name: "app", GitURL: "https://git.example.org/app"})
	gone := b.project(store.Project{Name: "gone", GitURL: "https://git.example.org/gone"})
	for _, id := range []int64{p.ID, gone.ID} {
		if _, err := b.blobs.Put(t.Context(), fmt.Sprintf("specs/%d/abc/a.spec", id), strings.NewReader("text")); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.store.DeleteProject(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	for name, days := range map[string]int{"old": 100, "young": 20} {
		file, at := filepath.Join(b.state, "builds", name, "result.json"), b.now.AddDate(0, 0, -days)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	// Two secrets had the index show something; one is replaced.
	var kept, replaced secret.Secret
	for i, into := range []*secret.Secret{&kept, &replaced} {
		s, err := secret.New("index", secret.Index, "https://index.example.org", "ci", "swordfish", "")
		if err != nil {
			t.Fatal(err)
		}
		s.Set(fmt.Sprint("id", i), "ada", b.now)
		*into = s
	}
	cache := func(s secret.Secret) string {
		return filepath.Join(b.state, "index", "private", service.PrivateName(s))
	}
	for _, s := range []secret.Secret{kept, replaced} {
		if err := os.MkdirAll(cache(s), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cache(s), "page"), []byte("shown"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.secrets = []secret.Secret{kept}
	there := func(path string, want bool) {
		t.Helper()
		if _, err := os.Stat(path); os.IsNotExist(err) == want {
			t.Errorf("%s: %v, wanted there: %v", path, err, want)
		}
	}
	b.now = b.now.Add(13 * time.Hour)
	would, err := b.service.Preview(t.Context(), service.ScheduleBuilds)
	if err != nil {
		t.Fatal(err)
	}
	kinds := ""
	for _, r := range would.Items {
		kinds += r.Kind + ": " + r.Why + "\n"
	}
	for _, want := range []string{"cached build: nothing used it", "spec: its project was deleted", "index cache: the secret"} {
		if strings.Count(kinds, want) != 1 {
			t.Errorf("the preview has not one %q:\n%s", want, kinds)
		}
	}
	there(filepath.Join(b.state, "builds", "old"), true)
	b.must(service.ScheduleBuilds, "1 build of this machine's cache that nothing used; 1 spec file of deleted projects")
	there(filepath.Join(b.state, "builds", "old"), false)
	there(filepath.Join(b.state, "builds", "young"), true)
	b.has(fmt.Sprintf("specs/%d/abc/a.spec", p.ID), true)
	b.has(fmt.Sprintf("specs/%d/abc/a.spec", gone.ID), false)
	there(cache(replaced), true) // a run may be at work with it
	b.now = b.now.Add(13 * time.Hour)
	b.must(service.ScheduleBuilds, "1 cache of the index that no secret opens any more")
	there(cache(replaced), false)
	there(cache(kept), true)

	// Where runs stay for ever, so does the cache.
	b.write(func(tx *store.Tx) error { return tx.SetSetting(t.Context(), "server.retention_days", "0") })
	b.now = b.now.AddDate(1, 0, 0)
	b.must(service.ScheduleBuilds, "removed 0 runs")
	there(filepath.Join(b.state, "builds", "young"), true)
}
