package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/repo"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// readers are who asks: nobody, somebody who may read everything, and who may read one project, this or another.
var readers = []string{"nobody", "viewer", "viewer of app", "viewer of other"}

// TestRolesOfEveryRoute asks for everything that is answered here, as each of the readers, from this machine and from
// another. The API and the pages have tests of their own (TestRolesOfEveryOperation, TestRoles).
func TestRolesOfEveryRoute(t *testing.T) {
	dir := t.TempDir()
	s := storetest.Open(t, filepath.Join(dir, "reqpm.db"))
	a, err := auth.New(auth.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{}
	token := func(name string, project int64) {
		t.Helper()
		text, _, err := a.CreateToken(t.Context(), auth.Local(), auth.NewToken{Name: name, Role: auth.Viewer, Project: project, For: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		tokens[name] = text
	}
	token("viewer", 0)
	for _, name := range []string{"app", "other"} {
		p, err := s.CreateProject(t.Context(), store.Project{Name: name, GitURL: "https://git.example.org/" + name})
		if err != nil {
			t.Fatal(err)
		}
		token("viewer of "+name, p.ID)
	}
	repodata := filepath.Join(dir, "repos", "app", "main", "el9", repo.Current, "repodata")
	if err := os.MkdirAll(repodata, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repodata, "repomd.xml"), []byte("<repomd/>"), 0o644); err != nil {
		t.Fatal(err)
	}
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "its own business") })
	cfg := Config{API: answer, Pages: answer, Metrics: answer, Store: s, Auth: a, Repos: filepath.Join(dir, "repos"), Ready: func(context.Context) error { return nil }}
	all, ofApp := [4]int{200, 200, 200, 200}, [4]int{401, 200, 200, 401}
	matrix := map[string][]struct {
		path           string
		public, remote bool
		want           [4]int
	}{
		"/api/v1/":     {{"/api/v1/projects", false, true, all}},
		"/":            {{"/projects", false, true, all}, {"/nothing", false, true, all}},
		"GET /healthz": {{"/healthz", false, true, all}},
		"GET /readyz":  {{"/readyz", false, true, all}},
		"GET /metrics": {{"/metrics", false, false, all}, {"/metrics", false, true, [4]int{401, 200, 401, 401}}},
		"GET " + repoFiles: {
			{"/repos/app/main/el9/repodata/repomd.xml", false, true, ofApp},
			{"/repos/app/main/el9/repodata/repomd.xml", true, true, all},
			{"/repos/app/main/el9/repodata/nothing", false, true, [4]int{401, 404, 404, 401}},
			{"/repos/app/main/EL9/repodata/repomd.xml", false, true, [4]int{401, 404, 404, 401}},
			{"/repos/app/main/el9/repodata", false, true, [4]int{401, 404, 404, 401}},
			{"/repos/app/main/el9/%2e%2e/%2e%2e/%2e%2e/other", true, true, [4]int{404, 404, 404, 404}},
			{"/repos/nobodys/main/el9/repodata/repomd.xml", false, true, [4]int{401, 401, 401, 401}},
		},
		"GET " + repoFile: {
			{"/repos/app/main/el9.repo", false, true, ofApp},
			{"/repos/app/main/el9.repo", true, true, all},
			{"/repos/app/main/el8.repo", false, true, [4]int{401, 404, 404, 401}},
			{"/repos/app/main/el9.txt", false, true, [4]int{404, 404, 404, 404}},
		},
	}
	for pattern := range (handler{cfg}).routes() {
		if len(matrix[pattern]) == 0 {
			t.Errorf("%s is answered, and who may ask is in no table", pattern)
		}
	}
	for pattern, asked := range matrix {
		for _, ask := range asked {
			cfg.PublicRepos = ask.public
			h := New(cfg)
			for i, reader := range readers {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, ask.path, nil)
				r.RemoteAddr = "127.0.0.1:4711"
				if ask.remote {
					r.RemoteAddr = "203.0.113.7:4711"
				}
				switch token := tokens[reader]; {
				case token == "":
				case strings.HasPrefix(ask.path, "/repos/"):
					r.SetBasicAuth("dnf", token)
				default:
					r.Header.Set("Authorization", "Bearer "+token)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				// A mux sends clients to the path without dots first.
				if got := w.Code; got != ask.want[i] && !(got == http.StatusMovedPermanently || got == http.StatusTemporaryRedirect) || w.Header().Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s, public %v, from elsewhere %v: %s gets %d, want %d: %s", ask.path, ask.public, ask.remote, reader, got, ask.want[i], w.Body)
				}
				if strings.Contains(pattern, "repos") && w.Code == http.StatusOK && w.Body.Len() == 0 {
					t.Errorf("%s: %s gets nothing, and is told that it is well", ask.path, reader)
				}
			}
		}
	}
}
