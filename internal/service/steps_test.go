package service_test

import (
	"path/filepath"
	"testing"

	"reqpm/internal/plan"
	"reqpm/internal/store"
)

// A plan's times are those of builds before, on any worker; what was only found again, or built for another target, says nothing.
func TestTimesComeFromBuildsBefore(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	ctx := t.Context()
	project := b.project(store.Project{Name: "app", GitURL: "https://git.example.org/app.git"})
	b.write(func(tx *store.Tx) error {
		worker, err := tx.AddWorker(ctx, store.Worker{Name: "w", Slots: 1})
		if err != nil {
			return err
		}
		run, _, err := tx.CreateRun(ctx, store.Run{Project: project.ID, Targets: []string{"el9", "el10"}}, false)
		if err != nil {
			return err
		}
		if err := tx.AddSteps(ctx, run.ID, []store.NewStep{
			{Key: "built", Kind: store.Build, Target: "el9", Package: "built==1.0"},
			{Key: "found", Kind: store.Build, Target: "el9", Package: "found==1.0"},
			{Key: "elsewhere", Kind: store.Build, Target: "el10", Package: "elsewhere==1.0"},
		}); err != nil {
			return err
		}
		for range 3 {
			step, err := tx.ClaimStep(ctx, store.Claim{Worker: worker.ID, WorkerName: worker.Name, Kinds: []store.Kind{store.Build}})
			if err != nil {
				return err
			}
			if _, err = tx.FinishStep(ctx, store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: worker.ID, State: store.Succeeded, Found: step.Key == "found"}); err != nil {
				return err
			}
		}
		return nil
	})
	node := func(name string, decision plan.Decision) plan.Node {
		return plan.Node{ID: plan.NewID(name, "2.0"), Name: name, Version: "2.0", Decision: decision, Seconds: 30}
	}
	p, err := plan.New([]plan.Node{node("built", plan.Build), node("found", plan.Build), node("elsewhere", plan.Build), node("cached", plan.Reuse)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.service.Expected(ctx, "el9", p)
	if err != nil {
		t.Fatal(err)
	}
	if s := got["built==2.0"]; s <= 0 || s > 10 {
		t.Errorf("a build that took a moment is expected to take %v s", s)
	}
	for _, id := range []plan.ID{"found==2.0", "elsewhere==2.0"} {
		if got[id] != 30 {
			t.Errorf("%s, never built for el9, is expected to take %v s, not the guess", id, got[id])
		}
	}
	if s := got["cached==2.0"]; s > 1 {
		t.Errorf("what there is already is expected to take %v s", s)
	}
}
