package notify

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// The example of Standard Webhooks' own libraries.
func TestSignature(t *testing.T) {
	h, err := sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if err != nil || h.Get("webhook-signature") != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" || h.Get("webhook-timestamp") != "1614265330" {
		t.Errorf("%v %v", h, err)
	}
}

func step(key, pkg string, state store.StepState) store.Step {
	s := store.Step{Key: key, Kind: store.Resolve, Target: "el9", State: state, Cause: "because\n<b>\x1b[1m of it"}
	if pkg != "" {
		s.Kind, s.Package = store.Build, pkg
	}
	return s
}

func TestWhatChanged(t *testing.T) {
	before := []store.Step{step("checkout", "", store.Succeeded), step("a", "a==1", store.Failed), step("b", "b==1", store.Succeeded), step("c", "c==1", store.Succeeded), step("old", "old==3", store.Succeeded), step("d", "d==1", store.Failed)}
	now := []store.Step{step("checkout", "", store.Succeeded), step("a", "a==1", store.Succeeded), step("b", "b==2", store.Failed), step("c", "c==1", store.Succeeded), step("new", "new==1", store.Succeeded), step("d", "d==1", store.Failed)}
	link := func(path string) string { return "https://reqpm.example.org" + path }
	m := Message{Event: Failed, Project: Project{1, "app"}, Run: &Run{Number: 2, Targets: []string{"el9"}, URL: "https://reqpm.example.org/runs/2"}, Previous: &Run{Number: 1}}
	m.compare(now, before, true, link)
	m.Title = m.title()
	want := "app: run 2 failed, 1 newly"
	if m.Title != want || fmt.Sprint(m.NewlyFailing, m.StillFailing) != "[{el9 b==2 because <b>[1m of it https://reqpm.example.org/builds/0}] [{el9 d==1 because <b>[1m of it https://reqpm.example.org/builds/0}]" ||
		fmt.Sprint(m.Fixed, m.Added, m.Removed, m.Changed) != "[{el9 a 1}] [{el9 new 1}] [{el9 old 3}] [{el9 b 1 2}]" {
		t.Errorf("%+v", m)
	}
	if text := m.plain(); !strings.Contains(text, "Newly failing:\n- b==2 (el9): because <b>[1m of it\n  https://reqpm.example.org/builds/0\n") || !strings.Contains(text, "Other versions:\n- b 1 → 2 (el9)\n") {
		t.Errorf("%s", text)
	}
	for name, text := range map[string]string{"Slack": m.mrkdwn(), "Matrix": m.html()} {
		if strings.Contains(text, "<b>") || !strings.Contains(text, "&lt;b&gt;") {
			t.Errorf("%s: %s", name, text)
		}
	}
	// Where a run did not get as far as a plan, nothing is said to be gone.
	m = Message{}
	m.compare([]store.Step{step("resolve el9", "", store.Failed)}, before, true, link)
	if len(m.Removed) != 0 || len(m.NewlyFailing) != 1 {
		t.Errorf("%+v", m)
	}
}

type bed struct {
	t     *testing.T
	store *store.Store
	vault *auth.Vault
	n     *Notifier
	p     store.Project
}

