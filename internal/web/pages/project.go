package pages

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/source"
	"reqpm/internal/store"
)

const (
	shownPackages = 22
	shownLog      = 100
)

func (p *Pages) projectPages() {
	p.get("/projects", auth.Viewer, aboutMany, p.projects)
	p.get("/projects/{project}", auth.Viewer, aboutProject, p.project)
	p.get("/projects/{project}/packages", auth.Viewer, aboutProject, p.projectPackages)
	p.post("/projects/{project}/runs", auth.Builder, aboutProject, p.startRun)
}

// projectsData is the list of projects.
type projectsData struct {
	Rows      []projectRow
	Text      string // searched for
	Next      string // address of the next page; "": none
	All       int64
	MayCreate bool
}

func (p *Pages) projects(q *request) (view, error) {
	query := q.URL.Query()
	d := projectsData{Text: strings.TrimSpace(query.Get("q")), MayCreate: q.may(auth.Maintainer)}
	part, err := q.store().Projects(q.ctx(), store.ProjectFilter{Text: d.Text, IDs: q.visible()}, store.Page{Limit: 50, Sort: "name", Cursor: query.Get("cursor")})
	if err != nil {
		return view{}, err
	}
	if d.Rows, err = q.rowsOf(part.Items); err != nil {
		return view{}, err
	}
	if part.Next != "" {
		d.Next = q.with("cursor", part.Next)
	}
	d.All, err = q.store().CountProjects(q.ctx(), q.visible())
	return view{Title: "Projects", Nav: "projects", Body: projectsPage(d)}, err
}

// with is the page's own address with another value in its query.
func (q *request) with(name, value string) string {
	u := *q.URL
	query := u.Query()
	query.Del("after") // of the stream
	query.Set(name, value)
	if value == "" {
		query.Del(name)
	}
	u.RawQuery = query.Encode()
	return u.RequestURI()
}

// stage is one kind of step of a run, over its targets.
type stage struct {
	Kind              store.Kind
	State             string
	Started, Finished time.Time
	Detail            string
}

var chain = []store.Kind{store.Checkout, store.Analyze, store.Resolve, store.Specs, store.Plan, store.Build, store.Publish, store.Verify}

// stages are the steps of a run by kind. One that is not there yet waits for those before it.
func stages(r store.Run, steps []store.Step) []stage {
	all := make([]stage, 0, len(chain))
	for _, kind := range chain {
		s := stage{Kind: kind}
		n := map[string]int{}
		for _, step := range steps {
			if step.Kind != kind {
				continue
			}
			n[stateOf(step)]++
			if !step.Started.IsZero() && (s.Started.IsZero() || step.Started.Before(s.Started)) {
				s.Started = step.Started
			}
			if step.Finished.After(s.Finished) {
				s.Finished = step.Finished
			}
		}
		s.State, s.Detail = stageState(r, n), stageDetail(kind, n, steps)
		if s.State == "running" {
			s.Finished = time.Time{}
		}
		if s.State == "waiting" {
			s.Started = time.Time{}
			if before := len(all) - 1; before >= 0 {
				s.Detail = "waits on " + string(all[before].Kind)
			}
		}
		all = append(all, s)
	}
	return all
}

// stageState is what a stage as a whole is: what goes on comes before what is decided.
func stageState(r store.Run, n map[string]int) string {
	for _, state := range []string{"running", "queued", "failed", "blocked", "cancelled", "waiting", "succeeded", "reused"} {
		if n[state] > 0 {
			if state == "reused" {
				return "succeeded"
			}
			return state
		}
	}
	switch {
	case r.State == store.RunCancelled:
		return "cancelled"
	case r.State.Ended():
		return "skipped"
	}
	return "waiting"
}

// stageDetail is the one number that a stage is about.
func stageDetail(kind store.Kind, n map[string]int, steps []store.Step) string {
	done, all := ended(n)
	if kind == store.Build {
		if all == 0 {
			return ""
		}
		return fmt.Sprintf("%d of %d", done, all)
	}
	total := 0
	for _, s := range steps {
		if s.Kind != kind || s.State != store.Succeeded {
			continue
		}
		switch kind {
		case store.Analyze:
			var a service.Analysis
			if json.Unmarshal(s.Result, &a) == nil {
				return plural(len(a.Files), "file")
			}
		case store.Resolve:
			total++
		case store.Specs:
			var specs struct{ Specs int }
			if json.Unmarshal(s.Result, &specs) == nil {
				total += specs.Specs
			}
		}
	}
	switch {
	case total > 0 && kind == store.Resolve:
		return plural(total, "lock")
	case total > 0 && kind == store.Specs:
		return plural(total, "spec")
	case all > 1 && done < all:
		return fmt.Sprintf("%d of %d", done, all)
	}
	return ""
}

