package pages

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// What a project says of one package: the fields that are asked for most, and the whole as text. And taking the newer versions that an
// update check has found, which is saying something, too.

func (p *Pages) saidPages() {
	p.get("/projects/{project}/packages/{package}/override", auth.Maintainer, aboutProject, p.said)
	p.post("/projects/{project}/packages/{package}/override", auth.Maintainer, aboutProject, p.say)
	p.post("/projects/{project}/packages/{package}/override/plan", auth.Maintainer, aboutProject, p.saidPlan)
	p.post("/projects/{project}/outdated/take", auth.Maintainer, aboutProject, p.takeNewer)
}

type saidData struct {
	Project store.Project
	Name    string
	Path    string
	Text    string // what is said, or what a preview is of
	Was     string // what is said
	Fields  service.OverrideFields
	Bad     string // why the text cannot be read
	Plan    planData
	Preview string
	History []store.AuditEntry
}

func overridePath(project, name string) string { return packagePath(project, name) + "/override" }

func (p *Pages) said(q *request) (view, error) {
	name := q.PathValue("package")
	d := saidData{Project: q.project, Name: name, Path: overridePath(q.project.Name, name), Was: service.OverrideOf(q.project, name), Preview: q.URL.Query().Get("preview")}
	if !projectName.MatchString(name) {
		return view{}, fmt.Errorf("the package %.40q: %w", name, store.ErrNotFound)
	}
	v := q.projectView("Override "+name, "packages", projectData{})
	d.Text = d.Was
	if d.Plan, v.Wake = q.planOf(d.Preview); d.Plan.There {
		d.Text = d.Plan.About
	}
	var err error
	if d.Fields, err = service.OverrideFieldsOf(name, d.Text); err != nil {
		d.Bad = err.Error()
	}
	history, err := q.store().Audit(q.ctx(), store.AuditFilter{Project: q.project.ID, Object: name}, store.Page{Limit: 50, Sort: "-id"})
	if err != nil {
		return view{}, err
	}
	for _, e := range history.Items {
		if e.Object == name && strings.HasPrefix(e.Action, "override.") && len(d.History) < 10 {
			d.History = append(d.History, e)
		}
	}
	v.Crumbs = append(v.Crumbs, crumb{visibleName(name), packagePath(q.project.Name, name)}, crumb{Text: "Override"})
	v.Body, v.Beside = saidPage(d), d.Plan.There
	return v, nil
}

