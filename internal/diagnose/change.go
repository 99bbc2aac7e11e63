package diagnose

import (
	"fmt"
	"regexp"
	"strings"

	"reqpm/internal/pep508"
)

// Action is a kind of change to the build of one package.
type Action string

// What can be changed. Value says with what.
const (
	AddRequirement  Action = "add-build-requirement"  // a requirement (PEP 508) on a Python project
	DropRequirement Action = "drop-build-requirement" // the name of a Python project
	Constrain       Action = "build-constraint"       // a requirement that restricts a build tool
	AddNative       Action = "native-need"            // KIND:NAME, see Need
	SetEnv          Action = "env"                    // NAME=value
	DropHook        Action = "drop-build-hook"        // name of a hatchling build hook
	SkipImport      Action = "skip-import"            // a module that is not imported to check it
	SkipTests       Action = "skip-tests"
	DefineMacro     Action = "macro" // NAME value, of rpm
)

// Change is one change.
type Change struct {
	Do    Action `json:"do"`
	Value string `json:"value,omitempty"`
}

// NeedKind is how something native is named where it is missed.
type NeedKind string

// Native needs.
const (
	Header    NeedKind = "header"    // libxml/xpath.h
	Library   NeedKind = "library"   // xml2, of -lxml2
	Program   NeedKind = "program"   // pg_config
	PkgConfig NeedKind = "pkgconfig" // libxml-2.0
	CMakeName NeedKind = "cmake"     // LibXml2
)

// Need takes an AddNative's value apart.
func (c Change) Need() (kind NeedKind, name string) {
	k, name, _ := strings.Cut(c.Value, ":")
	return NeedKind(k), name
}

func need(kind NeedKind, name string) Change { return Change{AddNative, string(kind) + ":" + name} }

// String says a change in words.
func (c Change) String() string {
	switch c.Do {
	case AddRequirement:
		return "build requirement " + c.Value
	case DropRequirement:
		return "without build requirement " + c.Value
	case Constrain:
		return "build tool " + c.Value
	case AddNative:
		kind, name := c.Need()
		return string(kind) + " " + name
	case SetEnv:
		return "environment " + c.Value
	case DropHook:
		return "without build hook " + c.Value
	case SkipImport:
		return "import of " + c.Value + " not checked"
	case SkipTests:
		return "tests not run"
	case DefineMacro:
		return "macro " + c.Value
	}
	return fmt.Sprintf("%s %s", c.Do, c.Value)
}

// What a value may look like. These are narrower than what rpm, a shell or TOML would take.
var (
	projectName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$`)
	headerName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*){0,6}\.(h|hh|hpp|hxx|inc)$`)
	nativeName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$`)
	envSetting  = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,79}=[A-Za-z0-9 ._+:/=-]{0,199}$`)
	moduleName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}(\.[A-Za-z_][A-Za-z0-9_]{0,99}){0,9}$`)
	macroValue  = regexp.MustCompile(`^_?[a-z][a-z0-9_]{1,79} [0-9]$`)
)

// Valid tells whether a change can be meant: a value that is no plain name of its kind comes
// from a log that was written to do harm, or was misread.
func (c Change) Valid() bool {
	switch c.Do {
	case AddRequirement, Constrain:
		r, err := pep508.Parse(c.Value)
		return err == nil && r.URL == "" && len(c.Value) < 200 && projectName.MatchString(r.Name) &&
			(c.Do == AddRequirement || !r.Specifiers.IsEmpty())
	case DropRequirement, DropHook:
		return projectName.MatchString(c.Value)
	case AddNative:
		kind, name := c.Need()
		switch kind {
		case Header:
			return headerName.MatchString(name) && len(name) < 200
		case Library, Program, PkgConfig, CMakeName:
			return nativeName.MatchString(name)
		}
		return false
	case SetEnv:
		return envSetting.MatchString(c.Value)
	case SkipImport:
		return moduleName.MatchString(c.Value)
	case SkipTests:
		return c.Value == ""
	case DefineMacro:
		return macroValue.MatchString(c.Value)
	}
	return false
}
