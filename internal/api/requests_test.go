package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// What JSON allows and nobody means is refused, and says where.
func TestBodiesAreStrict(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	b.create()
	admin := b.token(auth.Admin, 0)
	const fields = `"name": "x", "git_url": "https://x.example/x.git", "targets": ["local"]`
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, test := range []struct {
		name, method, path, kind, body string
		status                         int
		says                           string
	}{
		{"no content type", "POST", "/projects", "", `{` + fields + `}`, 415, "application/json"},
		{"a form", "POST", "/projects", "application/x-www-form-urlencoded", `{` + fields + `}`, 415, "application/json"},
		{"CBOR", "POST", "/projects", "application/cbor", "\xa0", 415, "application/json"},
		{"another JSON", "POST", "/projects", "application/merge-patch+json", `{` + fields + `}`, 415, "application/json"},
		{"another encoding", "POST", "/projects", "application/json; charset=utf-16", `{` + fields + `}`, 415, "application/json"},
		{"no UTF-8", "POST", "/projects", "application/json", "{\"name\": \"\xff\"}", 400, "UTF-8"},
		{"half of it", "POST", "/projects", "application/json", `{"name": "x"`, 400, "unexpected EOF"},
		{"something behind it", "POST", "/projects", "application/json", `{` + fields + `} {}`, 400, "behind"},
		{"null", "POST", "/projects", "application/json", `null`, 422, "body: null"},
		{"null for a field", "POST", "/projects", "application/json", `{` + fields + `, "ref": null}`, 422, "body.ref: null"},
		{"null in a list", "POST", "/projects", "application/json", `{"name": "x", "git_url": "https://x", "targets": ["local", null]}`, 422, "body.targets[1]: null"},
		{"null for what may be absent", "PATCH", "/projects/app", "application/json", `{"targets": null}`, 422, "body.targets: null"},
		{"null for a body that may be absent", "POST", "/projects/app/runs", "application/json", `null`, 422, "body: null"},
		{"a field twice", "POST", "/projects", "application/json", `{"name": "y", ` + fields + `}`, 422, "body.name: it is there twice"},
		{"other letters", "POST", "/projects", "application/json", `{` + fields + `, "REF": "main"}`, 422, "body.REF: there is no such field"},
		{"a field of another thing", "POST", "/projects", "application/json", `{` + fields + `, "settings": {"role": "admin"}}`, 422, "body.settings.role"},
		{"too deep", "POST", "/projects", "application/json", deep, 422, "there is no such field"},
		{"too deep where anything goes", "POST", "/projects", "application/json", `{"settings": {"options": {"x": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}}`, 422, "in each other"},
		{"a body of what takes none", "POST", "/runs/1/cancel", "application/json", `{"force": true}`, 422, "body.force"},
		{"an empty one of what takes none", "POST", "/runs/1/cancel", "application/json", `{}`, 200, ""},
		{"too long", "POST", "/projects", "application/json", `{"name": "` + strings.Repeat("x", 65) + `", "git_url": "https://x", "targets": ["local"]}`, 422, "body.name"},
		{"a state that there is not", "GET", "/runs?state=broken", "", "", 422, "query.state"},
		{"an order that there is not", "GET", "/projects?sort=git_url", "", "", 422, "query.sort"},
		{"a number too large", "GET", "/builds?run=99999999999999999999", "", "", 422, "query.run"},
	} {
		w := b.ask(admin, test.method, "/api/v1"+test.path, test.body, "Content-Type", test.kind)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s: %d, not %d with %q: %s", test.name, w.Code, test.status, test.says, w.Body)
		}
	}
}

