package browser

import (
	"html"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/store"
	"reqpm/internal/web/pagetest"
)

// TestHostileTexts walks on a phone through all pages of the project whose names, branches, files, versions, causes, logs and specs are hostile, and to
// the user who is: what they say is text, nothing is wider than the screen, no window opens, and what is not seen is marked. What the pages of all
// projects show of them, TestEveryPage looks at.
func TestHostileTexts(t *testing.T) {
	s := past.get(t)
	b := open(t, s)
	b.size(375, 812)
	pages := pagesOf(t, s, "/projects/"+pagetest.Odd)
	for _, name := range []string{pagetest.Markup, pagetest.Turned, pagetest.Hidden, pagetest.Long} {
		for _, tab := range []string{"", "?tab=spec", "?tab=builds"} {
			pages = append(pages, "/projects/"+pagetest.Odd+"/packages/"+url.PathEscape(name)+tab)
		}
	}
	_, users := s.get(t, "/users")
	for _, m := range linkOut.FindAllStringSubmatch(users, -1) {
		if at := html.UnescapeString(m[1]); strings.HasPrefix(at, "/users/") {
			pages = append(pages, at)
		}
	}
	if len(pages) < 25 {
		t.Fatalf("only %d pages: %v", len(pages), pages)
	}
	began := time.Now()
	for _, at := range pages {
		b.visit(at)
		b.until("the page", "document.querySelector('main') && "+loadedWhole, 20*time.Second)
		for _, problem := range append(b.tooWide(), b.injected()...) {
			t.Errorf("%s: %s", at, problem)
		}
	}
	t.Logf("%d pages in %v", len(pages), time.Since(began).Round(time.Millisecond))

	b.visit("/projects/" + pagetest.Odd + "/packages/" + url.PathEscape(pagetest.Hidden))
	if title := b.text("h1"); !strings.Contains(title, "a\ufffdd\ufffdm\ufffdi\ufffdn") {
		t.Errorf("a name that lies is shown as %q", title)
	}
	b.visit(buildPath(hostileBuild(t, s)))
	b.until("the log, with what a terminal would obey in words", "document.querySelector('.log').innerText.includes('a⟨U+200B⟩d⟨U+2060⟩m⟨U+00AD⟩i⟨U+E0041⟩n')", 20*time.Second)
	b.until("tags as text", "document.querySelector('.log').innerText.includes("+quoted("</script><script>")+")", 5*time.Second)
	for _, problem := range append(b.tooWide(), b.injected()...) {
		t.Errorf("the log: %s", problem)
	}
}

// pagesOf are pages that links below an address lead to, some of each kind.
func pagesOf(t *testing.T, s *server, start string) []string {
	t.Helper()
	queue, count := []string{start}, map[string]int{}
	for i := 0; i < len(queue); i++ {
		answer, body := s.get(t, queue[i])
		if answer.StatusCode != 200 {
			continue
		}
		base, err := url.Parse(queue[i])
		must(t, err)
		for _, m := range linkOut.FindAllStringSubmatch(body, -1) {
			u, err := base.Parse(html.UnescapeString(m[1]))
			if err != nil || u.Host != "" || !strings.HasPrefix(u.Path, start) && !strings.HasPrefix(u.Path, "/runs/") && !strings.HasPrefix(u.Path, "/builds/") || strings.Contains(u.Path, "/log") {
				continue
			}
			u.Fragment = ""
			if kind := kindOf(u); count[kind] < 2 && !slices.Contains(queue, u.String()) {
				count[kind]++
				queue = append(queue, u.String())
			}
		}
	}
	return slices.DeleteFunc(queue, func(at string) bool {
		answer, _ := s.get(t, at)
		return answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html")
	})
}

// hostileBuild is the build that failed with the most hostile log.
func hostileBuild(t *testing.T, s *server) int64 {
	t.Helper()
	part, err := worker(t, s).Store.Steps(t.Context(), store.StepFilter{Kinds: []store.Kind{store.Build}, States: []store.StepState{store.Failed}, Package: pagetest.Hidden}, store.Page{Limit: 1})
	must(t, err)
	if len(part.Items) != 1 {
		t.Fatal("no build of the hidden name failed")
	}
	return part.Items[0].ID
}
