package reqfile

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"reqpm/internal/pep508"
)

// source says where a package named in [project] comes from: an entry of
// [tool.uv.sources], or a table of [tool.poetry.dependencies] beside [project].
type source struct {
	table
	loc    location // the file it stands in
	poetry bool
}

// readSources collects the sources of the file and of its workspace's root, which
// hold where the file itself says nothing.
func (p *pyproject) readSources() {
	if p.space != nil && p.space.dir != path.Dir(p.loc.path) {
		root := location{path: p.space.file}
		p.addSources(root, table{p.reader, root.path, p.space.doc.Get("tool", "uv", "sources")})
	}
	p.addSources(p.loc, table{p.reader, p.file, p.doc.Get("tool", "uv", "sources")})
	if !p.project.IsTable() || p.isDynamic("dependencies") {
		return
	}
	deps := table{p.reader, p.file, p.doc.Get("tool", "poetry", "dependencies")}
	for _, name := range deps.n.Names() {
		for _, n := range oneOrMore(deps.n.Get(name)) {
			if n.IsTable() {
				key := pep508.NormalizeName(name)
				p.sources[key] = append(p.sources[key], source{table{p.reader, p.file, n}, p.loc, true})
			}
		}
	}
}

func (p *pyproject) addSources(loc location, t table) {
	for _, name := range t.n.Names() {
		var list []source
		for _, n := range oneOrMore(t.n.Get(name)) {
			if !n.IsTable() {
				p.fail(t.at(name), name, errors.New("a source must be a table"))
				continue
			}
			list = append(list, source{table{p.reader, t.file, n}, loc, false})
		}
		p.sources[pep508.NormalizeName(name)] = list
	}
}

func oneOrMore(n *node) []*node {
	if n.IsArray() {
		return n.Items
	}
	return []*node{n}
}

// keepFromSource keeps a requirement of [project] with what sources say of its
// name: once for each source, whose markers tell them apart, and once from
// everywhere else where they leave something over.
func (p *pyproject) keepFromSource(q Requirement) {
	list := p.sources[q.Key()]
	if q.Direct() || len(list) == 0 {
		p.keep(q, false)
		return
	}
	var others []*pep508.Marker
	applied := false
	for _, s := range list {
		if !p.applies(s) {
			continue
		}
		one, marker, err := p.from(q, s)
		if err != nil {
			p.fail(s.at(""), q.Name, err)
			return
		}
		applied = true
		p.keep(one, false)
		if marker == nil {
			return
		}
		others = append(others, marker)
	}
	if !applied {
		p.keep(q, false)
		return
	}
	for _, m := range others {
		not, err := m.Not()
		if err == nil {
			q.Marker, err = bothMarkers(q.Marker.String(), not)
		}
		if err != nil {
			p.fail(q.Position, q.Text, err)
			return
		}
	}
	p.keep(q, false)
}

// applies tells whether a source is for the extra or group being read.
func (p *pyproject) applies(s source) bool {
	extra, group := s.str("extra"), s.str("group")
	return (extra == "" || pep508.NormalizeName(extra) == p.within.extra) &&
		(group == "" || pep508.NormalizeName(group) == p.within.group)
}

// from makes q come from a source; marker is the source's own.
func (p *pyproject) from(q Requirement, s source) (one Requirement, marker *pep508.Marker, err error) {
	if text := s.str("marker"); text != "" && !s.poetry {
		if marker, err = pep508.ParseMarker(text); err != nil {
			return q, nil, err
		}
		if q.Marker, err = bothMarkers(q.Marker.String(), marker); err != nil {
			return q, nil, err
		}
	}
	if text := s.str("markers"); text != "" && s.poetry {
		if q.Marker, err = bothMarkers(q.Marker.String(), mustMarker(text, &err)); err != nil {
			return q, nil, err
		}
	}
	switch {
	case s.is("workspace"):
		if p.space == nil {
			return q, nil, errors.New("workspace = true, but the project is part of no workspace")
		}
		dir, ok := p.space.members[q.Key()]
		if !ok {
			return q, nil, fmt.Errorf("the workspace of %s has no member of this name", p.space.file)
		}
		q.become(Requirement{Path: dir, Editable: s.n.Get("editable").Is("true")})
		p.reachMembers(dir)
		return q, marker, nil
	case s.str("index") != "":
		q.Index = s.str("index")
		return q, marker, nil
	case s.poetry && s.str("source") != "":
		q.Index = s.str("source")
	}
	found := false
	var where Requirement
	if where, found, err = p.origin(s.loc, s.table); err != nil {
		return q, nil, err
	}
	if !found && !s.poetry {
		return q, nil, errors.New("the source names none of git, url, path, index, workspace")
	}
	if found {
		where.Editable = s.n.Get("editable").Is("true") || s.n.Get("develop").Is("true")
		q.become(where)
	}
	return q, marker, nil
}

