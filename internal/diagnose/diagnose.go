// Package diagnose reads the log of a failed build and says what went wrong, in words that stay
// the same, and what could be changed.
//
// It is pure: text and facts in, findings out. A log is written by whatever ran in the build, so
// it is hostile: what is taken from it is bounded and cleaned, and every Change in a
// finding has to pass Valid here and a question to the repositories elsewhere before it
// reaches a spec. The patterns are those of rpm, mock, dnf, Python's build backends,
// gcc, CMake, Meson and Cargo; docs/troubleshooting.md lists them.
package diagnose

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Cause is a stable word for why a build failed; scripts may rely on it.
type Cause string

// What can be found. docs/troubleshooting.md says of each what is done about it.
const (
	MissingHeader      Cause = "missing-header"
	MissingLibrary     Cause = "missing-library"
	MissingProgram     Cause = "missing-program"
	MissingPkgConfig   Cause = "missing-pkgconfig"
	MissingCMake       Cause = "missing-cmake-package"
	MissingModule      Cause = "missing-module"
	MissingRequirement Cause = "missing-build-requirement" // nobody provides it
	UnknownRequirement Cause = "unknown-build-requirement" // no index has it
	UnknownHook        Cause = "unknown-build-hook"
	RootConflict       Cause = "build-root-conflict"
	ToolTooNew         Cause = "build-tool-too-new"
	ToolTooOld         Cause = "build-tool-too-old"
	MetadataTooNew     Cause = "metadata-too-new" // PEP 621 or PEP 639 on an old backend
	WrongName          Cause = "wrong-name-or-version"
	NoVersion          Cause = "version-undetermined"
	BadVersion         Cause = "invalid-version"
	PythonTooNew       Cause = "python-too-new"
	PythonTooOld       Cause = "python-too-old"
	PythonTwo          Cause = "python2-only"
	OldCython          Cause = "generated-c-too-old"
	CompileError       Cause = "compile-error"
	RustTooOld         Cause = "rust-too-old"
	MissingFile        Cause = "file-missing-in-sdist"
	Encoding           Cause = "encoding"
	Network            Cause = "network"
	OutOfMemory        Cause = "out-of-memory"
	DiskFull           Cause = "disk-full"
	Timeout            Cause = "timeout"
	Repositories       Cause = "repositories-unreachable"
	PatchFailed        Cause = "patch-failed"
	BadSpec            Cause = "bad-spec"
	UnpackagedFiles    Cause = "unpackaged-files"
	MissingFiles       Cause = "files-not-found"
	EmptyDebug         Cause = "empty-debuginfo"
	NotNoarch          Cause = "not-noarch"
	NotCompiled        Cause = "not-compiled"
	ByteCompile        Cause = "byte-compile"
	Shebang            Cause = "ambiguous-shebang"
	BuildPath          Cause = "build-path-in-files"
	RunPath            Cause = "invalid-runpath"
	ImportCheck        Cause = "import-check"
	Tests              Cause = "tests-failed"
	NoResult           Cause = "no-result" // green, and nothing that could be required came of it
	Unknown            Cause = "unknown"
)

// Facts is what is known besides the log. All of it may be missing: a log from elsewhere comes
// alone.
type Facts struct {
	Name, Version string            // of the package: PEP 503 name, PEP 440 version
	Python        string            // "3.12"
	Phase         string            // where it failed, as builder.Phase
	Kind          string            // what the builder calls it, as builder.Cause
	Missing       []string          // RPM dependencies nobody provides
	Said          string            // what ReqPM itself says, where the log is silent: a green build with a wrong result
	Tools         map[string]string // what is installed in the build root: PEP 503 name to version
	// Known are projects (PEP 503) that a missing module may be answered with by itself:
	// those the package itself requires, and those of the locked set.
	Known []string
}

// Line is one line of the log, cleaned and cut.
type Line struct {
	Number int    `json:"line"` // from 1
	Text   string `json:"text"`
}

