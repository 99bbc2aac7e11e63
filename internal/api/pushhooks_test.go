package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/engine"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// hook makes the project app without a run, and its push hook.
func (b *bed) hook(filter string) (project int64, secret string) {
	b.t.Helper()
	w := b.ask(b.token(auth.Admin, 0), http.MethodPost, "/api/v1/projects", strings.Replace(newProject, "{", `{"no_run": true, `, 1))
	var p api.Project
	if err := json.Unmarshal(w.Body.Bytes(), &p); w.Code != http.StatusCreated || err != nil {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	w = b.ask(b.token(auth.Maintainer, p.ID), http.MethodPut, "/api/v1/projects/app/hook", filter)
	var h api.PushHook
	if err := json.Unmarshal(w.Body.Bytes(), &h); w.Code != http.StatusOK || err != nil || h.Path != "/api/v1/hooks/app" || len(h.Secret) < 40 {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return p.ID, h.Secret
}

func pushOf(branch string, n int, files ...string) string {
	text, _ := json.Marshal(map[string]any{"ref": "refs/heads/" + branch, "after": fmt.Sprintf("%040x", n+1), "commits": []any{map[string]any{"modified": files}},
		"repository": map[string]any{"default_branch": "main"}})
	return string(text)
}

// gitHub are the headers of a push from there.
func gitHub(secret, event, delivery, body string) []string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return []string{"X-GitHub-Event", event, "X-GitHub-Delivery", delivery, "X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac.Sum(nil))}
}

func (b *bed) runs(project int64) []store.Run {
	b.t.Helper()
	part, err := b.store.Runs(b.t.Context(), store.RunFilter{Project: project}, store.Page{Sort: "id"})
	if err != nil {
		b.t.Fatal(err)
	}
	return part.Items
}

func TestPushHook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		project, secret := b.hook(`{"branches": ["main", "release/*"], "paths": ["!docs/**"]}`)
		maintainer := b.token(auth.Maintainer, project)
		send := func(body string, header []string, status int, want string) {
			t.Helper()
			if w := b.ask("", http.MethodPost, "/api/v1/hooks/app", body, header...); w.Code != status || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%d %s, not %d %s", w.Code, w.Body, status, want)
			}
		}
		push := pushOf("main", 1, "src/a.py")
		send(push, gitHub("not the secret", "push", "d0", push), 403, "no push hook here")
		send(push, []string{"X-GitHub-Event", "push"}, 403, "no push hook here")
		send(push, nil, 422, "not a push hook")
		send(push, append(gitHub(secret, "push", "d0", push), "Content-Type", "text/plain"), 415, "content type")
		send(strings.Repeat(" ", 6<<20), gitHub(secret, "push", "d0", push), 413, "5 MiB")
		send("{}", gitHub(secret, "push", "d0", "{}"), 422, "payload")
		if w := b.ask("", http.MethodPost, "/api/v1/hooks/nobody", push, gitHub(secret, "push", "d0", push)...); w.Code != 403 {
			t.Errorf("of a project that is not there: %d %s", w.Code, w.Body)
		}
		if runs := b.runs(project); len(runs) != 0 {
			t.Fatalf("runs of what was refused: %+v", runs)
		}
		ping := `{"zen": "Keep it logically awesome."}`
		send(ping, gitHub(secret, "ping", "d1", ping), 200, `"decision":"ping"`)
		send(push, gitHub(secret, "push", "d2", push), 200, `"decision":"run"`)
		send(push, gitHub(secret, "push", "d2", push), 200, `"again":true`)
		next := pushOf("main", 2, "src/a.py")
		send(next, []string{"X-Gitlab-Event", "Push Hook", "Idempotency-Key", "d3", "X-Gitlab-Token", secret}, 200, `"decision":"joined"`)
		release := pushOf("release/1", 3, "src/a.py")
		send(release, gitHub(secret, "push", "d4", release), 200, `"decision":"run"`)
		docs := pushOf("main", 4, "docs/a.md")
		send(docs, gitHub(secret, "push", "d5", docs), 200, "none of the 1 changed files")
		other := pushOf("dev", 5, "src/a.py")
		send(other, gitHub(secret, "push", "d6", other), 200, "dev is not among")
		star := `{"action": "created"}`
		send(star, gitHub(secret, "star", "d7", star), 200, "not a push")
		if runs := b.runs(project); len(runs) != 2 || runs[0].Ref != "" || runs[1].Ref != "release/1" || runs[0].Reason != "push to main at github" {
			t.Errorf("%+v", runs)
		}
		var list struct{ Items []api.PushDelivery }
		w := b.ask(maintainer, http.MethodGet, "/api/v1/projects/app/hook/deliveries?sort=id", "")
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list.Items) != 7 || list.Items[1].Times != 2 || list.Items[1].Run == 0 || list.Items[2].Run != list.Items[1].Run || list.Items[2].Forge != "gitlab" ||
			list.Items[4].Decision != "ignored" || list.Items[4].From == "" || list.Items[4].Commit != fmt.Sprintf("%040x", 5) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := b.ask(maintainer, http.MethodGet, "/api/v1/projects/app/hook", ""); strings.Contains(w.Body.String(), secret) || !strings.Contains(w.Body.String(), `"refused_why":"the request does not have the hook's secret`) {
			t.Errorf("%s", w.Body)
		}
		var rotated api.PushHook
		w = b.ask(maintainer, http.MethodPost, "/api/v1/projects/app/hook/secret", "")
		if err := json.Unmarshal(w.Body.Bytes(), &rotated); err != nil || rotated.Secret == secret || len(rotated.Secret) < 40 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		send(ping, gitHub(secret, "ping", "d8", ping), 403, "no push hook here")
		send(ping, gitHub(rotated.Secret, "ping", "d8", ping), 200, "ping")
		if w := b.ask(maintainer, http.MethodPut, "/api/v1/projects/app/hook", `{"paths": [""]}`); w.Code != 422 {
			t.Errorf("a pattern of nothing: %d %s", w.Code, w.Body)
		}
		if w := b.ask(maintainer, http.MethodPut, "/api/v1/projects/app/hook", `{}`); strings.Contains(w.Body.String(), `"secret"`) {
			t.Errorf("a change shows the secret: %s", w.Body)
		}
		if w := b.ask(maintainer, http.MethodDelete, "/api/v1/projects/app/hook", ""); w.Code != 204 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		send(ping, gitHub(rotated.Secret, "ping", "d9", ping), 403, "no push hook here")
	})
}

