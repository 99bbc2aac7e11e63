package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing/fstest" // its file system in memory, no test

	"reqpm/internal/diagnose"
	"reqpm/internal/override"
	"reqpm/internal/pipeline"
	"reqpm/internal/store"
	"reqpm/internal/target"
)

// What a project of the server says of packages beyond the files in its repository: the text of an
// overrides/NAME.toml for each package, kept in its settings.

// ErrOverride: a text that is no override.
var ErrOverride = errors.New("not an override")

const maxOverride = 64 << 10

var overrideName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?$`)

// ReadOverrides reads what settings say of packages. An error is ErrOverride, with the lines of all mistakes.
func ReadOverrides(texts map[string]string) (override.Set, error) {
	files := fstest.MapFS{}
	for name, text := range texts {
		if !overrideName.MatchString(name) {
			return override.Set{}, fmt.Errorf("%w: %q is no name of a package in its normal form", ErrOverride, name)
		}
		if len(text) > maxOverride {
			return override.Set{}, fmt.Errorf("%w: %s: it has more than %d bytes", ErrOverride, name, maxOverride)
		}
		files[override.FolderName+"/"+name+".toml"] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	result, err := override.Read(override.Source{FS: files, Shown: "settings of the project"})
	if err != nil {
		return override.Set{}, fmt.Errorf("%w: %w", ErrOverride, err)
	}
	layers := result.Set.Layers()
	for i := range layers {
		layers[i].Place = override.CommandLine // before what the files of the project say
	}
	return override.NewSet(layers...), nil
}

// SetOverride makes text what a project says of a package; "" takes away what it says. It counts for what is
// planned from then on.
func SetOverride(ctx context.Context, tx *store.Tx, project int64, name, text string) error {
	p, err := tx.Project(ctx, project)
	if err != nil {
		return err
	}
	var settings Settings
	if err := decode(p.Settings, &settings); err != nil {
		return fmt.Errorf("the settings of %s: %w", p.Name, err)
	}
	if settings.Overrides = maps.Clone(settings.Overrides); settings.Overrides == nil {
		settings.Overrides = map[string]string{}
	}
	if strings.TrimSpace(text) == "" {
		delete(settings.Overrides, name)
	} else {
		settings.Overrides[name] = text
	}
	if _, err := ReadOverrides(settings.Overrides); err != nil {
		return err
	}
	if p.Settings, err = json.Marshal(settings); err != nil {
		return err
	}
	return tx.UpdateProject(ctx, p)
}

// OverrideOf is what a project says of a package in its settings; "": nothing.
func OverrideOf(p store.Project, name string) string {
	var settings Settings
	if decode(p.Settings, &settings) != nil {
		return ""
	}
	return settings.Overrides[name]
}

// Fix is what a failed package of a run may be told, on every target where it failed.
type Fix struct {
	Project int64
	Run     int64
	Package string   // PEP 503 name
	Targets []string // where it is for
	Words   []string // what it says, for people
	Text    string   // the whole override of the package, with what was said before
	Steps   []int64  // the failed builds
	Frees   int      // builds that wait for them
	// NewRun: the build may then need packages that the plan of the run does not have, so that it takes a new one.
	NewRun bool
}

// SuggestFix makes the fix of failed builds of one package by what their logs ask for. False: they ask for
// nothing that could be said.
func SuggestFix(p store.Project, failed []store.Step) (Fix, bool) {
	fix := Fix{Project: p.ID}
	var layers []override.Layer
	for _, s := range failed {
		var b Built
		var found struct {
			Findings []diagnose.Finding `json:"findings"`
		}
		if decode(s.Result, &b) != nil || decode(s.Result, &found) != nil {
			continue
		}
		o, words, grows, ok := suggest(found.Findings, s.Target)
		if !ok {
			continue
		}
		fix.Run, fix.Package = s.Run, Name(s.Package)
		fix.Steps, fix.Targets, fix.NewRun = append(fix.Steps, s.ID), append(fix.Targets, s.Target), fix.NewRun || grows
		for _, w := range words {
			if !slices.Contains(fix.Words, w) {
				fix.Words = append(fix.Words, w)
			}
		}
		layers = append(layers, override.Layer{Package: fix.Package, Target: s.Target, Override: o})
	}
	if len(layers) == 0 {
		return fix, false
	}
	if same(layers) {
		layers = layers[:1]
		layers[0].Target = ""
	}
	if was := OverrideOf(p, fix.Package); was != "" {
		if said, err := ReadOverrides(map[string]string{fix.Package: was}); err == nil {
			layers = append(said.Layers(), layers...)
		}
	}
	fix.Text = string(override.Write("", layers...))
	_, err := ReadOverrides(map[string]string{fix.Package: fix.Text})
	return fix, err == nil
}

// suggest takes the first finding that words can be put to.
func suggest(found []diagnose.Finding, targetName string) (o override.Override, words []string, grows, ok bool) {
	t, err := target.Lookup(targetName)
	if err != nil {
		t = target.Target{Name: targetName} // of this machine, or of a file: names in general do
	}
	for _, x := range found {
		for _, c := range x.Changes {
			if o, grows, ok := pipeline.Suggest(c, t); ok {
				for _, e := range o.Entries() {
					words = append(words, e.Key+": "+e.Text)
				}
				return o, words, grows, true
			}
		}
	}
	return o, nil, false, false
}

// same tells whether every layer says the same.
func same(layers []override.Layer) bool {
	text := func(l override.Layer) string { l.Target = ""; return string(override.Write("", l)) }
	return !slices.ContainsFunc(layers, func(l override.Layer) bool { return text(l) != text(layers[0]) })
}

// Applied is what came of a fix.
type Applied struct {
	Run   store.Run    // that goes on, or is new
	Again []store.Step // that are done again
}

// ApplyFix has a project say text of a package, and what failed for it built again: in its run, or where the fix
// needs a plan of its own, in a new one. reason says who asked.
func ApplyFix(ctx context.Context, tx *store.Tx, f Fix, text, reason string) (Applied, error) {
	if err := SetOverride(ctx, tx, f.Project, f.Package, text); err != nil {
		return Applied{}, err
	}
	run, err := tx.Run(ctx, f.Run)
	if err != nil {
		return Applied{}, err
	}
	if f.NewRun {
		p, err := tx.Project(ctx, f.Project)
		if err != nil {
			return Applied{}, err
		}
		run, err = StartRun(ctx, tx, p, NewRun{Ref: run.Ref, Commit: run.Commit, Targets: run.Targets, Reason: reason})
		return Applied{Run: run}, err
	}
	steps := slices.Clone(f.Steps)
	all, err := tx.RunSteps(ctx, f.Run)
	if err != nil {
		return Applied{}, err
	}
	for _, s := range all {
		if s.Kind == store.Specs && slices.Contains(f.Targets, s.Target) {
			steps = append(steps, s.ID) // which keeps the spec file that is built with
		}
	}
	again, err := tx.Retry(ctx, store.Retry{Run: f.Run, Steps: steps})
	if err != nil {
		return Applied{}, err
	}
	run, err = tx.Run(ctx, f.Run)
	return Applied{Run: run, Again: again}, err
}

// Name is the name of NAME==VERSION.
func Name(pkg string) string {
	name, _, _ := strings.Cut(pkg, "==")
	return cmp.Or(name, pkg)
}
