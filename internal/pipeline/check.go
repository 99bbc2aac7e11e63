package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cavaliergopher/rpm"

	"reqpm/internal/builder"
	"reqpm/internal/index"
	"reqpm/internal/rpmname"
	"reqpm/internal/target"
)

// RPM is what ReqPM reads in the header of a package it built.
type RPM struct {
	File     string   `json:"file"`
	Name     string   `json:"name"`
	Epoch    string   `json:"epoch,omitempty"`
	Version  string   `json:"version"`
	Release  string   `json:"release"`
	NEVRA    string   `json:"nevra"`
	Arch     string   `json:"arch"`
	Provides []string `json:"provides"`  // names, with " = version" where there is one
	Compiled bool     `json:"compiled"`  // holds extension modules or other machine code
	TopLevel []string `json:"top_level"` // import names
}

// archError: only the build showed whether the package is noarch, or that what it compiles
// carries no debug information.
type archError struct{ noarch, noDebug bool }

func (e *archError) Error() string {
	if e.noDebug {
		return "what the package compiles carries no debug information"
	}
	if e.noarch {
		return "nothing in the package is compiled: it is noarch"
	}
	return "the package has compiled parts: it is not noarch"
}

// archMistake recognises a build that failed only because its spec said noarch.
func archMistake(err error) error {
	be, ok := errors.AsType[*builder.BuildError](err)
	if !ok {
		return err
	}
	for _, sign := range []string{"Arch dependent binaries in noarch package", "the package is noarch, but its wheel holds compiled files"} {
		if strings.Contains(be.Tail, sign) {
			return &archError{noarch: false}
		}
	}
	for _, list := range []string{"debugsourcefiles.list", "debugfiles.list"} {
		if strings.Contains(be.Tail, "Empty %files file") && strings.Contains(be.Tail, list) {
			return &archError{noDebug: true}
		}
	}
	return err
}

// readRPM reads one package's header.
func readRPM(file string, py target.Python) (RPM, error) {
	pkg, err := rpm.Open(file)
	if err != nil {
		return RPM{}, fmt.Errorf("read %s: %w", file, err)
	}
	r := RPM{File: filepath.Base(file), Name: pkg.Name(), Version: pkg.Version(), Release: pkg.Release(), NEVRA: nevra(pkg), Arch: pkg.Architecture()}
	if pkg.Epoch() > 0 {
		r.Epoch = strconv.Itoa(pkg.Epoch())
	}
	for _, d := range pkg.Provides() {
		if d.Version() == "" {
			r.Provides = append(r.Provides, d.Name())
			continue
		}
		r.Provides = append(r.Provides, d.Name()+" = "+evr(d.Epoch(), d.Version(), d.Release()))
	}
	tops := map[string]bool{}
	for _, f := range pkg.Files() {
		name := f.Name()
		r.Compiled = r.Compiled || strings.HasSuffix(name, ".so") || strings.Contains(path.Base(name), ".so.")
		for _, dir := range []string{py.Sitelib, py.Sitearch} {
			if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
				if top := importName(rest); top != "" {
					tops[top] = true
				}
			}
		}
	}
	// A program is compiled, too (maturin is nothing else): rpm notes what file(1) says of each file.
	if r.Arch != "noarch" {
		classes := pkg.Header.GetTag(rpmTagClassDict).StringSlice()
		r.Compiled = r.Compiled || slices.ContainsFunc(classes, func(s string) bool { return strings.HasPrefix(s, "ELF ") })
	}
	for top := range tops {
		r.TopLevel = append(r.TopLevel, top)
	}
	slices.Sort(r.TopLevel)
	return r, nil
}

// rpmTagClassDict is RPMTAG_CLASSDICT of rpm's rpmtag.h.
const rpmTagClassDict = 1142

// rpmRequires are the names of what the RPM in file requires.
func rpmRequires(file string) ([]string, error) {
	pkg, err := rpm.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var names []string
	for _, d := range pkg.Requires() {
		names = append(names, d.Name())
	}
	return names, nil
}

// importName is the module that a file below site-packages makes importable: its
// top-level package or module, "" for metadata, caches and data.
func importName(rest string) string {
	top, below, nested := strings.Cut(rest, "/")
	if module, _, _ := strings.Cut(top, "."); !nested && strings.HasSuffix(top, ".so") { // _speed.cpython-312-x86_64-linux-gnu.so
		return module
	}
	if strings.Contains(top, "-") || top == "__pycache__" || strings.HasPrefix(top, "_distutils_hack") {
		return ""
	}
	if nested {
		if ok := strings.HasSuffix(below, ".py") || strings.HasSuffix(below, ".so"); !ok || strings.Contains(top, ".") {
			return ""
		}
		return top
	}
	if module, ok := strings.CutSuffix(top, ".py"); ok {
		return module
	}
	return ""
}

func evr(epoch int, version, release string) string {
	s := version
	if release != "" {
		s += "-" + release
	}
	if epoch > 0 {
		s = fmt.Sprintf("%d:%s", epoch, s)
	}
	return s
}

func nevra(pkg *rpm.Package) string {
	return pkg.Name() + "-" + evr(pkg.Epoch(), pkg.Version(), pkg.Release()) + "." + pkg.Architecture()
}

