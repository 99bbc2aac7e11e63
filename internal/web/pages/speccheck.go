package pages

import (
	"errors"
	"fmt"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/textdiff"
)

// A text in the editor can be looked at before it is saved: by a worker, in the build root. The page goes on with the text that is
// looked at, and shows how it goes.

// checkData is a check with what it found.
type checkData struct {
	service.StartedCheck
	Result service.Checked
}

func (c checkData) title() string {
	if c.Build {
		return "Build of this text"
	}
	return "Check of this text"
}

// state is the one whose icon and colour it has.
func (c checkData) state() string {
	switch {
	case c.Step.State == store.Succeeded && !c.Result.OK:
		return "failed"
	case c.Step.State == store.Ready:
		return "queued"
	}
	return string(c.Step.State)
}

func (c checkData) word() string {
	switch c.Step.State {
	case store.Succeeded:
		if c.Result.OK {
			return "all well"
		}
		return "would fail"
	case store.Ready, store.Waiting:
		return "waits for a worker"
	case store.Running:
		return "at it"
	case store.Failed:
		return "not looked at"
	}
	return string(c.Step.State)
}

// note is what there is to say beside the findings.
func (c checkData) note() string {
	switch c.Step.State {
	case store.Ready, store.Waiting:
		return "The next worker that has a place takes it. It goes by the plan of the last run that builds the package."
	case store.Running:
		return "The page shows what it finds. You can go on writing: it is about the text as it was."
	case store.Failed, store.Cancelled:
		return sentence(c.Step.Cause)
	}
	return ""
}

func findingState(state string) string {
	switch state {
	case "ok":
		return "succeeded"
	case "skipped":
		return "cancelled"
	case "warning":
		return "blocked"
	}
	return state
}

func findingTitle(what string) string {
	switch what {
	case "parse":
		return "rpm reads it"
	case "build-requires":
		return "Build requirements"
	case "build":
		return "Build"
	}
	return what
}

// checkedSpec is the editor with a text that was or is being looked at.
func (q *request) checkedSpec(id int64) (view, error) {
	c, err := service.CheckOf(q.ctx(), q.store().Queries, q.p.cfg.Blobs, q.project.ID, id)
	if err != nil {
		return view{}, err
	}
	if name, _ := splitPackage(c.Step.Package); name != q.PathValue("package") || c.Text == "" {
		return view{}, fmt.Errorf("the text of check %d: %w", id, store.ErrNotFound)
	}
	d := editData{Target: c.Step.Target, Package: c.Step.Package, Text: c.Text, Message: c.Message, Seen: c.Base, Check: &checkData{StartedCheck: c}}
	if d.Check.Result, err = service.CheckResult(c.Step); err != nil {
		return view{}, err
	}
	generated, known, err := service.GeneratedAtCheck(q.ctx(), q.p.cfg.Blobs, d.Check.Result)
	if err != nil {
		return view{}, err
	}
	if known {
		d.Against, d.Diff = "what ReqPM would write now", textdiff.Lines(textdiff.Split(generated), textdiff.Split(c.Text), 3)
	}
	return q.editView(d), nil
}

// checkSpec has a worker look at a text.
func (p *Pages) checkSpec(q *request) error {
	e, err := q.specEdit()
	if err != nil {
		return err
	}
	build := q.URL.Query().Get("build") != ""
	step, err := service.StartCheck(q.ctx(), q.store(), q.p.cfg.Blobs, service.NewCheck{SpecEdit: e, Build: build}, func(tx *store.Tx, s store.Step) error {
		return q.who.Audit(q.ctx(), tx, auth.Change{Action: "spec.check", Object: s.Package, Project: q.project.ID, Detail: map[string]any{"target": s.Target, "check": s.ID, "build": build}})
	})
	if errors.Is(err, service.ErrSpec) || errors.Is(err, service.ErrNoPlan) || errors.Is(err, store.ErrConflict) {
		return &invalid{"text", sentence(err.Error())}
	}
	if err != nil {
		return err
	}
	return q.done("", packagePath(q.project.Name, q.PathValue("package"))+"/spec/edit?check="+itoa(step.ID))
}

// cancelCheck ends a check. One that has ended stays as it is.
func (p *Pages) cancelCheck(q *request) error {
	if err := q.ParseForm(); err != nil {
		return &invalid{"", "The form could not be read."}
	}
	var id int64
	if _, err := fmt.Sscan(q.PostFormValue("check"), &id); err != nil {
		return &invalid{"", "The form could not be read."}
	}
	c, err := service.CheckOf(q.ctx(), q.store().Queries, q.p.cfg.Blobs, q.project.ID, id)
	if err != nil {
		return err
	}
	err = q.store().Write(q.ctx(), func(tx *store.Tx) error {
		now, err := tx.Step(q.ctx(), id)
		if err != nil || now.State.Ended() {
			return err
		}
		if err := tx.CancelStep(q.ctx(), id, "cancelled by "+q.who.String()); err != nil {
			return err
		}
		return q.who.Audit(q.ctx(), tx, auth.Change{Action: "spec.check.cancel", Object: c.Step.Package, Project: q.project.ID, Detail: map[string]any{"check": id}})
	})
	if err != nil {
		return err
	}
	return q.done("Cancelled.", packagePath(q.project.Name, q.PathValue("package"))+"/spec/edit?check="+itoa(id))
}
