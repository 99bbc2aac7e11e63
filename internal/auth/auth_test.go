package auth

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

const password = "correct horse battery"

// cheap makes tests quick; TestReferenceHash has the real thing.
var cheap = Cost{Memory: 64, Passes: 1, Threads: 1}

// fixture is a server's state with an admin, ada.
type fixture struct {
	*testing.T
	*Auth
	db  *store.Store
	ada Identity
	log *bytes.Buffer
}

func newFixture(t *testing.T, address string, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{T: t, db: storetest.Open(t, address), log: &bytes.Buffer{}}
	cfg := Config{Store: f.db, Secure: true, Cost: cheap, Log: slog.New(slog.NewTextHandler(f.log, nil))}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	f.Auth, err = New(cfg)
	f.must(err)
	f.user("ada", Admin)
	_, f.ada = f.login("ada", password)
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) is(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("%v, not %v", err, want)
	}
}

func (f *fixture) user(name string, role Role) store.User {
	f.Helper()
	u, err := f.CreateUser(f.Context(), Local(), name, password, role)
	f.must(err)
	return u
}

func (f *fixture) project(name string) int64 {
	f.Helper()
	var p store.Project
	f.must(f.db.Write(f.Context(), func(tx *store.Tx) (err error) {
		p, err = tx.CreateProject(f.Context(), store.Project{Name: name, GitURL: "https://example.org/x.git"})
		return err
	}))
	return p.ID
}

func (f *fixture) login(name, password string) (*http.Cookie, Identity) {
	f.Helper()
	cookie, who, err := f.Login(f.Context(), request("192.0.2.1:1"), name, password)
	f.must(err)
	return cookie, who
}

func request(from string) *http.Request {
	r := httptest.NewRequest("GET", "https://reqpm.example/", nil)
	r.RemoteAddr = from
	return r
}

// with is who a request with a header is from.
func (f *fixture) with(name, value string) (Identity, error) {
	r := request("192.0.2.1:1")
	if name != "" {
		r.Header.Set(name, value)
	}
	return f.Authenticate(r)
}

func (f *fixture) withCookie(c *http.Cookie) (Identity, error) {
	return f.with("Cookie", c.Name+"="+c.Value)
}

func TestFirstStart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		f := &fixture{T: t, db: storetest.Open(t, address)}
		var err error
		f.Auth, err = New(Config{Store: f.db, Cost: cheap})
		f.must(err)
		ctx := t.Context()
		old := f.adminLink()
		key := f.adminLink()
		f.is(f.CheckSetup(ctx, old), ErrSetup) // the newest counts
		f.is(f.CheckSetup(ctx, ""), ErrSetup)
		f.must(f.CheckSetup(ctx, key))
		_, err = f.Setup(ctx, "192.0.2.1", key, "ada", "short")
		f.is(err, ErrInvalid)
		_, err = f.Setup(ctx, "192.0.2.1", key, "ada\nroot", password)
		f.is(err, ErrInvalid)

		// Two at once: one admin.
		var group sync.WaitGroup
		results := make([]error, 4)
		for i := range results {
			group.Go(func() {
				_, results[i] = f.Setup(ctx, "192.0.2.1", key, []string{"ada", "bob", "eve", "sam"}[i], password)
			})
		}
		group.Wait()
		slices.SortFunc(results, func(a, b error) int { return strings.Compare(errText(a), errText(b)) })
		if results[0] != nil {
			t.Fatal(results[0])
		}
		for _, err := range results[1:] {
			f.is(err, ErrSetup)
		}
		users, err := f.db.Users(ctx, store.Page{})
		f.must(err)
		if len(users.Items) != 1 || users.Items[0].Role != "admin" {
			t.Fatalf("%+v", users.Items)
		}
		_, who := f.login(users.Items[0].Name, password)
		f.must(Allowed(who, Admin, 0))
		path, err := f.AdminLink(ctx)
		if err != nil || path != "" {
			t.Errorf("a link with an admin there: %q, %v", path, err)
		}
		used := users.Items[0]
		used.Disabled = true
		f.must(f.db.UpdateUser(ctx, used)) // past auth, which refuses
		f.is(f.CheckSetup(ctx, key), ErrSetup)
	})
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (f *fixture) adminLink() (key string) {
	f.Helper()
	path, err := f.AdminLink(f.Context())
	f.must(err)
	u, err := url.Parse(path)
	f.must(err)
	if u.Path != "/setup" || len(u.Query().Get("key")) < 43 {
		f.Fatal(path)
	}
	return u.Query().Get("key")
}

func TestAdminLinkExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, db: storetest.Open(t, t.TempDir()+"/db")}
		var err error
		f.Auth, err = New(Config{Store: f.db, Cost: cheap})
		f.must(err)
		key := f.adminLink()
		later(t, 24*time.Hour-time.Second)
		f.must(f.CheckSetup(t.Context(), key))
		later(t, time.Second)
		f.is(f.CheckSetup(t.Context(), key), ErrSetup)
		_, err = f.Setup(t.Context(), "", key, "ada", password)
		f.is(err, ErrSetup)
	})
}

// later is a while later, in a bubble.
func later(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}

func TestLogin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		bob := f.user("bob", Builder)
		cookie, who := f.login("Bob", password) // as people write it
		if cookie.Name != "__Host-reqpm" || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" || len(cookie.Value) < 43 {
			t.Errorf("the cookie: %v", cookie)
		}
		if who.Name != "bob" || who.User != bob.ID || who.In(0) != Builder || who.Address != "192.0.2.1" {
			t.Errorf("%+v", who)
		}
		same, err := f.withCookie(cookie)
		f.must(err)
		if same.String() != "bob" || same.In(0) != Builder {
			t.Errorf("%+v", same)
		}

		var texts []string
		f.must(f.ChangeUser(t.Context(), f.ada, f.user("gone", Admin).ID, UserChange{Disabled: new(true)}))
		for _, pair := range [][2]string{{"bob", "wrong horse battery"}, {"nobody", password}, {"gone", password}, {"bob", ""}, {"", password}, {"bob\x00", password}, {"bob", strings.Repeat("x", 5000)}} {
			_, _, err := f.Login(t.Context(), request("192.0.2.2:1"), pair[0], pair[1])
			f.is(err, ErrLogin)
			f.is(err, ErrUnauthenticated)
			texts = append(texts, err.Error())
		}
		if len(slices.Compact(texts)) != 1 {
			t.Errorf("answers tell which names there are: %q", texts)
		}

		// A new login ends the one before, and logging out ends it too.
		r := request("192.0.2.1:1")
		r.AddCookie(cookie)
		second, _, err := f.Login(t.Context(), r, "bob", password)
		f.must(err)
		f.anonymousWith(cookie)
		r = request("192.0.2.1:1")
		r.AddCookie(second)
		gone, err := f.Logout(t.Context(), r)
		f.must(err)
		if gone.MaxAge >= 0 || gone.Name != second.Name || gone.Value != "" {
			t.Errorf("the browser keeps %v", gone)
		}
		f.anonymousWith(second)
		for _, secret := range []string{password, cookie.Value, second.Value} {
			if strings.Contains(f.log.String(), secret) {
				t.Errorf("the log has a secret: %s", f.log)
			}
		}
	})
}

func (f *fixture) anonymousWith(c *http.Cookie) {
	f.Helper()
	who, err := f.withCookie(c)
	f.must(err)
	if !who.Anonymous() || who.In(0) != None {
		f.Fatalf("still %s", who)
	}
	f.is(Allowed(who, Viewer, 0), ErrUnauthenticated)
}

func TestCookieWithoutTLS(t *testing.T) {
	f := newFixture(t, t.TempDir()+"/db", func(c *Config) { c.Secure = false })
	cookie, _ := f.login("ada", password)
	if cookie.Name != "reqpm" || cookie.Secure || !cookie.HttpOnly {
		t.Errorf("%v", cookie)
	}
	// Whoever planted another of the name does not lock ada out.
	who, err := f.with("Cookie", "reqpm=planted; reqpm="+cookie.Value)
	if err != nil || who.Name != "ada" {
		t.Errorf("%s, %v", who, err)
	}
}