// targetLane is how far a run is on a target.
type targetLane struct {
	Target string
	Tally  map[string]int
	Done   int
	All    int
}

func lanes(r store.Run, steps []store.Step) []targetLane {
	var all []targetLane
	for _, t := range r.Targets {
		l := targetLane{Target: t}
		var own []store.Step
		for _, s := range steps {
			if s.Target == t {
				own = append(own, s)
			}
		}
		l.Tally = tallies(own)
		l.Done, l.All = ended(l.Tally)
		all = append(all, l)
	}
	return all
}

// repositoryRow is a published repository as people use it.
type repositoryRow struct {
	Repository store.Repository
	Snapshot   store.Snapshot
	Address    string // of its .repo file
	Install    string // the line for a shell
	Newest     bool
}

// projectData is what a project's page shows.
type projectData struct {
	Project    store.Project
	Address    string // of its Git repository, without what is secret in it
	Link       string // of the same, for a browser; "": none
	Last       store.Run
	Steps      []store.Step
	Stages     []stage
	Failures   []failure
	Lanes      []targetLane
	Packages   []packageRow
	From       int64 // number of the run that the packages are of
	Runs       []store.Run
	Bars       []runBar
	Log        []store.LogEntry
	Level      string
	Repos      []repositoryRow
	MayRun     bool
	MayChange  bool
	Base, Path string
	With       func(name, value string) string
}

func (q *request) projectData() (projectData, error) {
	ctx, s, p := q.ctx(), q.store(), q.project
	d := projectData{Project: p, Address: shownAddress(p.GitURL), Base: projectPath(p.Name), MayRun: q.may(auth.Builder), MayChange: q.may(auth.Maintainer), With: q.with}
	if strings.HasPrefix(p.GitURL, "https://") {
		d.Link = source.Redacted(p.GitURL)
	}
	runs, err := s.Runs(ctx, store.RunFilter{Project: p.ID}, store.Page{Limit: shownRuns})
	if err != nil || len(runs.Items) == 0 {
		return d, err
	}
	d.Runs, d.Bars, d.Last = runs.Items, runBars(runs.Items, now(ctx)), runs.Items[0]
	if d.Steps, err = s.RunSteps(ctx, d.Last.ID); err != nil {
		return d, err
	}
	d.Stages, d.Failures, d.Lanes = stages(d.Last, d.Steps), failures(d.Steps), lanes(d.Last, d.Steps)
	d.Packages, d.From, err = q.newestSet(d)
	return d, err
}

// newestSet are the packages of the newest run that has locked them, among the last few.
func (q *request) newestSet(d projectData) (rows []packageRow, from int64, err error) {
	for i, r := range d.Runs[:min(4, len(d.Runs))] {
		steps := d.Steps
		if i > 0 {
			locked, err := q.store().Steps(q.ctx(), store.StepFilter{Run: r.ID, Kinds: []store.Kind{store.Resolve}, States: []store.StepState{store.Succeeded}}, store.Page{Limit: 1})
			if err != nil {
				return nil, 0, err
			}
			if len(locked.Items) == 0 {
				continue // all its steps need not be read to see that
			}
			if steps, err = q.store().RunSteps(q.ctx(), r.ID); err != nil {
				return nil, 0, err
			}
		}
		if rows, err = q.packageRows(steps); err != nil || len(rows) > 0 {
			return rows, r.Number, err
		}
	}
	return nil, 0, nil
}

// shownAddress is a Git address as people read it.
func shownAddress(gitURL string) string {
	text := strings.TrimSuffix(source.Redacted(gitURL), ".git")
	for _, scheme := range []string{"https://", "http://", "ssh://"} {
		text = strings.TrimPrefix(text, scheme)
	}
	return text
}

func (q *request) projectView(title, nav string, d projectData) view {
	v := view{Title: title, Nav: nav, State: string(d.Last.State), Watch: store.EventFilter{Project: q.project.ID}}
	v.Crumbs = []crumb{{"Projects", "/projects"}, {q.project.Name, projectPath(q.project.Name)}}
	if d.Last.State == store.RunRunning && len(d.Failures) > 0 {
		v.State = "failed"
	}
	return v
}

