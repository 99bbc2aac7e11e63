package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/blob"
	"reqpm/internal/index"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
	"reqpm/internal/reqfile"
	"reqpm/internal/source"
)

// States of a preview, and of its targets.
const (
	PreviewWaiting   = "waiting"
	PreviewRunning   = "running"
	PreviewDone      = "done"
	PreviewFailed    = "failed" // of a target: there is no plan
	PreviewCancelled = "cancelled"
)

// PlanView is a preview as far as it is.
type PlanView struct {
	ID       string       `json:"id"`
	State    string       `json:"state" enum:"waiting,running,done,cancelled"`
	Commit   string       `json:"commit,omitempty"`
	Started  *time.Time   `json:"started,omitempty"`
	Finished *time.Time   `json:"finished,omitempty"`
	Targets  []TargetPlan `json:"targets" nullable:"false"`
	// Now are the plans of the same targets without what is previewed, where it is compared (PlanAsk.Now).
	Now []TargetPlan `json:"-"`
	// Error is about all targets: why it was cancelled, or what keeps it from being resolved for any. Field is of what was asked, as
	// TargetPlan has it.
	Error string `json:"error,omitempty"`
	Field string `json:"field,omitempty" enum:"git_url,ref,requirement_files,targets"`
}

// TargetPlan is the plan for one target. Its numbers are of packages.
type TargetPlan struct {
	Target     string           `json:"target"`
	Python     string           `json:"python,omitempty"`
	State      string           `json:"state" enum:"waiting,running,done,failed,cancelled"`
	Doing      string           `json:"doing,omitempty" doc:"while it runs: what it does now"`
	Started    *time.Time       `json:"started,omitempty"`
	Seconds    float64          `json:"seconds,omitempty" doc:"that making the plan took"`
	Direct     int              `json:"direct" doc:"that the requirements name"`
	Transitive int              `json:"transitive" doc:"that those need to run"`
	Tools      int              `json:"tools" doc:"that are only needed to build others"`
	Build      int              `json:"build" doc:"to be built"`
	Cached     int              `json:"cached" doc:"built before, by any project"`
	Reused     int              `json:"reused" doc:"that the distribution has"`
	Cannot     int              `json:"cannot" doc:"that cannot be built"`
	Estimate   float64          `json:"estimate" doc:"seconds that all builds should take on slots, by what they took before"`
	Slots      int              `json:"slots,omitempty"`
	Chain      []string         `json:"chain" nullable:"false" doc:"the builds that wait for each other longest"`
	ChainTime  float64          `json:"chain_seconds"`
	Packages   []PlannedPackage `json:"packages" nullable:"false" doc:"in the order of their builds"`
	Warnings   []string         `json:"warnings" nullable:"false"`
	Conflict   *Conflict        `json:"conflict,omitempty" doc:"why there is no solution, and what makes one"`
	Error      string           `json:"error,omitempty" doc:"why there is no plan"`
	Field      string           `json:"field,omitempty" enum:"git_url,ref,requirement_files,targets" doc:"what of the question the error is about"`
}

// PlannedPackage is a package of a plan.
type PlannedPackage struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Role     string   `json:"role" enum:"direct,transitive,tool"`
	Decision string   `json:"decision,omitempty" enum:"build,cached,reuse,failed" doc:"absent while the plan is made"`
	Why      string   `json:"why,omitempty" doc:"why it cannot be built, which package of the distribution it is, who requires it"`
	Seconds  float64  `json:"seconds,omitempty" doc:"that its build should take"`
	Needs    []string `json:"needs" nullable:"false" doc:"beyond Python: compilers, crates, packages of the distribution, and what is missing"`
}

func newTargetPlan(target string) TargetPlan {
	return TargetPlan{Target: target, State: PreviewWaiting, Chain: []string{}, Packages: []PlannedPackage{}, Warnings: []string{}}
}

