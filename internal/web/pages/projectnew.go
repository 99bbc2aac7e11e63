package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/secret"
	"reqpm/internal/service"
	"reqpm/internal/source"
	"reqpm/internal/store"
	"reqpm/internal/target"
)

// newProjectPages make a project, and change one: the same form. What is filled in is asked for again by the page's
// script (data-refresh), and nothing is saved before somebody says so.
func (p *Pages) newProjectPages() {
	p.get("/projects/new", auth.Maintainer, nil, p.newProject)
	p.post("/projects", auth.Maintainer, nil, p.createProject)
	p.post("/projects/new/plan", auth.Maintainer, nil, p.previewNew)
	p.post("/projects/new/plan/cancel", auth.Maintainer, nil, p.cancelPreview)
	p.post("/projects/{project}/settings/plan", auth.Maintainer, aboutProject, p.previewChanged)
	p.post("/projects/{project}/settings/plan/cancel", auth.Maintainer, aboutProject, p.cancelPreview)
	p.get("/projects/{project}/settings", auth.Maintainer, aboutProject, p.projectSettings)
	p.post("/projects/{project}/settings", auth.Maintainer, aboutProject, p.changeProject)
	p.post("/projects/{project}/delete", auth.Maintainer, aboutProject, p.deleteProject)
}

// askTime is how long somebody's Git server may take to answer a form.
const askTime = 45 * time.Second

// projectForm is what somebody has said of a project, and what was found by it.
type projectForm struct {
	Name, GitURL, Ref string
	Files             []string // chosen; none: those that are found
	Targets           []string
	Sync              bool
	Extras            string // by comma
	New               bool   // else an existing project's settings
	Action            string

	Asking  bool              // the Git server's answer comes after the page
	Errors  map[string]string // by field
	Refs    []source.Ref
	Reached time.Duration
	Commit  string
	Found   []service.File
	All     []target.Target
	Used    bool // the name is taken

	Preview string // id of the plan that was asked for; "": none was
	Plan    planData
}

func formOf(values url.Values) projectForm {
	f := projectForm{Name: strings.TrimSpace(values.Get("name")), GitURL: strings.TrimSpace(values.Get("git_url")), Ref: strings.TrimSpace(values.Get("ref")),
		Files: values["file"], Targets: values["target"], Sync: values.Get("sync") != "", Extras: strings.TrimSpace(values.Get("extras")), Preview: values.Get("preview"), Errors: map[string]string{}}
	if more := strings.TrimSpace(values.Get("path")); more != "" && !slices.Contains(f.Files, more) {
		f.Files = append(f.Files, more)
	}
	return f
}

var projectName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

var notInName = regexp.MustCompile(`[^a-z0-9._-]+`)

// nameFor proposes a name for a text: the last part of an address, or what somebody wrote.
func nameFor(text string) string {
	text = strings.TrimSuffix(strings.TrimRight(text, "/"), ".git")
	text = strings.Trim(notInName.ReplaceAllString(strings.ToLower(path.Base(text)), "-"), "-._")
	return text[:min(len(text), 64)]
}

func (p *Pages) newProject(q *request) (view, error) {
	f := formOf(q.URL.Query())
	f.New, f.Action, f.All = true, "/projects", q.p.cfg.Targets
	v := view{Title: "New project", Nav: "projects", Crumbs: []crumb{{"Projects", "/projects"}, {"New project", ""}}, Watch: store.EventFilter{Project: -1}}
	return q.formView(v, f), nil
}

// formView shows the form. The page itself does not wait for the Git server, which may take seconds: its script asks for the parts right
// after (data-ask). The stream of the open page has nothing new but the plan that is made: the Git server is not asked again for it.
func (q *request) formView(v view, f projectForm) view {
	f.Plan, v.Wake = q.planOf(f.Preview)
	f.Plan.Stale = f.Plan.There && f.Plan.About != f.planKey()
	if q.wants(typeStream) {
		v.Body, v.Beside = planParts(f), f.Plan.There
		return v
	}
	if f.Asking = f.GitURL != "" && !q.wants(typeParts); !f.Asking {
		q.discover(&f)
	}
	f.GitURL = source.Redacted(f.GitURL)
	v.Body = projectFormPage(f)
	return v
}

