package sdist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/backend"
	"reqpm/internal/metadata"
	"reqpm/internal/pep508"
)

// Facts is what an unpacked source distribution says about being built. Read from
// the archive, never guessed from a name.
type Facts struct {
	Archive                                             string            // file name of the sdist
	Stem                                                string            // archive name without its ending
	TopDir                                              string            // the one top-level directory
	PkgInfo                                             metadata.Metadata // zero when HasPkgInfo is false
	HasPkgInfo                                          bool
	Declared                                            Declared
	Backend                                             string // "setuptools.build_meta", "flit_core.buildapi", …; "setuptools.build_meta:__legacy__" when no table
	BackendPath                                         []string
	Requires                                            []pep508.Requirement // [build-system] requires, or setuptools (and nothing else) when there is no table
	HasBuildSystem                                      bool
	HasPyproject, HasSetupPy, HasSetupCfg, ProjectTable bool
	LicenseFiles                                        []string // at the top: LICEN[CS]E*, COPYING*, NOTICE*, AUTHORS*; and what PKG-INFO names. Slash-separated, sorted
	Native                                              Native
	Rust                                                *Rust    // nil when nothing is built by cargo
	External                                            External // libraries and programs outside of Python that compiled parts name
	// Features are those of its metadata that old build backends cannot read.
	Features []backend.Feature
	SCM      bool // version comes from setuptools-scm, hatch-vcs, pbr, versioneer or kin
	// UnclearShebangs are executable files that ask for "python", of no version. Slash-separated.
	UnclearShebangs []string
	// Problems are things found wrong that do not hinder a build, for people: a PKG-INFO
	// that does not parse, a licence file that is named and missing.
	Problems []string
}

// Native is what points at compiled parts. It is a forecast: only the built wheel
// tells for certain (WheelInfo.Native).
type Native struct {
	C, CXX, Cython, CFFI, Rust, Meson, CMake, Fortran bool
	Sources                                           int // number of native source files
}

// Any tells whether anything native was found.
func (n Native) Any() bool {
	return n.C || n.CXX || n.Cython || n.CFFI || n.Rust || n.Meson || n.CMake || n.Fortran
}

// Bytes read at most of one file of the tree.
const maxFile = 10 << 20

var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|authors)`)

// Read gathers the facts of the source tree dir (the archive's top-level directory,
// as Unpack returns it). archive is the sdist's file name or path. A pyproject.toml
// that cannot be used is a *PyprojectError; symbolic links out of dir are not followed.
func Read(dir, archive string) (Facts, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Facts{}, fmt.Errorf("read source tree of %s: %w", filepath.Base(archive), err)
	}
	defer root.Close()
	f := Facts{Archive: filepath.Base(archive), Stem: Stem(archive), TopDir: filepath.Base(filepath.Clean(dir))}
	t := tree{root}
	f.HasSetupPy, f.HasSetupCfg = t.isFile("setup.py"), t.isFile("setup.cfg")
	f.readPkgInfo(t)
	project, err := t.readPyproject()
	if err != nil {
		return Facts{}, fmt.Errorf("read source tree of %s: %w", f.Archive, err)
	}
	f.Declared = readDeclared(project.Project)
	f.Features = backend.Uses(project.Project)
	if err := f.applyPyproject(project); err != nil {
		return Facts{}, fmt.Errorf("read source tree of %s: %w", f.Archive, err)
	}
	f.findLicences(t)
	f.UnclearShebangs = findShebangs(t)
	scripts := t.buildScripts(f)
	f.SCM = usesSCM(f, project, scripts, t)
	f.Native, err = scanNative(f, project, scripts, t)
	if err != nil {
		return Facts{}, fmt.Errorf("read source tree of %s: %w", f.Archive, err)
	}
	if f.Native.Rust {
		f.Rust = readRust(f, project, scripts, t)
	}
	if f.Native.Any() {
		if f.External, err = scanExternal(scripts, t); err != nil {
			return Facts{}, fmt.Errorf("read source tree of %s: %w", f.Archive, err)
		}
	}
	return f, nil
}

// Stem is an archive's name without its ending: "foo-1.0" of "foo-1.0.tar.gz".
func Stem(archive string) string {
	name := filepath.Base(archive)
	for _, ending := range []string{".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip"} {
		if len(name) > len(ending) && strings.EqualFold(name[len(name)-len(ending):], ending) {
			return name[:len(name)-len(ending)]
		}
	}
	return name
}

// readPkgInfo reads the top-level PKG-INFO, or the one of an egg-info directory.
func (f *Facts) readPkgInfo(t tree) {
	candidates := []string{"PKG-INFO"}
	for _, pattern := range []string{"*.egg-info/PKG-INFO", "src/*.egg-info/PKG-INFO", "lib/*.egg-info/PKG-INFO"} {
		found, _ := fs.Glob(t.FS(), pattern)
		candidates = append(candidates, found...)
	}
	for _, name := range candidates {
		data, err := t.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			f.PkgInfo, err = metadata.Parse(data)
		}
		if err == nil {
			f.HasPkgInfo = true
			return
		}
		f.PkgInfo = metadata.Metadata{}
		f.Problems = append(f.Problems, fmt.Sprintf("%s: %v", name, err))
	}
}

func (f *Facts) findLicences(t tree) {
	entries, _ := fs.ReadDir(t.FS(), ".")
	for _, e := range entries {
		if licenceName.MatchString(e.Name()) && t.isFile(e.Name()) {
			f.LicenseFiles = append(f.LicenseFiles, e.Name())
		}
	}
	for _, name := range f.PkgInfo.LicenseFiles {
		clean := path.Clean(name)
		if !filepath.IsLocal(clean) || !t.isFile(clean) {
			f.Problems = append(f.Problems, fmt.Sprintf("PKG-INFO names the licence file %q, which is not there", name))
			continue
		}
		f.LicenseFiles = append(f.LicenseFiles, clean)
	}
	slices.Sort(f.LicenseFiles)
	f.LicenseFiles = slices.Compact(f.LicenseFiles)
}

// tree reads files of a source tree without leaving it.
type tree struct{ *os.Root }

// read returns a regular file's content; more than maxFile bytes are an error.
func (t tree) read(name string) ([]byte, error) {
	return readLimited(t.Root, name)
}

// isFile tells whether name is a regular file (a link inside the tree to one counts).
func (t tree) isFile(name string) bool {
	info, err := t.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// text is the file as a string, "" when there is none or it cannot be read.
func (t tree) text(name string) string {
	data, err := t.read(name)
	if err != nil {
		return ""
	}
	return string(data)
}

// readLimited reads a regular file of at most maxFile bytes.
func readLimited(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name) // before opening: opening a pipe would wait
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return data, nil
}
