package browser

import (
	"context"
	"testing"
	"time"

	"reqpm/internal/store"
)

// TestFocusStays has the focus on a failure while the page changes around it: it stays there when others go, is still in the page when its own goes,
// and a button that was pressed keeps it.
func TestFocusStays(t *testing.T) {
	s := work.get(t)
	h := worker(t, s)
	h.another()
	first := h.claim()
	for first.Package != "anyio==1.0" { // of the run that was added just now, which is last
		h.finish(first, store.Failed, "in the way")
		first = h.claim()
	}
	second := h.claim()
	h.finish(first, store.Failed, "no header was found")
	h.finish(second, store.Failed, "no library was found")
	b := open(t, s)
	b.by = keyboard
	b.visit(runPath(first.Run))
	b.until("the page is live", "document.querySelector('#live-state').dataset.state === 'live'", 20*time.Second)
	b.until("two causes", "document.querySelectorAll('.cause').length === 2", 20*time.Second)
	b.eval("window.above = document.querySelector('.cause').innerText", nil)
	above, below := first, second
	var is bool
	if b.eval("above.includes('no library')", &is); is {
		above, below = second, first
	}
	b.keys("f")
	b.keys("f")
	b.until("the second failure has the focus", "document.activeElement === document.querySelectorAll('.cause [data-failure]')[1]", 5*time.Second)
	b.eval("window.mine = document.activeElement, window.text = mine.innerText", nil)
	retry := func(step store.Step) {
		t.Helper()
		h.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Retry(ctx, store.Retry{Run: step.Run, Steps: []int64{step.ID}})
			return err
		})
	}
	retry(above)
	b.until("the first is gone", "document.querySelectorAll('.cause').length === 1", 20*time.Second)
	if b.eval("document.activeElement === mine && mine.innerText === text", &is); !is {
		t.Errorf("the focus went from the failure that is left to %s", b.focus())
	}
	retry(below)
	b.until("the second is gone too", "!document.querySelector('.cause')", 20*time.Second)
	if b.eval("document.querySelector('#causes').contains(document.activeElement)", &is); !is {
		t.Errorf("the focus went from a failure that is built again to %s", b.focus())
	}
	h.finish(h.claim(), store.Failed, "again")
	b.until("a cause again", "document.querySelector('.cause')", 20*time.Second)
	if b.eval("document.activeElement !== document.body", &is); !is {
		t.Error("a further change took the focus out of the page")
	}
}

// focus is what has it, as HTML.
func (b *tab) focus() (html string) {
	b.t.Helper()
	b.eval("document.activeElement.outerHTML.slice(0, 200)", &html)
	return html
}
