package reqfile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/tomltree"
)

// lockFile is one lock file being read.
type lockFile struct {
	*reader
	loc  location
	doc  table
	lock Lock
	as   role

	manifest map[string]bool // of uv.lock: the projects of its workspace, by PEP 503 name
}

// openLock parses a TOML lock; nil when that failed, or when the project beside
// it was read instead, and the lock along with it.
func (r *reader) openLock(ctx context.Context, loc location, data []byte, as role, format string) *lockFile {
	if as == asRequirements && r.readProjectOf(ctx, loc) {
		return nil
	}
	doc, ok := r.opened(loc)(tomltree.ParseUnjudged(data))
	if !ok {
		return nil
	}
	return &lockFile{
		reader: r, loc: loc, as: as, doc: doc,
		lock: Lock{File: loc.String(), Format: format, Complete: true},
	}
}

// openTOML parses a document, or reports why it is none.
func (r *reader) openTOML(loc location, data []byte) (table, bool) {
	return r.opened(loc)(tomltree.Parse(data))
}

// opened takes what a parser made of a file, or reports its error on the line it
// names.
func (r *reader) opened(loc location) func(*node, error) (table, bool) {
	return func(doc *node, err error) (table, bool) {
		if err == nil {
			return table{r, loc.String(), doc}, true
		}
		at := Position{File: loc.String()}
		if e, ok := errors.AsType[*tomltree.SyntaxError](err); ok {
			at.Line = e.Line
		}
		r.fail(at, "", err)
		return table{}, false
	}
}

// readProjectOf reads the pyproject.toml or Pipfile that a named lock belongs
// to, which then reads that lock along; false when there is none.
func (r *reader) readProjectOf(ctx context.Context, lock location) bool {
	dir, base := path.Split(lock.path)
	project := dir + "pyproject.toml"
	switch {
	case isPylock(strings.ToLower(base)), strings.HasSuffix(base, ".py.lock"): // whoever names it wants what it installs
		return false
	case strings.EqualFold(base, "Pipfile.lock"):
		project = strings.TrimSuffix(lock.path, path.Ext(base))
		if !r.root.isFile(project) {
			return false
		}
	case !r.isProjectFile(project):
		return false
	}
	r.chosenLock[path.Dir(lock.path)] = lock.path
	r.readFile(ctx, location{path: project}, Position{}, "", asRequirements)
	r.readFile(ctx, lock, Position{}, "", asPins)
	return true
}

// isProjectFile tells whether a pyproject.toml asks for something itself.
func (r *reader) isProjectFile(name string) bool {
	doc := r.peek(name)
	return doc.Get("project").IsTable() || doc.Get("tool", "poetry").IsTable() ||
		doc.Get("dependency-groups").IsTable() || doc.Get("tool", "uv", "workspace").IsTable()
}

// peek parses a pyproject.toml to look into it; nil when that cannot be done.
// What is wrong with it is for whoever reads it to say.
func (r *reader) peek(name string) *node {
	if doc, ok := r.looked.files[name]; ok {
		return doc
	}
	var doc *node
	if data, err := r.root.read(name, maxFileBytes); err == nil && r.bytes <= maxTotalBytes {
		r.bytes += len(data)
		doc, _ = tomltree.Parse(data)
	}
	r.looked.files[name] = doc
	return doc
}

// requiresPython takes over what the lock says of Pythons.
func (l *lockFile) requiresPython(at Position, text string) {
	if text == "" {
		return
	}
	if _, err := pep440.ParseSpecifiers(text); err != nil {
		l.fail(at, text, err)
		return
	}
	l.lock.RequiresPython = text
}

// unknownVersion reports a format version that is not known.
func (l *lockFile) unknownVersion(at Position, have, known string) {
	if have == "" {
		have = "(none)"
	}
	l.fail(at, "", fmt.Errorf("%w: lock version %s; known is %s", ErrFormat, have, known))
}

