package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"reqpm/internal/backend"
	"reqpm/internal/index"
	"reqpm/internal/pep508"
	"reqpm/internal/solve"
)

// A source may be written for a newer build backend than the build root gets: the target's Python has
// none that new, a --build-constraint forbids it, or the distribution's is to be used. What is tried, in
// this order: a patch with which the older one builds it; a newer one, built by us; and, where
// --allow-wheel names the package, its wheel.

// fitted is how the source of one archive is to be built.
type fitted struct {
	requires []pep508.Requirement // of the build system, what the target's macros need included
	tools    solve.Solution       // of requires
	patch    *backend.Patch       // nil: the source as it is
}

// fitting is one answer of fit, found once a run.
type fitting struct {
	once sync.Once
	fitted
	err error
}

// fit decides how an archive is built. What cannot be built at all is a *solve.Conflict about its build
// requirements, or a *backend.TooOldError.
func (h *hooks) fit(ctx context.Context, f index.File, record sdistRecord) (fitted, error) {
	// What people say of the package changes the question.
	key := digest([]any{fileKey(f), requirementTexts(h.p.buildSystem(ctx, f.Name, record))})
	h.mu.Lock()
	found := h.fits[key]
	if found == nil {
		found = &fitting{}
		h.fits[key] = found
	}
	h.mu.Unlock()
	found.once.Do(func() { found.fitted, found.err = h.findFit(ctx, f, record) })
	return found.fitted, found.err
}

func (h *hooks) findFit(ctx context.Context, f index.File, record sdistRecord) (fitted, error) {
	source := record.Sdist
	project := backend.Project(source.Backend)
	if len(source.BackendPath) > 0 { // it brings its own
		project = ""
	}
	fit := fitted{requires: h.p.buildSystem(ctx, f.Name, record)}
	if project == uvBuild {
		if fit, ok, err := h.withoutUV(ctx, f, record); ok || err != nil {
			return fit, err
		}
	}
	var err error
	fit.tools, err = h.solveTools(ctx, fit.requires)
	var declared []pep508.Requirement
	if errors.As(err, new(*solve.Conflict)) || errors.As(err, new(*LockError)) {
		loose, ok := backend.Loosen(project, source.Requires, source.Features)
		if !ok {
			return fit, err
		}
		eased := record
		eased.Sdist.Requires = loose
		easedFit := fitted{requires: h.p.buildSystem(ctx, f.Name, eased)}
		var second error
		if easedFit.tools, second = h.solveTools(ctx, easedFit.requires); second != nil {
			return fit, err
		}
		fit, declared, err = easedFit, loose, nil
	}
	if err != nil {
		return fit, err
	}
	lacking := h.lacking(fit.tools, project, source.Features)
	if declared == nil && len(lacking) == 0 {
		return fit, nil
	}
	fit.patch, err = h.patch(ctx, f, record, fit.tools, project, declared)
	if declared == nil && errors.As(err, new(*backend.TooOldError)) {
		if newer, newErr := h.newer(ctx, fit, project, lacking); newErr == nil {
			return newer, nil
		}
	}
	return fit, err
}

// uvBuild is the index's name of uv's build backend.
const uvBuild = "uv-build"

// lacking are the features used that the version chosen of a build backend cannot read.
func (h *hooks) lacking(tools solve.Solution, project string, uses []backend.Feature) []backend.Feature {
	for _, c := range tools.Packages {
		if c.Name == project {
			return backend.Lacking(project, c.Version, uses)
		}
	}
	return nil
}

// newer asks for a version of the build backend that reads everything: built by us, it stands beside the
// distribution's in the build repository.
func (h *hooks) newer(ctx context.Context, fit fitted, project string, lacking []backend.Feature) (fitted, error) {
	requires := slices.Clone(fit.requires)
	for _, f := range lacking {
		since, _ := backend.Since(project, f)
		r, err := pep508.Parse(project + ">=" + since.String())
		if err != nil {
			return fit, err
		}
		requires = append(requires, r)
	}
	tools, err := h.solveTools(ctx, requires)
	return fitted{requires: requires, tools: tools}, err
}

