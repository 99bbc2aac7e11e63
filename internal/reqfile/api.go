package reqfile

import (
	"context"
	"io/fs"

	"reqpm/internal/pep508"
)

// Position is where a requirement stands: a slash path relative to the project's
// root (or the URL of a remote file) and a line from 1.
type Position struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// Requirement is one requirement and where it was asked for.
type Requirement struct {
	pep508.Requirement
	Position
	Text     string   // the logical line as written, without comment and options
	Hashes   []string // "sha256:…" from --hash
	Editable bool
	Path     string // local project folder, slash path relative to the root; "" otherwise
	VCS      string // "git+https://…@ref" as written; "" otherwise. URL archives stand in Requirement.URL
}

// Options are the global options of the files, in order of appearance.
type Options struct {
	IndexURL       string
	ExtraIndexURLs []string
	NoIndex        bool
	FindLinks      []string
	NoBinary       []string
	OnlyBinary     []string
	Pre            bool
	RequireHashes  bool
	TrustedHosts   []string
	PreferBinary   bool
}

// Set is all that was read.
type Set struct {
	Requirements []Requirement
	Constraints  []Requirement
	Options      Options
	Files        []string // every file read, in order
	Project      *Project // from pyproject.toml when one was read
	Warnings     []string // "file:line: …"
}

// Project is what pyproject.toml's [project] says of the project itself.
type Project struct {
	Name           string
	Version        string
	RequiresPython string
	Extras         []string
	HasBuildSystem bool
	Position       Position
}

// Request says what to read.
type Request struct {
	FS          fs.FS                                                 // the project's root; nothing outside of it is read
	Files       []string                                              // requirement files and pyproject.toml, slash paths relative to the root
	Constraints []string                                              // further -c files
	Extras      []string                                              // optional dependency groups of [project] wanted
	Getenv      func(string) (string, bool)                           // for ${VAR}; nil: none set
	Fetch       func(ctx context.Context, url string) ([]byte, error) // remote -r/-c files; nil: refused with an error
}

// Candidate is one file that Discover looked at.
type Candidate struct {
	Path   string `json:"path"`
	Count  int    `json:"count"` // requirements in it
	Chosen bool   `json:"chosen"`
	Why    string `json:"why"` // why chosen or ignored, for people
	Error  string `json:"error,omitempty"`
}
