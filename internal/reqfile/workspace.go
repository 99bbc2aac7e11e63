package reqfile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"reqpm/internal/pep508"
)

// workspace is one of uv's: several projects with one lock and one set of sources.
type workspace struct {
	dir, file string // the root's folder and its pyproject.toml
	doc       *node
	members   map[string]string // folder by PEP 503 name, the root's own among them
	order     []string          // names, sorted by folder
}

// findWorkspace finds the workspace that the project in dir is the root or a
// member of; nil when there is none.
func (r *reader) findWorkspace(dir string, doc *node) *workspace {
	for at := dir; ; at = path.Dir(at) {
		file := path.Join(at, "pyproject.toml")
		if at != dir {
			doc = r.peek(file)
		}
		if table := doc.Get("tool", "uv", "workspace"); table.IsTable() {
			w := r.looked.spaces[at]
			if w == nil {
				w = &workspace{dir: at, file: file, doc: doc, members: map[string]string{}}
				r.looked.spaces[at] = w
				r.findMembers(w, table)
			}
			if at == dir || slices.Contains(w.folders(), dir) {
				return w
			}
			return nil
		}
		if at == "." {
			return nil
		}
	}
}

func (w *workspace) folders() []string {
	var list []string
	for _, name := range w.order {
		list = append(list, w.members[name])
	}
	return list
}

// findMembers looks for the projects that members = […] names and exclude = […]
// does not.
func (r *reader) findMembers(w *workspace, n *node) {
	t := table{r, w.file, n}
	add := func(dir string) {
		name := r.folderName(dir)
		if key := pep508.NormalizeName(name); name != "" && w.members[key] == "" {
			w.members[key] = dir
			w.order = append(w.order, key)
		}
	}
	if w.doc.Get("project", "name").IsString() {
		add(w.dir)
	}
	exclude := texts(t.strings("exclude"))
	for _, pattern := range t.strings("members") {
		inside, err := r.root.within(w.dir, pattern.Text)
		if err != nil {
			r.fail(Position{w.file, pattern.Line}, pattern.Text, err)
			continue
		}
		g := globber{root: r.root, left: 5000}
		found := g.expand(".", strings.Split(inside, "/"))
		if g.left <= 0 {
			r.warn(Position{w.file, pattern.Line}, "the members are not all found: there are too many folders")
		}
		slices.Sort(found)
		for _, dir := range found {
			excluded := slices.ContainsFunc(exclude, func(x string) bool { return matchGlob(path.Join(w.dir, x), dir) })
			if !excluded && r.root.isFile(path.Join(dir, "pyproject.toml")) {
				add(dir)
			}
		}
	}
}

// globber expands folder patterns within the root; left bounds the folders looked
// into.
type globber struct {
	root confined
	left int
}

func (g *globber) expand(dir string, parts []string) []string {
	if g.left--; g.left <= 0 {
		return nil
	}
	if len(parts) == 0 {
		return []string{dir}
	}
	part, rest := parts[0], parts[1:]
	if !strings.ContainsAny(part, `*?[\`) {
		return g.expand(path.Join(dir, part), rest)
	}
	var found []string
	if part == "**" {
		found = g.expand(dir, rest)
		rest = parts
	}
	if strings.Count(dir, "/") > maxDepth {
		return found
	}
	for _, name := range g.root.names(dir, true) {
		ok, err := path.Match(part, name)
		if part == "**" {
			ok = !skippedDir(name)
		}
		if err == nil && ok && !strings.HasPrefix(name, ".") {
			found = append(found, g.expand(path.Join(dir, name), rest)...)
		}
	}
	return found
}

// matchGlob matches a whole path; ** stands for any number of folders.
func matchGlob(pattern, name string) bool {
	const most = 4 // more would take long and say nothing more
	if strings.Count(pattern, "**") > most {
		return false
	}
	return matchParts(strings.Split(pattern, "/"), strings.Split(name, "/"))
}

func matchParts(pattern, name []string) bool {
	if len(pattern) == 0 {
		return len(name) == 0
	}
	if pattern[0] == "**" {
		return matchParts(pattern[1:], name) || len(name) > 0 && matchParts(pattern, name[1:])
	}
	if len(name) == 0 {
		return false
	}
	ok, err := path.Match(pattern[0], name[0])
	return err == nil && ok && matchParts(pattern[1:], name[1:])
}

// requireMembers asks for every member of a workspace whose root is no project.
func (p *pyproject) requireMembers() {
	at := table{p.reader, p.file, p.doc.Get("tool", "uv", "workspace")}.at("members")
	for _, key := range p.space.order {
		dir := p.space.members[key]
		q := Requirement{Position: at, Path: dir, Text: fmt.Sprintf("workspace member %s", dir)}
		q.Name = p.folderName(dir)
		p.keep(q, false)
		p.reachMembers(dir)
	}
	if len(p.space.order) == 0 {
		p.fail(at, "", errNoProject)
	}
}

// reachMembers constrains the members that the member in dir depends on to their
// folders: its built metadata will only have their names, and an index may have
// packages of the same names.
func (p *pyproject) reachMembers(dir string) {
	if p.reached[dir] {
		return
	}
	p.reached[dir] = true
	file := path.Join(dir, "pyproject.toml")
	doc := p.peek(file)
	deps := doc.Get("project", "dependencies")
	if !deps.IsArray() {
		return
	}
	for _, n := range deps.Items {
		req, err := pep508.Parse(n.Text)
		if err != nil || !p.fromWorkspace(doc, req.Key()) {
			continue
		}
		member := p.space.members[req.Key()]
		q := Requirement{Position: Position{file, n.Line}, Path: member, Text: n.Text}
		q.Name = req.Name
		p.keep(q, true)
		p.reachMembers(member)
	}
}

// fromWorkspace tells whether a member's file, or the root for it, takes a name from
// the workspace.
func (p *pyproject) fromWorkspace(doc *node, key string) bool {
	if p.space.members[key] == "" {
		return false
	}
	for _, d := range []*node{doc, p.space.doc} {
		sources := d.Get("tool", "uv", "sources")
		for _, name := range sources.Names() {
			if pep508.NormalizeName(name) == key {
				return slices.ContainsFunc(oneOrMore(sources.Get(name)), func(n *node) bool { return n.Get("workspace").Is("true") })
			}
		}
	}
	return false
}