func TestSessionExpiry(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, t.TempDir()+"/db")
		idle, _ := f.login("ada", password)
		used, _ := f.login("ada", password)
		for d := range 4 {
			later(t, 6*day)
			who, err := f.withCookie(used)
			f.must(err)
			if who.Name != "ada" {
				t.Fatalf("a used session ended after %d days", 6*(d+1))
			}
		}
		f.anonymousWith(idle)
		later(t, 6*day-time.Minute) // 30 days but a minute
		if who, err := f.withCookie(used); err != nil || who.Name != "ada" {
			t.Fatalf("%s, %v", who, err)
		}
		later(t, 2*time.Minute)
		f.anonymousWith(used)
	})
}

func TestWhatEndsSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx := t.Context()
		bob := f.user("bob", Builder)
		cookie, who := f.login("bob", password)
		text, _, err := f.CreateToken(ctx, who, NewToken{Name: "ci", Role: Builder})
		f.must(err)

		f.is(f.SetPassword(ctx, who, bob.ID, "wrong horse battery", "another long password"), ErrLogin)
		f.is(f.SetPassword(ctx, who, f.ada.User, password, "another long password"), ErrForbidden)
		f.is(f.SetPassword(ctx, who, bob.ID, password, "short"), ErrInvalid)
		program, err := f.with("Authorization", "Bearer "+text)
		f.must(err)
		f.is(f.SetPassword(ctx, program, bob.ID, password, "another long password"), ErrForbidden)
		if now, err := f.Refresh(ctx, who); err != nil || now.Name != "bob" {
			t.Fatal(now, err)
		}
		f.must(f.SetPassword(ctx, who, bob.ID, password, "another long password"))
		f.anonymousWith(cookie)
		_, err = f.Refresh(ctx, who) // as a stream that goes on asks
		f.is(err, ErrUnauthenticated)
		_, _, err = f.Login(ctx, request("192.0.2.1:1"), "bob", password)
		f.is(err, ErrLogin)

		cookie, _ = f.login("bob", "another long password")
		f.must(f.ChangeUser(ctx, f.ada, bob.ID, UserChange{Disabled: new(true)}))
		f.anonymousWith(cookie)
		_, err = f.with("Authorization", "Bearer "+text)
		f.is(err, ErrUnauthenticated)
		f.must(f.ChangeUser(ctx, f.ada, bob.ID, UserChange{Disabled: new(false)}))
		f.anonymousWith(cookie)
		one, _ := f.login("bob", "another long password")
		two, who := f.login("bob", "another long password")
		f.must(f.EndSessions(ctx, who, who.User))
		f.anonymousWith(one)
		f.anonymousWith(two)
		f.is(f.EndSessions(ctx, program, program.User), ErrForbidden)

		f.is(f.ChangeUser(ctx, f.ada, f.ada.User, UserChange{Role: new(Viewer)}), ErrLastAdmin)
		f.is(f.ChangeUser(ctx, f.ada, f.ada.User, UserChange{Disabled: new(true)}), ErrLastAdmin)
		f.is(f.DeleteUser(ctx, f.ada, f.ada.User), ErrLastAdmin)
		f.must(f.ChangeUser(ctx, f.ada, bob.ID, UserChange{Role: new(Admin)}))
		f.must(f.DeleteUser(ctx, f.ada, f.ada.User))
		_, err = f.CreateUser(ctx, Local(), "bob", password, Viewer)
		f.is(err, store.ErrConflict)
	})
}

func TestTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx := t.Context()
		one, two := f.project("one"), f.project("two")
		bob := f.user("bob", Viewer)
		f.must(f.SetMember(ctx, f.ada, bob.ID, one, Maintainer))
		_, who := f.login("bob", password)
		if who.In(one) != Maintainer || who.In(two) != Viewer || who.In(0) != Viewer {
			t.Fatalf("%+v", who)
		}
		text, token, err := f.CreateToken(ctx, who, NewToken{Name: "ci", Role: Builder, Project: one})
		f.must(err)
		if token.Hash != "" || !strings.HasPrefix(text, "rqp_") || token.Expires.IsZero() {
			t.Errorf("%q %+v", text, token)
		}
		program := f.bearer(text)
		if program.String() != "bob (token ci)" || program.In(one) != Builder || program.In(two) != None || program.In(0) != None {
			t.Errorf("%s: %s, %s, %s", program, program.In(one), program.In(two), program.In(0))
		}
		if all, ids := program.Projects(Viewer); all || !slices.Equal(ids, []int64{one}) {
			t.Errorf("it sees %v %v", all, ids)
		}
		r := request("192.0.2.1:1")
		r.SetBasicAuth("x", text) // as dnf does
		if who, err := f.Authenticate(r); err != nil || who.Token != token.ID {
			t.Errorf("%s, %v", who, err)
		}
		list, err := f.Tokens(ctx, who)
		for begin := time.Now(); err == nil && list[0].LastUsed.IsZero() && time.Since(begin) < 10*time.Second; { // it is noted beside
			list, err = f.Tokens(ctx, who)
		}
		f.must(err)
		if len(list) != 1 || list[0].Hash != "" || time.Since(list[0].LastUsed) > time.Minute {
			t.Errorf("%+v", list)
		}

		// Nobody gives what they have not got.
		for _, want := range []NewToken{{Name: "x", Role: Admin}, {Name: "x", Role: Builder}, {Name: "x", Role: Builder, Project: two}, {Name: "x", Role: Admin, Project: one}} {
			_, _, err := f.CreateToken(ctx, who, want)
			f.is(err, ErrForbidden)
		}
		for _, want := range []NewToken{{Name: "x", Role: Maintainer, Project: one}, {Name: "x", Role: Builder, Project: two}, {Name: "x", Role: Viewer}} {
			_, _, err := f.CreateToken(ctx, program, want)
			f.is(err, ErrForbidden)
		}
		for _, want := range []NewToken{{Role: Viewer}, {Name: "a\nb", Role: Viewer}, {Name: "x"}, {Name: "x", Role: Viewer, For: 400 * 24 * time.Hour}, {Name: "x", Role: Viewer, For: -1}} {
			_, _, err := f.CreateToken(ctx, who, want)
			f.is(err, ErrInvalid)
		}
		_, short, err := f.CreateToken(ctx, who, NewToken{Name: "short", Role: Builder, Project: one, For: time.Hour})
		f.must(err)
		_, child, err := f.CreateToken(ctx, f.bearer(text), NewToken{Name: "child", Role: Builder, Project: one, For: 300 * 24 * time.Hour})
		f.must(err)
		if child.Expires.After(token.Expires.Add(time.Second)) || child.Owner != bob.ID {
			t.Errorf("a token's token outlives it: %+v", child)
		}
		f.is(f.RevokeToken(ctx, program, short.ID), store.ErrNotFound) // it knows but itself

		// It has no more than its owner has now.
		f.must(f.SetMember(ctx, f.ada, bob.ID, one, None))
		if program = f.bearer(text); program.In(one) != Viewer {
			t.Errorf("its owner has lost the project, it has %s", program.In(one))
		}
		f.must(f.RevokeToken(ctx, f.ada, token.ID))
		_, err = f.with("Authorization", "Bearer "+text)
		f.is(err, ErrUnauthenticated)

		local, _, err := f.CreateToken(ctx, Local(), NewToken{Name: "cli", Role: Maintainer})
		f.must(err)
		if program := f.bearer(local); program.In(two) != Maintainer || program.String() != "token cli" || Allowed(program, Admin, 0) == nil {
			t.Errorf("%s: %s", program, program.In(two))
		}
	})
}

func (f *fixture) bearer(text string) Identity {
	f.Helper()
	who, err := f.with("Authorization", "Bearer "+text)
	f.must(err)
	return who
}

func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, t.TempDir()+"/db")
		text, _, err := f.CreateToken(t.Context(), f.ada, NewToken{Name: "x", Role: Admin, For: time.Hour})
		f.must(err)
		later(t, time.Hour-time.Second)
		who := f.bearer(text)
		later(t, 2*time.Second)
		_, err = f.with("Authorization", "Bearer "+text)
		f.is(err, ErrUnauthenticated)
		_, err = f.Refresh(t.Context(), who)
		f.is(err, ErrUnauthenticated)
	})
}

