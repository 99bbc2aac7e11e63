package pages

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/web/pagetest"
)

// TestPackages goes through the pages of packages on one past: making it takes seconds.
func TestPackages(t *testing.T) {
	b, _ := newPast(t)
	viewer, maintainer := b.token(auth.Viewer, 0), b.token(auth.Maintainer, 0)
	p, err := b.store.ProjectNamed(t.Context(), "billing-api")
	if err != nil {
		t.Fatal(err)
	}
	const target = "el9-py312"
	base := packagePath(p.Name, "psycopg2")

	t.Run("where it failed, why it is there, and what it says of itself", func(t *testing.T) {
		html := b.page(viewer, packagePath(p.Name, "lxml"))
		for _, want := range []string{"Failed on 1 target", "requirements/base.txt:10", "direct", "BSD-3-Clause AND MIT", "lxml-5.4.0.tar.gz", "python3.12-lxml-5.4.0-1.el9.x86_64.rpm"} {
			if !strings.Contains(html, want) {
				t.Errorf("%q is not on the page", want)
			}
		}
		html = b.page(viewer, packagePath(p.Name, "markupsafe"))
		if !strings.Contains(html, "transitive") || !strings.Contains(html, `href="`+packagePath(p.Name, "jinja2")+`"`) || !strings.Contains(html, `href="`+packagePath(p.Name, "flask")+`"`) {
			t.Error("what requires a package is not named, each with its page")
		}
		if w := b.ask(viewer, http.MethodGet, packagePath(p.Name, "no-such-thing"), nil); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "data-live=") {
			t.Errorf("a package that there is not: %d, or its page waits for it to change", w.Code)
		}
	})

	t.Run("a spec file's revisions, what they change, and back", func(t *testing.T) {
		page := base + "?tab=spec&target=" + target
		html := b.page(viewer, page)
		for _, want := range []string{"r1 → r2", "Build against the newer client library", "mira", "PG_CONFIG=/usr/pgsql-16"} {
			if !strings.Contains(html, want) {
				t.Errorf("%q is not on the page", want)
			}
		}
		if strings.Contains(html, "Back to the generated one") {
			t.Error("who may only look is offered a change")
		}
		all, err := b.store.SpecRevisions(t.Context(), p.ID, target, "psycopg2", store.Page{})
		if err != nil || len(all.Items) != 3 {
			t.Fatalf("%d revisions, %v", len(all.Items), err)
		}
		later, own, written := all.Items[0], all.Items[1], all.Items[2]
		difference := page + "&with=" + itoa(later.ID)
		for _, at := range []string{page, base} { // said on each tab, with the way to the difference
			has(t, at, b.page(viewer, at), "is older than what ReqPM writes", "mira", "rev="+itoa(own.ID)+"&amp;tab=spec&amp;target="+target+"&amp;with="+itoa(later.ID))
		}
		has(t, "the difference", b.page(viewer, difference), "r3 → r2", "pkgconfig(libxslt)")
		form := func(base int64) url.Values {
			return url.Values{"target": {target}, "version": {own.Package}, "revision": {itoa(written.ID)}, "base": {itoa(base)}}
		}
		if w := b.ask(viewer, http.MethodPost, base+"/spec/back", form(own.ID)); w.Code != http.StatusForbidden {
			t.Errorf("who may only look: %d", w.Code)
		}
		if w := b.ask(maintainer, http.MethodPost, base+"/spec/back", form(written.ID)); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "meanwhile") {
			t.Errorf("over a revision that was not seen: %d", w.Code)
		}
		if w := b.ask(maintainer, http.MethodPost, base+"/spec/back", form(later.ID)); w.Code != http.StatusSeeOther {
			t.Fatalf("back: %d %s", w.Code, w.Body)
		}
		counting, err := b.store.OwnSpecs(t.Context(), p.ID, target)
		if err != nil || len(counting) != 0 {
			t.Errorf("after going back %+v counts, %v", counting, err)
		}
		if html = b.page(viewer, page); !strings.Contains(html, "written for run") || !strings.Contains(html, "r2 → r3") || strings.Contains(html, "is older than") {
			t.Error("the page does not show what ReqPM wrote")
		}
		again := form(-1)
		again.Set("revision", itoa(own.ID))
		if w := b.ask(maintainer, http.MethodPost, base+"/spec/restore", again); w.Code != http.StatusSeeOther {
			t.Fatalf("restore: %d %s", w.Code, w.Body)
		}
		if counting, err = b.store.OwnSpecs(t.Context(), p.ID, target); err != nil || len(counting) != 1 || counting[0].SHA256 != own.SHA256 || counting[0].ID == own.ID {
			t.Errorf("what was restored is not what counts: %+v, %v", counting, err)
		}
		other, err := b.store.ProjectNamed(t.Context(), "data-portal")
		if err != nil {
			t.Fatal(err)
		}
		if w := b.ask(maintainer, http.MethodPost, packagePath(other.Name, "psycopg2")+"/spec/restore", url.Values{"target": {"el9"}, "version": {own.Package}, "revision": {itoa(own.ID)}}); w.Code != http.StatusNotFound {
			t.Errorf("another project's revision: %d", w.Code)
		}
	})

	t.Run("an edit is a new revision, and one that comes too late loses nothing", func(t *testing.T) {
		all, err := b.store.SpecRevisions(t.Context(), p.ID, target, "zeep", store.Page{})
		if err != nil || len(all.Items) == 0 {
			t.Fatalf("%d revisions, %v", len(all.Items), err)
		}
		base := packagePath(p.Name, "zeep")
		html := b.page(maintainer, base+"/spec/edit?target="+target)
		if !strings.Contains(html, "Name:           python3.12-zeep") || !strings.Contains(html, `name="base" id="spec-seen" value="`+itoa(all.Items[0].ID)+`"`) {
			t.Error("the editor does not begin with what builds take")
		}
		text := "Name: python3.12-zeep\r\nVersion: 4.3.1\r\nRelease: 1\r\n# mine\r\n"
		form := url.Values{"target": {target}, "version": {all.Items[0].Package}, "base": {itoa(all.Items[0].ID)}, "text": {text}, "message": {"Try"}}
		w := b.ask(maintainer, http.MethodPost, base+"/spec/preview", form)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "against what ReqPM wrote last") || !strings.Contains(w.Body.String(), "# mine") {
			t.Errorf("the preview: %d", w.Code)
		}
		if counting, err := b.store.OwnSpecs(t.Context(), p.ID, target); err != nil || len(counting) != 1 {
			t.Errorf("a preview saved something: %+v, %v", counting, err)
		}
		if w = b.ask(maintainer, http.MethodPost, base+"/spec", form); w.Code != http.StatusSeeOther {
			t.Fatalf("save: %d %s", w.Code, w.Body)
		}
		form.Set("text", text+"# later\r\n")
		w = b.ask(maintainer, http.MethodPost, base+"/spec", form)
		if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "# later") || !strings.Contains(w.Body.String(), "Nothing of yours is lost") {
			t.Errorf("a save that comes too late: %d", w.Code)
		}
		form.Set("text", "")
		if w = b.ask(maintainer, http.MethodPost, base+"/spec", form); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("an empty text: %d", w.Code)
		}
	})

	t.Run("a text is looked at before it is saved", func(t *testing.T) {
		base := packagePath(p.Name, "zeep")
		all, err := b.store.SpecRevisions(t.Context(), p.ID, target, "zeep", store.Page{})
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"target": {target}, "version": {all.Items[0].Package}, "base": {itoa(all.Items[0].ID)}, "text": {"Name: python3.12-zeep\nVersion: 4.3.1\nRelease: 1\n%dump <script>\n"}, "message": {"Try <b>"}}
		if w := b.ask(viewer, http.MethodPost, base+"/spec/check", form); w.Code != http.StatusForbidden {
			t.Errorf("a viewer has a worker check it: %d", w.Code)
		}
		w := b.ask(maintainer, http.MethodPost, base+"/spec/check?build=1", form)
		at := w.Header().Get("Location")
		if w.Code != http.StatusSeeOther || !strings.Contains(at, "/spec/edit?check=") {
			t.Fatalf("%d %s %s", w.Code, at, w.Body)
		}
		html := b.page(maintainer, at)
		for _, want := range []string{"waits for a worker", "Cancel it", "%dump &lt;script&gt;", "Try &lt;b&gt;", "Build of this text", `name="base" id="spec-seen" value="` + itoa(all.Items[0].ID) + `"`} {
			if !strings.Contains(html, want) {
				t.Errorf("the editor does not say %q", want)
			}
		}
		_, check, _ := strings.Cut(at, "check=")
		form.Set("check", check)
		if w := b.ask(maintainer, http.MethodPost, base+"/spec/check/cancel", form); w.Code != http.StatusSeeOther {
			t.Errorf("cancel: %d %s", w.Code, w.Body)
		}
		if html := b.page(maintainer, at); !strings.Contains(html, "Cancelled by") || strings.Contains(html, "Cancel it") {
			t.Error("the editor does not say that the check was cancelled")
		}
		form.Set("text", "nothing")
		if w := b.ask(maintainer, http.MethodPost, base+"/spec/check", form); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("what is no spec is checked: %d", w.Code)
		}
		if w := b.ask(maintainer, http.MethodGet, packagePath(p.Name, "psycopg2")+"/spec/edit?check="+check, nil); w.Code != http.StatusNotFound {
			t.Errorf("the check of another package: %d", w.Code)
		}
	})

	t.Run("texts from outside are texts", func(t *testing.T) {
		for _, name := range []string{pagetest.Markup, pagetest.Turned, pagetest.Hidden, pagetest.Long} {
			for _, tab := range packageTabs {
				html := b.page(maintainer, packagePath(pagetest.Odd, name)+"?tab="+tab)
				if strings.Contains(html, pagetest.Markup) || strings.Contains(html, pagetest.Script) || strings.ContainsAny(html, "\u202e\u200b\u2060\u00ad\U000e0041\x1b\x07\u009b") {
					t.Errorf("%s of %q shows what is from outside as it is", tab, name)
				}
			}
		}
	})
}
