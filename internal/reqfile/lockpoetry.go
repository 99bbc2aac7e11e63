package reqfile

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"reqpm/internal/pep508"
)

// parsePoetryLock reads poetry.lock, versions 1 and 2 of its format.
func (r *reader) parsePoetryLock(ctx context.Context, loc location, data []byte, as role) {
	l := r.openLock(ctx, loc, data, as, "poetry")
	if l == nil {
		return
	}
	meta := l.doc.sub("metadata")
	if v := meta.str("lock-version"); v != "" && !strings.HasPrefix(v, "1.") && !strings.HasPrefix(v, "2.") {
		l.unknownVersion(meta.at("lock-version"), v, "1.x and 2.x")
		return
	} else if v == "" && meta.str("content-hash") == "" {
		l.unknownVersion(meta.at("lock-version"), v, "1.x and 2.x")
		return
	}
	if python := meta.str("python-versions"); python != "" && python != "*" {
		spec, err := poetryPython(python)
		if err != nil {
			l.fail(meta.at("python-versions"), python, err)
		} else {
			l.requiresPython(meta.at("python-versions"), spec)
		}
	}
	for _, p := range l.doc.tables("package") {
		if l.stopped(ctx) {
			return
		}
		l.poetryPackage(p, meta.sub("files"))
	}
	l.finish()
}

// poetryPackage keeps one [[package]] as a pin, and as a requirement when no
// project says what is wanted.
func (l *lockFile) poetryPackage(p, files table) {
	pin := Pin{Position: p.at("name"), Name: p.str("name"), Version: p.str("version")}
	groups := texts(p.strings("groups"))
	if len(groups) == 0 { // before version 2.1
		groups = []string{"main"}
		if c := p.str("category"); c != "" {
			groups = []string{c}
		}
	}
	var possible bool
	if pin.Marker, possible = l.poetryMarkers(p, groups); !possible {
		return
	}
	if !l.poetrySource(p.sub("source"), &pin) {
		return
	}
	list := p.tables("files")
	if p.n.Get("files") == nil { // before version 2
		list = files.tables(p.str("name"))
	}
	for _, f := range list {
		pin.Hashes = addHash(pin.Hashes, f.str("hash"))
	}
	if pin.Direct != nil {
		pin.Direct.Hashes = pin.Hashes
	}
	if !l.add(pin) || l.as != asRequirements || p.is("optional") {
		return
	}
	for _, g := range groups {
		if g == "main" || l.wants(l.req.Groups, g) {
			if g != "main" {
				l.groups.found[pep508.NormalizeName(g)] = true
			}
			l.require(l.lock.Pins[len(l.lock.Pins)-1], nil)
			return
		}
	}
}

// poetryMarkers reads markers = "…", or one for each group.
func (l *lockFile) poetryMarkers(p table, groups []string) (*pep508.Marker, bool) {
	n := p.n.Get("markers")
	var list []*pep508.Marker
	read := func(n *node) bool {
		if !n.IsString() {
			l.fail(p.at("markers"), "markers", errors.New("must be a string, or a string for each group"))
			return false
		}
		m, ok := l.parseMarker(p.at("markers"), n.Text)
		if !ok {
			return false
		}
		if rest, possible := decideMarker(m, func(_, name string) bool { return l.wants(l.req.Extras, name) }); possible {
			list = append(list, rest)
		}
		return true
	}
	switch {
	case n == nil:
		return nil, true
	case !n.IsTable():
		if !read(n) {
			return nil, false
		}
	default:
		for _, g := range groups {
			if m := n.Get(g); m == nil {
				list = append(list, nil)
			} else if (g == "main" || l.wants(l.req.Groups, g) || !slices.Contains(groups, "main")) && !read(m) {
				return nil, false
			}
		}
	}
	if len(list) == 0 {
		return nil, false
	}
	all, err := anyMarker(list)
	if err != nil {
		l.fail(p.at("markers"), p.str("name"), err)
	}
	return all, err == nil
}

