package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"reqpm/internal/blob"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
	"reqpm/internal/store"
)

// A spec file is looked at before it is saved: by a worker, in the build root of its target, by the plan of the last run that has one. A
// check is a step of kind Check with that run's lock. What it builds goes to no cache and is published by nobody.

// NewCheck is a spec file to be looked at. Its message and base do not count yet: they are what it is to be saved with.
type NewCheck struct {
	SpecEdit
	Build bool // build it once, too
}

// checkInput is what a check's step is told.
type checkInput struct {
	Blob  string `json:"blob"`
	File  string `json:"file"`
	Build bool   `json:"build"`
	// What the text is going to be saved with, for who comes back to it.
	Message string `json:"message"`
	Base    int64  `json:"base"`
}

// SpecFinding is one thing that was looked at.
type SpecFinding = pipeline.SpecFinding

// Checked is the result of a check.
type Checked struct {
	OK       bool          `json:"ok"` // no finding failed
	Findings []SpecFinding `json:"findings"`
	// Generated is the blob of what ReqPM writes of the package at the moment of the check.
	Generated string `json:"generated,omitempty"`
}

// ErrNoPlan: no run of the project has a plan of the package on the target, so nobody knows with what it is built.
var ErrNoPlan = errors.New("no run of the project has a plan of it")

// StartCheck queues a check; also is done in the same transaction. ErrSpec, ErrNoPlan; store.ErrConflict where too many go on.
func StartCheck(ctx context.Context, st *store.Store, blobs blob.Store, c NewCheck, also func(tx *store.Tx, s store.Step) error) (store.Step, error) {
	c.Text = SpecText(c.Text)
	message, base := cut(c.Message, maxMessage), c.Base
	c.Message, c.Base = "check", -1
	if err := CheckSpec(ctx, st.Queries, c.SpecEdit); err != nil {
		return store.Step{}, err
	}
	run, err := plannedRun(ctx, st.Queries, c.SpecEdit)
	if err != nil {
		return store.Step{}, err
	}
	_, file, err := newestSpec(ctx, st.Queries, c.SpecEdit)
	if err != nil {
		return store.Step{}, err
	}
	sum := sha256.Sum256([]byte(c.Text))
	// With the run's own blobs, so that retention takes it with them.
	in := checkInput{Blob: fmt.Sprintf("runs/%d/%s/checks/%s/%s", run, c.Target, hex.EncodeToString(sum[:]), safe(file)), File: file, Build: c.Build, Message: message, Base: base}
	if _, err := blobs.Put(ctx, in.Blob, strings.NewReader(c.Text)); err != nil {
		return store.Step{}, fmt.Errorf("keep the spec to be checked: %w", err)
	}
	text, err := json.Marshal(in)
	if err != nil {
		return store.Step{}, err
	}
	expected := 20.0 // seconds; what a build takes on top is a guess of the same kind
	if c.Build {
		expected *= 4
	}
	var step store.Step
	err = st.Write(ctx, func(tx *store.Tx) (err error) {
		step, err = tx.AddCheck(ctx, run, store.NewStep{Target: c.Target, Package: c.Package, Expected: expected, Input: text})
		if err != nil || also == nil {
			return err
		}
		return also(tx, step)
	})
	return step, err
}

// plannedRun is the newest run whose plan has a package on a target.
func plannedRun(ctx context.Context, q store.Queries, e SpecEdit) (int64, error) {
	built, err := q.Steps(ctx, store.StepFilter{Project: e.Project, Kinds: []store.Kind{store.Build}, Target: e.Target, Package: e.Package}, store.Page{Limit: 1})
	if err != nil {
		return 0, err
	}
	if len(built.Items) == 0 {
		return 0, fmt.Errorf("check a spec of %s on %s: %w; start a run first", e.Package, e.Target, ErrNoPlan)
	}
	return built.Items[0].Run, nil
}

// StartedCheck is a check with what it was started with.
type StartedCheck struct {
	Step          store.Step
	Text, Message string
	Base          int64
	Build         bool
}

