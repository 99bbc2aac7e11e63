package sdist

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/pep508"
)

type files map[string]string

func writeTree(t testing.TB, dir string, tree files) string {
	t.Helper()
	for name, body := range tree {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readTree(t *testing.T, tree files) Facts {
	t.Helper()
	f, err := Read(writeTree(t, filepath.Join(t.TempDir(), "foo-1.0"), tree), "/somewhere/foo-1.0.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func texts(requirements []pep508.Requirement) []string {
	var list []string
	for _, r := range requirements {
		list = append(list, r.String())
	}
	return list
}

const pkgInfo = "Metadata-Version: 2.4\nName: foo\nVersion: 1.0\nLicense-File: LICENSE.txt\nLicense-File: legal/THIRD\nLicense-File: gone\n\ntext\n"

func TestReadNamesAndDefaults(t *testing.T) {
	f := readTree(t, files{"setup.py": "", "setup.cfg": "", "foo/__init__.py": ""})
	if f.Archive != "foo-1.0.tar.gz" || f.Stem != "foo-1.0" || f.TopDir != "foo-1.0" {
		t.Errorf("archive %q, stem %q, top %q", f.Archive, f.Stem, f.TopDir)
	}
	if f.Backend != LegacyBackend || f.HasBuildSystem || f.HasPyproject || !f.HasSetupPy || !f.HasSetupCfg || f.HasPkgInfo {
		t.Errorf("facts of a tree without pyproject.toml: %+v", f)
	}
	if diff := cmp.Diff([]string{"setuptools>=40.8.0"}, texts(f.Requires)); diff != "" {
		t.Error(diff)
	}
	if f.Native.Any() || f.SCM {
		t.Errorf("a pure tree has native %+v, SCM %v", f.Native, f.SCM)
	}
}

func TestReadBuildSystem(t *testing.T) {
	for _, c := range []struct {
		name, toml, backend string
		requires            []string
	}{
		{"flit", "[build-system]\nrequires=['flit_core<4']\nbuild-backend='flit_core.buildapi'\n[project]\nname='foo'", "flit_core.buildapi", []string{"flit_core<4"}},
		{"no backend", "[build-system]\nrequires=['setuptools', 'cython']", LegacyBackend, []string{"setuptools", "cython"}},
		{"only tools", "[tool.black]\nline-length=1", LegacyBackend, []string{"setuptools>=40.8.0"}},
		{"old setuptools", "[build-system]\nrequires=['setuptools<60']\nbuild-backend='setuptools.build_meta'", "setuptools.build_meta", []string{"setuptools<60", "wheel"}},
		{"pinned setuptools", "[build-system]\nrequires=['setuptools==65.*', 'wheel']\nbuild-backend='setuptools.build_meta'", "setuptools.build_meta", []string{"setuptools==65.*", "wheel"}},
		{"capped later", "[build-system]\nrequires=['setuptools>=61,<81']\nbuild-backend='setuptools.build_meta'", "setuptools.build_meta", []string{"setuptools<81,>=61"}},
		{"byte order mark", "\ufeff[build-system]\nrequires=[]\nbuild-backend='b'\nbackend-path=['.']", "b", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := readTree(t, files{"pyproject.toml": c.toml})
			if f.Backend != c.backend || !f.HasPyproject {
				t.Errorf("backend %q, pyproject %v", f.Backend, f.HasPyproject)
			}
			if diff := cmp.Diff(c.requires, texts(f.Requires)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadPointsAtBrokenPyproject(t *testing.T) {
	for _, c := range []struct {
		name, toml string
		line       int
		want       string
	}{
		{"syntax", "[project]\nname = \"foo\"\nversion = \n", 3, ""},
		{"type", "[build-system]\nrequires = \"setuptools\"\n", 2, ""},
		{"no requires", "# x\n[build-system]\nbuild-backend = 'x'\n", 2, "no requires"},
		{"bad requirement", "[build-system]\nrequires = [\n  'good',\n  'not a requirement!',\n]\n", 4, "not a requirement!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(writeTree(t, t.TempDir(), files{"pyproject.toml": c.toml}), "foo-1.0.tar.gz")
			broken, ok := errors.AsType[*PyprojectError](err)
			if !ok {
				t.Fatalf("error %v, want a *PyprojectError", err)
			}
			if broken.Line != c.line || broken.File != "pyproject.toml" || !strings.Contains(broken.Reason, c.want) {
				t.Errorf("%v, want line %d and %q", broken, c.line, c.want)
			}
			if !strings.Contains(err.Error(), "foo-1.0.tar.gz") {
				t.Errorf("the error does not name the archive: %v", err)
			}
		})
	}
}

func TestReadPkgInfoAndLicences(t *testing.T) {
	f := readTree(t, files{"PKG-INFO": pkgInfo, "LICENSE.txt": "", "COPYING": "", "licence.md": "", "NOTICE/x": "", "legal/THIRD": "", "README": ""})
	if !f.HasPkgInfo || f.PkgInfo.Name != "foo" || f.PkgInfo.Version.String() != "1.0" {
		t.Errorf("PKG-INFO: %v %+v", f.HasPkgInfo, f.PkgInfo)
	}
	if diff := cmp.Diff([]string{"COPYING", "LICENSE.txt", "legal/THIRD", "licence.md"}, f.LicenseFiles); diff != "" {
		t.Error(diff)
	}
	if len(f.Problems) != 1 || !strings.Contains(f.Problems[0], `"gone"`) {
		t.Errorf("problems: %q", f.Problems)
	}
	for _, place := range []string{"foo.egg-info", "src/foo.egg-info"} {
		f := readTree(t, files{"setup.py": "", place + "/PKG-INFO": pkgInfo})
		if !f.HasPkgInfo || f.PkgInfo.Name != "foo" {
			t.Errorf("%s: %+v", place, f)
		}
	}
	if f := readTree(t, files{"PKG-INFO": "nonsense"}); f.HasPkgInfo || len(f.Problems) != 1 {
		t.Errorf("broken PKG-INFO: %v %q", f.HasPkgInfo, f.Problems)
	}
}

func TestReadDoesNotFollowLinksOut(t *testing.T) {
	outside := writeTree(t, t.TempDir(), files{"secret": "[build-system]\nrequires=['evil']\n"})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "pyproject.toml")); err != nil {
		t.Fatal(err)
	}
	if f, err := Read(dir, "foo-1.0.tar.gz"); err == nil {
		t.Errorf("followed the link: %+v", f)
	}
}

func TestReadForecastsNativeParts(t *testing.T) {
	setuptools := "[build-system]\nrequires=['setuptools']\nbuild-backend='setuptools.build_meta'\n"
	backend := func(name string, requires ...string) string {
		return "[build-system]\nrequires=['" + strings.Join(append(requires, "x"), "','") + "']\nbuild-backend='" + name + "'\n"
	}
	for _, c := range []struct {
		name string
		tree files
		want Native
	}{
		{"C extension", files{"setup.py": "Extension('a', ['src/a.c'])", "src/a.c": "", "src/b.c": ""}, Native{C: true, Sources: 2}},
		{"extension in a helper", files{"setup.py": "import ext", "ext.py": "ext_modules = []", "a.cpp": ""}, Native{CXX: true, Sources: 1}},
		{"C in tests and docs only", files{"setup.py": "setup(ext_modules=[])", "tests/a.c": "", "docs/b.c": "", "foo/tests/c.pyx": ""}, Native{}},
		{"C as data", files{"setup.py": "setup()", "foo/templates/a.c": ""}, Native{}},
		{"C beside flit", files{"pyproject.toml": backend("flit_core.buildapi"), "foo/a.c": ""}, Native{}},
		{"pyproject extension", files{"pyproject.toml": setuptools + "[[tool.setuptools.ext-modules]]\nname='a'\n", "a.c": ""}, Native{C: true, Sources: 1}},
		{"cython", files{"pyproject.toml": backend("setuptools.build_meta", "cython"), "setup.py": "cythonize('a.pyx')", "a.pyx": ""}, Native{Cython: true, Sources: 1}},
		{"cython that becomes C++", files{"pyproject.toml": backend("setuptools.build_meta", "cython"), "setup.py": "cythonize('a.pyx')", "a.pyx": "# cython: x=True\n# distutils: language = c++\n"},
			Native{Cython: true, CXX: true, Sources: 1}},
		{"cffi", files{"pyproject.toml": backend("setuptools.build_meta", "cffi"), "setup.py": "setup(cffi_modules=['b.py:ffi'])", "b.c": ""}, Native{CFFI: true, C: true, Sources: 1}},
		{"maturin", files{"pyproject.toml": backend("maturin"), "Cargo.toml": "", "src/lib.rs": ""}, Native{Rust: true, Sources: 1}},
		{"maturin elsewhere", files{"pyproject.toml": backend("maturin") + "[tool.maturin]\nmanifest-path='native/Cargo.toml'\n", "native/Cargo.toml": ""}, Native{Rust: true}},
		{"cargo of something else", files{"pyproject.toml": setuptools, "benchmarks/Cargo.toml": "", "x.rs": ""}, Native{}},
		{"setuptools-rust", files{"pyproject.toml": backend("setuptools.build_meta", "setuptools-rust") + "[[tool.setuptools-rust.ext-modules]]\ntarget='x'\n", "lib.rs": ""}, Native{Rust: true, Sources: 1}},
		{"meson", files{"pyproject.toml": backend("mesonpy"), "meson.build": "", "a.f90": "", "a.c": ""}, Native{Meson: true, C: true, Fortran: true, Sources: 2}},
		{"meson without anything to compile", files{"pyproject.toml": backend("mesonpy"), "meson.build": "", "tests/a.c": ""}, Native{}},
		{"cmake", files{"pyproject.toml": backend("scikit_build_core.build"), "CMakeLists.txt": "", "a.cc": ""}, Native{CMake: true, CXX: true, Sources: 1}},
		{"cmake of C only", files{"pyproject.toml": backend("scikit_build_core.build"), "CMakeLists.txt": "", "a.c": ""}, Native{CMake: true, C: true, CXX: true, Sources: 1}},
		{"fortran of a vendored meson's tests", files{"pyproject.toml": backend("mesonpy"), "meson.build": "", "a.c": "", "vendored-meson/test cases/fortran/a.f90": ""}, Native{Meson: true, C: true, Sources: 1}},
		{"cmake of an example", files{"pyproject.toml": setuptools, "CMakeLists.txt": "", "a.cc": ""}, Native{}},
		{"poetry script", files{"pyproject.toml": backend("poetry.core.masonry.api") + "[tool.poetry.build]\nscript='build.py'\n", "a.c": ""}, Native{C: true, Sources: 1}},
		{"hatch hook", files{"pyproject.toml": backend("hatchling.build") + "[tool.hatch.build.hooks.custom]\n", "hatch_build.py": "from setuptools import Extension\nExtension()", "a.c": ""}, Native{C: true, Sources: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, readTree(t, c.tree).Native); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadKnowsVersionsFromSCM(t *testing.T) {
	for name, c := range map[string]struct {
		tree files
		want bool
	}{
		"setuptools_scm": {files{"pyproject.toml": "[build-system]\nrequires=['setuptools_scm[toml]>=6']\n"}, true},
		"hatch-vcs":      {files{"pyproject.toml": "[build-system]\nrequires=['hatchling','hatch-vcs']\n"}, true},
		"pbr":            {files{"setup.py": "setup(setup_requires=['pbr'], pbr=True)"}, true},
		"versioneer":     {files{"setup.py": "import versioneer"}, true},
		"pdm":            {files{"pyproject.toml": "[tool.pdm.version]\nsource='scm'\n"}, true},
		"written down":   {files{"pyproject.toml": "[project]\nversion='1'\n"}, false},
	} {
		if got := readTree(t, c.tree).SCM; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSCMEnv(t *testing.T) {
	if env := SCMEnv("1.2rc1"); !slices.Contains(env, "SETUPTOOLS_SCM_PRETEND_VERSION=1.2rc1") || !slices.Contains(env, "PBR_VERSION=1.2rc1") {
		t.Errorf("%q", env)
	}
	for _, hostile := range []string{"", "1.0\nLD_PRELOAD=x", "$(id)"} {
		if env := SCMEnv(hostile); env != nil {
			t.Errorf("%q gives %q", hostile, env)
		}
	}
}
