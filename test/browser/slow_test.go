package browser

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"

	"reqpm/internal/store"
)

// The line of somebody on a train: 400 ms until the first byte, 50 KB/s.
var slow = network.Conditions{Latency: 400, DownloadThroughput: 50_000, UploadThroughput: 20_000}

// conditions are the network's from now on, for what is open too.
func (b *tab) conditions(c network.Conditions) {
	b.t.Helper()
	call(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{&c}})
}

// line carries connections to a server, until a test holds it: then nothing comes through, and nothing is closed.
type line struct {
	url string
	// Who carries something has it for reading; who holds the line, for writing.
	carry sync.RWMutex
	held  bool
}

func newLine(t *testing.T, s *server) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	n := &line{url: "http://" + l.Addr().String()}
	t.Cleanup(func() { l.Close(); n.release() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				from.Close()
				continue
			}
			go n.bring(from, to)
			go n.bring(to, from)
		}
	}()
	return n
}

// bring carries what one end says to the other, until either has gone.
func (n *line) bring(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	for buffer := make([]byte, 32<<10); ; {
		count, err := from.Read(buffer)
		n.carry.RLock()
		if count > 0 && err == nil {
			_, err = to.Write(buffer[:count])
		}
		n.carry.RUnlock()
		if err != nil {
			return
		}
	}
}

func (n *line) hold() {
	n.carry.Lock()
	n.held = true
}

func (n *line) release() {
	if n.held {
		n.held = false
		n.carry.Unlock()
	}
}

