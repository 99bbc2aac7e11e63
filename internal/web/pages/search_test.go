package pages

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// The search finds what the reader may see and nothing else, shows hostile text as text, and says the same to the script of its field.
func TestSearchPage(t *testing.T) {
	b := newBed(t)
	mine, run := b.project("mine-app")
	b.project("theirs-app")
	err := b.store.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.AddWorker(t.Context(), store.Worker{Name: "<b>app\u202eworker", Host: "h", Slots: 1, Lease: time.Minute}); err != nil {
			return err
		}
		return tx.AddSteps(t.Context(), run.ID, []store.NewStep{{Key: "a", Kind: store.Build, Package: "app-server==1.2", Target: "el9"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	admin, member := b.token(auth.Admin, 0), b.token(auth.Viewer, mine.ID)
	page := b.ask(admin, http.MethodGet, "/search?q=app", nil).Body.String()
	for _, want := range []string{`href="/projects/mine-app"`, `href="/projects/theirs-app"`, `href="/projects/mine-app/packages/app-server"`, `href="/builds/1"`, "&lt;b&gt;app"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	page = b.ask(member, http.MethodGet, "/search?q=app", nil).Body.String()
	if !strings.Contains(page, "mine-app") || strings.Contains(page, "theirs") || strings.Contains(page, "&lt;b") {
		t.Error("who may see one project finds others' things, or not his own")
	}
	var found struct {
		Hits []struct{ Group, Path, Name string }
	}
	w := b.ask(member, http.MethodGet, "/search/hits?q="+url.QueryEscape("app server"), nil)
	if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil || len(found.Hits) != 0 {
		t.Errorf("a version that there is not: %v %s", err, w.Body)
	}
	w = b.ask(member, http.MethodGet, "/search/hits?q="+url.QueryEscape("app-server 1"), nil)
	if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil || len(found.Hits) != 2 || found.Hits[0].Path != "/projects/mine-app/packages/app-server" || found.Hits[1].Path != "/builds/1" {
		t.Errorf("%v %s", err, w.Body)
	}
	for _, text := range []string{"", "   ", "%", strings.Repeat("x", 5000), "\x00", `"><script>alert(1)</script>`, "🦊\u202e"} {
		w := b.ask(member, http.MethodGet, "/search?q="+url.QueryEscape(text), nil)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script>alert") || strings.Contains(w.Body.String(), "\u202e") {
			t.Errorf("%q: %d, or it is shown as it is", text, w.Code)
		}
	}
}
