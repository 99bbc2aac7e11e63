package sdist

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// Directories whose native files are not part of what is built.
var besideTheCode = map[string]bool{
	"test": true, "tests": true, "testing": true, "test cases": true /* of a vendored meson, as numpy's */, "doc": true, "docs": true, "example": true, "examples": true,
	"demo": true, "demos": true, "benchmark": true, "benchmarks": true, "bench": true, "fuzz": true,
	"node_modules": true, "__pycache__": true, ".git": true, ".github": true,
}

// Words in setup scripts that make compiled parts.
var extensionWords = regexp.MustCompile(`\bExtension\s*\(|\bext_modules\b|\bcffi_modules\b|\bcythonize\b|\bRustExtension\b|\brust_extensions\b|\bCMakeExtension\b|\bPybind11Extension\b|\bbuild_ext\b`)

// Files looked at in one tree, at most.
const maxScan = 200_000

// cythonCXX is how a Cython file says that it becomes C++ (Cython's documentation, "Using C++ in Cython").
var cythonCXX = regexp.MustCompile(`(?m)^#[ \t]*distutils:[ \t]*language[ \t]*=[ \t]*c\+\+`)

// counts of native source files by language.
type counts struct {
	c, cxx, cython, rust, fortran int
	cythonCXX                     bool // some of the Cython becomes C++
}

// scanNative forecasts compiled parts from the backend's means and the tree's files:
// a C file counts only where the backend would compile it.
func scanNative(f Facts, p pyproject, scripts string, t tree) (Native, error) {
	var n Native
	backend, _, _ := strings.Cut(f.Backend, ":")
	wants := func(names ...string) bool { return f.wants(names...) }
	extensions := extensionWords.MatchString(scripts) || p.tool("setuptools", "ext-modules") != nil

	n.Meson = strings.HasPrefix(backend, "mesonpy") && t.isFile("meson.build")
	n.CMake = t.isFile("CMakeLists.txt") &&
		(strings.HasPrefix(backend, "scikit_build_core") || wants("scikit-build", "scikit-build-core", "cmake"))
	n.Rust = buildsRust(backend, p, extensions, wants, scripts, t)
	n.CFFI = wants("cffi") || strings.Contains(scripts, "cffi_modules")
	compiles := n.Meson || n.CMake || n.CFFI || extensions && setupLike(backend, f) || hasBuildHook(backend, p, scripts, t)
	if !compiles && !n.Rust {
		return n, nil
	}
	found, err := countSources(t)
	if err != nil {
		return n, err
	}
	if n.Rust || n.Meson {
		n.Sources += found.rust
	}
	if compiles {
		// A CMake project() that names no languages asks for C and C++, whatever the sources are
		// (cmake-commands(7), project), and those that name them mostly name both, as pyzmq's.
		n.C, n.CXX, n.Fortran = found.c > 0, found.cxx > 0 || found.cythonCXX || n.CMake, found.fortran > 0
		// Without .pyx files, Cython may still compile plain .py files.
		n.Cython = found.cython > 0 || wants("cython") && strings.Contains(scripts, "cythonize")
		n.Sources += found.c + found.cxx + found.fortran + found.cython
	}
	// meson-python builds pure projects too, itself among them.
	n.Meson = n.Meson && n.Sources > 0
	return n, nil
}

// wants tells whether one of names (PEP 503 form) is a declared build requirement.
func (f Facts) wants(names ...string) bool {
	for _, r := range f.Requires {
		for _, name := range names {
			if r.Key() == name {
				return true
			}
		}
	}
	return false
}

// setupLike tells whether the backend runs setup scripts: setuptools, or one of the tree's own.
func setupLike(backend string, f Facts) bool {
	return strings.HasPrefix(backend, "setuptools") || len(f.BackendPath) > 0 ||
		(f.HasSetupPy && f.wants("setuptools"))
}

