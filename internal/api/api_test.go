package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/notify"
	"reqpm/internal/secret"
	"reqpm/internal/service"
	"reqpm/internal/source"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
	"reqpm/internal/target"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// projects knows one address and one target.
type projects struct{}

func (projects) Check(_ context.Context, _ service.Subject, targets []string) error {
	if targets[0] != "local" {
		return errors.New("there is no target " + targets[0])
	}
	return nil
}

func (projects) Refs(_ context.Context, sub service.Subject) ([]source.Ref, error) {
	if strings.HasSuffix(sub.GitURL, "/no-database") {
		return nil, fmt.Errorf("read what is known of its host at 10.0.0.7: %w", store.ErrUnavailable)
	}
	return []source.Ref{{Name: "main", Kind: "branch", Commit: strings.Repeat("a", 40)}}, nil
}

func (projects) Files(context.Context, service.Subject) (string, []service.File, error) {
	return strings.Repeat("a", 40), []service.File{{Path: "requirements.txt", Requirements: 2, Chosen: true}}, nil
}

type bed struct {
	t     testing.TB
	api   *api.API
	store *store.Store
	auth  *auth.Auth
	logs  *blob.Logs
	blobs blob.Store
	state string // of the server, with the repositories
}

func newBed(t testing.TB, url string) *bed {
	t.Helper()
	b := &bed{t: t, store: storetest.Open(t, url), state: t.TempDir()}
	var err error
	if b.auth, err = auth.New(auth.Config{Store: b.store, Cost: auth.Cost{Memory: 64, Passes: 1, Threads: 1}}); err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.OpenDir(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	b.blobs = blobs
	if b.logs, err = blob.OpenLogs(filepath.Join(t.TempDir(), "logs")); err != nil {
		t.Fatal(err)
	}
	events := func(ctx context.Context, after int64, f store.EventFilter) iter.Seq2[store.Event, error] {
		return func(yield func(store.Event, error) bool) {
			all, err := b.store.EventsAfter(ctx, after, f, 100)
			for _, e := range all {
				if !yield(e, nil) {
					return
				}
			}
			if err != nil {
				yield(store.Event{}, err)
			}
		}
	}
	vault, err := auth.OpenVault(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plans := service.NewPlanPreviews(service.New(service.Config{Pipelines: noPipelines{}, Hide: func([]secret.Secret) func(string) string { return func(text string) string { return text } }}))
	t.Cleanup(plans.Close)
	steps := service.New(service.Config{Store: b.store, Blobs: blobs, Logs: b.logs, StateDir: b.state, Settings: service.NewSettingsBase()})
	b.api = api.New(api.Config{Store: b.store, Auth: b.auth, Vault: vault, Notify: notify.New(notify.Config{Store: b.store, Vault: vault}), Blobs: blobs, Logs: b.logs, Projects: projects{}, Preview: preview, Plans: plans, Settings: service.NewSettingsBase(), Targets: target.With([]target.Target{{Name: "house9", Python: target.Python{Version: "3.9.18"}}}), Repositories: steps, Version: "test", Events: events})
	return b
}

// token lets somebody in with a role, in one project unless that is 0.
func (b *bed) token(role auth.Role, project int64) string {
	b.t.Helper()
	text, _, err := b.auth.CreateToken(b.t.Context(), auth.Local(), auth.NewToken{Name: role.String(), Role: role, Project: project, For: time.Hour})
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

func (b *bed) ask(token, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, bytes.NewReader([]byte(body)))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	return w
}

const newProject = `{"name": "app", "git_url": "https://git.example.org/app.git", "targets": ["local"]}`

// create makes the project app with its first run.
func (b *bed) create() (project, run int64) {
	b.t.Helper()
	w := b.ask(b.token(auth.Admin, 0), http.MethodPost, "/api/v1/projects", newProject)
	var p api.Project
	if err := json.Unmarshal(w.Body.Bytes(), &p); w.Code != http.StatusCreated || err != nil || p.LastRun == nil {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return p.ID, p.LastRun.ID
}

func TestCreatingAProjectStartsItsRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		_, id := b.create()
		w := b.ask(b.token(auth.Viewer, 0), http.MethodGet, fmt.Sprintf("/api/v1/runs/%d", id), "")
		var run struct {
			State string
			Steps []struct{ Key, State string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &run); err != nil || run.State != "queued" || len(run.Steps) != 5 || run.Steps[0].Key != "checkout" || run.Steps[0].State != "ready" {
			t.Errorf("%s", w.Body)
		}
		for path, want := range map[string]string{"/api/v1/projects?q=GIT.example": `"name":"app"`, "/api/v1/runs?project=app&state=queued,running": `"number":1`, "/api/v1/audit": `"project.create"`} {
			if w := b.ask(b.token(auth.Admin, 0), http.MethodGet, path, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		if w := b.ask(b.token(auth.Builder, 0), http.MethodPost, fmt.Sprintf("/api/v1/runs/%d/cancel", id), ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"cancelled"`) {
			t.Errorf("cancel: %d %s", w.Code, w.Body)
		}
		if w := b.ask(b.token(auth.Builder, 0), http.MethodPost, fmt.Sprintf("/api/v1/runs/%d/retry?dry_run=true", id), `{"scope": "failed"}`); !strings.Contains(w.Body.String(), `"checkout"`) {
			t.Errorf("what a retry would do: %d %s", w.Code, w.Body)
		}
	})
}

// operations are all of the document.
func operations(t *testing.T, b *bed) map[[2]string]map[string]any {
	t.Helper()
	text, err := b.api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]map[string]any
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	all := map[[2]string]map[string]any{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			all[[2]string{strings.ToUpper(method), path}] = op
		}
	}
	if len(all) < 25 {
		t.Fatalf("only %d operations", len(all))
	}
	return all
}

// quick asks without a body, and does not stay for streams.
func (b *bed) quick(token, method, path string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(leaver{w, cancel}, r)
	return w
}

// leaver leaves a stream as soon as it has begun.
type leaver struct {
	*httptest.ResponseRecorder
	leave func()
}

func (l leaver) Flush() {
	l.ResponseRecorder.Flush()
	if l.Header().Get("Content-Type") == "text/event-stream" {
		l.leave()
	}
}

func TestBadInput(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	b.create()
	admin := b.token(auth.Admin, 0)
	for _, test := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"no JSON", "POST", "/projects", "{", 400},
		{"a wrong type", "POST", "/projects", `{"name": 7, "git_url": "https://x", "targets": ["local"]}`, 422},
		{"an unknown field", "POST", "/projects", `{"name": "x", "git_url": "https://x", "targets": ["local"], "more": 1}`, 422},
		{"a name that leaves its folder", "POST", "/projects", `{"name": "../x", "git_url": "https://x", "targets": ["local"]}`, 422},
		{"an unknown target", "POST", "/projects", `{"name": "x", "git_url": "https://x", "targets": ["el99"]}`, 422},
		{"the same name", "POST", "/projects", newProject, 409},
		{"an unknown project", "GET", "/projects/nobody", "", 404},
		{"an unknown id", "GET", "/runs/4242", "", 404},
		{"no number", "GET", "/runs/x", "", 422},
		{"a forged cursor", "GET", "/runs?cursor=AAAA", "", 422},
		{"an unknown order", "GET", "/runs?sort=secret", "", 422},
		{"an unknown parameter", "GET", "/runs?colour=red", "", 422},
		{"a limit too large", "GET", "/runs?limit=100000", "", 422},
		{"a method that the address does not take", "PUT", "/projects", "{}", 405},
		{"an unknown address", "GET", "/nothing", "", 404},
		{"an unknown parameter of a stream", "GET", "/builds/1/log?colour=red", "", 422},
		{"a log that is not there", "GET", "/builds/1/log", "", 404},
		{"too much", "POST", "/projects", `{"name": "` + strings.Repeat("x", 2<<20) + `"}`, 413},
	} {
		w := b.ask(admin, test.method, "/api/v1"+test.path, test.body)
		var problem struct {
			Status int
			Detail string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code != test.status || problem.Status != test.status || problem.Detail == "" ||
			!strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: %d %s %s", test.name, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
	if w := b.ask("rqp_wrong", http.MethodGet, "/api/v1/projects", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", w.Code)
	}
}

// While the database is away, clients are told to come again, and nothing of where it is.
func TestDatabaseAway(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	w := b.ask(b.token(auth.Admin, 0), http.MethodGet, "/api/v1/discover?git_url=https://git.example.org/no-database", "")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v\n%s", w.Code, w.Header(), w.Body)
	}
	if body := w.Body.String(); strings.Contains(body, "10.0.0.7") || !strings.Contains(body, "try again") {
		t.Errorf("it says %s", body)
	}
}
