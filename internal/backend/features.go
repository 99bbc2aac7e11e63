package backend

import (
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// Feature is something in a pyproject.toml that old build backends cannot read.
type Feature string

// What came after the first build backends.
const (
	ProjectTable      Feature = "project-table"      // [project] (PEP 621)
	LicenseExpression Feature = "license-expression" // license = "MIT" (PEP 639)
	LicenseFiles      Feature = "license-files"      // license-files = ["LICENSE"] (PEP 639)
)

// String says the feature as a reader of pyproject.toml knows it.
func (f Feature) String() string {
	switch f {
	case ProjectTable:
		return "[project] (PEP 621)"
	case LicenseExpression:
		return `license = "…" (PEP 639)`
	case LicenseFiles:
		return "license-files = […] (PEP 639)"
	}
	return string(f)
}

// known is what ReqPM knows of one build backend.
type known struct {
	project string             // PEP 503 name on the index
	modules []string           // first parts of build-backend
	since   map[Feature]string // the first version that reads it
	// editable is the first version with editable installs (PEP 660): a floor that is asked for in
	// their name means nothing to a wheel.
	editable string
}

// matrix: the versions were found by building one small project with each feature on versions on both
// sides of the line; "0" is also for what older ones pass over without harm. What is done about it is
// proven by TestOldBackendsBuildTheSame (REQPM_NETWORK=1).
var matrix = []known{
	{project: "setuptools", modules: []string{"setuptools"}, editable: "64",
		since: map[Feature]string{ProjectTable: "61.0", LicenseExpression: "77.0", LicenseFiles: "77.0"}},
	{project: "flit-core", modules: []string{"flit_core"}, editable: "3.4",
		since: map[Feature]string{ProjectTable: "3.2", LicenseExpression: "3.11", LicenseFiles: "0"}},
	{project: "hatchling", modules: []string{"hatchling"},
		since: map[Feature]string{ProjectTable: "0", LicenseExpression: "0", LicenseFiles: "1.26"}},
	{project: "poetry-core", modules: []string{"poetry"}, editable: "1.0.8",
		since: map[Feature]string{ProjectTable: "2.0", LicenseExpression: "2.0", LicenseFiles: "2.0"}},
	{project: "pdm-backend", modules: []string{"pdm"},
		since: map[Feature]string{ProjectTable: "0", LicenseExpression: "2.4", LicenseFiles: "2.4"}},
	// What it reads hangs on pyproject-metadata, which ReqPM builds in a version that reads all.
	{project: "meson-python", modules: []string{"mesonpy"},
		since: map[Feature]string{ProjectTable: "0", LicenseExpression: "0", LicenseFiles: "0"}},
	{project: "scikit-build-core", modules: []string{"scikit_build_core"},
		since: map[Feature]string{ProjectTable: "0", LicenseExpression: "0", LicenseFiles: "0"}},
}

// Project is the name on the index (PEP 503) of what provides a build-backend, such as
// "flit_core.buildapi"; "" when ReqPM does not know it.
func Project(buildBackend string) string {
	module, _, _ := strings.Cut(buildBackend, ":")
	module, _, _ = strings.Cut(module, ".")
	for _, k := range matrix {
		for _, m := range k.modules {
			if m == module {
				return k.project
			}
		}
	}
	if module == "uv_build" {
		return uvBuild
	}
	return ""
}

func find(project string) *known {
	for i := range matrix {
		if matrix[i].project == project {
			return &matrix[i]
		}
	}
	return nil
}

// Since is the first version of a build backend that reads a feature; ok is false where that is
// not known.
func Since(project string, f Feature) (v pep440.Version, ok bool) {
	k := find(project)
	if k == nil || k.since[f] == "" {
		return v, false
	}
	v, err := pep440.Parse(k.since[f])
	return v, err == nil
}

// Uses are the features that the [project] table of a pyproject.toml uses; none without a table.
func Uses(project map[string]any) []Feature {
	// A table without a name only configures other tools.
	if name, _ := project["name"].(string); name == "" {
		return nil
	}
	uses := []Feature{ProjectTable}
	if _, ok := project["license"].(string); ok {
		uses = append(uses, LicenseExpression)
	}
	if _, ok := project["license-files"].([]any); ok {
		uses = append(uses, LicenseFiles)
	}
	return uses
}

// Lacking are those of uses that a version of a build backend cannot read. Of a backend that is
// not known, nothing is said to be lacking.
func Lacking(project string, v pep440.Version, uses []Feature) []Feature {
	var lacking []Feature
	for _, f := range uses {
		if since, ok := Since(project, f); ok && v.Compare(since) < 0 {
			lacking = append(lacking, f)
		}
	}
	return lacking
}

// Loosen takes the lower bound off the requirement on the build backend itself, where what the tree
// uses explains the bound: a floor at or below the first version that reads the newest feature used, or
// at the one that brought editable installs, which no wheel needs. Upper bounds and exclusions stay. ok
// is false when there is no such bound, or it says more than ReqPM knows the reason of.
func Loosen(project string, requires []pep508.Requirement, uses []Feature) (loose []pep508.Requirement, ok bool) {
	k := find(project)
	if k == nil {
		return nil, false
	}
	explained, _ := pep440.Parse(or(k.editable, "0"))
	for _, f := range uses {
		if since, known := Since(project, f); known && since.Compare(explained) > 0 {
			explained = since
		}
	}
	for _, r := range requires {
		if r.Key() == project {
			changed, fine := withoutFloor(r, explained)
			if !fine {
				return nil, false
			}
			ok = ok || changed.String() != r.String()
			r = changed
		}
		loose = append(loose, r)
	}
	return loose, ok
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// slack is by how much a floor may lie above what explains it: 77.0.3 mended what 77.0 brought.
const slack = ".999"

func withoutFloor(r pep508.Requirement, explained pep440.Version) (pep508.Requirement, bool) {
	most, err := pep440.Parse(explained.String() + slack)
	if err != nil {
		return r, false
	}
	var kept []string
	for _, c := range r.Specifiers.Clauses() {
		if c.Op != ">=" && c.Op != ">" {
			kept = append(kept, c.Op+c.Version)
			continue
		}
		floor, err := pep440.Parse(c.Version)
		if err != nil || floor.Compare(most) > 0 {
			return r, false
		}
	}
	if len(kept) == len(r.Specifiers.Clauses()) {
		return r, true
	}
	specifiers, err := pep440.ParseSpecifiers(strings.Join(kept, ","))
	if err != nil {
		return r, false
	}
	r.Specifiers = specifiers
	return r, true
}
