package pages

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"reqpm/internal/service"
	"reqpm/internal/source"
)

// The plan of a project before anything is saved. It is made in the background (service.PlanPreviews): a form names it by its id, in the
// field preview, and the stream of the page shows how far it is.

// planData is the preview that a form names.
type planData struct {
	View  service.PlanView
	There bool   // else there is none
	Gone  bool   // it was named, and is not there any more
	About string // what it is of: the planKey of a form, or the text of an override
	Stale bool   // the form says something else by now
	None  bool   // this server makes none
}

// planKey is what a plan depends on in a form.
func (f projectForm) planKey() string {
	v := url.Values{"u": {f.GitURL}, "r": {f.Ref}, "f": f.Files, "t": slices.Sorted(slices.Values(f.Targets)), "e": strings.FieldsFunc(f.Extras, func(r rune) bool { return r == ',' || r == ' ' })}
	return v.Encode()
}

// planOf finds the preview that a page names, and what tells that there is more of it. Whoever looks at it by a stream keeps it going.
func (q *request) planOf(id string) (planData, <-chan struct{}) {
	if q.p.cfg.Plans == nil {
		return planData{None: true}, nil
	}
	if id == "" {
		return planData{}, nil
	}
	preview, err := q.p.cfg.Plans.Get(q.who.Key(), id)
	if err != nil {
		return planData{Gone: true}, nil
	}
	if q.wants(typeStream) {
		preview.Watch(q.ctx())
	}
	changed := preview.Changed()
	d := planData{View: preview.View(), There: true, About: preview.Ask().About}
	if d.View.Finished != nil {
		return d, nil
	}
	return d, changed
}

func (p *Pages) previewNew(q *request) error {
	f, err := q.form()
	if err != nil {
		return err
	}
	return q.startPlan(f, "/projects/new", service.Settings{})
}

func (p *Pages) previewChanged(q *request) error {
	f, err := q.form()
	if err != nil {
		return err
	}
	if f.GitURL == source.Redacted(q.project.GitURL) {
		f.GitURL = q.project.GitURL
	}
	return q.startPlan(f, projectPath(q.project.Name)+"/settings", q.projectSettingsOf())
}

// startPlan begins to make the plan of a form, whose page goes on with it.
func (q *request) startPlan(f projectForm, page string, settings service.Settings) error {
	settings = f.settings(settings)
	if err := q.checkPlan(f, settings); err != nil {
		return err
	}
	sub := service.Subject{Project: q.project.Name, GitURL: f.GitURL, Ref: f.Ref, Files: f.Files, Settings: settings}
	preview, err := q.startPreview(service.PlanAsk{Subject: sub, Targets: f.Targets, About: f.planKey()})
	if err != nil {
		return err
	}
	return q.goOn(page, preview.View().ID)
}

// startPreview begins a preview, with the secrets of the project that the page is about.
func (q *request) startPreview(ask service.PlanAsk) (*service.PlanPreview, error) {
	if q.p.cfg.Plans == nil {
		return nil, &invalid{"", "This server makes no previews."}
	}
	if q.project.ID != 0 && ask.Subject.GitURL == q.project.GitURL && q.p.cfg.Vault != nil {
		secrets, err := q.p.cfg.Vault.ProjectSecrets(q.ctx(), q.store().Queries, q.project.ID)
		if err != nil {
			return nil, err
		}
		ask.Subject.Secrets = secrets
		if ask.Now != nil {
			ask.Now.Secrets = secrets
		}
	}
	ask.Owner = q.who.Key()
	preview, err := q.p.cfg.Plans.Start(ask)
	switch {
	case errors.Is(err, service.ErrPreviewsFull):
		return nil, &invalid{"", sentence(err.Error())}
	case err != nil:
		return nil, &invalid{"target", sentence(err.Error())}
	}
	return preview, nil
}

// goOn has the page go on at its address with all that the form says, and the preview.
func (q *request) goOn(page, preview string) error {
	query := url.Values{}
	for name, values := range q.PostForm {
		for _, v := range values {
			if v != "" && name != "preview" && name != "then" {
				query.Add(name, v)
			}
		}
	}
	query.Set("preview", preview)
	at := page + "?" + query.Encode()
	if q.wants(typeParts) {
		writeAnswer(q.w, 200, answer{At: at})
		return nil
	}
	return q.done("", at)
}

