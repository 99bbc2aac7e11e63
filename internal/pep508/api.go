package pep508

import (
	"errors"

	"reqpm/internal/pep440"
)

// Requirement is one parsed PEP 508 dependency specifier.
type Requirement struct {
	Name       string            // as written
	Extras     []string          // normalised by PEP 685, sorted, unique
	Specifiers pep440.Specifiers // empty when URL is set
	URL        string            // "name @ URL", else ""
	Marker     *Marker           // nil when there is none
}

// Key is the PEP 503 form of the name: what two requirements are compared by.
func (r Requirement) Key() string { return NormalizeName(r.Name) }

// String is the normal form, usable as input again.
func (r Requirement) String() string { return "" }

// Parse reads one requirement.
func Parse(s string) (Requirement, error) {
	return Requirement{}, errors.New("pep508: not written yet")
}

// NormalizeName is PEP 503: runs of -_. become one -, letters lower case.
func NormalizeName(name string) string { return name }

// Environment holds the marker variables of a target (PEP 508 names).
type Environment struct {
	ImplementationName           string // cpython
	ImplementationVersion        string // 3.12.4
	OSName                       string // posix
	PlatformMachine              string // x86_64
	PlatformRelease              string
	PlatformSystem               string // Linux
	PlatformVersion              string
	PythonFullVersion            string // 3.12.4
	PlatformPythonImplementation string // CPython
	PythonVersion                string // 3.12
	SysPlatform                  string // linux
}

// Linux returns the environment of CPython on Linux; pythonFull is e.g. "3.11.2".
func Linux(pythonFull, machine string) Environment { return Environment{} }

// Marker is a parsed environment marker.
type Marker struct{ text string }

// ParseMarker reads a marker without the leading semicolon.
func ParseMarker(s string) (*Marker, error) { return nil, errors.New("pep508: not written yet") }

// Eval evaluates m. extra is the one extra being asked for, "" for none.
// A nil marker is true.
func (m *Marker) Eval(env Environment, extra string) bool { return true }

// EvalAny is true when m holds with no extra or with one of extras.
func (m *Marker) EvalAny(env Environment, extras []string) bool { return true }

// String is the reference's normal form.
func (m *Marker) String() string { return m.text }
