package browser

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/cdproto/runtime"

	"reqpm/internal/store"
	"reqpm/internal/web/pagetest"
)

// work is a second server with the same past, for tests that go on with it: they are the workers.
var work shared

// hands do what workers would, beside the server.
type hands struct {
	t testing.TB
	*pagetest.Bed
}

func worker(t testing.TB, s *server) *hands {
	t.Helper()
	b, err := pagetest.Open(t.Context(), s.dir+"/state")
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return &hands{t, b}
}

func (h *hands) write(do func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	must(h.t, h.Store.Write(h.t.Context(), func(tx *store.Tx) error { return do(h.t.Context(), tx) }))
}

// claim takes the next build; where the past has none left to begin, a new run brings some.
func (h *hands) claim() (step store.Step) {
	h.t.Helper()
	all, err := h.Store.Workers(h.t.Context())
	must(h.t, err)
	for range 2 {
		err = h.Store.Write(h.t.Context(), func(tx *store.Tx) (err error) {
			for _, w := range all {
				if step, err = tx.ClaimStep(h.t.Context(), store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Build}}); !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return err
		})
		if !errors.Is(err, store.ErrNotFound) {
			break
		}
		h.another()
	}
	must(h.t, err)
	return step
}

// again retries a build that failed, and takes it; others whose turn is before it fail.
func (h *hands) again(failed store.Step) store.Step {
	h.t.Helper()
	h.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Retry(ctx, store.Retry{Run: failed.Run, Steps: []int64{failed.ID}})
		return err
	})
	for {
		step := h.claim()
		if step.ID == failed.ID {
			return step
		}
		h.finish(step, store.Failed, "another")
	}
}

// another is a run of three builds that need nothing.
func (h *hands) another() {
	h.t.Helper()
	projects, err := h.Store.Projects(h.t.Context(), store.ProjectFilter{}, store.Page{Limit: 1, Sort: "id"})
	must(h.t, err)
	h.write(func(ctx context.Context, tx *store.Tx) error {
		run, _, err := tx.CreateRun(ctx, store.Run{Project: projects.Items[0].ID, Ref: "main", Targets: projects.Items[0].Targets, Reason: "asked for"}, false)
		if err != nil {
			return err
		}
		var steps []store.NewStep
		for _, name := range []string{"anyio", "idna", "sniffio"} {
			steps = append(steps, store.NewStep{Key: "build/" + name, Kind: store.Build, Target: projects.Items[0].Targets[0], Package: name + "==1.0", Expected: 10})
		}
		return tx.AddSteps(ctx, run.ID, steps)
	})
}

func (h *hands) finish(step store.Step, state store.StepState, cause string) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.FinishStep(ctx, store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: step.Worker, State: state, Cause: cause})
		return err
	})
}

// running is a build that runs.
func (h *hands) running() store.Step {
	h.t.Helper()
	part, err := h.Store.Steps(h.t.Context(), store.StepFilter{Kinds: []store.Kind{store.Build}, States: []store.StepState{store.Running}}, store.Page{Limit: 1})
	must(h.t, err)
	if len(part.Items) == 0 {
		return h.claim()
	}
	return part.Items[0]
}

func runPath(id int64) string { return fmt.Sprintf("/runs/%d", id) }

func cellIs(step store.Step, state string) string {
	return fmt.Sprintf("document.querySelector('#c-%d').dataset.state === %s", step.ID, quoted(state))
}