func newBed(t *testing.T, url string, roots *x509.CertPool) *bed {
	t.Helper()
	b := &bed{t: t, store: storetest.Open(t, url)}
	var err error
	if b.vault, err = auth.OpenVault(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	b.n = New(Config{Store: b.store, Vault: b.vault, PublicURL: "https://reqpm.example.org/", Poll: 10 * time.Millisecond, BackOff: []time.Duration{time.Millisecond, time.Millisecond}, Roots: roots, Timeout: 5 * time.Second})
	if b.p, err = b.store.CreateProject(t.Context(), store.Project{Name: "app", GitURL: "https://git.example.org/app", Targets: []string{"el9"}}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bed) write(do func(tx *store.Tx) error) {
	b.t.Helper()
	if err := b.store.Write(b.t.Context(), do); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) allowLoopback() {
	b.write(func(tx *store.Tx) error { return tx.SetSetting(b.t.Context(), SettingInside, "127.0.0.0/8, ::1") })
}

func (b *bed) channel(c store.Channel, s ChannelSettings) store.Channel {
	b.t.Helper()
	c.Enabled = true
	b.write(func(tx *store.Tx) (err error) {
		c, _, err = b.n.Add(b.t.Context(), tx, c, s)
		return err
	})
	return c
}

// end makes a run that ends so.
func (b *bed) end(state store.StepState) store.Run {
	b.t.Helper()
	var run store.Run
	ctx := b.t.Context()
	b.write(func(tx *store.Tx) error {
		w, err := tx.AddWorker(ctx, store.Worker{Name: "w", Slots: 9, Lease: time.Minute})
		if err != nil {
			return err
		}
		if run, _, err = tx.CreateRun(ctx, store.Run{Project: b.p.ID, Ref: "main", Targets: []string{"el9"}, Reason: "a test"}, false); err != nil {
			return err
		}
		if err := tx.AddSteps(ctx, run.ID, []store.NewStep{{Key: "build el9 x==1", Kind: store.Build, Target: "el9", Package: "x==1"}}); err != nil {
			return err
		}
		s, err := tx.ClaimStep(ctx, store.Claim{Worker: w.ID, WorkerName: "w", Kinds: []store.Kind{store.Build}})
		if err != nil {
			return err
		}
		_, err = tx.FinishStep(ctx, store.Finish{Step: s.ID, Attempt: s.Attempt, Worker: w.ID, State: state, Cause: "it does not compile"})
		return err
	})
	return run
}

// settled runs the notifier until nothing waits, and gives the rows, the oldest first.
func (b *bed) settled() []store.Notification {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.t.Context(), time.Minute)
	defer stop()
	var done sync.WaitGroup
	running, end := context.WithCancel(ctx)
	done.Go(func() { b.n.Run(running) })
	defer done.Wait()
	defer end()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := b.store.Notifications(ctx, store.NotificationFilter{}, store.Page{Sort: "id"})
		if err != nil {
			b.t.Fatal(err)
		}
		waiting := 0
		for _, n := range all.Items {
			if n.State == store.NotifyWaiting {
				waiting++
			}
		}
		if waiting == 0 {
			return all.Items
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("still waiting: %+v", all.Items)
		case <-tick.C:
		}
	}
}

// received is what the other side got.
type received struct {
	mu   sync.Mutex
	all  []string
	head []http.Header
	fail int // so many get 500 first
}

func (r *received) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.head = append(r.all, q.Method+" "+q.URL.Path+" "+string(body)), append(r.head, q.Header)
	switch {
	case q.URL.Path == "/moved":
		http.Redirect(w, q, "/hook", http.StatusTemporaryRedirect)
	case len(r.all) <= r.fail:
		http.Error(w, "not now, "+q.Header.Get("Authorization"), http.StatusInternalServerError)
	default:
		fmt.Fprint(w, "taken")
	}
}