// saidText is the text that a form stands for: that of its fields, or the one that was written.
func (q *request) saidText() (string, error) {
	name := q.PathValue("package")
	if !projectName.MatchString(name) {
		return "", fmt.Errorf("the package %.40q: %w", name, store.ErrNotFound)
	}
	if err := q.ParseForm(); err != nil {
		return "", &invalid{"", "The form could not be read."}
	}
	if q.PostForm.Has("text") {
		text := strings.ReplaceAll(q.PostFormValue("text"), "\r\n", "\n")
		if _, err := service.ReadOverrides(map[string]string{name: text}); err != nil {
			return "", &invalid{"text", sentence(err.Error())}
		}
		return text, nil
	}
	lines := func(field string) []string {
		var all []string
		for line := range strings.Lines(q.PostFormValue(field)) {
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
		return all
	}
	extras := strings.FieldsFunc(q.PostFormValue("extras"), func(r rune) bool { return r == ',' || r == ' ' })
	f := service.OverrideFields{Version: strings.TrimSpace(q.PostFormValue("version")), Extras: extras, BuildRequires: lines("build-requires"), DropBuildRequires: lines("drop-build-requires"),
		Requires: lines("requires"), DropRequires: lines("drop-requires"), Wheel: q.PostFormValue("wheel") != "", AllowPure: q.PostFormValue("allow-pure") != "", Memory: strings.TrimSpace(q.PostFormValue("memory"))}
	text, err := service.EditOverride(name, service.OverrideOf(q.project, name), f)
	if bad, ok := errors.AsType[*service.OverrideFieldError](err); ok {
		return "", &invalid{bad.Field, sentence(bad.Reason)}
	}
	if err != nil {
		return "", &invalid{"", sentence(err.Error())}
	}
	return text, nil
}

// say makes what a form stands for what the project says; an empty text takes it away.
func (p *Pages) say(q *request) error {
	text, err := q.saidText()
	if err != nil {
		return err
	}
	name, toast, to := q.PathValue("package"), "Saved. The next run goes by it.", ""
	if strings.TrimSpace(text) == "" {
		toast = "Nothing is said of " + name + " any more."
	}
	err = q.write(auth.Change{Action: "override.set", Object: name, Project: q.project.ID, Detail: map[string]any{"text": text, "was": service.OverrideOf(q.project, name)}}, func(tx *store.Tx) error {
		if err := service.SetOverride(q.ctx(), tx, q.project.ID, name, text); err != nil || q.PostFormValue("then") != "run" {
			return err
		}
		now, err := tx.Project(q.ctx(), q.project.ID)
		if err != nil {
			return err
		}
		run, err := service.StartRun(q.ctx(), tx, now, service.NewRun{Reason: "override of " + name + " by " + q.who.String()})
		to = runPath(run.ID)
		return err
	})
	if errors.Is(err, service.ErrOverride) {
		return &invalid{"text", sentence(err.Error())}
	}
	if err != nil {
		return err
	}
	if to == "" {
		to = overridePath(q.project.Name, name) // as it is now
	}
	return q.done(toast, to)
}

// saidPlan shows what would become of the set with what a form stands for, which is not saved.
func (p *Pages) saidPlan(q *request) error {
	text, err := q.saidText()
	if err != nil {
		return err
	}
	name, settings := q.PathValue("package"), q.projectSettingsOf()
	now := service.Subject{Project: q.project.Name, GitURL: q.project.GitURL, Ref: q.project.Ref, Files: q.project.RequirementFiles, Settings: settings}
	if settings.Overrides = maps.Clone(settings.Overrides); settings.Overrides == nil {
		settings.Overrides = map[string]string{}
	}
	settings.Overrides[name] = text
	with := now
	with.Settings = settings
	preview, err := q.startPreview(service.PlanAsk{Subject: with, Targets: q.project.Targets, Now: &now, About: text})
	if err != nil {
		return err
	}
	at := overridePath(q.project.Name, name) + "?preview=" + preview.View().ID
	if q.wants(typeParts) {
		writeAnswer(q.w, http.StatusOK, answer{At: at})
		return nil
	}
	return q.done("", at)
}

// takeNewer takes the newer versions that fit of one package, or of all.
func (p *Pages) takeNewer(q *request) error {
	var names []string
	if name := q.PostFormValue("package"); name != "" {
		names = []string{name}
	}
	newer, err := service.NewerOf(q.ctx(), q.store().Queries, q.project.ID, names...)
	if err != nil {
		return err
	}
	if len(newer) == 0 {
		return &invalid{"", "The last update check found nothing newer that fits."}
	}
	var run store.Run
	err = q.write(auth.Change{Action: "outdated.take", Object: q.project.Name, Project: q.project.ID, Detail: map[string]any{"versions": newer}}, func(tx *store.Tx) (err error) {
		run, _, err = service.TakeNewer(q.ctx(), tx, q.project.ID, newer, "newer versions, taken by "+q.who.String())
		return err
	})
	if errors.Is(err, service.ErrOverride) {
		return &invalid{"", sentence(err.Error())}
	}
	if err != nil {
		return err
	}
	return q.done(fmt.Sprintf("Run %d begins with it.", run.Number), runPath(run.ID))
}

// What saidpage.templ says.

// doing is the plan of a target that is made right now: as it is, or with what is previewed.
func (d planData) doing(target string) (t service.TargetPlan, now bool) {
	for _, t := range d.View.Now {
		if t.Target == target && t.State == service.PreviewRunning {
			return t, true
		}
	}
	if t := d.of(target); t != nil {
		return *t, false
	}
	return service.TargetPlan{}, false
}

// changes are those of one target, with what failed beside it.
func (d planData) changes(target string) (all []service.PlanChange) {
	for _, c := range service.PlanChanges(d.View.Now, d.View.Targets) {
		if c.Target == target {
			all = append(all, c)
		}
	}
	return all
}

// without is why a target has no plan as it is; "": it has one.
func (d planData) without(target string) string {
	for _, t := range d.View.Now {
		if t.Target == target && t.State == service.PreviewFailed {
			return t.Error
		}
	}
	return ""
}

// changeWord is what becomes of a package, with its state of the style sheet.
func changeWord(c service.PlanChange) (state, word string) {
	switch {
	case c.Version == "":
		return "cancelled", "Gone"
	case c.Was == "":
		return plannedState(c.After), "New, " + strings.ToLower(plannedWord(c.After))
	}
	return plannedState(c.After), plannedWord(c.After)
}

func changeState(c service.PlanChange) string { state, _ := changeWord(c); return state }
func changeSays(c service.PlanChange) string  { _, word := changeWord(c); return word }

// changeVersions are the versions before and after.
func changeVersions(c service.PlanChange) string {
	switch {
	case c.Version == "" || c.Was == c.Version:
		return plain(c.Was)
	case c.Was == "":
		return plain(c.Version)
	}
	return plain(c.Was + " → " + c.Version)
}

// changedText is how many packages a plan has otherwise.
func changedText(all []service.PlanChange) string {
	var fresh, gone, other, built int
	for _, c := range all {
		switch {
		case c.Was == "":
			fresh++
		case c.Version == "":
			gone++
		case c.Was != c.Version:
			other++
		default:
			built++
		}
	}
	var parts []string
	for _, n := range []struct {
		n    int
		word string
	}{{fresh, "new"}, {gone, "gone"}, {other, "in another version"}, {built, "decided otherwise"}} {
		if n.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.n, n.word))
		}
	}
	return strings.Join(parts, ", ")
}

func setOrRemoved(e store.AuditEntry) string {
	if strings.Contains(string(e.Detail), `"text":""`) {
		return "removed it"
	}
	return "set it"
}
