package pages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/secret"
	"reqpm/internal/service"
	"reqpm/internal/solve"
	"reqpm/internal/source"
	"reqpm/internal/store"
	"reqpm/internal/target"
)

// forge is a Git server with one repository, and pipelines that end as a test wants it.
type forge struct {
	asked atomic.Int32 // how often for branches
	end   func(ctx context.Context, target string) error
}

func (f *forge) Check(context.Context, service.Subject, []string) error { return nil }

func (f *forge) Refs(context.Context, service.Subject) ([]source.Ref, error) {
	f.asked.Add(1)
	return []source.Ref{{Name: "main", Kind: "branch"}}, nil
}

func (f *forge) Files(context.Context, service.Subject) (string, []service.File, error) {
	return strings.Repeat("ab", 20), []service.File{{Path: "requirements.txt", Requirements: 3, Chosen: true, Why: "chosen"}}, nil
}

func (f *forge) Open(ctx context.Context, sub service.Subject, _ *lockfile.File, report func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error) {
	report(pipeline.Event{Event: "progress", Name: "numpy" + markup, Version: "2.1"})
	return nil, pipeline.Request{}, f.end(ctx, sub.Target)
}

func (*forge) Source(service.Subject) (source.Request, error) {
	return source.Request{}, errors.New("nobody asks")
}

// forged gives the pages a forge.
func (b *bed) forged(end func(ctx context.Context, target string) error) *forge {
	b.t.Helper()
	f := &forge{end: end}
	s := service.New(service.Config{Pipelines: f, Hide: func([]secret.Secret) func(string) string { return strings.ToUpper }})
	b.pages.cfg.Projects, b.pages.cfg.Plans = f, service.NewPlanPreviews(s)
	b.t.Cleanup(b.pages.cfg.Plans.Close)
	return f
}

// eventually waits for what happens in the background.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !is() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// stream is the event stream of a page that somebody has open, message by message.
func (l loggedIn) stream(at string) (next func() string, leave func()) {
	l.t.Helper()
	server := httptest.NewServer(l.pages)
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+at, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	r.AddCookie(l.cookie)
	r.Header.Set("Accept", typeStream)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	t, _ := l.t.(*testing.T)
	return func() string { return readMessage(t, resp.Body) }, func() { cancel(); resp.Body.Close(); server.Close() }
}

func newForm() url.Values {
	return url.Values{"git_url": {"https://git.example.org/team/app.git"}, "ref": {"main"}, "file": {"requirements.txt"}, "target": {"el9", "el10"}, "extras": {"s3"}}
}

// TestPlanPreview: the plan is asked for without anything being saved; the page goes on with it, shows it while it is made, without
// asking the Git server again, and ends it.
func TestPlanPreview(t *testing.T) {
	b := newBed(t)
	f := b.forged(func(ctx context.Context, _ string) error { <-ctx.Done(); return context.Cause(ctx) })
	ada, bob := b.logIn("ada", auth.Maintainer), b.logIn("bob", auth.Maintainer)
	has(t, "the form", ada.get("/projects/new"), "Preview the plan", `formaction="/projects/new/plan"`, `data-key="p"`, `value="house9"`)
	a, code := ada.do("/projects/new/plan", newForm())
	if code != http.StatusOK || !strings.HasPrefix(a.At, "/projects/new?") || !strings.Contains(a.At, "preview=") || !strings.Contains(a.At, "extras=s3") {
		t.Fatalf("%d %+v", code, a)
	}
	eventually(t, "the page says what is read", func() bool { return strings.Contains(ada.get(a.At), "read the source of numpy") })
	page := ada.get(a.At)
	has(t, "the page", page, "Resolving", "Preview again", `formaction="/projects/new/plan/cancel"`, "&lt;img src=x")
	if strings.Contains(page, markup) {
		t.Error("a package's name is markup")
	}
	if page := bob.get(a.At); strings.Contains(page, "numpy") || !strings.Contains(page, "not kept any more") {
		t.Error("bob sees ada's preview")
	}
	part, err := b.store.Projects(t.Context(), store.ProjectFilter{}, store.Page{})
	if err != nil || len(part.Items) != 0 {
		t.Errorf("a preview has saved %v %v", part.Items, err)
	}
	// Another choice: what is shown is of what was chosen before.
	other := strings.Replace(a.At, "extras=s3", "extras=web", 1)
	has(t, "after another choice", ada.get(other), "It is of what was chosen before")

	// The stream of the open page.
	asked := f.asked.Load()
	next, leave := ada.stream(a.At)
	defer leave()
	if first := next(); !strings.Contains(first, "plan-of-el9") || strings.Contains(first, `id=\"source\"`) {
		t.Errorf("the stream begins with %.300s", first)
	}
	query, err := url.Parse(a.At)
	if err != nil {
		t.Fatal(err)
	}
	form := newForm()
	form.Set("preview", query.Query().Get("preview"))
	if a, code := ada.do("/projects/new/plan/cancel", form); code != http.StatusOK || a.At == "" {
		t.Errorf("%d %+v", code, a)
	}
	if said := next(); !strings.Contains(said, "Cancelled") {
		t.Errorf("after it was cancelled the stream says %.500s", said)
	}
	if f.asked.Load() != asked {
		t.Errorf("the stream asked the Git server %d times", f.asked.Load()-asked)
	}

	// Errors beside their fields.
	for field, change := range map[string]func(url.Values){"git_url": func(v url.Values) { v.Del("git_url") }, "target": func(v url.Values) { v.Del("target") }} {
		form := newForm()
		change(form)
		if a, code := ada.do("/projects/new/plan", form); code != http.StatusUnprocessableEntity || a.Field != field {
			t.Errorf("without %s: %d %+v", field, code, a)
		}
	}
}

