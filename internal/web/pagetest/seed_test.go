package pagetest

import (
	"os"
	"testing"

	"reqpm/internal/store"
)

// TestSeed checks that the past has what the pages' tests look for. With REQPM_SEED=DIR it fills that state directory, for a
// server to be looked at: reqpm serve --state DIR --database DIR/reqpm.db --roles web.
func TestSeed(t *testing.T) {
	dir := os.Getenv("REQPM_SEED")
	if dir == "" {
		dir = t.TempDir()
	}
	b, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := Seed(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, state := range []store.StepState{store.Waiting, store.Ready, store.Running, store.Succeeded, store.Failed, store.Blocked, store.Cancelled} {
		part, err := b.Store.Steps(t.Context(), store.StepFilter{Kinds: []store.Kind{store.Build}, States: []store.StepState{state}}, store.Page{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(part.Items) == 0 {
			t.Errorf("there is no build that is %s", state)
		}
	}
	runs, err := b.Store.Runs(t.Context(), store.RunFilter{}, store.Page{Limit: 100})
	if err != nil || len(runs.Items) != 20 {
		t.Errorf("%d runs, %v", len(runs.Items), err)
	}
}
