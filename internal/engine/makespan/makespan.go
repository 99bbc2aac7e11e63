// Package makespan measures how well an engine keeps its slots busy: random graphs of builds that only wait,
// against the time that no order could beat.
package makespan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"reqpm/internal/engine"
	"reqpm/internal/store"
)

// ErrNotEmpty: the database has projects, whose builds must not be done by a worker that only waits.
var ErrNotEmpty = errors.New("the database is not empty")

// Config says what is measured.
type Config struct {
	Store    *store.Store // an empty one (ErrNotEmpty); it is empty again afterwards but for its worker
	Graphs   int
	Packages int   // in each graph
	Slots    []int // each graph is run once with each number
	Seed     uint64
	// Second is how long a second of a build takes: builds of 2 s to 10 min are imitated, most of some 20 s.
	Second time.Duration
	Report func(Run) // nil: nobody listens
}

// Run is one graph on a number of slots.
type Run struct {
	Graph, Slots int
	Makespan     time.Duration // from the run's creation to its end
	Bound        time.Duration // max(critical path, work ÷ slots)
	// Waits are how long after its last need's end each build began, or after a slot came free when none was.
	Waits []time.Duration
}

// Ratio is how much longer it took than the bound: 1 at best.
func (r Run) Ratio() float64 { return r.Makespan.Seconds() / r.Bound.Seconds() }

// Measure runs every graph with every number of slots, one after the other.
func Measure(ctx context.Context, cfg Config) ([]Run, error) {
	there, err := cfg.Store.Projects(ctx, store.ProjectFilter{}, store.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(there.Items) > 0 {
		return nil, fmt.Errorf("measure the makespan: %w", ErrNotEmpty)
	}
	var runs []Run
	for i := range cfg.Graphs {
		steps := Graph(rand.New(rand.NewPCG(cfg.Seed, uint64(i))), cfg.Packages)
		for _, slots := range cfg.Slots {
			r, err := measure(ctx, cfg, steps, slots)
			if err != nil {
				return nil, fmt.Errorf("measure graph %d on %d slots: %w", i, slots, err)
			}
			r.Graph = i
			runs = append(runs, r)
			if cfg.Report != nil {
				cfg.Report(r)
			}
		}
	}
	return runs, nil
}

// Graph is a random graph in the shape of a project's: most packages need few others, some are needed by
// many, and a few builds take much longer than the rest.
func Graph(random *rand.Rand, packages int) []store.NewStep {
	steps := make([]store.NewStep, packages)
	for i := range steps {
		steps[i] = store.NewStep{Key: fmt.Sprintf("p%d", i), Kind: store.Build, Target: "bench", Package: fmt.Sprintf("p%d==1", i), Labels: "bench=makespan",
			Expected: min(max(20*math.Exp(random.NormFloat64()), 2), 600)}
		for range random.IntN(4) {
			if i == 0 {
				break
			}
			// The square has the early ones needed most.
			need := fmt.Sprintf("p%d", int(float64(i)*random.Float64()*random.Float64()))
			if !slices.Contains(steps[i].Needs, need) {
				steps[i].Needs = append(steps[i].Needs, need)
			}
		}
	}
	return steps
}

// Bound is what no order of builds can beat, in seconds; needs come before who needs them.
func Bound(steps []store.NewStep, slots int) float64 {
	ends, work, path := map[string]float64{}, 0.0, 0.0
	for _, s := range steps {
		begin := 0.0
		for _, need := range s.Needs {
			begin = max(begin, ends[need])
		}
		ends[s.Key] = begin + s.Expected
		work += s.Expected
		path = max(path, ends[s.Key])
	}
	return max(path, work/float64(slots))
}

func measure(ctx context.Context, cfg Config, steps []store.NewStep, slots int) (r Run, err error) {
	project, err := cfg.Store.CreateProject(ctx, store.Project{Name: "bench-schedule"})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, cfg.Store.DeleteProject(context.WithoutCancel(ctx), project.ID)) }()
	watch := newWatch(steps, slots)
	e, err := engine.New(engine.Config{Store: cfg.Store, Name: "bench", Slots: slots, Labels: map[string]string{"bench": "makespan"}, Handlers: map[store.Kind]engine.Handler{
		store.Build: func(ctx context.Context, s store.Step) (engine.Result, error) {
			watch.begins(s.Key)
			defer watch.ends(s.Key)
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(s.Expected * float64(cfg.Second))):
			}
			return engine.Result{}, context.Cause(ctx)
		},
	}})
	if err != nil {
		return r, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	var run store.Run
	err = cfg.Store.Write(ctx, func(tx *store.Tx) error {
		var err error
		if run, _, err = tx.CreateRun(ctx, store.Run{Project: project.ID}, false); err != nil {
			return err
		}
		return tx.AddSteps(ctx, run.ID, steps)
	})
	if err != nil {
		return r, err
	}
	begin := time.Now()
	for changed := cfg.Store.Changed(); ; changed = cfg.Store.Changed() {
		if run, err = cfg.Store.Run(ctx, run.ID); err != nil {
			return r, err
		}
		if run.State.Ended() {
			break
		}
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-changed:
		}
	}
	if run.State != store.RunSucceeded {
		return r, fmt.Errorf("the run %s", run.State)
	}
	return Run{Slots: slots, Makespan: time.Since(begin), Bound: time.Duration(Bound(steps, slots) * float64(cfg.Second)), Waits: watch.waits}, nil
}

// watch sees builds begin and end.
type watch struct {
	slots int
	needs map[string][]string

	mu      sync.Mutex
	running int
	free    time.Time // when a slot came free last, of all that were taken
	ended   map[string]time.Time
	waits   []time.Duration
}

func newWatch(steps []store.NewStep, slots int) *watch {
	w := &watch{slots: slots, needs: map[string][]string{}, ended: map[string]time.Time{}}
	for _, s := range steps {
		w.needs[s.Key] = s.Needs
	}
	return w
}

func (w *watch) begins(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running++
	could := w.free
	for _, need := range w.needs[key] {
		if at := w.ended[need]; at.After(could) {
			could = at
		}
	}
	if !could.IsZero() { // one of the first, which wait for nothing but the run's making
		w.waits = append(w.waits, time.Since(could))
	}
}

func (w *watch) ends(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.running == w.slots {
		w.free = now
	}
	w.running--
	w.ended[key] = now
}

// Spread is how a measure is spread over runs.
type Spread struct {
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

// Ratios are the spread of the ratios of runs; of none it is zero.
func Ratios(runs []Run) Spread {
	var all []float64
	for _, r := range runs {
		all = append(all, r.Ratio())
	}
	return spread(all)
}

// Waits are the spread of the waits of all builds of runs, in milliseconds.
func Waits(runs []Run) Spread {
	var all []float64
	for _, r := range runs {
		for _, w := range r.Waits {
			all = append(all, float64(w.Microseconds())/1000)
		}
	}
	return spread(all)
}

func spread(all []float64) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	slices.Sort(all)
	return Spread{Median: all[len(all)/2], P95: all[(len(all)*95+99)/100-1], Max: all[len(all)-1]}
}
