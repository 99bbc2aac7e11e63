package backend

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/tomltree"
)

// Tree is what of a source tree decides how it can be patched.
type Tree struct {
	Pyproject []byte   // pyproject.toml
	SetupCfg  []byte   // setup.cfg; nil when there is none
	SetupPy   []byte   // setup.py; nil when there is none
	Files     []string // every file, by slash-separated path, in order
	FromIndex bool     // a source distribution, which leaves out what it is told to
}

func (t Tree) has(name string) bool { _, ok := slices.BinarySearch(t.Files, name); return ok }

// Patch makes a tree fit a build backend.
type Patch struct {
	Diff  []byte            // for patch -p1, in the tree's top directory
	Files map[string][]byte // the changed files whole
	Why   []string          // one sentence for each change
}

// TooOldError: a build backend cannot read the metadata, and no patch is known for it.
type TooOldError struct {
	Project string
	Version pep440.Version
	Lacking []Feature
	Err     error // why there is no patch; nil when none is known at all
}

func (e *TooOldError) Error() string {
	names := make([]string, len(e.Lacking))
	for i, f := range e.Lacking {
		names[i] = f.String()
	}
	text := fmt.Sprintf("%s %s is too old for %s", e.Project, e.Version, strings.Join(names, ", "))
	if e.Err != nil {
		return text + ", and it cannot be patched: " + e.Err.Error()
	}
	return text + ", and no patch is known"
}

func (e *TooOldError) Unwrap() error { return e.Err }

// document is a pyproject.toml as decoded.
type document struct {
	BuildSystem struct {
		Requires []string `toml:"requires"`
		Backend  string   `toml:"build-backend"`
	} `toml:"build-system"`
	Project map[string]any `toml:"project"`
	Tool    map[string]any `toml:"tool"`
}

// Fit makes the patch with which version v of a build backend builds a tree. requires are the build
// requirements that the patched tree declares, when they are to be others than its own (Loosen); nil
// leaves them. A tree that needs no patch gives nil, nil; one that has none a *TooOldError.
func Fit(t Tree, project string, v pep440.Version, requires []pep508.Requirement) (*Patch, error) {
	w, err := newWork(t)
	if err != nil {
		return nil, err
	}
	lacking := Lacking(project, v, Uses(w.doc.Project))
	tooOld := func(err error) error { return &TooOldError{Project: project, Version: v, Lacking: lacking, Err: err} }
	if err := w.require(requires); err != nil {
		return nil, err
	}
	if len(lacking) > 0 {
		adapt := adapters[project]
		if adapt == nil || slices.Contains(lacking, ProjectTable) && project != "setuptools" {
			return nil, tooOld(nil)
		}
		if err := adapt(w, lacking); err != nil {
			return nil, tooOld(err)
		}
		for _, f := range lacking {
			w.why = append(w.why, fmt.Sprintf("%s %s cannot read %s", project, v, f))
		}
	}
	p, err := w.patch()
	if err != nil && len(lacking) > 0 {
		return nil, tooOld(err)
	}
	return p, err
}

// work is one patch in the making.
type work struct {
	tree  Tree
	doc   document
	edit  *editor
	files map[string][]byte // whole new texts of other files
	why   []string
}

func newWork(t Tree) (*work, error) {
	w := &work{tree: t, edit: newEditor(string(t.Pyproject)), files: map[string][]byte{}}
	if err := toml.Unmarshal(t.Pyproject, &w.doc); err != nil {
		return nil, fmt.Errorf("pyproject.toml: %w", err)
	}
	return w, nil
}

// adapters write what a build backend lacks in the words it knows.
var adapters = map[string]func(w *work, lacking []Feature) error{
	"setuptools":  setuptools,
	"flit-core":   textLicense,
	"hatchling":   globLicences,
	"pdm-backend": globLicences, // its older versions read the draft, too
}

// require writes the build requirements that are to be declared.
func (w *work) require(requires []pep508.Requirement) error {
	if requires == nil {
		return nil
	}
	if len(requires) != len(w.doc.BuildSystem.Requires) {
		return fmt.Errorf("[build-system] requires: %w", errEdit)
	}
	for i, r := range requires {
		old, err := pep508.Parse(w.doc.BuildSystem.Requires[i])
		if err != nil || old.Key() != r.Key() {
			return fmt.Errorf("[build-system] requires: %w", errEdit)
		}
		if old.String() == r.String() {
			continue
		}
		if err := w.edit.setItem(w.doc.BuildSystem.Requires[i], r.String(), "build-system", "requires"); err != nil {
			return err
		}
		w.why = append(w.why, fmt.Sprintf("%s is what this package asks for, and not to be had here", old))
	}
	return nil
}