// watchfully has every page from now on note what nobody should see: that it says it is not connected, and what moves by itself
// (layout-shift, of which 0.1 and less is called good).
func (b *tab) watchfully() {
	b.t.Helper()
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.noted = { offline: 0, shift: 0, shifts: [] };
		new MutationObserver(() => { const o = document.querySelector('#offline'); if (o && !o.hidden) noted.offline++; }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['hidden'] });
		new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) {
			noted.shift += e.value;
			noted.shifts.push(e.value.toFixed(4) + ' at ' + Math.round(e.startTime) + ' ms: ' + e.sources.map(s => (s.node && (s.node.id || s.node.className || s.node.nodeName)) + ' ' + JSON.stringify(s.previousRect) + ' -> ' + JSON.stringify(s.currentRect)).join('; '));
		} }).observe({ type: 'layout-shift', buffered: true });`})
}

// calm is a page on which nothing jumped, nothing is there twice, and which never said that it was not connected.
func (b *tab) calm(where string) {
	b.t.Helper()
	var is struct {
		Offline int
		Shift   float64
		Shifts  []string
		Twice   []string
	}
	b.eval(`(() => { const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
		return { ...noted, twice: ids.filter((id, i) => ids.indexOf(id) !== i) }; })()`, &is)
	if is.Offline > 0 {
		b.t.Errorf("%s: the page said that it was not connected, which it was", where)
	}
	if len(is.Twice) > 0 {
		b.t.Errorf("%s: twice in the page: %v", where, is.Twice)
	}
	if is.Shift > 0.1 {
		b.t.Errorf("%s: the page jumped, by %.3f:\n%s", where, is.Shift, strings.Join(is.Shifts, "\n"))
	}
}

// live waits until a page is told of what happens.
func (b *tab) live() {
	b.t.Helper()
	b.until("the page is live", "document.querySelector('#live-state').dataset.state === 'live'", 30*time.Second)
}

// upToDate waits until the open page says what it would say if it were loaded now, but for times that go on.
func (b *tab) upToDate(limit time.Duration) {
	b.t.Helper()
	var differs string
	b.eval(fmt.Sprintf(`(async () => {
		const said = d => { const m = d.querySelector('main').cloneNode(true); m.querySelectorAll('[data-since], [data-ago], svg, .tbl-fold, [data-log]').forEach(e => e.remove());
			const text = e => e.textContent.replace(/\s+/g, ' '), rows = [...m.querySelectorAll('#grid-card tr')].map(text).sort(); // they stay where they are
			m.querySelectorAll('#grid-card tr').forEach(e => e.remove());
			return text(m) + rows.join('|'); };
		for (const end = Date.now() + %d;;) {
			const r = await fetch(location.href), a = said(document), b = said(new DOMParser().parseFromString(await r.text(), 'text/html'));
			if (a === b && a.length > 100) return '';
			let i = 0;
			while (a[i] === b[i]) i++;
			if (Date.now() > end) return a.slice(Math.max(0, i - 40), i + 80) + ' | loaded now: ' + b.slice(Math.max(0, i - 40), i + 80);
		}
	})()`, limit.Milliseconds()), &differs)
	if differs != "" {
		b.t.Errorf("not up to date after %v: %s", limit, differs)
	}
}

// TestSlowConnection goes from the dashboard to a log on a slow line: pages come and stay as they are, changes arrive late but arrive, once
// each, and the page says that it is not connected only while it is not.
func TestSlowConnection(t *testing.T) {
	s := work.get(t)
	h := worker(t, s)
	step := h.running()
	project, err := h.Store.Project(t.Context(), step.Project)
	must(t, err)
	line := newLine(t, s)
	b := open(t, &server{url: line.url, cookie: s.cookie})
	b.watchfully()
	b.conditions(slow)
	began := time.Now()
	b.visit("/")
	b.live()
	t.Logf("the dashboard is live after %v", time.Since(began))
	b.calm("dashboard")
	b.click("main a[href=\"/projects/"+project.Name+"\"]", "")
	b.until("the project", "location.pathname === '/projects/"+project.Name+"' && document.querySelector('#live-state')", 20*time.Second)
	b.live()
	b.calm("project")
	began = time.Now()
	b.visit(runPath(step.Run))
	b.live()
	t.Logf("the run is live after %v", time.Since(began))
	b.calm("run")
	loads := b.loaded()

	// Many changes at once: the last of them is what the page says in the end, and it says it once.
	for i := range 12 {
		h.finish(step, store.Failed, fmt.Sprintf("change %d", i))
		step = h.again(step)
	}
	h.finish(step, store.Failed, "the last word")
	began = time.Now()
	b.until("the last of many changes", cellIs(step, "failed")+" && document.querySelector('#causes').innerText.includes('the last word')", 20*time.Second)
	t.Logf("the last change is seen after %v", time.Since(began))
	b.upToDate(20 * time.Second)
	t.Logf("all is seen after %v", time.Since(began))
	b.calm("run, after many changes")

	// A button that is pressed twice because nothing seems to happen: done once, said once.
	b.click("#run-head button", "Retry failed")
	b.click("#run-head button", "Retry failed")
	b.until("it is said to be done", "document.querySelector('.toast.is-succeeded')", 20*time.Second)
	b.until("the failed builds are tried again", "!document.querySelector('#causes .cause')", 20*time.Second)
	var toasts []string
	b.eval("[...document.querySelectorAll('.toast')].map(e => e.innerText)", &toasts)
	if len(toasts) != 1 {
		t.Errorf("pressing twice is told as %q", toasts)
	}
	tried, err := h.Store.Step(t.Context(), step.ID)
	must(t, err)
	if tried.Attempt != step.Attempt || tried.State != store.Ready {
		t.Errorf("the build is %s after attempt %d, which is to be tried once more after attempt %d", tried.State, tried.Attempt, step.Attempt)
	}
	b.upToDate(20 * time.Second)
	if b.loaded() != loads {
		t.Error("the run's page was loaded again")
	}

	// A log that grows faster than the line carries it: in the end every line is there, once, and its end is what is seen.
	step = h.claim()
	b.visit(buildPath(step.ID))
	b.live()
	log, err := h.Logs.Create(store.LogName(step.Run, step.ID, step.Attempt))
	must(t, err)
	defer log.Close()
	const lines = 3000
	for n := 1; n <= lines; n++ {
		_, err := fmt.Fprintf(log, "line number %d of the build, and what it says about one of many files in src/module_%06d.c\n", n, n)
		must(t, err)
	}
	began = time.Now()
	b.until("the log's end", fmt.Sprintf("[...document.querySelectorAll('.ll > span')].some(e => e.textContent.startsWith('line number %d ') && e.getBoundingClientRect().bottom <= document.querySelector('.log').getBoundingClientRect().bottom + 1)", lines), 20*time.Second)
	t.Logf("the log's end is seen after %v", time.Since(began))
	var inOrder bool
	b.eval("(a => a.every((e, i) => !i || +e.dataset.n === +a[i - 1].dataset.n + 1) && a.every(e => e.textContent.startsWith(e.dataset.n + 'line number ' + e.dataset.n + ' ')))([...document.querySelectorAll('.ll')])", &inOrder)
	if !inOrder {
		t.Error("the log's lines are not each there once, in order")
	}
	must(t, log.Close())
	b.calm("build, with a log that grew")

	// A line that is dead and closes nothing: the page says so when the server has been silent for a minute, which it is not made to wait for.
	line.hold()
	h.finish(step, store.Succeeded, "")
	b.eval("(now => { Date.now = () => now() + 61000 })(Date.now)", nil)
	b.until("the page says that it is not connected", "!document.querySelector('#offline').hidden && document.querySelector('#offline').getClientRects().length", 20*time.Second)
	b.until("it does not pretend to know", "document.querySelector('#build-head').dataset.state === 'running' && document.querySelector('#live-state').dataset.state === 'lost'", time.Second)
	line.release()
	b.until("it is connected again", "document.querySelector('#offline').hidden && document.querySelector('#live-state').dataset.state === 'live'", 60*time.Second)
	b.until("what happened meanwhile", "document.querySelector('#build-head').dataset.state === 'succeeded'", 20*time.Second)
	b.conditions(network.Conditions{DownloadThroughput: -1, UploadThroughput: -1})
	b.upToDate(20 * time.Second)
}
