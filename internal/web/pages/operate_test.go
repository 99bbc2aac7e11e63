package pages

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/notify"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// as asks with the session of a user who has logged in.
type loggedIn struct {
	*bed
	cookie *http.Cookie
	user   store.User
}

const testPassword = "correct horse battery"

func (b *bed) logIn(name string, role auth.Role) loggedIn {
	b.t.Helper()
	u, err := b.auth.CreateUser(b.t.Context(), auth.Local(), name, testPassword, role)
	if err != nil {
		b.t.Fatal(err)
	}
	r := b.request("", http.MethodPost, "/login", nil)
	cookie, _, err := b.auth.Login(b.t.Context(), r, name, testPassword)
	if err != nil {
		b.t.Fatal(err)
	}
	return loggedIn{b, cookie, u}
}

// do asks as the page's script does, and gives the answer.
func (l loggedIn) do(path string, form url.Values) (answer, int) {
	l.t.Helper()
	r := l.request("", http.MethodPost, path, form)
	r.AddCookie(l.cookie)
	r.Header.Set("Accept", typeParts)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	l.pages.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		l.t.Fatalf("%s: %d: %s", path, w.Code, w.Body)
	}
	return a, w.Code
}

func (l loggedIn) get(path string) string {
	l.t.Helper()
	r := l.request("", http.MethodGet, path, nil)
	r.AddCookie(l.cookie)
	w := httptest.NewRecorder()
	l.pages.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		l.t.Fatalf("%s: %d: %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// has fails where a page has not what it should.
func has(t *testing.T, what, html string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(html, want) {
			t.Errorf("%s: there is no %q", what, want)
		}
	}
}

// complete gives the pages all that a server has.
func (b *bed) complete() {
	b.t.Helper()
	vault, err := auth.OpenVault(b.t.TempDir())
	if err != nil {
		b.t.Fatal(err)
	}
	b.pages.cfg.Vault, b.pages.cfg.Settings = vault, service.NewSettingsBase()
	b.pages.cfg.Notify = notify.New(notify.Config{Store: b.store, Vault: vault, Timeout: 2 * time.Second})
}

const markup = `<img src=x onerror=alert(1)>`

// TestEmptyPages: where nothing is yet, a page says what will be there and how it comes.
func TestEmptyPages(t *testing.T) {
	b := newBed(t)
	b.complete()
	admin := b.token(auth.Admin, 0)
	for path, wants := range map[string][]string{
		"/queue":        {"Nothing runs", "Nothing waits"},
		"/workers":      {"No worker is there", "reqpm worker --name"},
		"/repositories": {"Nothing is published yet"},
		"/schedules":    {"No schedule yet"},
		"/channels":     {"No channel yet", "Nothing was told yet"},
		"/users":        {"No user yet", "New user"},
	} {
		has(t, path, b.page(admin, path), wants...)
	}
	p, _ := b.project("app")
	for path, wants := range map[string][]string{"/members": {"No member yet"}, "/hook": {"No push hook"}, "/channels": {"No channel yet"}} {
		has(t, path, b.page(admin, projectPath(p.Name)+path), wants...)
	}
}

// TestQueueActions: a build is put first, cancelled, limited and paused from the page, and who may only look has no buttons.
func TestQueueActions(t *testing.T) {
	b := newBed(t)
	p, r := b.project("app")
	admin, viewer := b.logIn("ada", auth.Admin), b.logIn("vera", auth.Viewer)
	ctx := t.Context()
	var w store.Worker
	err := b.store.Write(ctx, func(tx *store.Tx) (err error) {
		build := func(name string, seconds float64, needs ...string) store.NewStep {
			return store.NewStep{Key: name, Kind: store.Build, Target: "el9", Package: name + "==1.0", Expected: seconds, Needs: needs}
		}
		if err := tx.AddSteps(ctx, r.ID, []store.NewStep{build("long", 300), build(markup, 20), build("after", 10, "long")}); err != nil {
			return err
		}
		w, err = tx.AddWorker(ctx, store.Worker{Name: "w1", Host: markup, Slots: 2, DiskFree: 5e9, Lease: time.Minute, Labels: map[string]string{"builder": markup}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	html := admin.get("/queue")
	has(t, "the queue", html, "Waits on long", "Slot, longest path first", "Next free slot", "app 1", "Raise after")
	if at, then := strings.Index(html, ">long<"), strings.Index(html, ">after<"); at < 0 || then < at {
		t.Errorf("long is at %d, what waits for it at %d", at, then)
	}
	if strings.Contains(html+admin.get("/workers"), "<img") {
		t.Error("a package's or a worker's name is markup")
	}
	steps, err := b.store.RunSteps(ctx, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int64{}
	for _, s := range steps {
		ids[s.Key] = s.ID
	}
	if _, code := viewer.do(buildPath(ids["after"])+"/place", url.Values{"place": {"first"}}); code != http.StatusForbidden {
		t.Errorf("a viewer puts a build first: %d", code)
	}
	if html := viewer.get("/queue"); strings.Contains(html, "Raise ") || strings.Contains(html, "Set a limit") || strings.Contains(html, `action="/pause"`) {
		t.Error("who may only look has buttons")
	}
	if a, code := admin.do(buildPath(ids["after"])+"/place", url.Values{"place": {"first"}}); code != http.StatusOK || !strings.Contains(a.Toast, "first") {
		t.Errorf("%d %+v", code, a)
	}
	for _, key := range []string{"after", "long"} {
		if s, err := b.store.Step(ctx, ids[key]); err != nil || s.Raised != 1 {
			t.Errorf("%s: %d, %v", key, s.Raised, err)
		}
	}
	if _, code := admin.do("/limits", url.Values{"of": {"target el9"}, "value": {"0"}}); code != http.StatusOK {
		t.Errorf("a target is not paused: %d", code)
	}
	has(t, "with a paused target", admin.get("/queue"), "The target el9 is paused", "none: paused")
	if a, code := admin.do("/limits", url.Values{"of": {"target nowhere"}, "value": {"1"}}); code != http.StatusUnprocessableEntity || a.Field != "of" {
		t.Errorf("a limit of nothing: %d %+v", code, a)
	}
	if _, code := admin.do("/limits", url.Values{"scope": {"target"}, "name": {"el9"}, "value": {"-1"}}); code != http.StatusOK {
		t.Errorf("a limit is not removed: %d", code)
	}
	if _, code := admin.do("/workers/"+itoa(w.ID)+"/drain", url.Values{"drain": {"true"}}); code != http.StatusOK {
		t.Errorf("a worker is not drained: %d", code)
	}
	has(t, "a drained worker", admin.get("/workers"), "Drained", "Take work")
	has(t, "with no worker that takes work", admin.get("/queue"), "Its workers take nothing new")
	if _, code := admin.do("/workers/"+itoa(w.ID)+"/slots", url.Values{"slots": {"5"}}); code != http.StatusOK {
		t.Errorf("slots are not changed: %d", code)
	}
	has(t, "a worker of five slots", viewer.get("/workers"), "0 of 5")
	if _, code := viewer.do("/workers/"+itoa(w.ID)+"/slots", url.Values{"slots": {"9"}}); code != http.StatusForbidden {
		t.Errorf("a viewer changes slots: %d", code)
	}
	// Who sees another project alone sees of this one that there is something.
	other, _ := b.project("other")
	if html := b.page(b.token(auth.Viewer, other.ID), "/queue"); strings.Contains(html, ">long<") || strings.Contains(html, p.Name+" 1") || !strings.Contains(html, "of projects that you do not see") {
		t.Error("the queue shows builds of a project that is not theirs, or does not say that there are some")
	}
}

// TestScheduleActions: a schedule is changed and run, and says how it went.
func TestScheduleActions(t *testing.T) {
	b := newBed(t)
	admin := b.logIn("ada", auth.Admin)
	if err := b.store.AddSchedule(t.Context(), store.Schedule{Name: service.ScheduleSync, Every: "6h", Enabled: true, Next: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	has(t, "schedules", admin.get("/schedules"), "Look for new commits", "in 60 min", "Not yet run")
	if a, code := admin.do("/schedules/sync", url.Values{"every": {"often"}}); code != http.StatusUnprocessableEntity || !strings.Contains(a.Error, "02:00") {
		t.Errorf("%d %+v", code, a)
	}
	if a, code := admin.do("/schedules/sync", url.Values{"every": {"30m"}}); code != http.StatusOK || !strings.Contains(a.Toast, "in 30 min") {
		t.Errorf("%d %+v", code, a)
	}
	for path, form := range map[string]url.Values{"/schedules/sync/run": nil, "/schedules/sync": {"enabled": {"no"}}} {
		if _, code := admin.do(path, form); code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
	if s, err := b.store.Schedule(t.Context(), "sync"); err != nil || s.Enabled || s.Asked != "ada" || s.Every != "30m" {
		t.Errorf("%+v, %v", s, err)
	}
	if html := b.page(b.token(auth.Viewer, 0), "/schedules"); strings.Contains(html, "<form method=\"post\" action=\"/schedules") {
		t.Error("a viewer may change schedules")
	}
}

// TestPeople: users, their roles and tokens; what is secret is shown once.
func TestPeople(t *testing.T) {
	b := newBed(t)
	b.complete()
	p, _ := b.project("app")
	admin := b.logIn("ada", auth.Admin)
	if a, code := admin.do("/users", url.Values{"name": {"mira"}, "password": {"short"}, "role": {"viewer"}}); code != http.StatusUnprocessableEntity || a.Field != "password" {
		t.Errorf("%d %+v", code, a)
	}
	if _, code := admin.do("/users", url.Values{"name": {"mira"}, "password": {testPassword}, "role": {"none"}}); code != http.StatusOK {
		t.Fatalf("no user: %d", code)
	}
	if a, code := admin.do("/users", url.Values{"name": {"mira"}, "password": {testPassword}, "role": {"none"}}); code != http.StatusUnprocessableEntity || a.Field != "name" {
		t.Errorf("a name that is taken: %d %+v", code, a)
	}
	members := projectPath(p.Name) + "/members"
	if a, code := admin.do(members, url.Values{"name": {"nobody"}, "role": {"builder"}}); code != http.StatusUnprocessableEntity || a.Field != "name" {
		t.Errorf("%d %+v", code, a)
	}
	a, code := admin.do(members, url.Values{"name": {"mira"}, "role": {"maintainer"}})
	if code != http.StatusOK || !strings.Contains(a.Fragments["members"], "mira") {
		t.Errorf("the list without who was added: %d %+v", code, a)
	}
	a, code = admin.do("/account/tokens", url.Values{"name": {"CI " + markup}, "role": {"builder"}, "days": {"5"}})
	once := a.Fragments["once"]
	at := strings.Index(once, "rqp_")
	if code != http.StatusOK || at < 0 || strings.Contains(once, "<img") {
		t.Fatalf("%d %q", code, once)
	}
	token := once[at : at+len("rqp_")+49]
	if w := b.ask(token, http.MethodGet, "/queue", nil); w.Code != http.StatusOK {
		t.Errorf("the token answers %d", w.Code)
	}
	html := admin.get("/account")
	if strings.Contains(html, "rqp_") || strings.Contains(html, "<img") {
		t.Error("the token is shown again, or its name is markup")
	}
	has(t, "the account", html, "in 5 d", "this one", "builder, all projects")
	revoke := html[strings.Index(html, "/account/tokens/"):]
	revoke = revoke[:strings.Index(revoke, `"`)]
	if !strings.HasSuffix(revoke, "/revoke") {
		revoke = "/account/tokens/1/revoke"
	}
	if _, code := admin.do(revoke, nil); code != http.StatusOK {
		t.Errorf("%s: %d", revoke, code)
	}
	if w := b.ask(token, http.MethodGet, "/queue", nil); w.Code != http.StatusUnauthorized && w.Code != http.StatusSeeOther {
		t.Errorf("a revoked token answers %d", w.Code)
	}
	if a, code := admin.do(userPath(admin.user.ID), url.Values{"role": {"viewer"}}); code != http.StatusUnprocessableEntity || !strings.Contains(a.Error, "last admin") {
		t.Errorf("the last admin goes: %d %+v", code, a)
	}
	if a, code := admin.do("/account/password", url.Values{"old": {"wrong wrong wrong"}, "password": {"another long one"}}); code != http.StatusUnprocessableEntity || a.Field != "old" {
		t.Errorf("%d %+v", code, a)
	}
	if w := b.ask(b.token(auth.Admin, 0), http.MethodGet, "/account", nil); w.Code != http.StatusForbidden {
		t.Errorf("a token has an account: %d", w.Code)
	}
	has(t, "the audit log", admin.get("/audit?who=ADA&object=member"), "member.set", "maintainer")
	if html := admin.get("/audit?object=member"); strings.Contains(html, "token.create") {
		t.Error("the filter of the audit log keeps what it should not")
	}
}

// TestHookAndChannels: secrets are shown once, tests say what became of them, and a project's maintainers reach no other's.
func TestHookAndChannels(t *testing.T) {
	b := newBed(t)
	b.complete()
	p, _ := b.project("app")
	other, _ := b.project("other")
	admin := b.logIn("ada", auth.Admin)
	base := projectPath(p.Name)
	a, code := admin.do(base+"/hook", url.Values{"branches": {"main release/*"}})
	if code != http.StatusOK || !strings.Contains(a.Fragments["once"], "The secret of the push hook") || !strings.Contains(a.Fragments["hook-facts"], "/api/v1/hooks/app") {
		t.Errorf("%d %+v", code, a)
	}
	h, err := b.store.PushHook(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := b.pages.cfg.Vault.Open(p.ID, auth.PushSecretName, h.Sealed)
	if err != nil || !strings.Contains(a.Fragments["once"], string(secret)) || len(h.Branches) != 2 {
		t.Errorf("%q, %+v, %v", secret, h.Branches, err)
	}
	if html := admin.get(base + "/hook"); strings.Contains(html, string(secret)) {
		t.Error("the secret is shown again")
	}
	a, code = admin.do(base+"/channels", url.Values{"kind": {"webhook"}, "name": {"on call " + markup}, "url": {"https://127.0.0.1:1/secret-path"}, "event": {"failed", "fixed"}})
	if code != http.StatusOK || !strings.Contains(a.Fragments["once"], "whsec_") {
		t.Fatalf("%d %+v", code, a)
	}
	html := admin.get(base + "/channels")
	if strings.Contains(html, "whsec_") || strings.Contains(html, "secret-path") || strings.Contains(html, "<img") {
		t.Error("a secret is shown, or a name is markup")
	}
	has(t, "the channel", html, "https://127.0.0.1:1/…", "failed, fixed")
	all, err := b.store.Channels(t.Context(), p.ID)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d channels, %v", len(all), err)
	}
	channel := "/channels/" + itoa(all[0].ID)
	if a, code := admin.do(base+channel+"/test", nil); code != http.StatusUnprocessableEntity || !strings.Contains(a.Error, "did not arrive") {
		t.Errorf("a test to an address inside: %d %+v", code, a)
	}
	has(t, "messages", admin.get(base+"/channels"), "Given up", "a test")
	if _, code := admin.do(projectPath(other.Name)+channel+"/delete", nil); code != http.StatusNotFound {
		t.Errorf("another project's channel is reached: %d", code)
	}
	if a, code := admin.do(base+"/channels", url.Values{"kind": {"email"}, "name": {"x"}, "to": {"nobody"}, "from": {"a@example.org"}, "host": {"mail.example.org"}, "event": {"failed"}}); code != http.StatusUnprocessableEntity || a.Error == "" {
		t.Errorf("no address: %d %+v", code, a)
	}
	if _, code := admin.do(base+channel+"/delete", nil); code != http.StatusOK {
		t.Errorf("deleting answers %d", code)
	}
}

// TestServerSettings: a setting is stored, said where it comes from, and forgotten; what is none is told beside its field.
func TestServerSettings(t *testing.T) {
	b := newBed(t)
	b.complete()
	admin := b.logIn("ada", auth.Admin)
	has(t, "settings", admin.get("/settings"), "Logs stay for (days)", "the default")
	if a, code := admin.do("/settings/log_days", url.Values{"log_days": {"x"}}); code != http.StatusUnprocessableEntity || a.Field != "log_days" {
		t.Errorf("%d %+v", code, a)
	}
	a, code := admin.do("/settings/log_days", url.Values{"log_days": {"7"}})
	if code != http.StatusOK || !strings.Contains(a.Fragments["settings"], "stored here; without it 30") {
		t.Errorf("%d %+v", code, a.Toast)
	}
	if v, err := b.pages.cfg.Settings.Read(t.Context(), b.store.Queries); err != nil || v.LogDays != 7 {
		t.Errorf("%+v %v", v, err)
	}
	has(t, "the audit log", admin.get("/audit"), "log days", `class="was">30<`)
	if _, code := admin.do("/settings/log_days/reset", nil); code != http.StatusOK {
		t.Errorf("forgetting answers %d", code)
	}
	if v, err := b.pages.cfg.Settings.Read(t.Context(), b.store.Queries); err != nil || v.LogDays != 30 {
		t.Errorf("%+v %v", v, err)
	}
}
