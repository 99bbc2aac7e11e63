package lockfile

// Format is the version of the format that this program writes and reads.
const Format = 1

// Name is the file's usual name, in the project's folder.
const Name = "reqpm.lock"

// File is a whole lock.
type File struct {
	Format  int      `toml:"format"`
	Inputs  Inputs   `toml:"inputs"`
	Options Options  `toml:"options"`
	Targets []Target `toml:"target"`
}

// Inputs are what the lock was made from. When one of them is another, the lock no longer fits.
type Inputs struct {
	Files   []Input  `toml:"files"`
	Project *Project `toml:"project"` // nil when the project itself is not packaged
}

// Input is a file of the project that was read: its slash path and the SHA-256 of its content.
type Input struct {
	Path   string `toml:"path"`
	SHA256 string `toml:"sha256"`
}

// Project is what the project says of itself as a package, by its metadata. Its version is not
// part of it: a new commit with the same requirements leaves the lock valid.
type Project struct {
	Name           string   `toml:"name"`
	RequiresPython string   `toml:"requires-python"`
	Requires       []string `toml:"requires"` // Requires-Dist without extras, sorted
}

// Options are what the user chose beside the files, as far as it decides what is locked: the values of
// flags by their names.
type Options map[string][]string

// Target is the set of one target.
type Target struct {
	Name     string    `toml:"name"`
	Python   string    `toml:"python"` // full version: markers were evaluated for it
	Arch     string    `toml:"arch"`
	Packages []Package `toml:"package"`
	// Tools and BuildRoots are there when a plan was made: what builds need, and the one choice
	// of versions for each set of build requirements.
	Tools      []Package   `toml:"tool"`
	BuildRoots []BuildRoot `toml:"build-root"`
}

// Package is one version of a package and the one file it comes from.
type Package struct {
	Name       string   `toml:"name"`    // PEP 503
	Version    string   `toml:"version"` // PEP 440, normalised
	Extras     []string `toml:"extras"`
	Decision   Decision `toml:"decision"`
	Artifact   Artifact `toml:"artifact"`
	Index      string   `toml:"index"` // name of the index that had it, "" for none
	RequiredBy []Edge   `toml:"required-by"`
}

// Artifact is a file by its name and content, wherever it lies.
type Artifact struct {
	Filename string `toml:"filename"`
	Kind     string `toml:"kind"` // sdist, wheel, rpm
	SHA256   string `toml:"sha256"`
	// For what no index has: the address without credentials, the commit, and the folder inside.
	URL          string `toml:"url"`
	Commit       string `toml:"commit"`
	Subdirectory string `toml:"subdirectory"`
}

// Decision is what happens to a package on the target.
type Decision string

// The decisions of a lock.
const (
	Build      Decision = "build"
	Reuse      Decision = "reuse-from-distribution"
	AllowWheel Decision = "allow-wheel"
	NoSource   Decision = "no-source" // there is only a wheel, and nobody allowed it: it can be locked, not built
)

// Edge is one requirement that put a package into the set.
type Edge struct {
	Kind        string `toml:"edge"` // toplevel, install, build-system, build-backend
	From        string `toml:"from"` // name; for build tools "name version", as there may be several; "" for a line of the user's own
	Requirement string `toml:"requirement"`
	File        string `toml:"file"`
	Line        int    `toml:"line"`
}

// BuildRoot is the choice for one set of build requirements.
type BuildRoot struct {
	Requires []string `toml:"requires"` // sorted
	Packages []string `toml:"packages"` // "name version", sorted
}

// Target returns the set of a target, nil when the lock has none of that name.
func (f *File) Target(name string) *Target {
	for i := range f.Targets {
		if f.Targets[i].Name == name {
			return &f.Targets[i]
		}
	}
	return nil
}

// Package returns a package of the set, nil when it has none of that name.
func (t *Target) Package(name string) *Package {
	for i := range t.Packages {
		if t.Packages[i].Name == name {
			return &t.Packages[i]
		}
	}
	return nil
}
