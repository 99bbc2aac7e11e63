package store_test

import (
	"errors"
	"testing"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// A check goes by a run that has ended and leaves it as it is: it is none of its steps, no retry does it again, and a run that goes on
// does not wait for it.
func TestChecksAreBesideTheirRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s, ctx := storetest.Open(t, url), t.Context()
		p, err := s.CreateProject(ctx, store.Project{Name: "app", GitURL: "https://git.example.org/app", Targets: []string{"el9"}})
		if err != nil {
			t.Fatal(err)
		}
		var run store.Run
		var w store.Worker
		claim := func(kinds ...store.Kind) (step store.Step, err error) {
			return step, s.Write(ctx, func(tx *store.Tx) (err error) {
				step, err = tx.ClaimStep(ctx, store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: kinds})
				return err
			})
		}
		finish := func(step store.Step, state store.StepState) {
			t.Helper()
			if err := s.Write(ctx, func(tx *store.Tx) error {
				_, err := tx.FinishStep(ctx, store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: w.ID, State: state})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		add := func() (check store.Step, err error) {
			return check, s.Write(ctx, func(tx *store.Tx) (err error) {
				check, err = tx.AddCheck(ctx, run.ID, store.NewStep{Target: "el9", Package: "lxml==5.4.0"})
				return err
			})
		}
		if err := s.Write(ctx, func(tx *store.Tx) (err error) {
			if run, _, err = tx.CreateRun(ctx, store.Run{Project: p.ID, Targets: []string{"el9"}}, false); err == nil {
				err = tx.AddSteps(ctx, run.ID, []store.NewStep{{Key: "build lxml", Kind: store.Build, Target: "el9", Package: "lxml==5.4.0"}})
			}
			if err == nil {
				w, err = tx.AddWorker(ctx, store.Worker{Name: "one", Slots: 2})
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if _, err := add(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := add(); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a fifth one at once: %v", err)
		}
		build, err := claim(store.Build)
		if err != nil {
			t.Fatal(err)
		}
		finish(build, store.Succeeded)
		state := func(want store.RunState, when string) {
			t.Helper()
			if r, err := s.Run(ctx, run.ID); err != nil || r.State != want {
				t.Errorf("%s the run is %s, not %s, %v", when, r.State, want, err)
			}
		}
		state(store.RunSucceeded, "with checks that wait")
		check, err := claim(store.Check)
		if err != nil || check.Kind != store.Check {
			t.Fatalf("%+v, %v", check, err)
		}
		state(store.RunSucceeded, "while a check goes on")
		finish(check, store.Failed)
		state(store.RunSucceeded, "after a check that failed")
		if steps, err := s.RunSteps(ctx, run.ID); err != nil || len(steps) != 1 {
			t.Errorf("the run has %d steps, %v", len(steps), err)
		}
		if again, err := s.PlanRetry(ctx, store.Retry{Run: run.ID, All: true}); err != nil || len(again) != 1 {
			t.Errorf("a retry does %d steps again, %v", len(again), err)
		}
		if err := s.Write(ctx, func(tx *store.Tx) error { return tx.CancelStep(ctx, check.ID+1, "by mira") }); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Step(ctx, check.ID+1); err != nil || c.State != store.Cancelled {
			t.Errorf("it is %s, %v", c.State, err)
		}
	})
}
