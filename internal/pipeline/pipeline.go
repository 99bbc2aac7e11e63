// Package pipeline is the line a package passes through:
//
//	source → reqfile → index → solve → sdist → spec → plan → builder → repo
//
// Each method of Pipeline is one stage; Run walks them all. The stages themselves know
// nothing of each other: what they hand on is wired here. State is in files under
// one directory: caches that any number of projects and processes share, and
// one folder a run.
package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/index"
	"reqpm/internal/lockfile"
	"reqpm/internal/override"
	"reqpm/internal/pep508"
	"reqpm/internal/solve"
	"reqpm/internal/target"
)

// Config is what every stage needs. All fields but Crates, Log, Pool and Report must be set.
type Config struct {
	StateDir string
	Target   target.Target
	Index    index.Reader
	// IndexFor makes the reader for a project whose requirement files name indexes of their
	// own (--index-url, --find-links); nil: such options are reported and not followed.
	IndexFor func(Indexes) (index.Reader, error)
	// Getenv answers for ${NAME} in requirement files; nil: no variable is shown to them. A
	// requirement file can send a value anywhere, so callers list the names they allow.
	Getenv  func(string) (string, bool)
	Builder builder.Builder
	// Crates fetches what cargo builds; nil: packages with Rust parts whose archives do not bring their
	// crates are failed packages.
	Crates CrateFetcher
	// Pool is what builds wait for, shared by the pipelines that are to run side by side; nil: one
	// of its own, with a slot for each processor.
	Pool *Pool
	// Report gets every event, from any goroutine, one at a time.
	Report func(Event)
	Log    *slog.Logger
	// AllowWheel names packages (PEP 503) that may be packaged from a wheel when there is no
	// sdist.
	AllowWheel []string
	// Said is what people say of packages beside the project's own files: the user's, and the command
	// line.
	Said override.Set
	// AllowCompiledWheel names packages (PEP 503) that may be packaged from a wheel with compiled code,
	// too: nobody here compiled it, and it may bring libraries of its own.
	AllowCompiledWheel []string
	// Constraints restrict versions of the set beside those that the project's files give.
	Constraints []pep508.Requirement
	// Overrides count in place of every other requirement on their names, whoever makes it.
	Overrides []pep508.Requirement
	// Pythons are what could be chosen in place of the target's Python, for people to whom it
	// gives no solution.
	Pythons []solve.PythonChoice
	// BuildConstraints restrict the versions of build tools, as pip's --build-constraint does.
	BuildConstraints []pep508.Requirement
	// Distribution is what is made of what the target's distribution has.
	Distribution DistributionConfig
	// System brings packages of this machine's own distribution (apt) into builds for target local;
	// nil: there is none. With NoSystemPackages nothing is fetched, and needs that the machine
	// itself does not meet are errors or notes.
	System           SystemPackages
	NoSystemPackages bool
	// Limits of each build.
	Limits builder.Limits
	// NoRepair leaves a failed build at that: nothing is changed and tried again, and nothing that earlier
	// runs learned is used.
	NoRepair bool
	// Refresh ignores the cache of builds: everything is built again.
	Refresh bool
	// Keep is an earlier lock of the target: its versions and commits are taken again where they
	// fit, but for the names (PEP 503) in Upgrade. nil: there is none.
	Keep    *lockfile.Target
	Upgrade []string
	// Locked is a lock to follow: nothing is chosen any more, and what does not fit it is a
	// *LockError.
	Locked *lockfile.File
}

// Pipeline holds what the stages of one run on one target share. Its methods are
// called one after the other; each works on many packages at once inside.
type Pipeline struct {
	cfg   Config
	paths paths

	scratch scratch

	root     baseRoot
	baseOnce sync.Once
	base     builder.Base // for who has seen openBase answer
	baseErr  error

	hooks *hooks
	from  *candidates

	words   override.Set // what people say of packages, the project's files included
	learned learnedLayers

	distribution distributionAnswer
	system       *systemNeeds

	reportMu sync.Mutex
	local    localArchives
	history  *history
}