// target makes one plan. False: no other target will do better.
func (p *PlanPreview) target(ctx context.Context, at place) bool {
	began := time.Now()
	p.at(at, func(t *TargetPlan) { t.State, t.Started, t.Doing = PreviewRunning, &began, "begin" })
	sub := p.ask.Subject
	if at.now {
		sub = *p.ask.Now
	}
	view := p.View()
	sub.Target, sub.Commit = view.Targets[at.target].Target, view.Commit
	if len(sub.Secrets) > 0 {
		sub.hide = p.all.service.cfg.Hide(sub.Secrets)
	}
	err := p.plan(ctx, sub, at)
	if ctx.Err() != nil {
		return false
	}
	field, everywhere := fieldOf(err)
	p.at(at, func(t *TargetPlan) {
		t.Seconds, t.Doing, t.State = time.Since(began).Seconds(), "", PreviewDone
		if err != nil {
			t.State, t.Error, t.Field = PreviewFailed, sub.clean(err.Error()), field
			if t.Conflict = ConflictOf(err); t.Conflict != nil {
				t.Conflict.Message = sub.clean(t.Conflict.Message)
			}
		}
	})
	if err != nil && everywhere {
		p.change(func(v *PlanView) { v.Error, v.Field = sub.clean(err.Error()), field })
	}
	return !everywhere
}

// fieldOf says which part of the question an error is about, and whether it is about all targets.
func fieldOf(err error) (field string, everywhere bool) {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	_, badURL := errors.AsType[*source.URLError](err)
	_, badFile := errors.AsType[*reqfile.Error](err)
	switch {
	case err == nil:
		return "", false
	case badURL, is(source.ErrNetwork, source.ErrAuth):
		return "git_url", true
	case is(source.ErrNotFound):
		return "ref", true
	case badFile, is(pipeline.ErrNoRequirements):
		return "requirement_files", true
	case is(index.ErrUnavailable, index.ErrNoIndex, pipeline.ErrDiskFull):
		return "", true
	}
	return "targets", false
}

// plan resolves and plans, and notes what comes to light on the way.
func (p *PlanPreview) plan(ctx context.Context, sub Subject, at place) error {
	seen := map[string]bool{}
	report := func(e pipeline.Event) {
		text := e.Message
		switch {
		case e.Event == "warning":
			p.at(at, func(t *TargetPlan) { t.Warnings = append(slices.Clone(t.Warnings), sub.clean(e.Message)) })
			return
		case e.Event == "progress" && e.Name != "":
			seen[e.Name+" "+e.Version] = true // reports come one at a time
			text = fmt.Sprintf("read the source of %s %s, the %s", e.Name, e.Version, ordinal(len(seen)))
		}
		if text = sub.clean(firstLine(text)); text != "" {
			p.at(at, func(t *TargetPlan) { t.Doing = text })
		}
	}
	line, request, err := p.all.service.cfg.Pipelines.Open(ctx, sub, nil, report)
	if err != nil {
		return err
	}
	defer line.Close() // scratch that stays is swept at the next start
	request.Source.Ref, request.Source.Again = cmp.Or(sub.Commit, sub.Ref), sub.Commit != ""
	prepared, err := line.Prepare(ctx, request)
	if prepared != nil && prepared.Checkout.Commit != "" && sub.Commit == "" {
		p.change(func(v *PlanView) { v.Commit = prepared.Checkout.Commit })
	}
	if err != nil {
		return err
	}
	p.at(at, func(t *TargetPlan) { t.locked(prepared.Lock, sub.clean) })
	work, err := line.Plan(ctx, prepared.Lock)
	if err != nil {
		return err
	}
	if work.Plan, err = p.all.service.builtElsewhere(ctx, work); err != nil {
		return err
	}
	if work.Plan, err = p.all.service.timed(ctx, sub.Target, work.Plan); err != nil {
		return err
	}
	p.at(at, func(t *TargetPlan) { t.planned(work, line.Slots(), sub.clean) })
	return nil
}

