package spec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"reqpm/internal/rpmname"
	"reqpm/internal/target"
)

// Said is what people say of one package beyond its facts (package override has the files). It is
// as hostile as everything else: names are checked, values are quoted for the shell with
// every "%" doubled, and nothing with a line break is written.
type Said struct {
	// Keys name what was said, for a comment in the spec.
	Keys []string
	// Env is exported to the build after Input.Env.
	Env map[string]string
	// Requires are RPM dependencies of the package. DropBuildRequires and DropRequires are names of
	// RPM dependencies that are left out; of Requires, also those that rpm's generators find.
	Requires                        []string
	DropBuildRequires, DropRequires []string
	// Strip is the number of leading folders to drop of the names in a patch, by its file
	// name; 1 where nothing is said.
	Strip map[string]int
	// ConfigSettings go to the build backend (PEP 517), by key.
	ConfigSettings map[string][]string
	// Bconds are rpm's build conditions. The specs written here know one: "check".
	Bconds map[string]bool
	// Commands are shell lines of %check. They find the interpreter in $PYTHON, and what was
	// built in $PYTHONPATH.
	Commands []string
}

var (
	envNameRE  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	keyRE      = regexp.MustCompile(`^[A-Za-z0-9._+-]+$`)
	bcondRE    = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	plainSetRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*=[A-Za-z0-9._+!:/@=,-]*$`)
)

// oneLine tells whether text can stand on one line of a spec, quoted.
func oneLine(text string) bool {
	return len(text) <= 4096 && utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// shellQuoted is text as one word of a shell line in a spec.
func shellQuoted(text string) string {
	return "'" + strings.ReplaceAll(escape(text), "'", `'\''`) + "'"
}

// check refuses what cannot be written.
func (s *Said) check() error {
	for name, value := range s.Env {
		if !envNameRE.MatchString(name) || len(name) > maxField || !oneLine(value) {
			return fmt.Errorf("build environment %.80q: only NAME=value on one line can be written", name+"="+value)
		}
	}
	for key, values := range s.ConfigSettings {
		if !keyRE.MatchString(key) || len(key) > maxField || slices.ContainsFunc(values, func(v string) bool { return !oneLine(v) }) {
			return fmt.Errorf("config setting %.80q cannot be written into a spec file", key)
		}
	}
	for name := range s.Bconds {
		if !bcondRE.MatchString(name) || len(name) > maxField {
			return fmt.Errorf("build condition %.80q cannot be written into a spec file", name)
		}
	}
	for _, c := range s.Commands {
		// rpm looks for its own lines after it expanded macros, so a doubled "%" would not help.
		if text := strings.TrimSpace(c); !oneLine(c) || text == "" || strings.HasPrefix(text, "%") || strings.HasSuffix(text, `\`) {
			return fmt.Errorf("check command %.80q cannot be written into a spec file", c)
		}
	}
	for _, d := range slices.Concat(s.Requires, s.DropBuildRequires, s.DropRequires) {
		if !rpmname.ValidDependency(d) {
			return fmt.Errorf("%.80q is not an RPM dependency", d)
		}
	}
	for _, key := range s.Keys {
		if !keyRE.MatchString(key) {
			return fmt.Errorf("key %.80q of an override cannot be written into a spec file", key)
		}
	}
	for name, strip := range s.Strip {
		if strip < 0 || strip > 100 {
			return fmt.Errorf("patch %.80q: %d folders cannot be dropped", name, strip)
		}
	}
	return nil
}

// settings are the config settings as KEY=VALUE, sorted by key.
func (s *Said) settings() []string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(s.ConfigSettings)) {
		for _, value := range s.ConfigSettings[key] {
			list = append(list, key+"="+value)
		}
	}
	return list
}

// needsDriver tells whether the %pyproject macros cannot pass the settings on: they take them apart
// at white space, and hand them to a pip that knows them since 22.1, which RHEL has from Python
// 3.11 on.
func (s *Said) needsDriver(t target.Target) bool {
	settings := s.settings()
	if len(settings) == 0 {
		return false
	}
	_, minor, _ := strings.Cut(t.Python.Minor(), ".")
	n, err := strconv.Atoi(minor)
	return err != nil || n < 11 || slices.ContainsFunc(settings, func(s string) bool { return !plainSetRE.MatchString(s) })
}

// macroSettings are the settings as options of a %pyproject macro; needsDriver has seen them.
func (s *Said) macroSettings() string {
	var b strings.Builder
	for _, setting := range s.settings() {
		b.WriteString(" -C " + setting)
	}
	return b.String()
}

// driverSettings are the settings as options of ReqPM's driver.
func (s *Said) driverSettings() string {
	var b strings.Builder
	for _, setting := range s.settings() {
		b.WriteString(" --config-setting=" + shellQuoted(setting))
	}
	return b.String()
}

// BcondLines define build conditions the way --with and --without do. They stand at the top of a spec. An
// error is a name that cannot be written.
func BcondLines(bconds map[string]bool) ([]string, error) {
	s := Said{Bconds: bconds}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s.bcondLines(), nil
}

func (s *Said) bcondLines() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s.Bconds)) {
		word := "without"
		if s.Bconds[name] {
			word = "with"
		}
		list = append(list, fmt.Sprintf("%%global _%s_%s --%s-%s", word, name, word, name))
	}
	return list
}

// said writes what stands at the top of the spec.
func (p *page) said() {
	s := &p.in.Said
	if len(s.Keys) > 0 {
		p.lines("# Changed by overrides: " + strings.Join(s.Keys, ", "))
	}
	p.lines(s.bcondLines()...)
	if len(s.Commands) > 0 {
		p.lines("%bcond_without check")
	}
}

// saidExports exports the environment that people ask for.
func (p *page) saidExports() {
	for _, name := range slices.Sorted(maps.Keys(p.in.Said.Env)) {
		p.lines("export " + name + "=" + shellQuoted(p.in.Said.Env[name]))
	}
}

// autosetup unpacks and patches; where patches differ in how they name files, it leaves them to
// applyPatches.
func (p *page) autosetup() string {
	strip := p.strip(0)
	if p.mixedStrips() {
		return "%autosetup -N"
	}
	return fmt.Sprintf("%%autosetup -p%d", strip)
}

// strip is that of the patch of a number.
func (p *page) strip(i int) int {
	if i < len(p.in.Patches) {
		if n, ok := p.in.Said.Strip[p.in.Patches[i]]; ok {
			return n
		}
	}
	return 1
}

func (p *page) mixedStrips() bool {
	for i := range p.in.Patches {
		if p.strip(i) != p.strip(0) {
			return true
		}
	}
	return false
}

// applyPatches applies each patch in its own way, where autosetup does not.
func (p *page) applyPatches() {
	if !p.mixedStrips() {
		return
	}
	for i := range p.in.Patches {
		p.lines(fmt.Sprintf("%%patch -P %d -p%d", i, p.strip(i)))
	}
}

// checks writes %check, where people ask for commands: nothing is run by itself, as the build root has
// nothing of what the package needs to run.
func (p *page) checks() {
	if len(p.in.Said.Commands) == 0 {
		return
	}
	py := p.t.Python
	p.lines("", "%check", "%if %{with check}",
		"export PYTHON="+py.Executable,
		"export PYTHONPATH=%{buildroot}"+py.Sitearch+":%{buildroot}"+py.Sitelib+" PYTHONDONTWRITEBYTECODE=1")
	for _, c := range p.in.Said.Commands {
		p.lines(escape(c))
	}
	p.lines("%endif")
}

// kept leaves out dependencies whose name is dropped.
func kept(list, dropped []string) []string {
	return slices.DeleteFunc(list, func(d string) bool {
		name, _, _ := strings.Cut(d, " ")
		return slices.Contains(dropped, name)
	})
}
