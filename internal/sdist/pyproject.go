package sdist

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// LegacyBackend is what builds a tree without a build-backend (PEP 517).
const LegacyBackend = "setuptools.build_meta:__legacy__"

// PyprojectError is a pyproject.toml that cannot be used.
type PyprojectError struct {
	File   string // path inside the archive's top directory
	Line   int    // 1-based; 0 when unknown
	Reason string
}

func (e *PyprojectError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
	}
	return fmt.Sprintf("%s: %s", e.File, e.Reason)
}

// pyproject is what this package uses of a pyproject.toml; data is nil when there is none.
type pyproject struct {
	data        []byte
	BuildSystem *buildSystem   `toml:"build-system"`
	Project     map[string]any `toml:"project"`
	Tool        map[string]any `toml:"tool"`
}

type buildSystem struct {
	Requires     *[]string `toml:"requires"`
	BuildBackend string    `toml:"build-backend"`
	BackendPath  []string  `toml:"backend-path"`
}

func (t tree) readPyproject() (pyproject, error) {
	const name = "pyproject.toml"
	var p pyproject
	data, err := t.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, &PyprojectError{File: name, Reason: err.Error()}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := toml.Unmarshal(data, &p); err != nil {
		broken := &PyprojectError{File: name, Reason: err.Error()}
		if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
			broken.Line, _ = decode.Position()
		}
		return p, broken
	}
	p.data = data
	return p, nil
}

// applyPyproject fills in what builds the project, by the rules of PEP 517 and 518.
func (f *Facts) applyPyproject(p pyproject) error {
	f.HasPyproject, f.ProjectTable = p.data != nil, p.Project != nil
	f.Backend = LegacyBackend
	texts := []string{"setuptools>=40.8.0"}
	if p.BuildSystem != nil {
		f.HasBuildSystem = true
		if p.BuildSystem.Requires == nil {
			return p.broken("[build-system]", "[build-system] has no requires, which PEP 518 demands")
		}
		texts = *p.BuildSystem.Requires
		if p.BuildSystem.BuildBackend != "" {
			f.Backend = p.BuildSystem.BuildBackend
		}
		f.BackendPath = p.BuildSystem.BackendPath
	}
	for _, text := range texts {
		r, err := pep508.Parse(text)
		if err != nil {
			return p.broken(text, fmt.Sprintf("[build-system] requires %q: %v", text, err))
		}
		f.Requires = append(f.Requires, r)
	}
	return f.addWheel()
}

// addWheel adds the wheel package where the setuptools asked for is too old to make
// wheels by itself (before 70.1).
func (f *Facts) addWheel() error {
	if !strings.HasPrefix(f.Backend, "setuptools.") {
		return nil
	}
	capped := slices.ContainsFunc(f.Requires, func(r pep508.Requirement) bool {
		return r.Key() == "setuptools" && cappedBelow(r.Specifiers, "70.1")
	})
	if !capped || slices.ContainsFunc(f.Requires, func(r pep508.Requirement) bool { return r.Key() == "wheel" }) {
		return nil
	}
	wheel, err := pep508.Parse("wheel")
	if err != nil {
		return err
	}
	f.Requires = append(f.Requires, wheel)
	return nil
}

// cappedBelow tells whether a clause shuts out bound and everything after it.
func cappedBelow(s pep440.Specifiers, bound string) bool {
	limit, err := pep440.Parse(bound)
	if err != nil {
		return false
	}
	for _, c := range s.Clauses() {
		v, err := pep440.Parse(strings.TrimSuffix(c.Version, ".*"))
		if err != nil {
			continue
		}
		order := v.Compare(limit)
		switch c.Op {
		case "<":
			if order <= 0 {
				return true
			}
		case "<=", "==", "===", "~=":
			if order < 0 {
				return true
			}
		}
	}
	return false
}

// broken makes the error for the line that holds needle.
func (p pyproject) broken(needle, reason string) *PyprojectError {
	e := &PyprojectError{File: "pyproject.toml", Reason: reason}
	if i := bytes.Index(p.data, []byte(needle)); i >= 0 {
		e.Line = 1 + bytes.Count(p.data[:i], []byte("\n"))
	}
	return e
}

// tool returns the value at the dotted place below [tool], or nil.
func (p pyproject) tool(keys ...string) any {
	var at any = p.Tool
	for _, key := range keys {
		table, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = table[key]
	}
	return at
}