// accept looks at what a green build really made, and puts a good result into the cache.
func (p *Pipeline) accept(b *pkgBuild, result builder.Result) (*Built, error) {
	built, err := p.look(b, result)
	if err != nil {
		return nil, err
	}
	return p.keep(b, built, result)
}

// look is what a green build really made.
func (p *Pipeline) look(b *pkgBuild, result builder.Result) (*Built, error) {
	built := &Built{Key: b.key, Name: b.name, Version: b.version, Manifest: result.Manifest,
		Phases: map[string]float64{}, Finished: time.Now().UTC().Truncate(time.Second)}
	for phase, s := range result.Seconds {
		built.Phases[string(phase)] = s
		built.Seconds += s
	}
	for _, file := range result.RPMs {
		r, err := readRPM(file, p.Target().Python)
		if err != nil {
			return nil, err
		}
		built.RPMs = append(built.RPMs, r)
	}
	slices.SortFunc(built.RPMs, func(a, b RPM) int { return cmp.Compare(a.File, b.File) })
	if b.kind() != setPackage {
		if err := p.inspect(b, built, result); err != nil {
			return nil, err
		}
	}
	return built, nil
}

// inspect holds a result against what was expected: a build can be green and wrong.
func (p *Pipeline) inspect(b *pkgBuild, built *Built, result builder.Result) error {
	bad := func(format string, args ...any) error {
		return &builder.BuildError{Name: b.name + " " + b.version, Phase: builder.PhasePackage, Cause: builder.CauseResult,
			Log: result.Logs["build.log"], Err: fmt.Errorf(format, args...)}
	}
	if len(built.RPMs) == 0 {
		return bad("no RPM was written")
	}
	dist := rpmname.Dist(p.Target(), b.name)
	compiled, provided, noarch := false, false, true
	for _, r := range built.RPMs {
		compiled = compiled || r.Compiled
		noarch = noarch && r.Arch == "noarch"
		provided = provided || slices.ContainsFunc(r.Provides, func(s string) bool { return s == dist || strings.HasPrefix(s, dist+" ") })
	}
	if !provided {
		return bad("no RPM provides %s, so nothing could require it", dist)
	}
	if compiled && noarch {
		return &archError{noarch: false}
	}
	if !compiled && !noarch && !b.spec.mayBeArch {
		return &archError{noarch: true}
	}
	if !compiled && b.native().Any() && wheelsAreCompiled(b.all, p.cfg.Target) && !p.allowsPure(b.name) {
		return bad("its wheels on the index have compiled parts and this build has none: a compiler or library is missing "+
			"(see the build log); --allow-pure %s takes the slower pure Python build", b.name)
	}
	return nil
}

// wheelsAreCompiled tells whether every wheel of a version that fits the target holds
// extension modules: its ABI tag names one. (A py3-none-manylinux wheel may be pure: watchdog
// is compiled on macOS alone.)
func wheelsAreCompiled(files []index.File, t target.Target) bool {
	fitting := 0
	for _, f := range files {
		if f.Kind != index.Wheel || !wheelFits(f.Wheel, t) {
			continue
		}
		if slices.Contains(f.Wheel.ABI, "none") {
			return false
		}
		fitting++
	}
	return fitting > 0
}

// keep moves a result into the cache of builds, whole or not at all.
func (p *Pipeline) keep(b *pkgBuild, built *Built, result builder.Result) (*Built, error) {
	scratch, err := os.MkdirTemp(p.paths.tmp(), "keep-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	files := slices.Clone(result.RPMs)
	if result.SRPM != "" {
		built.SRPM = filepath.Base(result.SRPM)
		files = append(files, result.SRPM)
	}
	for _, file := range files {
		if err := linkOrCopy(file, filepath.Join(scratch, filepath.Base(file))); err != nil {
			return nil, err
		}
	}
	if err := writeFile(filepath.Join(scratch, b.spec.fileName), []byte(b.spec.text)); err != nil {
		return nil, err
	}
	built.Sums = map[string]string{}
	for _, file := range files {
		sum, err := fileSHA256(filepath.Join(scratch, filepath.Base(file)))
		if err != nil {
			return nil, err
		}
		built.Sums[filepath.Base(file)] = sum
	}
	if err := writeJSON(filepath.Join(scratch, "result.json"), built); err != nil {
		return nil, err
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return nil, err
	}
	final := filepath.Join(p.paths.builds(), b.key)
	if err := os.RemoveAll(final); err != nil { // an older result that is being refreshed
		return nil, err
	}
	if err := os.Rename(scratch, final); err != nil {
		return nil, err
	}
	built.dir = final
	return built, nil
}

// cachedBuild finds a finished build by its key; nil when there is none or it is damaged. Its
// files are read whole: what a full disk, a power cut or a hand left of them is never published.
func (p *Pipeline) cachedBuild(key string) *Built {
	dir := filepath.Join(p.paths.builds(), key)
	var built Built
	if ok, err := readJSON(filepath.Join(dir, "result.json"), &built); !ok || err != nil || built.Key != key {
		return nil
	}
	files := make([]string, 0, len(built.RPMs)+1)
	for _, r := range built.RPMs {
		files = append(files, r.File)
	}
	if built.SRPM != "" {
		files = append(files, built.SRPM)
	}
	for _, file := range files {
		if sum, err := fileSHA256(filepath.Join(dir, file)); err != nil || sum != built.Sums[file] {
			return nil
		}
	}
	built.dir = dir
	noteUse(dir)
	return &built
}
