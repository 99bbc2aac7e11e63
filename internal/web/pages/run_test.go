package pages

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/target"
	"reqpm/internal/web/pagetest"
	"reqpm/internal/web/runview"
)

var small pagetest.Past

func TestMain(m *testing.M) {
	code := m.Run()
	small.Remove()
	os.Exit(code)
}

// newPast are pages on the small past of package pagetest.
func newPast(t *testing.T) (*bed, *pagetest.Bed) {
	t.Helper()
	dir := t.TempDir()
	if err := small.Copy(context.Background(), dir); err != nil { // it outlives the test
		t.Fatal(err)
	}
	past, err := pagetest.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := past.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bed{t: t, store: past.Store}
	if b.auth, err = auth.New(auth.Config{Store: b.store}); err != nil {
		t.Fatal(err)
	}
	b.pages = New(Config{Store: b.store, Auth: b.auth, Blobs: past.Blobs, Logs: past.Logs, Version: "test", Events: b.events, Targets: target.All(),
		Repositories: service.New(service.Config{Store: b.store, Blobs: past.Blobs, Logs: past.Logs, StateDir: filepath.Dir(past.Path)})})
	return b, past
}

// failedBuild is a build that failed, of a package and in a run that has others.
func (b *bed) failedBuild(name string) store.Step {
	b.t.Helper()
	part, err := b.store.Steps(b.t.Context(), store.StepFilter{Kinds: []store.Kind{store.Build}, States: []store.StepState{store.Failed}, Package: name}, store.Page{Limit: 50})
	if err != nil || len(part.Items) == 0 {
		b.t.Fatalf("no build of %s failed: %v", name, err)
	}
	newest := part.Items[0]
	for _, s := range part.Items {
		if s.ID > newest.ID {
			newest = s
		}
	}
	return newest
}

func (b *bed) page(token, path string) string {
	b.t.Helper()
	w := b.ask(token, http.MethodGet, path, nil)
	if w.Code != http.StatusOK {
		b.t.Fatalf("%s: %d: %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// TestRunsAndBuilds goes through the pages of runs and builds on one past: making it takes seconds.
func TestRunsAndBuilds(t *testing.T) {
	b, _ := newPast(t)
	viewer, maintainer := b.token(auth.Viewer, 0), b.token(auth.Maintainer, 0)
	lxml := b.failedBuild("lxml")
	run := runPath(lxml.Run)

	t.Run("the cause comes first, with its line and its fix", func(t *testing.T) {
		html := b.page(maintainer, run)
		cause := strings.Index(html, "the header libxml/xmlversion.h is missing")
		for _, later := range []string{`id="grid-rows"`, `class="pic dag"`, `class="pic gantt"`} {
			if at := strings.Index(html, later); at < 0 || at < cause {
				t.Errorf("%s is at %d, the cause at %d", later, at, cause)
			}
		}
		for _, want := range []string{`href="` + buildPath(lxml.ID) + `#L`, "Apply and rebuild 1", "pkgconfig(libxml-2.0)", "by lxml"} {
			if !strings.Contains(html, want) {
				t.Errorf("%q is not on the page", want)
			}
		}
		if strings.Contains(b.page(viewer, run), "Apply and rebuild") {
			t.Error("who may only look is offered a fix to apply")
		}
	})

	t.Run("rows are ordered by what needs somebody", func(t *testing.T) {
		html := b.page(viewer, run)
		html = html[strings.Index(html, `id="grid-rows"`):]
		last := -1
		for _, state := range []string{"cell is-failed", "cell is-blocked", "cell is-running", "cell is-queued", "cell is-waiting"} {
			at := strings.Index(html, state)
			if at < last {
				t.Errorf("%s is at %d, before another that goes before it", state, at)
			}
			last = at
		}
	})

	t.Run("texts from outside are texts", func(t *testing.T) {
		hostile := b.failedBuild(pagetest.Markup + "==1.0")
		paths := []string{runPath(hostile.Run), runPath(hostile.Run) + "/compare", runPath(hostile.Run) + "/fix/" + itoa(hostile.ID)}
		for _, tab := range buildTabs {
			paths = append(paths, buildPath(hostile.ID)+"?tab="+tab)
		}
		for _, path := range paths {
			html := b.page(maintainer, path)
			for _, bad := range []string{"<img", "\x1b", "\u202e"} {
				if strings.Contains(html, bad) {
					t.Errorf("%s has %q in it: …%s…", path, bad, around(html, bad))
				}
			}
		}
	})

	t.Run("the log by lines", func(t *testing.T) {
		var facts logFacts
		if err := json.Unmarshal([]byte(b.page(viewer, buildPath(lxml.ID)+"/log/info")), &facts); err != nil {
			t.Fatal(err)
		}
		if facts.Lines != 15 || facts.First != 10 || facts.Running || len(facts.Sections) != 3 || !facts.Sections[2].Open || facts.Sections[2].Title != "%build" {
			t.Errorf("%+v", facts)
		}
		if got := b.page(viewer, buildPath(lxml.ID)+"/log/lines?from=10&count=1"); !strings.Contains(got, "fatal error: libxml/xmlversion.h") {
			t.Errorf("line 10 is %s", got)
		}
		if got := b.page(viewer, buildPath(lxml.ID)+"/log/search?q=LIBXML"); !strings.Contains(got, `"total":2`) {
			t.Errorf("search says %s", got)
		}
		if got := b.page(viewer, buildPath(lxml.ID)+"/log/raw"); !strings.HasPrefix(got, "Building target platforms") {
			t.Errorf("the raw log is %.80s", got)
		}
	})

	t.Run("a fix is kept and what failed is built again", func(t *testing.T) {
		path := run + "/fix/" + itoa(lxml.ID)
		if w := b.ask(viewer, http.MethodPost, path, nil); w.Code != http.StatusForbidden {
			t.Errorf("a viewer may apply a fix: %d", w.Code)
		}
		if w := b.ask(maintainer, http.MethodPost, path, url.Values{"text": {"build-require = []"}}); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("what is no override is taken: %d", w.Code)
		}
		if w := b.ask(maintainer, http.MethodPost, path, nil); w.Code != http.StatusSeeOther {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		again, err := b.store.Step(t.Context(), lxml.ID)
		if err != nil || again.State.Ended() {
			t.Errorf("lxml is %s, %v", again.State, err)
		}
		p, err := b.store.Project(t.Context(), lxml.Project)
		if err != nil || !strings.Contains(service.OverrideOf(p, "lxml"), "libxml-2.0") {
			t.Errorf("the project says %q of lxml, %v", service.OverrideOf(p, "lxml"), err)
		}
	})
}

func around(text, at string) string {
	i := strings.Index(text, at)
	return text[max(0, i-60):min(len(text), i+60)]
}

// TestOpenPageKeepsItsRows: a row does not move while somebody looks, though its state changes; its cell does.
func TestOpenPageKeepsItsRows(t *testing.T) {
	m := &memo{}
	first := runData{}
	first.Grid.Rows = gridOf("failed", "running")
	m.hold(&first)
	second := runData{}
	rows := gridOf("failed", "running")
	second.Grid.Rows = append(second.Grid.Rows, rows[1], rows[0])
	m.hold(&second)
	if second.Grid.Rows[0].Name != "failed" {
		t.Error("the rows of an open page changed places")
	}
}

// gridOf are rows of one build each.
func gridOf(names ...string) []runview.Row {
	var rows []runview.Row
	for i, name := range names {
		rows = append(rows, runview.Row{Name: name, Cells: []runview.Cell{{Step: int64(i) + 1}}})
	}
	return rows
}