// TestPlanPreviewSaysWhy: a target without a solution says why and what makes one beside the targets, as text.
func TestPlanPreviewSaysWhy(t *testing.T) {
	b := newBed(t)
	b.forged(func(_ context.Context, target string) error {
		if target == "el10" {
			return fmt.Errorf("el10 has%s no such repository", markup)
		}
		line := solve.Origin{File: "requirements.txt", Line: 3, Text: "b>=2" + markup}
		return &solve.Conflict{Message: "a needs b<2" + markup, Origins: []solve.Origin{line, {Package: "a", Version: "1", Text: "b<2"}}, Changes: []solve.Change{{Kind: solve.Relax, Origin: line, Text: "b>=1"}}}
	})
	ada := b.logIn("ada", auth.Maintainer)
	a, _ := ada.do("/projects/new/plan", newForm())
	var page string
	eventually(t, "both targets have ended", func() bool {
		page = ada.get(a.At)
		return strings.Count(page, "No solution") > 0 && strings.Contains(page, "el10 has no plan")
	})
	has(t, "the page", page, "el9 has no solution", "requirements.txt:3", "a 1 requires", "b&gt;=1", "See the proof", "&lt;img src=x")
	if strings.Contains(page, markup) {
		t.Error("a requirement is markup")
	}
}

// TestPlanNumbers: what a finished plan shows.
func TestPlanNumbers(t *testing.T) {
	at := time.Now()
	d := planData{There: true, View: service.PlanView{ID: "X", State: service.PreviewDone, Started: &at, Finished: &at, Targets: []service.TargetPlan{{
		Target: "el9", State: service.PreviewDone, Direct: 2, Transitive: 30, Tools: 4, Build: 20, Cached: 9, Reused: 6, Cannot: 1, Estimate: 1300, Slots: 4, Chain: []string{"setuptools", "numpy"}, ChainTime: 600,
		Warnings: []string{"lxml" + markup + ": held back"},
		Packages: []service.PlannedPackage{{Name: "numpy", Version: "2.1", Role: "direct", Decision: "build", Seconds: 400, Needs: []string{"compiled", "Rust 1.74"}}, {Name: "bad", Version: "1", Role: "tool", Decision: "failed", Why: "no " + markup}},
	}}}}
	f := projectForm{New: true, Plan: d, All: target.All(), Errors: map[string]string{}}
	var out strings.Builder
	if err := planParts(f).Render(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	html := out.String()
	has(t, "the plan", html, "2 direct, 30 transitive, 4 build tools", "To build", "Built before", "From the distribution", "Cannot be built", "about 22 min", "4 slots", "about 10 min", "is compiled", "needs Rust 1.74", "held back",
		"1 package of el9 cannot be built.", "1 package cannot be built", "build tool, no &lt;img")
	if strings.Contains(html, markup) {
		t.Error("a text of a package is markup")
	}
}
