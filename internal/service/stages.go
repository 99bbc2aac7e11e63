package service

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
	"reqpm/internal/repo"
	"reqpm/internal/source"
)

// Say is told what happens, a line at a time, for the log of a step.
type Say func(line string)

func (say Say) event(e pipeline.Event) {
	text := e.Message
	if e.Event == "warning" {
		text = "warning: " + text
	}
	if text != "" {
		say(text)
	}
}

// Checkout is the result of step checkout.
type Checkout struct {
	Commit string    `json:"commit"`
	Ref    string    `json:"ref"`
	Time   time.Time `json:"time"`
}

// Checkout finds the commit of a subject's ref and brings its tree here.
func (s *Service) Checkout(ctx context.Context, sub Subject, say Say) (Checkout, error) {
	req, err := s.cfg.Pipelines.Source(sub)
	if err != nil {
		return Checkout{}, err
	}
	req.Ref = cmp.Or(sub.Commit, sub.Ref)
	say("check out " + source.Redacted(req.URL))
	c, err := source.Fetch(ctx, req)
	if err != nil {
		return Checkout{}, whatToDo(sub, req.URL, err)
	}
	for _, w := range c.Warnings {
		say("warning: " + w)
	}
	say("commit " + c.Commit + ", " + c.Ref)
	return Checkout{Commit: c.Commit, Ref: c.Ref, Time: c.CommitTime}, nil
}

// Analysis is the result of step analyze.
type Analysis struct {
	Files        []string `json:"files"`        // the requirement files that count
	Requirements int      `json:"requirements"` // lines of them
}

// Analyze reads the requirements of the commit.
func (s *Service) Analyze(ctx context.Context, sub Subject, say Say) (Analysis, error) {
	events := &events{}
	defer events.listen("", say.event)()
	p, req, err := s.cfg.Pipelines.Open(ctx, sub, nil, events.report)
	if err != nil {
		return Analysis{}, err
	}
	defer p.Close()
	req.Source.Ref, req.Source.Again = sub.Commit, true
	read, err := p.Read(ctx, req)
	if err != nil {
		return Analysis{}, err
	}
	a := Analysis{Files: read.Analysis.Files, Requirements: len(read.Analysis.Set.Requirements)}
	for _, f := range a.Files {
		say("read " + f)
	}
	return a, nil
}

// Resolved is the result of step resolve.
type Resolved struct {
	Lock     string   `json:"lock"` // blob
	Python   string   `json:"python"`
	Packages int      `json:"packages"`
	Warnings []string `json:"warnings,omitempty"`
}

// Resolve locks the set of the subject's target.
func (s *Service) Resolve(ctx context.Context, sub Subject, say Say) (Resolved, error) {
	x := &session{}
	defer func() {
		if x.pipeline != nil {
			x.pipeline.Close()
		}
	}()
	x.events = &events{}
	defer x.events.listen("", say.event)()
	if err := s.prepare(ctx, sub, nil, x); err != nil {
		return Resolved{}, err
	}
	made := lockfile.File{Format: lockfile.Format, Options: sub.Settings.Options}
	var err error
	if made.Inputs, err = x.prepared.Inputs(); err != nil {
		return Resolved{}, err
	}
	t, err := x.pipeline.LockTarget(ctx, x.prepared.Lock)
	if err != nil {
		return Resolved{}, err
	}
	made.Targets = []lockfile.Target{t}
	if _, err := s.cfg.Blobs.Put(ctx, lockBlob(sub), bytes.NewReader(lockfile.Marshal(made))); err != nil {
		return Resolved{}, fmt.Errorf("keep the lock: %w", err)
	}
	say(fmt.Sprintf("%d packages for %s, Python %s", len(t.Packages), t.Name, t.Python))
	r := Resolved{Lock: lockBlob(sub), Python: t.Python, Packages: len(t.Packages)}
	for _, warning := range x.prepared.Lock.Warnings {
		r.Warnings = append(r.Warnings, sub.clean(warning))
	}
	return r, nil
}

// Spec is a spec file that was written, and why it is as it is.
type Spec struct {
	Package string `json:"package"` // name==version
	File    string `json:"file"`
	Text    string `json:"-"`
	// Generated is what ReqPM writes of it: Text, unless that is somebody's own.
	Generated string `json:"-"`
}