// patch proves the edits and writes the diff.
func (w *work) patch() (*Patch, error) {
	text, err := w.edit.result()
	if err != nil {
		return nil, err
	}
	w.files["pyproject.toml"] = []byte(text)
	p := &Patch{Files: map[string][]byte{}, Why: w.why}
	for _, name := range slices.Sorted(maps.Keys(w.files)) {
		var old []byte
		created := false
		switch name {
		case "pyproject.toml":
			old = w.tree.Pyproject
		case "setup.cfg":
			old, created = w.tree.SetupCfg, w.tree.SetupCfg == nil
		default:
			created = true
		}
		if d := diff(name, old, created, w.files[name]); d != "" {
			p.Diff = append(p.Diff, d...)
			p.Files[name] = w.files[name]
		}
	}
	if len(p.Files) == 0 {
		return nil, nil
	}
	return p, nil
}

// textLicense writes PEP 639's fields as PEP 621's: an expression as the licence's text, and no
// list of licence files, for which such backends have patterns of their own.
func textLicense(w *work, lacking []Feature) error {
	if slices.Contains(lacking, LicenseExpression) {
		license, _ := w.doc.Project["license"].(string)
		if err := w.edit.set("{text = "+tomltree.Quote(license)+"}", map[string]any{"text": license}, "project", "license"); err != nil {
			return err
		}
	}
	if slices.Contains(lacking, LicenseFiles) {
		return w.edit.remove("project", "license-files")
	}
	return nil
}

// globLicences writes the list of licence files as the draft of PEP 639 had it, and an expression as
// textLicense does.
func globLicences(w *work, lacking []Feature) error {
	if slices.Contains(lacking, LicenseExpression) {
		if err := textLicense(w, []Feature{LicenseExpression}); err != nil {
			return err
		}
	}
	if !slices.Contains(lacking, LicenseFiles) {
		return nil
	}
	patterns, ok := stringsOf(w.doc.Project["license-files"])
	if !ok {
		return errors.New("license-files is no list of strings")
	}
	return w.edit.set("{globs = "+quotedList(patterns)+"}", map[string]any{"globs": w.doc.Project["license-files"]}, "project", "license-files")
}

// usualLicences are the patterns that setuptools takes licence files by when it is told none.
var usualLicences = []string{"LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*"}

// setuptools fits a tree to setuptools before 77, and before 61.
func setuptools(w *work, lacking []Feature) error {
	if slices.Contains(lacking, ProjectTable) {
		return setupCfg(w)
	}
	if err := textLicense(w, lacking); err != nil || !slices.Contains(lacking, LicenseFiles) {
		return err
	}
	patterns, ok := stringsOf(w.doc.Project["license-files"])
	if !ok {
		return errors.New("license-files is no list of strings")
	}
	own, _ := w.doc.Tool["setuptools"].(map[string]any)
	if own["license-files"] != nil || w.usual(patterns) {
		return nil
	}
	w.edit.add(quotedList(patterns), w.doc.Project["license-files"], "tool", "setuptools", "license-files")
	return nil
}

// usual tells whether setuptools takes the same licence files without being told.
func (w *work) usual(patterns []string) bool {
	return slices.Equal(w.matching(patterns), w.matching(usualLicences))
}

// matching are the files at the top that match; files below are named in full, to differ from all usual
// ones.
func (w *work) matching(patterns []string) []string {
	var found []string
	for _, name := range w.tree.Files {
		if slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			found = append(found, name)
		}
	}
	for _, p := range patterns {
		if strings.Contains(p, "**") {
			found = append(found, p)
		}
	}
	return found
}

// stringsOf is a decoded list of strings.
func stringsOf(value any) ([]string, bool) {
	list, ok := value.([]any)
	texts := make([]string, 0, len(list))
	for _, v := range list {
		text, isText := v.(string)
		if !isText {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, ok
}
