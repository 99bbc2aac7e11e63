package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"reqpm/internal/blob"
	"reqpm/internal/builder"
	"reqpm/internal/crates"
	"reqpm/internal/engine"
	"reqpm/internal/index"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
	"reqpm/internal/source"
	"reqpm/internal/store"
)

// RunOptions are what one run is told beside its project's settings.
type RunOptions struct {
	Refresh bool `json:"refresh,omitempty"` // build everything again, whatever the cache of builds has
}

// Chain is what every run begins with. Its plans add the builds, and what comes behind them.
func Chain(targets []string) []store.NewStep {
	steps := []store.NewStep{
		{Key: "checkout", Kind: store.Checkout, Expected: 2},
		{Key: "analyze", Kind: store.Analyze, Needs: []string{"checkout"}, Expected: 1},
	}
	for _, t := range targets {
		steps = append(steps,
			store.NewStep{Key: "resolve " + t, Kind: store.Resolve, Target: t, Needs: []string{"analyze"}, Expected: 10},
			store.NewStep{Key: "specs " + t, Kind: store.Specs, Target: t, Needs: []string{"resolve " + t}, Expected: 20},
			store.NewStep{Key: "plan " + t, Kind: store.Plan, Target: t, Needs: []string{"specs " + t}, Expected: 1})
	}
	return steps
}

// behindPlan are the builds of a plan, publishing and the proof.
// Their times are those of builds before, as far as there were any.
func (s *Service) behindPlan(ctx context.Context, sub Subject, p *plan.Plan) ([]store.NewStep, error) {
	expected, err := s.expected(ctx, sub.Target, p)
	if err != nil {
		return nil, err
	}
	var steps []store.NewStep
	var all []string
	key := func(id plan.ID) string { return "build " + sub.Target + " " + string(id) }
	for _, id := range p.Order() {
		n := p.Node(id)
		step := store.NewStep{Key: key(id), Kind: store.Build, Target: sub.Target, Package: string(id), Expected: expected[id]}
		for _, need := range n.Root {
			step.Needs = append(step.Needs, key(need))
		}
		steps = append(steps, step)
		all = append(all, step.Key)
	}
	steps = append(steps, store.NewStep{Key: "publish " + sub.Target, Kind: store.Publish, Target: sub.Target, Needs: all, Expected: 5})
	if !sub.Settings.NoProof {
		steps = append(steps, store.NewStep{Key: "verify " + sub.Target, Kind: store.Verify, Target: sub.Target, Needs: []string{"publish " + sub.Target}, Expected: 10})
	}
	return steps, nil
}

// foundSeconds is about how long a build takes that there is already.
const foundSeconds = 0.2

// expected are the seconds that each package of a plan should take: what its builds on this target took, by any worker.
// One that was never built there takes what its sources let guess, and no less than the plan's others do: much
// of a build's time is its root's.
func (s *Service) expected(ctx context.Context, target string, p *plan.Plan) (map[plan.ID]float64, error) {
	names := make([]string, 0, p.Len())
	for _, id := range p.Order() {
		names = append(names, p.Node(id).Name)
	}
	slices.Sort(names)
	known, err := s.cfg.Store.BuildTimes(ctx, target, slices.Compact(names))
	if err != nil {
		return nil, err
	}
	typical := 0.0
	if usual := slices.Sorted(maps.Values(known)); len(usual) > 0 {
		typical = usual[len(usual)/2]
	}
	seconds := map[plan.ID]float64{}
	for _, id := range p.Order() {
		switch n := p.Node(id); {
		case n.Decision != plan.Build:
			seconds[id] = foundSeconds
		case known[n.Name] > 0:
			seconds[id] = known[n.Name]
		default:
			seconds[id] = max(n.Seconds, typical)
		}
	}
	return seconds, nil
}

// Built is the result of a build step.
type Built struct {
	State    string            `json:"state"` // built, reused, distribution; failed
	Key      string            `json:"key,omitempty"`
	Seconds  float64           `json:"seconds"`
	Runtime  bool              `json:"runtime"`
	NEVRA    string            `json:"nevra,omitempty"`
	Why      string            `json:"cause,omitempty"`
	Repairs  []pipeline.Repair `json:"repairs,omitempty"`
	Findings any               `json:"findings,omitempty"`
}

// Do does one step of a run and writes what happens to log, a line at a time. It returns the step's result, which
// counts also beside an error, and the steps that its success adds to the run.
func (s *Service) Do(ctx context.Context, step store.Step, log io.Writer) (result any, add []store.NewStep, err error) {
	sub, err := s.subject(ctx, step)
	var mu sync.Mutex
	say := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.WriteString(log, strings.TrimRight(sub.clean(line), "\n")+"\n") // a log that cannot be written is no reason to end the work
	}
	if err == nil {
		result, add, err = s.stage(ctx, sub, step, say, log)
	}
	if err != nil && infrastructure(err) {
		err = fmt.Errorf("%w: %w", engine.ErrInfrastructure, err)
	}
	return result, add, sub.cleanError(err)
}

