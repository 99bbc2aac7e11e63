package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/override"
	"reqpm/internal/pipeline"
	"reqpm/internal/store"
	"reqpm/internal/tomltree"
)

// OverrideFields are what a form offers of an override, said for all targets. Patches, environments and the like are written as text.
type OverrideFields struct {
	Version                          string
	Extras                           []string // of the package itself; as text they are a run-time requirement of it: celery[redis]
	BuildRequires, DropBuildRequires []string
	Requires, DropRequires           []string
	Wheel, AllowPure                 bool
	Memory                           string
}

// OverrideFieldError says which field cannot be as it is; Field is its key in overrides/NAME.toml.
type OverrideFieldError struct{ Field, Reason string }

func (e *OverrideFieldError) Error() string { return e.Field + ": " + e.Reason }

// saidLayers are what a text says of a package.
func saidLayers(name, text string) ([]override.Layer, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	said, err := ReadOverrides(map[string]string{name: text})
	return said.Layers(), err
}

// OverrideFieldsOf are the fields that a text has.
func OverrideFieldsOf(name, text string) (OverrideFields, error) {
	var f OverrideFields
	layers, err := saidLayers(name, text)
	for _, l := range layers {
		if l.Target != "" {
			continue
		}
		f.Version = cmp.Or(l.Version, f.Version)
		f.BuildRequires, f.DropBuildRequires = append(f.BuildRequires, texts(l.BuildRequires)...), append(f.DropBuildRequires, texts(l.DropBuildRequires)...)
		f.Requires, f.DropRequires = append(f.Requires, texts(l.Requires)...), append(f.DropRequires, texts(l.DropRequires)...)
		f.Wheel, f.AllowPure = f.Wheel || l.AllowsWheel(), f.AllowPure || l.AllowsPure()
		if l.Memory > 0 {
			f.Memory = override.FormatBytes(l.Memory)
		}
	}
	f.Requires, f.Extras = splitExtras(name, f.Requires)
	return f, err
}

// splitExtras takes out of run-time requirements those of the package itself, which ask for its extras.
func splitExtras(name string, requires []string) (others, extras []string) {
	for _, text := range requires {
		d, err := override.ParseDependency(text)
		if err != nil || d.RPM != "" || d.Key() != name || len(d.Python.Extras) == 0 || d.Python.Marker != nil {
			others = append(others, text)
			continue
		}
		for _, extra := range d.Python.Extras {
			if !slices.Contains(extras, extra) {
				extras = append(extras, extra)
			}
		}
	}
	return others, extras
}

// extraName is what an extra may be called (PEP 685, and the older names that are made so).
var extraName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// allRequires are the run-time requirements of fields as their text has them.
func (f OverrideFields) allRequires(name string) ([]string, error) {
	for _, extra := range f.Extras {
		if !extraName.MatchString(extra) {
			return nil, &OverrideFieldError{"extras", fmt.Sprintf("%q is no name of an extra", extra)}
		}
	}
	if len(f.Extras) == 0 {
		return f.Requires, nil
	}
	return append(slices.Clone(f.Requires), name+"["+strings.Join(f.Extras, ",")+"]"), nil
}

func texts(deps []override.Dependency) []string {
	var all []string
	for _, d := range deps {
		all = append(all, d.String())
	}
	return all
}

// EditOverride is a text with other fields: what it says besides, and of single targets, stays. *OverrideFieldError.
func EditOverride(name, text string, f OverrideFields) (string, error) {
	layers, err := saidLayers(name, text)
	if err != nil {
		return "", err
	}
	for i, l := range layers {
		if l.Target == "" {
			l.Version, l.BuildRequires, l.DropBuildRequires, l.Requires, l.DropRequires = "", nil, nil, nil, nil
			l.Memory = 0
			if f.Wheel || l.AllowsWheel() { // else it may say that it must not, against a file that says it may
				l.Wheel = nil
			}
			if f.AllowPure || l.AllowsPure() {
				l.AllowPure = nil
			}
			layers[i] = l
		}
	}
	requires, err := f.allRequires(name)
	if err != nil {
		return "", err
	}
	for _, field := range []struct{ key, value string }{
		{"version", quoted(f.Version)}, {"build-requires", quotedList(f.BuildRequires)}, {"drop-build-requires", quotedList(f.DropBuildRequires)},
		{"requires", quotedList(requires)}, {"drop-requires", quotedList(f.DropRequires)}, {"wheel", truth(f.Wheel)}, {"allow-pure", truth(f.AllowPure)}, {"memory", quoted(f.Memory)},
	} {
		if field.value == "" {
			continue
		}
		said, err := saidLayers(name, field.key+" = "+field.value)
		if problems, ok := errors.AsType[override.Problems](err); ok {
			return "", &OverrideFieldError{field.key, strings.TrimPrefix(problems[0].Message, field.key+": ")}
		}
		if err != nil {
			return "", err
		}
		layers = append(layers, said...)
	}
	return string(override.Write("", layers...)), nil
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return tomltree.Quote(text)
}

