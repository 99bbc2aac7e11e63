package pipeline

import (
	"context"
	"errors"

	"reqpm/internal/builder"
	"reqpm/internal/index"
	"reqpm/internal/plan"
	"reqpm/internal/reqfile"
	"reqpm/internal/solve"
)

// Trial is what became of some requirements that were built with all they need.
type Trial struct {
	Lock     *Lock
	Outcomes []*Outcome // of every build, tools among them, in build order
}

// Try resolves requirements as a set of their own, plans and builds. Nothing is published, and
// failed builds are no error.
func (p *Pipeline) Try(ctx context.Context, reqs []reqfile.Requirement, logDir string) (Trial, error) {
	t := Trial{}
	var err error
	if t.Lock, err = p.Resolve(ctx, Input{Set: reqfile.Set{Requirements: reqs}}); err != nil {
		return t, err
	}
	work, err := p.Plan(ctx, t.Lock)
	if err != nil {
		return t, p.explainDisk(err)
	}
	outcomes, err := p.Build(ctx, work, logDir)
	for _, id := range work.Plan.Order() {
		if o := outcomes[id]; o != nil {
			t.Outcomes = append(t.Outcomes, o)
		}
	}
	return t, p.explainDisk(err)
}

// The causes that FailureWord knows besides those of builds (builder.Cause).
const (
	WordNoSolution  = "no-solution"
	WordNoSource    = "no-source"
	WordBuildLoop   = "build-loop"
	WordRefused     = "refused" // two packages would be one RPM, or replace one of the system's
	WordIndex       = "index"
	WordMissingTool = "missing-tool"
	WordDisk        = "disk-full"
	WordTimeout     = "timeout"
	WordMetadata    = "no-metadata" // its build backend does not say what it requires
	WordOther       = "other"
)

// FailureWord is why something could not be built, as one word for programs.
func FailureWord(err error) string {
	is := func(target error) bool { return errors.Is(err, target) }
	if be, ok := errors.AsType[*builder.BuildError](err); ok && !is(ErrDiskFull) {
		return string(be.Cause)
	}
	switch {
	case err == nil:
		return ""
	case is(ErrDiskFull):
		return WordDisk
	case is(context.DeadlineExceeded):
		return WordTimeout
	case is(index.ErrUnavailable), is(index.ErrOffline):
		return WordIndex
	case is(builder.ErrMissingTool):
		return WordMissingTool
	case is(ErrNoSource):
		return WordNoSource
	case as[*plan.CycleError](err):
		return WordBuildLoop
	case as[*CollisionError](err), as[*ReplaceError](err):
		return WordRefused
	case as[*builder.ExitError](err):
		return WordMetadata
	case as[*solve.Conflict](err), as[*PythonError](err):
		return WordNoSolution
	}
	return WordOther
}

// Word is why a build failed, "" where it did not.
func (o *Outcome) Word() string {
	if o.Why != "" {
		return string(o.Why)
	}
	return FailureWord(o.err)
}
