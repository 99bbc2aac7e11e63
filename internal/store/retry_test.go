package store_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"reqpm/internal/store"
)

// finishAll does what can be done, failing the steps named, and returns the order.
func finishAll(t *testing.T, s *store.Store, w store.Worker, failing ...string) []string {
	t.Helper()
	var order []string
	for step := claim(t, s, w); step.Key != ""; step = claim(t, s, w) {
		order = append(order, step.Key)
		state := store.Succeeded
		if slices.Contains(failing, step.Key) {
			state = store.Failed
		}
		finish(t, s, step, state)
	}
	return order
}

func keys(steps []store.Step) []string {
	var all []string
	for _, step := range steps {
		all = append(all, step.Key)
	}
	slices.Sort(all)
	return all
}

// sameProgress: what is read of a run's progress is what its steps say, and so are the numbers of its builds by state.
func sameProgress(t *testing.T, s *store.Store, run int64) {
	t.Helper()
	var begun []store.Step
	var pending store.Pending
	counts := map[store.StepState]int{}
	for _, step := range must[[]store.Step](t)(s.RunSteps(t.Context(), run)) {
		counts[step.State]++
		if step.State != store.Ready && step.State != store.Waiting {
			begun = append(begun, step)
			continue
		}
		pending.Chain, pending.Work = max(pending.Chain, step.Priority), pending.Work+step.Expected
	}
	pending.Ready, pending.Waiting = counts[store.Ready], counts[store.Waiting]
	steps, p, err := s.RunProgress(t.Context(), run)
	var short []store.Step
	for _, b := range begun {
		x := store.Step{ID: b.ID, Run: b.Run, Kind: b.Kind, Target: b.Target, Package: b.Package, State: b.State, Priority: b.Priority, Expected: b.Expected, Started: b.Started, Finished: b.Finished, RootStep: b.RootStep, Result: []byte{}}
		if b.State == store.Succeeded && b.Kind == store.Build {
			x.Result = b.Result
		}
		short = append(short, x)
	}
	if err != nil || p != pending || !reflect.DeepEqual(steps, short) && len(steps)+len(short) > 0 {
		t.Errorf("progress is %+v and %+v, want %+v and %+v; %v", steps, p, short, pending, err)
	}
	var failed []store.Step
	blocked := map[int64]int{}
	for _, step := range begun {
		switch step.State {
		case store.Failed:
			failed = append(failed, step)
		case store.Blocked:
			blocked[step.RootStep]++
		}
	}
	steps, blocks, err := s.RunFailures(t.Context(), run)
	if err != nil || !reflect.DeepEqual(steps, failed) && len(steps)+len(failed) > 0 || !maps.Equal(blocks, blocked) {
		t.Errorf("failures are %+v and block %v, want %+v and %v; %v", steps, blocks, failed, blocked, err)
	}
	if got := must[map[int64]map[store.StepState]int](t)(s.StepCounts(t.Context(), store.Build, []int64{run}))[run]; !maps.Equal(got, counts) {
		t.Errorf("counted %v, want %v", got, counts)
	}
	got := must[map[int64]map[store.StepState]int](t)(s.StepCounts(t.Context(), store.Build, []int64{run}, store.Failed, store.Ready))[run]
	maps.DeleteFunc(counts, func(state store.StepState, _ int) bool { return state != store.Failed && state != store.Ready })
	if !maps.Equal(got, counts) {
		t.Errorf("counted %v of two states, want %v", got, counts)
	}
}