// TestFollow reads a log while it is written: what is added appears at the end; who scrolls up is left alone; the button takes it on.
func TestFollow(t *testing.T) {
	s := work.get(t)
	h := worker(t, s)
	step := h.claim()
	b := open(t, s)
	b.visit(buildPath(step.ID)) // before there is a log
	b.live()
	loads := b.loaded()
	log, err := h.Logs.Create(store.LogName(step.Run, step.ID, step.Attempt))
	must(t, err)
	defer log.Close()
	n := 0
	add := func(lines int) {
		t.Helper()
		var text strings.Builder
		for range lines {
			n++
			fmt.Fprintf(&text, "line number %d of the build\n", n)
		}
		_, err := log.Write([]byte(text.String()))
		must(t, err)
	}
	shown := func(n int) string {
		return fmt.Sprintf("[...document.querySelectorAll('.ll > span')].some(e => e.textContent === 'line number %d of the build' && e.getBoundingClientRect().bottom <= document.querySelector('.log').getBoundingClientRect().bottom + 1)", n)
	}
	add(3)
	b.until("the log's first lines", shown(3), 20*time.Second)
	for range 5 {
		add(100)
		b.until("its end", shown(n), 20*time.Second)
	}
	var at struct{ X, Y, Top float64 }
	b.eval("(() => { const e = document.querySelector('.log'); e.scrollIntoView({ block: 'center' }); const r = e.getBoundingClientRect(); return { x: r.x + 200, y: r.y + 100 } })()", &at)
	call(b, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: at.X, Y: at.Y, DeltaY: -1500, DeltaX: 0.01})
	b.until("following has let go", "document.querySelector('[data-follow]').ariaPressed === 'false' || document.querySelector('.logbar [data-follow]').getAttribute('aria-pressed') === 'false'", 10*time.Second)
	b.eval("new Promise(done => { let was = -1; const f = () => { const y = document.querySelector('.log').scrollTop; if (y === was) done({ top: y }); else { was = y; setTimeout(f, 200) } }; f() })", &at)
	add(200)
	b.until("the page knows of more", fmt.Sprintf("document.querySelector('[data-size]').textContent.startsWith('%d ')", n), 20*time.Second)
	var top float64
	b.eval("document.querySelector('.log').scrollTop", &top)
	if top != at.Top {
		t.Errorf("the log moved from %v to %v under a reader", at.Top, top)
	}
	b.click(".logbar [data-follow]", "Follow")
	b.until("the end again", shown(n), 20*time.Second)
	add(50)
	b.until("and what comes", shown(n), 20*time.Second)
	if b.loaded() != loads {
		t.Error("the page was loaded again")
	}
	must(t, log.Close())
	h.finish(step, store.Succeeded, "")
	b.until("the build's end", "document.querySelector('#build-head').dataset.state === 'succeeded'", 20*time.Second)
}

// TestBrokenConnection kills the server while a page is open: the page says so, comes back by itself, and shows what
// has happened meanwhile.
func TestBrokenConnection(t *testing.T) {
	s := work.get(t)
	h := worker(t, s)
	step := h.running()
	b := open(t, s)
	b.expect("net::ERR_") // that is what is tested
	b.visit(runPath(step.Run))
	b.live()
	loads := b.loaded()
	h.finish(step, store.Failed, "the first of two")
	b.until("a change", cellIs(step, "failed"), 20*time.Second)
	second := h.again(step)
	b.until("it is built again", cellIs(second, "running"), 20*time.Second)
	s.stop(syscall.SIGKILL)
	b.until("the page says that it is not connected", "!document.querySelector('#offline').hidden && document.querySelector('#offline').getClientRects().length", 30*time.Second)
	b.size(375, 812)
	b.until("on a phone too", "document.querySelector('#offline').getClientRects().length", 5*time.Second)
	b.size(1440, 900)
	h.finish(second, store.Failed, "while nobody was told")
	_, err := s.start()
	must(t, err)
	b.until("it is connected again", "document.querySelector('#offline').hidden && document.querySelector('#live-state').dataset.state === 'live'", 60*time.Second)
	b.until("what happened meanwhile", cellIs(second, "failed"), 20*time.Second)
	if b.loaded() != loads {
		t.Error("the page was loaded again")
	}
}

// size of a page in the browser.
type footprint struct {
	Nodes, Listeners int64
	Heap             float64
}

func (b *tab) footprint() footprint {
	b.t.Helper()
	for range 3 {
		call(b, heapprofiler.CollectGarbage, cdp.Empty{})
	}
	dom := call(b, memory.GetDOMCounters, cdp.Empty{})
	heap := call(b, runtime.GetHeapUsage, cdp.Empty{})
	return footprint{dom.Nodes, dom.JsEventListeners, heap.UsedSize}
}

// TestOpenPageDoesNotGrow changes states a thousand times under an open dashboard and an open project: neither has more in it afterwards.
func TestOpenPageDoesNotGrow(t *testing.T) {
	s := work.get(t)
	h := worker(t, s)
	step := h.running()
	project, err := h.Store.Project(t.Context(), step.Project)
	must(t, err)
	const cycles = 350
	for _, path := range []string{"/", "/projects/" + project.Name} {
		b := open(t, s)
		b.visit(path)
		b.live()
		changes := func(n int) {
			t.Helper()
			for i := range n {
				h.finish(step, store.Failed, fmt.Sprintf("change %d", i))
				h.write(func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.AddLogEntry(ctx, store.LogEntry{Project: step.Project, Run: step.Run, Level: "info", Message: fmt.Sprintf("change %d of many", i)})
					return err
				})
				step = h.again(step)
			}
			b.eval("new Promise(done => setTimeout(done, 1500))", nil) // what was sent last is there
		}
		changes(60) // lists that have an end are full
		before := b.footprint()
		changes(cycles)
		after := b.footprint()
		t.Logf("%s after %d further changes: %+v, before: %+v", path, 3*cycles, after, before)
		if after.Nodes > before.Nodes+before.Nodes/10+200 || after.Listeners > before.Listeners+20 || after.Heap > before.Heap*1.3+1e6 {
			t.Errorf("%s grows: %+v, then %+v", path, before, after)
		}
	}
}