// What is wrong is an error, whatever everybody may do; nothing at all is everybody.
func TestAnonymous(t *testing.T) {
	f := newFixture(t, t.TempDir()+"/db")
	ctx := t.Context()
	f.is(f.SetAnonymousRole(ctx, f.ada, Admin), ErrInvalid)
	f.must(f.SetAnonymousRole(ctx, f.ada, Maintainer))
	who, err := f.with("", "")
	f.must(err)
	if !who.Anonymous() || who.In(7) != Maintainer || who.String() != "anonymous" {
		t.Errorf("%s: %s", who, who.In(7))
	}
	f.is(Allowed(who, Admin, 0), ErrUnauthenticated)
	f.is(f.SetAnonymousRole(ctx, who, Viewer), ErrUnauthenticated)
	_, _, err = f.CreateToken(ctx, who, NewToken{Name: "x", Role: Viewer})
	f.is(err, ErrUnauthenticated)
	cookie, _ := f.login("ada", password)
	for _, value := range []string{"Bearer " + newToken(), "Bearer", "Bearer ", "bearer x", "Basic !!", "Basic eDp5", "Negotiate abc", ""} {
		r := request("192.0.2.1:1")
		r.Header["Authorization"] = []string{value}
		r.AddCookie(cookie) // is not looked at
		_, err := f.Authenticate(r)
		f.is(err, ErrUnauthenticated)
	}
	r := request("192.0.2.1:1")
	r.Header["Authorization"] = []string{"Bearer " + newToken(), "Bearer " + newToken()}
	_, err = f.Authenticate(r)
	f.is(err, ErrUnauthenticated)

	// A setting that somebody has spoilt opens nothing.
	f.must(f.db.Write(ctx, func(tx *store.Tx) error { return tx.SetSetting(ctx, SettingAnonymousRole, "root") }))
	who, err = f.with("", "")
	if err != nil || who.In(0) != None {
		t.Errorf("%s, %v", who.In(0), err)
	}
	if who := FromContext(ctx); Allowed(who, Viewer, 0) == nil || !who.Anonymous() {
		t.Error("a request that nobody authenticated may read")
	}
	if who := FromContext(NewContext(ctx, f.ada)); who.Name != "ada" {
		t.Errorf("%s", who)
	}
}

func TestMembers(t *testing.T) {
	f := newFixture(t, t.TempDir()+"/db")
	ctx := t.Context()
	one, two := f.project("one"), f.project("two")
	bob, eve := f.user("bob", None), f.user("eve", None)
	f.must(f.SetMember(ctx, f.ada, bob.ID, one, Maintainer))
	_, who := f.login("bob", password)
	if all, ids := who.Projects(Viewer); all || !slices.Equal(ids, []int64{one}) {
		t.Errorf("bob sees %v %v", all, ids)
	}
	if all, _ := f.ada.Projects(Viewer); !all {
		t.Error("an admin does not see all")
	}
	f.is(Allowed(who, Viewer, two), ErrForbidden)
	f.must(f.SetMember(ctx, who, eve.ID, one, Maintainer))
	f.is(f.SetMember(ctx, who, eve.ID, one, Admin), ErrForbidden)
	f.is(f.SetMember(ctx, who, eve.ID, two, Viewer), ErrForbidden)
	f.is(f.SetMember(ctx, who, eve.ID, 0, Viewer), ErrInvalid)
	f.must(f.SetMember(ctx, f.ada, eve.ID, one, Admin))
	f.is(f.SetMember(ctx, who, eve.ID, one, None), ErrForbidden) // more than bob could give
	_, err := f.CreateUser(ctx, who, "mallory", password, Viewer)
	f.is(err, ErrForbidden)
	_, eveNow := f.login("eve", password)
	f.is(Allowed(eveNow, Admin, 0), ErrForbidden) // an admin of one project
}

