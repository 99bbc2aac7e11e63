package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// published makes a repository with empty snapshots, the last of which is current.
func (b *bed) published(project int64, ids ...string) (repository int64) {
	b.t.Helper()
	root := filepath.Join(b.state, "repos", "app", "stable", "local")
	for i, id := range ids {
		dir := filepath.Join(root, "snapshots", id)
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "reqpm-snapshot.json"), []byte(`{"id": "`+id+`", "packages": [], "files": {}, "created": "2026-11-26T12:00:00Z"}`), 0o644)
		}
		at := time.Now().Add(time.Duration(i-len(ids)) * time.Hour)
		if err == nil {
			err = os.Chtimes(dir, at, at)
		}
		if err == nil {
			err = b.store.Write(b.t.Context(), func(tx *store.Tx) error {
				s, err := tx.AddSnapshot(b.t.Context(), store.Snapshot{Project: project, Run: int64(i + 1), Target: "local", Path: "app/stable/local/snapshots/" + id})
				if err != nil {
					return err
				}
				r, err := tx.PointRepository(b.t.Context(), project, "stable", "local", s.ID)
				repository = r.ID
				return err
			})
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	if err := os.Symlink("snapshots/"+ids[len(ids)-1], filepath.Join(root, "current")); err != nil {
		b.t.Fatal(err)
	}
	return repository
}

func TestSnapshots(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		project, _ := b.create()
		admin := b.token(auth.Admin, 0)
		ids := []string{strings.Repeat("a", 20), strings.Repeat("b", 20), strings.Repeat("c", 20)}
		path := fmt.Sprintf("/api/v1/projects/app/repositories/%d", b.published(project, ids...))
		ask := func(method, at, body string, status int, into any) string {
			t.Helper()
			w := b.ask(admin, method, path+at, body)
			if w.Code != status {
				t.Fatalf("%s %s %s: %d %s", method, at, body, w.Code, w.Body)
			}
			if into != nil {
				if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
					t.Fatal(err)
				}
			}
			return w.Body.String()
		}
		// shown is which snapshots there are, the current one with a star, a pinned one with two.
		shown := func(want string) {
			t.Helper()
			var page struct{ Items []api.Snapshot }
			ask("GET", "/snapshots", "", http.StatusOK, &page)
			text := ""
			for _, s := range page.Items {
				text += s.ID[:1] + map[bool]string{true: "*"}[s.Current] + map[bool]string{true: "*"}[s.Pinned]
				if s.Run != int64(s.ID[0]-'a'+1) {
					t.Errorf("%+v", s)
				}
			}
			if text != want {
				t.Errorf("snapshots %s, not %s", text, want)
			}
		}
		shown("c*ba")
		ask("POST", "/unpin", "", http.StatusConflict, nil)
		var s api.SwitchedRepository
		if ask("POST", "/rollback?dry_run=true", "{}", http.StatusOK, &s); !s.DryRun || s.Snapshot.ID != ids[1] || s.Repository.Pinned != nil {
			t.Errorf("the one before: %+v", s)
		}
		shown("c*ba")
		s = api.SwitchedRepository{}
		if ask("POST", "/rollback", `{"snapshot": "`+ids[0]+`"}`, http.StatusOK, &s); s.Snapshot.ID != ids[0] || s.Repository.Pinned == nil || s.Repository.PinnedBy != "token admin" {
			t.Errorf("rolled back: %+v", s)
		}
		shown("cba**")
		ask("POST", "/rollback", `{"snapshot": "`+strings.Repeat("d", 20)+`"}`, http.StatusUnprocessableEntity, nil)
		ask("POST", "/rollback", `{}`, http.StatusConflict, nil) // there is nothing before it
		if w := b.ask(admin, "GET", "/api/v1/projects/app/repositories", ""); !strings.Contains(w.Body.String(), `"pinned_by"`) {
			t.Errorf("%s", w.Body)
		}
		if w := b.ask(admin, "GET", "/api/v1/audit?object=roll-back", ""); !strings.Contains(w.Body.String(), `"from":"`+ids[2]+`","to":"`+ids[0]+`"`) {
			t.Errorf("%s", w.Body)
		}
		if w := b.ask(admin, "GET", "/api/v1/projects/app/log", ""); !strings.Contains(w.Body.String(), "rolled back to the snapshot "+ids[0]) {
			t.Errorf("%s", w.Body)
		}
		s = api.SwitchedRepository{}
		if ask("POST", "/unpin", "", http.StatusOK, &s); s.Snapshot.ID != ids[2] || s.Repository.Pinned != nil {
			t.Errorf("unpinned: %+v", s)
		}
		shown("c*ba")

		// Of another project's repository nobody learns by its number.
		if err := b.store.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.CreateProject(t.Context(), store.Project{Name: "other", GitURL: "https://git.example.org/other.git", Targets: []string{"local"}})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{"/snapshots", "/rollback", "/unpin"} {
			method := map[bool]string{true: "GET", false: "POST"}[at == "/snapshots"]
			if w := b.ask(admin, method, strings.Replace(path, "/app/", "/other/", 1)+at, map[bool]string{true: "{}"}[at == "/rollback"]); w.Code != http.StatusNotFound {
				t.Errorf("%s: %d %s", at, w.Code, w.Body)
			}
		}
	})
}
