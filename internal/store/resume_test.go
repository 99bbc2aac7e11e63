package store_test

import (
	"testing"

	"reqpm/internal/store"
)

// Whatever state a run is in, Resume leaves none in which nothing moves any more; where all is well it
// changes nothing.
func TestResume(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		p := must[store.Project](t)(s.CreateProject(ctx, store.Project{Name: "app", GitURL: "https://git.example.org/app"}))
		start := func(steps ...store.NewStep) (run store.Run) {
			t.Helper()
			write(t, s, func(tx *store.Tx) (err error) {
				if run, _, err = tx.CreateRun(ctx, store.Run{Project: p.ID}, false); err != nil || len(steps) == 0 {
					return err
				}
				return tx.AddSteps(ctx, run.ID, steps)
			})
			return run
		}
		step := func(key string, needs ...string) store.NewStep {
			return store.NewStep{Key: key, Kind: store.Build, Package: key, Needs: needs}
		}
		resume := func() (r store.Resumed) {
			t.Helper()
			stuck := must[bool](t)(s.Stuck(ctx))
			write(t, s, func(tx *store.Tx) (err error) { r, err = tx.Resume(ctx); return err })
			if stuck != r.Some() {
				t.Errorf("stuck: %v, but %+v", stuck, r)
			}
			return r
		}
		lost := start(step("a"), step("b", "a"))
		if r := resume(); r.Some() {
			t.Errorf("all is well, but %+v", r)
		}
		states := func(run store.Run) (text string) {
			for _, s := range must[[]store.Step](t)(s.RunSteps(ctx, run.ID)) {
				text += s.Key + " " + string(s.State) + " "
			}
			return text
		}
		for _, spoil := range []struct {
			what, statement string
			run             store.Run
			want            string
		}{
			{"a step of no worker", "UPDATE steps SET state = 'running', worker = 99, attempt = 1 WHERE step_key = 'a'", lost, "a ready b waiting "},
			{"a wrong count", "UPDATE steps SET waiting = 7, state = 'waiting' WHERE step_key = 'c'", start(step("c")), "c ready "},
			{"a failure that nobody heard of", "UPDATE steps SET state = 'failed', finished = 1 WHERE step_key = 'd'", start(step("d"), step("e", "d"), step("f", "e")), "d failed e blocked f blocked "},
			{"an end that nobody noted", "UPDATE steps SET state = 'succeeded', finished = 1 WHERE step_key = 'g'", start(step("g")), "g succeeded "},
		} {
			if err := s.Spoil(ctx, spoil.statement); err != nil {
				t.Fatal(err)
			}
			if r := resume(); !r.Some() {
				t.Errorf("%s: nothing was done", spoil.what)
			}
			if got := states(spoil.run); got != spoil.want {
				t.Errorf("%s: %s, want %s", spoil.what, got, spoil.want)
			}
			run := must[store.Run](t)(s.Run(ctx, spoil.run.ID))
			if ended := spoil.want[0] >= 'd'; run.State.Ended() != ended {
				t.Errorf("%s: the run is %s", spoil.what, run.State)
			}
		}
		first := start(step("h"))
		var next store.Run
		write(t, s, func(tx *store.Tx) (err error) {
			if next, _, err = tx.CreateRun(ctx, store.Run{Project: p.ID, Behind: first.ID}, false); err != nil {
				return err
			}
			return tx.AddSteps(ctx, next.ID, []store.NewStep{step("i")})
		})
		if r := resume(); r.Some() || states(next) != "i waiting " {
			t.Errorf("a run that waits for another is not stuck: %+v %s", r, states(next))
		}
		empty := start()
		if r := resume(); len(r.Empty) != 1 || r.Empty[0].ID != empty.ID {
			t.Errorf("a run without steps: %+v", r)
		}
	})
}
