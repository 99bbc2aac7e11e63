// Package engine runs steps: it claims them from the store, gives them to handlers, and sees to it that what
// happens to a worker never happens to a step.
//
//	New → Run (until its context ends, or Drain and all is done)
//
// Everything is asked for by writing to the store (AddSteps, CancelRun, SetLimit, …), from any
// process: engines notice at once in the same process, and within Poll in others. A process without an engine may
// do so too.
//
// Leases are of workers: each gives a sign of life every third of its lease. Every engine watches every worker's
// signs by its own monotonic clock; a worker without one for a whole lease is given up, and its steps are
// queued again with a new attempt. The old attempt is the fencing token: whatever a zombie says later
// is ErrLost, and changes nothing. So clocks may differ and jump.
//
// There is no River here, which the first design had for tickets. What it has to give (fetching, priorities 1
// to 4, periodic jobs kept in memory) is what the claim on our own step table does in one transaction,
// by expected path, project, target and worker; what is needed besides (leases, fencing, global limits, the graph)
// River does not have, so a ticket would only be a second queue that can disagree with the first, fetched every
// 100 ms (83 steps a second with 8 workers, measured with v0.49.0). BenchmarkDispatch in store measures the claim.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"reqpm/internal/store"
)

// ErrInfrastructure is what a handler's error wraps when the machine failed (disk, network, a tool that
// cannot start) and not the package: the step is tried again, up to three times, later and elsewhere.
var ErrInfrastructure = errors.New("the infrastructure failed")

// Why a handler's context ended (context.Cause).
var (
	ErrCancelled = errors.New("cancelled")                         // somebody asked for it
	ErrStopping  = errors.New("the worker is stopping")            // the step is handed back
	ErrLostLease = errors.New("the step was given to another one") // nothing that is done for it counts any more
)

// Result is what a handler that succeeded leaves behind.
type Result struct {
	Data  json.RawMessage // the step's result
	Found bool            // the work had been done before: how long this took says nothing of the next time
	// Add are steps that are added to the run, in the transaction that ends this one. A key that the run
	// has already stays what it is.
	Add []store.NewStep
}

// Handler does a step. It may be called again for the same step, with a higher Attempt, after a worker was lost
// or infrastructure failed: what it does outside the store must bear that. It should return soon after
// its context has ended; see the causes above.
type Handler func(ctx context.Context, s store.Step) (Result, error)

// Config is what an engine needs. Store must be set; the rest has defaults.
type Config struct {
	Store *store.Store
	// Handlers by kind of step; an engine without any watches others and runs schedules.
	Handlers map[store.Kind]Handler
	Name     string // of the worker; default: the host's name
	Slots    int    // builds at once, unless a limit says otherwise; default 1
	Others   int    // steps of other kinds at once, beside the builds; default 2
	Labels   map[string]string
	Versions map[string]string
	Lease    time.Duration // default 60 s
	Poll     time.Duration // how often other processes' doings are looked for; default 150 ms
	Grace    time.Duration // that a handler has to end in once it should; default 10 s
	// BackOff is how long a step waits after infrastructure failed for the first, second, … time; after the last it
	// has failed. Default: 5, 20 and 80 s.
	BackOff []time.Duration
	// MaxLosses is how often a step may lose its worker before it is held to be the reason; default 20.
	MaxLosses int64
	DiskSize  int64 // bytes of the disk where builds are made; 0: unknown
	// Health says how many bytes are free where builds are made (-1: unknown), and why nothing should
	// be started now ("" when it may): disk full, no mock. Asked every few seconds.
	Health func() (free int64, problem string)
	// Schedules are run by one of the engines that have them.
	Schedules []Schedule
	// Takeover says that no other worker of this name can be alive, because the caller holds a lock: what
	// an earlier one had is queued again at once, and not after its lease.
	Takeover bool
	// Now is the clock that schedules go by, and its zone the one of times of day; default time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Engine is a worker and watcher. Its methods may be called from any goroutine.
type Engine struct {
	cfg   Config
	store *store.Store
	log   *slog.Logger
	hub   *hub

	wake    chan struct{} // something may be claimable
	unheard bool          // a claim may have been committed although it failed; the dispatcher's own

	mu       sync.Mutex
	worker   store.Worker // ID 0: not registered
	running  map[int64]*running
	draining bool
	problem  string // why nothing is started
	free     int64

	steps sync.WaitGroup

	schedules map[string]int64 // that run here: which start of each
}

// running is a step in this process.
type running struct {
	step   store.Step
	cancel context.CancelCauseFunc
}

// New checks the configuration. Nothing happens before Run.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil {
		return nil, errors.New("an engine needs a store")
	}
	if cfg.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("name the worker: %w", err)
		}
		cfg.Name = host
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Health == nil {
		cfg.Health = func() (int64, string) { return -1, "" }
	}
	if cfg.BackOff == nil {
		cfg.BackOff = []time.Duration{5 * time.Second, 20 * time.Second, 80 * time.Second}
	}
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&cfg.Lease, time.Minute)
	def(&cfg.Poll, 150*time.Millisecond)
	def(&cfg.Grace, 10*time.Second)
	if cfg.Slots <= 0 {
		cfg.Slots = 1
	}
	if cfg.Others <= 0 {
		cfg.Others = 2
	}
	if cfg.MaxLosses <= 0 {
		cfg.MaxLosses = 20
	}
	for _, s := range cfg.Schedules {
		if _, err := NextTime(s.Every, time.Now()); err != nil {
			return nil, fmt.Errorf("the schedule %s: %w", s.Name, err)
		}
	}
	return &Engine{cfg: cfg, store: cfg.Store, log: cfg.Log.With("worker", cfg.Name), hub: newHub(cfg.Store), wake: make(chan struct{}, 1), running: map[int64]*running{}, schedules: map[string]int64{}, free: -1}, nil
}