// discover asks the Git server what there is. What is wrong with an answer is said beside the field.
func (q *request) discover(f *projectForm) {
	if f.GitURL == "" {
		return
	}
	if f.Name == "" {
		f.Name = nameFor(f.GitURL)
	}
	q.checkName(f)
	ctx, cancel := context.WithTimeout(q.ctx(), askTime)
	defer cancel()
	began := time.Now()
	sub := service.Subject{GitURL: f.GitURL}
	var err error
	if q.project.ID != 0 && f.GitURL == q.project.GitURL && q.p.cfg.Vault != nil {
		sub.Project = q.project.Name
		if sub.Secrets, err = q.p.cfg.Vault.ProjectSecrets(ctx, q.store().Queries, q.project.ID); err != nil {
			f.Errors["git_url"] = "The secrets of the project cannot be opened; the server's log says why."
			q.p.cfg.Log.Error("pages", "project", q.project.Name, "error", err)
			return
		}
	}
	refs, err := q.p.cfg.Projects.Refs(ctx, sub)
	if err != nil {
		f.Errors["git_url"] = reached(ctx, err, sub)
		return
	}
	f.Refs, f.Reached = refs, time.Since(began)
	sub.Ref = cmp.Or(f.Ref, "HEAD")
	if f.Commit, f.Found, err = q.p.cfg.Projects.Files(ctx, sub); err != nil {
		f.Errors["ref"] = reached(ctx, err, sub)
	}
}

// reached is why a server gave no answer, in one sentence.
func reached(ctx context.Context, err error, sub service.Subject) string {
	if ctx.Err() != nil {
		return "The server did not answer in time."
	}
	text := err.Error()
	if len(sub.Secrets) > 0 {
		text = auth.NewRedactor(secret.Values(sub.Secrets)...).String(text)
	}
	return sentence(firstLine(text, 300))
}

func (q *request) checkName(f *projectForm) {
	switch {
	case f.Name == "":
		f.Errors["name"] = "A project needs a name."
	case !projectName.MatchString(f.Name):
		f.Errors["name"] = "Lower-case letters, digits and . _ - only, 64 at most, and a letter or digit first."
	case f.New:
		if _, err := q.store().ProjectNamed(q.ctx(), f.Name); err == nil {
			f.Errors["name"], f.Used = "There is a project of that name.", true
		}
	}
}

// settings are the project's with what the form says.
func (f projectForm) settings(have service.Settings) service.Settings {
	options := map[string][]string{}
	for name, values := range have.Options {
		options[name] = values
	}
	delete(options, "extra")
	for extra := range strings.FieldsFuncSeq(f.Extras, func(r rune) bool { return r == ',' || r == ' ' }) {
		options["extra"] = append(options["extra"], extra)
	}
	have.Options = options
	return have
}

// check is an invalid for what no run could begin with.
func (q *request) check(f projectForm, settings service.Settings) error {
	if f.GitURL == "" {
		return &invalid{"git_url", "Paste the address of a Git repository."}
	}
	q.checkName(&f)
	if text := f.Errors["name"]; text != "" {
		return &invalid{"name", text}
	}
	return q.checkPlan(f, settings)
}

// checkPlan is check for what a plan is made of.
func (q *request) checkPlan(f projectForm, settings service.Settings) error {
	switch {
	case f.GitURL == "":
		return &invalid{"git_url", "Paste the address of a Git repository."}
	case len(f.Targets) == 0:
		return &invalid{"target", "Choose at least one target."}
	}
	sub := service.Subject{Project: f.Name, GitURL: f.GitURL, Ref: f.Ref, Files: f.Files, Settings: settings}
	if err := q.p.cfg.Projects.Check(q.ctx(), sub, f.Targets); err != nil {
		return &invalid{"", sentence(firstLine(err.Error(), 400))}
	}
	return nil
}

// form reads a form that was sent.
func (q *request) form() (projectForm, error) {
	if err := q.ParseForm(); err != nil {
		return projectForm{}, &invalid{"", "The form could not be read."}
	}
	return formOf(q.PostForm), nil
}