// hasBuildHook tells whether a backend that builds pure wheels by itself was given
// something that compiles.
func hasBuildHook(backend string, p pyproject, scripts string, t tree) bool {
	switch {
	case strings.HasPrefix(backend, "hatchling"):
		hooks, _ := p.tool("hatch", "build", "hooks").(map[string]any)
		wheel, _ := p.tool("hatch", "build", "targets", "wheel", "hooks").(map[string]any)
		for _, name := range []string{"cython", "mypyc", "cmake", "scikit-build"} {
			if hooks[name] != nil || wheel[name] != nil {
				return true
			}
		}
		return (hooks["custom"] != nil || wheel["custom"] != nil) && extensionWords.MatchString(scripts)
	case strings.HasPrefix(backend, "poetry"):
		return p.tool("poetry", "build") != nil
	case strings.HasPrefix(backend, "pdm"):
		return p.tool("pdm", "build", "run-setuptools") == true || t.isFile("pdm_build.py") && extensionWords.MatchString(scripts)
	}
	return false
}

// buildsRust tells whether a Cargo.toml stands where the backend looks for it.
func buildsRust(backend string, p pyproject, extensions bool, wants func(...string) bool, scripts string, t tree) bool {
	if strings.HasPrefix(backend, "maturin") || wants("maturin") {
		places := []string{"Cargo.toml", "rust/Cargo.toml"}
		if manifest, ok := p.tool("maturin", "manifest-path").(string); ok {
			places = []string{path.Clean(manifest)}
		}
		for _, place := range places {
			if t.isFile(place) {
				return true
			}
		}
		return false
	}
	if p.tool("setuptools-rust") != nil {
		return true
	}
	return wants("setuptools-rust") && (extensions || strings.Contains(scripts, "Rust"))
}

// countSources counts native source files outside tests, documentation and the like.
func countSources(t tree) (counts, error) {
	var n counts
	seen := 0
	err := fs.WalkDir(t.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > maxScan {
			return fmt.Errorf("more than %d files", maxScan)
		}
		if d.IsDir() {
			if base := strings.ToLower(d.Name()); besideTheCode[base] || strings.HasSuffix(base, ".egg-info") {
				return fs.SkipDir
			}
			return nil
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".c":
			n.c++
		case ".cc", ".cpp", ".cxx", ".c++":
			n.cxx++
		case ".pyx":
			n.cython++
			n.cythonCXX = n.cythonCXX || cythonCXX.Match(t.head(name))
		case ".rs":
			n.rust++
		case ".f", ".for", ".f77", ".f90", ".f95", ".f03":
			n.fortran++
		}
		return nil
	})
	return n, err
}

// buildScripts is the text of what may steer the build: top-level Python files,
// setup.cfg, and the files beside an in-tree backend.
func (t tree) buildScripts(f Facts) string {
	var b strings.Builder
	dirs := []string{"."}
	for _, dir := range f.BackendPath {
		if dir = path.Clean(dir); fs.ValidPath(dir) && dir != "." {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range dirs {
		entries, _ := fs.ReadDir(t.FS(), dir)
		for _, e := range entries {
			if b.Len() > maxFile {
				break
			}
			if name := e.Name(); path.Ext(name) == ".py" || dir == "." && name == "setup.cfg" {
				b.WriteString(t.text(path.Join(dir, name)))
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

var scmRequirements = []string{
	"setuptools-scm", "vcs-versioning", "hatch-vcs", "flit-scm", "pbr", "versioneer", "versioneer-518", "versioningit",
	"setuptools-git-versioning", "setuptools-git-version", "poetry-dynamic-versioning", "uv-dynamic-versioning",
	"dunamai", "setuptools-vcs-version", "hatch-regex-commit", "incremental-scm",
}

var scmWords = regexp.MustCompile(`\buse_scm_version\b|\bversioneer\b|\bpbr\s*=\s*True\b`)

// usesSCM tells whether the version is taken from version control, so that a build
// outside a checkout must be told it (SCMEnv).
func usesSCM(f Facts, p pyproject, scripts string, t tree) bool {
	if f.wants(scmRequirements...) || t.isFile("versioneer.py") || scmWords.MatchString(scripts) {
		return true
	}
	for _, tool := range []string{"setuptools_scm", "setuptools-git-versioning", "versioneer", "versioningit", "poetry-dynamic-versioning"} {
		if p.tool(tool) != nil {
			return true
		}
	}
	return p.tool("pdm", "version", "source") == "scm" || p.tool("hatch", "version", "source") == "vcs"
}