// Run works until ctx ends: steps that run then are told to stop (ErrStopping) and handed back, and so are others
// that do not stop within Grace. It also ends, by itself, when Drain was called and the last step has
// ended. Errors of the database are logged and outlived.
func (e *Engine) Run(ctx context.Context) error {
	e.look()
	if len(e.cfg.Handlers) > 0 {
		if err := e.untilDone(ctx, "register the worker", func(ctx context.Context) error { return e.register(ctx, e.cfg.Takeover) }); err != nil {
			return err
		}
	}
	// Steps outlive ctx by the time that handing them back takes.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	beating, stopBeat := context.WithCancel(inner)
	defer stopBeat()
	scheduling, stopScheduling := context.WithCancel(ctx)
	defer stopScheduling()
	var beats, loops sync.WaitGroup
	beats.Go(func() { e.beat(beating) })
	loops.Go(func() { e.reap(inner) })
	loops.Go(func() { e.hub.run(inner, e.cfg.Poll, e.log) })
	if len(e.cfg.Schedules) > 0 {
		loops.Go(func() { e.schedule(scheduling) })
	}
	e.dispatch(ctx, inner)
	stopScheduling() // one that drained ends while ctx goes on
	// Handlers have Grace to stop, and the database as long again to hear of it; what is not written down then
	// is queued again when the lease has ended.
	defer time.AfterFunc(2*e.cfg.Grace, stop).Stop()
	e.stopAll(ErrStopping)
	e.steps.Wait()
	stopBeat()
	beats.Wait() // or a last beat would register anew
	err := e.leave(context.WithoutCancel(ctx))
	stop()
	loops.Wait()
	return err
}

// Drain has the engine take nothing new. Run returns when what it has is done.
func (e *Engine) Drain() {
	e.mu.Lock()
	e.draining = true
	e.mu.Unlock()
	e.poke()
}

// Worker is this engine's own; ID 0: it has no handlers, or Run has not registered it yet.
func (e *Engine) Worker() store.Worker {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.worker
}

// poke has the dispatcher look.
func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// register makes this process a worker, with no steps.
func (e *Engine) register(ctx context.Context, takeover bool) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	var w store.Worker
	err = e.store.Write(ctx, func(tx *store.Tx) error {
		if takeover {
			living, err := tx.LivingWorkers(ctx)
			if err != nil {
				return err
			}
			for _, old := range living {
				if old.Name == e.cfg.Name {
					if _, err := tx.LoseWorker(ctx, old.ID, -1, e.cfg.MaxLosses); err != nil {
						return err
					}
				}
			}
		}
		var err error
		w, err = tx.AddWorker(ctx, store.Worker{Name: e.cfg.Name, Host: host, PID: int64(os.Getpid()), Slots: int64(e.cfg.Slots), Labels: e.cfg.Labels, Versions: e.cfg.Versions, DiskFree: e.freeNow(), DiskSize: e.cfg.DiskSize, Lease: e.cfg.Lease})
		return err
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.worker = w
	e.mu.Unlock()
	return nil
}

// leave says that this worker is no more, and hands back what it still has.
func (e *Engine) leave(ctx context.Context) error {
	w := e.Worker()
	if w.ID == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Grace)
	defer cancel()
	return e.store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.LoseWorker(ctx, w.ID, -1, e.cfg.MaxLosses)
		return err
	})
}

// stopAll ends the contexts of all steps that run.
func (e *Engine) stopAll(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.running {
		r.cancel(cause)
	}
}

// untilDone does something until it works or ctx ends.
func (e *Engine) untilDone(ctx context.Context, what string, do func(ctx context.Context) error) error {
	wait := 50 * time.Millisecond
	for {
		err := do(ctx)
		if err == nil || errors.Is(err, store.ErrLost) || errors.Is(err, store.ErrGraph) || errors.Is(err, store.ErrNotFound) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(context.Cause(ctx), err))
		}
		e.log.Warn("the database does not answer as it should; trying again", "what", what, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// look asks for this machine's health.
func (e *Engine) look() {
	free, problem := e.cfg.Health()
	e.mu.Lock()
	defer e.mu.Unlock()
	if problem != e.problem {
		if problem != "" {
			e.log.Warn("nothing is started here for now", "reason", problem)
		} else {
			e.log.Info("steps are started here again")
		}
	}
	e.free, e.problem = free, problem
}

func (e *Engine) freeNow() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.free
}
