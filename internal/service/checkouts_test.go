package service_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// What nobody used for long goes, as the preview said; what a run that has not ended needs stays.
func TestCleanCheckouts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		run := b.run(b.project(store.Project{Name: "app", GitURL: "https://git.example.org/app"}))
		if err := b.store.SetRunSource(t.Context(), run.ID, "needed", "main"); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(b.state, "checkouts")
		for name, age := range map[string]time.Duration{"needed": 100 * 24 * time.Hour, "old": 100 * 24 * time.Hour, "young": time.Hour} {
			if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age)
			meta := filepath.Join(dir, name+".json")
			if err := errors.Join(os.WriteFile(filepath.Join(dir, name, "setup.py"), make([]byte, 7), 0o644), os.WriteFile(meta, []byte(`{"commit": "`+name+`"}`), 0o644), os.Chtimes(meta, at, at)); err != nil {
				t.Fatal(err)
			}
		}
		p, err := b.service.Preview(t.Context(), service.ScheduleCheckouts)
		if err != nil || p.Count != 1 || p.Bytes != 7 || p.Items[0].Name != "old" {
			t.Errorf("%+v %v", p, err)
		}
		b.must(service.ScheduleCheckouts, "removed 1 checkout")
		for name, want := range map[string]bool{"needed": true, "old": false, "young": true} {
			if _, err := os.Stat(filepath.Join(dir, name, "setup.py")); (err == nil) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.service.Preview(t.Context(), service.ScheduleSync); !errors.Is(err, service.ErrNoPreview) {
			t.Error(err)
		}
	})
}