// Specs makes the plan and gives every spec file of it. The lock is kept again, now with the tools: from
// here on every process comes to the same plan.
func (s *Service) Specs(ctx context.Context, sub Subject, say Say) ([]Spec, error) {
	x := &session{events: &events{}}
	defer x.events.listen("", say.event)()
	lock, err := s.readLock(ctx, lockBlob(sub))
	if err == nil {
		if err = s.prepare(ctx, sub, lock, x); err == nil {
			x.work, err = x.pipeline.Plan(ctx, x.prepared.Lock)
		}
		if err == nil && lock.Target(sub.Target) == nil {
			err = fmt.Errorf("the lock of the run has no target %s", sub.Target)
		}
		if err == nil {
			err = x.pipeline.LockTools(ctx, lock.Target(sub.Target), x.work)
		}
	}
	if err == nil {
		_, err = s.cfg.Blobs.Put(ctx, lockBlob(sub), bytes.NewReader(lockfile.Marshal(*lock)))
	}
	if err != nil {
		if x.pipeline != nil {
			x.pipeline.Close()
		}
		return nil, err
	}
	s.sessions.put(sub, x)
	var specs []Spec
	for _, id := range x.work.Plan.Order() {
		file, text := x.work.Spec(id)
		if text == "" {
			continue
		}
		generated := text
		if slices.ContainsFunc(sub.Own, func(o OwnSpec) bool { return o.Package == string(id) }) {
			if _, generated, err = x.pipeline.GeneratedSpec(ctx, x.work, id); err != nil {
				return nil, err
			}
		}
		specs = append(specs, Spec{Package: string(id), File: file, Text: text, Generated: generated})
	}
	say(fmt.Sprintf("%d spec files", len(specs)))
	return specs, nil
}

// Plan gives the plan of a subject as it stands now.
func (s *Service) Plan(ctx context.Context, sub Subject, say Say) (*plan.Plan, error) {
	x, err := s.planned(ctx, sub)
	if err != nil {
		return nil, err
	}
	defer s.sessions.release(x)
	builds := 0
	for _, id := range x.work.Plan.Order() {
		if x.work.Plan.Node(id).Decision == plan.Build {
			builds++
		}
	}
	say(fmt.Sprintf("%d packages, %d of them to be built", x.work.Plan.Len(), builds))
	return x.work.Plan, nil
}

// BuildError is a package that could not be built.
type BuildError struct{ Outcome *pipeline.Outcome }

func (e *BuildError) Error() string { return e.Outcome.Cause }

// Build builds one package of the plan. needs are the keys under which the builds it waited for were kept.
// A package that cannot be built is a *BuildError, whose outcome says why.
func (s *Service) Build(ctx context.Context, sub Subject, id plan.ID, needs map[plan.ID]string, logs string, say Say) (*pipeline.Outcome, error) {
	x, err := s.plannedAs(ctx, sub, needs)
	if err != nil {
		return nil, err
	}
	defer s.sessions.release(x)
	wanted := maps.Clone(needs)
	if !sub.Refresh { // what was built already, by a worker that was lost before it said so, or before a restore
		wanted[id] = x.work.Key(id)
	}
	if err := s.bring(ctx, x.pipeline, wanted); err != nil {
		return nil, err
	}
	n := x.work.Plan.Node(id)
	if n == nil {
		return nil, fmt.Errorf("%s is not in the plan any more", id)
	}
	defer x.events.listen(n.Name, say.event)()
	o, err := x.pipeline.BuildOne(ctx, x.work, id, logs)
	if err != nil {
		return o, err
	}
	if len(o.Repairs) > 0 {
		s.sessions.drop(sub, x)
	}
	if o.State == pipeline.StateFailed || o.State == pipeline.StateBlocked {
		return o, &BuildError{o}
	}
	return o, nil
}

// Published is the result of step publish.
type Published struct {
	Snapshot string   `json:"snapshot"` // path of its folder, below the state directory's repos
	RepoFile string   `json:"repo_file"`
	SetName  string   `json:"set_name"`
	Apt      []string `json:"apt,omitempty"`
	Foreign  bool     `json:"foreign,omitempty"` // it is for machines whose own packages are not rpm's
	Packages int      `json:"packages"`          // without source packages
	Size     int64    `json:"size"`              // bytes of all packages
	// Pinned is the snapshot that clients get all the same; absent: this one.
	Pinned string `json:"pinned,omitempty"`
}

// InstallLines are what a machine is to do to install the whole set of a project from a server, whose .repo file is at an address;
// where the package of the set is not known, what adds the repository.
func (p Published) InstallLines(address, project string) []string {
	i := repo.Install{RepoFile: address, As: "reqpm-" + project + ".repo", Apt: p.Apt, Foreign: p.Foreign}
	if p.SetName != "" {
		i.Names = []string{p.SetName}
	}
	return i.Lines()
}

// Proven is the result of step verify.
type Proven struct {
	pipeline.Proof
	Snapshot string `json:"snapshot"` // as in Published
}

