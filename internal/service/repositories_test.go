package service_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// A repository that clients cannot use is told of once, kept as its state, and told of again when it is well.
func TestCheckRepositories(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		p := b.project(store.Project{Name: "app", GitURL: "https://git.example.org/app"})
		b.must(service.ScheduleRepositories, "checked 0 repositories")
		root := filepath.Join(b.state, "repos", "app", "stable", "el9")
		if err := os.MkdirAll(root, 0o755); err != nil {
			t.Fatal(err)
		}
		b.write(func(tx *store.Tx) error {
			s, err := tx.AddSnapshot(t.Context(), store.Snapshot{Project: p.ID, Run: 1, Target: "el9", Path: root})
			if err == nil {
				_, err = tx.PointRepository(t.Context(), p.ID, "stable", "el9", s.ID)
			}
			return err
		})
		for range 2 {
			if text, err := b.schedule(service.ScheduleRepositories); err == nil || text != "checked 1 repository with 0 packages" || !strings.Contains(err.Error(), "1 repository cannot be used") {
				t.Errorf("%q %v", text, err)
			}
		}
		all, err := b.store.Repositories(t.Context(), p.ID)
		if err != nil || len(all) != 1 || !strings.Contains(all[0].Problem, "no snapshot is current") || all[0].Checked.IsZero() {
			t.Errorf("%+v %v", all, err)
		}
		if said := b.said(p.ID); strings.Count(said, "warning repository stable/el9: ") != 1 {
			t.Errorf("%s", said)
		}
	})
}
