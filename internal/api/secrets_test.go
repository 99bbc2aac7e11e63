package api_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/auth"
)

// A secret is set and never comes back: not in answers, not in problems about it, not in the audit log, not in the database.
func TestSecretsAreWriteOnly(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	project, _ := b.create()
	const value = "a-very-secret-value-XYZ9"
	maintainer, all := b.token(auth.Maintainer, project), ""
	ask := func(token, method, path, body string, want int) string {
		t.Helper()
		w := b.ask(token, method, "/api/v1/projects/app/secrets"+path, body)
		all += w.Body.String()
		if w.Code != want {
			t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	put := func(path, body string, want int) string { return ask(maintainer, http.MethodPut, path, body, want) }
	if got := put("/git", `{"kind": "git-token", "value": "`+value+`"}`, 200); !strings.Contains(got, `"origin":"https://git.example.org"`) || !strings.Contains(got, `"ends":"XYZ9"`) {
		t.Error(got)
	}
	put("/index", `{"kind": "index", "value": "`+value+`"}`, 422)
	put("/index", `{"kind": "index", "origin": "https://index.example.org/simple", "username": "ci", "value": "`+value+`"}`, 200)
	put("/second", `{"kind": "git-token", "value": "`+value+`"}`, 409)
	put("/git", `{"kind": "git-token", "value": "`+value+`", "unknown": 1}`, 422)
	put("/git", `{"value": "`+value+`"}`, 422)
	put("/git", `{"kind": "no-kind", "value": "`+value+`"}`, 422)
	put("/git", `{"kind": "ssh-key", "value": "`+value+`", "origin": "ssh://git.example.org"}`, 422)
	put("/git", `{"kind": "git-token", "value": "`+strings.Repeat(value, 500)+`"}`, 422)
	put("/git", `{"kind": "git-token", "value": ["`+value+`"]}`, 422)
	put("/Bad", `{"kind": "git-token", "value": "`+value+`"}`, 422)
	if got := ask(maintainer, http.MethodGet, "", "", 200); !strings.Contains(got, `"name":"git"`) || !strings.Contains(got, `"name":"index"`) || !strings.Contains(got, "set_by") {
		t.Error(got)
	}
	ask(b.token(auth.Builder, project), http.MethodGet, "", "", 403)
	w := b.ask(b.token(auth.Builder, 0), http.MethodPost, "/api/v1/discover", `{"git_url": "https://git.example.org/app.git", "value": "`+value+`"}`)
	if all += w.Body.String(); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	all += b.ask(b.token(auth.Admin, 0), http.MethodGet, "/api/v1/audit?limit=500", "").Body.String()
	if !strings.Contains(all, "secret.set") || strings.Contains(all, "a-very-secret") {
		t.Errorf("the value shows, or the audit log has not that it was set:\n%.3000s", all)
	}
	ask(maintainer, http.MethodDelete, "/git", "", 204)
	ask(maintainer, http.MethodDelete, "/git", "", 404)
	if sealed, err := b.store.Secret(t.Context(), project, "index"); err != nil || strings.Contains(string(sealed), "a-very-secret") {
		t.Errorf("the database: %v", err)
	}
}
