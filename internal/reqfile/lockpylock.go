package reqfile

import (
	"context"
	"errors"
	"fmt"
	"path"

	"reqpm/internal/pep508"
)

// parsePylock reads pylock.toml (PEP 751), version 1.0. Named by itself, every
// package of it is a requirement, as an installer takes it.
func (r *reader) parsePylock(ctx context.Context, loc location, data []byte, as role) {
	l := r.openLock(ctx, loc, data, as, "pylock")
	if l == nil {
		return
	}
	if v := l.doc.str("lock-version"); v != "1.0" {
		l.unknownVersion(l.doc.at("lock-version"), v, "1.0")
		return
	}
	l.requiresPython(l.doc.at("requires-python"), l.doc.str("requires-python"))
	holds := l.pylockNames()
	for _, p := range l.doc.tables("packages") {
		if l.stopped(ctx) {
			return
		}
		l.pylockPackage(p, holds)
	}
	l.finish()
}

// pylockNames answers the markers of PEP 751 for the extras and groups wanted;
// without groups wanted the lock's default groups are.
func (l *lockFile) pylockNames() func(kind, name string) bool {
	groups := l.req.Groups
	if len(groups) == 0 {
		groups = texts(l.doc.strings("default-groups"))
	}
	note := func(w *wanted, key string) {
		w.at = l.doc.at(key)
		for _, n := range l.doc.strings(key) {
			w.known = append(w.known, n.Text)
			w.found[pep508.NormalizeName(n.Text)] = true
		}
	}
	if l.as == asRequirements {
		note(&l.extras, "extras")
		note(&l.groups, "dependency-groups")
	}
	return func(kind, name string) bool {
		if kind == "group" {
			return l.wants(groups, name)
		}
		return l.wants(l.req.Extras, name)
	}
}

func (l *lockFile) pylockPackage(p table, holds func(kind, name string) bool) {
	pin := Pin{Position: p.at("name"), Name: p.str("name"), Version: p.str("version"), Index: p.str("index")}
	m, ok := l.parseMarker(p.at("marker"), p.str("marker"))
	if !ok {
		return
	}
	var possible bool
	if pin.Marker, possible = decideMarker(m, holds); !possible {
		return
	}
	for _, key := range []string{"sdist", "archive"} {
		pin.addHashes(p.sub(key))
	}
	for _, wheel := range p.tables("wheels") {
		pin.addHashes(wheel)
	}
	var err error
	if pin.Direct, err = l.pylockOrigin(p); err != nil {
		if errors.Is(err, ErrOutside) {
			l.outside(pin.Position, pin.Name, err)
			return
		}
		l.fail(pin.Position, pin.Name, err)
		return
	}
	if pin.Direct != nil {
		pin.Direct.Hashes = pin.Hashes
	}
	if l.add(pin) && l.as == asRequirements {
		l.require(l.lock.Pins[len(l.lock.Pins)-1], nil)
	}
}

// addHashes takes those of a file's table: hashes = { sha256 = "…" }.
func (p *Pin) addHashes(file table) {
	hashes := file.sub("hashes")
	for _, algorithm := range hashes.n.Names() {
		p.Hashes = addHash(p.Hashes, algorithm+":"+hashes.str(algorithm))
	}
}

// pylockOrigin reads vcs, archive or directory; nil for a package of an index.
func (l *lockFile) pylockOrigin(p table) (*Requirement, error) {
	dir := path.Dir(l.loc.path)
	var q Requirement
	var err error
	from := table{}
	switch {
	case p.n.Get("vcs").IsTable():
		from = p.sub("vcs")
		if kind := from.str("type"); kind != "git" {
			return nil, fmt.Errorf("repositories of %s are not supported", quote(kind))
		}
		if from.str("url") == "" {
			return nil, errors.New("a repository without url")
		}
		q, err = gitRequirement(from.str("url"), from.str("commit-id"))
	case p.n.Get("archive").IsTable():
		if from = p.sub("archive"); from.str("url") != "" {
			q, _, err = parseArchiveURL(from.str("url"))
		} else {
			q.Path, err = l.root.within(dir, from.str("path"))
		}
	case p.n.Get("directory").IsTable():
		from = p.sub("directory")
		q.Path, err = l.root.within(dir, from.str("path"))
		q.Editable = from.is("editable")
	default:
		return nil, nil
	}
	if err == nil {
		q.Subdirectory, err = cleanSubdirectory(from.str("subdirectory"))
	}
	return &q, err
}
