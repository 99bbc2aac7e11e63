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
)

// wanted keeps account of extras or dependency groups that were asked for.
type wanted struct {
	names []string // as asked
	known []string // what the files read offer, as written
	found map[string]bool
	at    Position // the file that should have them
}

func (w *wanted) want(names []string) {
	w.names = names
	w.found = map[string]bool{}
}

// checkWanted reports extras and groups that no file has.
func (r *reader) checkWanted() {
	for _, kind := range []struct {
		what string
		w    *wanted
	}{{"extra", &r.extras}, {"dependency group", &r.groups}} {
		for _, name := range kind.w.names {
			if kind.w.found[pep508.NormalizeName(name)] {
				continue
			}
			at := kind.w.at
			if at.File == "" {
				r.fail(Position{File: "pyproject.toml"}, name, fmt.Errorf("%s asked for, but no pyproject.toml with a [project] was read", kind.what))
				continue
			}
			known := "there are none"
			if len(kind.w.known) > 0 {
				known = "known are " + strings.Join(kind.w.known, ", ")
			}
			r.fail(at, name, fmt.Errorf("unknown %s; %s", kind.what, known))
		}
	}
}

// pyproject is one file being read.
type pyproject struct {
	*reader
	loc     location
	file    string
	doc     *node
	project *node
	name    string          // PEP 503, "" when not said
	entered map[string]bool // extras and groups read, against loops
}

// parsePyproject reads [project] and what belongs to it.
func (r *reader) parsePyproject(ctx context.Context, loc location, data []byte) {
	file := loc.String()
	doc, err := parseTOML(data)
	if err != nil {
		line := 0
		if at, ok := errors.AsType[*tomlError](err); ok {
			line = at.line
		}
		r.fail(Position{file, line}, "", err)
		return
	}
	p := &pyproject{reader: r, loc: loc, file: file, doc: doc, entered: map[string]bool{}}
	p.noteGroups()
	p.project = doc.get("project")
	if !p.project.isTable() {
		if len(r.groups.names) == 0 || len(doc.get("dependency-groups").names()) == 0 {
			r.fail(Position{file, 0}, "", p.whyNoProject())
			return
		}
	} else {
		p.describe()
		p.dependencies(ctx)
		p.wantedExtras(ctx)
	}
	p.wantedGroups(ctx)
}

// names are the keys of a table, none for nil.
func (n *node) names() []string {
	if n == nil {
		return nil
	}
	return n.keys
}

// errNoProject is for files that only configure tools.
var errNoProject = errors.New("it has no [project] table, so it asks for nothing")

// whyNoProject says what a file without [project] is.
func (p *pyproject) whyNoProject() error {
	if p.doc.get("tool", "poetry").isTable() {
		return fmt.Errorf("it has no [project] table; dependencies in Poetry's own [tool.poetry] are %w: name an exported requirement file (poetry export) instead", ErrNotRead)
	}
	dir := path.Dir(p.loc.path)
	for _, name := range []string{"setup.py", "setup.cfg"} {
		if p.loc.url == nil && p.root.isFile(path.Join(dir, name)) {
			return fmt.Errorf("it has no [project] table; the dependencies in %s are %w", name, ErrNotRead)
		}
	}
	return errNoProject
}

// describe fills in Set.Project from the first file read.
func (p *pyproject) describe() {
	about := &Project{
		Name:           p.str("name"),
		Version:        p.str("version"),
		RequiresPython: p.str("requires-python"),
		HasBuildSystem: p.doc.get("build-system").isTable(),
		Position:       Position{p.file, p.project.line},
	}
	p.name = pep508.NormalizeName(about.Name)
	if about.Name == "" {
		p.warn(about.Position, "[project] has no name")
	} else if !isName(about.Name) {
		p.fail(p.pos("name"), about.Name, errors.New("not a valid project name"))
	}
	if about.Version != "" {
		if _, err := pep440.Parse(about.Version); err != nil {
			p.warn(p.pos("version"), "the version %s is not one: %v", quote(about.Version), err)
		}
	}
	if about.RequiresPython != "" {
		if _, err := pep440.ParseSpecifiers(about.RequiresPython); err != nil {
			p.fail(p.pos("requires-python"), about.RequiresPython, err)
		}
	}
	for _, name := range p.extraNames() {
		about.Extras = append(about.Extras, pep508.NormalizeName(name))
	}
	for _, name := range p.doc.get("dependency-groups").names() {
		about.Groups = append(about.Groups, pep508.NormalizeName(name))
	}
	if p.set.Project == nil {
		p.set.Project = about
	}
}

// str is a string of [project], "" when absent. Anything else is an error.
func (p *pyproject) str(key string) string {
	n := p.project.get(key)
	if n != nil && !n.isString() {
		p.fail(Position{p.file, n.line}, key, errors.New("must be a string"))
		return ""
	}
	if n == nil {
		return ""
	}
	return n.text
}

func (p *pyproject) pos(key string) Position {
	return Position{p.file, p.project.get(key).line}
}

// isDynamic tells whether a field is left to the build backend (PEP 621).
func (p *pyproject) isDynamic(field string) bool {
	n := p.project.get("dynamic")
	return n.isArray() && slices.ContainsFunc(n.items, func(i *node) bool { return i.text == field })
}

// dependencies reads [project] dependencies, static or by setuptools' files.
func (p *pyproject) dependencies(ctx context.Context) {
	if deps := p.project.get("dependencies"); deps != nil {
		p.list(ctx, deps, "dependencies", "")
		return
	}
	if !p.isDynamic("dependencies") {
		return
	}
	if p.setuptoolsFiles(ctx, "dependencies") {
		return
	}
	reason := "only its build backend can tell them"
	if p.doc.get("tool", "poetry", "dependencies").isTable() {
		reason = "Poetry's own [tool.poetry.dependencies] is not read yet"
	}
	p.warn(p.pos("dynamic"), "the dependencies are dynamic: %s", reason)
}