// Finding is one thing that is wrong.
type Finding struct {
	Cause    Cause    `json:"cause"`
	Title    string   `json:"title"`    // in plain words, one line
	Evidence []Line   `json:"evidence"` // at most a few lines; for Unknown, an excerpt
	Changes  []Change `json:"changes"`  // what a machine could change, best first
	Advice   []string `json:"advice,omitempty"`
	// Safe tells that the first change may be tried without asking a person, where the index or the
	// repositories know what it names: it concerns this package's build only, gives it nothing it could
	// not have asked for itself, and its result is looked at like any other. Of a build, it
	// is false where they do not, or where the change is not tried.
	Safe bool `json:"safe"`

	sure int // confidence, 0 to 100
}

// Read finds what is wrong in a log, the most likely first. It never comes back empty: what is not
// recognised is Unknown, with the first real error as evidence. Reading stops
// without an error at 64 MB; an error is the reader's.
func Read(log io.Reader, f Facts) ([]Finding, error) {
	s := newScan(f)
	if err := s.read(log); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	found := append(s.findings(), fromFacts(f)...)
	found = slices.DeleteFunc(found, func(x Finding) bool { return x.Title == "" })
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(b.sure, a.sure) })
	found = unique(found)
	if len(found) == 0 {
		found = []Finding{{Cause: Unknown, Title: "what went wrong is not a known pattern", Evidence: s.excerpt()}}
	}
	for i := range found {
		x := &found[i]
		x.Changes = slices.DeleteFunc(slices.Clone(x.Changes), func(c Change) bool { return !c.Valid() })
		if x.Changes == nil {
			x.Changes = []Change{}
		}
		x.Safe = x.Safe && len(x.Changes) > 0
		x.Title = clean(x.Title)
	}
	return found, nil
}

// ReadText is Read of a text.
func ReadText(log string, f Facts) []Finding {
	found, err := Read(strings.NewReader(log), f)
	if err != nil { // a string's reader has no errors
		return []Finding{{Cause: Unknown, Title: err.Error(), Changes: []Change{}}}
	}
	return found
}

// fromFacts is what the builder knows without its log.
func fromFacts(f Facts) []Finding {
	var found []Finding
	for i, m := range f.Missing {
		if i == maxFindings {
			break
		}
		found = append(found, missingRequirement(clean(m)))
	}
	if f.Kind == "timeout" {
		found = append(found, Finding{Cause: Timeout, Title: "the build was not done in time", sure: 95,
			Advice: []string{"--timeout and --idle-timeout give builds more time"}})
	}
	if f.Kind == "bad-result" {
		x := Finding{Cause: NoResult, Title: "the build was green, and what came of it cannot be used: " + clean(shown(f.Said)), sure: 60}
		if strings.Contains(f.Said, "compiled parts") {
			x = Finding{Cause: NotCompiled, Title: "the build left out the package's compiled parts, as it does where a compiler or library is missing", sure: 60,
				Advice: []string{"allow-pure = true in overrides/NAME.toml takes the slower pure Python package"}}
		}
		found = append(found, x)
	}
	return found
}

// NoIndexHas is what is found before a build, when a package asks for a build requirement that does not exist.
func NoIndexHas(name, requirement string) Finding {
	x := Finding{Cause: UnknownRequirement, Title: "no index has the build requirement " + shown(clean(requirement)), sure: 95,
		Changes: []Change{{DropRequirement, name}}, Evidence: []Line{}}
	x.Safe = x.Changes[0].Valid()
	return x
}

// unique merges findings that say the same: the evidence of the later ones is the first one's.
func unique(found []Finding) []Finding {
	var list []Finding
	for _, x := range found {
		same := slices.IndexFunc(list, func(y Finding) bool { return y.Cause == x.Cause && y.Title == x.Title })
		if same < 0 {
			list = append(list, x)
			continue
		}
		if y := &list[same]; len(y.Evidence) < maxEvidence {
			y.Evidence = append(y.Evidence, x.Evidence...)
		}
	}
	return list[:min(len(list), maxFindings)]
}
