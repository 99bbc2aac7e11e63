package sdist

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Rust is what a source tree says of its Rust parts. Paths are slash-separated, from the tree's top.
type Rust struct {
	Manifests []string // Cargo.toml of what the backend builds, sorted
	Locks     []string // the Cargo.lock files that cargo goes by for them, sorted
	Unlocked  []string // the Cargo.toml whose Cargo.lock is missing: cargo would choose versions on the day of the build
	// Vendored: a cargo configuration of the tree takes crates from a folder of the tree (orjson).
	Vendored bool
	// MinVersion is the oldest Rust that the manifests say they build with, "" where they do not say.
	MinVersion string
	// Members are the crates of the tree itself, by name, with the names of the crates whose code becomes part
	// of them: those of their tests and build scripts are not among them.
	Members map[string][]string
}

// Manifests of one tree that are read at most.
const maxManifests = 500

// cargoManifest is what this package uses of a Cargo.toml.
type cargoManifest struct {
	Package struct {
		Name        string `toml:"name"`
		RustVersion any    `toml:"rust-version"` // a text, or { workspace = true }
		Workspace   string `toml:"workspace"`
	} `toml:"package"`
	Workspace *struct {
		Package struct {
			RustVersion string `toml:"rust-version"`
		} `toml:"package"`
		Dependencies map[string]any `toml:"dependencies"`
	} `toml:"workspace"`
	Dependencies map[string]any `toml:"dependencies"`
	Target       map[string]struct {
		Dependencies map[string]any `toml:"dependencies"`
	} `toml:"target"`
}

// manifest reads a Cargo.toml; nil when there is none that can be read.
func (t tree) manifest(name string) *cargoManifest {
	data, err := t.read(name)
	var m cargoManifest
	if err != nil || toml.Unmarshal(data, &m) != nil {
		return nil
	}
	return &m
}

// readRust gathers what a tree with Rust parts says of them.
func readRust(f Facts, p pyproject, scripts string, t tree) *Rust {
	r := &Rust{Members: map[string][]string{}}
	for _, name := range rustManifests(f, p, scripts, t) {
		m := t.manifest(name)
		if m == nil {
			continue
		}
		r.Manifests = append(r.Manifests, name)
		root, workspace := t.cargoRoot(name, m)
		if lock := path.Join(path.Dir(root), "Cargo.lock"); t.isFile(lock) {
			r.Locks = append(r.Locks, lock)
		} else {
			r.Unlocked = append(r.Unlocked, root)
		}
		version, _ := m.Package.RustVersion.(string)
		if version == "" && m.Package.RustVersion != nil && workspace.Workspace != nil {
			version = workspace.Workspace.Package.RustVersion
		}
		r.MinVersion = NewerRust(r.MinVersion, version)
		r.Vendored = r.Vendored || t.bringsCrates(path.Dir(name))
	}
	for _, list := range []*[]string{&r.Manifests, &r.Locks, &r.Unlocked} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	t.readMembers(r)
	return r
}

var manifestWord = regexp.MustCompile(`["']([A-Za-z0-9_./-]*Cargo\.toml)["']`)

// rustManifests are the places where the backend looks for a Cargo.toml.
func rustManifests(f Facts, p pyproject, scripts string, t tree) []string {
	var names []string
	if strings.HasPrefix(f.Backend, "maturin") || f.wants("maturin") {
		if manifest, ok := p.tool("maturin", "manifest-path").(string); ok {
			return []string{path.Clean(manifest)}
		}
		for _, name := range []string{"Cargo.toml", "rust/Cargo.toml"} {
			if t.isFile(name) {
				return []string{name}
			}
		}
	}
	for _, key := range []string{"ext-modules", "bins"} {
		list, _ := p.tool("setuptools-rust", key).([]any)
		for _, one := range list {
			table, _ := one.(map[string]any)
			if name, ok := table["path"].(string); ok {
				names = append(names, path.Clean(name))
			} else {
				names = append(names, "Cargo.toml")
			}
		}
	}
	for _, m := range manifestWord.FindAllStringSubmatch(scripts, maxManifests) {
		names = append(names, path.Clean(m[1]))
	}
	if len(names) == 0 {
		names = []string{"Cargo.toml"} // RustExtension's own default
	}
	return slices.DeleteFunc(names, func(name string) bool { return !fs.ValidPath(name) || !t.isFile(name) })
}

