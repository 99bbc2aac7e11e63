package crates

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// What a Cargo.lock may hold: the largest seen, of tools with a GUI, have fewer than 1,500 crates.
const (
	maxLock     = 10 << 20
	maxPackages = 5000
)

// Lock is what a Cargo.lock says.
type Lock struct{ Packages []Package }

// Package is one entry of a Cargo.lock.
type Package struct {
	Name         string   `toml:"name"`
	Version      string   `toml:"version"` // semantic version
	Source       string   `toml:"source"`  // "registry+…", "sparse+…", "git+…"; "" for a package of the project's own tree
	Checksum     string   `toml:"checksum"`
	Dependencies []string `toml:"dependencies"` // "name", "name version" or "name version (source)"
}

// Own tells whether the package is part of the project's tree.
func (p Package) Own() bool { return p.Source == "" }

// ID is the package as messages have it.
func (p Package) ID() string { return p.Name + " " + p.Version }

var (
	crateName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
	crateVersion  = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	sourceText    = regexp.MustCompile(`^[a-z]+\+[!-~]+$`)
	checksumText  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	dependsOnText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*( [0-9][0-9A-Za-z.+-]*( \([!-~]+\))?)?$`)
)

// ParseLock reads a Cargo.lock of any version. One that names what no registry has, or gives no checksums,
// is a *LockError: nothing vouches for such crates.
func ParseLock(text []byte) (*Lock, error) {
	if len(text) > maxLock {
		return nil, lockErrorf("it has more than %d bytes", maxLock)
	}
	var file struct {
		Package  []Package         `toml:"package"`
		Metadata map[string]string `toml:"metadata"` // version 1 has the checksums here
		Patch    struct {
			Unused []Package `toml:"unused"`
		} `toml:"patch"`
	}
	if err := toml.Unmarshal(text, &file); err != nil {
		return nil, &LockError{err.Error()}
	}
	if len(file.Package) > maxPackages {
		return nil, lockErrorf("it has more than %d packages", maxPackages)
	}
	registry := ""
	for i := range file.Package {
		p := &file.Package[i]
		p.Checksum = cmp.Or(p.Checksum, file.Metadata[fmt.Sprintf("checksum %s %s (%s)", p.Name, p.Version, p.Source)])
		if err := p.check(); err != nil {
			return nil, err
		}
		if p.Own() {
			continue
		}
		if registry = cmp.Or(registry, p.Source); p.Source != registry {
			return nil, lockErrorf("%s comes from another registry than the crates before it; only one registry, cargo's default, can be asked", p.ID())
		}
	}
	return &Lock{file.Package}, nil
}

func (p *Package) check() error {
	if !crateName.MatchString(p.Name) || len(p.Version) > 100 || !crateVersion.MatchString(p.Version) {
		return lockErrorf("%.80q %.80q is not the name and version of a crate", p.Name, p.Version)
	}
	for _, d := range p.Dependencies {
		if len(d) > 1000 || !dependsOnText.MatchString(d) {
			return lockErrorf("%s requires %.80q, which is not a crate", p.ID(), d)
		}
	}
	kind, _, _ := strings.Cut(p.Source, "+")
	switch {
	case p.Own():
		return nil
	case kind == "git":
		return lockErrorf("%s comes from a Git repository (%.200q); only crates of a registry are fetched, because nothing but their checksums vouches for them", p.ID(), p.Source)
	case !sourceText.MatchString(p.Source) || kind != "registry" && kind != "sparse":
		return lockErrorf("%s comes from %.200q, which is not a registry", p.ID(), p.Source)
	case !checksumText.MatchString(p.Checksum):
		return lockErrorf("%s has no checksum", p.ID())
	}
	return nil
}

// Fetched are the packages that are not part of the project's tree, sorted by name and version.
func (l *Lock) Fetched() []Package {
	list := slices.DeleteFunc(slices.Clone(l.Packages), Package.Own)
	slices.SortFunc(list, func(a, b Package) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version)) })
	return list
}

// manifest is a Cargo.toml that requires exactly the packages of list, and nothing of their optional parts
// that they do not require of each other.
func manifest(list []Package) string {
	var b strings.Builder
	b.WriteString("[package]\nname = \"" + ownName + "\"\nversion = \"0.0.0\"\nedition = \"2021\"\npublish = false\n\n[lib]\npath = \"lib.rs\"\n\n")
	b.WriteString("[workspace]\n\n[dependencies]\n") // without a workspace cargo looks for one in the folders above
	for i, p := range list {
		version, _, _ := strings.Cut(p.Version, "+") // requirements have no build metadata
		fmt.Fprintf(&b, "c%d = { package = %q, version = \"=%s\", default-features = false }\n", i, p.Name, version)
	}
	return b.String()
}

// ownName is the package that requires all crates; it is no crate's.
const ownName = "reqpm-crates-of-one-lock"

// lockText is the Cargo.lock of manifest(list).
func lockText(list []Package) string {
	var b strings.Builder
	b.WriteString("version = 3\n")
	entry := func(p Package) {
		fmt.Fprintf(&b, "\n[[package]]\nname = %q\nversion = %q\n", p.Name, p.Version)
		if !p.Own() {
			fmt.Fprintf(&b, "source = %q\nchecksum = %q\n", p.Source, p.Checksum)
		}
		if len(p.Dependencies) > 0 {
			b.WriteString("dependencies = [\n")
			for _, d := range p.Dependencies {
				fmt.Fprintf(&b, " %q,\n", d)
			}
			b.WriteString("]\n")
		}
	}
	own := Package{Name: ownName, Version: "0.0.0"}
	for _, p := range list {
		entry(p)
		own.Dependencies = append(own.Dependencies, p.ID())
	}
	entry(own)
	return b.String()
}