// A request that is sent again with its key is done once, whatever became of the first answer.
func TestIdempotencyKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		ada, bob := b.token(auth.Admin, 0), b.token(auth.Admin, 0)
		key := func(token, key, path, body string) *answer {
			w := b.ask(token, "POST", "/api/v1"+path, body, "Idempotency-Key", key)
			return &answer{w.Code, w.Body.String(), w.Header().Get("Idempotency-Replayed")}
		}
		first := key(ada, "k1", "/projects", newProject)
		first.want(t, 201, `"app"`, "")
		again := key(ada, "k1", "/projects", newProject)
		again.want(t, 201, `"app"`, "true")
		if again.text != first.text {
			t.Errorf("another answer: %s\n%s", first.text, again.text)
		}
		key(ada, "k1", "/projects?dry_run=true", newProject).want(t, 422, "another request", "")
		key(ada, "k1", "/projects", strings.Replace(newProject, "app", "application", 1)).want(t, 422, "another request", "")
		key(bob, "k1", "/projects", newProject).want(t, 409, "already", "") // bob's own key, and the name is taken
		key(bob, "k1", "/projects", strings.Replace(newProject, "app", "other", 1)).want(t, 201, `"other"`, "")
		key(ada, strings.Repeat("k", 201), "/projects", newProject).want(t, 422, "1 to 200", "")

		// What was not done may be tried again.
		key(ada, "k2", "/projects/app/runs", `{"targets": ["el99"]}`).want(t, 422, "el99", "")
		key(ada, "k2", "/projects/app/runs", `{"targets": ["local"]}`).want(t, 201, `"number":2`, "")

		// A token is shown once, and lies nowhere.
		key(ada, "k3", "/tokens", `{"name": "ci", "role": "viewer"}`).want(t, 201, "rqp_", "")
		key(ada, "k3", "/tokens", `{"name": "ci", "role": "viewer"}`).want(t, 409, "not kept", "")

		// One that another process is busy with, and one whose server died.
		if _, _, err := b.store.BeginAnswer(t.Context(), store.Answer{Owner: "token 1", Name: "k4", Request: digestOf("POST /api/v1/projects/app/runs\n{}")}); err != nil {
			t.Fatal(err)
		}
		key(ada, "k4", "/projects/app/runs", `{}`).want(t, 409, "being answered", "")

		// Many at once with one key: one run.
		var wait sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for range 8 {
			wait.Go(func() {
				a := key(ada, "k5", "/projects/app/runs", `{}`)
				mu.Lock()
				defer mu.Unlock()
				codes[a.status]++
			})
		}
		wait.Wait()
		part, err := b.store.Runs(t.Context(), store.RunFilter{Project: 1}, store.Page{})
		if err != nil || len(part.Items) != 3 || codes[201] < 1 || codes[201]+codes[409] != 8 {
			t.Errorf("%d runs, answers %v, %v", len(part.Items), codes, err)
		}
	})
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

type answer struct {
	status         int
	text, replayed string
}

func (a *answer) want(t *testing.T, status int, text, replayed string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.text, text) || a.replayed != replayed {
		t.Errorf("%d %q, not %d %q with %q: %s", a.status, a.replayed, status, replayed, text, a.text)
	}
}

// Who has an answer is not sent it again; who would overwrite somebody else's change is told.
func TestConditions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		_, run := b.create()
		admin := b.token(auth.Admin, 0)
		for _, path := range []string{"/projects", "/projects/app", "/runs", fmt.Sprintf("/runs/%d", run), "/builds", "/workers", "/users", "/audit"} {
			w := b.ask(admin, "GET", "/api/v1"+path, "")
			tag := w.Header().Get("ETag")
			if again := b.ask(admin, "GET", "/api/v1"+path, "", "If-None-Match", `"x", W/`+tag); w.Code != 200 || tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("ETag") != tag {
				t.Errorf("%s: %d %s, then %d %s %s", path, w.Code, tag, again.Code, again.Header().Get("ETag"), again.Body)
			}
			if other := b.ask(admin, "GET", "/api/v1"+path, "", "If-None-Match", `"0123"`); other.Code != 200 {
				t.Errorf("%s: %d", path, other.Code)
			}
		}
		before := b.ask(admin, "GET", "/api/v1/projects/app", "").Header().Get("ETag")
		b.want(b.ask(admin, "POST", "/api/v1/projects/app/runs", ""), 201, "") // changes the answer, not the project
		if now := b.ask(admin, "GET", "/api/v1/projects/app", "").Header().Get("ETag"); now == before {
			t.Error("a new run, and the same ETag")
		}
		changed := b.ask(admin, "PATCH", "/api/v1/projects/app", `{"sync": true}`, "If-Match", before)
		b.want(changed, 200, `"sync":true`)
		b.want(b.ask(admin, "PATCH", "/api/v1/projects/app", `{"sync": false}`, "If-Match", before), 412, "meanwhile")
		b.want(b.ask(admin, "PATCH", "/api/v1/projects/app", `{"ref": "next"}`, "If-Match", changed.Header().Get("ETag")), 200, `"sync":true`)
		b.want(b.ask(admin, "PATCH", "/api/v1/projects/app", `{"sync": false}`, "If-Match", "*"), 200, `"next"`)

		b.want(b.ask(admin, "POST", "/api/v1/users", `{"name": "ada", "password": "`+password+`", "role": "admin"}`), 201, "")
		b.want(b.ask(admin, "POST", "/api/v1/users", `{"name": "bob", "password": "`+password+`", "role": "viewer"}`), 201, "")
		bob := fmt.Sprintf("/api/v1/users/%d", b.userID("bob"))
		tag := b.ask(admin, "GET", bob, "").Header().Get("ETag")
		b.want(b.ask(admin, "PATCH", bob, `{"role": "builder"}`, "If-Match", tag), 200, "builder")
		b.want(b.ask(admin, "PATCH", bob, `{"role": "admin"}`, "If-Match", tag), 412, "meanwhile")
	})
}