// A storm of 1,000 pushes while a run is at work makes one run, which begins when that one has ended.
func TestStormOfPushes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		project, secret := b.hook(`{}`)
		checkouts, goOn := make(chan int64, 100), make(chan struct{})
		handlers := map[store.Kind]engine.Handler{store.Checkout: func(ctx context.Context, s store.Step) (engine.Result, error) {
			checkouts <- s.Run
			select {
			case <-goOn:
			case <-ctx.Done():
			}
			return engine.Result{}, nil
		}}
		for _, kind := range []store.Kind{store.Analyze, store.Resolve, store.Specs, store.Plan} {
			handlers[kind] = func(context.Context, store.Step) (engine.Result, error) { return engine.Result{}, nil }
		}
		e, err := engine.New(engine.Config{Store: b.store, Handlers: handlers, Name: "w"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = e.Run(ctx) })
		defer done.Wait()
		defer stop()

		server := httptest.NewServer(b.api)
		defer server.Close()
		push := func(n int) error {
			body := pushOf("main", n, "src/a.py")
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/v1/hooks/app", strings.NewReader(body))
			if err != nil {
				return err
			}
			r.Header.Set("Content-Type", "application/json")
			header := gitHub(secret, "push", fmt.Sprint("delivery ", n), body)
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			answer, err := server.Client().Do(r)
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
				return fmt.Errorf("%d %s %w", answer.StatusCode, text, err)
			}
			return nil
		}
		if err := push(0); err != nil {
			t.Fatal(err)
		}
		first := <-checkouts
		numbers := make(chan int)
		var senders sync.WaitGroup
		for range 16 {
			senders.Go(func() {
				for n := range numbers {
					if err := push(n); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for n := range 1000 {
			numbers <- n + 1
		}
		close(numbers)
		senders.Wait()
		runs := b.runs(project)
		if len(runs) != 2 || runs[0].ID != first || runs[0].State != store.RunRunning || runs[1].State != store.RunQueued || runs[1].Behind != first {
			t.Fatalf("%+v", runs)
		}
		if len(checkouts) != 0 {
			t.Error("the second run has begun before the first has ended")
		}
		close(goOn)
		select {
		case second := <-checkouts:
			if second != runs[1].ID {
				t.Errorf("run %d", second)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("the second run does not begin")
		}
		if runs := b.runs(project); len(runs) != 2 || runs[0].State != store.RunSucceeded || runs[1].Behind != 0 {
			t.Errorf("%+v", runs)
		}
		part, err := b.store.Pushes(ctx, project, store.Page{Limit: 500})
		if err != nil || len(part.Items) != 500 || part.Next == "" {
			t.Errorf("%d deliveries, %v", len(part.Items), err)
		}
	})
}

// A run that waits for another begins too when that one is cancelled, and can be cancelled itself.
func TestCancelBehind(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	_, secret := b.hook(`{}`)
	admin := b.token(auth.Admin, 0)
	push := func(n int) int64 {
		t.Helper()
		body := pushOf("main", n, "a")
		var answer api.PushAnswer
		w := b.ask("", http.MethodPost, "/api/v1/hooks/app", body, gitHub(secret, "push", fmt.Sprint(n), body)...)
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Run == 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return answer.Run
	}
	first := push(1)
	err := b.store.Write(t.Context(), func(tx *store.Tx) error {
		w, err := tx.AddWorker(t.Context(), store.Worker{Name: "w", Slots: 1, Lease: time.Minute})
		if err == nil {
			_, err = tx.ClaimStep(t.Context(), store.Claim{Worker: w.ID, WorkerName: "w", Kinds: []store.Kind{store.Checkout}})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel := func(run int64) {
		t.Helper()
		if w := b.ask(admin, http.MethodPost, fmt.Sprintf("/api/v1/runs/%d/cancel", run), ""); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	second := push(2)
	cancel(second)
	third := push(3)
	if third == second || first == third {
		t.Errorf("runs %d, %d, %d", first, second, third)
	}
	if steps, err := b.store.RunSteps(t.Context(), third); err != nil || steps[0].State != store.Waiting {
		t.Errorf("%+v %v", steps, err)
	}
	steps, err := b.store.RunSteps(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	cancel(first)
	err = b.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.FinishStep(t.Context(), store.Finish{Step: steps[0].ID, Attempt: steps[0].Attempt, Worker: steps[0].Worker, State: store.Cancelled})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if steps, err := b.store.RunSteps(t.Context(), third); err != nil || steps[0].State != store.Ready {
		t.Errorf("%+v %v", steps, err)
	}
}
