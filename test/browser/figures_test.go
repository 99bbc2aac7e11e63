package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"

	"reqpm/internal/diagnose"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
	"reqpm/internal/web/pagetest"
)

// The figures of the pages in a real browser, on a server with 100,000 builds: docs/benchmarks.md says how they are taken. They are benchmarks,
// so that no test fails because a machine is busy.

// full is a server with 100,000 builds. Filling takes minutes: REQPM_FULL names a folder where what was filled is kept for the next time.
var full = shared{fill: func(ctx context.Context, state string) error {
	kept := os.Getenv("REQPM_FULL")
	if text, err := os.ReadFile(filepath.Join(kept, "filled.json")); kept != "" && err == nil {
		return errors.Join(json.Unmarshal(text, &filled), os.CopyFS(state, os.DirFS(filepath.Join(kept, "state"))))
	}
	b, err := pagetest.Open(ctx, state)
	if err != nil {
		return err
	}
	if filled, err = pagetest.Fill(ctx, b.Store); err == nil {
		err = longLog(ctx, b, filled.Failed)
	}
	if err = errors.Join(err, b.Close()); err != nil || kept == "" {
		return err
	}
	text, err := json.Marshal(filled)
	return errors.Join(err, os.CopyFS(filepath.Join(kept, "state"), os.DirFS(state)), os.WriteFile(filepath.Join(kept, "filled.json"), text, 0o644))
}}

var filled pagetest.Full

const logLines = 500_000

// longLog gives a failed build a log of 50 MB, and the finding that is in the middle of it.
func longLog(ctx context.Context, b *pagetest.Bed, id int64) error {
	step, err := b.Store.Step(ctx, id)
	if err != nil {
		return err
	}
	log, err := b.Logs.Create(store.LogName(step.Run, step.ID, step.Attempt))
	if err != nil {
		return err
	}
	line, err := pagetest.LongLog(log, logLines)
	if err = errors.Join(err, log.Close()); err != nil {
		return err
	}
	found := diagnose.ReadText(pagetest.LongLogError+"\n", diagnose.Facts{})
	found[0].Evidence = []diagnose.Line{{Number: line, Text: pagetest.LongLogError}}
	result, err := json.Marshal(service.Built{State: "failed", Findings: found})
	if err != nil {
		return err
	}
	return storetest.Rewrite(ctx, b.Path, func(exec func(string, ...any) error) error {
		return exec("UPDATE steps SET result = $1 WHERE id = $2", string(result), id)
	})
}

// times are how long something took, again and again.
type times []float64

func (t times) at(part float64) float64 {
	slices.Sort(t)
	return t[min(len(t)-1, int(float64(len(t))*part))]
}

func (t times) report(b *testing.B, what string) {
	b.Helper()
	b.ReportMetric(t.at(0.5), "median-"+what)
	b.ReportMetric(t.at(0.95), "p95-"+what)
}

