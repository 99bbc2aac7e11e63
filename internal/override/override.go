// Package override holds what people say about packages that facts cannot tell: it reads their
// files, lays them over each other, checks every value, and writes what was learned.
//
// It is pure: files come through an fs.FS, and nothing is asked of the network. What it lets
// through has no line breaks and no control characters, and names fit the patterns of what they
// name; whoever writes values into a spec still escapes them.
package override

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"reqpm/internal/pep508"
	"reqpm/internal/rpmname"
)

// Override is what one table says about one package. The zero value of a field says nothing
// about it. See docs/overrides.md for the keys.
type Override struct {
	// Version are the specifiers (PEP 440) that every choice of a version keeps to, in the set as
	// in build roots.
	Version string
	// BuildRequires are added to what the build needs, and Requires to what the package needs to
	// run. What has a name in a Drop list is taken out first: of what the package itself says,
	// and of what less specific layers add.
	BuildRequires, DropBuildRequires []Dependency
	Requires, DropRequires           []Dependency
	// Env is the environment of the build and of the questions to its backend.
	Env     map[string]string
	Patches []Patch
	// ConfigSettings are those of PEP 517, by key; a key given several times has several values.
	ConfigSettings map[string][]string
	// Bconds are rpm's build conditions, as --with and --without set them.
	Bconds map[string]bool
	Checks Checks
	// Wheel: may be packaged from a wheel in place of a build. AllowPure: may come out without the
	// compiled parts that its wheels have. nil: nothing is said.
	Wheel, AllowPure *bool
	// Spec is a spec file of the user's own, used as it is; nil: ReqPM writes one.
	Spec *File
	// SpecVersion is the one version (PEP 440) that Spec is for; "": for every one. Files have no key for it: programs say
	// it, that keep a spec file by version.
	SpecVersion string
	// Memory bounds the build, in bytes; 0: no bound is said.
	Memory int64

	at map[string]Position
}

// File is a file that an override names, read.
type File struct {
	Name   string // base name: what it is called beside the spec
	Path   string // as the override names it: relative to the file that it stands in
	Text   []byte
	SHA256 string // lower case hex
}

// Patch is one change of the sources, applied with "patch -pStrip".
type Patch struct {
	File
	Strip    int
	Versions string // specifiers (PEP 440) of the versions it is for; "": all
}

// Checks says what is checked of a package.
type Checks struct {
	// Skip leaves out the import and the commands. nil: nothing is said.
	Skip *bool
	// Import false leaves out the import by the proof. nil: nothing is said.
	Import *bool
	// Modules are imported by the proof in place of the package's top-level modules.
	Modules []string
	// Commands are shell lines of %check.
	Commands []string
}

// Position is where something was said. File is a path as messages show it, or a flag, with Line 0.
type Position struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
}

// String is "file:line".
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Dependency is one requirement: of a Python project, or an RPM dependency.
type Dependency struct {
	RPM    string // "libxml2-devel >= 2.9"; "" for a Python requirement
	Python pep508.Requirement
}

// Prefixes that say which language a dependency is in.
const (
	rpmPrefix    = "rpm:"
	pythonPrefix = "py:"
)

// ParseDependency reads "cython<3" or "py:cython<3" (PEP 508) and "rpm:libxml2-devel >= 2.9". A
// path ("/usr/bin/swig") and a name with parentheses ("pkgconfig(libpq)") need no prefix.
func ParseDependency(text string) (Dependency, error) {
	text = strings.TrimSpace(text)
	rest, isRPM := strings.CutPrefix(text, rpmPrefix)
	if !isRPM {
		name, _, _ := strings.Cut(text, " ")
		isRPM = strings.HasPrefix(text, "/") || strings.HasSuffix(name, ")") && rpmname.Valid(name)
	}
	if isRPM {
		rest = strings.Join(strings.Fields(rest), " ")
		if !rpmname.ValidDependency(rest) {
			return Dependency{}, fmt.Errorf("%.100q is not an RPM dependency such as \"libxml2-devel\" or \"gcc >= 11\"", rest)
		}
		return Dependency{RPM: rest}, nil
	}
	rest, said := strings.CutPrefix(text, pythonPrefix)
	r, err := pep508.Parse(rest)
	if err != nil {
		return Dependency{}, fmt.Errorf("%.100q is no requirement: %w", rest, err)
	}
	if !said && (strings.HasSuffix(r.Name, "-devel") || strings.HasSuffix(r.Name, "-static")) {
		return Dependency{}, fmt.Errorf("%q looks like an RPM: write %q, or %q if a Python project is meant", text, rpmPrefix+text, pythonPrefix+text)
	}
	if r.URL != "" {
		return Dependency{}, fmt.Errorf("%.100q: an address cannot be required here", rest)
	}
	return Dependency{Python: r}, nil
}

// Key names what is required, whatever its version: a PEP 503 name, or "rpm:NAME". Drop lists
// compare by it.
func (d Dependency) Key() string {
	if d.RPM != "" {
		name, _, _ := strings.Cut(d.RPM, " ")
		return rpmPrefix + name
	}
	return d.Python.Key()
}

// String is the form that ParseDependency reads.
func (d Dependency) String() string {
	if d.RPM != "" {
		return rpmPrefix + d.RPM
	}
	if text := d.Python.String(); !strings.HasSuffix(d.Python.Name, "-devel") && !strings.HasSuffix(d.Python.Name, "-static") {
		return text
	}
	return pythonPrefix + d.Python.String()
}