// Publish makes a snapshot of the set, all of whose builds are done, the current one of its channel.
func (s *Service) Publish(ctx context.Context, sub Subject, logs string, say Say) (Published, error) {
	published, x, _, err := s.publish(ctx, sub, logs, say)
	if err != nil {
		return Published{}, err
	}
	defer s.sessions.release(x)
	p := Published{RepoFile: published.Snapshot.RepoFile, SetName: published.SetName, Apt: published.Apt, Foreign: published.Foreign, Pinned: published.Snapshot.Pinned}
	for _, rpm := range published.Snapshot.Packages {
		p.Size += rpm.Size
		if !rpm.Source() {
			p.Packages++
		}
	}
	p.Snapshot = snapshotPath(sub.Project, channel(sub), sub.Target, published.Snapshot.ID)
	say(fmt.Sprintf("published %d packages", p.Packages))
	return p, nil
}

func (s *Service) publish(ctx context.Context, sub Subject, logs string, say Say) (published pipeline.Published, x *session, outcomes map[plan.ID]*pipeline.Outcome, err error) {
	steps, err := s.cfg.Store.RunSteps(ctx, sub.Run)
	if err != nil {
		return published, nil, nil, err
	}
	keys, err := keysOf(steps, sub.Target)
	if err != nil {
		return published, nil, nil, err
	}
	if x, err = s.plannedAs(ctx, sub, keys); err != nil {
		return published, nil, nil, err
	}
	if err = s.bring(ctx, x.pipeline, keys); err == nil {
		outcomes, err = x.pipeline.Collect(x.work)
	}
	if errors.Is(err, pipeline.ErrNotBuilt) {
		outcomes, err = s.buildAnew(ctx, x, logs, say)
	}
	if err != nil {
		s.sessions.drop(sub, x)
		s.sessions.release(x)
		return published, nil, nil, err
	}
	stop := x.events.listen("", say.event)
	published, err = x.pipeline.Publish(ctx, x.work, outcomes, pipeline.Publishing{
		Project: sub.Project, Channel: channel(sub), Time: x.prepared.Checkout.CommitTime, Logs: logs,
	})
	stop()
	if err != nil {
		s.sessions.release(x)
	}
	return published, x, outcomes, err
}

// buildAnew carries out a plan whose keys are not those that were built: the base changed in the middle of
// the run (for target local, by a package that the machine got), or what was built is gone.
func (s *Service) buildAnew(ctx context.Context, x *session, logs string, say Say) (map[plan.ID]*pipeline.Outcome, error) {
	say("the base of the builds has changed since they were made: what is not built on it as it is now is built")
	keys := map[plan.ID]string{}
	for _, id := range x.work.Plan.Order() {
		keys[id] = x.work.Key(id)
	}
	if err := s.bring(ctx, x.pipeline, keys); err != nil { // another worker may have been here
		return nil, err
	}
	stop := x.events.listen("", func(e pipeline.Event) {
		if e.Event == "package" && e.State != "" {
			say(strings.TrimSpace(e.Name + " " + e.Version + ": " + e.State + " " + e.Message))
		}
	})
	outcomes, err := x.pipeline.Build(ctx, x.work, logs)
	stop()
	if err != nil {
		return nil, err
	}
	for _, id := range x.work.Plan.Order() {
		o := outcomes[id]
		if o == nil || o.State == pipeline.StateFailed || o.State == pipeline.StateBlocked || o.State == pipeline.StateWaiting {
			return nil, fmt.Errorf("%s on the changed base: %w", id, &BuildError{o})
		}
		if built := o.Result(); built != nil {
			if err := s.putBuilt(ctx, built, nil); err != nil {
				return nil, err
			}
		}
	}
	return outcomes, nil
}

// Verify installs the published set into a fresh root. A proof that does not hold is an error.
func (s *Service) Verify(ctx context.Context, sub Subject, logs string, say Say) (Proven, error) {
	published, x, outcomes, err := s.publish(ctx, sub, logs, func(string) {}) // the same set is the same snapshot
	if err != nil {
		return Proven{}, err
	}
	defer s.sessions.release(x)
	defer x.events.listen("", say.event)()
	proof, err := x.pipeline.Verify(ctx, x.work, outcomes, published, logs, sub.Settings.ProofCommand)
	proven := Proven{Proof: proof, Snapshot: snapshotPath(sub.Project, channel(sub), sub.Target, published.Snapshot.ID)}
	switch {
	case err != nil:
		return proven, err
	case !proof.OK:
		return proven, fmt.Errorf("the proof command ended with status %d: %s", proof.Command.Status, proof.Command.Output)
	}
	say(proven.text())
	return proven, nil
}

func (p Proven) text() string {
	return fmt.Sprintf("%d packages installed into a fresh root, %d imported", len(p.Installed), len(p.Imported))
}

// Forget ends what is held for a run.
func (s *Service) Forget(run int64) { s.sessions.forget(run) }

// channel is where a subject is published.
func channel(s Subject) string { return cmp.Or(s.Settings.Channel, "stable") }
