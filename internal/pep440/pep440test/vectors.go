// Package pep440test reads recorded results of the reference implementation
// (pypa/packaging) for the tests of pep440 and pep508.
package pep440test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Vectors is one file of results; its own note explains the fields.
type Vectors struct {
	Note         string            `json:"note"`
	Versions     []string          `json:"versions"`
	Cmp          []string          `json:"cmp"`
	Norm         [][2]string       `json:"norm"`
	Invalid      []string          `json:"invalid"`
	InvalidSpecs []string          `json:"invalid_specs"`
	Spec         [][4]any          `json:"spec"` // set, version, contains, contains without pre-releases
	Env          map[string]string `json:"env"`
	Markers      [][3]any          `json:"markers"` // marker, extra, result; null where the reference raises
	Reqs         [][6]any          `json:"reqs"`    // requirement, name, extras, specifier, url, marker
	BadReqs      []string          `json:"bad_reqs"`
}

// Load reads the project's vectors, or in their place the file that the environment
// variable REQPM_VECTORS names.
func Load(t testing.TB) Vectors {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "python-packaging.json.gz")
	if other := os.Getenv("REQPM_VECTORS"); other != "" {
		path = other
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var v Vectors
	if err := json.NewDecoder(z).Decode(&v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// Tally counts checks. Only the first failures are printed in full.
type Tally struct{ checked, wrong int }

// Check records one check and reports it when it failed.
func (c *Tally) Check(t testing.TB, ok bool, format string, args ...any) {
	t.Helper()
	const shown = 40
	c.checked++
	if ok {
		return
	}
	if c.wrong++; c.wrong <= shown {
		t.Errorf(format, args...)
	}
}

// Report logs the sum, and fails when anything was wrong or nothing was checked.
func (c *Tally) Report(t testing.TB) {
	t.Helper()
	t.Logf("%d checked, %d wrong", c.checked, c.wrong)
	if c.wrong > 0 || c.checked == 0 {
		t.Fail()
	}
}

// Truth reads a JSON 0, 1, true or false.
func Truth(x any) bool { return x == true || x == 1.0 }
