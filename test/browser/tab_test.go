package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chrome is the one browser of all tests. Each test has a tab with cookies of its own.
var chrome browser

type browser struct {
	once   sync.Once
	ctx    context.Context
	cancel []context.CancelFunc
	err    error
}

// chromium finds the browser; "": there is none.
func chromium() string {
	for _, name := range []string{os.Getenv("REQPM_CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (b *browser) start(t testing.TB) context.Context {
	t.Helper()
	path := chromium()
	if path == "" {
		t.Skip("needs Chromium, or another of its kind in REQPM_CHROMIUM")
	}
	b.once.Do(func() {
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, // root has none
			chromedp.ProxyServer("direct://"), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("disable-dev-shm-usage", true))
		ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
		b.cancel = append(b.cancel, cancel)
		b.ctx, cancel = chromedp.NewContext(ctx)
		b.cancel = append(b.cancel, cancel)
		b.err = chromedp.Do(b.ctx)
	})
	must(t, b.err)
	return b.ctx
}

func (b *browser) close() {
	for i := len(b.cancel) - 1; i >= 0; i-- {
		b.cancel[i]()
	}
}

// tab is one page that is open, and what went wrong in it.
type tab struct {
	t   testing.TB
	ctx context.Context
	url string // of the server
	by  hand   // "" is the mouse

	project string // that it is about

	mu       sync.Mutex
	loads    int
	problems []string
	expected []string // parts of problems that the test makes itself
}

// open opens a tab of a server; with its session where it has one.
func open(t testing.TB, s *server) *tab {
	t.Helper()
	b := &tab{t: t, url: s.url}
	ctx, cancel := chromedp.NewContext(chrome.start(t), chromedp.WithNewBrowserContext(), chromedp.WithListener(b.notice))
	b.ctx = ctx
	b.run()
	call(b, network.Enable, network.EnableParams{})
	call(b, cdplog.Enable, cdp.Empty{})
	t.Cleanup(func() {
		if t.Failed() {
			at, _ := chromedp.Run(ctx, chromedp.Location())
			t.Logf("the page was %s", at)
		}
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			t.Errorf("the browser complained: %s", p)
		}
	})
	b.size(1440, 900)
	if s.cookie != nil {
		call(b, network.SetCookie, network.SetCookieParams{Name: s.cookie.Name, Value: s.cookie.Value, URL: s.url})
	}
	return b
}

// notice counts the pages that are loaded, and keeps what the browser complains about: a script that throws, what the policy
// forbids, an answer that is an error.
func (b *tab) notice(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var text string
	switch e := event.(type) {
	case *page.EventLoadEventFired:
		b.loads++
	case *page.EventJavascriptDialogOpening:
		text = "a window of a script: " + e.Message
	case *runtime.EventExceptionThrown:
		text = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" {
			for _, a := range e.Args {
				text += string(a.Value) + a.Description + " "
			}
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == "error" {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	}
	if text == "" {
		return
	}
	for _, part := range b.expected {
		if strings.Contains(text, part) {
			return
		}
	}
	b.problems = append(b.problems, text)
}

// expect names a complaint that the test itself brings about.
func (b *tab) expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}

// loaded is how many pages were loaded so far. One of which something is seen already is waited for, that it does not count later.
func (b *tab) loaded() int {
	b.t.Helper()
	b.until("the page is loaded", loadedWhole, longest)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loads
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx := b.ctx
	if len(actions) > 0 { // the first time it opens the tab, which lives as long as the context
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(b.ctx, 30*time.Second)
		defer cancel()
	}
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// call sends one command of the debugging protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// size makes the window so many CSS pixels large. A narrow one is a phone's, which is touched.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	phone := width < 720
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: phone})
	call(b, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: phone})
}

// visit loads a page of the server.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.url + path))
}

