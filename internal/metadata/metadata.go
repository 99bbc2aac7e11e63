// Package metadata reads Python core metadata (METADATA, PKG-INFO; PEP 566, 643, 639).
// It is pure; everything it reads is hostile and bounded.
package metadata

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// Bounds in bytes. A longer file is refused; longer texts are cut, since they only inform.
const (
	maxFile    = 10 << 20
	maxSummary = 4 << 10
	maxText    = 64 << 10 // licence texts and every other single value
	maxEntries = 10_000   // of one repeatable field
)

// ErrInvalid is wrapped by every error of Parse.
var ErrInvalid = errors.New("not valid core metadata")

// Metadata is what ReqPM uses of a core metadata file. Texts are as written, unescaped;
// "UNKNOWN", which old setuptools wrote for nothing, reads as "".
type Metadata struct {
	MetadataVersion   string
	Name              string
	Version           pep440.Version
	Summary           string // one line, at most 4 kB
	HomePage          string
	ProjectURLs       []string // "label, URL" as written
	License           string   // may have several lines, at most 64 kB
	LicenseExpression string
	LicenseFiles      []string
	Classifiers       []string
	RequiresPython    string
	RequiresDist      []pep508.Requirement
	BadRequires       []string // Requires-Dist lines that do not parse, as written
	ProvidesExtra     []string // normalised
	Dynamic           []string // lower case field names (PEP 643)
}

// Parse reads the header part of data. Unknown fields and lines that are no header are
// ignored, and of a repeated single field the first counts; a missing or invalid Name
// or Version, or more than 10 MB, is an error. Errors wrap ErrInvalid.
func Parse(data []byte) (Metadata, error) {
	if len(data) > maxFile {
		return Metadata{}, fmt.Errorf("%w: %d bytes are more than %d", ErrInvalid, len(data), maxFile)
	}
	var m Metadata
	var version string
	for field, value := range headers(data) {
		m.set(field, value, &version)
	}
	if m.Name == "" {
		return Metadata{}, fmt.Errorf("%w: it has no Name", ErrInvalid)
	}
	if !validName(m.Name) {
		return Metadata{}, fmt.Errorf("%w: the Name %q is not a project name", ErrInvalid, clip(m.Name, 80))
	}
	if version == "" {
		return Metadata{}, fmt.Errorf("%w: %s has no Version", ErrInvalid, m.Name)
	}
	var err error
	if m.Version, err = pep440.Parse(version); err != nil {
		return Metadata{}, fmt.Errorf("%w: the Version of %s: %w", ErrInvalid, m.Name, err)
	}
	return m, nil
}

// set stores one header; field is lower case.
func (m *Metadata) set(field, value string, version *string) {
	switch field {
	case "metadata-version":
		first(&m.MetadataVersion, value)
	case "name":
		first(&m.Name, value)
	case "version":
		first(version, value)
	case "summary":
		first(&m.Summary, clip(known(oneLine(value)), maxSummary))
	case "home-page":
		first(&m.HomePage, known(oneLine(value)))
	case "license":
		first(&m.License, known(value))
	case "license-expression":
		first(&m.LicenseExpression, oneLine(value))
	case "requires-python":
		first(&m.RequiresPython, oneLine(value))
	case "project-url":
		add(&m.ProjectURLs, oneLine(value))
	case "license-file":
		add(&m.LicenseFiles, oneLine(value))
	case "classifier":
		add(&m.Classifiers, known(oneLine(value)))
	case "provides-extra":
		if extra := pep508.NormalizeName(oneLine(value)); !slices.Contains(m.ProvidesExtra, extra) {
			add(&m.ProvidesExtra, extra)
		}
	case "dynamic":
		add(&m.Dynamic, strings.ToLower(oneLine(value)))
	case "requires-dist":
		m.require(value)
	}
}

func (m *Metadata) require(value string) {
	r, err := pep508.Parse(oneLine(value))
	switch {
	case err != nil:
		add(&m.BadRequires, value)
	case len(m.RequiresDist) < maxEntries:
		m.RequiresDist = append(m.RequiresDist, r)
	}
}

// StaticDependencies tells whether Requires-Dist, Provides-Extra and
// Requires-Python of an sdist's PKG-INFO can be trusted without a build: metadata version 2.2
// or later and none of them Dynamic (PEP 643).
func (m Metadata) StaticDependencies() bool {
	if !atLeast(m.MetadataVersion, 2, 2) {
		return false
	}
	return !slices.ContainsFunc(m.Dynamic, func(field string) bool {
		return field == "requires-dist" || field == "provides-extra" || field == "requires-python"
	})
}

func atLeast(version string, major, minor int) bool {
	a, b, _ := strings.Cut(version, ".")
	x, errA := strconv.Atoi(a)
	y, errB := strconv.Atoi(b)
	return errA == nil && errB == nil && (x > major || x == major && y >= minor)
}

func first(to *string, value string) {
	if *to == "" {
		*to = value
	}
}

func add(to *[]string, value string) {
	if value != "" && len(*to) < maxEntries {
		*to = append(*to, value)
	}
}

func known(value string) string {
	if value == "UNKNOWN" {
		return ""
	}
	return value
}

// validName is the project name of PEP 508: letters, digits and ._- between them.
func validName(name string) bool {
	alnum := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	}
	for _, c := range []byte(name) {
		if !alnum(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return name != "" && alnum(name[0]) && alnum(name[len(name)-1])
}