// cargoRoot finds the manifest whose folder has the Cargo.lock: the workspace's, or the package's own.
func (t tree) cargoRoot(name string, m *cargoManifest) (string, *cargoManifest) {
	if m.Workspace != nil {
		return name, m
	}
	if m.Package.Workspace != "" {
		root := path.Join(path.Dir(name), m.Package.Workspace, "Cargo.toml")
		if w := t.manifest(root); fs.ValidPath(root) && w != nil {
			return root, w
		}
	}
	for dir := path.Dir(name); dir != "."; {
		dir = path.Dir(dir)
		root := path.Join(dir, "Cargo.toml")
		if w := t.manifest(root); w != nil && w.Workspace != nil {
			return root, w
		}
	}
	return name, m
}

// bringsCrates tells whether a cargo configuration that counts in dir takes crates from a folder.
func (t tree) bringsCrates(dir string) bool {
	for {
		for _, name := range []string{"config.toml", "config"} {
			data, err := t.read(path.Join(dir, ".cargo", name))
			var config struct {
				Source map[string]map[string]any `toml:"source"`
			}
			if err != nil || toml.Unmarshal(data, &config) != nil {
				continue
			}
			for _, source := range config.Source {
				if source["directory"] != nil || source["local-registry"] != nil {
					return true
				}
			}
		}
		if dir == "." {
			return false
		}
		dir = path.Dir(dir)
	}
}

// readMembers notes every crate of the tree.
func (t tree) readMembers(r *Rust) {
	read := 0
	_ = fs.WalkDir(t.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || read > maxManifests:
			return fs.SkipAll
		case d.IsDir() && (besideTheCode[d.Name()] || d.Name() == "vendor"):
			return fs.SkipDir
		case d.Name() != "Cargo.toml" || d.IsDir():
			return nil
		}
		read++
		m := t.manifest(name)
		if m == nil || m.Package.Name == "" {
			return nil
		}
		_, workspace := t.cargoRoot(name, m)
		list := m.linked(workspace)
		r.Members[m.Package.Name] = append(r.Members[m.Package.Name], list...)
		return nil
	})
}

// linked are the names of the crates that m's code is linked with.
func (m *cargoManifest) linked(workspace *cargoManifest) []string {
	var names []string
	add := func(table map[string]any) {
		for key, value := range table {
			details, _ := value.(map[string]any)
			if details["workspace"] == true && workspace.Workspace != nil {
				details, _ = workspace.Workspace.Dependencies[key].(map[string]any)
			}
			if renamed, ok := details["package"].(string); ok {
				key = renamed
			}
			names = append(names, key)
		}
	}
	add(m.Dependencies)
	for _, t := range m.Target {
		add(t.Dependencies)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// NewerRust is the newer of two Rust versions ("1.74", "1.74.0"); what is none is older than any.
func NewerRust(a, b string) string {
	va, vb := rustVersion(a), rustVersion(b)
	if slices.Compare(va, vb) >= 0 {
		if va == nil {
			return ""
		}
		return a
	}
	return b
}

// rustVersion are the numbers of a Rust version, nil when it is none. Trailing zeros do not count.
func rustVersion(s string) []int {
	var numbers []int
	for _, part := range strings.Split(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 1_000_000 || len(numbers) == 3 {
			return nil
		}
		numbers = append(numbers, n)
	}
	for len(numbers) > 1 && numbers[len(numbers)-1] == 0 {
		numbers = numbers[:len(numbers)-1]
	}
	return numbers
}
