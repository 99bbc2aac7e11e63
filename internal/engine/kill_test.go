package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/engine"
	"reqpm/internal/store"
)

// workerProcess is what this test program becomes when it is started as a worker: it works until it is killed.
func workerProcess(url, name string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Config{Store: s, Name: name, Slots: 3, Lease: killLease, Poll: 20 * time.Millisecond, MaxLosses: 1000, Handlers: map[store.Kind]engine.Handler{
		store.Plan: func(_ context.Context, s store.Step) (engine.Result, error) {
			var add []store.NewStep
			for i := range 20 {
				step := build(fmt.Sprintf("s%d", i), 1)
				for j := max(0, i-3); j < i; j += 2 {
					step.Needs = append(step.Needs, fmt.Sprintf("s%d", j))
				}
				add = append(add, step)
			}
			return engine.Result{Add: add}, nil
		},
		store.Build: func(ctx context.Context, _ store.Step) (engine.Result, error) {
			select {
			case <-ctx.Done():
			case <-time.After(rand.N(200 * time.Millisecond)):
			}
			return engine.Result{}, context.Cause(ctx)
		},
	}})
	if err != nil {
		return err
	}
	return e.Run(ctx)
}

const killLease = 3 * time.Second

// TestKills kills worker processes at random moments, REQPM_KILLS of them on each database: every step succeeds
// exactly once, none before what it needs, and what a killed one had goes on within its lease and 5 s.
func TestKills(t *testing.T) {
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("REQPM_KILLS")); err == nil {
		rounds = n
	} else if testing.Short() {
		t.Skip("starts and kills processes")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(h *house) {
		runtime.LockOSThread() // workers die with it, should this test be killed itself
		project := h.project("p")
		spawn := func(i int) *exec.Cmd {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), "REQPM_TEST_WORKER="+h.url, fmt.Sprintf("REQPM_TEST_NAME=w%d", i))
			cmd.Stderr = os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return cmd
		}
		workers := []*exec.Cmd{spawn(0), spawn(1)}
		kill := func(cmd *exec.Cmd) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		defer func() {
			for _, cmd := range workers {
				kill(cmd)
			}
		}()
		var runs []int64
		for range rounds/5 + 1 {
			runs = append(runs, h.run(project, store.NewStep{Key: "plan", Kind: store.Plan}))
		}
		longest := time.Duration(0)
		for range rounds {
			h.await("something runs", time.Minute, func() bool { return len(h.running()) > 0 || h.over(runs) })
			select {
			case <-time.After(rand.N(500 * time.Millisecond)):
			case <-t.Context().Done():
			}
			i := rand.IntN(len(workers))
			kill(workers[i])
			lost := h.running()
			killed := time.Now()
			workers[i] = spawn(i)
			// What ran when it died is not running in that attempt any more, whoever had it.
			h.await("the lost steps go on", time.Minute, func() bool {
				now := h.running()
				return !slices.ContainsFunc(lost, func(s string) bool { return slices.Contains(now, s) })
			})
			longest = max(longest, time.Since(killed))
		}
		for _, run := range runs {
			h.awaitRun(run, store.RunSucceeded, 2*time.Minute)
		}
		t.Logf("%d kills; the longest until everything lost was done or begun again: %v", rounds, longest)
		if longest > killLease+5*time.Second {
			t.Errorf("work was resumed after %v, with a lease of %v", longest, killLease)
		}
		for _, run := range runs {
			h.checkOnce(run)
		}
	})
}

// running are "STEP.ATTEMPT" of what runs.
func (h *house) running() []string {
	h.t.Helper()
	part, err := h.store.Steps(h.t.Context(), store.StepFilter{States: []store.StepState{store.Running}}, store.Page{Limit: 500})
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, s := range part.Items {
		all = append(all, fmt.Sprintf("%d.%d", s.ID, s.Attempt))
	}
	return all
}

func (h *house) over(runs []int64) bool {
	for _, id := range runs {
		if r, err := h.store.Run(h.t.Context(), id); err != nil || !r.State.Ended() {
			return false
		}
	}
	return true
}

// checkOnce looks that each step succeeded in exactly one attempt, after what it needs.
func (h *house) checkOnce(run int64) {
	h.t.Helper()
	steps := h.steps(run)
	if len(steps) != 21 {
		h.t.Errorf("run %d has %d steps, want 21", run, len(steps))
	}
	for key, s := range steps {
		attempts, err := h.store.Attempts(h.t.Context(), s.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		succeeded := 0
		for _, a := range attempts {
			if a.State == store.Succeeded {
				succeeded++
			}
		}
		if succeeded != 1 || s.State != store.Succeeded {
			h.t.Errorf("%s is %s and succeeded %d times in %d attempts", key, s.State, succeeded, len(attempts))
		}
		needs, err := h.store.Needs(h.t.Context(), s.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, need := range needs {
			if need.Finished.After(s.Started) {
				h.t.Errorf("%s started before %s had ended", key, need.Key)
			}
		}
	}
}
