package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/textdiff"
)

// specPages change the spec files of a package.
func (p *Pages) specPages() {
	p.get("/projects/{project}/packages/{package}/spec/edit", auth.Maintainer, aboutProject, p.editSpec)
	p.post("/projects/{project}/packages/{package}/spec", auth.Maintainer, aboutProject, p.saveSpec)
	p.post("/projects/{project}/packages/{package}/spec/preview", auth.Maintainer, aboutProject, p.previewSpec)
	p.post("/projects/{project}/packages/{package}/spec/check", auth.Maintainer, aboutProject, p.checkSpec)
	p.post("/projects/{project}/packages/{package}/spec/check/cancel", auth.Maintainer, aboutProject, p.cancelCheck)
	p.post("/projects/{project}/packages/{package}/spec/restore", auth.Maintainer, aboutProject, p.restoreSpec)
	p.post("/projects/{project}/packages/{package}/spec/back", auth.Maintainer, aboutProject, p.backToWritten)
}

// shownRevisions is how many revisions of a package's spec on one target are listed.
const shownRevisions = 200

// specData are the revisions of a package's spec on one target, and one of them.
type specData struct {
	Target    string
	Targets   []string // that have revisions
	Revisions []revisionRow
	Shown     revisionRow // zero: there is none
	Text      string
	Gone      bool // retention took its text
	With      revisionRow
	Diff      []textdiff.Line
	DiffGone  bool
	Newest    int64 // id of the newest revision of the version that is shown: what a change is based on
	Older     []olderSpec
}

// olderSpec is somebody's own spec that builds take, and what a run has written of the same package since.
type olderSpec struct{ Own, Written store.SpecRevision }

// revisionRow is a revision with its place among those of the package.
type revisionRow struct {
	store.SpecRevision
	Number int
	Counts bool // builds take it
}

func (r revisionRow) name() string { return fmt.Sprintf("r%d", r.Number) }

func (r revisionRow) version() string {
	_, version := splitPackage(r.Package)
	return version
}

// author is who a revision is of, as people read it.
func (r revisionRow) author() string {
	if r.Kind == store.SpecWritten {
		return "ReqPM"
	}
	return visibleName(r.Author)
}

// specData reads the revisions of the target that the query names, or of the first that has some; whole: with what
// the tab shows.
func (q *request) specData(name string, targets []string, whole bool) (specData, error) {
	d := specData{}
	all, err := q.store().SpecRevisions(q.ctx(), q.project.ID, "", name, store.Page{Limit: 500})
	if err != nil {
		return d, err
	}
	for _, r := range all.Items {
		if !slices.Contains(d.Targets, r.Target) {
			d.Targets = append(d.Targets, r.Target)
		}
	}
	slices.SortStableFunc(d.Targets, func(a, b string) int { return slices.Index(targets, a) - slices.Index(targets, b) })
	d.Target = q.URL.Query().Get("target")
	if d.Target == "" && len(d.Targets) > 0 {
		d.Target = d.Targets[0]
	}
	own, err := q.store().OwnSpecs(q.ctx(), q.project.ID, "")
	if err != nil {
		return d, err
	}
	d.Older = olderSpecs(own, all.Items)
	for _, r := range all.Items {
		if r.Target == d.Target {
			counts := slices.ContainsFunc(own, func(o store.SpecRevision) bool { return o.ID == r.ID })
			d.Revisions = append(d.Revisions, revisionRow{SpecRevision: r, Counts: counts})
		}
	}
	for i := range d.Revisions {
		d.Revisions[i].Number = len(d.Revisions) - i
	}
	d.Revisions = d.Revisions[:min(len(d.Revisions), shownRevisions)]
	d.markWritten()
	if !whole || len(d.Revisions) == 0 {
		return d, nil
	}
	return d, q.shownSpec(&d)
}

// olderSpecs are the specs of people that are older than what a run would write now, by the revisions of a package, the newest first.
func olderSpecs(own, all []store.SpecRevision) (older []olderSpec) {
	for _, o := range own {
		at := slices.IndexFunc(all, func(r store.SpecRevision) bool {
			return r.Kind == store.SpecWritten && r.Target == o.Target && r.Package == o.Package
		})
		if at >= 0 && all[at].ID > o.ID {
			older = append(older, olderSpec{o, all[at]})
		}
	}
	return older
}

// markWritten says which written revision counts: the newest of each version that has no own one.
func (d *specData) markWritten() {
	decided := map[string]bool{}
	for _, r := range d.Revisions {
		if r.Counts {
			decided[r.Package] = true
		}
	}
	for i, r := range d.Revisions {
		if r.Kind == store.SpecWritten && !decided[r.Package] {
			decided[r.Package], d.Revisions[i].Counts = true, true
		}
	}
}

// shownSpec reads the revision that the query names, and compares it with another: the one before it of a text.
func (q *request) shownSpec(d *specData) error {
	at := slices.IndexFunc(d.Revisions, func(r revisionRow) bool {
		if id := q.number("rev"); id != 0 {
			return r.ID == id
		}
		return r.Counts
	})
	if at < 0 {
		return fmt.Errorf("that revision: %w", store.ErrNotFound)
	}
	d.Shown = d.Revisions[at]
	for _, r := range d.Revisions {
		if r.Package == d.Shown.Package {
			d.Newest = r.ID
			break
		}
	}
	var err error
	if d.Text, err = service.ReadRevision(q.ctx(), q.p.cfg.Blobs, d.Shown.SpecRevision); errors.Is(err, blob.ErrNotFound) {
		d.Gone, err = true, nil
	}
	if err != nil {
		return err
	}
	with := q.number("with")
	for i, r := range d.Revisions {
		if r.Kind != store.SpecBack && (with == 0 && i > at || r.ID == with) {
			d.With = r
			break
		}
	}
	if d.With.ID == 0 || d.Gone || d.Shown.Kind == store.SpecBack {
		return nil
	}
	older, err := service.ReadRevision(q.ctx(), q.p.cfg.Blobs, d.With.SpecRevision)
	if errors.Is(err, blob.ErrNotFound) {
		d.DiffGone = true
		return nil
	}
	d.Diff = textdiff.Lines(textdiff.Split(older), textdiff.Split(d.Text), 3)
	return err
}