// poetrySource reads [package.source].
func (l *lockFile) poetrySource(s table, pin *Pin) bool {
	sub, err := cleanSubdirectory(s.str("subdirectory"))
	if err != nil {
		l.fail(s.at("subdirectory"), pin.Name, err)
		return false
	}
	var q Requirement
	switch kind := s.str("type"); kind {
	case "":
		return true
	case "legacy":
		pin.Index = s.str("reference")
		if pin.Index == "" || l.as == asRequirements { // then no pyproject.toml says what the name means
			pin.Index = s.str("url")
		}
		return true
	case "git":
		ref := s.str("resolved_reference")
		if ref == "" {
			ref = s.str("reference")
		}
		q, err = gitRequirement(s.str("url"), ref)
		q.Subdirectory = sub
	case "url":
		q, _, err = parseArchiveURL(s.str("url"))
		q.Subdirectory = sub
	case "directory", "file":
		q.Path, err = l.root.within(path.Dir(l.loc.path), s.str("url"))
		if errors.Is(err, ErrOutside) {
			l.outside(pin.Position, pin.Name, err)
			return false
		}
		if sub != "" {
			q.Path = path.Join(q.Path, sub)
		}
	default:
		err = errors.New("packages of the source type " + quote(kind) + " are not known")
	}
	if err != nil {
		l.fail(s.at("type"), pin.Name, err)
		return false
	}
	pin.Direct = &q
	return true
}

// parsePDMLock reads pdm.lock, version 4 of its format.
func (r *reader) parsePDMLock(ctx context.Context, loc location, data []byte, as role) {
	l := r.openLock(ctx, loc, data, as, "pdm")
	if l == nil {
		return
	}
	meta := l.doc.sub("metadata")
	if v := meta.str("lock_version"); v != "4" && !strings.HasPrefix(v, "4.") {
		l.unknownVersion(meta.at("lock_version"), v, "4.x")
		return
	}
	l.requiresPython(meta.at("requires_python"), meta.str("requires_python"))
	if targets := meta.tables("targets"); len(targets) == 1 {
		l.requiresPython(targets[0].at("requires_python"), targets[0].str("requires_python"))
	}
	seen := map[string]bool{}
	for _, p := range l.doc.tables("package") {
		if l.stopped(ctx) {
			return
		}
		l.pdmPackage(p, seen)
	}
	l.finish()
}

// pdmPackage keeps one [[package]]. PDM repeats a package for its extras.
func (l *lockFile) pdmPackage(p table, seen map[string]bool) {
	pin := Pin{Position: p.at("name"), Name: p.str("name"), Version: p.str("version")}
	var ok bool
	if pin.Marker, ok = l.parseMarker(p.at("marker"), p.str("marker")); !ok {
		return
	}
	if q, found, err := l.pdmOrigin(p); errors.Is(err, ErrOutside) {
		l.outside(pin.Position, pin.Name, err)
		return
	} else if err != nil {
		l.fail(pin.Position, pin.Name, err)
		return
	} else if found {
		pin.Direct = &q
	}
	for _, f := range p.tables("files") {
		pin.Hashes = addHash(pin.Hashes, f.str("hash"))
	}
	if pin.Direct != nil {
		pin.Direct.Hashes = pin.Hashes
	}
	extras := texts(p.strings("extras"))
	key := strings.Join([]string{pep508.NormalizeName(pin.Name), pin.Version, pin.Marker.String()}, " ")
	if len(extras) == 0 || !seen[key] {
		if seen[key] = true; !l.add(pin) {
			return
		}
		pin = l.lock.Pins[len(l.lock.Pins)-1]
	}
	groups := texts(p.strings("groups"))
	if l.as != asRequirements {
		return
	}
	if len(groups) == 0 {
		groups = []string{"default"}
	}
	for _, g := range groups {
		if g == "default" || l.wants(l.req.Groups, g) || l.wants(l.req.Extras, g) {
			key := pep508.NormalizeName(g)
			l.groups.found[key], l.extras.found[key] = true, true
			l.require(pin, extras)
			return
		}
	}
}

// pdmOrigin reads git, url or path of a package; the commit is in revision.
func (l *lockFile) pdmOrigin(p table) (q Requirement, found bool, err error) {
	sub, err := cleanSubdirectory(p.str("subdirectory"))
	if err != nil {
		return q, true, err
	}
	switch {
	case p.str("git") != "":
		ref := p.str("revision")
		if ref == "" {
			ref = p.str("ref")
		}
		q, err = gitRequirement(p.str("git"), ref)
	case p.str("url") != "":
		q, _, err = parseArchiveURL(p.str("url"))
	case p.str("path") != "":
		q.Path, err = l.root.within(path.Dir(l.loc.path), p.str("path"))
		q.Editable = p.is("editable")
	default:
		return q, false, nil
	}
	q.Subdirectory = sub
	return q, true, err
}