// paths are the folders under the state directory.
type paths struct {
	state   string
	scratch string // of this pipeline alone
}

func (p paths) facts() string    { return filepath.Join(p.state, "facts") }
func (p paths) builds() string   { return filepath.Join(p.state, "builds") }
func (p paths) runs() string     { return filepath.Join(p.state, "runs") }
func (p paths) tmp() string      { return p.scratch }
func (p paths) keys() string     { return filepath.Join(p.state, "keys") }
func (p paths) history() string  { return filepath.Join(p.state, "history.json") }
func (p paths) sources() string  { return filepath.Join(p.state, "sources") }
func (p paths) repos() string    { return filepath.Join(p.state, "repos") }
func (p paths) crates() string   { return filepath.Join(p.state, "crates") }
func (p paths) hookEnvs() string { return filepath.Join(p.state, "hookenvs") }

// New prepares the state directory. The base root is not opened yet. Close it.
func New(cfg Config) (*Pipeline, error) {
	if cfg.Pool == nil {
		cfg.Pool = NewPool(runtime.NumCPU())
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pipeline{cfg: cfg, paths: paths{state: cfg.StateDir}}
	for _, dir := range []string{p.paths.facts(), p.paths.builds(), p.paths.runs(), filepath.Join(cfg.StateDir, "tmp"), p.paths.sources(), p.paths.crates(), p.paths.hookEnvs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("prepare the state directory %s: %w", cfg.StateDir, err)
		}
	}
	var err error
	if p.scratch, err = newScratch(cfg.StateDir); err != nil {
		return nil, fmt.Errorf("prepare the state directory %s: %w", cfg.StateDir, err)
	}
	p.paths.scratch = p.scratch.dir
	p.root.open = p.openRoot
	p.system = newSystemNeeds()
	p.from = newCandidates(p)
	p.hooks = newHooks(p, p.from)
	p.history = openHistory(p.paths.history())
	p.history.tmp = p.paths.tmp()
	p.heed(override.Set{})
	p.recall()
	return p, nil
}

// Close gives the base root back and removes what was made for a while.
func (p *Pipeline) Close() error {
	return errors.Join(p.scratch.remove(), p.root.close())
}

// Target is the target, corrected by what was probed once the base root is open.
func (p *Pipeline) Target() target.Target {
	if p.base != nil {
		return p.base.Target()
	}
	return p.cfg.Target
}

// Event is one thing that happened, for people and programs that follow a run.
type Event struct {
	Event   string    `json:"event"` // stage, note, warning, package, progress
	Time    time.Time `json:"time"`
	Stage   string    `json:"stage,omitempty"`
	Target  string    `json:"target,omitempty"`
	Name    string    `json:"name,omitempty"`
	Version string    `json:"version,omitempty"`
	State   string    `json:"state,omitempty"` // for packages: building, built, reused, retrying, failed, blocked
	Phase   string    `json:"phase,omitempty"`
	Message string    `json:"message,omitempty"`
	Log     string    `json:"log,omitempty"`
	Seconds float64   `json:"seconds,omitempty"`
	Done    int       `json:"done,omitempty"`
	Total   int       `json:"total,omitempty"`
	Left    float64   `json:"left,omitempty"` // expected seconds to the end of the run
}

func (p *Pipeline) report(e Event) {
	if p.cfg.Report == nil {
		return
	}
	e.Time = time.Now()
	e.Target = p.cfg.Target.Name
	p.reportMu.Lock()
	defer p.reportMu.Unlock()
	p.cfg.Report(e)
}

func (p *Pipeline) stage(stage, message string) {
	p.report(Event{Event: "stage", Stage: stage, Message: message})
}

func (p *Pipeline) warn(stage, message string) {
	p.report(Event{Event: "warning", Stage: stage, Message: message})
}

// errBase marks a base root that cannot be made: nothing can be built at all.
var errBase = errors.New("open the base root")

// ErrNoSource: a package of the lock has no source distribution.
var ErrNoSource = errors.New("no source distribution")
