package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"reqpm/internal/blob"
	"reqpm/internal/builder"
	"reqpm/internal/client"
	"reqpm/internal/crates"
	"reqpm/internal/index"
	"reqpm/internal/lockfile"
	"reqpm/internal/override"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
	"reqpm/internal/reqfile"
	"reqpm/internal/service"
	"reqpm/internal/solve"
	"reqpm/internal/source"
	"reqpm/internal/target"
)

// The exit codes scripts may rely on.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitConflict  = 3
	exitMissing   = 4
	exitNetwork   = 5
	exitCancelled = 130
)

const exitCodesHelp = `Exit status:
  0    all well
  1    some builds failed, or the proof did
  2    bad input or usage
  3    no solution, or packages that cannot be had from source
  4    a program or privilege is missing (the message has the command that mends it)
  5    index, Git, network or server
  130  cancelled`

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errBuilds: the summary was printed and says what failed.
var errBuilds = errors.New("some packages were not built")

// errProof: everything was built, but the proof did not hold.
var errProof = errors.New("the proof did not hold")

func exitCode(ctx context.Context, err error) int {
	if child, ok := errors.AsType[*childError](err); ok {
		return child.code // the command that was measured said why
	}
	if said, ok := errors.AsType[*saidError](err); ok {
		return said.code
	}
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil || is(context.Canceled):
		return exitCancelled
	case is(errBuilds, errProof, errStale, errDenied, errTarget, pipeline.ErrDiskFull):
		return exitFailed
	case as[*client.Error](err):
		return refusedCode(err)
	case as[usageError](err), as[*source.URLError](err), as[*reqfile.Error](err), as[*pipeline.DirectError](err),
		as[*target.UnknownError](err), as[*pipeline.HashError](err), as[*pipeline.LockError](err), as[*lockfile.Error](err), as[override.Problems](err), is(pipeline.ErrNoRequirements, source.ErrNotFound):
		return exitUsage
	case is(builder.ErrMissingTool), as[*target.MissingToolError](err), is(index.ErrNoIndex):
		return exitMissing
	case as[*solve.Conflict](err), as[*pipeline.PythonError](err), as[*pipeline.CollisionError](err), as[*pipeline.ReplaceError](err), as[*plan.CycleError](err), is(pipeline.ErrNoSource):
		return exitConflict
	case is(errSilent, client.ErrUnreachable, client.ErrChecksum, index.ErrUnavailable, index.ErrOffline, crates.ErrUnavailable, index.ErrHash, source.ErrNetwork, blob.ErrUnavailable), as[*net.OpError](err):
		return exitNetwork
	}
	return exitFailed
}

// refusedCode is the status for what a server refuses: what was asked is wrong, may not be asked by this token, or
// the server is not well.
func refusedCode(err error) int {
	refused, _ := errors.AsType[*client.Error](err)
	switch {
	case refused.Status == http.StatusUnauthorized, refused.Status == http.StatusForbidden:
		return exitMissing
	case refused.Temporary(), refused.Status >= 500:
		return exitNetwork
	}
	return exitUsage
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// printError says what went wrong, once, as text or as the last JSON line.
func (a *app) printError(err error, code int) {
	if a.global.json && !as[silent](err) {
		doc := map[string]any{"event": "error", "message": err.Error(), "exit": code}
		if as[*solve.Conflict](err) {
			conflict := service.ConflictOf(err)
			doc["requirements"], doc["changes"] = conflict.Requirements, conflict.Changes
		}
		_ = a.printJSON(doc)
	}
	if said, ok := errors.AsType[*saidError](err); ok {
		a.say("%s", said.text)
		return
	}
	switch code {
	case exitCancelled:
		a.say("cancelled; the same command goes on from here")
	case exitFailed:
		if errors.Is(err, errBuilds) {
			return // the summary told
		}
		fallthrough
	default:
		a.say("reqpm: %v", err)
	}
}
