package sdist

import (
	"maps"
	"slices"
	"strconv"

	"reqpm/internal/metadata"
	"reqpm/internal/pep508"
)

// Declared is what the [project] table states of dependencies, when it states all of it: PEP 621
// binds the build backend to it. Whole is false when a field is dynamic or cannot be read.
type Declared struct {
	Whole          bool
	RequiresDist   []pep508.Requirement // those of extras with their markers, as metadata has them
	Extras         []string             // PEP 685 form, sorted
	RequiresPython string
}

// StaticMetadata is what a source archive says of itself without anything being run: its PKG-INFO,
// where that may be relied on (PEP 643), or PKG-INFO with the dependencies that [project] states.
func (f Facts) StaticMetadata() (metadata.Metadata, bool) {
	switch {
	case !f.HasPkgInfo:
		return metadata.Metadata{}, false
	case f.PkgInfo.StaticDependencies():
		return f.PkgInfo, true
	case !f.Declared.Whole:
		return metadata.Metadata{}, false
	}
	m := f.PkgInfo
	m.RequiresDist, m.ProvidesExtra, m.RequiresPython = f.Declared.RequiresDist, f.Declared.Extras, f.Declared.RequiresPython
	return m, true
}

// readDeclared reads the table. A table without a name only configures tools, and one that a backend
// older than PEP 621 would pass over cannot be told apart here: such packages do not have one.
func readDeclared(project map[string]any) Declared {
	var d Declared
	if name, _ := project["name"].(string); name == "" {
		return d
	}
	dynamic, ok := stringList(project["dynamic"])
	if !ok || slices.Contains(dynamic, "dependencies") || slices.Contains(dynamic, "optional-dependencies") || slices.Contains(dynamic, "requires-python") {
		return d
	}
	if value := project["requires-python"]; value != nil {
		if d.RequiresPython, ok = value.(string); !ok {
			return d
		}
	}
	if !d.add(project["dependencies"], "") {
		return d
	}
	extras, ok := project["optional-dependencies"].(map[string]any)
	if !ok && project["optional-dependencies"] != nil {
		return d
	}
	for _, name := range slices.Sorted(maps.Keys(extras)) {
		extra := pep508.NormalizeName(name)
		if d.Extras = append(d.Extras, extra); !d.add(extras[name], extra) {
			return d
		}
	}
	d.Whole = true
	return d
}

// add takes one list of requirements; false when it is none.
func (d *Declared) add(value any, extra string) bool {
	list, ok := stringList(value)
	if !ok {
		return false
	}
	for _, text := range list {
		r, err := pep508.Parse(text)
		if err != nil {
			return false
		}
		if extra != "" {
			if r.Marker, err = pep508.ParseMarker(ofExtra(r.Marker, extra)); err != nil {
				return false
			}
		}
		d.RequiresDist = append(d.RequiresDist, r)
	}
	return true
}

func ofExtra(marker *pep508.Marker, extra string) string {
	text := "extra == " + strconv.Quote(extra)
	if marker != nil {
		text = "(" + marker.String() + ") and " + text
	}
	return text
}

// stringList is a list of strings; absent is empty.
func stringList(value any) (list []string, ok bool) {
	if value == nil {
		return nil, true
	}
	items, ok := value.([]any)
	for _, item := range items {
		text, isText := item.(string)
		if !isText {
			return nil, false
		}
		list = append(list, text)
	}
	return list, ok
}
