package reqfile

import (
	"context"
	"errors"
	"fmt"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// describePoetry fills in Set.Project from [tool.poetry].
func (p *pyproject) describePoetry(t table) {
	about := &Project{
		Name: t.str("name"), Version: t.str("version"),
		HasBuildSystem: p.doc.Get("build-system").IsTable(),
		Position:       Position{p.file, t.n.Line},
	}
	if about.Name != "" && !isName(about.Name) {
		p.fail(t.at("name"), about.Name, errors.New("not a valid project name"))
	}
	if _, err := pep440.Parse(about.Version); err != nil {
		about.Version = "" // filled in by plugins: "0.0.0" or nothing of use
	}
	p.name = pep508.NormalizeName(about.Name)
	if python := t.n.Get("dependencies", "python"); python.IsString() {
		spec, err := poetryPython(python.Text)
		if err != nil {
			p.fail(Position{p.file, python.Line}, python.Text, err)
		}
		about.RequiresPython = spec
	}
	for _, name := range t.n.Get("extras").Names() {
		about.Extras = append(about.Extras, pep508.NormalizeName(name))
	}
	for _, name := range p.groupNames() {
		about.Groups = append(about.Groups, pep508.NormalizeName(name))
	}
	p.setProject(about)
}

// poetryDependencies reads [tool.poetry.dependencies], with the optional ones that
// wanted extras name.
func (p *pyproject) poetryDependencies(ctx context.Context, t table) {
	wanted := p.poetryExtras(t)
	deps := t.sub("dependencies")
	for _, name := range deps.n.Names() {
		if p.stopped(ctx) {
			return
		}
		if name != "python" {
			p.poetryDependency(deps, name, wanted)
		}
	}
}

// poetryExtras are the names of the optional dependencies that the wanted extras
// ask for.
func (p *pyproject) poetryExtras(t table) map[string]bool {
	extras := t.sub("extras")
	p.extras.known = append(p.extras.known, extras.n.Names()...)
	if p.extras.at.File == "" {
		p.extras.at = t.at("extras")
	}
	names, known := map[string]bool{}, map[string]bool{}
	for _, name := range t.n.Get("dependencies").Names() {
		known[pep508.NormalizeName(name)] = true
	}
	for _, extra := range extras.n.Names() {
		if !p.wants(p.req.Extras, extra) {
			continue
		}
		p.extras.found[pep508.NormalizeName(extra)] = true
		for _, n := range extras.strings(extra) {
			req, err := pep508.Parse(n.Text)
			if err != nil {
				p.fail(Position{p.file, n.Line}, n.Text, err)
				continue
			}
			if !known[req.Key()] {
				p.fail(Position{p.file, n.Line}, n.Text, errors.New("the extra names a package that is no dependency"))
			}
			names[req.Key()] = true
		}
	}
	return names
}

// poetryDependency reads name = "^1.2", name = { … }, or an array of such tables.
func (p *pyproject) poetryDependency(deps table, name string, wanted map[string]bool) {
	n := deps.n.Get(name)
	list := []*node{n}
	if n.IsArray() {
		list = n.Items
	}
	for _, item := range list {
		at := Position{p.file, max(item.Line, 1)}
		if item.Line == 0 {
			at = deps.at(name)
		}
		q := Requirement{Position: at, Text: name + " = " + item.Written()}
		keep, err := p.poetryRead(&q, name, item, wanted)
		if err != nil {
			p.fail(at, q.Text, err)
			continue
		}
		if keep {
			p.keep(q, false)
		}
	}
}

// poetryRead fills in q; keep is false for an optional dependency that no wanted
// extra names.
func (p *pyproject) poetryRead(q *Requirement, name string, n *node, wanted map[string]bool) (keep bool, err error) {
	if n.IsString() {
		spec, err := poetrySpecifier(n.Text)
		if err != nil {
			return false, err
		}
		return true, q.parts(name, nil, spec, nil)
	}
	if !n.IsTable() {
		return false, errors.New("must be a version constraint or a table")
	}
	t := table{p.reader, p.file, n}
	if t.is("optional") && !wanted[pep508.NormalizeName(name)] {
		return false, nil
	}
	spec, markers := "", []string(nil)
	if version := t.str("version"); version != "" {
		if spec, err = poetrySpecifier(version); err != nil {
			return false, err
		}
	}
	if t.is("allow-prereleases") || t.is("allows-prereleases") {
		// A clause that names a pre-release is PEP 440's way to accept them.
		spec = joinSpecifiers(spec, ">=0.dev0")
	}
	if m := t.str("markers"); m != "" {
		markers = append(markers, m)
	}
	if python := t.str("python"); python != "" {
		m, err := poetryPythonMarker(python)
		if err != nil {
			return false, err
		}
		if m != "" {
			markers = append(markers, m)
		}
	}
	if platform := t.str("platform"); platform != "" {
		markers = append(markers, fmt.Sprintf("sys_platform == %q", platform))
	}
	if err := q.parts(name, texts(t.strings("extras")), spec, markers); err != nil {
		return false, err
	}
	q.Index = t.str("source")
	from, found, err := p.origin(p.loc, t)
	if err != nil {
		return false, err
	}
	if found {
		from.Editable = t.is("develop")
		q.become(from)
	}
	return true, nil
}

func joinSpecifiers(a, b string) string {
	if a == "" {
		return b
	}
	return a + "," + b
}

// poetryGroup reads [tool.poetry.group.NAME] and the older dev-dependencies; false
// when there is neither.
func (p *pyproject) poetryGroup(ctx context.Context, key string, depth int, seen bool) bool {
	t := table{p.reader, p.file, p.doc.Get("tool", "poetry")}
	if t.n == nil || !t.n.IsTable() {
		return false
	}
	found := false
	all := func(deps table) {
		found = true
		for _, name := range deps.n.Names() {
			if !seen && name != "python" && !p.stopped(ctx) {
				p.poetryDependency(deps, name, nil)
			}
		}
	}
	if key == "dev" && t.n.Get("dev-dependencies") != nil {
		all(t.sub("dev-dependencies"))
	}
	groups := t.sub("group")
	for _, written := range groups.n.Names() {
		if pep508.NormalizeName(written) != key {
			continue
		}
		g := groups.sub(written)
		all(g.sub("dependencies"))
		for _, include := range g.strings("include-groups") {
			at := Position{p.file, include.Line}
			switch {
			case seen:
			case depth >= maxDepth:
				p.fail(at, include.Text, fmt.Errorf("%w: groups included more than %d deep", ErrTooLarge, maxDepth))
			case !p.group(ctx, include.Text, depth+1):
				p.fail(at, include.Text, errors.New("there is no such dependency group"))
			}
		}
	}
	return found
}
