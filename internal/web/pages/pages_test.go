package pages

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
	"reqpm/internal/target"
)

// bed are pages on an empty database.
type bed struct {
	t     testing.TB
	store *store.Store
	auth  *auth.Auth
	pages *Pages
}

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{t: t, store: storetest.Open(t, filepath.Join(t.TempDir(), "reqpm.db"))}
	var err error
	if b.auth, err = auth.New(auth.Config{Store: b.store}); err != nil {
		t.Fatal(err)
	}
	b.pages = New(Config{Store: b.store, Auth: b.auth, Version: "test", Events: b.events, Targets: target.With([]target.Target{{Name: "house9", Arch: "x86_64"}})})
	return b
}

// events are those of the store, looked for again when this process has written something.
func (b *bed) events(ctx context.Context, after int64, f store.EventFilter) iter.Seq2[store.Event, error] {
	return func(yield func(store.Event, error) bool) {
		for ctx.Err() == nil {
			changed := b.store.Changed()
			all, err := b.store.EventsAfter(ctx, after, f, 100)
			if err != nil {
				yield(store.Event{}, err)
				return
			}
			for _, e := range all {
				after = e.ID
				if !yield(e, nil) {
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
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

func (b *bed) request(token, method, path string, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func (b *bed) ask(token, method, path string, form url.Values) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.pages.ServeHTTP(w, b.request(token, method, path, form))
	return w
}

// project makes one with a run that waits.
func (b *bed) project(name string) (store.Project, store.Run) {
	b.t.Helper()
	var p store.Project
	var r store.Run
	err := b.store.Write(b.t.Context(), func(tx *store.Tx) (err error) {
		if p, err = tx.CreateProject(b.t.Context(), store.Project{Name: name, GitURL: "https://git.example.org/" + name, Targets: []string{"el9"}}); err != nil {
			return err
		}
		r, _, err = tx.CreateRun(b.t.Context(), store.Run{Project: p.ID, Ref: "main", Targets: p.Targets, Reason: "created"}, false)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return p, r
}

// TestRoles asks every page and every action as nobody and with each role below the one that it needs.
func TestRoles(t *testing.T) {
	b := newBed(t)
	p, r := b.project("app")
	fill := strings.NewReplacer("{$}", "", "{project}", p.Name, "{run}", itoa(r.ID), "{build}", "1", "{worker}", "1", "{schedule}", "sync", "{user}", "1", "{token}", "1", "{session}", "1",
		"{channel}", "1", "{notification}", "1", "{step}", "1", "{setting}", "log_days", "{repository}", "1")
	tokens := map[auth.Role]string{}
	for role := auth.Viewer; role <= auth.Admin; role++ {
		tokens[role] = b.token(role, 0)
	}
	for pattern, needs := range b.pages.roles {
		method, path, _ := strings.Cut(fill.Replace(pattern), " ")
		w := b.ask("", method, path, nil)
		if method == http.MethodGet && w.Code != http.StatusSeeOther || method == http.MethodPost && w.Code != http.StatusUnauthorized {
			t.Errorf("%s answers %d to nobody: a page leads to the login, an action is refused", pattern, w.Code)
		}
		for role, token := range tokens {
			if role >= needs {
				continue
			}
			if w := b.ask(token, method, path, nil); w.Code != http.StatusForbidden && w.Code != http.StatusNotFound {
				t.Errorf("%s answers %d to a %s, and needs a %s", pattern, w.Code, role, needs)
			}
		}
	}
	if w := b.ask(tokens[auth.Viewer], http.MethodGet, "/", nil); w.Code != http.StatusOK {
		t.Errorf("the dashboard answers %d to a viewer: %s", w.Code, w.Body)
	}
}

// TestOtherProjects: who may see one project sees nothing of the others.
func TestOtherProjects(t *testing.T) {
	b := newBed(t)
	p, _ := b.project("mine")
	b.project("theirs")
	w := b.ask(b.token(auth.Viewer, p.ID), http.MethodGet, "/", nil)
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "mine") || strings.Contains(body, "theirs") {
		t.Errorf("%d: the dashboard shows another project, or not the own one", w.Code)
	}
}

// TestPolicy: nothing that is in a page runs or styles it, and its files are kept by browsers.
func TestPolicy(t *testing.T) {
	b := newBed(t)
	b.project("app")
	w := b.ask(b.token(auth.Admin, 0), http.MethodGet, "/", nil)
	if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "script-src 'self'") {
		t.Errorf("the policy is %q", csp)
	}
	body := w.Body.String()
	for _, bad := range []string{" style=", "<style", " onclick=", "javascript:", "<script>"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, name := range []string{allStyles, allScripts} {
		w := b.ask("", http.MethodGet, assetPath(name), nil)
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.Contains(body, assetPath(name)) {
			t.Errorf("%s: %d, %s", name, w.Code, w.Header().Get("Cache-Control"))
		}
	}
}

// TestStream: what happens is on the open page soon, and only what changed is sent.
func TestStream(t *testing.T) {
	b := newBed(t)
	p, _ := b.project("app")
	server := httptest.NewServer(b.pages)
	defer server.Close()
	last, err := b.store.LastEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/?after="+itoa(last), nil)
	r.Header.Set("Authorization", "Bearer "+b.token(auth.Viewer, 0))
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := readMessage(t, resp.Body)
	if strings.Contains(first, "fragments") {
		t.Errorf("nothing happened, and the page is sent again: %.300s", first)
	}
	if err := b.store.Write(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.CreateRun(t.Context(), store.Run{Project: p.ID, Ref: "<b>hostile</b>", Targets: p.Targets}, false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	second := readMessage(t, resp.Body)
	if !strings.Contains(second, `"running":`) || !strings.Contains(second, "hostile") || strings.Contains(second, `"workers":`) {
		t.Errorf("of a new run the page is sent: %.300s", second)
	}
	if strings.Contains(second, "\\u003cb\\u003ehostile") {
		t.Error("a branch's name is markup")
	}
}

// readMessage reads one message of an event stream.
func readMessage(t *testing.T, r io.Reader) string {
	t.Helper()
	var text []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(text), "\n\n") {
		if _, err := r.Read(one); err != nil {
			t.Fatalf("after %q: %v", text, err)
		}
		text = append(text, one[0])
	}
	if strings.HasPrefix(string(text), ":") {
		return readMessage(t, r)
	}
	return string(text)
}

func TestLogin(t *testing.T) {
	b := newBed(t)
	link, err := b.auth.AdminLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := b.ask("", http.MethodPost, link, url.Values{"name": {"mira"}, "password": {"short"}})
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "mira") {
		t.Errorf("a short password answers %d", w.Code)
	}
	w = b.ask("", http.MethodPost, link, url.Values{"name": {"mira"}, "password": {"correct horse battery"}})
	if w.Code != http.StatusSeeOther || len(w.Result().Cookies()) != 1 {
		t.Fatalf("setting up answers %d: %s", w.Code, w.Body)
	}
	if w := b.ask("", http.MethodGet, link, nil); w.Code != http.StatusForbidden {
		t.Errorf("the link is good twice: %d", w.Code)
	}
	r := b.request("", http.MethodPost, "/login", url.Values{"name": {"mira"}, "password": {"correct horse battery"}, "next": {"//evil.example.org/"}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w = httptest.NewRecorder()
	b.pages.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("another site's form answers %d", w.Code)
	}
	w = b.ask("", http.MethodPost, "/login", url.Values{"name": {"mira"}, "password": {"correct horse battery"}, "next": {"//evil.example.org/"}})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		t.Errorf("logging in answers %d and leads to %q", w.Code, w.Header().Get("Location"))
	}
	if w = b.ask("", http.MethodPost, "/login", url.Values{"name": {"mira"}, "password": {"wrong"}}); w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "wrong.</") == false {
		t.Errorf("a wrong password answers %d", w.Code)
	}
}