func ordinal(n int) string {
	switch {
	case n%10 == 1 && n%100 != 11:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2 && n%100 != 12:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3 && n%100 != 13:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}

// builtElsewhere is the plan with what other workers have built taken as built: their results are among the blobs.
func (s *Service) builtElsewhere(ctx context.Context, work *pipeline.Work) (*plan.Plan, error) {
	var nodes []plan.Node
	var mu sync.Mutex
	there := map[plan.ID]bool{}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, id := range work.Plan.Order() {
		n := *work.Plan.Node(id)
		nodes = append(nodes, n)
		key := work.Key(id)
		if n.Decision != plan.Build || key == "" {
			continue
		}
		group.Go(func() error {
			_, err := s.cfg.Blobs.Stat(inner, buildBlob(key, resultFile))
			if errors.Is(err, blob.ErrNotFound) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			there[id] = err == nil
			return err
		})
	}
	if err := group.Wait(); err != nil || len(there) == 0 {
		return work.Plan, err
	}
	for i := range nodes {
		if there[nodes[i].ID] {
			nodes[i].Decision, nodes[i].Reason, nodes[i].Seconds = plan.Cached, "built by another worker", 0
		}
	}
	return plan.New(nodes, work.Plan.Edges())
}

// timed is the plan with the times that a run would expect of its builds: what they took on any worker, not on this machine alone.
func (s *Service) timed(ctx context.Context, target string, p *plan.Plan) (*plan.Plan, error) {
	expected, err := s.expected(ctx, target, p)
	if err != nil {
		return nil, err
	}
	nodes := make([]plan.Node, 0, p.Len())
	for _, id := range p.Order() {
		n := *p.Node(id)
		if n.Decision == plan.Build {
			n.Seconds = expected[id]
		}
		nodes = append(nodes, n)
	}
	return plan.New(nodes, p.Edges())
}

// locked notes the set, before anything is known of its builds.
func (t *TargetPlan) locked(lock *pipeline.Lock, clean func(string) string) {
	t.Python, t.Direct, t.Transitive, t.Packages = lock.Python, 0, 0, []PlannedPackage{}
	for _, l := range lock.Packages {
		one := PlannedPackage{Name: l.Name, Version: l.Version, Role: "transitive", Why: clean(requiredBy(l)), Needs: []string{}}
		if slices.ContainsFunc(l.RequiredBy, func(by pipeline.RequiredBy) bool { return by.Name == "" }) {
			one.Role = "direct"
			t.Direct++
		} else {
			t.Transitive++
		}
		t.Packages = append(t.Packages, one)
	}
	for _, w := range lock.Warnings {
		if w = clean(w); !slices.Contains(t.Warnings, w) {
			t.Warnings = append(slices.Clone(t.Warnings), w)
		}
	}
}

// requiredBy is who put a package into the set, the first of them.
func requiredBy(l pipeline.Locked) string {
	for _, by := range l.RequiredBy {
		switch {
		case by.Name == "" && by.File != "":
			return fmt.Sprintf("%s:%d", by.File, by.Line)
		case by.Name != "":
			return "required by " + by.Name
		}
	}
	return ""
}

// planned notes the builds.
func (t *TargetPlan) planned(work *pipeline.Work, slots int, clean func(string) string) {
	set := map[string]PlannedPackage{}
	for _, one := range t.Packages {
		set[one.Name+" "+one.Version] = one
	}
	t.Packages, t.Slots, t.Estimate = []PlannedPackage{}, slots, work.Plan.Estimate(slots)
	for _, id := range work.Plan.Order() {
		n := work.Plan.Node(id)
		one, inSet := set[n.Name+" "+n.Version]
		if !inSet {
			one = PlannedPackage{Name: n.Name, Version: n.Version, Role: "tool", Needs: []string{}}
			if n.Runtime { // the project itself
				one.Role = "direct"
				t.Direct++
			} else {
				t.Tools++
			}
		}
		one.Decision, one.Seconds = string(n.Decision), n.Seconds
		if n.Decision == plan.Failed || n.Decision == plan.Reuse {
			one.Why = clean(n.Reason)
		}
		one.Needs = append(one.Needs, needsOf(n)...)
		switch n.Decision {
		case plan.Build:
			t.Build++
		case plan.Cached:
			t.Cached++
		case plan.Reuse:
			t.Reused++
		case plan.Failed:
			t.Cannot++
		}
		t.Packages = append(t.Packages, one)
	}
	path, seconds := work.Plan.CriticalPath()
	t.ChainTime = seconds
	for _, id := range path {
		t.Chain = append(t.Chain, Name(string(id)))
	}
}

// needsOf are what a build needs beyond Python.
func needsOf(n *plan.Node) []string {
	var needs []string
	if n.Decision != plan.Build && n.Decision != plan.Cached {
		return nil
	}
	if n.Native {
		needs = append(needs, "compiled")
	}
	if n.Rust != nil {
		needs = append(needs, strings.TrimSuffix("Rust, "+n.Rust.String(), ", "))
	}
	for _, f := range n.Fetch {
		needs = append(needs, f.Name+" of the distribution")
	}
	return append(needs, n.Notes...)
}