func quotedList(list []string) string {
	var all []string
	for _, text := range list {
		all = append(all, tomltree.Quote(text))
	}
	if len(all) == 0 {
		return ""
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return ""
}

// Newer is a version of a package that an update check found to fit.
type Newer struct {
	Package string `json:"package"`
	Target  string `json:"target"`
	Version string `json:"version"`
}

// FoundOutdated is what an update check wrote of the packages that it found.
func FoundOutdated(o store.Outdated) []pipeline.Outdated {
	var found []pipeline.Outdated
	if json.Unmarshal(o.Found, &found) != nil {
		return nil // of another version of this program: the next check writes it anew
	}
	return found
}

// NewerOf are the versions that the last update check of a project proved to fit, of the packages named, or of all where none is. Each was
// proven with everything else as it may be, not with the others.
func NewerOf(ctx context.Context, q store.Queries, project int64, names ...string) ([]Newer, error) {
	all, err := q.OutdatedOf(ctx, project)
	var newer []Newer
	for _, o := range all {
		for _, f := range FoundOutdated(o) {
			if f.Resolves != "" && f.Resolves != f.Version && (len(names) == 0 || slices.Contains(names, f.Name)) {
				newer = append(newer, Newer{f.Name, o.Target, f.Resolves})
			}
		}
	}
	return newer, err
}

// SaidText is what a project says of a package: Text, where it said Was before.
type SaidText struct {
	Package string `json:"package"`
	Text    string `json:"text" doc:"as overrides/NAME.toml"`
	Was     string `json:"was" doc:"what the project says without it; empty: nothing"`
}

// SaidOfNewer is what a project would say to take no older versions than these, each on its target, by package. ErrOverride: what it says
// of one of them already cannot be read.
func SaidOfNewer(p store.Project, newer []Newer) ([]SaidText, error) {
	var all []SaidText
	for _, n := range newer {
		i := slices.IndexFunc(all, func(s SaidText) bool { return s.Package == n.Package })
		if i < 0 {
			was := OverrideOf(p, n.Package)
			all, i = append(all, SaidText{n.Package, was, was}), len(all)
		}
		var err error
		if all[i].Text, err = atLeast(all[i].Text, n); err != nil {
			return nil, fmt.Errorf("what the project says of %s: %w", n.Package, err)
		}
	}
	slices.SortFunc(all, func(a, b SaidText) int { return strings.Compare(a.Package, b.Package) })
	return all, nil
}

// TakeNewer has a project say that it takes no older versions than these, and starts a run with that.
func TakeNewer(ctx context.Context, tx *store.Tx, project int64, newer []Newer, reason string) (store.Run, []SaidText, error) {
	p, err := tx.Project(ctx, project)
	if err != nil {
		return store.Run{}, nil, err
	}
	said, err := SaidOfNewer(p, newer)
	if err != nil {
		return store.Run{}, nil, err
	}
	for _, one := range said {
		if err := SetOverride(ctx, tx, project, one.Package, one.Text); err != nil {
			return store.Run{}, nil, err
		}
	}
	if p, err = tx.Project(ctx, project); err != nil {
		return store.Run{}, nil, err
	}
	run, err := StartRun(ctx, tx, p, NewRun{Reason: reason})
	return run, said, err
}

// atLeast is a text that says of a target, beside what it said, that nothing older is taken.
func atLeast(text string, n Newer) (string, error) {
	layers, err := saidLayers(n.Package, text)
	if err != nil {
		return "", err
	}
	said := ""
	for _, target := range []string{"", n.Target} { // what is about the target goes before
		for _, l := range layers {
			if l.Target == target && l.Version != "" {
				said = l.Version
			}
		}
	}
	kept := slices.DeleteFunc(strings.Split(said, ","), func(s string) bool { s = strings.TrimSpace(s); return s == "" || strings.HasPrefix(s, ">=") })
	one := override.Layer{Package: n.Package, Target: n.Target}
	one.Version = strings.Join(append([]string{">=" + n.Version}, kept...), ",")
	return string(override.Write("", append(layers, one)...)), nil
}
