// Package service does the steps of a run: what the engine hands out as a ticket becomes a call of package
// pipeline, whose results go to the store and the blobs. It knows no HTTP.
//
//	checkout → analyze → for each target: resolve → specs → plan → one build for each package → publish → verify
//
// Every step is idempotent: it starts from what the steps before it left in the database, in the blobs
// and in the cache of builds, never from what a process happens to hold. What a process does hold, the
// planned work of the runs it is busy with, only spares it planning again.
package service

import (
	"context"
	"log/slog"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/secret"
	"reqpm/internal/source"
	"reqpm/internal/store"
	"reqpm/internal/target"
)

// Settings are what a project says beside its address: the options of 'reqpm build' by their names
// without dashes, and what publishing needs.
type Settings struct {
	Options      lockfile.Options `json:"options,omitempty"`
	Channel      string           `json:"channel,omitempty"` // "": stable
	ProofCommand string           `json:"proof_command,omitempty"`
	NoProof      bool             `json:"no_proof,omitempty"`
	// Overrides are what is said of packages beside the project's own files: the text of an overrides/NAME.toml
	// for each name.
	Overrides map[string]string `json:"overrides,omitempty"`
}

// Subject is the project, and the commit and target of it, that a step is about.
type Subject struct {
	Run      int64
	Project  string // its name, which is its folder among the repositories
	GitURL   string
	Ref      string // of the project
	Commit   string // "" before checkout
	Files    []string
	Target   string // "" for steps that no target has a say in
	Settings Settings
	Refresh  bool // nothing of the cache of builds is taken
	// Own are the spec files of people that builds for the target take.
	Own []OwnSpec
	// Secrets open the Git servers and indexes that they are for. None is told to anybody else, builds among them.
	Secrets []secret.Secret
	// hide cuts them out of texts.
	hide func(text string) string
}

// Pipelines opens pipelines; package cli has the one implementation. Safe for concurrent use.
type Pipelines interface {
	// Open opens the pipeline of a subject's target, following lock where that is not nil. An
	// error is about the settings, or the machine.
	Open(ctx context.Context, s Subject, lock *lockfile.File, report func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error)
	// Source is where a subject comes from.
	Source(s Subject) (source.Request, error)
}

// Config is what a Service needs.
type Config struct {
	Store     *store.Store
	Settings  SettingsBase // of the server
	Pipelines Pipelines
	Blobs     blob.Store
	Logs      *blob.Logs
	StateDir  string
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: nothing is logged
	// Secrets are those of a project; nil: no project has any.
	Secrets func(ctx context.Context, project int64) ([]secret.Secret, error)
	// Targets are what a project's name of a target means, with their repositories; nil: nobody looks at their keys.
	Targets func(ctx context.Context, name string) ([]target.Target, error)
	// KeyFile reads a file of signing keys that a repository names. It must be set where Targets is.
	KeyFile func(ctx context.Context, r target.Repo, address string) ([]byte, error)
	// Hide makes a function that cuts secrets out of texts. It must be set where Secrets is.
	Hide func(all []secret.Secret) func(text string) string
}

// Service does steps. All methods are safe for concurrent use.
type Service struct {
	cfg      Config
	sessions sessions
}

// New makes a Service. Close it when no step is running any more.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Blobs = watchedBlobs{cfg.Blobs}
	return &Service{cfg: cfg}
}

// Close gives back what runs held.
func (s *Service) Close() error { return s.sessions.closeAll() }