func (p *Pages) createProject(q *request) error {
	f, err := q.form()
	if err != nil {
		return err
	}
	f.New = true
	settings := f.settings(service.Settings{})
	if err := q.check(f, settings); err != nil {
		return err
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	made := store.Project{Name: f.Name, GitURL: f.GitURL, Ref: f.Ref, RequirementFiles: f.Files, Targets: slices.Compact(slices.Sorted(slices.Values(f.Targets))), Settings: text, Sync: f.Sync}
	err = q.store().Write(q.ctx(), func(tx *store.Tx) (err error) {
		if made, err = tx.CreateProject(q.ctx(), made); err != nil {
			return err
		}
		if err := q.who.Audit(q.ctx(), tx, auth.Change{Action: "project.create", Object: made.Name, Project: made.ID}); err != nil || q.PostFormValue("then") == "only" {
			return err
		}
		_, err = service.StartRun(q.ctx(), tx, made, service.NewRun{Reason: "created by " + q.who.String()})
		return err
	})
	if err != nil {
		return err
	}
	return q.done("", projectPath(made.Name))
}

func (q *request) projectSettingsOf() service.Settings {
	var s service.Settings
	_ = json.Unmarshal(q.project.Settings, &s) // what was checked when it was written
	return s
}

func (p *Pages) projectSettings(q *request) (view, error) {
	f := formOf(q.URL.Query())
	if f.GitURL == "" { // as it is
		s := q.projectSettingsOf()
		f = projectForm{GitURL: q.project.GitURL, Ref: q.project.Ref, Files: q.project.RequirementFiles, Targets: q.project.Targets, Sync: q.project.Sync, Extras: strings.Join(s.Options["extra"], ", "), Errors: map[string]string{}}
	} else if f.GitURL == source.Redacted(q.project.GitURL) {
		f.GitURL = q.project.GitURL
	}
	f.Name, f.Action, f.All = q.project.Name, projectPath(q.project.Name)+"/settings", q.p.cfg.Targets
	v := q.projectView("Settings of "+q.project.Name, "settings", projectData{})
	v.Crumbs = append(v.Crumbs, crumb{Text: "Settings"})
	v.Watch = store.EventFilter{Project: -1} // it is what somebody is writing
	return q.formView(v, f), nil
}

func (p *Pages) changeProject(q *request) error {
	f, err := q.form()
	if err != nil {
		return err
	}
	f.Name = q.project.Name
	if f.GitURL == source.Redacted(q.project.GitURL) {
		f.GitURL = q.project.GitURL
	}
	settings := f.settings(q.projectSettingsOf())
	if err := q.check(f, settings); err != nil {
		return err
	}
	changed := q.project
	changed.GitURL, changed.Ref, changed.RequirementFiles, changed.Sync = f.GitURL, f.Ref, f.Files, f.Sync
	changed.Targets = slices.Compact(slices.Sorted(slices.Values(f.Targets)))
	if changed.Settings, err = json.Marshal(settings); err != nil {
		return err
	}
	err = q.write(auth.Change{Action: "project.change", Object: changed.Name, Project: changed.ID, Detail: auth.Differences(service.ProjectFacts(q.project), service.ProjectFacts(changed))}, func(tx *store.Tx) error { return tx.UpdateProject(q.ctx(), changed) })
	if err != nil {
		return err
	}
	return q.done("Saved. The next run goes by it.", "")
}

func (p *Pages) deleteProject(q *request) error {
	running, err := q.store().Runs(q.ctx(), store.RunFilter{Project: q.project.ID, States: []store.RunState{store.RunQueued, store.RunRunning}}, store.Page{Limit: 1})
	if err != nil {
		return err
	}
	if len(running.Items) > 0 {
		return &invalid{"", fmt.Sprintf("Run %d of the project has not ended: cancel it first.", running.Items[0].Number)}
	}
	err = q.store().Write(q.ctx(), func(tx *store.Tx) error {
		if err := q.who.Audit(q.ctx(), tx, auth.Change{Action: "project.delete", Object: q.project.Name, Project: q.project.ID}); err != nil {
			return err
		}
		return tx.DeleteProject(q.ctx(), q.project.ID)
	})
	if err != nil {
		return err
	}
	return q.done("", "/projects")
}

// targetCard says what a target is.
func targetCard(t target.Target) string {
	text := "Python " + t.Python.Version
	if t.RPM.Version != "" {
		text += ", rpm " + t.RPM.Version
	}
	return text
}

// chosen says whether a requirement file is taken: those that were chosen, or until then those that are found.
func (f projectForm) chosen(file service.File) bool {
	if len(f.Files) > 0 {
		return slices.Contains(f.Files, file.Path)
	}
	return file.Chosen
}

// listed are the files that the form lists: those that were found, and those chosen of which nothing is known, or not yet.
func (f projectForm) listed() []service.File {
	all := slices.Clone(f.Found)
	for _, path := range f.Files {
		if !slices.ContainsFunc(all, func(file service.File) bool { return file.Path == path }) {
			all = append(all, service.File{Path: path, Why: "chosen by its path"})
		}
	}
	return all
}

// found tells whether more is known of a file than its path.
func (f projectForm) found(file service.File) bool {
	return slices.ContainsFunc(f.Found, func(other service.File) bool { return other.Path == file.Path })
}

// requirements are how many lines the chosen files have.
func (f projectForm) requirements() (files, lines int) {
	for _, file := range f.Found {
		if f.chosen(file) {
			files++
			lines += file.Requirements
		}
	}
	return files, lines
}

func (f projectForm) refNames() []string {
	var names []string
	for _, r := range f.Refs {
		if names = append(names, r.Name); len(names) == 500 {
			break
		}
	}
	return names
}

// reachedText is what the server was found to have.
func (f projectForm) reachedText() string {
	branches, tags := 0, 0
	for _, r := range f.Refs {
		if r.Kind == "tag" {
			tags++
		} else {
			branches++
		}
	}
	return fmt.Sprintf("Reached in %.1f s, %s, %s", f.Reached.Seconds(), strings.Replace(plural(branches, "branch"), "branchs", "branches", 1), plural(tags, "tag"))
}
