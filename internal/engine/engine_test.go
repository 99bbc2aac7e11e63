package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reqpm/internal/engine"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv("REQPM_TEST_WORKER"); url != "" {
		fmt.Fprintln(os.Stderr, workerProcess(url, os.Getenv("REQPM_TEST_NAME")))
		os.Exit(1)
	}
	os.Exit(storetest.Run(m))
}

// house is a database and what runs on it.
type house struct {
	t     *testing.T
	url   string
	store *store.Store

	mu      sync.Mutex
	started []string // "KEY.ATTEMPT", in order
	ended   []string // keys that succeeded, in order
}

func each(t *testing.T, test func(h *house)) {
	storetest.Each(t, func(t *testing.T, url string) {
		test(&house{t: t, url: url, store: storetest.Open(t, url)})
	})
}

// handler notes that the step runs, does what do says, and notes that it succeeded.
func (h *house) handler(do func(ctx context.Context, s store.Step) (engine.Result, error)) engine.Handler {
	return func(ctx context.Context, s store.Step) (engine.Result, error) {
		h.mu.Lock()
		h.started = append(h.started, fmt.Sprintf("%s.%d", s.Key, s.Attempt))
		h.mu.Unlock()
		result, err := do(ctx, s)
		if err == nil {
			h.mu.Lock()
			h.ended = append(h.ended, s.Key)
			h.mu.Unlock()
		}
		return result, err
	}
}

func succeed(context.Context, store.Step) (engine.Result, error) { return engine.Result{}, nil }

// hang waits for the end of its context.
func hang(ctx context.Context, _ store.Step) (engine.Result, error) {
	<-ctx.Done()
	return engine.Result{}, context.Cause(ctx)
}

func (h *house) config(name string, do engine.Handler) engine.Config {
	handler := h.handler(do)
	return engine.Config{
		Store: h.store, Name: name, Slots: 2, Lease: time.Second, Poll: 20 * time.Millisecond, Grace: 500 * time.Millisecond, BackOff: []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond},
		Handlers: map[store.Kind]engine.Handler{store.Build: handler, store.Plan: handler},
	}
}

// start runs an engine until the test's end, or until the returned function was called.
func (h *house) start(cfg engine.Config) (*engine.Engine, func()) {
	h.t.Helper()
	e, err := engine.New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			h.t.Errorf("run: %v", err)
		}
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		<-done
	})
	h.t.Cleanup(stop)
	return e, stop
}

