package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/builder"
	"reqpm/internal/builder/fake"
	"reqpm/internal/index"
	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/service"
	"reqpm/internal/solve"
	"reqpm/internal/source"
	"reqpm/internal/store"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// opener is where pipelines come from in a test.
type opener func(ctx context.Context, sub service.Subject, report func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error)

func (o opener) Open(ctx context.Context, sub service.Subject, _ *lockfile.File, report func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error) {
	return o(ctx, sub, report)
}

func (opener) Source(service.Subject) (source.Request, error) {
	return source.Request{}, errors.New("nobody asks")
}

// forever says what it does, and goes on until it is cancelled.
func forever(ctx context.Context, sub service.Subject, report func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error) {
	report(pipeline.Event{Event: "stage", Message: "resolve for " + sub.Target})
	report(pipeline.Event{Event: "progress", Name: "numpy", Version: "2.1"})
	<-ctx.Done()
	return nil, pipeline.Request{}, context.Cause(ctx)
}

func previews(t *testing.T, o opener) *service.PlanPreviews {
	t.Helper()
	s := service.New(service.Config{Pipelines: o})
	p := service.NewPlanPreviews(s)
	t.Cleanup(func() {
		p.Close()
		_ = s.Close()
	})
	return p
}

// until waits for a view that is as it should be; is may look at other previews, too, whose changes it is not told of.
func until(t *testing.T, p *service.PlanPreview, what string, is func(v service.PlanView) bool) service.PlanView {
	t.Helper()
	late := time.After(time.Minute)
	others := time.NewTicker(20 * time.Millisecond)
	defer others.Stop()
	for {
		changed := p.Changed()
		v := p.View()
		if is(v) {
			return v
		}
		select {
		case <-changed:
		case <-others.C:
		case <-late:
			t.Fatalf("%s: not within a minute; it is %+v", what, v)
		}
	}
}

func ended(v service.PlanView) bool { return v.Finished != nil }

func ask(owner string, targets ...string) service.PlanAsk {
	return service.PlanAsk{Owner: owner, Subject: service.Subject{GitURL: "https://git.example.org/app.git"}, Targets: targets}
}

// TestPlanPreviewGoesOn: it says what it does, belongs to one who asked, ends when he asks for another, when he cancels, and
// with the server.
func TestPlanPreviewGoesOn(t *testing.T) {
	all := previews(t, forever)
	first, err := all.Start(ask("ada", "el9"))
	if err != nil {
		t.Fatal(err)
	}
	v := until(t, first, "it says which source it reads", func(v service.PlanView) bool { return strings.Contains(v.Targets[0].Doing, "numpy 2.1") })
	if v.State != service.PreviewRunning || v.Targets[0].State != service.PreviewRunning {
		t.Errorf("it is %+v", v)
	}
	if _, err := all.Get("bob", v.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("bob may see ada's: %v", err)
	}
	second, err := all.Start(ask("ada", "el9", "el10"))
	if err != nil {
		t.Fatal(err)
	}
	if v := until(t, first, "the first ends", ended); v.State != service.PreviewCancelled || !strings.Contains(v.Error, "another preview") {
		t.Errorf("the first is %+v", v)
	}
	until(t, second, "the second goes on", func(v service.PlanView) bool { return v.State == service.PreviewRunning })
	second.Cancel()
	if v := until(t, second, "the second ends", ended); v.State != service.PreviewCancelled || v.Targets[1].State != service.PreviewCancelled {
		t.Errorf("the second is %+v", v)
	}
	var running []*service.PlanPreview
	for _, owner := range []string{"ada", "bob", "eve"} {
		p, err := all.Start(ask(owner, "el9"))
		if err != nil {
			t.Fatal(err)
		}
		running = append(running, p)
	}
	until(t, running[0], "two go on at once", func(v service.PlanView) bool {
		n := 0
		for _, p := range running {
			if p.View().State == service.PreviewRunning {
				n++
			}
		}
		return n == 2
	})
	if i := slices.IndexFunc(running, func(p *service.PlanPreview) bool { return p.View().State == service.PreviewWaiting }); i < 0 {
		t.Error("all three go on at once")
	}
	all.Close()
	for _, p := range running {
		if v := p.View(); v.State != service.PreviewCancelled {
			t.Errorf("after the end of the server it is %+v", v)
		}
	}
	if _, err := all.Start(ask("ada", "el9")); !errors.Is(err, service.ErrPreviewsFull) {
		t.Errorf("one begins after the end: %v", err)
	}
}

