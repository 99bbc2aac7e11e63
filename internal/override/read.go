package override

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/pep508"
	"reqpm/internal/tomltree"
)

// Names of what is read in a folder.
const (
	ConfigName = "reqpm.toml"
	FolderName = "overrides"
)

// Source is a folder to read: the root of a project, or the folder that the user's reqpm.toml is in.
type Source struct {
	FS fs.FS
	// Config is the name of the file in FS; "" means ConfigName. The folder FolderName beside it is
	// read too. Neither has to be there.
	Config string
	// Shown stands before the names of files in positions and messages.
	Shown string
	// User: it is the user's own, whose other tables (index, distribution) have readers of their own.
	User bool
}

// Result is what was read.
type Result struct {
	Set Set
	// Targets is reqpm.toml with nothing but its [targets…] left, line for line, nil when there
	// is none; TargetsFile is its name in messages.
	Targets     []byte
	TargetsFile string
	// Problems are the errors and the warnings, in the order of files and lines.
	Problems Problems
}

// Bounds of what is read.
const (
	maxConfig = 1 << 20
	maxPatch  = 4 << 20
	maxTotal  = 64 << 20 // of all files that overrides name
	maxFiles  = 2000     // in the folder
)

// Read reads reqpm.toml and overrides/*.toml of a folder, with the patches and specs that they name.
// It goes on after a mistake, so that all are told at once: err is Result.Problems when one of
// them is an error.
func Read(src Source) (Result, error) {
	r := &reader{src: src}
	config := src.Config
	if config == "" {
		config = ConfigName
	}
	r.config(config)
	r.folder(path.Join(path.Dir(config), FolderName))
	r.out.Problems.sort()
	if r.out.Problems.Errors() > 0 {
		return r.out, r.out.Problems
	}
	return r.out, nil
}

// Exists tells whether a folder has anything to read.
func Exists(fsys fs.FS) bool {
	for _, name := range []string{ConfigName, FolderName} {
		if _, err := fs.Stat(fsys, name); err == nil {
			return true
		}
	}
	return false
}

type reader struct {
	src   Source
	out   Result
	total int // bytes of the files named
}

func (r *reader) problem(s Severity, file string, line int, format string, args ...any) {
	r.out.Problems = append(r.out.Problems, Problem{Position: Position{path.Join(r.src.Shown, file), line}, Severity: s, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) fail(file string, line int, format string, args ...any) {
	r.problem(Error, file, line, format, args...)
}

// load reads a file of at most limit bytes.
func (r *reader) load(name string, limit int) ([]byte, error) {
	f, err := r.src.FS.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a file", name))
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, err
}

// document reads a TOML file; nil when it is not there or cannot be read.
func (r *reader) document(name string) (*tomltree.Node, []byte) {
	data, err := r.load(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		r.fail(name, 0, "%v", err)
		return nil, nil
	}
	root, err := tomltree.Parse(data)
	if at, ok := errors.AsType[*tomltree.SyntaxError](err); ok {
		r.fail(name, at.Line, "%v", at.Err)
		return nil, nil
	}
	if err != nil {
		r.fail(name, 0, "%v", err)
		return nil, nil
	}
	return root, data
}

// userTables are the tables of the user's reqpm.toml that are not about packages.
var userTables = []string{"index", "distribution"}

// config reads reqpm.toml.
func (r *reader) config(name string) {
	root, data := r.document(name)
	if root == nil {
		return
	}
	c := &context{reader: r, file: name}
	place := Project
	if r.src.User {
		place = Global
	}
	for _, key := range root.Keys {
		n := root.Table[key]
		switch {
		case key == "package":
			c.packages(n, "", place)
		case key == "target":
			c.eachTarget(n, func(target string, t *tomltree.Node) {
				for _, key := range t.Keys {
					if key == "package" {
						c.packages(t.Table[key], target, place)
						continue
					}
					c.unknown(t.Table[key], "target."+target+"."+key, key, []string{"package"})
				}
			})
		case key == "targets":
			r.out.TargetsFile = path.Join(r.src.Shown, name)
			r.out.Targets = tomltree.Keep(data, func(k string) bool { return k == "targets" })
		case slices.Contains(userTables, key) && !r.src.User:
			r.problem(Warning, name, n.Line, "[%s] is not read from a project: it belongs into your own reqpm.toml, or name this file with --config", key)
		case slices.Contains(userTables, key):
		default:
			c.unknown(n, key, key, append([]string{"package", "target", "targets"}, userTables...))
		}
	}
}

// folder reads overrides/*.toml.
func (r *reader) folder(dir string) {
	entries, err := fs.ReadDir(r.src.FS, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		r.fail(dir, 0, "%v", err)
		return
	}
	if len(entries) > maxFiles {
		r.fail(dir, 0, "it has more than %d files", maxFiles)
		return
	}
	place := ProjectFile
	if r.src.User {
		place = GlobalFile
	}
	seen := map[string]string{}
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), ".toml")
		if !ok || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := path.Join(dir, e.Name())
		name, ok := packageName(stem)
		if !ok {
			r.fail(file, 0, "%q is no name of a package: the file is called NAME.toml", stem)
			continue
		}
		if other := seen[name]; other != "" {
			r.fail(file, 0, "%s is about %s, too", other, name)
			continue
		}
		seen[name] = file
		if root, _ := r.document(file); root != nil {
			c := &context{reader: r, file: file}
			c.overridesFile(root, name, place)
		}
	}
}

