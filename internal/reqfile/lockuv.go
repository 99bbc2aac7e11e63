package reqfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strconv"
	"strings"

	"reqpm/internal/pep508"
)

// parseUVLock reads uv.lock, format version 1 of any revision: revisions only add
// keys.
func (r *reader) parseUVLock(ctx context.Context, loc location, data []byte, as role) {
	l := r.openLock(ctx, loc, data, as, "uv")
	if l == nil {
		return
	}
	if v := l.doc.n.Get("version"); v == nil || v.Text != "1" {
		have := ""
		if v != nil {
			have = v.Text
		}
		l.unknownVersion(l.doc.at("version"), have, "1")
		return
	}
	l.requiresPython(l.doc.at("requires-python"), l.doc.str("requires-python"))
	var members []table
	l.manifest = map[string]bool{}
	if names := l.doc.n.Get("manifest", "members"); names.IsArray() {
		for _, m := range names.Items {
			l.manifest[pep508.NormalizeName(m.Text)] = true
		}
	}
	for _, p := range l.doc.tables("package") {
		if l.stopped(ctx) {
			return
		}
		if l.uvPackage(p) {
			members = append(members, p)
		}
	}
	l.finish()
	if as == asRequirements {
		l.uvRoots(members)
	}
}

// uvPackage keeps one [[package]] as a pin. member is true for the projects of the
// workspace that the lock was made for.
func (l *lockFile) uvPackage(p table) (member bool) {
	at := p.at("name")
	pin := Pin{Position: at, Name: p.str("name"), Version: p.str("version")}
	source := p.sub("source")
	for _, kind := range []string{"virtual", "editable", "directory"} {
		dir := source.str(kind)
		if dir == "" {
			continue
		}
		if dir == "." {
			member = true
		}
		inside, err := l.root.within(path.Dir(l.loc.path), dir)
		if err != nil {
			l.outside(at, pin.Name, err)
			return false
		}
		pin.Direct = &Requirement{Path: inside, Editable: kind == "editable"}
	}
	member = member || l.manifest[pep508.NormalizeName(pin.Name)]
	var err error
	switch {
	case source.str("registry") != "":
		pin.Index = source.str("registry")
	case source.str("git") != "":
		pin.Direct, err = uvGit(source.str("git"))
	case source.str("url") != "":
		var q Requirement
		if q, _, err = parseArchiveURL(source.str("url")); err == nil {
			q.Subdirectory, err = cleanSubdirectory(source.str("subdirectory"))
		}
		pin.Direct = &q
	case source.str("path") != "":
		var inside string
		if inside, err = l.root.within(path.Dir(l.loc.path), source.str("path")); err == nil {
			pin.Direct = &Requirement{Path: inside}
		}
	}
	if errors.Is(err, ErrOutside) {
		l.outside(at, pin.Name, err)
		return false
	}
	if err != nil {
		l.fail(p.at("source"), pin.Name, err)
		return false
	}
	pin.Hashes = addHash(pin.Hashes, p.sub("sdist").str("hash"))
	for _, wheel := range p.tables("wheels") {
		pin.Hashes = addHash(pin.Hashes, wheel.str("hash"))
	}
	if pin.Direct != nil {
		pin.Direct.Hashes = pin.Hashes
	}
	l.uvForks(p, pin)
	return member
}

// outside leaves out a package of a folder beyond the project: it matters only
// when something needs it, which then has no pin.
func (l *lockFile) outside(at Position, name string, err error) {
	l.lock.Complete = false
	l.warn(at, "%s is left out: %v", name, err)
}

// uvForks keeps the pin with the environments it is for. uv names them where a
// package has several versions, as alternatives.
func (l *lockFile) uvForks(p table, pin Pin) {
	var forks []*pep508.Marker
	for _, n := range p.strings("resolution-markers") {
		m, ok := l.parseMarker(Position{l.doc.file, n.Line}, n.Text)
		if !ok {
			return
		}
		if rest, possible := decideMarker(m, l.uvConflict); possible {
			forks = append(forks, rest)
		}
	}
	if len(forks) == 0 {
		if len(p.strings("resolution-markers")) == 0 {
			l.add(pin)
		}
		return
	}
	if all, err := anyMarker(forks); err == nil {
		pin.Marker = all
		l.add(pin)
		return
	}
	for _, m := range forks { // together they are longer than a marker may be
		pin.Marker = m
		l.add(pin)
	}
}

// uvConflict answers uv's own extras in markers, "extra-7-project-cpu" and
// "group-7-project-dev", which tell declared conflicts apart (tool.uv.conflicts).
func (l *lockFile) uvConflict(kind, name string) bool {
	if kind != "extra" {
		return false
	}
	prefix, rest, _ := strings.Cut(name, "-")
	digits, rest, _ := strings.Cut(rest, "-")
	length, err := strconv.Atoi(digits)
	if err != nil || length < 1 || length > len(rest) {
		return l.wants(l.req.Extras, name)
	}
	item := strings.TrimPrefix(rest[length:], "-")
	switch prefix {
	case "extra":
		return l.wants(l.req.Extras, item)
	case "group":
		return l.wants(l.req.Groups, item)
	case "project":
		return true
	}
	return l.wants(l.req.Extras, name)
}

