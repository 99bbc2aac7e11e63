package browser

import (
	"testing"
	"time"
)

// TestKeyboard goes the main way through the pages without a mouse: login, a project, its run, the next failure, its log and the search in
// it. Wherever the focus stops, it is seen.
func TestKeyboard(t *testing.T) {
	s := past.get(t)
	b := open(t, &server{url: s.url}) // who has to log in
	b.visit("/projects")
	b.until("the login, ready to be typed into", "document.activeElement.id === 'f-name'", 10*time.Second)
	b.keys(adminName)
	b.keys(tabKey)
	b.keys(adminPassword)
	b.keys(enter)
	b.until("where he wanted to go", "location.pathname === '/projects'", 20*time.Second)

	b.until("the page is there", loadedWhole+" && document.querySelector('main a[href]')", 10*time.Second)
	b.eval("document.querySelector('main a[href]').focus()", nil)
	b.keys("?")
	b.until("the keys are shown", "document.querySelector('#help').open && document.querySelector('#help').innerText.includes('Next and previous row')", 5*time.Second)
	for range 6 {
		b.keys(tabKey)
		b.until("the focus stays in what is open", "document.activeElement === document.body || document.querySelector('#help').contains(document.activeElement)", 5*time.Second)
	}
	b.keys(escape)
	b.until("and gone, and the focus is where it was", "!document.querySelector('#help').open && document.activeElement === document.querySelector('main a[href]')", 5*time.Second)

	b.keys("/")
	b.until("the search has the focus", "document.activeElement.id === 'search'", 5*time.Second)
	b.keys("billing")
	b.keys(enter)
	b.until("what was looked for", "location.search.includes('billing')", 10*time.Second)
	b.visit("/projects")
	b.keys("j")
	b.keys("j")
	b.keys("k")
	b.until("the first row is chosen, and seen to be", "document.querySelectorAll('[data-row]')[0].hasAttribute('data-sel')", 5*time.Second)
	b.keys(enter)
	b.until("its page", "/^\\/projects\\/[^/]+$/.test(location.pathname)", 10*time.Second)

	ids := buildsOf(t)
	b.visit(buildPath(ids["failed"]))
	b.eval("document.querySelector('.crumbs a[href^=\"/runs/\"]').focus()", nil)
	b.keys(enter)
	b.until("the run", "location.pathname.startsWith('/runs/')", 10*time.Second)
	b.stops(40)
	b.keys("f")
	b.until("the first failure has the focus", "document.activeElement.hasAttribute('data-failure')", 5*time.Second)
	b.keys(enter)
	b.until("the failed build", "location.pathname.startsWith('/builds/')", 10*time.Second)
	b.until("its log at the first error", "document.querySelector('.ll.first')", 20*time.Second)
	b.keys("/")
	b.keys("e")
	b.until("hits", "/^\\d+ of \\d+$/.test(document.querySelector('[data-hits]').textContent)", 10*time.Second)
	hit := func() (text string) {
		b.eval("document.querySelector('[data-hits]').textContent", &text)
		return text
	}
	b.eval("document.activeElement.blur()", nil)
	first := hit()
	b.keys("n")
	b.until("n goes to the next hit", "document.querySelector('[data-hits]').textContent !== "+quoted(first), 5*time.Second)
	b.keys("N")
	b.until("N goes back", "document.querySelector('[data-hits]').textContent === "+quoted(first), 5*time.Second)
	b.stops(30)
}

// stops presses Tab so many times and looks that each place where the focus stops is seen, and marked.
func (b *tab) stops(n int) {
	b.t.Helper()
	b.eval("document.activeElement.blur(); window.scrollTo(0, 0)", nil)
	for i := range n {
		b.keys(tabKey)
		if problem := b.badStop(); problem != "" {
			b.t.Errorf("stop %d: %s", i+1, problem)
		}
	}
}

// badStop says what is wrong with where the focus is: it is not seen, or not marked.
func (b *tab) badStop() (problem string) {
	b.t.Helper()
	b.eval(`(() => {
		const e = document.activeElement;
		if (!e || e === document.body) return '';
		const r = e.getBoundingClientRect(), marked = x => { const s = getComputedStyle(x); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== 'none'; };
		if (!r.width || !r.height) return 'not seen: ' + e.outerHTML.slice(0, 120);
		if (r.bottom < 0 || r.top > innerHeight) return 'outside the window: ' + e.outerHTML.slice(0, 120);
		if (!marked(e) && !(e.parentElement && marked(e.parentElement)) && !(e.namespaceURI.endsWith('svg') && e.matches(':focus-visible'))) return 'not marked: ' + e.outerHTML.slice(0, 120);
		return '';
	})()`, &problem)
	return problem
}
