package pages

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/a-h/templ"

	"reqpm/internal/blob"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/textdiff"
)

// The editor of a spec file: a text, and what it changes. It works without a script, which adds colours and line numbers.
// What somebody has written is never lost: a save that comes too late gives it back, beside what was saved meanwhile.

// editData is the editor with what is in it.
type editData struct {
	Project, Name, Base string // Base is the page of the package
	Target, Package     string
	Text, Message       string
	Seen                int64  // the newest revision that the text was written with
	From                string // what it began as
	Against             string // what Diff compares with; "": nothing yet
	Diff                []textdiff.Line
	Problem             string
	Check               *checkData // nil: it was not looked at
}

func (d editData) version() string { _, version := splitPackage(d.Package); return version }

func (d editData) back() string {
	return d.Base + "?" + url.Values{"tab": {"spec"}, "target": {d.Target}}.Encode()
}

// editSpec begins with the revision that the query names, or the one that builds take.
func (p *Pages) editSpec(q *request) (view, error) {
	name := q.PathValue("package")
	if id := q.number("check"); id != 0 {
		return q.checkedSpec(id)
	}
	s, err := q.specData(name, q.project.Targets, true)
	if err != nil {
		return view{}, err
	}
	if s.Shown.ID == 0 || s.Gone || !slices.Contains(q.project.Targets, s.Target) {
		return view{}, fmt.Errorf("a spec of %q to edit: %w", name, store.ErrNotFound)
	}
	d := editData{Target: s.Target, Package: s.Shown.Package, Text: s.Text, Seen: s.Newest, From: s.Shown.name() + ", " + firstLine(s.Shown.Message, 80)}
	return q.editView(d), nil
}

func (q *request) editView(d editData) view {
	d.Name, d.Project = q.PathValue("package"), q.project.Name
	d.Base = packagePath(d.Project, d.Name)
	v := q.projectView("Spec of "+d.Name, "packages", projectData{})
	v.Crumbs = append(v.Crumbs, crumb{"Packages", projectPath(d.Project) + "/packages"}, crumb{visibleName(d.Name), d.Base}, crumb{Text: "Edit the spec"})
	v.Watch = store.EventFilter{Project: -1} // it is what somebody is writing
	if d.Check != nil {
		v.Watch = store.EventFilter{Run: d.Check.Step.Run} // what is written is no part of what changes
	}
	v.Body = specEditor(d)
	return v
}

// answerEdit gives the editor back, with what was written in it: its parts to the script, else the whole page.
func (q *request) answerEdit(status int, d editData) error {
	v := q.editView(d)
	if !q.wants(typeParts) {
		q.whole(status, v)
		return nil
	}
	d.Name, d.Project = q.PathValue("package"), q.project.Name
	d.Base = packagePath(d.Project, d.Name)
	out := answer{Fragments: map[string]string{}, Error: d.Problem}
	if d.Problem != "" {
		out.Field = "text"
	}
	for id, part := range map[string]templ.Component{"spec-seen": specSeen(d), "spec-changes": specChanges(d), "e-text": specProblem(d)} {
		var b bytes.Buffer
		if err := part.Render(q.ctx(), &b); err != nil {
			return err
		}
		out.Fragments[id] = visibleText(b.String())
	}
	writeAnswer(q.w, status, out)
	return nil
}

func editOf(e service.SpecEdit) editData {
	return editData{Target: e.Target, Package: e.Package, Text: service.SpecText(e.Text), Message: e.Message, Seen: e.Base}
}

// previewSpec shows what the next build would take otherwise than what ReqPM writes.
func (p *Pages) previewSpec(q *request) error {
	e, err := q.specEdit()
	if err != nil {
		return err
	}
	d := editOf(e)
	_, written, known, err := service.WrittenSpec(q.ctx(), q.store().Queries, q.p.cfg.Blobs, e.Project, e.Target, e.Package)
	if err != nil {
		return err
	}
	if err := service.CheckSpecText(d.Text); err != nil {
		d.Problem = sentence(err.Error())
	}
	if d.Against = "what ReqPM wrote last"; !known {
		d.Against = "nothing: what ReqPM wrote is gone"
	}
	d.Diff = textdiff.Lines(textdiff.Split(written), textdiff.Split(d.Text), 3)
	return q.answerEdit(http.StatusOK, d)
}

// saveSpec keeps a text as a new revision, which builds take from the next run on.
func (p *Pages) saveSpec(q *request) error {
	e, err := q.specEdit()
	if err != nil {
		return err
	}
	_, err = service.SaveSpec(q.ctx(), q.store(), q.p.cfg.Blobs, e, q.specAudit("spec.save"))
	changed, late := errors.AsType[*service.SpecChangedError](err)
	switch {
	case err == nil:
		return q.done("Saved. The next run builds with it.", editOf(e).savedAt(q))
	case late:
		d := editOf(e)
		theirs, err := service.ReadRevision(q.ctx(), q.p.cfg.Blobs, changed.Newest)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		d.Seen, d.Against = changed.Newest.ID, "what "+visibleName(changed.Newest.Author)+" saved meanwhile"
		d.Diff = textdiff.Lines(textdiff.Split(theirs), textdiff.Split(d.Text), 3)
		d.Problem = sentence(changed.Error() + ". Nothing of yours is lost: look at what differs, and save again to save over it")
		return q.answerEdit(http.StatusConflict, d)
	case errors.Is(err, service.ErrSpec), errors.Is(err, store.ErrConflict):
		d := editOf(e)
		d.Problem = sentence(err.Error())
		return q.answerEdit(http.StatusUnprocessableEntity, d)
	}
	return err
}

func (d editData) savedAt(q *request) string {
	d.Base = packagePath(q.project.Name, q.PathValue("package"))
	return d.back()
}
