package api_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/service"
)

// What a project says of a package is set, read, guarded by its ETag, previewed and taken away, in any spelling of its name.
func TestOverrides(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	project, _ := b.create()
	mine := b.token(auth.Maintainer, project)
	const path = "/api/v1/projects/app/overrides"
	ask := func(method, at, body string, want int, says string, header ...string) string {
		t.Helper()
		w := b.ask(mine, method, path+at, body, header...)
		if w.Code != want || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s %s %s: %d %s, not %d with %s", method, at, body, w.Code, w.Body, want, says)
		}
		return w.Header().Get("ETag")
	}
	ask("GET", "", "", http.StatusOK, `"items":[]`)
	ask("GET", "/lxml", "", http.StatusNotFound, "say nothing of lxml")
	ask("PUT", "/lxml?dry_run=true", `{"text": "version = '<6'"}`, http.StatusOK, `"was":""`)
	ask("GET", "", "", http.StatusOK, `"items":[]`)
	first := ask("PUT", "/LXML", `{"text": "version = '<6'\r\n"}`, http.StatusOK, `"text":"version = '<6'\n"`)
	ask("GET", "/lxml", "", http.StatusOK, `{"package":"lxml","text":"version = '<6'\n"}`)
	ask("PUT", "/lxml", `{"text": "version = '<5'"}`, http.StatusOK, `"was":"version = '<6'\n"`, "If-Match", first)
	ask("PUT", "/lxml", `{"text": "version = '<4'"}`, http.StatusPreconditionFailed, "meanwhile", "If-Match", first)
	ask("DELETE", "/lxml", "", http.StatusPreconditionFailed, "meanwhile", "If-Match", first)
	ask("PUT", "/lxml", `{"text": "build_requires = []"}`, http.StatusUnprocessableEntity, `did you mean \"build-requires\"`)
	ask("PUT", "/lxml", `{"text": " \n"}`, http.StatusUnprocessableEntity, "body.text")
	ask("PUT", "/-lxml", `{"text": "version = '<4'"}`, http.StatusUnprocessableEntity, "path.package")
	ask("PUT", "/Py_YAML", `{"text": "allow-pure = true"}`, http.StatusOK, `"package":"py-yaml"`)
	var list struct{ Items []api.Override }
	if w := b.ask(mine, "GET", path, ""); json.Unmarshal(w.Body.Bytes(), &list) != nil || len(list.Items) != 2 || list.Items[0] != (api.Override{Package: "lxml", Text: "version = '<5'"}) {
		t.Errorf("they are %s", w.Body)
	}

	// A preview takes texts in place of some of them, and refuses what is none.
	w := b.ask(mine, "POST", "/api/v1/projects/app/plan-previews", `{"overrides": {"lxml": "version = 5"}}`)
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "body.overrides") {
		t.Errorf("a preview with what is no override: %d %s", w.Code, w.Body)
	}
	var view service.PlanView
	w = b.ask(mine, "POST", "/api/v1/projects/app/plan-previews", `{"overrides": {"lxml": "", "other": "version = '<2'"}}`)
	if w.Code != http.StatusAccepted || json.Unmarshal(w.Body.Bytes(), &view) != nil {
		t.Fatalf("a preview: %d %s", w.Code, w.Body)
	}
	b.ask(mine, "DELETE", "/api/v1/plan-previews/"+view.ID, "")

	ask("DELETE", "/py_yaml", "", http.StatusNoContent, "")
	ask("DELETE", "/py_yaml", "", http.StatusNotFound, "say nothing of py-yaml")
	var page struct {
		Items []struct {
			Action, Object string
			Detail         map[string]string
		}
	}
	w = b.ask(b.token(auth.Admin, 0), "GET", "/api/v1/audit?limit=20&object=py-yaml", "")
	if json.Unmarshal(w.Body.Bytes(), &page) != nil || len(page.Items) != 2 || page.Items[0].Action != "override.set" || page.Items[0].Detail["text"] != "" || page.Items[0].Detail["was"] != "allow-pure = true" {
		t.Errorf("the audit log has %s", w.Body)
	}
}