// TestPlanPreviewUnwatched: what nobody looks at ends after a minute, and what somebody does goes on.
func TestPlanPreviewUnwatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := previews(t, forever)
		left, err := all.Start(ask("ada", "el9"))
		if err != nil {
			t.Fatal(err)
		}
		watched, err := all.Start(ask("bob", "el9"))
		if err != nil {
			t.Fatal(err)
		}
		look, leave := context.WithCancel(t.Context())
		watched.Watch(look)
		watched.Watch(look)
		<-time.After(3 * time.Minute)
		if v := left.View(); v.State != service.PreviewCancelled || !strings.Contains(v.Error, "nobody") {
			t.Errorf("what was left is %+v", v)
		}
		if v := watched.View(); v.State != service.PreviewRunning {
			t.Errorf("what is looked at is %+v", v)
		}
		leave()
		<-time.After(30 * time.Second)
		if v := watched.View(); v.State != service.PreviewRunning {
			t.Errorf("half a minute after the page was left it is %+v: a page may come again", v)
		}
		<-time.After(time.Minute)
		if v := watched.View(); v.State != service.PreviewCancelled {
			t.Errorf("a minute later it is %+v", v)
		}
		all.Close()
	})
}

// TestPlanPreviewProblems: what is wrong is said of what it is about, and without secrets.
func TestPlanPreviewProblems(t *testing.T) {
	for _, c := range []struct {
		name    string
		err     error
		field   string
		others  bool // the other target is tried
		confirm func(t service.TargetPlan) bool
	}{
		{"conflict", &solve.Conflict{Message: "a needs b<2", Origins: []solve.Origin{{File: "requirements.txt", Line: 3, Text: "b>=2"}}, Changes: []solve.Change{{Kind: solve.Relax, Text: "b>=1"}}}, "targets", true,
			func(t service.TargetPlan) bool {
				return t.Conflict != nil && t.Conflict.Requirements[0].Line == 3 && t.Conflict.Changes[0].Text == "b>=1" && strings.Contains(t.Conflict.Changes[0].Say, "b>=1")
			}},
		{"git server", fmt.Errorf("fetch: %w", source.ErrNetwork), "git_url", false, nil},
		{"ref", fmt.Errorf("no branch: %w", source.ErrNotFound), "ref", false, nil},
		{"requirements", fmt.Errorf("read: %w", pipeline.ErrNoRequirements), "requirement_files", false, nil},
		{"index", fmt.Errorf("ask: %w", index.ErrUnavailable), "", false, nil},
		{"a target's own", errors.New("no such repository"), "targets", true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tried []string
			all := previews(t, func(_ context.Context, sub service.Subject, _ func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error) {
				tried = append(tried, sub.Target)
				return nil, pipeline.Request{}, c.err
			})
			p, err := all.Start(ask("ada", "el9", "el10", "el9"))
			if err != nil {
				t.Fatal(err)
			}
			v := until(t, p, "the end", ended)
			first := v.Targets[0]
			if v.State != service.PreviewDone || first.State != service.PreviewFailed || first.Field != c.field || first.Error == "" || c.confirm != nil && !c.confirm(first) {
				t.Errorf("it is %+v", v)
			}
			if c.others != (len(tried) == 2) || c.others != (v.Error == "") || !c.others && v.Field != c.field {
				t.Errorf("%v were tried, and of all it says %q of %q", tried, v.Error, v.Field)
			}
		})
	}
	all := previews(t, forever)
	for _, targets := range [][]string{nil, strings.Split(strings.Repeat("el9 ", 13), " ")[:13]} {
		if _, err := all.Start(ask("ada", targets...)); err == nil {
			t.Errorf("a preview of %d targets begins", len(targets))
		}
	}
}

