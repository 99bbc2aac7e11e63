package testindex

import (
	"archive/zip"
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Package describes one version of a project on the index.
type Package struct {
	Name           string              `toml:"name"`
	Version        string              `toml:"version"`
	Requires       []string            `toml:"requires"` // Requires-Dist
	Extras         map[string][]string `toml:"extras"`   // what each adds to Requires
	RequiresPython string              `toml:"requires-python"`
	Yanked         string              `toml:"yanked"` // reason; "": not yanked
	Uploaded       time.Time           `toml:"uploaded"`
	Summary        string              `toml:"summary"`
	License        string              `toml:"license"` // "": MIT
	Scripts        []string            `toml:"scripts"` // "name = module:function"

	BuildRequires []string `toml:"build-requires"` // build-system.requires
	HookRequires  []string `toml:"hook-requires"`  // what the backend says when it is asked
	Imports       []string `toml:"imports"`        // modules that the build needs
	Dynamic       bool     `toml:"dynamic"`        // the sdist does not say its dependencies: the backend must be asked
	Seconds       float64  `toml:"seconds"`        // that the build takes

	Files    string `toml:"files"`     // "": an sdist; "wheel": only a wheel; "both"
	WheelTag string `toml:"wheel-tag"` // "": py3-none-any
	Fault    Fault  `toml:"fault"`
	Body     string `toml:"body"` // of the module, besides its version
	// Add are files of the source tree by path, in place of those that would be there.
	Add map[string]string `toml:"add"`
}

// Fault is what is wrong with a package; "" is nothing.
type Fault string

// The faults of a build, of an archive, and of the index about it.
const (
	BuildFails     Fault = "build-fails"
	HookFails      Fault = "hook-fails"
	WrongWheelName Fault = "wrong-wheel-name"

	DotDot      Fault = "dotdot"   // a member with ..
	Absolute    Fault = "absolute" // a member with an absolute path
	LinkOut     Fault = "link-out" // a symbolic link that leaves the tree
	Bomb        Fault = "bomb"
	TwoTops     Fault = "two-tops"
	NoMetadata  Fault = "no-metadata" // neither PKG-INFO nor pyproject.toml nor setup.py
	NotArchive  Fault = "not-archive" // an HTML page under the archive's name
	HugeSummary Fault = "huge-summary"

	WrongHash Fault = "wrong-hash" // the index promises another content
	NoHash    Fault = "no-hash"    // the index says nothing of the content; no trouble by itself
	CutShort  Fault = "cut-short"  // the file's end never comes
	Gone      Fault = "gone"       // listed, and not there
)

//go:embed backend.py
var backend []byte

// Hooks is what the build backend of a package's source tree answers.
type Hooks struct {
	Stem     string   `json:"stem"`
	Requires []string `json:"hook_requires"`
	Fault    Fault    `json:"fault"`
}

// ReadHooks finds the answers in an unpacked tree: for builders that run nothing.
func ReadHooks(tree string) (h Hooks, err error) {
	text, err := os.ReadFile(filepath.Join(tree, "_build", "package.json"))
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	return h, err
}

// Stem is the name in file names.
func (p Package) Stem() string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToLower(p.Name))
}

func (p Package) wheelTag() string { return cmp.Or(p.WheelTag, "py3-none-any") }

func (p Package) summary() string {
	if p.Fault == HugeSummary {
		return strings.Repeat("word ", 1<<20/5)
	}
	return cmp.Or(p.Summary, "A package for tests")
}

// metadata is the core metadata of the wheel. It is written as it comes: what is
// hostile in a description stays hostile.
func (p Package) metadata() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Metadata-Version: 2.2\nName: %s\nVersion: %s\nSummary: %s\nLicense: %s\n", p.Name, p.Version, p.summary(), cmp.Or(p.License, "MIT"))
	if p.RequiresPython != "" {
		fmt.Fprintf(&b, "Requires-Python: %s\n", p.RequiresPython)
	}
	for _, r := range p.Requires {
		fmt.Fprintf(&b, "Requires-Dist: %s\n", r)
	}
	for _, extra := range slices.Sorted(maps.Keys(p.Extras)) {
		fmt.Fprintf(&b, "Provides-Extra: %s\n", extra)
		for _, r := range p.Extras[extra] {
			fmt.Fprintf(&b, "Requires-Dist: %s ; extra == %q\n", r, extra)
		}
	}
	return b.String()
}

// pkgInfo is what the sdist says of itself.
func (p Package) pkgInfo() string {
	if !p.Dynamic {
		return p.metadata()
	}
	return fmt.Sprintf("Metadata-Version: 2.2\nName: %s\nVersion: %s\nSummary: %s\nDynamic: Requires-Dist\nDynamic: Provides-Extra\n", p.Name, p.Version, p.summary())
}

// Tree is the source tree of the package, by path.
func (p Package) Tree() map[string]string {
	module := p.Stem() + "/__init__.py"
	build, _ := json.Marshal(map[string]any{
		"stem": p.Stem(), "version": p.Version, "metadata": p.metadata(), "fault": p.Fault, "seconds": p.Seconds,
		"hook_requires": listOf(p.HookRequires), "imports": listOf(p.Imports), "scripts": listOf(p.Scripts), "files": []string{module},
	})
	requires, _ := json.Marshal(listOf(p.BuildRequires)) // a TOML array too
	tree := map[string]string{
		"PKG-INFO":                     p.pkgInfo(),
		"LICENSE":                      "MIT License\n",
		"pyproject.toml":               fmt.Sprintf("[build-system]\nrequires = %s\nbuild-backend = \"testbackend\"\nbackend-path = [\"_build\"]\n", requires),
		"_build/testbackend.py":        string(backend),
		"_build/package.json":          string(build),
		module:                         fmt.Sprintf("__version__ = %q\n\n\ndef main():\n    print(%q, __version__)\n\n\n%s", p.Version, p.Name, p.Body),
		p.Stem() + "/not_in_wheel.txt": "left out\n",
	}
	maps.Copy(tree, p.Add)
	return tree
}

func listOf(s []string) []string { return append([]string{}, s...) }

// Wheel is the wheel of the package.
func (p Package) Wheel() (name string, data []byte, err error) {
	info := p.Stem() + "-" + p.Version + ".dist-info/"
	files := map[string]string{
		p.Stem() + "/__init__.py": p.Tree()[p.Stem()+"/__init__.py"],
		info + "METADATA":         p.metadata(),
		info + "WHEEL":            "Wheel-Version: 1.0\nGenerator: testindex\nRoot-Is-Purelib: true\nTag: " + p.wheelTag() + "\n",
	}
	var record strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&record, "%s,,\n", name)
	}
	files[info+"RECORD"] = record.String() + info + "RECORD,,\n"
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err != nil {
			return "", nil, err
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			return "", nil, err
		}
	}
	if err := z.Close(); err != nil {
		return "", nil, err
	}
	return p.Stem() + "-" + p.Version + "-" + p.wheelTag() + ".whl", buf.Bytes(), nil
}