func (p *Pages) project(q *request) (view, error) {
	d, err := q.projectData()
	if err != nil {
		return view{}, err
	}
	d.Level = q.URL.Query().Get("level")
	if d.Log, err = q.projectLog(d.Level); err != nil {
		return view{}, err
	}
	if d.Repos, err = q.repositories(); err != nil {
		return view{}, err
	}
	v := q.projectView(q.project.Name, "project", d)
	v.Crumbs[1].Path = ""
	v.Body = projectPage(d)
	return v, nil
}

// projectLog are the newest lines, the oldest of them first.
func (q *request) projectLog(level string) ([]store.LogEntry, error) {
	levels := map[string][]string{"warning": {"warning", "error"}, "error": {"error"}}[level]
	part, err := q.store().LogEntries(q.ctx(), store.LogFilter{Project: q.project.ID, Levels: levels}, store.Page{Limit: shownLog})
	slices.Reverse(part.Items)
	return part.Items, err
}

// packagesData is the whole set.
type packagesData struct {
	projectData
	Only           string // "", direct, transitive, outdated
	Text           string
	Shown          []packageRow
	Direct, Behind int
}

func (p *Pages) projectPackages(q *request) (view, error) {
	base, err := q.projectData()
	if err != nil {
		return view{}, err
	}
	d := packagesData{projectData: base, Only: q.URL.Query().Get("only"), Text: strings.ToLower(strings.TrimSpace(q.URL.Query().Get("q")))}
	for _, r := range d.Packages {
		d.Direct += boolInt(r.Direct)
		d.Behind += boolInt(r.Newer != "")
		if d.Only == "direct" && !r.Direct || d.Only == "transitive" && r.Direct || d.Only == "outdated" && r.Newer == "" || !strings.Contains(r.Name, d.Text) {
			continue
		}
		d.Shown = append(d.Shown, r)
	}
	v := q.projectView("Packages of "+q.project.Name, "packages", base)
	v.Crumbs = append(v.Crumbs, crumb{Text: "Packages"})
	v.Body = packagesPage(d)
	return v, nil
}

// repositories are what a project has published, the channel that was switched last first.
func (q *request) repositories() ([]repositoryRow, error) {
	all, err := q.store().Repositories(q.ctx(), q.project.ID)
	if err != nil {
		return nil, err
	}
	var rows []repositoryRow
	for _, r := range all {
		s, err := q.store().Snapshot(q.ctx(), r.Snapshot)
		if err != nil {
			continue // replaced meanwhile
		}
		row := repositoryRow{Repository: r, Snapshot: s, Address: Address(q.Request) + "/repos/" + q.project.Name + "/" + r.Channel + "/" + r.Target + ".repo"}
		if row.Install, err = q.installText(s, row.Address, q.project.Name); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b repositoryRow) int { return strings.Compare(a.Repository.Target, b.Repository.Target) })
	return rows, nil
}

// installText is what somebody runs on a machine to install all of a snapshot, as its publish step noted it. Where that is gone it
// adds the repository.
func (q *request) installText(s store.Snapshot, address, project string) (string, error) {
	part, err := q.store().Steps(q.ctx(), store.StepFilter{Run: s.Run, Kinds: []store.Kind{store.Publish}, Target: s.Target}, store.Page{Limit: 1})
	if err != nil {
		return "", err
	}
	var published service.Published
	if len(part.Items) > 0 {
		_ = json.Unmarshal(part.Items[0].Result, &published) // none, of a step that was asked for again
	}
	text := strings.Join(published.InstallLines(address, project), "\n")
	return strings.Replace(text, " "+address, " \\\n  "+address, 1), nil // where a narrow page breaks it best
}

// startRun starts a run of the project's own ref, or of what a form says.
func (p *Pages) startRun(q *request) error {
	var run store.Run
	err := q.store().Write(q.ctx(), func(tx *store.Tx) (err error) {
		if run, err = service.StartRun(q.ctx(), tx, q.project, service.NewRun{Options: service.RunOptions{Refresh: q.PostFormValue("refresh") != ""}, Reason: "asked by " + q.who.String()}); err != nil {
			return err
		}
		return q.who.Audit(q.ctx(), tx, auth.Change{Action: "run.start", Object: q.project.Name, Project: q.project.ID, Detail: map[string]any{"run": run.ID}})
	})
	if err != nil {
		return err
	}
	return q.done(fmt.Sprintf("Run %d is queued.", run.Number), runPath(run.ID))
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$`)

// Address is how the client reached the server: scheme and host.
func Address(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if !hostName.MatchString(host) {
		host = "localhost"
	}
	return scheme + "://" + host
}
