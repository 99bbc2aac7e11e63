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
	within  scope           // what is being read
	sources map[string][]source
	space   *workspace      // uv's, nil for a project of its own
	reached map[string]bool // folders of the workspace whose dependencies were looked through
}

// scope is the extra or group being read; zero for the dependencies themselves.
type scope struct{ extra, group string }

// parsePyproject reads [project] and what belongs to it: dependency groups, the
// tables of tools, and the lock beside it.
func (r *reader) parsePyproject(ctx context.Context, loc location, data []byte, _ role) {
	t, ok := r.openTOML(loc, data)
	if !ok {
		return
	}
	p := &pyproject{reader: r, loc: loc, file: t.file, doc: t.n, entered: map[string]bool{}, sources: map[string][]source{}, reached: map[string]bool{}}
	r.looked.files[loc.path] = p.doc
	p.project = p.doc.Get("project")
	p.space = p.findWorkspace(path.Dir(loc.path), p.doc)
	p.noteGroups()
	p.readSources()
	p.readIndexes()
	poetry := table{r, p.file, p.doc}.sub("tool").sub("poetry")
	switch {
	case p.project.IsTable():
		p.describe()
		p.dependencies(ctx)
		p.wantedExtras(ctx)
	case poetry.n != nil && !p.doc.Get("tool", "poetry", "package-mode").Is("false") || poetry.n.Get("dependencies").IsTable():
		p.describePoetry(poetry)
		p.poetryDependencies(ctx, poetry)
	case p.space != nil && p.space.dir == path.Dir(loc.path):
		p.requireMembers()
	case p.readSetuptools(ctx):
	case len(r.groups.names) == 0 || len(p.groupNames()) == 0:
		r.fail(Position{p.file, 0}, "", errNoProject)
		return
	}
	p.wantedGroups(ctx)
	p.restrictions()
	p.readLock(ctx)
}

// readLock reads the lock of the project, or of the workspace it is part of.
func (p *pyproject) readLock(ctx context.Context) {
	dir := path.Dir(p.loc.path)
	lock := p.lockBeside(dir, p.doc)
	if lock == "" && p.space != nil && p.space.dir != dir {
		lock = p.lockBeside(p.space.dir, p.space.doc)
	}
	if lock != "" {
		p.readAlong(ctx, lock)
	}
}

// readSetuptools reads the setup.py or setup.cfg beside; false when there is
// neither.
func (p *pyproject) readSetuptools(ctx context.Context) bool {
	for _, name := range []string{"setup.py", "setup.cfg"} {
		file := path.Join(path.Dir(p.loc.path), name)
		if p.root.isFile(file) {
			p.readFile(ctx, location{path: file}, Position{p.file, 1}, "", asRequirements)
			return true
		}
	}
	return false
}

// errNoProject is for files that only configure tools.
var errNoProject = errors.New("it has no [project] table, so it asks for nothing")

// setProject takes over what the first file that describes a project says.
func (r *reader) setProject(about *Project) {
	if r.set.Project == nil {
		r.set.Project = about
	}
}