// wants tells whether name is among list, as PEP 503 compares names.
func (r *reader) wants(list []string, name string) bool {
	for _, w := range list {
		if pep508.NormalizeName(w) == pep508.NormalizeName(name) {
			return true
		}
	}
	return false
}

// uvGit reads "https://host/repo?subdirectory=dir&rev=v1#commit".
func uvGit(text string) (*Requirement, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("not a usable repository address: %w", withoutURL(err))
	}
	query, commit := u.Query(), u.Fragment
	u.RawQuery, u.Fragment = "", ""
	q, err := gitRequirement(u.String(), commit)
	if err == nil {
		q.Subdirectory, err = cleanSubdirectory(query.Get("subdirectory"))
	}
	return &q, err
}

// cleanSubdirectory is a folder inside of an archive or repository.
func cleanSubdirectory(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	dir = path.Clean(dir)
	if !fs.ValidPath(dir) {
		return "", fmt.Errorf("the subdirectory %s leads %w", quote(dir), ErrOutside)
	}
	if dir == "." {
		return "", nil
	}
	return dir, nil
}

// uvRoots makes requirements of what the lock says its projects asked for.
func (l *lockFile) uvRoots(members []table) {
	manifest := l.doc.sub("manifest")
	for _, dep := range manifest.tables("requirements") { // of a script
		l.uvRequirement(dep)
	}
	if len(members) == 0 {
		if manifest.n.Get("requirements") != nil {
			return
		}
		l.fail(Position{File: l.doc.file}, "", errors.New("the lock names no project that it is for, and there is no pyproject.toml beside it"))
		return
	}
	l.extras.at, l.groups.at = members[0].at("name"), members[0].at("name")
	for _, m := range members {
		meta := m.sub("metadata")
		l.describeRoot(m, meta)
		for _, dep := range meta.tables("requires-dist") {
			l.uvRequirement(dep)
		}
		for _, group := range meta.sub("requires-dev").n.Names() {
			l.groups.known = append(l.groups.known, group)
			if !l.wants(l.req.Groups, group) {
				continue
			}
			l.groups.found[pep508.NormalizeName(group)] = true
			for _, dep := range meta.sub("requires-dev").tables(group) {
				l.uvRequirement(dep)
			}
		}
	}
}

// describeRoot says what the first member is, and which extras there are.
func (l *lockFile) describeRoot(m, meta table) {
	about := &Project{Name: m.str("name"), Version: m.str("version"), RequiresPython: l.lock.RequiresPython, Position: m.at("name")}
	for _, extra := range meta.strings("provides-extras") {
		key := pep508.NormalizeName(extra.Text)
		about.Extras = append(about.Extras, key)
		l.extras.known = append(l.extras.known, extra.Text)
		if l.wants(l.req.Extras, key) {
			l.extras.found[key] = true
		}
	}
	for _, group := range meta.sub("requires-dev").n.Names() {
		about.Groups = append(about.Groups, pep508.NormalizeName(group))
	}
	l.setProject(about)
}

// uvRequirement reads { name, extras, specifier, marker, and where from }.
func (l *lockFile) uvRequirement(dep table) {
	name, at := dep.str("name"), dep.at("name")
	text := name
	if extras := dep.strings("extras"); len(extras) > 0 {
		text += "[" + strings.Join(texts(extras), ",") + "]"
	}
	if spec := dep.str("specifier"); spec != "" {
		text += " " + spec
	}
	if marker := dep.str("marker"); marker != "" {
		text += " ; " + marker
	}
	req, err := pep508.Parse(text)
	if err != nil {
		l.fail(at, text, err)
		return
	}
	q := Requirement{Requirement: req, Position: at, Text: text}
	var possible bool
	q.Marker, possible = decideMarker(req.Marker, func(_, extra string) bool { return l.wants(l.req.Extras, extra) })
	if possible {
		err = l.uvOrigin(&q, dep)
	}
	if err != nil {
		l.fail(at, text, err)
		return
	}
	if possible {
		l.keep(q, false)
	}
}

// uvOrigin reads where a requirement of the lock is to come from.
func (l *lockFile) uvOrigin(q *Requirement, dep table) error {
	switch {
	case dep.str("index") != "":
		q.Index = dep.str("index")
	case dep.str("git") != "":
		from, err := uvGit(dep.str("git"))
		if err != nil {
			return err
		}
		q.become(*from)
	case dep.str("url") != "":
		from, _, err := parseArchiveURL(dep.str("url"))
		if err != nil {
			return err
		}
		if from.Subdirectory, err = cleanSubdirectory(dep.str("subdirectory")); err != nil {
			return err
		}
		q.become(from)
	default:
		for _, kind := range []string{"path", "editable", "directory", "virtual"} {
			dir := dep.str(kind)
			if dir == "" {
				continue
			}
			inside, err := l.root.within(path.Dir(l.loc.path), dir)
			if err != nil {
				return err
			}
			q.become(Requirement{Path: inside, Editable: kind == "editable"})
		}
	}
	return nil
}
