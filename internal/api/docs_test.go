package api_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"reqpm/internal/auth"
)

// The page has every operation of the document, and a browser takes nothing into it from anywhere.
func TestDocsPage(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	w := b.ask("", http.MethodGet, "/api/v1/docs", "")
	page := w.Body.String()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", w.Code, w.Header())
	}
	for key, op := range operations(t, b) {
		if id, _ := op["operationId"].(string); !strings.Contains(page, `<details id="`+id+`">`) || !strings.Contains(page, "<code>"+key[1]+"</code>") {
			t.Errorf("%s %s is not on the page", key[0], key[1])
		}
	}
	for _, part := range []string{"git_url", "length ≤ 64", "Idempotency-Key", "curl -X POST"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %q", part)
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	if strings.Contains(page, "<script") || strings.Contains(page, "src=") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the page may run or load something: %s", policy)
	}
	if again := b.ask("", http.MethodGet, "/api/v1/docs", "", "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("%d", again.Code)
	}
}

// Lists show what is asked for, and no more.
func TestFiltersOfLists(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	_, run := b.create()
	ids := b.builds(run)
	viewer := b.token(auth.Viewer, 0)
	b.want(b.ask(b.token(auth.Builder, 0), "POST", "/api/v1/projects/app/runs", `{"ref": "next"}`), 201, `"ref":"next"`)
	b.bulk(b.token(auth.Builder, 0), "/builds/bulk", `{"action": "cancel", "ids": [`+strconv.FormatInt(ids["one"], 10)+`]}`)
	soon, before := time.Now().Add(time.Hour).UTC().Format(time.RFC3339), time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	for path, n := range map[string]int{
		"/runs": 2, "/runs?ref=next": 1, "/runs?ref=other": 0, "/runs?after=" + before: 2, "/runs?after=" + soon: 0, "/runs?before=" + before: 0, "/runs?number=2": 1, "/runs?state=queued&sort=-created": 2,
		"/builds": 3, "/builds?after=" + before: 2, "/builds?before=" + soon: 2, "/builds?before=" + before: 0, "/builds?worker=7": 0, "/builds?state=cancelled&sort=package": 1, "/builds?package=three": 1, "/builds?target=el9": 0,
	} {
		w := b.ask(viewer, "GET", "/api/v1"+path, "")
		if got := strings.Count(w.Body.String(), `"id":`); w.Code != 200 || got != n {
			t.Errorf("%s: %d with %d items, not %d: %s", path, w.Code, got, n, w.Body)
		}
	}
	b.want(b.ask(viewer, "GET", "/api/v1/runs?after=yesterday", ""), 422, "query.after")
}