// CheckOf is a check of a project: store.ErrNotFound where there is none. Text is empty where retention took it.
func CheckOf(ctx context.Context, q store.Queries, blobs blob.Store, project, id int64) (c StartedCheck, err error) {
	if c.Step, err = q.Step(ctx, id); err == nil && (c.Step.Project != project || c.Step.Kind != store.Check) {
		err = fmt.Errorf("check %d: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return StartedCheck{}, err
	}
	var in checkInput
	if err := decode(c.Step.Input, &in); err != nil {
		return c, fmt.Errorf("check %d: %w", id, err)
	}
	c.Build, c.Message, c.Base = in.Build, in.Message, in.Base
	raw, err := readBlob(ctx, blobs, in.Blob)
	if errors.Is(err, blob.ErrNotFound) {
		err = nil
	}
	c.Text = string(raw)
	return c, err
}

// CheckResult is what a check found; the zero one of a check that has not ended well.
func CheckResult(s store.Step) (c Checked, err error) {
	if s.State != store.Succeeded {
		return c, nil
	}
	return c, decode(s.Result, &c)
}

// check does a step of kind Check.
func (s *Service) check(ctx context.Context, sub Subject, step store.Step, logs string, say Say, log io.Writer) (any, error) {
	var in checkInput
	if err := decode(step.Input, &in); err != nil {
		return nil, err
	}
	text, err := readBlob(ctx, s.cfg.Blobs, in.Blob)
	if err != nil {
		return nil, fmt.Errorf("the spec to be checked: %w", err)
	}
	sub.Own = slices.DeleteFunc(slices.Clone(sub.Own), func(o OwnSpec) bool { return o.Package == step.Package })
	sub.Own = append(sub.Own, OwnSpec{Package: step.Package, File: in.File, Text: string(text)})
	say("plan the build of " + step.Package + " with it")
	x := &session{} // of its own: the builds of the run do not see it
	defer func() { _ = x.close() }()
	if err := s.replan(ctx, sub, x); err != nil {
		return nil, err
	}
	id := plan.ID(step.Package)
	n := x.work.Plan.Node(id)
	if n == nil {
		return nil, fmt.Errorf("%s: %w any more: start a run first", step.Package, ErrNoPlan)
	}
	keys := map[plan.ID]string{}
	for _, need := range n.Root {
		keys[need] = x.work.Key(need)
	}
	if err := s.bring(ctx, x.pipeline, keys); err != nil {
		return nil, err
	}
	out := Checked{}
	file, generated, err := x.pipeline.GeneratedSpec(ctx, x.work, id)
	if err != nil {
		return nil, err
	}
	if generated != "" {
		out.Generated = strings.TrimSuffix(in.Blob, safe(in.File)) + "generated/" + safe(file)
		if _, err := s.cfg.Blobs.Put(ctx, out.Generated, strings.NewReader(generated)); err != nil {
			return nil, err
		}
	}
	defer x.events.listen("", say.event)()
	if !in.Build {
		logs = ""
	} else {
		defer follow(logs, log)()
	}
	out.Findings, err = x.pipeline.CheckSpec(ctx, x.work, id, logs, say)
	out.OK = !slices.ContainsFunc(out.Findings, func(f SpecFinding) bool { return f.State == pipeline.FindingFailed })
	for i := range out.Findings {
		out.Findings[i].Text = sub.clean(out.Findings[i].Text)
	}
	return out, err
}

// GeneratedAtCheck is what ReqPM wrote of the package when it was checked; false where that is not known.
func GeneratedAtCheck(ctx context.Context, blobs blob.Store, c Checked) (string, bool, error) {
	if c.Generated == "" {
		return "", false, nil
	}
	text, err := readBlob(ctx, blobs, c.Generated)
	if errors.Is(err, blob.ErrNotFound) {
		return "", false, nil
	}
	return string(text), err == nil, err
}
