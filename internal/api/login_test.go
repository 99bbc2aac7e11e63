package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store/storetest"
)

const password = "correct horse battery"

// login is the session's cookie, as a header.
func (b *bed) login(name, password string) string {
	b.t.Helper()
	w := b.ask("", http.MethodPost, "/api/v1/login", fmt.Sprintf(`{"name": %q, "password": %q}`, name, password), "Sec-Fetch-Site", "same-origin", "User-Agent", "a browser")
	cookies := w.Result().Cookies()
	if w.Code != http.StatusOK || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		b.t.Fatalf("%d %s %v", w.Code, w.Body, cookies)
	}
	return cookies[0].Name + "=" + cookies[0].Value
}

// with asks with a session, as a page of this server does.
func (b *bed) with(cookie, method, path, body string, header ...string) *httptest.ResponseRecorder {
	return b.ask("", method, path, body, append([]string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}, header...)...)
}

// want is an answer's status, and a part of its text.
func (b *bed) want(w *httptest.ResponseRecorder, status int, text string) {
	b.t.Helper()
	if w.Code != status || !strings.Contains(w.Body.String(), text) {
		b.t.Errorf("%d, not %d with %q: %s", w.Code, status, text, w.Body)
	}
}

func (b *bed) userID(name string) int64 {
	b.t.Helper()
	u, err := b.store.UserNamed(b.t.Context(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	return u.ID
}

func TestPeople(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		b.create()
		root := b.token(auth.Admin, 0)
		b.want(b.ask(root, "POST", "/api/v1/users", `{"name": "Ada", "password": "`+password+`", "role": "admin"}`), 201, `"name":"ada"`)
		b.want(b.ask(root, "POST", "/api/v1/users", `{"name": "ada", "password": "`+password+`", "role": "admin"}`), 409, "already")
		b.want(b.ask(root, "POST", "/api/v1/users", `{"name": "bob", "password": "short", "role": "none"}`), 422, "body.password")
		b.want(b.ask(root, "POST", "/api/v1/users", `{"name": "bob", "password": "`+password+`", "role": "none"}`), 201, `"role":"none"`)
		adaAt, bobAt := fmt.Sprintf("/api/v1/users/%d", b.userID("ada")), fmt.Sprintf("/api/v1/users/%d", b.userID("bob"))
		ada, bob := b.login("ada", password), b.login("bob", password)

		// An answer tells nobody whether there is such a user.
		unknown := b.ask("", "POST", "/api/v1/login", `{"name": "eve", "password": "wrong"}`)
		wrong := b.ask("", "POST", "/api/v1/login", `{"name": "bob", "password": "wrong"}`)
		if b.want(unknown, 401, "name or password"); unknown.Body.String() != wrong.Body.String() {
			t.Errorf("%s\n%s", unknown.Body, wrong.Body)
		}

		b.want(b.with(ada, "GET", "/api/v1/me", ""), 200, `"role":"admin"`)
		b.want(b.ask("", "GET", "/api/v1/me", ""), 200, `"anonymous":true`)
		b.want(b.with(bob, "GET", "/api/v1/projects/app", ""), 404, "")
		b.want(b.with(ada, "PUT", "/api/v1/projects/app/members/bob", `{"role": "builder"}`), 204, "")
		b.want(b.with(ada, "GET", "/api/v1/projects/app/members", ""), 200, `"name":"bob","role":"builder"}]`)
		b.want(b.with(bob, "GET", "/api/v1/projects/app", ""), 200, `"app"`)
		b.want(b.with(bob, "GET", "/api/v1/me", ""), 200, `"projects":[{"project":1,"role":"builder"}]`)
		b.want(b.with(bob, "PUT", "/api/v1/projects/app/members/bob", `{"role": "maintainer"}`), 403, "")
		b.want(b.with(ada, "PUT", "/api/v1/projects/app/members/nobody", `{"role": "builder"}`), 404, "")

		// A page of another site makes the browser send the cookie: nothing is changed.
		b.want(b.with(ada, "DELETE", "/api/v1/projects/app/members/bob", "", "Sec-Fetch-Site", "cross-site"), 403, "another site")
		b.want(b.with(ada, "DELETE", "/api/v1/projects/app/members/bob", "", "Sec-Fetch-Site", "", "Origin", "https://evil.example"), 403, "another site")
		b.want(b.ask("", "POST", "/api/v1/login", `{"name": "bob", "password": "`+password+`"}`, "Sec-Fetch-Site", "cross-site"), 403, "another site")
		b.want(b.with(ada, "DELETE", "/api/v1/projects/app/members/bob", ""), 204, "")
		b.want(b.with(bob, "GET", "/api/v1/projects/app", ""), 404, "")

		// Nobody locks the server: there is always an admin.
		b.want(b.with(ada, "PATCH", adaAt, `{"role": "viewer"}`), 409, "last admin")
		b.want(b.with(ada, "PATCH", adaAt, `{"disabled": true}`), 409, "last admin")
		b.want(b.with(ada, "DELETE", adaAt, ""), 409, "last admin")

		var sessions struct {
			Items []struct {
				ID, Agent string
				Current   bool
			}
		}
		other := b.login("bob", password)
		if err := json.Unmarshal(b.with(bob, "GET", "/api/v1/me/sessions", "").Body.Bytes(), &sessions); err != nil || len(sessions.Items) != 2 || sessions.Items[0].Agent != "a browser" {
			t.Fatalf("%+v %v", sessions, err)
		}
		for _, s := range sessions.Items {
			if !s.Current {
				b.want(b.with(bob, "DELETE", "/api/v1/me/sessions/"+s.ID, ""), 204, "")
			}
		}
		b.want(b.with(other, "GET", "/api/v1/me", ""), 200, `"anonymous":true`)
		b.want(b.with(bob, "PUT", "/api/v1/me/password", `{"old": "not mine at all", "password": "another long password"}`), 422, "body.old")
		b.want(b.with(bob, "PUT", "/api/v1/me/password", `{"old": "`+password+`", "password": "another long password"}`), 204, "")
		b.want(b.with(bob, "GET", "/api/v1/me/sessions", ""), 401, "")
		bob = b.login("bob", "another long password")
		b.want(b.with(bob, "POST", "/api/v1/logout", ""), 204, "")
		b.want(b.with(bob, "GET", "/api/v1/me", ""), 200, `"anonymous":true`)

		bob = b.login("bob", "another long password")
		b.want(b.with(ada, "PUT", bobAt+"/password", `{"password": "`+password+`"}`), 204, "")
		b.want(b.with(bob, "GET", "/api/v1/me/sessions", ""), 401, "")
		bob = b.login("bob", password)
		b.want(b.with(ada, "PATCH", bobAt, `{"disabled": true}`), 200, `"disabled":true`)
		b.want(b.with(bob, "GET", "/api/v1/me/sessions", ""), 401, "")
		b.want(b.with(ada, "DELETE", bobAt, ""), 204, "")
		b.want(b.with(ada, "GET", bobAt, ""), 404, "")
		b.want(b.with(ada, "GET", "/api/v1/audit", ""), 200, `"member.set"`)
	})
}

// Who guesses is stopped, and told how long to wait.
func TestGuessingIsLimited(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	for range 10 {
		b.want(b.ask("", "POST", "/api/v1/login", `{"name": "ada", "password": "guess"}`), 401, "")
	}
	w := b.ask("", "POST", "/api/v1/login", `{"name": "ada", "password": "guess"}`)
	if b.want(w, 429, "too many attempts"); w.Header().Get("Retry-After") == "" {
		t.Error("it does not say when to come again")
	}
}