// mustMarker parses a marker; what is wrong goes to err.
func mustMarker(text string, err *error) *pep508.Marker {
	m, e := pep508.ParseMarker(text)
	if e != nil {
		*err = e
	}
	return m
}

// restrictions reads what [tool.uv] says of versions beyond [project]. In a
// workspace its root says it.
func (p *pyproject) restrictions() {
	loc, doc := p.loc, p.doc
	if p.space != nil {
		loc, doc = location{path: p.space.file}, p.space.doc
	}
	uv := table{p.reader, loc.String(), doc.Get("tool", "uv")}
	if uv.n == nil || !uv.n.IsTable() {
		return
	}
	for _, kind := range []struct {
		key  string
		list *[]Requirement
	}{
		{"constraint-dependencies", &p.set.Constraints},
		{"override-dependencies", &p.set.Overrides},
		{"build-constraint-dependencies", &p.set.BuildConstraints},
	} {
		for _, n := range uv.strings(kind.key) {
			at := Position{uv.file, n.Line}
			q, _, err := p.parseStrict(loc, n.Text)
			if err != nil {
				p.fail(at, n.Text, err)
				continue
			}
			q.Position, q.Text = at, n.Text
			if len(*kind.list) < maxRequirements {
				*kind.list = append(*kind.list, q)
			}
		}
	}
	if strings.HasPrefix(uv.str("prerelease"), "allow") {
		p.set.Options.Pre = true
	}
}

// readIndexes takes over the indexes the file names, in the order its tool asks
// them.
func (p *pyproject) readIndexes() {
	tool := table{p.reader, p.file, p.doc}.sub("tool")
	p.uvIndexes(tool.sub("uv"))
	if p.space != nil && p.space.dir != path.Dir(p.loc.path) {
		p.uvIndexes(table{p.reader, p.space.file, p.space.doc.Get("tool", "uv")})
	}
	primary := false
	for _, s := range tool.sub("poetry").tables("source") {
		kind := s.str("priority")
		index := NamedIndex{Explicit: kind == "explicit"}
		if !primary && (kind == "" && !s.is("secondary") || kind == "primary" || kind == "default") {
			// Poetry asks the index of the configuration only where no source is primary.
			index.Default, primary = true, true
		}
		p.addIndex(s, index)
	}
	for _, s := range tool.sub("pdm").tables("source") {
		if s.str("type") == "find_links" {
			if url := s.str("url"); urlScheme(url) == "http" || urlScheme(url) == "https" {
				p.set.Options.FindLinks = append(p.set.Options.FindLinks, url)
			} else {
				p.warn(s.at("url"), "the source %s is left out: only addresses are followed", quote(url))
			}
			continue
		}
		p.addIndex(s, NamedIndex{Default: s.str("name") == "pypi"}) // PDM's name of its default index
	}
}

func (p *pyproject) uvIndexes(uv table) {
	if uv.n == nil || !uv.n.IsTable() {
		return
	}
	for _, s := range uv.tables("index") {
		if s.str("format") == "flat" {
			p.warn(s.at("format"), "the index %s is a flat list of files; it is left out", quote(s.str("name")))
			continue
		}
		p.addIndex(s, NamedIndex{Explicit: s.is("explicit"), Default: s.is("default")})
	}
	o := &p.set.Options
	if url := uv.str("index-url"); url != "" {
		o.IndexURL = url
	}
	for _, n := range uv.strings("extra-index-url") {
		o.ExtraIndexURLs = append(o.ExtraIndexURLs, n.Text)
	}
	o.NoIndex = o.NoIndex || uv.is("no-index")
}

// addIndex completes an index with its table's name and url and keeps it, once.
func (r *reader) addIndex(t table, index NamedIndex) {
	const most = 100
	url, _, unset := expandVariables(t.str("url"), r.req.Getenv)
	for _, name := range unset {
		r.warn(t.at("url"), "the environment variable %s is not set; ${%s} stays as it is", name, name)
	}
	index.Position, index.Name, index.URL = t.at("url"), t.str("name"), url
	if index.URL == "" && index.Name == "" {
		r.fail(index.Position, "", errors.New("an index needs a url"))
		return
	}
	for _, have := range r.set.Options.Indexes {
		if have.Name == index.Name && have.URL == index.URL {
			return
		}
	}
	if len(r.set.Options.Indexes) >= most {
		r.fail(index.Position, index.Name, fmt.Errorf("%w: more than %d indexes", ErrTooLarge, most))
		return
	}
	r.set.Options.Indexes = append(r.set.Options.Indexes, index)
}