// TestPlanPreviewCounts makes a real plan, of a real resolution, on a builder that only answers questions.
func TestPlanPreviewCounts(t *testing.T) {
	dir, commit := repository(t)
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte("app-core\nold-thing\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "older.txt"), []byte("lib-a<1.4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "-C", dir, "add", ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	commit()
	server, err := testindex.Start(
		testindex.Package{Name: "tool-base", Version: "1.0"},
		testindex.Package{Name: "lib-a", Version: "1.4", BuildRequires: []string{"tool-base"}},
		testindex.Package{Name: "lib-a", Version: "1.3", BuildRequires: []string{"tool-base"}, Requires: []string{"lib-b"}},
		testindex.Package{Name: "lib-b", Version: "2.0", BuildRequires: []string{"tool-base"}},
		testindex.Package{Name: "app-core", Version: "3.2", BuildRequires: []string{"tool-base"}, Requires: []string{"lib-a>=1"}},
		testindex.Package{Name: "old-thing", Version: "0.9", Fault: testindex.HookFails})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	state := t.TempDir()
	client, err := index.New(index.Config{Indexes: []index.IndexConfig{{URL: server.URL}}, CacheDir: filepath.Join(state, "index"), Retries: -1, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	on, err := target.Find(t.Context(), "el9")
	if err != nil {
		t.Fatal(err)
	}
	on.RPM.Style = target.StyleDriver
	builds := fake.New(2)
	builds.Runner = answerHooks
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	elsewhere := &others{Store: b.blobs}
	s := service.New(service.Config{Store: b.store, Blobs: elsewhere, Pipelines: opener(func(_ context.Context, sub service.Subject, report func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error) {
		line, err := pipeline.New(pipeline.Config{StateDir: state, Target: on, Index: client, Builder: builds, Pool: pipeline.NewPool(2), Report: report})
		return line, pipeline.Request{Source: source.Request{URL: sub.GitURL, Dir: filepath.Join(state, "checkouts"), Allow: source.Policy{Local: true}}, Wanted: pipeline.Wanted{NoProject: true, Constraints: sub.Files}}, err
	})})
	all := service.NewPlanPreviews(s)
	defer all.Close()
	p, err := all.Start(service.PlanAsk{Owner: "ada", Subject: service.Subject{GitURL: dir}, Targets: []string{"el9"}})
	if err != nil {
		t.Fatal(err)
	}
	v := until(t, p, "the end", ended)
	got := v.Targets[0]
	if got.State != service.PreviewDone || got.Direct != 2 || got.Transitive != 1 || got.Tools != 1 || got.Build != 4 || got.Cached+got.Reused+got.Cannot != 0 || got.Slots != 2 || got.Estimate <= 0 || len(v.Commit) != 40 {
		t.Errorf("the plan is %+v", v)
	}
	role := map[string]string{}
	for _, x := range got.Packages {
		role[x.Name+" "+x.Version] = x.Role + " " + x.Decision
		if x.Name == "lib-a" && x.Why != "required by app-core" {
			t.Errorf("lib-a is there for %q", x.Why)
		}
	}
	for name, want := range map[string]string{"app-core 3.2": "direct build", "lib-a 1.4": "transitive build", "old-thing 0.9": "direct build", "tool-base 1.0": "tool build"} {
		if role[name] != want {
			t.Errorf("%s is %q, want %q", name, role[name], want)
		}
	}
	if !slices.ContainsFunc(got.Warnings, func(w string) bool {
		return strings.Contains(w, "old-thing") && strings.Contains(w, "fails on purpose")
	}) {
		t.Errorf("nothing is said of old-thing: %v", got.Warnings)
	}
	// Beside the plan as it is, one of something else: what differs, and nothing else.
	before := service.Subject{GitURL: dir}
	with := before
	with.Files = []string{"older.txt"} // constraints, here
	both, err := all.Start(service.PlanAsk{Owner: "ada", Subject: with, Now: &before, Targets: []string{"el9"}})
	if err != nil {
		t.Fatal(err)
	}
	v = until(t, both, "the end", ended)
	said := ""
	for _, c := range service.PlanChanges(v.Now, v.Targets) {
		said += fmt.Sprintf("%s %s %q %q %s; ", c.Target, c.Package, c.Was, c.Version, c.Decision)
	}
	if want := `el9 lib-a "1.4" "1.3" build; el9 lib-b "" "2.0" build; `; said != want {
		t.Errorf("what differs is %s, not %s", said, want)
	}
	if same := service.PlanChanges(v.Now, v.Now); len(same) != 0 {
		t.Errorf("a plan differs from itself: %+v", same)
	}

	// What a build took on another worker is what is expected of it, as a run would.
	guess := secondsOf(got)
	tookMoments(t, b, "el9", "app-core==3.1")
	if p, err = all.Start(p.Ask()); err != nil {
		t.Fatal(err)
	}
	again := until(t, p, "the end", ended).Targets[0]
	if now := secondsOf(again); guess["app-core"] < 1 || now["app-core"] <= 0 || now["app-core"] > guess["app-core"]/2 || now["lib-a"] != guess["lib-a"] || again.Estimate > got.Estimate {
		t.Errorf("it expects %v, in all %v, and before that package was built elsewhere %v and %v", now, again.Estimate, guess, got.Estimate)
	}
	elsewhere.built = true
	if p, err = all.Start(p.Ask()); err != nil {
		t.Fatal(err)
	}
	if got := until(t, p, "the end", ended).Targets[0]; got.Build != 0 || got.Cached != 4 || got.Estimate != 0 {
		t.Errorf("of what another worker has built it says %+v", got)
	}
}

// secondsOf are the times that a plan expects of its builds.
func secondsOf(t service.TargetPlan) map[string]float64 {
	seconds := map[string]float64{}
	for _, x := range t.Packages {
		seconds[x.Name] = x.Seconds
	}
	return seconds
}

// tookMoments has a worker build a package in no time.
func tookMoments(t *testing.T, b *bed, target, pkg string) {
	t.Helper()
	p := b.project(store.Project{Name: "elsewhere", GitURL: "https://git.example.org/elsewhere.git", Targets: []string{target}})
	b.write(func(tx *store.Tx) error {
		w, err := tx.AddWorker(t.Context(), store.Worker{Name: "elsewhere", Slots: 1})
		if err != nil {
			return err
		}
		run, _, err := tx.CreateRun(t.Context(), store.Run{Project: p.ID, Targets: []string{target}}, false)
		if err != nil {
			return err
		}
		if err := tx.AddSteps(t.Context(), run.ID, []store.NewStep{{Key: "build", Kind: store.Build, Target: target, Package: pkg}}); err != nil {
			return err
		}
		step, err := tx.ClaimStep(t.Context(), store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Build}})
		if err != nil {
			return err
		}
		_, err = tx.FinishStep(t.Context(), store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: w.ID, State: store.Succeeded})
		return err
	})
}

// others are blobs in which another worker may have put every build.
type others struct {
	blob.Store
	built bool
}

func (o *others) Stat(ctx context.Context, name string) (blob.Info, error) {
	if o.built && strings.HasPrefix(name, "builds/") {
		return blob.Info{Name: name}, nil
	}
	return o.Store.Stat(ctx, name)
}

// answerHooks plays the build backend of a source tree.
func answerHooks(_ context.Context, c builder.Command) error {
	for _, b := range c.Binds {
		if b.Inside != "/src" {
			continue
		}
		p, err := testindex.ReadHooks(b.Host)
		if err != nil {
			return err
		}
		if p.Fault == testindex.HookFails {
			return &builder.ExitError{Code: 1, Stderr: "RuntimeError: this hook fails on purpose"}
		}
		return json.NewEncoder(c.Stdout).Encode(map[string][]string{"hook": p.Requires})
	}
	return nil
}