// describe fills in Set.Project from the first file read.
func (p *pyproject) describe() {
	about := &Project{
		Name:           p.str("name"),
		Version:        p.str("version"),
		RequiresPython: p.str("requires-python"),
		HasBuildSystem: p.doc.Get("build-system").IsTable(),
		Position:       Position{p.file, p.project.Line},
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
	for _, name := range p.groupNames() {
		about.Groups = append(about.Groups, pep508.NormalizeName(name))
	}
	p.setProject(about)
}

// str is a string of [project], "" when absent. Anything else is an error.
func (p *pyproject) str(key string) string { return table{p.reader, p.file, p.project}.str(key) }

func (p *pyproject) pos(key string) Position {
	return Position{p.file, p.project.Get(key).Line}
}

// isDynamic tells whether a field is left to the build backend (PEP 621).
func (p *pyproject) isDynamic(field string) bool {
	n := p.project.Get("dynamic")
	return n.IsArray() && slices.ContainsFunc(n.Items, func(i *node) bool { return i.Text == field })
}

// dependencies reads [project] dependencies, static or by setuptools' files.
func (p *pyproject) dependencies(ctx context.Context) {
	if deps := p.project.Get("dependencies"); deps != nil {
		p.list(ctx, deps, "dependencies", "")
		return
	}
	if !p.isDynamic("dependencies") {
		return
	}
	if p.setuptoolsFiles(ctx, "dependencies") {
		return
	}
	poetry := table{p.reader, p.file, p.doc.Get("tool", "poetry")}
	hook := p.doc.Get("tool", "hatch", "metadata", "hooks", "requirements_txt", "files")
	switch {
	case poetry.n.Get("dependencies").IsTable():
		p.poetryDependencies(ctx, poetry)
	case hook.IsArray():
		p.includeAll(ctx, hook.Items, hook)
	case p.readSetuptools(ctx):
	default:
		p.warn(p.pos("dynamic"), "the dependencies are dynamic: only its build backend can tell them")
	}
}

// setuptoolsFiles reads the requirement files that setuptools takes a dynamic
// field from: [tool.setuptools.dynamic] dependencies = {file = […]}.
func (p *pyproject) setuptoolsFiles(ctx context.Context, field ...string) bool {
	n := p.doc.Get(append([]string{"tool", "setuptools", "dynamic"}, append(field, "file")...)...)
	if n == nil {
		return false
	}
	files := n.Items
	if n.IsString() {
		files = []*node{n}
	}
	p.includeAll(ctx, files, n)
	return true
}

// includeAll reads requirement files that the list n names.
func (p *pyproject) includeAll(ctx context.Context, files []*node, n *node) {
	for _, f := range files {
		at := Position{p.file, f.Line}
		if !f.IsString() {
			p.fail(Position{p.file, n.Line}, "file", errors.New("must be a list of file names"))
			continue
		}
		loc, err := p.root.include(p.loc, f.Text)
		if err != nil {
			p.fail(at, f.Text, err)
			continue
		}
		p.readFile(ctx, loc, at, f.Text, asRequirements)
	}
}

// extraNames are the extras as written, static ones first.
func (p *pyproject) extraNames() []string {
	names := slices.Clone(p.project.Get("optional-dependencies").Names())
	if p.isDynamic("optional-dependencies") {
		names = append(names, p.doc.Get("tool", "setuptools", "dynamic", "optional-dependencies").Names()...)
	}
	return names
}

// wantedExtras reads the extras that were asked for.
func (p *pyproject) wantedExtras(ctx context.Context) {
	w := &p.extras
	w.known = append(w.known, p.extraNames()...)
	if w.at.File == "" {
		w.at = Position{p.file, p.project.Line}
		if n := p.project.Get("optional-dependencies"); n.IsTable() {
			w.at.Line = n.Line
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
		before := p.within
		p.within = scope{extra: key}
		defer func() { p.within = before }()
		if deps := p.project.Get("optional-dependencies", written); deps != nil {
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
	if !n.IsArray() {
		p.fail(Position{p.file, n.Line}, what, errors.New("must be an array of strings"))
		return
	}
	for _, item := range n.Items {
		if p.stopped(ctx) {
			return
		}
		if !item.IsString() {
			p.fail(Position{p.file, max(item.Line, n.Line)}, what, errors.New("must hold nothing but strings"))
			continue
		}
		p.dependency(ctx, item, marker)
	}
}

// dependency reads one requirement string. One that names the project itself
// ("name[extra]", the usual way to build one extra from others) stands for the
// extras' own requirements.
func (p *pyproject) dependency(ctx context.Context, item *node, outer string) {
	at := Position{p.file, item.Line}
	text := strings.TrimFunc(item.Text, isSpace)
	if len(text) > maxTextBytes {
		p.fail(at, text, fmt.Errorf("%w: a requirement of more than %d KB", ErrTooLarge, maxTextBytes>>10))
		return
	}
	q, warnings, err := p.parseStrict(p.loc, projectRoot(text))
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
		p.keepFromSource(q)
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

// projectRoot makes the words of PDM and Hatch for the folder of the project
// relative: "name @ file:///${PROJECT_ROOT}/lib", "name @ {root:uri}/lib".
func projectRoot(text string) string {
	for _, root := range []string{"file:///${PROJECT_ROOT}", "{root:uri}", "file://{root}"} {
		text = strings.Replace(text, root+"/", "file:./", 1)
	}
	return text
}

// parseStrict reads PEP 508 and nothing else: pip's shorthands (paths, bare
// addresses) have no meaning in pyproject.toml.
func (r *reader) parseStrict(loc location, text string) (Requirement, []string, error) {
	if body, _ := cutMarker(text); hasName(body) {
		return r.parseNamed(loc, text)
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
