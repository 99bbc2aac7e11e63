package corpus

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/sdist"
	"reqpm/internal/spec"
	"reqpm/internal/target"
)

const (
	listFile  = "testdata/packages.txt"
	factsFile = "testdata/facts.json.gz"
)

// fact is what a spec is made of, for one version of one package.
type fact struct {
	Name, Version, RequiresPython string
	Archive, TopDir, SHA256       string
	Uploaded                      time.Time

	Backend                                       string
	HasBuildSystem, HasSetupPy, ProjectTable, SCM bool
	Requires                                      []string // [build-system]
	Native                                        sdist.Native
	LicenseFiles                                  []string

	Summary, License string
	RequiresDist     []string
	ProvidesExtra    []string
}

// names are the packages of the list.
func names(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile(listFile)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// readFacts are the recorded facts by package, the newest version first.
func readFacts(t testing.TB) map[string][]fact {
	t.Helper()
	f, err := os.Open(factsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var list []fact
	if err := json.NewDecoder(z).Decode(&list); err != nil {
		t.Fatal(err)
	}
	by := map[string][]fact{}
	for _, f := range list {
		key := pep508.NormalizeName(f.Name)
		by[key] = append(by[key], f)
	}
	for _, versions := range by {
		slices.SortFunc(versions, func(a, b fact) int { return version(t, b.Version).Compare(version(t, a.Version)) })
	}
	return by
}

func version(t testing.TB, s string) pep440.Version {
	t.Helper()
	v, err := pep440.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// admits tells whether f runs on a target's Python.
func (f fact) admits(t testing.TB, python string) bool {
	t.Helper()
	if f.RequiresPython == "" {
		return true
	}
	s, err := pep440.ParseSpecifiers(f.RequiresPython)
	if err != nil {
		return false // ">=3.4.*", of an old release: a newer one says it right
	}
	return s.Contains(version(t, python))
}

func requirements(t testing.TB, texts []string) []pep508.Requirement {
	t.Helper()
	var out []pep508.Requirement
	for _, s := range texts {
		r, err := pep508.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// input is what the pipeline would hand to spec: extras are asked for up to two, and build
// requirements are those of the build-system table (no hook was asked).
func (f fact) input(t testing.TB, tt target.Target) spec.Input {
	t.Helper()
	in := spec.Input{
		Target: tt, SHA256: f.SHA256, License: f.License, UploadTime: f.Uploaded, Env: sdist.SCMEnv(f.Version),
		Facts: sdist.Facts{
			Archive: f.Archive, TopDir: f.TopDir, Backend: f.Backend, HasBuildSystem: f.HasBuildSystem, HasSetupPy: f.HasSetupPy,
			ProjectTable: f.ProjectTable, SCM: f.SCM, Native: f.Native, LicenseFiles: f.LicenseFiles,
		},
		Metadata: metadata.Metadata{
			Name: f.Name, Version: version(t, f.Version), Summary: f.Summary, HomePage: "https://example.org/" + f.Name,
			RequiresDist: requirements(t, f.RequiresDist), ProvidesExtra: f.ProvidesExtra, RequiresPython: f.RequiresPython,
		},
	}
	for _, r := range requirements(t, f.Requires) {
		if r.Marker.Eval(tt.Env(), "") {
			r.Marker = nil
			in.BuildRequires = append(in.BuildRequires, r)
		}
	}
	for _, extra := range f.ProvidesExtra {
		if needs := spec.ExtraRequires(in.Metadata.RequiresDist, tt.Env(), extra); len(needs) > 0 && len(in.Extras) < 2 {
			in.Extras = append(in.Extras, spec.Extra{Name: extra, Requires: needs})
		}
	}
	return in
}
