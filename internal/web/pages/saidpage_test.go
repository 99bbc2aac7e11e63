package pages

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// TestOverrideForm: fields and text say the same, mistakes are beside their field, what would change is shown before it is saved, who said what is kept.
func TestOverrideForm(t *testing.T) {
	b := newBed(t)
	b.complete()
	b.forged(func(ctx context.Context, _ string) error { <-ctx.Done(); return context.Cause(ctx) })
	p, _ := b.project("app")
	ada := b.logIn("ada", auth.Maintainer)
	at := overridePath(p.Name, "lxml")
	has(t, "with nothing said", ada.get(at), "Needs more to build", "Nobody has said anything", "What would change")
	said := func() string {
		now, err := b.store.Project(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return service.OverrideOf(now, "lxml")
	}
	if a, code := ada.do(at, url.Values{"version": {"about five"}}); code != http.StatusUnprocessableEntity || a.Field != "version" {
		t.Errorf("a wrong version: %d %+v", code, a)
	}
	if a, code := ada.do(at, url.Values{"text": {"vresion = 1"}}); code != http.StatusUnprocessableEntity || a.Field != "text" || !strings.Contains(a.Error, "did you mean") {
		t.Errorf("a wrong text: %d %+v", code, a)
	}
	if a, code := ada.do(at, url.Values{"extras": {"html5, a]"}}); code != http.StatusUnprocessableEntity || a.Field != "extras" {
		t.Errorf("a wrong extra: %d %+v", code, a)
	}
	form := url.Values{"version": {">=5"}, "extras": {"html5, cssselect"}, "build-requires": {"rpm:libxml2-devel\r\ncython<3.1\r\n"}}
	a, code := ada.do(at+"/plan", form)
	if code != http.StatusOK || !strings.HasPrefix(a.At, at+"?preview=") || said() != "" {
		t.Errorf("what would change: %d %+v, and it says %q", code, a, said())
	}
	eventually(t, "the page says what is read", func() bool { return strings.Contains(ada.get(a.At), "read the source of numpy") })
	page := ada.get(a.At)
	has(t, "what would change", page, `value="&gt;=5"`, `value="cssselect, html5"`, "As it is: ")
	if strings.Contains(page, markup) {
		t.Error("a package's name is markup")
	}
	if a, code := ada.do(at, form); code != http.StatusOK {
		t.Errorf("%d %+v", code, a)
	}
	if got := said(); !strings.Contains(got, `version = ">=5"`) || !strings.Contains(got, "cython<3.1") || !strings.Contains(got, "lxml[cssselect,html5]") {
		t.Errorf("it says %q", got)
	}
	has(t, "what is said", ada.get(at), "rpm:libxml2-devel", "ada</b> set it", "Remove")
	if a, code := ada.do(at, url.Values{"version": {">=5"}, "then": {"run"}}); code != http.StatusOK || !strings.HasPrefix(a.To, "/runs/") {
		t.Errorf("with a run: %d %+v", code, a)
	}
	if _, code := ada.do(at, url.Values{"text": {""}}); code != http.StatusOK || said() != "" {
		t.Errorf("removed: %d, and it says %q", code, said())
	}
	has(t, "after that", ada.get(at), "removed it")
	if a, code := ada.do(overridePath(p.Name, "No Name"), form); code != http.StatusNotFound {
		t.Errorf("of no package: %d %+v", code, a)
	}
}

// TestWhatWouldChange: of two plans the page shows what differs: new, gone, in another version, otherwise had; and says so when nothing does.
func TestWhatWouldChange(t *testing.T) {
	plan := func(target string, packages ...service.PlannedPackage) service.TargetPlan {
		return service.TargetPlan{Target: target, State: service.PreviewDone, Packages: packages, Direct: 1}
	}
	one := func(name, version, decision string) service.PlannedPackage {
		return service.PlannedPackage{Name: name, Version: version, Decision: decision, Role: "transitive"}
	}
	tool := func(version string) service.PlannedPackage {
		return service.PlannedPackage{Name: "cython", Version: version, Decision: "cached", Role: "tool"}
	}
	d := planData{There: true, View: service.PlanView{State: service.PreviewDone,
		Now: []service.TargetPlan{plan("el9", one("lxml", "6.0", "cached"), one("old"+markup, "1", "cached"), one("six", "1.16", "cached"), one("same", "1", "cached"), tool("3.1")),
			plan("el10", one("lxml", "6.0", "cached")), {Target: "el8", State: service.PreviewFailed, Error: "no version fits"}},
		Targets: []service.TargetPlan{plan("el9", one("lxml", "5.4", "build"), one("html5lib", "1.1", "build"), one("six", "1.16", "build"), one("same", "1", "cached"), tool("3.1"), tool("3.0")),
			plan("el10", one("lxml", "6.0", "cached")), plan("el8", one("lxml", "5.4", "build"))}}}
	render := func(i int) string {
		var html strings.Builder
		if err := saidTarget(d, d.View.Targets[i]).Render(t.Context(), &html); err != nil {
			t.Fatal(err)
		}
		return html.String()
	}
	el9 := render(0)
	has(t, "el9", el9, "2 new, 1 gone, 1 in another version, 1 decided otherwise", "6.0 → 5.4", "html5lib", "New, build", "Gone", "six", ">3.0<", "&lt;img")
	if strings.Contains(el9, "same") || strings.Contains(el9, markup) || strings.Contains(el9, "Nothing changes") {
		t.Errorf("it shows what stays as it is, or a name as markup: %s", el9)
	}
	has(t, "el10", render(1), "Nothing changes")
	has(t, "el8", render(2), "It has no plan as it is: no version fits", "With it, there is one")
}

// TestTakeNewer: a click takes what the update check found, with a run.
func TestTakeNewer(t *testing.T) {
	b := newBed(t)
	p, r := b.project("app")
	ada := b.logIn("ada", auth.Maintainer)
	at := projectPath(p.Name) + "/outdated/take"
	if a, code := ada.do(at, nil); code != http.StatusUnprocessableEntity || !strings.Contains(a.Error, "nothing newer") {
		t.Errorf("with nothing newer: %d %+v", code, a)
	}
	found := `[{"name": "numpy", "version": "2.0", "newest": "2.2", "resolves": "2.1"}, {"name": "six", "version": "1", "newest": "2", "resolves": "1"}]`
	if err := b.store.PutOutdated(t.Context(), store.Outdated{Project: p.ID, Target: "el9", Run: r.ID, Packages: 9, Found: json.RawMessage(found), Checked: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if a, code := ada.do(at, url.Values{"package": {"six"}}); code != http.StatusUnprocessableEntity {
		t.Errorf("what does not fit: %d %+v", code, a)
	}
	a, code := ada.do(at, url.Values{"package": {"numpy"}})
	now, err := b.store.Project(t.Context(), p.ID)
	if code != http.StatusOK || !strings.HasPrefix(a.To, "/runs/") || err != nil || !strings.Contains(service.OverrideOf(now, "numpy"), ">=2.1") || service.OverrideOf(now, "six") != "" {
		t.Errorf("%d %+v %v, and it says %q", code, a, err, service.OverrideOf(now, "numpy"))
	}
}