// BenchmarkFirstPaint is the time from asking for a page to its first contentful paint, for a page of each kind; beside it, that until the first
// byte of the answer, which is the server's part. Each page is left when it is whole and its stream has begun: else the server is still at work
// for the page before.
func BenchmarkFirstPaint(b *testing.B) {
	s := full.get(b)
	starts := []string{runPath(filled.Large.ID), runPath(filled.Graph.ID), buildPath(filled.Failed)}
	for _, site := range crawl(b, s, starts...) {
		if site.kind == "/runs/N" {
			site.path = starts[0]
		}
		if site.kind == "/builds/N" {
			site.path = starts[2]
		}
		b.Run(site.kind, func(b *testing.B) {
			t := open(b, s)
			t.visit(site.path) // style and scripts are in the cache of whoever has seen a page
			var paints, answers times
			for range max(b.N, 11) {
				t.visit(site.path)
				var at struct{ Paint, Answer float64 }
				t.eval(`new Promise(done => {
					const look = () => {
						const p = performance.getEntriesByName('first-contentful-paint')[0];
						if (!p) return setTimeout(look, 20);
						done({ paint: p.startTime, answer: performance.getEntriesByType('navigation')[0].responseStart });
					};
					look();
				})`, &at)
				paints, answers = append(paints, at.Paint), append(answers, at.Answer)
				t.until("the page is whole", loadedWhole+" && (s => !s || !document.querySelector('main[data-live]') || s.dataset.state === 'live')(document.querySelector('#live-state'))", longest)
			}
			paints.report(b, "paint-ms")
			answers.report(b, "answer-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// frames counts the frames of the page while do happens: how far each was from the one before it, in milliseconds.
func (b *tab) frames(do func()) times {
	b.t.Helper()
	b.eval(`(() => {
		window.frames_ = []; window.counting = true;
		let was = performance.now();
		const f = now => { frames_.push(now - was); was = now; if (counting) requestAnimationFrame(f); };
		requestAnimationFrame(now => { was = now; requestAnimationFrame(f); });
	})()`, nil)
	do()
	var all times
	b.eval("(() => { window.counting = false; return frames_; })()", &all)
	return all
}

// BenchmarkGraphScroll scrolls the graph of 600 nodes in both directions, points at nodes, and scrolls the page of a run of 1,000 packages. A
// frame that comes more than a frame and a half after the one before it (25 ms) is counted as late.
func BenchmarkGraphScroll(b *testing.B) {
	s := full.get(b)
	scroll := func(t *tab, dx, dy float64) func() {
		return func() {
			for i := range 120 {
				x, y := dx, dy
				if i >= 60 { // and back
					x, y = -dx, -dy
				}
				call(t, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: 720, Y: 450, DeltaX: x + 0.01, DeltaY: y + 0.01}) // 0 is left out, and missed
			}
		}
	}
	graph := func(t *tab) {
		t.visit(runPath(filled.Graph.ID))
		t.until("the graph", "document.querySelectorAll('#graph .nd').length === 600", 20*time.Second)
		t.eval("document.querySelector('#graph').scrollIntoView({ block: 'center' })", nil)
		t.eval("new Promise(done => setTimeout(done, 1000))", nil)
	}
	for _, c := range []struct {
		name string
		open func(t *tab)
		do   func(t *tab) func()
	}{
		{"nothing", graph, func(t *tab) func() {
			return func() { t.eval("new Promise(done => setTimeout(done, 2000))", nil) }
		}},
		{"sideways", graph, func(t *tab) func() { return scroll(t, 60, 0) }},
		{"down", graph, func(t *tab) func() { return scroll(t, 0, 60) }},
		{"pointing", graph, func(t *tab) func() {
			return func() {
				for i := range 120 {
					call(t, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: 300 + 7*float64(i), Y: 300 + 2*float64(i)})
				}
			}
		}},
		{"page", func(t *tab) {
			t.visit(runPath(filled.Large.ID))
			t.eval("new Promise(done => setTimeout(done, 1000))", nil)
		}, func(t *tab) func() { return scroll(t, 0, 120) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			t := open(b, s)
			c.open(t)
			all := t.frames(c.do(t))
			late := 0
			for _, f := range all {
				if f > 25 {
					late++
				}
			}
			b.ReportMetric(float64(len(all)), "frames")
			b.ReportMetric(float64(late), "late")
			b.ReportMetric(all.at(0.5), "median-ms")
			b.ReportMetric(all.at(1), "longest-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkLongLog is a log of 500,000 lines, 50 MB, in the viewer: until it is open at its first error, until a search has its hits and the first
// is seen, to the next hit, and to the lines of an address in its middle.
func BenchmarkLongLog(b *testing.B) {
	s := full.get(b)
	t := open(b, s)
	var opened, found, next, linked times
	inView := func(line int) string {
		return fmt.Sprintf(`(e => e && (r => r.height > 0 && r.top >= 0 && r.bottom <= innerHeight)(e.getBoundingClientRect()))(document.querySelector('.ll[data-n="%d"]'))`, line)
	}
	took := func(begin, seen string, into *times) {
		b.Helper()
		var ms float64
		t.eval(`new Promise((done, fail) => {
			const began = performance.now();
			`+begin+`;
			const look = () => `+seen+` ? requestAnimationFrame(() => done(performance.now() - began)) : performance.now() - began > 20000 ? fail('not seen in 20 s') : requestAnimationFrame(look);
			look();
		})`, &ms)
		*into = append(*into, ms)
	}
	middle := logLines / 2
	for range max(b.N, 5) {
		t.visit(buildPath(filled.Failed))
		t.until("the first error", "document.querySelector('.ll.first')", 30*time.Second)
		var ms float64
		t.eval(`new Promise(done => { const look = () => { const e = document.querySelector('.ll.first'); e && e.getClientRects().length ? done(performance.now()) : requestAnimationFrame(look) }; look() })`, &ms)
		opened = append(opened, ms)
		took("const i = document.querySelector('.find input'); i.value = 'module_4321'; i.dispatchEvent(new Event('input'))", "/^1 of/.test(document.querySelector('[data-hits]').textContent) && document.querySelector('mark.now')", &found)
		took("const was = document.querySelector('[data-hits]').textContent; document.querySelector('[data-next]').click()", "document.querySelector('[data-hits]').textContent !== was && document.querySelector('mark.now')", &next)
		took(fmt.Sprintf("location.hash = '#L%d-L%d'", middle+1000, middle+1010), inView(middle+1005), &linked)
	}
	opened.report(b, "open-ms")
	found.report(b, "search-ms")
	next.report(b, "next-ms")
	linked.report(b, "link-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkChange is the time from the end of the transaction that ends a build, in another process, to the frame that shows it on the page of
// its run, which has 1,000 packages, and on the dashboard.
func BenchmarkChange(b *testing.B) {
	s := full.get(b)
	h := worker(b, s)
	for _, c := range []struct {
		name, path string
		is         func(step store.Step, state string) string
	}{
		{"run of 1000", runPath(filled.Large.ID), cellIs},
		{"build", "", func(_ store.Step, state string) string {
			return "document.querySelector('#build-head').dataset.state === " + quoted(state)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			t := open(b, s)
			part, err := h.Store.Steps(b.Context(), store.StepFilter{Run: filled.Large.ID, Kinds: []store.Kind{store.Build}, States: []store.StepState{store.Running}}, store.Page{Limit: 1})
			must(b, err)
			step := part.Items[0]
			var all times
			for i := range max(b.N, 40) {
				path := c.path
				if path == "" {
					path = buildPath(step.ID)
				}
				if i == 0 {
					t.visit(path)
				}
				t.until("the page is live", "document.querySelector('#live-state').dataset.state === 'live'", 20*time.Second)
				t.until("it runs", c.is(step, "running"), 20*time.Second)
				t.eval("new Promise(done => setTimeout(done, "+fmt.Sprint(400+i*37%300)+"))", nil)
				t.eval("void (window.changed_ = new Promise(done => { const look = () => "+c.is(step, "failed")+" ? requestAnimationFrame(() => done(performance.timeOrigin + performance.now())) : requestAnimationFrame(look); look() }))", nil)
				h.finish(step, store.Failed, fmt.Sprintf("change %d", i))
				at := time.Now()
				var shown float64
				t.eval("changed_", &shown)
				all = append(all, shown-float64(at.UnixMicro())/1000)
				h.write(func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.Retry(ctx, store.Retry{Run: step.Run, Steps: []int64{step.ID}})
					return errors.Join(err, tx.RaiseStep(ctx, step.ID, 1))
				})
				if again := h.claim(); again.ID != step.ID {
					b.Fatalf("another build began: %s", again.Key)
				}
				if step, err = h.Store.Step(b.Context(), step.ID); err != nil {
					b.Fatal(err)
				}
			}
			all.report(b, "shown-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