// context is one file being read.
type context struct {
	*reader
	file string
}

func (c *context) at(n *tomltree.Node) Position {
	return Position{path.Join(c.src.Shown, c.file), n.Line}
}

func (c *context) bad(n *tomltree.Node, key, format string, args ...any) {
	c.fail(c.file, n.Line, "%s: %s", key, fmt.Sprintf(format, args...))
}

// unknown reports a key that there is not.
func (c *context) unknown(n *tomltree.Node, full, key string, known []string) {
	c.fail(c.file, n.Line, "unknown key %s%s", full, didYouMean(key, known))
}

// overridesFile reads the one package of an overrides file: its tables stand at the top.
func (c *context) overridesFile(root *tomltree.Node, name string, place Place) {
	c.layer(root, name, "", place, []string{"target"})
	if t := root.Get("target"); t != nil {
		c.eachTarget(t, func(target string, n *tomltree.Node) { c.layer(n, name, target, place, nil) })
	}
}

// packages reads the tables of [package] or [target.NAME.package].
func (c *context) packages(n *tomltree.Node, target string, place Place) {
	if !n.IsTable() {
		c.bad(n, "package", "must be tables: [package.NAME]")
		return
	}
	seen := map[string]string{}
	for _, key := range n.Keys {
		t := n.Table[key]
		name, ok := packageName(key)
		if key == AnyPackage {
			name, ok = AnyPackage, true
		}
		switch {
		case !ok:
			c.bad(t, "package", "%.100q is no name of a package", key)
		case seen[name] != "":
			c.bad(t, "package", "%q and %q are the same package", seen[name], key)
		case !t.IsTable():
			c.bad(t, "package."+key, "must be a table: [package.%s]", key)
		default:
			c.layer(t, name, target, place, nil)
		}
		seen[name] = key
	}
}

var (
	projectRE = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?$`)
	targetRE  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
)

func packageName(text string) (string, bool) {
	return pep508.NormalizeName(text), projectRE.MatchString(text)
}

// eachTarget visits the tables of [target].
func (c *context) eachTarget(n *tomltree.Node, visit func(target string, n *tomltree.Node)) {
	if !n.IsTable() {
		c.bad(n, "target", "must be tables: [target.NAME]")
		return
	}
	for _, name := range n.Keys {
		t := n.Table[name]
		switch {
		case !targetRE.MatchString(name):
			c.bad(t, "target", "%.100q is no name of a target", name)
		case !t.IsTable():
			c.bad(t, "target."+name, "must be a table")
		default:
			visit(name, t)
		}
	}
}

// layer reads one table about one package. more are keys that have another reader.
func (c *context) layer(n *tomltree.Node, name, target string, place Place, more []string) {
	l := Layer{Package: name, Target: target, Place: place, At: c.at(n)}
	d := &decoder{context: c, o: &l.Override, any: name == AnyPackage}
	d.table(n, more)
	if !l.IsZero() {
		c.out.Set.layers = append(c.out.Set.layers, l)
	}
}