// Entry is one thing that an override says, for showing.
type Entry struct {
	Key  string `json:"key"`  // "version", "env.LANG", "build-requires"
	Text string `json:"text"` // the value, shortened
	Position
}

// Entries are everything that o says, in a fixed order. Where is as in the files it was read from;
// what was said by a program has no file.
func (o *Override) Entries() []Entry {
	var list []Entry
	add := func(key, text string) {
		list = append(list, Entry{Key: entryKey(key), Text: text, Position: o.at[key]})
	}
	if o.Version != "" {
		add("version", o.Version)
	}
	o.eachList(func(key string, deps []Dependency) {
		for _, d := range deps {
			add(key+" "+d.String(), d.String())
		}
	})
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		add("env."+name, o.Env[name])
	}
	for _, p := range o.Patches {
		add("patches "+p.Name, p.Path)
	}
	for _, key := range slices.Sorted(maps.Keys(o.ConfigSettings)) {
		add("config-settings."+key, strings.Join(o.ConfigSettings[key], " "))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Bconds)) {
		add("bconds."+name, strconv.FormatBool(o.Bconds[name]))
	}
	for _, b := range o.flags() {
		if *b.to != nil {
			add(b.key, strconv.FormatBool(**b.to))
		}
	}
	if o.Checks.Modules != nil {
		add("checks.modules", strings.Join(o.Checks.Modules, " "))
	}
	for _, c := range o.Checks.Commands {
		add("checks.commands "+c, c)
	}
	if o.Spec != nil {
		add("spec", o.Spec.Path)
	}
	if o.Memory > 0 {
		add("memory", FormatBytes(o.Memory))
	}
	return list
}

// entryKey is a key of Override.at without the value that tells list items apart.
func entryKey(key string) string {
	key, _, _ = strings.Cut(key, " ")
	return key
}

// eachList visits the four lists of dependencies with their keys.
func (o *Override) eachList(visit func(key string, deps []Dependency)) {
	visit("build-requires", o.BuildRequires)
	visit("drop-build-requires", o.DropBuildRequires)
	visit("requires", o.Requires)
	visit("drop-requires", o.DropRequires)
}

// flag is a truth value of an override and its key.
type flag struct {
	key string
	to  **bool
}

func (o *Override) flags() []flag {
	return []flag{
		{"wheel", &o.Wheel}, {"allow-pure", &o.AllowPure}, {"checks.skip", &o.Checks.Skip}, {"checks.import", &o.Checks.Import},
	}
}

// IsZero tells whether o says nothing.
func (o *Override) IsZero() bool { return len(o.Entries()) == 0 }

// is tells whether a truth value was said to be true.
func is(b *bool) bool { return b != nil && *b }

// AllowsWheel tells whether the package may be made of a wheel.
func (o *Override) AllowsWheel() bool { return is(o.Wheel) }

// AllowsPure tells whether the package may come without its compiled parts.
func (o *Override) AllowsPure() bool { return is(o.AllowPure) }

// Imports tells whether the proof imports the package.
func (o *Override) Imports() bool {
	return !is(o.Checks.Skip) && (o.Checks.Import == nil || *o.Checks.Import)
}

// Commands are the lines of %check, none where checks are skipped.
func (o *Override) Commands() []string {
	if is(o.Checks.Skip) {
		return nil
	}
	return o.Checks.Commands
}

// split takes a list of dependencies apart.
func split(deps []Dependency) (python []pep508.Requirement, rpm []string) {
	for _, d := range deps {
		if d.RPM != "" {
			rpm = append(rpm, d.RPM)
		} else {
			python = append(python, d.Python)
		}
	}
	return python, rpm
}

// AddedBuild are the added build requirements, by language.
func (o *Override) AddedBuild() (python []pep508.Requirement, rpm []string) {
	return split(o.BuildRequires)
}

// Added are the added run-time requirements, by language.
func (o *Override) Added() (python []pep508.Requirement, rpm []string) { return split(o.Requires) }

// Drops tells whether a list of DropBuildRequires or DropRequires names a Python project (PEP 503).
func Drops(list []Dependency, project string) bool {
	return slices.ContainsFunc(list, func(d Dependency) bool { return d.RPM == "" && d.Python.Key() == project })
}

// DropsRPM are the RPM names of a list of DropBuildRequires or DropRequires.
func DropsRPM(list []Dependency) []string {
	_, rpm := split(list)
	return rpm
}

// units of memory, largest first.
var units = []struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// FormatBytes writes a size as ParseBytes reads it.
func FormatBytes(n int64) string {
	for _, u := range units {
		if n > 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// ParseBytes reads "4GiB", "512MiB" or a number of bytes; "G", "GB" and lower case are taken for GiB.
func ParseBytes(text string) (int64, error) {
	size := int64(1)
	number := strings.TrimSpace(text)
	for _, u := range units {
		for _, name := range []string{u.name, u.name[:1] + "B", u.name[:1]} {
			if rest, ok := cutSuffixFold(number, name); ok && size == 1 {
				number, size = strings.TrimSpace(rest), u.size
			}
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > (1<<62)/size {
		return 0, fmt.Errorf("%.50q is no size such as \"4GiB\" or \"512MiB\"", text)
	}
	return n * size, nil
}

func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}

// ChangesBuild tells whether o makes the package another one than its authors' as ReqPM would build it, so
// that no other build of it can stand for it.
func (o *Override) ChangesBuild() bool {
	return len(o.BuildRequires)+len(o.DropBuildRequires)+len(o.Requires)+len(o.DropRequires)+len(o.Env)+
		len(o.Patches)+len(o.ConfigSettings)+len(o.Bconds) > 0 || o.Spec != nil
}
