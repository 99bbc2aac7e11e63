package pages

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/engine/makespan"
	"reqpm/internal/store"
)

// The large pictures of a run, in which every change changes something, are not sent with every change: an open page gets them later, and
// what is small and the cells of the grid at once.
func TestTimelineIsSentSeldom(t *testing.T) {
	b := newBed(t)
	blobs, err := blob.OpenDir(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	b.pages = New(Config{Store: b.store, Auth: b.auth, Blobs: blobs, Version: "test", Events: b.events})
	_, run := b.project("app")
	steps := makespan.Graph(rand.New(rand.NewPCG(1, 1)), 200)
	for i := range steps {
		steps[i].Target, steps[i].Labels = "el9", ""
	}
	var w store.Worker
	write := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := b.store.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *store.Tx) (err error) {
		if w, err = tx.AddWorker(t.Context(), store.Worker{Name: "w", Slots: 4, Lease: time.Minute}); err != nil {
			return err
		}
		return tx.AddSteps(t.Context(), run.ID, steps)
	})
	end := func() {
		write(func(tx *store.Tx) error {
			s, err := tx.ClaimStep(t.Context(), store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Build}})
			if err == nil {
				_, err = tx.FinishStep(t.Context(), store.Finish{Step: s.ID, Attempt: s.Attempt, Worker: w.ID, State: store.Succeeded})
			}
			return err
		})
	}
	end()
	asked := b.request(b.token(auth.Viewer, 0), http.MethodGet, runPath(run.ID), nil)
	asked.SetPathValue("run", itoa(run.ID))
	who, err := b.auth.Authenticate(asked)
	if err != nil {
		t.Fatal(err)
	}
	q := &request{Request: asked, w: httptest.NewRecorder(), p: b.pages, who: who}
	f := &feed{q: q, page: b.pages.run, allowed: func() error { return q.allow(auth.Viewer, aboutRun) }, have: sums{}, sent: map[string]time.Time{}}
	render := func() (parts map[string]string, size int) {
		t.Helper()
		parts, err := f.render()
		if err != nil {
			t.Fatal(err)
		}
		for _, html := range parts {
			size += len(html)
		}
		return parts, size
	}
	render() // what the page has when it is opened
	end()
	with, large := render()
	if with["timeline"] == "" || f.held {
		t.Fatal("a timeline that was not sent for long is not sent")
	}
	for _, id := range []string{"timeline", "graph", "grid-card"} {
		f.sent[id] = time.Now().Add(time.Hour) // however slow this machine is
	}
	end()
	without, small := render()
	if without["timeline"] != "" || !f.held || len(without) == 0 {
		t.Errorf("the timeline is sent again at once, or nothing else is: %d parts", len(without))
	}
	if small > 16<<10 {
		t.Errorf("%d bytes are sent for one build that ended", small)
	}
	t.Logf("%d bytes with the timeline, %d without", large, small)
	clear(f.sent)
	if later, _ := render(); later["timeline"] == "" || f.held {
		t.Error("what was held is not sent later")
	}
}
