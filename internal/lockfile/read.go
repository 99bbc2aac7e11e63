package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// maxFile bounds a lock in bytes: a lock of 1,500 packages for ten targets has about 10 MB.
const maxFile = 100 << 20

// Error is a lock that cannot be read. Line is 0 where it is about the file as a whole.
type Error struct {
	Line int
	Err  error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Parse reads a lock: every key is known, every name and version in its normal form, every hash
// whole, nothing there twice. All errors are *Error.
func Parse(data []byte) (File, error) {
	var f File
	if len(data) > maxFile {
		return f, &Error{Err: fmt.Errorf("%d bytes are more than a lock may have (%d)", len(data), maxFile)}
	}
	// The format goes first: a newer one has keys that this program does not know.
	var version struct {
		Format int `toml:"format"`
	}
	if err := toml.Unmarshal(data, &version); err != nil {
		return f, syntaxError(err)
	}
	if version.Format != Format {
		return f, &Error{lineOf(data, "", 0, "format"), fmt.Errorf("format %d; this program reads format %d: make the lock again with 'reqpm lock'", version.Format, Format)}
	}
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&f); err != nil {
		return File{}, syntaxError(err)
	}
	if err := check(data, f); err != nil {
		return File{}, err
	}
	return f.sorted(), nil
}

func syntaxError(err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return &Error{row, fmt.Errorf("unknown key %s", strings.Join(strict.Errors[0].Key(), "."))}
	}
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, _ := at.Position()
		return &Error{row, fmt.Errorf("invalid TOML: %w", err)}
	}
	return &Error{Err: fmt.Errorf("invalid TOML: %w", err)}
}

// checker looks at every value and remembers the first that is wrong.
type checker struct {
	data   []byte
	header string // of the table looked at, and which one of that header
	nth    int
	err    error
}

func check(data []byte, f File) error {
	c := &checker{data: data}
	c.at("[inputs]", 0)
	for _, in := range f.Inputs.Files {
		c.want("files", in.Path != "", "a file without path")
		c.want("files", digest(in.SHA256), "%s: sha256 %q is not 64 lower-case hexadecimal digits", in.Path, in.SHA256)
	}
	c.unique("files", texts(f.Inputs.Files, func(in Input) string { return in.Path }))
	if p := f.Inputs.Project; p != nil {
		c.at("[inputs.project]", 0)
		c.name(p.Name)
	}
	c.at("[options]", 0)
	for key := range f.Options {
		c.want(key, optionRE.MatchString(key), "%q is no option", key)
	}
	packages, tools, roots := 0, 0, 0
	for i, t := range f.Targets {
		c.at("[[target]]", i)
		c.want("name", t.Name != "", "a target without name")
		c.want("python", version(t.Python), "python %q is not a normalised version", t.Python)
		c.unique("name", texts(f.Targets[:i+1], func(t Target) string { return t.Name }))
		seen, known := map[string]bool{}, map[string]bool{} // by name, and by name and version
		for _, p := range t.Packages {
			c.at("[[target.package]]", packages)
			c.pkg(p)
			c.want("name", !seen[p.Name], "%s is there twice for target %s", p.Name, t.Name)
			seen[p.Name], known[p.ID()] = true, true
			packages++
		}
		for _, p := range t.Tools {
			c.at("[[target.tool]]", tools)
			c.pkg(p)
			c.want("name", !known[p.ID()], "%s is there twice for target %s", p.ID(), t.Name)
			known[p.ID()] = true
			tools++
		}
		seen = map[string]bool{}
		for _, r := range t.BuildRoots {
			c.at("[[target.build-root]]", roots)
			c.want("requires", !seen[r.key()], "these requirements are there twice for target %s", t.Name)
			seen[r.key()] = true
			for _, id := range r.Packages {
				c.want("packages", known[id], "%q is no package and no tool of target %s", id, t.Name)
			}
			roots++
		}
	}
	return c.err
}

func (c *checker) at(header string, nth int) { c.header, c.nth = header, nth }

func (c *checker) want(key string, ok bool, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = &Error{lineOf(c.data, c.header, c.nth, key), fmt.Errorf(format, args...)}
	}
}

// unique wants the last of the names to be new, or all to differ.
func (c *checker) unique(key string, names []string) {
	seen := map[string]bool{}
	for _, n := range names {
		c.want(key, !seen[n], "%s is there twice", n)
		seen[n] = true
	}
}

func (c *checker) name(name string) {
	c.want("name", nameRE.MatchString(name) && pep508.NormalizeName(name) == name, "%q is not a normalised project name (PEP 503)", name)
}

func (c *checker) pkg(p Package) {
	c.name(p.Name)
	c.want("version", version(p.Version), "version %q of %s is not a normalised version (PEP 440)", p.Version, p.Name)
	c.want("decision", slices.Contains([]Decision{Build, Reuse, AllowWheel, NoSource}, p.Decision), "decision %q of %s is none of: build, reuse-from-distribution, allow-wheel, no-source", p.Decision, p.Name)
	a := p.Artifact
	c.want("artifact", a.Filename != "" && !strings.ContainsAny(a.Filename, "/\x00") && a.Filename != "." && a.Filename != "..", "filename %q of %s is no file name", a.Filename, p.Name)
	c.want("artifact", slices.Contains([]string{"sdist", "wheel", "rpm"}, a.Kind), "kind %q of %s is none of: sdist, wheel, rpm", a.Kind, p.Name)
	// An RPM of the distribution is signed and named by its repository: it has no hash here.
	c.want("artifact", digest(a.SHA256) || a.Kind == "rpm" && a.SHA256 == "", "sha256 %q of %s is not 64 lower-case hexadecimal digits", a.SHA256, p.Name)
	c.want("required-by", len(p.RequiredBy) > 0, "nobody requires %s", p.Name)
	for _, e := range p.RequiredBy {
		c.want("required-by", slices.Contains([]string{"toplevel", "install", "build-system", "build-backend", "build-sdist"}, e.Kind), "edge %q of %s is none of: toplevel, install, build-system, build-backend, build-sdist", e.Kind, p.Name)
		c.want("required-by", e.Requirement != "", "an edge to %s has no requirement", p.Name)
		c.want("required-by", e.From != "" || e.Kind == "toplevel", "an edge to %s does not say who requires it", p.Name)
		c.want("required-by", e.Line >= 0, "line %d", e.Line)
	}
}

// ID is "name version".
func (p Package) ID() string { return p.Name + " " + p.Version }

func (r BuildRoot) key() string { return strings.Join(r.Requires, "\n") }

var (
	nameRE   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	optionRE = regexp.MustCompile(`^[a-z][a-z-]*$`)
	digestRE = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func digest(s string) bool { return digestRE.MatchString(s) }

func version(s string) bool {
	v, err := pep440.Parse(s)
	return err == nil && v.String() == s
}

// lineOf finds the line of a key in the nth table with a header, as Marshal writes them: one
// key a line. It is the header's line when the key is absent, 0 when there is neither.
func lineOf(data []byte, header string, nth int, key string) int {
	head, n := 0, 0
	found := header == ""
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimSpace(string(line))
		switch {
		case !found && text == header:
			if nth == 0 {
				found, head = true, n
			}
			nth--
		case found && isKey(text, key):
			return n
		case found && strings.HasPrefix(text, "[") && !strings.Contains(text, "="):
			return head // the next table
		}
	}
	return head
}

func isKey(text, key string) bool {
	rest, ok := strings.CutPrefix(text, key)
	return ok && strings.HasPrefix(strings.TrimSpace(rest), "=")
}
