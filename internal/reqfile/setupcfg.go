package reqfile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// parseSetupCfg reads setuptools' declarative form: [options] install_requires and
// python_requires, [options.extras_require].
func (r *reader) parseSetupCfg(ctx context.Context, loc location, data []byte, _ role) {
	text, _, err := decode(data)
	if err != nil {
		r.fail(Position{File: loc.String()}, "", err)
		return
	}
	s := newSetupFile(r, loc)
	f := parseINI(text)
	options, meta := f.section("options"), f.section("metadata")
	if options == nil && meta == nil {
		if len(r.stack) == 1 { // beside a setup.py it may hold settings of tools only
			r.fail(Position{File: s.file}, "", errNoSetup)
		}
		return
	}
	about := &Project{Position: Position{s.file, 1}, HasBuildSystem: true}
	if meta != nil {
		about.Position.Line = meta.line
	}
	if v, ok := meta.get("name"); ok {
		about.Name = v.text()
	}
	if v, ok := meta.get("version"); ok {
		about.Version = v.text()
	}
	if v, ok := options.get("python_requires"); ok {
		about.RequiresPython = s.python(Position{s.file, v.line}, v.text())
	}
	s.describeSetup(about)
	r.extras.at = Position{s.file, 1}
	if extras := f.section("options.extras_require"); extras != nil {
		r.extras.at.Line = extras.line
		for _, name := range extras.keys {
			s.noteExtra(about, name, func(marker *pep508.Marker) { s.cfgList(ctx, extras.values[name], marker) })
		}
	}
	if v, ok := options.get("install_requires"); ok {
		s.cfgList(ctx, v, nil)
	}
	s.wantedExtras(about)
}

// errNoSetup is for files that only configure tools.
var errNoSetup = errors.New("it has neither [options] nor [metadata], so it asks for nothing")

// setupFile is a setup.cfg or setup.py being read.
type setupFile struct {
	*reader
	loc     location
	file    string
	own     map[string][]func(marker *pep508.Marker) // what reads an extra, by PEP 685 name
	entered map[string]bool                          // extras read, against loops
	unknown bool                                     // there may be extras that only the backend knows
}

func newSetupFile(r *reader, loc location) *setupFile {
	return &setupFile{
		reader: r, loc: loc, file: loc.String(),
		own: map[string][]func(*pep508.Marker){}, entered: map[string]bool{},
	}
}

// describeSetup takes over what the file says of the project. Fields it does not
// spell out are left empty.
func (s *setupFile) describeSetup(about *Project) {
	if about.Name != "" && !isName(about.Name) {
		about.Name = ""
	}
	if _, err := pep440.Parse(about.Version); err != nil {
		about.Version = ""
	}
	s.setProject(about)
}

func (s *setupFile) python(at Position, text string) string {
	if _, err := pep440.ParseSpecifiers(text); err != nil {
		s.fail(at, text, err)
		return ""
	}
	return text
}

// noteExtra takes down an extra and what reads it.
func (s *setupFile) noteExtra(about *Project, name string, read func(marker *pep508.Marker)) {
	key := pep508.NormalizeName(name)
	if len(s.own[key]) == 0 {
		about.Extras = append(about.Extras, key)
		s.extras.known = append(s.extras.known, name)
	}
	s.own[key] = append(s.own[key], read)
}

// wantedExtras reads the extras that were asked for.
func (s *setupFile) wantedExtras(about *Project) {
	for _, key := range about.Extras {
		if s.wants(s.req.Extras, key) {
			s.extras.found[key] = true
			s.extra(key, nil)
		}
	}
}

// extra reads one extra, once for each marker; false when there is none.
func (s *setupFile) extra(name string, marker *pep508.Marker) bool {
	key := pep508.NormalizeName(name)
	visit := key + ";" + marker.String()
	if !s.entered[visit] && len(s.entered) <= maxFiles {
		s.entered[visit] = true
		for _, read := range s.own[key] {
			read(marker)
		}
	}
	return len(s.own[key]) > 0 || s.unknown
}

// cfgList reads requirements a line each, or on one line with semicolons between
// them, or "file: name".
func (s *setupFile) cfgList(ctx context.Context, v iniValue, marker *pep508.Marker) {
	lines := v.lines
	if len(lines) == 0 {
		return
	}
	if files, ok := strings.CutPrefix(lines[0].text, "file:"); ok {
		for name := range strings.SplitSeq(files, ",") {
			at := Position{s.file, lines[0].number}
			loc, err := s.root.include(s.loc, strings.TrimSpace(name))
			if err != nil {
				s.fail(at, lines[0].text, err)
				continue
			}
			s.readFile(ctx, loc, at, lines[0].text, asRequirements)
		}
		return
	}
	if len(lines) == 1 && lines[0].number == v.line {
		var parts []iniLine
		for part := range strings.SplitSeq(lines[0].text, ";") {
			parts = append(parts, iniLine{lines[0].number, strings.TrimSpace(part)})
		}
		lines = parts
	}
	for _, l := range lines {
		if s.stopped(ctx) {
			return
		}
		if l.text != "" {
			s.setupRequirement(Position{s.file, l.number}, l.text, marker)
		}
	}
}

// setupRequirement keeps one requirement; one on the project itself stands for its
// extras. marker, when not nil, holds beside its own.
func (s *setupFile) setupRequirement(at Position, text string, marker *pep508.Marker) {
	if i := strings.Index(text, " #"); i > 0 {
		text = strings.TrimSpace(text[:i])
	}
	if len(text) > maxTextBytes {
		s.fail(at, text, ErrTooLarge)
		return
	}
	q, warnings, err := s.parseStrict(s.loc, text)
	for _, w := range warnings {
		s.warn(at, "%s", w)
	}
	if err == nil {
		q.Marker, err = bothMarkers(marker.String(), q.Marker)
	}
	if err != nil {
		s.fail(at, text, err)
		return
	}
	q.Position, q.Text = at, text
	if s.set.Project != nil && s.set.Project.Name != "" && q.Key() == pep508.NormalizeName(s.set.Project.Name) && !q.Direct() {
		for _, extra := range q.Extras {
			if !s.extra(extra, q.Marker) {
				s.fail(at, text, fmt.Errorf("the project has no extra %s", quote(extra)))
			}
		}
		return
	}
	s.keep(q, false)
}

// beside is a file of the same folder.
func (s *setupFile) beside(name string) location {
	return location{path: path.Join(path.Dir(s.loc.path), name)}
}
