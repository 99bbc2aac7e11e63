package pages

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// parts are the parts of a page, as its script asks for them.
func (l loggedIn) parts(path string) map[string]string {
	l.t.Helper()
	r := l.request("", http.MethodGet, path, nil)
	r.AddCookie(l.cookie)
	r.Header.Set("Accept", typeParts)
	w := httptest.NewRecorder()
	l.pages.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		l.t.Fatalf("%s: %d %v: %s", path, w.Code, err, w.Body)
	}
	return a.Fragments
}

// TestFormDoesNotWaitForGit: the settings are there at once, whatever the Git server does, and the page's script has it asked. Files that
// were chosen stay chosen until somebody says otherwise, found or not.
func TestFormDoesNotWaitForGit(t *testing.T) {
	b := newBed(t)
	f := b.forged(func(context.Context, string) error { return nil })
	err := b.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.CreateProject(t.Context(), store.Project{Name: "app", GitURL: "https://git.example.org/app", RequirementFiles: []string{"requirements.txt", "deploy/extra.txt"}, Targets: []string{"el9"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ada := b.logIn("ada", auth.Admin)
	path := projectPath("app") + "/settings"
	has(t, "the page", ada.get(path), "data-ask", "https://git.example.org/app", `value="requirements.txt" checked`, `value="deploy/extra.txt" checked`)
	if n := f.asked.Load(); n != 0 {
		t.Errorf("the Git server was asked %d times before the page was there", n)
	}
	got := ada.parts(path)
	has(t, "the parts", got["source"], "1 branch", "Now at")
	has(t, "the parts", got["files"], `value="requirements.txt" checked`, `value="deploy/extra.txt" checked`, "chosen by its path", "1 of 1 selected")
	if f.asked.Load() != 1 {
		t.Errorf("asked %d times", f.asked.Load())
	}
	form := url.Values{"git_url": {"https://git.example.org/app"}, "file": {"requirements.txt", "deploy/extra.txt"}, "target": {"el9"}}
	if a, code := ada.do(path, form); code != http.StatusOK {
		t.Errorf("%d %+v", code, a)
	}
	if page := ada.get("/projects/new"); !strings.Contains(page, "No address yet") || strings.Contains(page, "data-ask") {
		t.Error("a form without an address asks for something")
	}
}