// eval runs an expression in the page and reads what it gives.
func (b *tab) eval(expression string, into any) {
	b.t.Helper()
	if err := b.try(expression, into); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

func (b *tab) try(expression string, into any) error {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// until waits until an expression is true in the page, whichever that then is.
func (b *tab) until(what, expression string, limit time.Duration) {
	b.t.Helper()
	end := time.After(limit)
	for {
		var is bool
		if b.try("!!("+expression+")", &is) == nil && is {
			return
		}
		select {
		case <-time.After(40 * time.Millisecond):
		case <-end:
			var text string
			_ = b.try("document.body.innerText.slice(0, 3000)", &text)
			b.t.Fatalf("not within %v: %s\n%s", limit, what, text)
		}
	}
}

// sees waits until a person would see a text somewhere in the page.
func (b *tab) sees(text string, limit time.Duration) {
	b.t.Helper()
	b.until("to see "+text, "document.body.innerText.includes("+quoted(text)+")", limit)
}

// quoted is a text as JavaScript writes it.
func quoted(text string) string {
	q, _ := json.Marshal(text)
	return string(q)
}

// one is the expression of the first visible element of a selector that has a text; "" is any. What is far below the window is not laid
// out (content-visibility), so it has no innerText yet.
func one(selector, text string) string {
	return fmt.Sprintf("[...document.querySelectorAll(%s)].find(e => e.getClientRects().length && (e.innerText || e.ariaLabel || e.textContent).includes(%s))", quoted(selector), quoted(text))
}

// hand is what a person presses with.
type hand string

const (
	mouse    hand = "mouse"
	keyboard hand = "keyboard"
	finger   hand = "finger"
)

// click presses what a person would: it is scrolled to, and must be the topmost there; or Tab goes to it, and each place on the way is seen.
func (b *tab) click(selector, text string) {
	b.t.Helper()
	element := one(selector, text)
	b.until("there is "+selector+" "+text, element, 15*time.Second)
	b.press(element)
}

// press is click, of what an expression gives.
func (b *tab) press(element string) {
	b.t.Helper()
	if b.by == keyboard {
		b.tabTo(element)
		var key string
		b.eval("(e => e.matches('input[type=checkbox], input[type=radio]') ? ' ' : e.matches('input, textarea') ? '' : "+quoted(enter)+")(document.activeElement)", &key)
		if key != "" { // else it is typed into
			b.keys(key)
		}
		return
	}
	var at struct{ X, Y, Width, Height float64 }
	b.eval(fmt.Sprintf(`(async () => { let e; const drawn = () => new Promise(done => { requestAnimationFrame(() => setTimeout(done)); setTimeout(done, 500); });
		for (let was = NaN; was !== (was = (e = %s).getBoundingClientRect().y);) { e.scrollIntoView({ block: 'center' }); await drawn(); } // what comes into the window takes its place first
		const r = e.getClientRects()[0], box = (e.matches('.check') && e.closest('label, td') || e.closest('.in') || e).getBoundingClientRect(); return { x: r.x + r.width / 2, y: r.y + r.height / 2, width: box.width, height: box.height }; })()`, element), &at)
	var hidden string
	b.eval(fmt.Sprintf(`(() => { const e = %s, top = document.elementFromPoint(%f, %f); return !top || e.contains(top) || top.contains(e) ? '' : top.outerHTML.slice(0, 200); })()`, element, at.X, at.Y), &hidden)
	if hidden != "" {
		b.t.Fatalf("%s is behind %s", element, hidden)
	}
	if b.by != finger {
		b.run(chromedp.MouseClickXY(at.X, at.Y))
		return
	}
	if at.Width < 24 || at.Height < 24 {
		b.t.Errorf("%s is %.0f x %.0f pixels, too small for a finger", element, at.Width, at.Height)
	}
	for _, problem := range b.tooWide() {
		b.t.Errorf("before %s: %s", element, problem)
	}
	call(b, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: input.DispatchTouchEventTypeTouchStart, TouchPoints: []*input.TouchPoint{{X: at.X, Y: at.Y}}})
	call(b, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: input.DispatchTouchEventTypeTouchEnd, TouchPoints: []*input.TouchPoint{}})
}

// tabTo presses Tab, or Shift and Tab, until an element has the focus. Each place where the focus stops is to be seen and marked.
func (b *tab) tabTo(element string) {
	b.t.Helper()
	for range 400 {
		var where string
		b.eval("(e => !e ? 'gone' : e === document.activeElement ? 'here' : document.activeElement.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_PRECEDING ? 'before' : 'behind')("+element+")", &where)
		switch where {
		case "here":
			return
		case "before":
			b.run(chromedp.KeyEvent(tabKey, chromedp.KeyModifiers(chromedp.ModifierShift)))
		default:
			b.keys(tabKey)
		}
		if problem := b.badStop(); problem != "" {
			b.t.Errorf("on the way to %s: %s", element, problem)
		}
	}
	b.t.Fatalf("Tab does not come to %s", element)
}

// fill types into a field in place of what is in it.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.click(selector, "")
	b.eval(fmt.Sprintf("(%s).select()", one(selector, "")), nil)
	b.run(chromedp.KeyEvent(text))
}

// keys types into the page, when it is there, without looking where.
func (b *tab) keys(text string) {
	b.t.Helper()
	b.until("the page is loaded", loadedWhole, 20*time.Second)
	b.run(chromedp.KeyEvent(text))
}

// Keys by their names on the keyboard.
const (
	tabKey = kb.Tab
	enter  = kb.Enter
	escape = kb.Escape
)

// text is what a person reads in the first visible element of a selector.
func (b *tab) text(selector string) string {
	b.t.Helper()
	var text string
	b.eval(fmt.Sprintf("(%s || { innerText: '' }).innerText", one(selector, "")), &text)
	return text
}