// patch makes the patch for the versions chosen. declared are the requirements that the patched tree
// states, nil for its own.
func (h *hooks) patch(ctx context.Context, f index.File, record sdistRecord, tools solve.Solution, project string, declared []pep508.Requirement) (*backend.Patch, error) {
	i := slices.IndexFunc(tools.Packages, func(c solve.Chosen) bool { return c.Name == project })
	if i < 0 {
		return nil, nil
	}
	var patch *backend.Patch
	err := h.p.withSource(ctx, f, func(_, dir string) error {
		tree, err := readTree(dir, record)
		if err != nil {
			return err
		}
		patch, err = backend.Fit(tree, project, tools.Packages[i].Version, declared)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("fit %s to its build backend: %w", f.Filename, err)
	}
	return patch, nil
}

// withoutUV has flit-core build what uv-build would, where both make the same of it; ok is false where
// only uv-build can.
func (h *hooks) withoutUV(ctx context.Context, f index.File, record sdistRecord) (fit fitted, ok bool, err error) {
	err = h.p.withSource(ctx, f, func(_, dir string) error {
		tree, err := readTree(dir, record)
		if err != nil {
			return err
		}
		if fit.patch, err = backend.SwitchToFlit(tree); err != nil {
			h.p.cfg.Log.Info("uv_build is needed", "archive", f.Filename, "why", err)
			fit.patch = nil
		}
		return nil
	})
	if err != nil || fit.patch == nil {
		return fit, false, err
	}
	switched := record
	if switched.Sdist.Requires, err = parseAll([]string{backend.FlitRequirement}); err != nil {
		return fit, false, err
	}
	fit.requires = h.p.buildSystem(ctx, f.Name, switched)
	fit.tools, err = h.solveTools(ctx, fit.requires)
	if errors.As(err, new(*solve.Conflict)) || errors.As(err, new(*LockError)) {
		return fit, false, nil // the target's Python is too old for that flit-core
	}
	return fit, err == nil, err
}

// readTree reads what of an unpacked source a patch depends on.
func readTree(dir string, record sdistRecord) (backend.Tree, error) {
	tree := backend.Tree{FromIndex: record.Sdist.HasPkgInfo}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return tree, err
	}
	defer root.Close()
	for _, part := range []struct {
		name string
		into *[]byte
	}{{"pyproject.toml", &tree.Pyproject}, {"setup.cfg", &tree.SetupCfg}, {"setup.py", &tree.SetupPy}} {
		info, err := root.Stat(part.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return tree, err
		}
		if !info.Mode().IsRegular() || info.Size() > maxEdited {
			return tree, fmt.Errorf("%s is no file that could be edited", part.name)
		}
		if *part.into, err = root.ReadFile(part.name); err != nil {
			return tree, err
		}
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			tree.Files = append(tree.Files, name)
		}
		return err
	})
	slices.Sort(tree.Files)
	return tree, err
}

// maxEdited is how large a file may be that is edited, in bytes.
const maxEdited = 1 << 20

// apply puts the patched files into an unpacked source.
func (fit fitted) apply(dir string) error {
	if fit.patch == nil {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, text := range fit.patch.Files {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := root.WriteFile(name, text, 0o644); err != nil {
			return fmt.Errorf("patch %s: %w", filepath.Base(dir), err)
		}
	}
	return nil
}

// key tells patched sources from others of the same archive.
func (fit fitted) key() string {
	if fit.patch == nil {
		return ""
	}
	return textSHA256(fit.patch.Diff)
}

// backendPatch is the patch as a source of the spec, Patch0.
func (b *pkgBuild) backendPatch() (sourceFile, bool) {
	if b.patch == nil {
		return sourceFile{}, false
	}
	name := strings.ReplaceAll(b.name, ".", "-") + "-build-backend.patch"
	return sourceFile{name: name, data: b.patch.Diff, sha256: textSHA256(b.patch.Diff)}, true
}