// specEdit is what a form says of a spec.
func (q *request) specEdit() (service.SpecEdit, error) {
	if err := q.ParseForm(); err != nil {
		return service.SpecEdit{}, &invalid{"", "The form could not be read."}
	}
	e := service.SpecEdit{Project: q.project.ID, Target: q.PostFormValue("target"), Package: q.PostFormValue("version"), Text: q.PostFormValue("text"), Message: strings.TrimSpace(q.PostFormValue("message")), Author: q.who.String()}
	name, _ := splitPackage(e.Package)
	if name != q.PathValue("package") || !slices.Contains(q.project.Targets, e.Target) {
		return e, &invalid{"", "The form is about another package, or a target that the project does not have."}
	}
	e.Base = -1
	if base := q.PostFormValue("base"); base != "" {
		if _, err := fmt.Sscan(base, &e.Base); err != nil {
			return e, &invalid{"", "The form could not be read."}
		}
	}
	return e, nil
}

// specAudit notes that a spec was changed.
func (q *request) specAudit(action string) func(tx *store.Tx, r store.SpecRevision) error {
	return func(tx *store.Tx, r store.SpecRevision) error {
		return q.who.Audit(q.ctx(), tx, auth.Change{Action: action, Object: r.Package, Project: q.project.ID, Detail: map[string]any{"target": r.Target, "revision": r.ID, "message": r.Message}})
	}
}

// specError is what somebody is told when a spec could not be saved.
func specError(err error) error {
	if changed, ok := errors.AsType[*service.SpecChangedError](err); ok {
		return &invalid{"text", sentence(changed.Error() + ". Look at it first: nothing of yours is lost")}
	}
	if errors.Is(err, service.ErrSpec) {
		return &invalid{"text", sentence(err.Error())}
	}
	return err
}

// restoreSpec makes an older revision the one that builds take, as a new one.
func (p *Pages) restoreSpec(q *request) error {
	e, err := q.specEdit()
	if err != nil {
		return err
	}
	var id int64
	if _, err := fmt.Sscan(q.PostFormValue("revision"), &id); err != nil {
		return &invalid{"", "The form could not be read."}
	}
	if _, err := service.RestoreSpec(q.ctx(), q.store(), q.p.cfg.Blobs, e, id, q.specAudit("spec.restore")); err != nil {
		return specError(err)
	}
	return q.done("Restored. The next run builds with it.", packagePath(q.project.Name, q.PathValue("package"))+"?tab=spec&target="+pathPart(e.Target))
}

// backToWritten has builds take what ReqPM writes again.
func (p *Pages) backToWritten(q *request) error {
	e, err := q.specEdit()
	if err != nil {
		return err
	}
	e.Message = cmp.Or(e.Message, "Back to the generated spec")
	if _, err := service.DropSpec(q.ctx(), q.store(), e, q.specAudit("spec.back")); err != nil {
		return specError(err)
	}
	return q.done("The next run writes the spec again.", packagePath(q.project.Name, q.PathValue("package"))+"?tab=spec&target="+pathPart(e.Target))
}

// span is a part of a line of a spec file with its colour.
type span struct{ Class, Text string }

// specSpans colours a line of a spec file: sections, tags, macros, comments.
func specSpans(line string) []span {
	line = visibleLine(line)
	switch class := specClass(line); class {
	case "k-com", "k-sec":
		return []span{{class, line}}
	case "k-key":
		tag, rest, _ := strings.Cut(line, ":")
		return append([]span{{class, tag}}, macroSpans(":"+rest)...)
	}
	return macroSpans(line)
}

// spans is a line of a spec file in its colours. No white space comes between them: it would be part of the line.
func spans(line string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		for _, s := range specSpans(line) {
			text := html.EscapeString(s.Text)
			if s.Class != "" {
				text = `<span class="` + s.Class + `">` + text + "</span>"
			}
			b.WriteString(text)
		}
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// macroSpans colours what stands behind a percent sign.
func macroSpans(text string) []span {
	var all []span
	for text != "" {
		at := strings.IndexByte(text, '%')
		if at < 0 {
			break
		}
		n := macroLength(text[at:])
		if at > 0 {
			all = append(all, span{"", text[:at]})
		}
		class := "k-mac"
		if n == 2 && text[at+1] == '%' {
			class = ""
		}
		all = append(all, span{class, text[at : at+n]})
		text = text[at+n:]
	}
	if text != "" {
		all = append(all, span{"", text})
	}
	return all
}

// macroLength is how long the macro is that text begins with.
func macroLength(text string) int {
	if len(text) > 1 && (text[1] == '{' || text[1] == '(') {
		open, shut, depth := text[1], byte('}'), 0
		if open == '(' {
			shut = ')'
		}
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case open:
				depth++
			case shut:
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(text)
	}
	if len(text) > 1 && text[1] == '%' {
		return 2
	}
	n := 1
	for n < len(text) && (text[n] == '?' || text[n] == '!' || text[n] == '_' || text[n] == '*' || text[n] >= 'a' && text[n] <= 'z' || text[n] >= 'A' && text[n] <= 'Z' || text[n] >= '0' && text[n] <= '9') {
		n++
	}
	return n
}
