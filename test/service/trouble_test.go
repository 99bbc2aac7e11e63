package service

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/store"
)

// A package that the machine gets when all is built changes the base of target local, and with it the keys of all
// builds: a process that has to plan again publishes all the same, with everything built on the new base.
func TestBaseChanges(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	server := b.serve()
	b.makeToken()
	id := b.project(0)
	b.untilStep(id, store.Publish, store.Running)
	must(t, os.WriteFile(filepath.Join(b.dir, "base"), []byte("one package more\n"), 0o644))
	server.stop(syscall.SIGKILL)
	b.serve()
	b.succeeds(id)
	b.checkWhole("p0", id, own(0))
}

// succeeds waits for the end of a run.
func (b *bed) succeeds(run int64) {
	b.t.Helper()
	b.until("the run has ended", 3*time.Minute, func() bool { return b.unfinished([]int64{run}) == 0 })
	r, err := b.store.Run(b.t.Context(), run)
	must(b.t, err)
	if r.State == store.RunSucceeded {
		return
	}
	steps, err := b.store.RunSteps(b.t.Context(), run)
	must(b.t, err)
	for _, s := range steps {
		attempts, err := b.store.Attempts(b.t.Context(), s.ID)
		must(b.t, err)
		for _, a := range attempts {
			if a.State == store.Failed {
				b.t.Errorf("%s, attempt %d: %s", s.Key, a.Attempt, a.Cause)
			}
		}
	}
	b.t.Fatalf("the run %s: %s", r.State, r.Message)
}

// untilStep waits until a step of a kind is in a state.
func (b *bed) untilStep(run int64, kind store.Kind, state store.StepState) {
	b.t.Helper()
	b.until(fmt.Sprintf("a step %s is %s", kind, state), 2*time.Minute, func() bool {
		steps, err := b.store.RunSteps(b.t.Context(), run)
		must(b.t, err)
		return slices.ContainsFunc(steps, func(s store.Step) bool { return s.Kind == kind && s.State == state })
	})
}