func (p *Pages) cancelPreview(q *request) error {
	if err := q.ParseForm(); err != nil {
		return &invalid{"", "The form could not be read."}
	}
	id := q.PostFormValue("preview")
	if p.cfg.Plans != nil {
		if preview, err := p.cfg.Plans.Get(q.who.Key(), id); err == nil {
			preview.Cancel()
		}
	}
	page := "/projects/new"
	if q.project.ID != 0 {
		page = projectPath(q.project.Name) + "/settings"
	}
	return q.goOn(page, id)
}

// What planpreview.templ says.

func (d planData) running() bool { return d.There && d.View.Finished == nil }

// of is the plan for a target; nil: it is not of it.
func (d planData) of(target string) *service.TargetPlan {
	i := slices.IndexFunc(d.View.Targets, func(t service.TargetPlan) bool { return t.Target == target })
	if !d.There || i < 0 {
		return nil
	}
	return &d.View.Targets[i]
}

// planState is a state of the style sheet for a target's plan, with its word.
func planState(t service.TargetPlan) (state, word string) {
	switch {
	case t.State == service.PreviewRunning:
		return "running", "Resolving"
	case t.State == service.PreviewFailed && t.Conflict != nil:
		return "failed", "No solution"
	case t.State == service.PreviewFailed:
		return "failed", "No plan"
	case t.State == service.PreviewCancelled:
		return "cancelled", "Cancelled"
	case t.State == service.PreviewWaiting:
		return "waiting", "Waiting"
	case t.Cannot > 0:
		return "failed", plural(t.Cannot, "package") + " cannot be built"
	}
	return "succeeded", plural(t.Direct+t.Transitive, "package")
}

func planChipState(t service.TargetPlan) string { s, _ := planState(t); return s }
func planChipWord(t service.TargetPlan) string  { _, w := planState(t); return w }

// done are the targets that have a plan.
func (d planData) done() []service.TargetPlan {
	var all []service.TargetPlan
	for _, t := range d.View.Targets {
		if t.State == service.PreviewDone {
			all = append(all, t)
		}
	}
	return all
}

// problems are the targets that have none, or packages that cannot be built.
func (d planData) problems() []service.TargetPlan {
	var all []service.TargetPlan
	for _, t := range d.View.Targets {
		if d.There && (t.State == service.PreviewFailed && t.Error != d.View.Error || t.State == service.PreviewDone && t.Cannot > 0) {
			all = append(all, t)
		}
	}
	return all
}

// planSum are the plans of all targets together.
type planSum struct {
	Packages, Direct, Transitive, Tools  int
	Build, Cached, Reused, Cannot, Slots int
	Estimate, ChainTime                  float64
	Chain                                []string
	ChainOf                              string
}

func (d planData) sum() planSum {
	var s planSum
	for _, t := range d.done() {
		s.Direct, s.Transitive, s.Tools = s.Direct+t.Direct, s.Transitive+t.Transitive, s.Tools+t.Tools
		s.Build, s.Cached, s.Reused, s.Cannot = s.Build+t.Build, s.Cached+t.Cached, s.Reused+t.Reused, s.Cannot+t.Cannot
		s.Estimate, s.Slots = s.Estimate+t.Estimate, t.Slots
		if t.ChainTime > s.ChainTime {
			s.Chain, s.ChainTime, s.ChainOf = t.Chain, t.ChainTime, t.Target
		}
	}
	s.Packages = s.Direct + s.Transitive + s.Tools
	return s
}

func (s planSum) title(targets int) string {
	if targets == 1 {
		return strings.TrimPrefix(plural(s.Packages, "package"), number(int64(s.Packages))+" ")
	}
	return fmt.Sprintf("%s over %s", strings.TrimPrefix(plural(s.Packages, "package"), number(int64(s.Packages))+" "), plural(targets, "target"))
}

func (s planSum) segments() []segment {
	return []segment{{"queued", s.Build}, {"reused", s.Cached + s.Reused}, {"failed", s.Cannot}}
}

// expected is a time that is expected.
func expected(seconds float64) string {
	switch {
	case seconds < 1:
		return "nothing to do"
	case seconds < 90:
		return fmt.Sprintf("about %d s", int(seconds+0.5))
	case seconds < 5400:
		return fmt.Sprintf("about %d min", int(seconds/60+0.5))
	}
	return fmt.Sprintf("about %.1f h", seconds/3600)
}