// A message for each end of a run and channel that wants it: no restart loses or doubles it, an outage is outlived.
func TestMessagesOfRuns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		got := &received{fail: 2}
		server := httptest.NewTLSServer(got)
		defer server.Close()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		b := newBed(t, url, roots)
		b.allowLoopback()
		b.end(store.Succeeded) // before there is a channel: nobody is told
		hook := b.channel(store.Channel{Project: b.p.ID, Name: "hook", Kind: Webhook, Events: []string{Failed, Fixed}}, ChannelSettings{URL: server.URL + "/hook?token=sesame-open"})
		b.end(store.Failed)
		// Another process takes it and dies: after its lease it is there again. Here it has just not begun.
		rows := b.settled()
		if len(rows) != 1 || rows[0].State != store.NotifySent || rows[0].Attempts != 3 || rows[0].Event != Failed || rows[0].Status != "HTTP 200" || rows[0].Answer != "taken" {
			t.Fatalf("%+v", rows)
		}
		var m Message
		if _, body, _ := strings.Cut(got.all[2], "POST /hook "); json.Unmarshal([]byte(body), &m) != nil || m.Title != "app: run 2 failed, 1 newly" || m.NewlyFailing[0].What != "x==1" ||
			m.NewlyFailing[0].Cause != "it does not compile" || m.Run.URL != fmt.Sprintf("https://reqpm.example.org/runs/%d", rows[0].Run) || m.Previous.Number != 1 {
			t.Errorf("%s", got.all[2])
		}
		if got.head[0].Get("webhook-id") != got.head[2].Get("webhook-id") || !strings.HasPrefix(got.head[2].Get("webhook-signature"), "v1,") {
			t.Errorf("%v", got.head)
		}
		b.channel(store.Channel{Name: "chat", Kind: Slack, Events: []string{Fixed}}, ChannelSettings{URL: server.URL + "/services/T0/B0/sesame-open"})
		b.channel(store.Channel{Project: b.p.ID, Name: "room", Kind: Matrix, Events: []string{Always}}, ChannelSettings{Homeserver: server.URL, Room: "!room:example.org", Token: "sesame-open"})
		b.end(store.Succeeded)
		b.n = New(b.n.cfg) // another process
		b.settled()
		b.end(store.Succeeded)
		rows = b.settled()
		states := ""
		for _, r := range rows {
			states += r.Event + " " + r.State + ", "
		}
		if states != "failed sent, fixed sent, fixed sent, fixed sent, succeeded skipped, succeeded skipped, succeeded sent, " {
			t.Errorf("%s", states)
		}
		all := strings.Join(got.all, "\n")
		if len(got.all) != 7 || !strings.Contains(all, "POST /services/T0/B0/sesame-open {\"text\":\"\\u003chttps://reqpm.example.org/runs/") || !strings.Contains(all, "PUT /_matrix/client/v3/rooms/!room:example.org/send/m.room.message/reqpm-") {
			t.Errorf("%d\n%s", len(got.all), all)
		}
		if err := b.store.ReplayNotification(t.Context(), rows[0].ID); err != nil {
			t.Fatal(err)
		}
		if rows = b.settled(); rows[0].State != store.NotifySent || rows[0].Replays != 1 || len(got.all) != 8 || got.head[7].Get("webhook-id") == got.head[2].Get("webhook-id") {
			t.Errorf("%+v", rows[0])
		}
		// What is kept has none of the secrets.
		c, err := b.store.Channel(t.Context(), hook.ID)
		if text, _ := json.Marshal(rows); err != nil || strings.Contains(string(text)+string(c.Settings)+string(c.Sealed), "sesame") || !strings.Contains(string(c.Settings), "https://127.0.0.1") {
			t.Errorf("%s %s %v", text, c.Settings, err)
		}
	})
}

// What a server that took a message and died had begun is sent again once its lease has ended.
func TestCrashWhileSending(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"), nil)
	b.channel(store.Channel{Name: "hook", Kind: Webhook, Events: []string{Always}}, ChannelSettings{URL: "https://hooks.example.org/x"})
	b.end(store.Failed)
	ctx := t.Context()
	for want, lease := range map[int]time.Duration{1: -time.Second} {
		if rows, err := b.store.ClaimNotifications(ctx, lease, 9); err != nil || len(rows) != want {
			t.Fatalf("%+v %v", rows, err)
		}
	}
	again, err := b.store.ClaimNotifications(ctx, time.Minute, 9)
	if err != nil || len(again) != 1 || again[0].Attempts != 2 {
		t.Errorf("after the lease: %+v %v", again, err)
	}
	if rows, err := b.store.ClaimNotifications(ctx, time.Minute, 9); err != nil || len(rows) != 0 {
		t.Errorf("while another has it: %+v %v", rows, err)
	}
}

