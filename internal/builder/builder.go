// Package builder says what a builder does; its sub-packages do it.
//
// Life cycle: Open a base root for a target once (slow the first time, cached
// after), then Build and Run in it from as many goroutines as there are slots, then
// Close. A build sees its base root, the RPMs given to it and nothing else: no
// network, no host files, an unprivileged user.
package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"reqpm/internal/target"
)

// ErrMissingTool: a program or privilege is missing; the message has the command that mends it.
var ErrMissingTool = errors.New("missing tool or privilege")

// Builder makes base roots.
type Builder interface {
	// Open makes or finds the base root of t. report gets lines for people while it works.
	Open(ctx context.Context, t target.Target, report func(string)) (Base, error)
}

// Base is one base root, shared by many builds. All methods are safe for concurrent use.
type Base interface {
	// ID is a digest of what the base consists of; part of every content key.
	ID() string
	// Target is the target with everything probed in the base corrected.
	Target() target.Target
	// Build builds one spec. A failing build is a *BuildError; the result then still
	// holds logs. Cancelling ctx stops the whole process tree and leaves no mount.
	Build(ctx context.Context, job Job) (Result, error)
	// Run runs one command in a throw-away copy of the base (build hooks, probes).
	// A command that exits non-zero is a *ExitError.
	Run(ctx context.Context, c Command) error
	// Verify installs from repositories into a fresh root, checking signatures, and
	// runs a script in it: the proof of installability.
	Verify(ctx context.Context, v Verification) (VerifyResult, error)
	Close() error
}

// Job is one package to build.
type Job struct {
	Name    string   // for messages: "markupsafe 3.0.2"
	Spec    string   // path of the spec file
	Sources []string // paths of all its sources and patches
	RPMs    []string // RPM files built earlier that this build may install: its planned build root, no more
	// Debs are .deb files of this machine's distribution, laid over the base below everything
	// else; for target local only. Their maintainer scripts do not run.
	Debs      []string
	ResultDir string // must not exist; made and filled by Build
	Limits    Limits
	Phase     func(Phase) // called at the start of each phase; may be nil
}

// Limits of one build; zero fields mean the builder's defaults (2 h, 30 min, none, none).
type Limits struct {
	Total, Idle time.Duration
	MemoryBytes int64
	Processes   int
}

// Partial is where a build keeps its logs while it runs, for those who follow them: it
// becomes resultDir when the build has ended.
func Partial(resultDir string) string { return resultDir + ".partial" }

// Phase of a build, in order.
type Phase string

const (
	PhaseRoot    Phase = "root" // overlay, BuildRequires installed
	PhasePrep    Phase = "prep"
	PhaseBuild   Phase = "build"
	PhaseInstall Phase = "install"
	PhaseCheck   Phase = "check"
	PhasePackage Phase = "package" // rpms written
)

// Result of one build.
type Result struct {
	RPMs     []string // paths in ResultDir
	SRPM     string
	Logs     map[string]string // "root.log", "build.log" → path
	Manifest []string          // NEVRAs installed in the build root beyond the base
	Seconds  map[Phase]float64
}

// Cause of a failure, as far as exit codes and logs tell.
type Cause string

const (
	CauseDeps    Cause = "missing-buildrequires"
	CauseSpec    Cause = "bad-spec"
	CauseBuild   Cause = "build-failed"
	CauseTimeout Cause = "timeout"
	CauseInfra   Cause = "infrastructure" // disk full, mount failed, dnf broke
	CauseResult  Cause = "bad-result"     // built green, but not what was expected
)

// BuildError is a build that failed by itself (not by cancelling).
type BuildError struct {
	Name    string
	Phase   Phase
	Cause   Cause
	Missing []string // BuildRequires nobody provides
	Tail    string   // last lines of the log that matter, for people
	Log     string   // path of the log that tells
	Err     error
}

func (e *BuildError) Error() string {
	return fmt.Sprintf("build %s: %s in %s: %v", e.Name, e.Cause, e.Phase, e.Err)
}
func (e *BuildError) Unwrap() error { return e.Err }

// Command is one program run in a throw-away root.
type Command struct {
	Args    []string
	Dir     string   // inside the root
	Env     []string // KEY=value, beyond the builder's own
	Binds   []Bind
	RPMs    []string // RPM files Install may take from, besides the target's repositories
	Install []string // dependency expressions installed first; none means the bare base
	Debs    []string // as Job.Debs
	Stdout  io.Writer
	Stderr  io.Writer
	Timeout time.Duration // 0: no limit but ctx
}

// Bind shows a host directory inside the root.
type Bind struct {
	Host, Inside string
	Write        bool
}

// ExitError is a command that ran and failed.
type ExitError struct {
	Code   int
	Stderr string // its last 4 kB
}

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d: %s", e.Code, e.Stderr) }

// Verification is one proof.
type Verification struct {
	RepoFile string   // the published .repo file, with gpgcheck=1 and repo_gpgcheck=1
	Install  []string // package names or dependency expressions
	Debs     []string // as Job.Debs: what a user of the repository installs with apt
	Script   []string // argv run in the root afterwards as the unprivileged user; may be empty
	Stdin    io.Reader
	Stdout   io.Writer // of the script
	Log      string    // path of the log to write
	Network  bool      // loopback up inside (for an application that answers a request); never outside
}

// VerifyResult says what dnf installed.
type VerifyResult struct {
	Installed []string // NEVRAs
}
