package browser

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// TestEveryPage looks at every page on a screen and on a phone, dark and light: nothing is wider than what is seen, what is pressed is
// large enough for a finger, hostile texts are texts, and axe-core finds no serious issue.
func TestEveryPage(t *testing.T) {
	b := open(t, past.get(t))
	axe := axeSource(t)
	began := time.Now()
	for _, s := range sites(t) {
		for _, width := range []int64{1440, 375} {
			b.size(width, 900)
			if width == 1440 {
				b.visitSite(s)
			}
			look := func(format string, problems []string) {
				for _, p := range problems {
					t.Errorf("%s at %d px, %s: "+format, s.kind, width, s.path, p)
				}
			}
			look("%s", b.tooWide())
			look("%s", b.injected())
			if width == 375 {
				look("too small for a finger: %s", b.tooSmall())
			}
			if axe == "" {
				continue
			}
			look("%s", b.issues(axe, "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"))
			if width == 1440 { // what else there is to see in light
				b.eval("document.documentElement.dataset.theme = 'light'", nil)
				look("light: %s", b.issues(axe, "color-contrast"))
				b.eval("document.documentElement.dataset.theme = 'dark'", nil)
			}
		}
	}
	t.Logf("%d pages in %v", len(sites(t)), time.Since(began).Round(time.Millisecond))
}

// visitSite loads a page of the past; that the lost one answers 404 is right.
func (b *tab) visitSite(s site) {
	b.t.Helper()
	if s.kind == "lost" {
		b.expect("status of 404 (Not Found) " + b.url + s.path)
	}
	b.visit(s.path)
	b.until("there is a page", "document.querySelector('main')", 10*time.Second)
}

// tooSmall are things to press that are smaller than 24 pixels (WCAG 2.2, 2.5.8), but for links within a text, and but for checkboxes,
// whose labels are pressed.
func (b *tab) tooSmall() []string {
	b.t.Helper()
	var small []string
	b.eval(`[...document.querySelectorAll('button, .btn, nav a, summary, select, input:not([type=hidden]), [role=button]')]
		.filter(e => e.checkVisibility({ visibilityProperty: true }) && !e.closest('p, .sub, [hidden]'))
		.map(e => [e.matches('.check') ? e.closest('label, td') || e : e.closest('.in, .find, .search') || e, e])
		.map(([box, e]) => [box.getBoundingClientRect(), e])
		.filter(([r]) => r.width > 1 && r.right > 0 && (r.width < 23.9 || r.height < 23.9))
		.map(([r, e]) => r.width.toFixed(1) + ' x ' + r.height.toFixed(1) + ': ' + e.outerHTML.slice(0, 120))`, &small)
	return small
}

// tooWide says what of the page is wider than the screen: the page as a whole, or something that is neither
// scrolled nor cut.
func (b *tab) tooWide() []string {
	b.t.Helper()
	var wide []string
	b.eval(`(() => {
		const out = [], page = document.documentElement;
		if (page.scrollWidth > innerWidth) out.push('the page is ' + page.scrollWidth + ' px wide, the screen ' + innerWidth);
		const within = e => { for (; e; e = e.parentElement) if (getComputedStyle(e).overflowX !== 'visible') return true; return false; };
		for (const e of document.body.querySelectorAll('*')) {
			if (e.closest('svg, .vh, .skip') || !e.checkVisibility({ visibilityProperty: true })) continue;
			const r = e.getBoundingClientRect();
			if (r.width > 0 && r.right > innerWidth + 1 && !within(e.parentElement) && out.length < 5) out.push('reaches to ' + Math.round(r.right) + ' px: ' + e.outerHTML.slice(0, 150));
		}
		return out;
	})()`, &wide)
	return wide
}

// injected says what a hostile text has become that is no text: an element, a script that ran, or a mark that turns or hides what
// follows.
func (b *tab) injected() []string {
	b.t.Helper()
	var bad []string
	b.eval(`(() => {
		const out = [];
		if (window.`+sentinel+`) out.push('a script of a text ran');
		for (const e of document.querySelectorAll('img, iframe, object, embed, base, main script, main style, main link, [onerror], [onload], [onclick]')) out.push('an element of a text: ' + e.outerHTML.slice(0, 150));
		for (const e of document.querySelectorAll('a, form, use, [href], [action], [formaction]')) for (const name of ['href', 'action', 'formaction']) {
			const to = e.getAttribute(name);
			if (to && !/^(#|https?:|mailto:|\/)/.test(to) && !/^[?.\w/-]*$/.test(to.split('?')[0])) out.push('leads somewhere else: ' + to.slice(0, 100));
		}
		const hides = /[\p{Cf}\p{Co}\u2028\u2029\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/u;
		const walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
		for (let n; (n = walk.nextNode());) if (hides.test(n.data)) out.push('an invisible mark in: ' + JSON.stringify(n.data.slice(0, 80)));
		for (const e of document.querySelectorAll('[title], [aria-label], [value], [placeholder], [data-copy]')) for (const a of e.attributes) if (hides.test(a.value)) out.push('an invisible mark in ' + a.name + ': ' + JSON.stringify(a.value.slice(0, 80)));
		if (hides.test(document.title)) out.push('an invisible mark in the title');
		return out.slice(0, 5);
	})()`, &bad)
	return bad
}

// sentinel is what the scripts of hostile texts would set.
const sentinel = "reqpmPwned"

// axeSource is axe-core, which reqpm.sh fetches; "" where it is not there, which TestAxe says.
func axeSource(t testing.TB) string {
	t.Helper()
	path := os.Getenv("REQPM_AXE")
	if path == "" {
		return ""
	}
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// TestAxe says whether axe-core looks at the pages (TestEveryPage), and that it finds something where there is something to find.
func TestAxe(t *testing.T) {
	axe := axeSource(t)
	if axe == "" {
		t.Skip("needs axe-core: REQPM_AXE names its axe.min.js (./reqpm.sh test fetches it through npm)")
	}
	b := open(t, past.get(t))
	b.visit("/")
	b.eval("document.querySelectorAll('main a').forEach(a => { a.textContent = '' })", nil)
	if len(b.issues(axe, "wcag2a")) == 0 {
		t.Error("links without a text are no issue")
	}
}

// issues are what axe-core finds in the page as it is now, and calls serious or critical.
func (b *tab) issues(axe string, rules ...string) []string {
	b.t.Helper()
	b.eval("void (window.axe || (() => { "+axe+" })())", nil)
	// Colours as they are when nothing moves any more. Numbers of a log's lines are as high as its lines, which the rule on targets
	// allows: what is "constrained by the line-height of non-target text".
	b.eval("(() => { const s = new CSSStyleSheet(); s.replaceSync('* { transition: none !important; animation: none !important; }'); document.adoptedStyleSheets = [s]; })()", nil)
	only, err := json.Marshal(rules)
	must(b.t, err)
	var found []string
	b.eval(`axe.run(document, { resultTypes: ['violations'], runOnly: `+string(only)+` }).then(r => r.violations
		.filter(v => v.impact === 'serious' || v.impact === 'critical')
		.flatMap(v => v.nodes.filter(n => v.id !== 'target-size' || !/^<a href="#L\d+"/.test(n.html)).slice(0, 4).map(n => v.id + ': ' + n.html.slice(0, 160) + ' ' + (n.any[0] || n.all[0] || n.none[0] || {}).message)))`, &found)
	return found
}
