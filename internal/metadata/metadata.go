// Package metadata reads Python core metadata (METADATA, PKG-INFO; PEP 566, 643, 639).
// It is pure; everything it reads is hostile and bounded.
package metadata

import (
	"errors"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// Metadata is what ReqPM uses of a core metadata file. Texts are as written, unescaped.
type Metadata struct {
	MetadataVersion   string
	Name              string
	Version           pep440.Version
	Summary           string
	HomePage          string
	ProjectURLs       []string // "label, URL" as written
	License           string
	LicenseExpression string
	LicenseFiles      []string
	Classifiers       []string
	RequiresPython    string
	RequiresDist      []pep508.Requirement
	BadRequires       []string // Requires-Dist lines that do not parse, as written
	ProvidesExtra     []string // normalised
	Dynamic           []string // lower case field names (PEP 643)
}

// Parse reads the header part of data. Unknown fields are ignored; a missing
// Name or Version, or more than 10 MB, is an error.
func Parse(data []byte) (Metadata, error) {
	return Metadata{}, errors.New("metadata: not written yet")
}

// StaticDependencies tells whether Requires-Dist, Provides-Extra and
// Requires-Python of an sdist's PKG-INFO can be trusted without a build: metadata version 2.2
// or later and none of them Dynamic (PEP 643).
func (m Metadata) StaticDependencies() bool { return false }