// planTook is how long the whole preview took, or what it waits for.
func (d planData) took() string {
	switch v := d.View; {
	case !d.There || v.Finished == nil:
		return "saves nothing"
	case v.Started == nil || v.State == service.PreviewCancelled:
		return ""
	default:
		return fmt.Sprintf("resolved in %.1f s", v.Finished.Sub(*v.Started).Seconds())
	}
}

// need is what packages need beyond Python.
type need struct {
	What     string
	Packages []string
}

// needs are what the packages of all targets need, each with who does.
func (d planData) needs() []need {
	var all []need
	for _, t := range d.done() {
		for _, p := range t.Packages {
			for _, n := range p.Needs {
				i := slices.IndexFunc(all, func(have need) bool { return have.What == n })
				if i < 0 {
					i = len(all)
					all = append(all, need{What: n})
				}
				if !slices.Contains(all[i].Packages, p.Name) {
					all[i].Packages = append(all[i].Packages, p.Name)
				}
			}
		}
	}
	return all
}

func (n need) names() string {
	if len(n.Packages) > 6 {
		return strings.Join(n.Packages[:5], ", ") + fmt.Sprintf(" and %d more", len(n.Packages)-5)
	}
	return strings.Join(n.Packages, ", ")
}

// text says a need after the names of who has it.
func (n need) text() string {
	one := len(n.Packages) == 1
	switch {
	case n.What == "compiled" && one:
		return "is compiled: the build needs its libraries' headers"
	case n.What == "compiled":
		return "are compiled: their builds need their libraries' headers"
	case one:
		return "needs " + n.What
	}
	return "need " + n.What
}

// warnings are those of all targets, each once.
func (d planData) warnings() []string {
	var all []string
	for _, t := range d.View.Targets {
		for _, w := range t.Warnings {
			if !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
	}
	return all
}

func planTargetText(t service.TargetPlan) string {
	parts := []string{number(int64(t.Direct)) + " direct", number(int64(t.Transitive)) + " transitive"}
	if t.Tools > 0 {
		parts = append(parts, plural(t.Tools, "build tool"))
	}
	if t.State == service.PreviewDone {
		parts = append(parts, number(int64(t.Build))+" to build", number(int64(t.Cached+t.Reused))+" reused", expected(t.Estimate))
	}
	return strings.Join(parts, " · ")
}

// plannedState is a state of the style sheet for what becomes of a package.
func plannedState(p service.PlannedPackage) string {
	switch p.Decision {
	case "build":
		return "queued"
	case "cached", "reuse":
		return "reused"
	case "failed":
		return "failed"
	}
	return "waiting"
}

func plannedWord(p service.PlannedPackage) string {
	return map[string]string{"build": "Build", "cached": "Built before", "reuse": "Distribution", "failed": "Cannot be built", "": "Resolved"}[p.Decision]
}

func planRole(role string) string {
	if role == "tool" {
		return "build tool"
	}
	return role
}

// conflictAt is where a requirement of a conflict stands, or who asks.
func conflictAt(r service.ConflictRequirement) string {
	switch {
	case r.Package != "":
		return r.Package + " requires"
	case r.Line > 0:
		return fmt.Sprintf("%s:%d", r.File, r.Line)
	}
	return r.File
}

// cannot are the packages of a plan that cannot be built.
func cannot(t service.TargetPlan) []service.PlannedPackage {
	return slices.DeleteFunc(slices.Clone(t.Packages), func(p service.PlannedPackage) bool { return p.Decision != "failed" })
}

func startedAt(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func plannedWhy(p service.PlannedPackage) string {
	if p.Why == "" {
		return ""
	}
	return ", " + plain(firstLine(p.Why, 200))
}

// planKnown tells whether any target has its packages.
func planKnown(d planData) bool {
	return slices.ContainsFunc(d.View.Targets, func(t service.TargetPlan) bool { return len(t.Packages) > 0 })
}

func planButton(d planData) string {
	if d.There {
		return "Preview again"
	}
	return "Preview the plan"
}

// planPath is where the form's plan is asked for.
func (f projectForm) planPath() string {
	if f.New {
		return "/projects/new/plan"
	}
	return f.Action + "/plan"
}