func TestAddressesInside(t *testing.T) {
	got := &received{}
	server, plain := httptest.NewTLSServer(got), httptest.NewServer(got)
	defer server.Close()
	defer plain.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"), roots)
	try := func(address string) store.Notification {
		t.Helper()
		n, err := b.n.Test(t.Context(), b.channel(store.Channel{Project: b.p.ID, Name: "x", Kind: Webhook, Events: []string{Always}}, ChannelSettings{URL: address}))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	localhost := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for _, address := range []string{server.URL + "/hook", localhost + "/hook", plain.URL + "/hook", "https://169.254.169.254/latest/meta-data", "https://[::1]:1/", "https://0.0.0.0:1/"} {
		if n := try(address); n.State != store.NotifyFailed || !strings.Contains(n.Status, "private or local address") {
			t.Errorf("%s: %+v", address, n)
		}
	}
	if len(got.all) != 0 {
		t.Fatalf("was reached: %v", got.all)
	}
	b.allowLoopback()
	for _, address := range []string{server.URL + "/hook", plain.URL + "/hook"} {
		if n := try(address); n.State != store.NotifySent || n.Event != "test" {
			t.Errorf("%s, allowed: %+v", address, n)
		}
	}
	if n := try(server.URL + "/moved"); n.State != store.NotifyFailed || !strings.Contains(n.Status, "redirections are not followed") || len(got.all) != 3 {
		t.Errorf("redirected: %+v, %d requests", n, len(got.all))
	}
}

func TestBadChannels(t *testing.T) {
	for _, test := range []struct {
		kind string
		s    ChannelSettings
	}{
		{Webhook, ChannelSettings{}}, {Webhook, ChannelSettings{URL: "ftp://x/y"}}, {Webhook, ChannelSettings{URL: "https://user:pw@x/y"}}, {Webhook, ChannelSettings{URL: "https://x/y", Key: "short"}}, {Webhook, ChannelSettings{URL: "https://x/y", Host: "z"}},
		{Slack, ChannelSettings{URL: "https://x/y\r\nz"}}, {Matrix, ChannelSettings{Homeserver: "https://x", Room: "room", Token: "sesame-open"}}, {Matrix, ChannelSettings{Homeserver: "https://x", Room: "!r"}}, {"pigeon", ChannelSettings{}},
		{Email, ChannelSettings{Host: "x", From: "a@x", To: []string{"b@x\r\nBcc: c@x"}}}, {Email, ChannelSettings{Host: "x", From: "a@x"}}, {Email, ChannelSettings{Host: "x", From: "a@x", To: []string{"b@x"}, Username: "u"}},
	} {
		if err := test.s.check(test.kind); err == nil {
			t.Errorf("%s %+v is taken", test.kind, test.s)
		}
	}
}

// Who changes where a channel leads does not get the secret sent there.
func TestSecretsStayWithTheirPlace(t *testing.T) {
	before := ChannelSettings{Homeserver: "https://matrix.example.org", Room: "!r", Token: "sesame-open"}
	if s := (ChannelSettings{Homeserver: "https://matrix.example.org", Room: "!other"}).keep(before); s.Token != before.Token {
		t.Error("the token is gone")
	}
	moved := (ChannelSettings{Homeserver: "https://evil.example.org", Room: "!r"}).keep(before)
	if err := moved.check(Matrix); moved.Token != "" || err == nil {
		t.Error("the token would be sent elsewhere")
	}
	mail := ChannelSettings{Host: "mail.example.org", Port: 587, Security: "starttls", Username: "u", Password: "sesame-open", From: "a@example.org", To: []string{"b@example.org"}}
	other := mail
	other.Host, other.Password = "evil.example.org", ""
	if other = other.keep(mail); other.Password != "" || other.check(Email) == nil {
		t.Error("the password would be sent elsewhere")
	}
}

// With a new key, channels of a project and of all are sealed with it, and open with nothing else.
func TestReseal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url, nil)
		b.allowLoopback()
		dir := t.TempDir()
		old, err := auth.OpenVault(dir)
		if err != nil {
			t.Fatal(err)
		}
		b.n.cfg.Vault = old
		ids := []int64{}
		for _, project := range []int64{0, b.p.ID} {
			c := b.channel(store.Channel{Project: project, Name: "team", Kind: "slack", Events: []string{"failed"}}, ChannelSettings{URL: "https://127.0.0.1/swordfish"})
			ids = append(ids, c.ID)
		}
		if err := auth.RotateKey(dir); err != nil {
			t.Fatal(err)
		}
		rotated, err := auth.OpenVault(dir)
		if err != nil || !rotated.Rotated() || old.Rotated() {
			t.Fatal(err)
		}
		for _, want := range []int{2, 0} {
			if n, err := Reseal(t.Context(), b.store, rotated); n != want || err != nil {
				t.Errorf("%d sealed anew, not %d: %v", n, want, err)
			}
		}
		for _, id := range ids {
			c, err := b.store.Channel(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if s, err := open(rotated, c); err != nil || s.URL != "https://127.0.0.1/swordfish" {
				t.Errorf("%+v %v", s, err)
			}
			if _, err := open(old, c); !errors.Is(err, auth.ErrSealed) {
				t.Errorf("the old key opens it still: %v", err)
			}
		}
	})
}
