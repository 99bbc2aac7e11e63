package api_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// A log that retention removed is gone, and said to be; a run is pinned and let go.
func TestRemovedLogAndPins(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	_, run := b.create()
	viewer, maintainer := b.token(auth.Viewer, 0), b.token(auth.Maintainer, 0)
	var step store.Step
	err := b.store.Write(t.Context(), func(tx *store.Tx) error {
		w, err := tx.AddWorker(t.Context(), store.Worker{Name: "one", Slots: 1})
		if err != nil {
			return err
		}
		if step, err = tx.ClaimStep(t.Context(), store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Checkout}}); err != nil {
			return err
		}
		if _, err = tx.FinishStep(t.Context(), store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: w.ID, State: store.Failed}); err != nil {
			return err
		}
		p, err := tx.Project(t.Context(), step.Project)
		if err != nil {
			return err
		}
		if _, _, err = tx.CreateRun(t.Context(), store.Run{Project: p.ID, Targets: p.Targets}, false); err != nil { // a newer one
			return err
		}
		_, err = tx.ForgetLogs(t.Context(), time.Now().Add(time.Hour), step.Run)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"log", "log?follow=1", "log/search?q=x"} {
		if w := b.ask(viewer, "GET", fmt.Sprintf("/api/v1/steps/%d/%s", step.ID, path), ""); w.Code != http.StatusGone || !strings.Contains(w.Body.String(), "removed") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := b.ask(viewer, "GET", fmt.Sprintf("/api/v1/builds/%d", step.ID), ""); !strings.Contains(w.Body.String(), `"log_removed":true`) || strings.Contains(w.Body.String(), `"log":`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := b.ask(viewer, "GET", fmt.Sprintf("/api/v1/steps/%d/log?attempt=7", step.ID), ""); w.Code != http.StatusNotFound {
		t.Errorf("an attempt that never was: %d", w.Code)
	}
	for _, pinned := range []bool{true, false} {
		w := b.ask(maintainer, "PUT", fmt.Sprintf("/api/v1/runs/%d/pin", run), fmt.Sprintf(`{"pinned": %v}`, pinned))
		if got := strings.Contains(w.Body.String(), `"pinned":true`); w.Code != http.StatusOK || got != pinned {
			t.Errorf("pinned %v: %d %s", pinned, w.Code, w.Body)
		}
	}
}