func TestCrossSite(t *testing.T) {
	f := newFixture(t, t.TempDir()+"/db", func(c *Config) { c.Origins = []string{"https://portal.example"} })
	cookie, who := f.login("ada", password)
	text, _, err := f.CreateToken(t.Context(), who, NewToken{Name: "x", Role: Viewer})
	f.must(err)
	for name, test := range map[string]struct {
		method, site, origin, authorization string
		refused                             bool
	}{
		"own page":              {"POST", "same-origin", "https://reqpm.example", "", false},
		"other site":            {"POST", "cross-site", "https://evil.example", "", true},
		"neighbour":             {"POST", "same-site", "https://evil.reqpm.example", "", true},
		"old browser":           {"DELETE", "", "https://evil.example", "", true},
		"a link from elsewhere": {"GET", "cross-site", "", "", false},
		"trusted":               {"POST", "cross-site", "https://portal.example", "", false},
		"curl":                  {"POST", "", "", "", false},
		"token from a web page": {"POST", "cross-site", "https://evil.example", "Bearer " + text, false},
		"Basic from a web page": {"POST", "cross-site", "https://evil.example", basic(text), true},
	} {
		r := httptest.NewRequest(test.method, "https://reqpm.example/x", nil)
		r.AddCookie(cookie)
		for header, value := range map[string]string{"Sec-Fetch-Site": test.site, "Origin": test.origin, "Authorization": test.authorization} {
			if value != "" {
				r.Header.Set(header, value)
			}
		}
		_, err := f.Authenticate(r)
		if test.refused != errors.Is(err, ErrCrossSite) || test.refused != errors.Is(err, ErrForbidden) || !test.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{Origins: []string{"portal"}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func basic(text string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth("x", text)
	return r.Header.Get("Authorization")
}

func TestListen(t *testing.T) {
	for address, want := range map[string]error{
		"127.0.0.1:0": nil, "127.9.9.9:80": nil, "[::1]:80": nil, "localhost:80": nil, "[::ffff:127.0.0.1]:80": nil,
		":80": ErrPlaintext, "0.0.0.0:80": ErrPlaintext, "[::]:80": ErrPlaintext, "192.0.2.1:80": ErrPlaintext, "localhost.example:80": ErrPlaintext,
		"127.0.0.1": ErrInvalid, "": ErrInvalid,
	} {
		if err := CheckListen(address, false, false); !errors.Is(err, want) {
			t.Errorf("%q: %v, not %v", address, err, want)
		}
		if errors.Is(want, ErrPlaintext) && (CheckListen(address, true, false) != nil || CheckListen(address, false, true) != nil) {
			t.Errorf("%q is refused with TLS, or though it is allowed", address)
		}
	}
}

func TestAddress(t *testing.T) {
	a, err := New(Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ remote, forwarded, want string }{
		{"192.0.2.7:99", "", "192.0.2.7"},
		{"192.0.2.7:99", "198.51.100.1", "192.0.2.7"}, // who is no proxy is not believed
		{"127.0.0.1:99", "198.51.100.1", "198.51.100.1"},
		{"127.0.0.1:99", "203.0.113.9, 198.51.100.1, 10.1.2.3", "198.51.100.1"}, // the first was made up
		{"[::ffff:127.0.0.1]:99", "2001:db8::1", "2001:db8::1"},
		{"127.0.0.1:99", "nonsense", "127.0.0.1"},
		{"@", "198.51.100.1", ""},
	} {
		r := request(test.remote)
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-For", test.forwarded)
		}
		if got := addressText(a.Address(r)); got != test.want {
			t.Errorf("%s for %q: %s, not %s", test.remote, test.forwarded, got, test.want)
		}
	}
}

// A user sees where they are logged in, and ends what they do not know; an admin may for them, nobody else.
func TestSessionsOfAUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx := t.Context()
		bob, eve := f.user("bob", Builder), f.user("eve", Maintainer)
		lost, _ := f.login("bob", password)
		kept, who := f.login("bob", password)
		all, err := f.Sessions(ctx, who, bob.ID)
		f.must(err)
		if len(all) != 2 || all[0].Current == all[1].Current || all[0].ID == all[1].ID || strings.Contains(lost.Value+kept.Value, all[0].ID) || all[0].Address != "192.0.2.1" {
			t.Fatalf("%+v", all)
		}
		_, other := f.login("eve", password)
		_, err = f.Sessions(ctx, other, bob.ID)
		f.is(err, ErrForbidden)
		for _, s := range all {
			f.is(f.EndSession(ctx, other, bob.ID, s.ID), ErrForbidden)
			f.is(f.EndSession(ctx, other, eve.ID, s.ID), store.ErrNotFound) // not one of eve's
			if !s.Current {
				f.must(f.EndSession(ctx, who, bob.ID, s.ID))
			}
		}
		f.anonymousWith(lost)
		if all, err = f.Sessions(ctx, f.ada, bob.ID); err != nil || len(all) != 1 || all[0].Current {
			t.Fatalf("%+v %v", all, err)
		}
		f.must(f.EndSession(ctx, f.ada, bob.ID, all[0].ID))
		f.anonymousWith(kept)
	})
}