func (h *house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.store.Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) project(name string) int64 {
	h.t.Helper()
	p, err := h.store.CreateProject(h.t.Context(), store.Project{Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return p.ID
}

func (h *house) run(project int64, steps ...store.NewStep) int64 {
	h.t.Helper()
	var id int64
	h.write(func(tx *store.Tx) error {
		r, _, err := tx.CreateRun(h.t.Context(), store.Run{Project: project}, false)
		if err != nil {
			return err
		}
		id = r.ID
		return tx.AddSteps(h.t.Context(), r.ID, steps)
	})
	return id
}

func build(key string, seconds float64, needs ...string) store.NewStep {
	return store.NewStep{Key: key, Kind: store.Build, Target: "el9", Package: key + "==1", Expected: seconds, Needs: needs}
}

// await waits until something holds, and fails after within.
func (h *house) await(what string, within time.Duration, holds func() bool) time.Duration {
	h.t.Helper()
	begin := time.Now()
	for !holds() {
		if time.Since(begin) > within {
			h.t.Fatalf("%s: not within %v", what, within)
		}
		select {
		case <-h.store.Changed():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return time.Since(begin)
}

func (h *house) steps(run int64) map[string]store.Step {
	h.t.Helper()
	steps, err := h.store.RunSteps(h.t.Context(), run)
	if err != nil {
		h.t.Fatal(err)
	}
	all := map[string]store.Step{}
	for _, s := range steps {
		all[s.Key] = s
	}
	return all
}

func (h *house) state(run int64, key string) store.StepState { return h.steps(run)[key].State }

func (h *house) awaitRun(run int64, want store.RunState, within time.Duration) time.Duration {
	h.t.Helper()
	took := h.await(fmt.Sprintf("run %d ends", run), within, func() bool {
		r, err := h.store.Run(h.t.Context(), run)
		if err != nil {
			h.t.Fatal(err)
		}
		return r.State.Ended()
	})
	if r, err := h.store.Run(h.t.Context(), run); err != nil || r.State != want {
		h.t.Errorf("the run is %s, want %s (%v)", r.State, want, err)
	}
	return took
}

// Whatever the graph: nothing runs before what it needs has succeeded, everything runs once, and the run
// succeeds. Two workers, each with a connection of its own, share the work.
func TestRandomGraphs(t *testing.T) {
	each(t, func(h *house) {
		project := h.project("p")
		for _, name := range []string{"one", "two"} {
			cfg := h.config(name, succeed)
			cfg.Lease = time.Minute // on a busy machine a second without a sign of life is no death
			cfg.Store = storetest.Open(h.t, h.url)
			h.start(cfg)
		}
		rapid.Check(h.t, func(rt *rapid.T) {
			h.mu.Lock()
			h.started, h.ended = nil, nil
			h.mu.Unlock()
			var steps []store.NewStep
			n := rapid.IntRange(1, 15).Draw(rt, "steps")
			for i := range n {
				s := build(fmt.Sprintf("s%d", i), rapid.Float64Range(0, 100).Draw(rt, "seconds"))
				for j := range i {
					switch rapid.IntRange(0, 4).Draw(rt, "edge") {
					case 0:
						s.Needs = append(s.Needs, fmt.Sprintf("s%d", j))
					case 1:
						s.After = append(s.After, fmt.Sprintf("s%d", j))
					}
				}
				steps = append(steps, s)
			}
			run := h.run(project, steps...)
			h.awaitRun(run, store.RunSucceeded, 30*time.Second)
			h.mu.Lock()
			defer h.mu.Unlock()
			place := map[string]int{}
			for i, key := range h.ended {
				place[key] = i
			}
			if len(place) != n || len(h.ended) != n || len(h.started) != n {
				rt.Fatalf("%d steps, %d started, %d ended", n, len(h.started), len(h.ended))
			}
			for _, s := range steps {
				for _, need := range slices.Concat(s.Needs, s.After) {
					if place[need] > place[s.Key] {
						rt.Fatalf("%s ended before %s, which it waits for", s.Key, need)
					}
				}
			}
		})
	})
}

// A step that a handler adds runs after it; what it returned is kept.
func TestHandlerAddsSteps(t *testing.T) {
	each(t, func(h *house) {
		h.start(h.config("one", func(_ context.Context, s store.Step) (engine.Result, error) {
			if s.Kind != store.Plan {
				return engine.Result{}, nil
			}
			return engine.Result{Data: []byte(`{"packages":2}`), Add: []store.NewStep{build("a", 1), build("b", 1, "a")}}, nil
		}))
		run := h.run(h.project("p"), store.NewStep{Key: "plan", Kind: store.Plan})
		h.awaitRun(run, store.RunSucceeded, 10*time.Second)
		steps := h.steps(run)
		if len(steps) != 3 || string(steps["plan"].Result) != `{"packages":2}` || steps["b"].State != store.Succeeded {
			h.t.Errorf("%+v", steps)
		}
	})
}

// The package's own failure is final and blocks what needs it; the machine's is tried again three times.
func TestFailures(t *testing.T) {
	each(t, func(h *house) {
		h.start(h.config("one", func(_ context.Context, s store.Step) (engine.Result, error) {
			switch {
			case s.Key == "flaky" && s.Attempt < 4, s.Key == "dead":
				return engine.Result{}, fmt.Errorf("mount: %w", engine.ErrInfrastructure)
			case s.Key == "broken":
				return engine.Result{}, errors.New("gcc: x.c:1: error\x00")
			case s.Key == "panics":
				panic("index out of range")
			}
			return engine.Result{}, nil
		}))
		run := h.run(h.project("p"), build("flaky", 1), build("after-flaky", 1, "flaky"), build("broken", 1), build("b1", 1, "broken"), build("b2", 1, "b1", "flaky"), build("dead", 1), build("panics", 1))
		h.awaitRun(run, store.RunFailed, 20*time.Second)
		steps := h.steps(run)
		for key, want := range map[string]string{"flaky": "succeeded 4 ", "after-flaky": "succeeded 1 ", "broken": "failed 1 ", "b1": "blocked 0 broken==1", "b2": "blocked 0 broken==1", "dead": "failed 4 ", "panics": "failed 1 "} {
			s := steps[key]
			if got := fmt.Sprintf("%s %d %s", s.State, s.Attempt, s.Root); got != want {
				h.t.Errorf("%s: %s, want %s (%s)", key, got, want, s.Cause)
			}
		}
		if cause := steps["panics"].Cause; cause != "internal error: index out of range" {
			h.t.Errorf("cause: %s", cause)
		}
	})
}

// dead is an engine whose process is gone: its handlers hang, and its database does not answer it any more.
func (h *house) dead(cfg engine.Config, until func() bool) {
	h.t.Helper()
	own, err := store.Open(h.t.Context(), store.Config{URL: h.url})
	if err != nil {
		h.t.Fatal(err)
	}
	cfg.Store = own
	e, err := engine.New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.Run(ctx) // cannot say goodbye
	}()
	h.await("the worker has work", 10*time.Second, until)
	if err := own.Close(); err != nil {
		h.t.Error(err)
	}
	h.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// What a worker that died had goes on elsewhere when its lease has ended, and not before; when the caller vouches
// that it is dead, at once.
func TestWorkerDies(t *testing.T) {
	each(t, func(h *house) {
		run := h.run(h.project("p"), build("a", 1), build("b", 1, "a"))
		h.dead(h.config("dies", hang), func() bool { return h.state(run, "a") == store.Running })
		h.start(h.config("other", succeed))
		took := h.awaitRun(run, store.RunSucceeded, 6*time.Second)
		if took < 600*time.Millisecond {
			h.t.Errorf("it was given up after %v, with a lease of 1 s", took)
		}
		if s := h.steps(run)["a"]; s.Attempt != 2 || s.Losses != 1 {
			h.t.Errorf("%+v", s)
		}
	})
	each(t, func(h *house) {
		run := h.run(h.project("p"), build("a", 1))
		cfg := h.config("same", hang)
		cfg.Lease = time.Hour
		h.dead(cfg, func() bool { return h.state(run, "a") == store.Running })
		cfg = h.config("same", succeed)
		cfg.Takeover = true
		h.start(cfg)
		h.awaitRun(run, store.RunSucceeded, 3*time.Second)
	})
}

// A worker that was given up while it lives learns it, its result is dropped, and it works on as a new one.
func TestZombie(t *testing.T) {
	each(t, func(h *house) {
		release, lost := make(chan struct{}), make(chan error, 1)
		e, _ := h.start(h.config("zombie", func(ctx context.Context, s store.Step) (engine.Result, error) {
			if s.Attempt == 1 {
				<-ctx.Done()
				lost <- context.Cause(ctx)
				<-release
			}
			return engine.Result{Data: fmt.Appendf(nil, `{"attempt":%d}`, s.Attempt)}, nil
		}))
		run := h.run(h.project("p"), build("a", 1))
		h.await("it runs", 5*time.Second, func() bool { return h.state(run, "a") == store.Running })
		first := e.Worker()
		h.write(func(tx *store.Tx) error {
			_, err := tx.LoseWorker(h.t.Context(), first.ID, -1, 10)
			return err
		})
		if err := <-lost; !errors.Is(err, engine.ErrLostLease) {
			h.t.Errorf("the handler was told: %v", err)
		}
		h.awaitRun(run, store.RunSucceeded, 5*time.Second)
		close(release)
		if s := h.steps(run)["a"]; string(s.Result) != `{"attempt":2}` {
			h.t.Errorf("result %s of attempt %d", s.Result, s.Attempt)
		}
		if e.Worker().ID == first.ID {
			h.t.Error("it is still the worker that was given up")
		}
	})
}

// Cancelling ends what waits at once, and what runs soon, even when its handler does not listen.
func TestCancel(t *testing.T) {
	each(t, func(h *house) {
		free := make(chan struct{})
		defer close(free)
		cfg := h.config("one", func(ctx context.Context, s store.Step) (engine.Result, error) {
			if s.Key == "deaf" {
				<-free
				return engine.Result{}, nil
			}
			return hang(ctx, s)
		})
		cfg.Store = storetest.Open(h.t, h.url) // as if in another process
		_, stop := h.start(cfg)
		project := h.project("p")
		run := h.run(project, build("deaf", 9), build("hears", 8), build("waits", 7), build("later", 1, "hears"))
		h.await("both run", 5*time.Second, func() bool {
			return h.state(run, "deaf") == store.Running && h.state(run, "hears") == store.Running
		})
		h.write(func(tx *store.Tx) error { return tx.CancelRun(h.t.Context(), run, "cancelled by me") })
		if steps := h.steps(run); steps["waits"].State != store.Cancelled || steps["later"].State != store.Cancelled {
			h.t.Errorf("%s %s", steps["waits"].State, steps["later"].State)
		}
		h.awaitRun(run, store.RunCancelled, 3*time.Second)
		single := h.run(project, build("x", 1), build("y", 1, "x"))
		h.await("it runs", 5*time.Second, func() bool { return h.state(single, "x") == store.Running })
		h.write(func(tx *store.Tx) error { return tx.CancelStep(h.t.Context(), h.steps(single)["x"].ID, "by me") })
		h.awaitRun(single, store.RunCancelled, 3*time.Second)
		if y := h.steps(single)["y"]; y.State != store.Blocked || y.Root != "x==1" {
			h.t.Errorf("what needs a cancelled step: %s by %s", y.State, y.Root)
		}
		stop()
	})
}

// A worker that stops hands its steps back at once; one that drains ends them first.
func TestStopAndDrain(t *testing.T) {
	each(t, func(h *house) {
		_, stop := h.start(h.config("stops", hang))
		project := h.project("p")
		run := h.run(project, build("a", 1))
		h.await("it runs", 5*time.Second, func() bool { return h.state(run, "a") == store.Running })
		stop()
		if s := h.steps(run)["a"]; s.State != store.Ready || s.Losses != 0 || s.InfraFailures != 0 {
			h.t.Errorf("%s, %d losses", s.State, s.Losses)
		}
		release := make(chan struct{})
		cfg := h.config("drains", func(ctx context.Context, s store.Step) (engine.Result, error) {
			<-release
			return engine.Result{}, nil
		})
		cfg.Schedules = []engine.Schedule{{Name: "now and then", Every: "6h", Do: func(context.Context) (string, error) { return "", nil }}}
		e, err := engine.New(cfg)
		if err != nil {
			h.t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- e.Run(h.t.Context()) }()
		h.await("it runs again", 5*time.Second, func() bool { return h.state(run, "a") == store.Running })
		e.Drain()
		second := h.run(project, build("b", 1))
		close(release)
		if err := <-ended; err != nil {
			h.t.Fatal(err)
		}
		if h.state(run, "a") != store.Succeeded || h.state(second, "b") != store.Ready {
			h.t.Errorf("%s %s", h.state(run, "a"), h.state(second, "b"))
		}
		if w, err := h.store.Worker(h.t.Context(), e.Worker().ID); err != nil || w.State != store.WorkerGone {
			h.t.Errorf("%+v %v", w, err)
		}
	})
}

// Events arrive once and in order, from any process, from the number on that the listener knows.
func TestEvents(t *testing.T) {
	each(t, func(h *house) {
		cfg := h.config("one", succeed)
		cfg.Store = storetest.Open(h.t, h.url)
		h.start(cfg)
		listener, _ := h.start(engine.Config{Store: h.store, Poll: 20 * time.Millisecond, Lease: time.Second})
		project := h.project("p")
		other := h.run(h.project("other"), build("x", 1))
		run := h.run(project, build("a", 1), build("b", 1, "a"))
		h.awaitRun(run, store.RunSucceeded, 10*time.Second)
		h.awaitRun(other, store.RunSucceeded, 10*time.Second)
		var all []store.Event
		for event, err := range listener.Events(h.t.Context(), 0, store.EventFilter{Project: project}) {
			if err != nil {
				h.t.Fatal(err)
			}
			if event.Project != project {
				h.t.Errorf("of another project: %+v", event)
			}
			all = append(all, event)
			if event.Kind == "run" && string(event.Data) == `{"state":"succeeded"}` {
				break
			}
		}
		for i := 1; i < len(all); i++ {
			if all[i].ID <= all[i-1].ID {
				h.t.Errorf("event %d after %d", all[i].ID, all[i-1].ID)
			}
		}
		var rest []store.Event
		for event, err := range listener.Events(h.t.Context(), all[2].ID, store.EventFilter{Project: project}) {
			if err != nil {
				h.t.Fatal(err)
			}
			if rest = append(rest, event); len(rest) == len(all)-3 {
				break
			}
		}
		if rest[0].ID != all[3].ID || rest[len(rest)-1].ID != all[len(all)-1].ID {
			h.t.Errorf("resumed at %d, want %d", rest[0].ID, all[3].ID)
		}
		// And as they happen.
		next := make(chan store.Event, 100)
		ctx, cancel := context.WithCancel(h.t.Context())
		defer cancel()
		go func() {
			defer close(next)
			for event, err := range listener.Events(ctx, all[len(all)-1].ID, store.EventFilter{Project: project}) {
				if err != nil {
					return
				}
				next <- event
			}
		}()
		h.write(func(tx *store.Tx) error {
			_, err := tx.AddLogEntry(h.t.Context(), store.LogEntry{Project: project, Level: "info", Message: "hello"})
			return err
		})
		select {
		case event := <-next:
			if event.Kind != "log" {
				h.t.Errorf("%+v", event)
			}
		case <-time.After(5 * time.Second):
			h.t.Error("an event that happens while one listens is not seen")
		}
	})
}
