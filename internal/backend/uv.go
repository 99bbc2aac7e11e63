package backend

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reqpm/internal/pep508"
	"reqpm/internal/tomltree"
)

// uvBuild is the build backend of uv. It is a Rust program of some two hundred crates, and what it makes
// is a wheel of one folder of Python files, which flit-core makes as well.
const uvBuild = "uv-build"

// FlitRequirement is what a tree asks for that SwitchToFlit patched: the first flit-core that reads all
// of PEP 639, which uv-build reads.
const FlitRequirement = "flit_core >=3.12,<5"

// projectKeys are the fields of [project] that flit-core knows as uv-build does.
var projectKeys = []string{"name", "version", "description", "readme", "requires-python", "license", "license-files", "authors", "maintainers",
	"keywords", "classifiers", "urls", "scripts", "gui-scripts", "entry-points", "dependencies", "optional-dependencies"}

// SwitchToFlit makes the patch with which flit-core builds a tree of uv-build, when its configuration is
// one that both mean the same by: one importable package with an __init__.py, below src or at the top, and no
// data and exclusions. Where it is not, the error says why.
func SwitchToFlit(t Tree) (*Patch, error) {
	w, module, err := uvWork(t)
	if err != nil {
		return nil, err
	}
	requires := w.doc.BuildSystem.Requires
	n := slices.IndexFunc(requires, func(text string) bool {
		r, err := pep508.Parse(text)
		return err == nil && r.Key() == uvBuild
	})
	if n < 0 || len(requires) != 1 {
		return nil, errors.New("its build asks for more than uv-build")
	}
	flit, _ := pep508.Parse(FlitRequirement) // a constant that parses
	if err := w.edit.setItem(requires[n], flit.String(), "build-system", "requires"); err != nil {
		return nil, err
	}
	if err := w.edit.set(tomltree.Quote("flit_core.buildapi"), "flit_core.buildapi", "build-system", "build-backend"); err != nil {
		return nil, err
	}
	if w.doc.Project["description"] == nil { // flit-core wants one
		w.edit.add(tomltree.Quote(""), "", "project", "description")
	}
	w.edit.add(tomltree.Quote(module), module, "tool", "flit", "module", "name")
	w.why = []string{"uv_build, a Rust program, makes the same wheel of it as flit_core"}
	return w.patch()
}

// uvWork reads the configuration and finds the module.
func uvWork(t Tree) (*work, string, error) {
	w, err := newWork(t)
	if err != nil {
		return nil, "", err
	}
	if dynamic, _ := stringsOf(w.doc.Project["dynamic"]); len(dynamic) > 0 {
		return nil, "", errors.New("it has dynamic metadata")
	}
	for _, key := range slices.Sorted(maps.Keys(w.doc.Project)) {
		if key != "dynamic" && !slices.Contains(projectKeys, key) {
			return nil, "", fmt.Errorf("[project] %s is not known", key)
		}
	}
	if w.doc.Tool["flit"] != nil {
		return nil, "", errors.New("it has a [tool.flit] of its own")
	}
	name, _ := w.doc.Project["name"].(string)
	module := strings.ReplaceAll(pep508.NormalizeName(name), "-", "_")
	root := "src"
	uv, _ := w.doc.Tool["uv"].(map[string]any)
	own, _ := uv["build-backend"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(own)) {
		text, isText := own[key].(string)
		switch {
		case key == "module-name" && isText:
			module = text
		case key == "module-root" && isText:
			root = strings.Trim(strings.TrimPrefix(text, "./"), "/")
		case key == "source-include", key == "default-excludes" && own[key] == true, key == "namespace" && own[key] == false:
		case key == "source-exclude" && t.FromIndex: // what it leaves out is not there
		default:
			return nil, "", fmt.Errorf("[tool.uv.build-backend] %s has no like in flit-core", key)
		}
	}
	if !identifiers(module) || strings.Contains(module, ".") {
		return nil, "", fmt.Errorf("its module is named %q", module)
	}
	places := map[string]string{"src": "src/", "": "", ".": ""}
	prefix, ok := places[root]
	if !ok {
		return nil, "", fmt.Errorf("its module is in %q", root)
	}
	if !t.has(prefix + module + "/__init__.py") {
		return nil, "", fmt.Errorf("there is no %s%s/__init__.py", prefix, module)
	}
	other := map[string]string{"src/": "", "": "src/"}[prefix]
	if t.has(other+module+"/__init__.py") || t.has(other+module+".py") || t.has(prefix+module+".py") {
		return nil, "", fmt.Errorf("flit-core would not know which %s is meant", module)
	}
	return w, module, nil
}
