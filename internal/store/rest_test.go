package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// A storm of pushes makes one run; runs count within their project.
func TestCoalesce(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		p, other := project(t, s, "web"), project(t, s, "other")
		create := func(r store.Run) (run store.Run, created bool) {
			write(t, s, func(tx *store.Tx) (err error) {
				run, created, err = tx.CreateRun(t.Context(), r, true)
				return err
			})
			return run, created
		}
		first, created := create(store.Run{Project: p.ID, Ref: "main"})
		if !created || first.Number != 1 {
			t.Errorf("%+v %v", first, created)
		}
		for range 20 {
			if again, created := create(store.Run{Project: p.ID, Ref: "main"}); created || again.ID != first.ID {
				t.Errorf("again: %+v %v", again, created)
			}
		}
		if branch, created := create(store.Run{Project: p.ID, Ref: "dev"}); !created || branch.Number != 2 {
			t.Errorf("another ref: %+v", branch)
		}
		if r, created := create(store.Run{Project: other.ID, Ref: "main"}); !created || r.Number != 1 {
			t.Errorf("another project: %+v", r)
		}
		write(t, s, func(tx *store.Tx) error { return tx.CancelRun(t.Context(), first.ID, "by me") })
		if r, created := create(store.Run{Project: p.ID, Ref: "main"}); !created || r.Number != 3 {
			t.Errorf("after a cancelled one: %+v", r)
		}
		part := must[store.Part[store.Run]](t)(s.Runs(t.Context(), store.RunFilter{Project: p.ID, States: []store.RunState{store.RunQueued}}, store.Page{}))
		if len(part.Items) != 2 || part.Items[0].Number != 3 || part.Items[1].Number != 2 {
			t.Errorf("queued: %+v", part.Items)
		}
	})
}

// Limits hold while they are changed; projects get equal shares; an exclusive build is alone.
func TestLimits(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		one, two := project(t, s, "one"), project(t, s, "two")
		run(t, s, one.ID, build("a", 50), build("b", 40), build("c", 30), build("d", 20))
		run(t, s, two.ID, build("x", 2), build("y", 1))
		w := worker(t, s, "w")
		limit := func(scope, name string, value int64) {
			t.Helper()
			write(t, s, func(tx *store.Tx) error { return tx.SetLimit(ctx, store.Limit{Scope: scope, Name: name, Value: value}) })
		}
		next := func(want string) store.Step {
			t.Helper()
			step := claim(t, s, w)
			if step.Key != want {
				t.Errorf("next is %q, want %q", step.Key, want)
			}
			return step
		}
		a := next("a")
		next("x") // not b: the other project has nothing yet
		next("b")
		limit(store.LimitProject, "2", 1)
		next("c") // not y
		limit(store.LimitAll, "", 4)
		next("")
		finish(t, s, a, store.Succeeded)
		limit(store.LimitTarget, "el9", 0)
		next("")
		limit(store.LimitTarget, "el9", -1)
		limit(store.LimitWorker, "w", 3)
		next("")
		limit(store.LimitWorker, "w", 9)
		write(t, s, func(tx *store.Tx) error { return tx.SetSetting(ctx, store.SettingPaused, "true") })
		next("")
		write(t, s, func(tx *store.Tx) error { return tx.SetSetting(ctx, store.SettingPaused, "false") })
		write(t, s, func(tx *store.Tx) error { return tx.DrainWorker(ctx, w.ID, true) })
		next("")
		write(t, s, func(tx *store.Tx) error { return tx.DrainWorker(ctx, w.ID, false) })
		next("d")
	})
	each(t, func(t *testing.T, s *store.Store) {
		p := project(t, s, "p")
		big := build("big", 50)
		big.Exclusive = true
		arm := build("arm", 90)
		arm.Labels = "arch=aarch64"
		x86 := build("x86", 80)
		x86.Labels = "arch=x86_64"
		run(t, s, p.ID, arm, x86, big, build("small", 1))
		w, other := worker(t, s, "w"), worker(t, s, "other")
		first := claim(t, s, w)
		if first.Key != "x86" {
			t.Errorf("%s was given to a worker without its label", first.Key)
		}
		if step := claim(t, s, w); step.Key != "" {
			t.Errorf("%s beside what runs, though an exclusive build is next", step.Key)
		}
		if step := claim(t, s, other); step.Key != "big" {
			t.Errorf("%s on an idle worker, want big", step.Key)
		}
		if step := claim(t, s, other); step.Key != "" {
			t.Errorf("%s beside an exclusive build", step.Key)
		}
		if step := claim(t, s, w); step.Key != "small" {
			t.Errorf("%s, want small", step.Key)
		}
	})
}