// setuptoolsFiles reads the requirement files that setuptools takes a dynamic
// field from: [tool.setuptools.dynamic] dependencies = {file = […]}.
func (p *pyproject) setuptoolsFiles(ctx context.Context, field ...string) bool {
	n := p.doc.get(append([]string{"tool", "setuptools", "dynamic"}, append(field, "file")...)...)
	if n == nil {
		return false
	}
	files := n.items
	if n.isString() {
		files = []*node{n}
	}
	for _, f := range files {
		at := Position{p.file, f.line}
		if !f.isString() {
			p.fail(Position{p.file, n.line}, "file", errors.New("must be a list of file names"))
			continue
		}
		loc, err := p.root.include(p.loc, f.text)
		if err != nil {
			p.fail(at, f.text, err)
			continue
		}
		p.readFile(ctx, loc, at, f.text, false)
	}
	return true
}

// extraNames are the extras as written, static ones first.
func (p *pyproject) extraNames() []string {
	names := slices.Clone(p.project.get("optional-dependencies").names())
	if p.isDynamic("optional-dependencies") {
		names = append(names, p.doc.get("tool", "setuptools", "dynamic", "optional-dependencies").names()...)
	}
	return names
}

// wantedExtras reads the extras that were asked for.
func (p *pyproject) wantedExtras(ctx context.Context) {
	w := &p.extras
	w.known = append(w.known, p.extraNames()...)
	if w.at.File == "" {
		w.at = Position{p.file, p.project.line}
		if n := p.project.get("optional-dependencies"); n.isTable() {
			w.at.Line = n.line
		}
	}
	for _, name := range w.names {
		if p.extra(ctx, name, "") {
			w.found[pep508.NormalizeName(name)] = true
		}
	}
}

// extra reads one extra, once; false when there is none of that name.
func (p *pyproject) extra(ctx context.Context, name, marker string) bool {
	key := pep508.NormalizeName(name)
	for _, written := range p.extraNames() {
		if pep508.NormalizeName(written) != key {
			continue
		}
		visit := "extra " + key + ";" + marker
		if p.entered[visit] {
			return true
		}
		p.entered[visit] = true
		if deps := p.project.get("optional-dependencies", written); deps != nil {
			p.list(ctx, deps, written, marker)
		} else {
			p.setuptoolsFiles(ctx, "optional-dependencies", written)
		}
		return true
	}
	return false
}

// list reads an array of requirements. marker, when not "", holds for all.
func (p *pyproject) list(ctx context.Context, n *node, what, marker string) {
	if !n.isArray() {
		p.fail(Position{p.file, n.line}, what, errors.New("must be an array of strings"))
		return
	}
	for _, item := range n.items {
		if p.stopped(ctx) {
			return
		}
		if !item.isString() {
			p.fail(Position{p.file, max(item.line, n.line)}, what, errors.New("must hold nothing but strings"))
			continue
		}
		p.dependency(ctx, item, marker)
	}
}

// dependency reads one requirement string. One that names the project itself
// ("name[extra]", the usual way to build one extra from others) stands for the
// extras' own requirements.
func (p *pyproject) dependency(ctx context.Context, item *node, outer string) {
	at := Position{p.file, item.line}
	text := strings.TrimFunc(item.text, isSpace)
	if len(text) > maxTextBytes {
		p.fail(at, text, fmt.Errorf("%w: a requirement of more than %d KB", ErrTooLarge, maxTextBytes>>10))
		return
	}
	q, warnings, err := p.parseStrict(text)
	if err != nil {
		p.fail(at, text, err)
		return
	}
	for _, w := range warnings {
		p.warn(at, "%s", w)
	}
	if q.Marker, err = bothMarkers(outer, q.Marker); err != nil {
		p.fail(at, text, err)
		return
	}
	if p.name == "" || q.Key() != p.name || q.Direct() {
		q.Position, q.Text = at, text
		p.keep(q, false)
		return
	}
	marker := ""
	if q.Marker != nil {
		marker = q.Marker.String()
	}
	if len(p.entered) > maxFiles {
		p.fail(at, text, fmt.Errorf("%w: extras that ask for more than %d extras", ErrTooLarge, maxFiles))
		return
	}
	for _, extra := range q.Extras {
		if !p.extra(ctx, extra, marker) {
			p.fail(at, text, fmt.Errorf("the project has no extra %s", quote(extra)))
		}
	}
}

// parseStrict reads PEP 508 and nothing else: pip's shorthands (paths, bare
// addresses) have no meaning in pyproject.toml.
func (p *pyproject) parseStrict(text string) (Requirement, []string, error) {
	if body, _ := cutMarker(text); hasName(body) {
		return p.parseNamed(p.loc, text)
	}
	req, err := pep508.Parse(text)
	if err != nil {
		return Requirement{}, nil, explain(text, err)
	}
	return Requirement{Requirement: req}, nil, nil
}

// bothMarkers is "outer and inner".
func bothMarkers(outer string, inner *pep508.Marker) (*pep508.Marker, error) {
	switch {
	case outer == "":
		return inner, nil
	case inner == nil:
		return pep508.ParseMarker(outer)
	case inner.String() == outer:
		return inner, nil
	}
	return pep508.ParseMarker("(" + outer + ") and (" + inner.String() + ")")
}
