package reqfile

import (
	"context"
	"errors"
	"slices"
	"strings"

	"reqpm/internal/pep508"
)

// parsePipfile reads [packages], the other sections that are wanted as groups
// (dev-packages is the group dev), and the Pipfile.lock beside it.
func (r *reader) parsePipfile(ctx context.Context, loc location, data []byte, _ role) {
	doc, ok := r.openTOML(loc, data)
	if !ok {
		return
	}
	r.pipenvSources(doc.tables("source"))
	if python := doc.sub("requires").str("python_version"); python != "" {
		r.warn(doc.sub("requires").at("python_version"), "the Pipfile is written for Python %s; it is read for the target's", quote(python))
	}
	if doc.sub("pipenv").is("allow_prereleases") {
		r.set.Options.Pre = true
	}
	r.groups.at = Position{File: doc.file}
	for _, section := range doc.n.Names() {
		group, isSection := pipenvGroup(section)
		if !isSection || !doc.n.Get(section).IsTable() {
			continue
		}
		if group != "" {
			r.groups.known = append(r.groups.known, group)
			if !r.wants(r.req.Groups, group) {
				continue
			}
			r.groups.found[pep508.NormalizeName(group)] = true
		}
		t := doc.sub(section)
		for _, name := range t.n.Names() {
			if r.stopped(ctx) {
				return
			}
			r.pipenvPackage(loc, t, name)
		}
	}
	lock := loc.path + ".lock"
	if r.root.isFile(lock) {
		r.readAlong(ctx, lock)
	}
}

// pipenvGroup is the group a section of a Pipfile goes by, "" for the packages that
// are always wanted; isSection is false for what holds no packages.
func pipenvGroup(section string) (group string, isSection bool) {
	switch section {
	case "packages", "default":
		return "", true
	case "dev-packages", "develop":
		return "dev", true
	case "source", "requires", "scripts", "pipenv", "pipfile", "_meta":
		return "", false
	}
	return section, true
}

// pipenvSources takes over [[source]]: the first is the default index, packages
// may name the others.
func (r *reader) pipenvSources(list []table) {
	for i, s := range list {
		r.addIndex(s, NamedIndex{Default: i == 0, Explicit: i > 0})
	}
}

// pipenvPackage reads name = "specifier" or name = { … }.
func (r *reader) pipenvPackage(loc location, section table, name string) {
	n, at := section.n.Get(name), section.at(name)
	text := name + " = " + n.Written()
	q := Requirement{Position: at, Text: text}
	t := table{r, section.file, n}
	version := n.Text
	switch {
	case n.IsTable():
		version = t.str("version")
	case !n.IsString():
		r.fail(at, name, errors.New("must be a string or a table"))
		return
	}
	markers := pipenvMarkers(t)
	if err := q.parts(name, texts(t.strings("extras")), version, markers); err != nil {
		r.fail(at, text, err)
		return
	}
	if !n.IsTable() {
		r.keep(q, false)
		return
	}
	q.Index, q.Editable = t.str("index"), t.is("editable")
	from, found, err := r.origin(loc, t)
	if err != nil {
		r.fail(at, text, err)
		return
	}
	if found {
		from.Editable = q.Editable
		q.become(from)
	}
	r.keep(q, false)
}

// parts fills in name, extras, specifiers and marker, each as text.
func (q *Requirement) parts(name string, extras []string, specifier string, markers []string) error {
	text := name
	if len(extras) > 0 {
		text += "[" + strings.Join(extras, ",") + "]"
	}
	specifier = strings.TrimSpace(specifier)
	if specifier != "" && specifier[0] >= '0' && specifier[0] <= '9' { // Pipenv and Poetry take a bare version for ==
		specifier = "==" + specifier
	}
	if specifier != "" && specifier != "*" {
		text += " " + specifier
	}
	for i, m := range markers {
		if i == 0 {
			text += " ; "
		} else {
			text += " and "
		}
		text += "(" + m + ")"
	}
	req, err := pep508.Parse(text)
	if err != nil {
		return explain(text, err)
	}
	q.Requirement = req
	return nil
}