func TestPeople(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		p := project(t, s, "web")
		u := must[store.User](t)(s.CreateUser(ctx, store.User{Name: "ada", Hash: "h", Role: "viewer"}))
		token := must[store.Token](t)(s.CreateToken(ctx, store.Token{Hash: "t1", Name: "ci", Owner: u.ID, Role: "builder", Project: p.ID, Expires: time.Now().Add(time.Hour)}))
		must[store.Token](t)(s.CreateToken(ctx, store.Token{Hash: "t2", Name: "old", Role: "admin", Expires: time.Now().Add(-time.Hour)}))
		if got := must[store.Token](t)(s.TokenByHash(ctx, "t1")); got.ID != token.ID || got.Owner != u.ID || got.Project != p.ID || !got.LastUsed.IsZero() {
			t.Errorf("%+v", got)
		}
		if _, err := s.TokenByHash(ctx, "t2"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an expired token: %v", err)
		}
		if err := s.TouchToken(ctx, token.ID); err != nil {
			t.Fatal(err)
		}
		if got := must[store.Token](t)(s.TokenByHash(ctx, "t1")); got.LastUsed.IsZero() {
			t.Error("its use was not noted")
		}
		if err := s.CreateSession(ctx, store.Session{Hash: "s1", User: u.ID, Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		for _, role := range []string{"builder", "maintainer"} {
			if err := s.SetMember(ctx, u.ID, p.ID, role); err != nil {
				t.Fatal(err)
			}
		}
		if got := must[[]store.Member](t)(s.Members(ctx, u.ID, 0)); len(got) != 1 || got[0].Role != "maintainer" {
			t.Errorf("%+v", got)
		}
		if got := must[store.Session](t)(s.SessionByHash(ctx, "s1")); got.User != u.ID {
			t.Errorf("%+v", got)
		}
		if err := s.DeleteUser(ctx, u.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SessionByHash(ctx, "s1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the session of a deleted user: %v", err)
		}
		if _, err := s.TokenByHash(ctx, "t1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the token of a deleted user: %v", err)
		}
		if err := s.AddAudit(ctx, store.AuditEntry{Who: "ada", Action: "project.delete", Object: "web", Project: p.ID}); err != nil {
			t.Fatal(err)
		}
		if got := must[store.Part[store.AuditEntry]](t)(s.Audit(ctx, store.AuditFilter{Project: p.ID, Who: "AD", Object: "Delete"}, store.Page{})); len(got.Items) != 1 || got.Items[0].Who != "ada" {
			t.Errorf("%+v", got)
		}
		if n := must[int64](t)(s.Prune(ctx, time.Now().Add(-time.Minute))); n != 1 {
			t.Errorf("%d rows pruned, want the expired token", n)
		}
	})
}