// add keeps a pin after checking it; false when it was wrong.
func (l *lockFile) add(p Pin) bool {
	if !isName(p.Name) {
		l.fail(p.Position, p.Name, errors.New("not a valid package name"))
		return false
	}
	p.Name = pep508.NormalizeName(p.Name)
	if p.Version != "" {
		if _, err := pep440.Parse(p.Version); err != nil {
			l.fail(p.Position, p.Name, err)
			return false
		}
	} else if p.Direct == nil {
		l.fail(p.Position, p.Name, errors.New("the package has no version"))
		return false
	}
	if len(p.Hashes) > maxHashes {
		l.fail(p.Position, p.Name, fmt.Errorf("%w: more than %d hashes", ErrTooLarge, maxHashes))
		return false
	}
	if l.locked++; l.locked > maxRequirements {
		l.fail(p.Position, p.Name, fmt.Errorf("%w: more than %d locked packages", ErrTooLarge, maxRequirements))
		return false
	}
	if p.Direct != nil {
		p.Direct.Position, p.Direct.Name = p.Position, p.Name
		p.Direct.Text = p.Name + " " + p.Version
	}
	l.lock.Pins = append(l.lock.Pins, p)
	return true
}

// finish takes the lock into the set.
func (l *lockFile) finish() { l.set.Locks = append(l.set.Locks, l.lock) }

// require makes a requirement of a pin: name[extras]==version with its hashes
// and marker, or the thing itself.
func (l *lockFile) require(p Pin, extras []string) {
	var q Requirement
	if p.Direct != nil {
		q = *p.Direct
	} else {
		spec, err := pep440.ParseSpecifiers("==" + p.Version)
		if err != nil {
			l.fail(p.Position, p.Name, err)
			return
		}
		q.Specifiers, q.Index = spec, p.Index
	}
	q.Name, q.Position, q.Hashes, q.Marker = p.Name, p.Position, p.Hashes, p.Marker
	named, err := withExtras(p.Name, extras)
	if err != nil {
		l.fail(p.Position, p.Name, err)
		return
	}
	q.Extras = named.Extras
	q.Text = p.Name
	if len(q.Extras) > 0 {
		q.Text += "[" + strings.Join(q.Extras, ",") + "]"
	}
	if p.Version != "" {
		q.Text += "==" + p.Version
	}
	l.keep(q, false)
}

// hash adds "sha256:…" to list, each once; weak and unknown kinds are left out.
func addHash(list []string, text string) []string {
	h, err := checkHash(text)
	if err != nil || len(list) > maxHashes || slices.Contains(list, h) { // the list is refused when the pin is kept
		return list
	}
	return append(list, h)
}

// parseMarker reads a marker of a lock; ok is false when it is wrong.
func (r *reader) parseMarker(at Position, text string) (m *pep508.Marker, ok bool) {
	if strings.TrimSpace(text) == "" {
		return nil, true
	}
	m, err := pep508.ParseMarker(text)
	if err != nil {
		r.fail(at, text, err)
		return nil, false
	}
	return m, true
}

// lockBeside is the lock that belongs to the project in dir: the one named, else
// that of the tool its pyproject.toml configures, else the first there is.
func (r *reader) lockBeside(dir string, doc *node) string {
	if name, ok := r.chosenLock[dir]; ok {
		return name
	}
	byTool := []struct{ tool, file string }{{"uv", "uv.lock"}, {"poetry", "poetry.lock"}, {"pdm", "pdm.lock"}, {"", "pylock.toml"}}
	chosen := ""
	for _, configured := range []bool{true, false} {
		for _, t := range byTool {
			name := path.Join(dir, t.file)
			if chosen == "" && (!configured || t.tool != "" && doc.Get("tool", t.tool).IsTable()) && r.root.isFile(name) {
				chosen = name
			}
		}
	}
	r.chosenLock[dir] = chosen
	return chosen
}

// readAlong reads a lock for its pins.
func (r *reader) readAlong(ctx context.Context, lock string) {
	if r.lookOnly {
		r.noteFile(lock)
		return
	}
	r.readFile(ctx, location{path: lock}, Position{}, "", asPins)
}