// pipenvMarkers are markers = "…", and the marker variables as keys of their own:
// sys_platform = "== 'linux'".
func pipenvMarkers(t table) []string {
	if t.n == nil || !t.n.IsTable() {
		return nil
	}
	var list []string
	if m := t.str("markers"); m != "" {
		list = append(list, m)
	}
	for _, key := range []string{"os_name", "sys_platform", "platform_machine", "platform_python_implementation", "platform_release",
		"platform_system", "platform_version", "python_version", "python_full_version", "implementation_name", "implementation_version"} {
		if value := t.str(key); value != "" {
			list = append(list, key+" "+value)
		}
	}
	return list
}

// parsePipfileLock reads Pipfile.lock, version 6 of its format.
func (r *reader) parsePipfileLock(ctx context.Context, loc location, data []byte, as role) {
	if as == asRequirements && r.readProjectOf(ctx, loc) {
		return
	}
	doc, ok := r.opened(loc)(parseJSON(data))
	if !ok {
		return
	}
	l := &lockFile{reader: r, loc: loc, as: as, doc: doc,
		lock: Lock{File: loc.String(), Format: "pipenv", Complete: true}}
	meta := l.doc.sub("_meta")
	if v := meta.n.Get("pipfile-spec"); v == nil || v.Text != "6" {
		have := ""
		if v != nil {
			have = v.Text
		}
		l.unknownVersion(meta.at("pipfile-spec"), have, "6")
		return
	}
	requires := meta.sub("requires")
	if v := requires.str("python_full_version"); v != "" {
		l.requiresPython(requires.at("python_full_version"), "=="+v)
	} else if v := requires.str("python_version"); v != "" && v != "*" {
		l.requiresPython(requires.at("python_version"), "=="+v+".*")
	}
	if as == asRequirements {
		l.pipenvSources(meta.tables("sources"))
	}
	l.pipenvSections(ctx)
	l.finish()
}

// pipenvSections reads default, and the sections wanted as groups.
func (l *lockFile) pipenvSections(ctx context.Context) {
	chosen := map[string]string{} // versions by name: sections may repeat each other
	for _, section := range l.doc.n.Names() {
		group, isSection := pipenvGroup(section)
		if !isSection || !l.doc.n.Get(section).IsTable() {
			continue
		}
		if group != "" && !l.wants(l.req.Groups, group) {
			continue
		}
		l.groups.found[pep508.NormalizeName(group)] = true
		t := l.doc.sub(section)
		for _, name := range t.n.Names() {
			if l.stopped(ctx) {
				return
			}
			key, version := pep508.NormalizeName(name), t.sub(name).str("version")
			if first, twice := chosen[key]; !twice {
				chosen[key] = version
				l.pipenvPin(t.sub(name), name)
			} else if first != version {
				l.warn(t.at(name), "%s%s is left out: another section has %s, which goes before it", name, version, first)
			}
		}
	}
}

func (l *lockFile) pipenvPin(t table, name string) {
	at := Position{l.doc.file, 0}
	if t.n == nil {
		return
	}
	at.Line = t.n.Line
	pin := Pin{Position: at, Name: name, Index: t.str("index"), Version: strings.TrimLeft(t.str("version"), "= ")}
	markers := pipenvMarkers(t)
	if len(markers) > 0 {
		m, ok := l.parseMarker(at, "("+strings.Join(markers, ") and (")+")")
		if !ok {
			return
		}
		var possible bool
		pin.Marker, possible = decideMarker(m, func(kind, name string) bool { return kind == "group" && l.wants(l.req.Groups, name) })
		if !possible {
			return
		}
	}
	from, found, err := l.origin(l.loc, t)
	switch {
	case errors.Is(err, ErrOutside):
		l.outside(at, name, err)
		return
	case err != nil:
		l.fail(at, name, err)
		return
	case found:
		from.Editable = t.is("editable")
		pin.Direct = &from
	}
	for _, h := range t.strings("hashes") {
		pin.Hashes = addHash(pin.Hashes, h.Text)
	}
	if pin.Direct != nil {
		pin.Direct.Hashes = slices.Concat(pin.Direct.Hashes, pin.Hashes)
	}
	if l.add(pin) && l.as == asRequirements {
		l.require(l.lock.Pins[len(l.lock.Pins)-1], texts(t.strings("extras")))
	}
}