// Texts from outside, artifacts, snapshots, secrets and answers come back as they were put in.
func TestKept(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		p := project(t, s, "web")
		r := run(t, s, p.ID, build("a", 1))
		write(t, s, func(tx *store.Tx) error {
			_, err := tx.AddLogEntry(ctx, store.LogEntry{Project: p.ID, Run: r.ID, Level: "error", Message: "bad \x00 bytes \xff and 100%_ more ☃"})
			return err
		})
		for text, want := range map[string]int{"100%_ MORE": 1, "1000": 0, "☃": 1, "_": 1, "b_d": 0} {
			if got := must[store.Part[store.LogEntry]](t)(s.LogEntries(ctx, store.LogFilter{Run: r.ID, Text: text}, store.Page{})); len(got.Items) != want {
				t.Errorf("search for %q finds %d", text, len(got.Items))
			}
		}
		for _, size := range []int64{1, 2} {
			must[store.Artifact](t)(s.PutArtifact(ctx, store.Artifact{Run: r.ID, Step: 1, Kind: "rpm", Name: "a.rpm", Blob: "b", Size: size}))
		}
		if got := must[store.Part[store.Artifact]](t)(s.Artifacts(ctx, store.ArtifactFilter{Run: r.ID, Kinds: []string{"rpm"}}, store.Page{})); len(got.Items) != 1 || got.Items[0].Size != 2 {
			t.Errorf("%+v", got.Items)
		}
		snapshot := must[store.Snapshot](t)(s.AddSnapshot(ctx, store.Snapshot{Project: p.ID, Run: r.ID, Target: "el9", Path: "x"}))
		write(t, s, func(tx *store.Tx) error {
			_, err := tx.PointRepository(ctx, p.ID, "testing", "el9", snapshot.ID)
			return err
		})
		if err := s.DeleteSnapshot(ctx, snapshot.ID); !errors.Is(err, store.ErrReference) {
			t.Errorf("a snapshot that a channel points at was deleted: %v", err)
		}
		if err := s.PutSecret(ctx, p.ID, "git", []byte{0, 1, 255}); err != nil {
			t.Fatal(err)
		}
		if got := must[[]byte](t)(s.Secret(ctx, p.ID, "git")); !slices.Equal(got, []byte{0, 1, 255}) {
			t.Errorf("secret %v", got)
		}
		if _, first, err := s.BeginAnswer(ctx, store.Answer{Owner: "ada", Name: "k", Request: "r1"}); !first || err != nil {
			t.Errorf("%v %v", first, err)
		}
		if err := s.EndAnswer(ctx, store.Answer{Owner: "ada", Name: "k", Status: 201, Answer: "{}"}); err != nil {
			t.Fatal(err)
		}
		if was, first, err := s.BeginAnswer(ctx, store.Answer{Owner: "ada", Name: "k", Request: "r2"}); first || err != nil || was.Request != "r1" || was.Status != 201 {
			t.Errorf("%+v %v %v", was, first, err)
		}
		if err := s.DeleteProject(ctx, p.ID); err != nil {
			t.Errorf("a project with everything: %v", err)
		}
	})
}

// A backup is the database of one moment, taken while somebody writes; SQLite moves to PostgreSQL and goes on
// with its numbers.
func TestBackupAndCopy(t *testing.T) {
	dir := t.TempDir()
	s := storetest.Open(t, filepath.Join(dir, "live.db"))
	p := project(t, s, "web")
	r := run(t, s, p.ID, build("a", 1), build("b", 1, "a"))
	w := worker(t, s, "w")
	finish(t, s, claim(t, s, w), store.Succeeded)
	if err := s.PutSecret(t.Context(), p.ID, "git", []byte{0, 255}); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "o'backup.db")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), backup); !errors.Is(err, os.ErrExist) {
		t.Errorf("over an older backup: %v", err)
	}
	finish(t, s, claim(t, s, w), store.Succeeded)
	if left, err := filepath.Glob(filepath.Join(dir, ".backup*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	restored := storetest.Open(t, backup)
	wantStates(t, restored, r.ID, map[string]string{"a": "succeeded", "b": "ready"})
	t.Run("postgres", func(t *testing.T) {
		moved := storetest.Open(t, storetest.Postgres(t))
		if err := restored.CopyTo(t.Context(), moved); err != nil {
			t.Fatal(err)
		}
		if err := restored.CopyTo(t.Context(), moved); !errors.Is(err, store.ErrConflict) {
			t.Errorf("copied twice: %v", err)
		}
		wantStates(t, moved, r.ID, map[string]string{"a": "succeeded", "b": "ready"})
		if got := must[[]byte](t)(moved.Secret(t.Context(), p.ID, "git")); !slices.Equal(got, []byte{0, 255}) {
			t.Errorf("secret %v", got)
		}
		finish(t, moved, claim(t, moved, w), store.Succeeded)
		if state := runState(t, moved, r.ID); state != store.RunSucceeded {
			t.Errorf("the run is %s", state)
		}
		if next := project(t, moved, "next"); next.ID != p.ID+1 {
			t.Errorf("the next project is number %d", next.ID)
		}
		back := storetest.Open(t, filepath.Join(dir, "back.db"))
		if err := moved.CopyTo(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		wantStates(t, back, r.ID, map[string]string{"a": "succeeded", "b": "succeeded"})
	})
}

// Passwords in addresses are in no error.
func TestNoPasswordInErrors(t *testing.T) {
	for _, url := range []string{"postgres://me:hunter2@127.0.0.1:1/x", "postgres://127.0.0.1:1/x?user=me&password=hunter2"} {
		_, err := store.Open(t.Context(), store.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
