package override

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"

	"reqpm/internal/pep440"
	"reqpm/internal/tomltree"
)

// decoder reads one table about one package into an Override.
type decoder struct {
	*context
	o   *Override
	any bool // it is about all packages
}

// What values may be. None has a line break in it: a spec is read line by line.
var (
	envRE     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,199}$`)
	settingRE = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,200}$`)
	bcondRE   = regexp.MustCompile(`^[A-Za-z0-9_]{1,100}$`)
	moduleRE  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	fileRE    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+!~-]{0,199}$`)
)

const (
	maxText = 4096 // bytes of a value
	maxList = 1000
)

// keys are all there are, each with its reader.
var keys = map[string]func(d *decoder, n *tomltree.Node){
	"version":             (*decoder).version,
	"build-requires":      func(d *decoder, n *tomltree.Node) { d.dependencies("build-requires", n, &d.o.BuildRequires) },
	"drop-build-requires": func(d *decoder, n *tomltree.Node) { d.dependencies("drop-build-requires", n, &d.o.DropBuildRequires) },
	"requires":            func(d *decoder, n *tomltree.Node) { d.dependencies("requires", n, &d.o.Requires) },
	"drop-requires":       func(d *decoder, n *tomltree.Node) { d.dependencies("drop-requires", n, &d.o.DropRequires) },
	"env":                 (*decoder).env,
	"patches":             (*decoder).patches,
	"config-settings":     (*decoder).settings,
	"bconds":              (*decoder).bconds,
	"checks":              (*decoder).checks,
	"wheel":               func(d *decoder, n *tomltree.Node) { d.truth("wheel", n, &d.o.Wheel) },
	"allow-pure":          func(d *decoder, n *tomltree.Node) { d.truth("allow-pure", n, &d.o.AllowPure) },
	"spec":                (*decoder).spec,
	"memory":              (*decoder).memory,
}

// Keys are the keys of an override, sorted.
func Keys() []string { return slices.Sorted(maps.Keys(keys)) }

// notForAll are keys that make sense for one package only.
var notForAll = []string{"version", "patches", "spec"}

func (d *decoder) table(n *tomltree.Node, more []string) {
	for _, key := range n.Keys {
		read, ok := keys[key]
		switch {
		case slices.Contains(more, key):
		case !ok:
			d.unknown(n.Table[key], key, key, append(Keys(), more...))
		case d.any && slices.Contains(notForAll, key):
			d.bad(n.Table[key], key, "cannot be said of all packages")
		default:
			read(d, n.Table[key])
		}
	}
	d.together(n)
}

// together warns of what has no effect beside something else.
func (d *decoder) together(n *tomltree.Node) {
	if d.o.Spec == nil {
		return
	}
	for _, key := range []string{"build-requires", "requires", "drop-requires", "env", "config-settings"} {
		if v := n.Get(key); v != nil {
			d.problem(Warning, d.file, v.Line, "%s: a spec of your own is used as it is: this is not written into it", key)
		}
	}
	if len(d.o.Checks.Commands) > 0 {
		d.problem(Warning, d.file, n.Get("checks").Line, "checks.commands: a spec of your own is used as it is: they are not written into it")
	}
}

// str reads a string of one printable line.
func (d *decoder) str(key string, n *tomltree.Node) (string, bool) {
	switch {
	case n.IsString():
	case n.Kind == unstable.Bool || n.Kind == unstable.Integer || n.Kind == unstable.Float:
		d.bad(n, key, "must be a string: write \"%s\"", n.Text)
		return "", false
	default:
		d.bad(n, key, "must be a string")
		return "", false
	}
	if len(n.Text) > maxText {
		d.bad(n, key, "has more than %d bytes", maxText)
		return "", false
	}
	if !utf8.ValidString(n.Text) || strings.IndexFunc(n.Text, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		d.bad(n, key, "%.100q holds a line break or another character that is not printable", n.Text)
		return "", false
	}
	return n.Text, true
}

// each visits the strings of an array.
func (d *decoder) each(key string, n *tomltree.Node, visit func(text string, n *tomltree.Node)) {
	if !n.IsArray() {
		d.bad(n, key, "must be a list of strings")
		return
	}
	if len(n.Items) > maxList {
		d.bad(n, key, "has more than %d values", maxList)
		return
	}
	for _, item := range n.Items {
		if item.Line == 0 {
			item.Line = n.Line
		}
		if text, ok := d.str(key, item); ok {
			visit(text, item)
		}
	}
}

// pairs visits the values of a table whose names fit a pattern.
func (d *decoder) pairs(key string, n *tomltree.Node, names *regexp.Regexp, visit func(name string, n *tomltree.Node)) {
	if !n.IsTable() {
		d.bad(n, key, "must be a table: [%s]", key)
		return
	}
	for _, name := range n.Keys {
		if !names.MatchString(name) {
			d.bad(n.Table[name], key, "%.100q cannot be a name here", name)
			continue
		}
		visit(name, n.Table[name])
	}
}

func (d *decoder) truth(key string, n *tomltree.Node, to **bool) {
	if n.Kind != unstable.Bool {
		d.bad(n, key, "must be true or false")
		return
	}
	value := n.Text == "true"
	*to = &value
	d.o.SetWhere(key, d.at(n))
}

func (d *decoder) version(n *tomltree.Node) {
	if text, ok := d.specifiers("version", n); ok {
		d.o.Version = text
		d.o.SetWhere("version", d.at(n))
	}
}

// specifiers reads PEP 440 specifiers.
func (d *decoder) specifiers(key string, n *tomltree.Node) (string, bool) {
	text, ok := d.str(key, n)
	if !ok {
		return "", false
	}
	s, err := pep440.ParseSpecifiers(text)
	switch _, errVersion := pep440.Parse(text); {
	case err != nil && errVersion == nil:
		d.bad(n, key, "%q is a version: write \"==%s\"", text, text)
		return "", false
	case err != nil:
		d.bad(n, key, "%v", err)
		return "", false
	case s.IsEmpty():
		d.bad(n, key, "is empty")
		return "", false
	}
	return s.String(), true
}

func (d *decoder) dependencies(key string, n *tomltree.Node, to *[]Dependency) {
	d.each(key, n, func(text string, n *tomltree.Node) {
		dep, err := ParseDependency(text)
		if err != nil {
			d.bad(n, key, "%v", err)
			return
		}
		if strings.HasPrefix(key, "drop-") && dep.String() != bareName(dep) {
			d.bad(n, key, "%q: what is dropped is named alone, without version or extras", text)
			return
		}
		*to = append(*to, dep)
		d.o.SetWhere(key+" "+dep.String(), d.at(n))
	})
}

// bareName is what a dependency would be with nothing but its name.
func bareName(dep Dependency) string {
	if dep.RPM != "" {
		return dep.Key()
	}
	bare := dep
	bare.Python.Extras, bare.Python.Specifiers, bare.Python.Marker = nil, pep440.Specifiers{}, nil
	return bare.String()
}

func (d *decoder) env(n *tomltree.Node) {
	d.pairs("env", n, envRE, func(name string, n *tomltree.Node) {
		if strings.HasPrefix(name, "RPM_") {
			d.bad(n, "env."+name, "is rpm's own")
			return
		}
		text, ok := d.str("env."+name, n)
		if !ok {
			return
		}
		if d.o.Env == nil {
			d.o.Env = map[string]string{}
		}
		d.o.Env[name] = text
		d.o.SetWhere("env."+name, d.at(n))
	})
}

func (d *decoder) settings(n *tomltree.Node) {
	d.pairs("config-settings", n, settingRE, func(name string, n *tomltree.Node) {
		key := "config-settings." + name
		var values []string
		if n.IsArray() {
			d.each(key, n, func(text string, _ *tomltree.Node) { values = append(values, text) })
		} else if text, ok := d.str(key, n); ok {
			values = []string{text}
		}
		if len(values) == 0 {
			return
		}
		if d.o.ConfigSettings == nil {
			d.o.ConfigSettings = map[string][]string{}
		}
		d.o.ConfigSettings[name] = values
		d.o.SetWhere(key, d.at(n))
	})
}

func (d *decoder) bconds(n *tomltree.Node) {
	d.pairs("bconds", n, bcondRE, func(name string, n *tomltree.Node) {
		var value *bool
		if d.truth("bconds."+name, n, &value); value == nil {
			return
		}
		if d.o.Bconds == nil {
			d.o.Bconds = map[string]bool{}
		}
		d.o.Bconds[name] = *value
	})
}

func (d *decoder) checks(n *tomltree.Node) {
	if !n.IsTable() {
		d.bad(n, "checks", "must be a table: [checks]")
		return
	}
	for _, key := range n.Keys {
		v := n.Table[key]
		switch key {
		case "skip":
			d.truth("checks.skip", v, &d.o.Checks.Skip)
		case "import":
			d.truth("checks.import", v, &d.o.Checks.Import)
		case "modules":
			d.modules(v)
		case "commands":
			d.each("checks.commands", v, func(text string, n *tomltree.Node) {
				if why := badCommand(text); why != "" {
					d.bad(n, "checks.commands", "%.100q %s", text, why)
					return
				}
				d.o.Checks.Commands = append(d.o.Checks.Commands, text)
				d.o.SetWhere("checks.commands "+text, d.at(n))
			})
		default:
			d.unknown(v, "checks."+key, key, []string{"commands", "import", "modules", "skip"})
		}
	}
}

func (d *decoder) modules(n *tomltree.Node) {
	if d.any {
		d.bad(n, "checks.modules", "cannot be said of all packages")
		return
	}
	d.o.Checks.Modules = []string{}
	d.each("checks.modules", n, func(text string, n *tomltree.Node) {
		if !moduleRE.MatchString(text) {
			d.bad(n, "checks.modules", "%.100q is no name of a module", text)
			return
		}
		d.o.Checks.Modules = append(d.o.Checks.Modules, text)
	})
	d.o.SetWhere("checks.modules", d.at(n))
}

// badCommand says why a command cannot be a line of %check: rpm looks for sections and conditions
// at the start of a line even after macros were expanded, so doubling the "%" would not help there.
func badCommand(text string) string {
	switch text = strings.TrimSpace(text); {
	case text == "":
		return "is empty"
	case strings.HasPrefix(text, "%"):
		return "begins with %, as rpm's own lines do"
	case strings.HasSuffix(text, `\`):
		return `ends with \, which would take the next line in`
	}
	return ""
}

func (d *decoder) memory(n *tomltree.Node) {
	if !n.IsString() {
		d.bad(n, "memory", "must be a string such as \"4GiB\"")
		return
	}
	bytes, err := ParseBytes(n.Text)
	if err != nil {
		d.bad(n, "memory", "%v", err)
		return
	}
	d.o.Memory = bytes
	d.o.SetWhere("memory", d.at(n))
}

func (d *decoder) patches(n *tomltree.Node) {
	if !n.IsArray() || len(n.Items) > maxList {
		d.bad(n, "patches", "must be tables: [[patches]]")
		return
	}
	for _, item := range n.Items {
		if item.Line == 0 {
			item.Line = n.Line
		}
		p, ok := Patch{Strip: defaultStrip}, false
		switch {
		case item.IsString():
			p.File, ok = d.named("patches", item)
		case item.IsTable():
			p, ok = d.patch(item)
		default:
			d.bad(item, "patches", "must be tables: [[patches]]")
			continue
		}
		if !ok {
			continue
		}
		if slices.ContainsFunc(d.o.Patches, func(o Patch) bool { return o.Name == p.Name }) {
			d.bad(item, "patches", "two patches are called %s", p.Name)
			continue
		}
		if !looksLikePatch(p.Text) {
			d.problem(Warning, d.file, item.Line, "patches: %s has no line that begins with +++: is it a unified diff?", p.Path)
		}
		d.o.Patches = append(d.o.Patches, p)
		d.o.SetWhere("patches "+p.Name, d.at(item))
	}
}

func (d *decoder) patch(n *tomltree.Node) (p Patch, ok bool) {
	p.Strip = defaultStrip
	ok = true
	for _, key := range n.Keys {
		v := n.Table[key]
		var good bool
		switch key {
		case "file":
			p.File, good = d.named("patches.file", v)
		case "strip":
			strip, err := strconv.Atoi(v.Text)
			if good = v.Kind == unstable.Integer && err == nil && strip >= 0 && strip < 20; !good {
				d.bad(v, "patches.strip", "must be a number of folders, as for patch -p")
			}
			p.Strip = strip
		case "versions":
			p.Versions, good = d.specifiers("patches.versions", v)
		default:
			d.unknown(v, "patches."+key, key, []string{"file", "strip", "versions"})
		}
		ok = ok && good
	}
	if n.Get("file") == nil {
		d.bad(n, "patches", "a patch needs a file")
		return p, false
	}
	return p, ok
}

func looksLikePatch(text []byte) bool {
	return strings.HasPrefix(string(text), "+++ ") || strings.Contains(string(text), "\n+++ ")
}

func (d *decoder) spec(n *tomltree.Node) {
	f, ok := d.named("spec", n)
	if ok && !strings.HasSuffix(f.Name, ".spec") {
		d.bad(n, "spec", "%s is not called NAME.spec", f.Path)
		return
	}
	if ok {
		d.o.Spec = &f
		d.o.SetWhere("spec", d.at(n))
	}
}

// named reads a file that an override names, relative to the file it stands in.
func (d *decoder) named(key string, n *tomltree.Node) (File, bool) {
	text, ok := d.str(key, n)
	if !ok {
		return File{}, false
	}
	f := File{Name: path.Base(text), Path: text}
	full := path.Join(path.Dir(d.file), text)
	if path.IsAbs(text) || !fs.ValidPath(full) || strings.Contains(text, `\`) {
		d.bad(n, key, "%.100q leads out of the folder of %s", text, ConfigName)
		return f, false
	}
	if !fileRE.MatchString(f.Name) {
		d.bad(n, key, "%.100q: a file that goes into a source package is called by letters, digits and ._+!~- only", f.Name)
		return f, false
	}
	var err error
	if f.Text, err = d.load(full, maxPatch); errors.Is(err, fs.ErrNotExist) {
		d.bad(n, key, "there is no file %s", path.Join(d.src.Shown, full))
		return f, false
	}
	if err != nil {
		d.bad(n, key, "%v", err)
		return f, false
	}
	if d.total += len(f.Text); d.total > maxTotal {
		d.bad(n, key, "all files that overrides name have more than %d bytes", maxTotal)
		return f, false
	}
	if len(f.Text) == 0 || strings.IndexByte(string(f.Text), 0) >= 0 {
		d.bad(n, key, "%s is empty, or no text", f.Path)
		return f, false
	}
	sum := sha256.Sum256(f.Text)
	f.SHA256 = hex.EncodeToString(sum[:])
	return f, true
}