func TestRetry(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		p, w := project(t, s, "web"), worker(t, s, "w")
		r := run(t, s, p.ID, build("a", 9), build("b", 8, "a"), build("c", 7, "b"), build("x", 6), build("y", 5, "x", "a"), build("z", 4))
		ids := map[string]int64{}
		for _, step := range must[[]store.Step](t)(s.RunSteps(t.Context(), r.ID)) {
			ids[step.Key] = step.ID
		}
		retry := func(r store.Retry, want ...string) {
			t.Helper()
			planned := must[[]store.Step](t)(s.PlanRetry(t.Context(), r))
			if got := keys(planned); !slices.Equal(got, want) {
				t.Errorf("planned %q, want %q", got, want)
			}
			var done []store.Step
			write(t, s, func(tx *store.Tx) (err error) {
				done, err = tx.Retry(t.Context(), r)
				return err
			})
			if got := keys(done); !slices.Equal(got, want) {
				t.Errorf("done %q, want %q", got, want)
			}
		}
		finishAll(t, s, w, "a", "x")
		sameProgress(t, s, r.ID)
		wantStates(t, s, r.ID, map[string]string{"a": "failed", "b": "blocked by a==1.0", "c": "blocked by a==1.0", "x": "failed", "z": "succeeded"})
		// One of two roots: what the other blocks stays blocked.
		retry(store.Retry{Run: r.ID, Steps: []int64{ids["a"]}}, "a", "b", "c")
		sameProgress(t, s, r.ID)
		if state := runState(t, s, r.ID); state != store.RunRunning {
			t.Errorf("the run is %s", state)
		}
		if got := finishAll(t, s, w, "b"); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("order %q", got)
		}
		if state := runState(t, s, r.ID); state != store.RunFailed {
			t.Errorf("the run is %s", state)
		}
		// A blocked step brings what blocks it.
		retry(store.Retry{Run: r.ID, Steps: []int64{ids["c"]}}, "b", "c")
		finishAll(t, s, w)
		retry(store.Retry{Run: r.ID, Failed: true}, "x", "y")
		finishAll(t, s, w)
		if state := runState(t, s, r.ID); state != store.RunSucceeded {
			t.Errorf("the run is %s: %v", state, states(t, s, r.ID))
		}
		retry(store.Retry{Run: r.ID, Steps: []int64{ids["z"]}}, "z")
		retry(store.Retry{Run: r.ID, Steps: []int64{ids["a"]}, Dependents: true}, "a", "b", "c", "y")
		if got := finishAll(t, s, w); !slices.Equal(got, []string{"a", "b", "c", "y", "z"}) {
			t.Errorf("order %q", got)
		}
		retry(store.Retry{Run: r.ID, All: true}, "a", "b", "c", "x", "y", "z")
		// While it runs: what has not begun waits again.
		finish(t, s, claim(t, s, w), store.Succeeded) // a
		wantStates(t, s, r.ID, map[string]string{"a": "succeeded", "b": "ready"})
		retry(store.Retry{Run: r.ID, Steps: []int64{ids["a"]}, Dependents: true}, "a")
		wantStates(t, s, r.ID, map[string]string{"a": "ready", "b": "waiting", "c": "waiting"})
		if got := finishAll(t, s, w); !slices.Equal(got, []string{"a", "b", "x", "c", "y", "z"}) {
			t.Errorf("order %q", got)
		}
		if state := runState(t, s, r.ID); state != store.RunSucceeded {
			t.Errorf("the run is %s: %v", state, states(t, s, r.ID))
		}
		if n := len(must[[]store.Attempt](t)(s.Attempts(t.Context(), ids["a"]))); n != 5 {
			t.Errorf("%d attempts of a are kept", n)
		}
		if _, err := s.PlanRetry(t.Context(), store.Retry{Run: r.ID, Steps: []int64{ids["a"] + 1000}}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a step of another run: %v", err)
		}
		// A cancelled run goes on where it was.
		write(t, s, func(tx *store.Tx) error {
			if _, err := tx.Retry(t.Context(), store.Retry{Run: r.ID, All: true}); err != nil {
				return err
			}
			return tx.CancelRun(t.Context(), r.ID, "by me")
		})
		if state := runState(t, s, r.ID); state != store.RunCancelled {
			t.Errorf("the run is %s", state)
		}
		retry(store.Retry{Run: r.ID, Failed: true}, "a", "b", "c", "x", "y", "z")
		finishAll(t, s, w)
		if state := runState(t, s, r.ID); state != store.RunSucceeded {
			t.Errorf("the run is %s: %v", state, states(t, s, r.ID))
		}
	})
}