func (s *Service) stage(ctx context.Context, sub Subject, step store.Step, say Say, log io.Writer) (any, []store.NewStep, error) {
	logs := filepath.Join(s.cfg.StateDir, "runs", fmt.Sprint(step.Run), fmt.Sprintf("%d.%d", step.ID, step.Attempt))
	switch step.Kind {
	case store.Checkout:
		c, err := s.Checkout(ctx, sub, say)
		if err != nil {
			return nil, nil, err
		}
		return c, nil, errors.Join(s.cfg.Store.SetRunSource(ctx, step.Run, c.Commit, c.Ref), s.cfg.Store.SetLastCommit(ctx, step.Project, c.Commit))
	case store.Analyze:
		a, err := s.Analyze(ctx, sub, say)
		return a, nil, err
	case store.Resolve:
		r, err := s.Resolve(ctx, sub, say)
		return r, nil, err
	case store.Specs:
		specs, err := s.Specs(ctx, sub, say)
		if err == nil {
			err = s.keepSpecs(ctx, step, specs)
		}
		return map[string]int{"specs": len(specs)}, nil, err
	case store.Plan:
		p, err := s.Plan(ctx, sub, say)
		if err != nil {
			return nil, nil, err
		}
		behind, err := s.behindPlan(ctx, sub, p)
		if err != nil {
			return nil, nil, err
		}
		return map[string]any{"packages": p.Len(), "plan": planBlob(sub)}, behind, s.keepPlan(ctx, sub, p)
	case store.Build:
		return s.build(ctx, sub, step, logs, say, log)
	case store.Publish:
		p, err := s.Publish(ctx, sub, logs, say)
		if err == nil {
			err = s.notePublished(ctx, sub, step, p)
		}
		return p, nil, err
	case store.Verify:
		proof, err := s.Verify(ctx, sub, logs, say)
		if err == nil {
			err = s.noteProof(ctx, sub, step, proof)
		}
		return proof, nil, err
	case store.Check:
		c, err := s.check(ctx, sub, step, logs, say, log)
		return c, nil, err
	}
	return nil, nil, fmt.Errorf("there is no step of kind %q", step.Kind)
}

// subject is what a step is about.
func (s *Service) subject(ctx context.Context, step store.Step) (Subject, error) {
	run, err := s.cfg.Store.Run(ctx, step.Run)
	if err != nil {
		return Subject{}, err
	}
	project, err := s.cfg.Store.Project(ctx, run.Project)
	if err != nil {
		return Subject{}, err
	}
	sub, err := s.projectSubject(ctx, project)
	sub.Run, sub.Ref, sub.Commit, sub.Target = run.ID, run.Ref, run.Commit, step.Target
	if step.Kind == store.Analyze && len(run.Targets) > 0 {
		sub.Target = run.Targets[0] // whichever: no target has a say in it
	}
	var options RunOptions
	err = errors.Join(err, decode(run.Options, &options))
	sub.Refresh = options.Refresh
	if err == nil && step.Target != "" {
		sub.Own, err = s.ownSpecs(ctx, project.ID, step.Target)
	}
	return sub, err
}

func decode(text json.RawMessage, into any) error {
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, into)
}

// build does a build step.
func (s *Service) build(ctx context.Context, sub Subject, step store.Step, logs string, say Say, log io.Writer) (any, []store.NewStep, error) {
	waitedFor, err := s.cfg.Store.Needs(ctx, step.ID)
	if err != nil {
		return nil, nil, err
	}
	needs, err := keysOf(waitedFor, sub.Target)
	if err != nil {
		return nil, nil, err
	}
	followed := follow(logs, log)
	o, err := s.Build(ctx, sub, plan.ID(step.Package), needs, logs, say)
	followed()
	if o == nil {
		return nil, nil, err
	}
	b := Built{State: o.State, Seconds: o.Seconds, Runtime: o.Runtime, NEVRA: o.NEVRA, Why: string(o.Why), Repairs: o.Repairs, Findings: o.Findings}
	if err != nil {
		return b, nil, err
	}
	if built := o.Result(); built != nil {
		b.Key = built.Key
		err = s.keepBuilt(ctx, step, built)
	}
	return b, nil, err
}

// keysOf are the content keys of finished builds among steps.
func keysOf(steps []store.Step, target string) (map[plan.ID]string, error) {
	keys := map[plan.ID]string{}
	for _, n := range steps {
		var b Built
		if n.Kind != store.Build || n.Target != target || n.State != store.Succeeded {
			continue
		}
		if err := decode(n.Result, &b); err != nil {
			return nil, fmt.Errorf("the result of %s: %w", n.Package, err)
		}
		keys[plan.ID(n.Package)] = b.Key
	}
	return keys, nil
}

// infrastructure tells errors of the machine and the network from those of a project or a package.
func infrastructure(err error) bool {
	if users(err) {
		return false
	}
	if be, ok := errors.AsType[*BuildError](err); ok {
		return be.Outcome != nil && (be.Outcome.Why == "infrastructure" || be.Outcome.Why == "disk-full")
	}
	be, ok := errors.AsType[*builder.BuildError](err)
	return ok && be.Cause == builder.CauseInfra || errors.Is(err, index.ErrUnavailable) || errors.Is(err, crates.ErrUnavailable) ||
		errors.Is(err, source.ErrNetwork) || errors.Is(err, pipeline.ErrDiskFull) || errors.Is(err, store.ErrUnavailable) || errors.Is(err, errBlobs) || errors.Is(err, blob.ErrUnavailable) || machine(err)
}

// machine tells errors of the system that no package can make: no room, a disk that fails, too much of something open.
func machine(err error) bool {
	for _, e := range []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS, unix.ESTALE, unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
