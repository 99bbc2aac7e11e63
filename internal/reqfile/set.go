package reqfile

import (
	"context"
	"io/fs"

	"reqpm/internal/pep508"
)

// Position is where a requirement stands: a slash path relative to the project's
// root (or the URL of a remote file, without its credentials) and a line from 1.
// Line 0 means the file as a whole.
type Position struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// Requirement is one requirement and where it was asked for.
//
// At most one of VCS and Path is set; look at them before URL, since VCS is
// repeated in URL so that nobody takes the requirement for one of the index.
// VCS and URL have variables expanded and may hold credentials; Text has not.
// Name is "" where only the metadata of the thing can tell it: source archives and
// repositories without #egg= or "name @", local folders whose pyproject.toml does
// not say it.
type Requirement struct {
	pep508.Requirement
	Position
	Text         string   // the logical line as written (variables not expanded), without comment and options
	Hashes       []string // "sha256:…" from --hash or from the fragment of a URL, lower case
	Editable     bool
	Path         string // local project folder, wheel or sdist: slash path relative to the root; "" otherwise
	VCS          string // "git+https://…@ref", without fragment; "" otherwise. URL archives stand in Requirement.URL
	Subdirectory string // of a VCS or archive URL: "#subdirectory=", a clean slash path inside of it; "" otherwise
	Index        string // what this one package must come from: the name of one of Options.Indexes, or a URL; "" any
}

// Direct tells whether r names the thing itself (a repository, a URL, a local
// path) and not something to be looked up in an index.
func (r Requirement) Direct() bool { return r.VCS != "" || r.Path != "" || r.URL != "" }

// Options are the global options of the files, in order of appearance.
type Options struct {
	IndexURL       string   // the last one written
	ExtraIndexURLs []string // variables expanded: may hold credentials
	NoIndex        bool
	FindLinks      []string // URLs, and slash paths relative to the root
	NoBinary       []string // PEP 503 names, or ":all:"
	OnlyBinary     []string // PEP 503 names, or ":all:"
	Pre            bool
	RequireHashes  bool
	TrustedHosts   []string
	PreferBinary   bool
	Indexes        []NamedIndex // of pyproject.toml and Pipfile, in the order they go before each other
}

// NamedIndex is an index that a project's file names: [[tool.uv.index]],
// [[tool.poetry.source]], [[tool.pdm.source]], [[source]] of a Pipfile.
type NamedIndex struct {
	Position
	Name     string // "" where the file gives none
	URL      string // variables expanded: may hold credentials; "" for the index of the configuration
	Explicit bool   // serves only requirements that name it
	Default  bool   // takes the place of the index of the configuration
}

// Set is all that was read.
type Set struct {
	Requirements []Requirement // in the order pip would meet them; duplicates are kept
	Constraints  []Requirement
	Locks        []Lock        // what lock files chose, in the order read
	Overrides    []Requirement // each replaces every requirement on its name, whoever has it (uv's override-dependencies)
	// BuildConstraints restrict what is taken to build packages (uv's build-constraint-dependencies).
	BuildConstraints []Requirement
	Options          Options
	Files            []string // every file read, in order, each once
	Project          *Project // from the first file read that describes one
	Warnings         []string // "file:line: …"
}

// Lock is one lock file read: versions to be taken as pins.
//
// Whether the lock is one for the target's Python is for the caller to decide, by
// RequiresPython.
type Lock struct {
	File           string
	Format         string // "uv", "poetry", "pdm", "pipenv", "pylock"
	RequiresPython string // PEP 440 specifiers, "" when the lock does not say
	Pins           []Pin  // in the order of the file
	Complete       bool   // it names the whole closure of the requirements it was made for
}

// Pin is one package version of a lock. A name may have several; their markers
// tell which one an environment takes.
type Pin struct {
	Position
	Name    string         // PEP 503
	Version string         // PEP 440 as written; "" where the lock has none (folders with a dynamic version)
	Marker  *pep508.Marker // nil: everywhere
	Hashes  []string       // "sha256:…" of every artifact, lower case; none where the lock has none
	Index   string         // URL of the index it was taken from, or the name of one of Options.Indexes; "" not said
	Direct  *Requirement   // the repository at its commit, the archive or the folder; nil for a package of an index
}

// Project is what a project's file says of the project itself: [project] or
// [tool.poetry] of pyproject.toml, setup.cfg, setup.py, or a lock's root package.
type Project struct {
	Name           string
	Version        string // "" when dynamic or absent
	RequiresPython string
	Extras         []string // PEP 685 form, in order of appearance
	Groups         []string // names of [dependency-groups] (PEP 735), normalised, in order of appearance
	HasBuildSystem bool     // a [build-system] table is present
	Position       Position
}

// Request says what to read.
type Request struct {
	FS          fs.FS                                                 // the project's root; nothing outside of it is read
	Root        string                                                // absolute path of FS where it has one: absolute paths and file:/// URLs inside of it are understood then; "": all are refused
	Files       []string                                              // files of any kind that is read, slash paths relative to the root
	Constraints []string                                              // further -c files
	Extras      []string                                              // optional dependency groups of [project] wanted
	Groups      []string                                              // [dependency-groups] wanted (PEP 735)
	Envs        []string                                              // environments of tools wanted: "tox:py311", "hatch:default"
	Getenv      func(string) (string, bool)                           // for ${VAR}; nil: none set
	Fetch       func(ctx context.Context, url string) ([]byte, error) // remote -r/-c files; nil: refused with an error
}

// Candidate is one file that Discover looked at.
type Candidate struct {
	Path  string `json:"path"`
	Count int    `json:"count"` // requirements in it, those of files it includes counted
	// Project is the name of the project that the file describes, "" for files that describe none.
	Project string `json:"project,omitempty"`
	Chosen  bool   `json:"chosen"`
	Why     string `json:"why"` // why chosen or ignored, for people
	Error   string `json:"error,omitempty"`
}
