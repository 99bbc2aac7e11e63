package api_test

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// A search finds what the token may see, and takes every text for a text.
func TestFind(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	var mine store.Project
	for _, name := range []string{"theirs-app", "mine-app"} {
		err := b.store.Write(t.Context(), func(tx *store.Tx) error {
			p, err := tx.CreateProject(t.Context(), store.Project{Name: name, GitURL: "https://git.example.org/x"})
			if err != nil {
				return err
			}
			mine = p
			r, _, err := tx.CreateRun(t.Context(), store.Run{Project: p.ID, Ref: "main", Targets: []string{"el9"}}, false)
			if err != nil {
				return err
			}
			return tx.AddSteps(t.Context(), r.ID, []store.NewStep{{Key: "a", Kind: store.Build, Package: "app-server==1.2", Target: "el9"}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	find := func(token, text string) (names []string) {
		t.Helper()
		w := b.ask(token, "GET", "/api/v1/search?q="+url.QueryEscape(text), "")
		var found struct{ Items []api.Hit }
		if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil || w.Code != 200 {
			t.Fatalf("%q: %d %s", text, w.Code, w.Body)
		}
		for _, h := range found.Items {
			names = append(names, string(h.Kind)+" "+h.ProjectName+" "+h.Name)
		}
		return names
	}
	member := b.token(auth.Viewer, mine.ID)
	if got := strings.Join(find(member, "app"), ", "); got != "project mine-app mine-app, package mine-app app-server, build mine-app app-server==1.2" {
		t.Error(got)
	}
	if got := find(b.token(auth.Admin, 0), "app"); len(got) != 6 {
		t.Error(got)
	}
	for _, text := range []string{"%", "_", "a\x00b", "' OR 1=1 --", "\u202e", strings.Repeat("é", 200)} {
		if got := find(member, text); len(got) != 0 {
			t.Errorf("%q finds %q", text, got)
		}
	}
	b.want(b.ask(member, "GET", "/api/v1/search?q="+strings.Repeat("x", 201), ""), 422, "q")
	b.want(b.ask(member, "GET", "/api/v1/search", ""), 422, "q")
}
