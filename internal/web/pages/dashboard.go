package pages

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Problem is something that keeps this server from its work.
type Problem struct {
	Title, Text string
	Command     string // that mends it; "": none is known
}

const (
	shownRuns     = 16 // of a project, in its sparkline
	shownProjects = 12
	shownFailures = 6
	newestRuns    = 500 // that a dashboard looks at
)

func (p *Pages) dashboardPages() {
	p.get("/{$}", auth.Viewer, aboutMany, p.dashboard)
	p.post("/pause", auth.Admin, nil, p.pause)
}

// dashboardData is what the dashboard shows.
type dashboardData struct {
	MayCreate bool
	IsAdmin   bool
	Paused    bool
	Problems  []Problem
	Running   []runningRun
	Failed    []failure
	Projects  []projectRow
	All       int64 // projects
	Workers   []workerRow
	Busy      int64
	Slots     int64
	Day       dayFacts
	Published []publishedRow
}

type runningRun struct {
	Run     store.Run
	Project string
	Tally   map[string]int
	Done    int
	All     int
	Doing   string
	Roots   int
	Left    time.Duration
}

type projectRow struct {
	Project store.Project
	Last    store.Run // ID 0: none yet
	Bars    []runBar
	Median  time.Duration
	Builds  int
}

type workerRow struct {
	Worker store.Worker
	Busy   int64
}

// dayFacts are of the last 24 hours.
type dayFacts struct {
	Runs, Green, Builds int
	More                bool // there were more runs than were looked at
}

type publishedRow struct {
	Repository store.Repository
	Project    string
	Packages   int64
	Proven     bool
}

func (p *Pages) dashboard(q *request) (view, error) {
	d, err := q.dashboard()
	if err != nil {
		return view{}, err
	}
	state := ""
	for _, r := range d.Running {
		if state = "running"; r.Roots > 0 {
			state = "failed"
			break
		}
	}
	return view{Title: "Dashboard", State: state, Nav: "dashboard", Body: dashboardPage(d)}, nil
}

func (q *request) dashboard() (dashboardData, error) {
	ctx, s := q.ctx(), q.store()
	d := dashboardData{MayCreate: q.may(auth.Maintainer), IsAdmin: q.may(auth.Admin)}
	paused, err := s.Setting(ctx, store.SettingPaused)
	if err != nil {
		return d, err
	}
	d.Paused = paused == "true"
	if err := q.workers(&d); err != nil {
		return d, err
	}
	if q.p.cfg.Health != nil && q.may(auth.Viewer) {
		d.Problems = append(q.p.cfg.Health(ctx), d.Problems...)
	}
	names := projectNames{q: q}
	if err := q.runningNow(&d, &names); err != nil {
		return d, err
	}
	newest, err := s.Runs(ctx, store.RunFilter{Projects: q.visible()}, store.Page{Limit: newestRuns})
	if err != nil {
		return d, err
	}
	if err := q.recentlyFailed(&d, &names, newest.Items); err != nil {
		return d, err
	}
	if err := q.projectRows(&d, newest.Items); err != nil {
		return d, err
	}
	if err := q.lastDay(&d, newest.Items); err != nil {
		return d, err
	}
	return d, q.published(&d, &names)
}

// projectNames looks names up, each once.
type projectNames struct {
	q     *request
	known map[int64]string
}

func (n *projectNames) of(id int64) string {
	if name, ok := n.known[id]; ok {
		return name
	}
	if n.known == nil {
		n.known = map[int64]string{}
	}
	p, err := n.q.store().Project(n.q.ctx(), id)
	if err != nil {
		p.Name = "project " + strconv.FormatInt(id, 10) // deleted meanwhile
	}
	n.known[id] = p.Name
	return p.Name
}

// workers are the newest life of each; one that is gone is shown for a day.
func (q *request) workers(d *dashboardData) error {
	all, err := q.store().Workers(q.ctx())
	if err != nil {
		return err
	}
	running, err := q.store().RunningSteps(q.ctx())
	if err != nil {
		return err
	}
	busy := map[int64]int64{}
	for _, s := range running {
		busy[s.Worker] += int64(boolInt(s.Kind == store.Build))
	}
	for _, w := range all {
		if w.State == store.WorkerGone && time.Since(w.Beat) > 24*time.Hour {
			continue
		}
		d.Workers = append(d.Workers, workerRow{w, busy[w.ID]})
		if w.State == store.WorkerGone {
			continue
		}
		d.Busy += busy[w.ID]
		d.Slots += w.Slots
		if w.Message != "" {
			d.Problems = append(d.Problems, Problem{Title: w.Name + " takes no work.", Text: sentence(w.Message)})
		}
	}
	if d.Slots == 0 {
		d.Problems = append(d.Problems, Problem{Title: "No worker is there.", Text: "Runs wait until one comes.", Command: "reqpm worker"})
	}
	return nil
}

func (q *request) runningNow(d *dashboardData, names *projectNames) error {
	part, err := q.store().Runs(q.ctx(), store.RunFilter{Projects: q.visible(), States: []store.RunState{store.RunRunning, store.RunQueued}}, store.Page{Limit: 8})
	if err != nil {
		return err
	}
	var queued []int64
	for _, r := range part.Items {
		if r.State == store.RunQueued {
			queued = append(queued, r.ID)
		}
	}
	waiting, err := q.store().StepCounts(q.ctx(), store.Build, queued)
	if err != nil {
		return err
	}
	for _, r := range part.Items {
		var steps []store.Step
		pending := store.Pending{Ready: waiting[r.ID][store.Ready], Waiting: waiting[r.ID][store.Waiting]} // when it begins is not known
		if r.State != store.RunQueued {
			if steps, pending, err = q.store().RunProgress(q.ctx(), r.ID); err != nil {
				return err
			}
		}
		row := runningRun{Run: r, Project: names.of(r.Project), Tally: tallies(steps), Doing: doing(r, steps), Roots: len(failures(steps)), Left: remaining(steps, pending, d.Slots, now(q.ctx()))}
		row.Tally["queued"] += pending.Ready
		row.Tally["waiting"] += pending.Waiting
		row.Done, row.All = ended(row.Tally)
		d.Running = append(d.Running, row)
	}
	return nil
}

// recentlyFailed are the root causes of the newest run of each project, where that failed.
func (q *request) recentlyFailed(d *dashboardData, names *projectNames, newest []store.Run) error {
	seen := map[int64]bool{}
	for _, r := range newest {
		if seen[r.Project] || !r.State.Ended() {
			continue
		}
		seen[r.Project] = true
		if r.State != store.RunFailed {
			continue
		}
		failed, blocks, err := q.store().RunFailures(q.ctx(), r.ID)
		if err != nil {
			return err
		}
		for i, f := range rootCauses(failed, blocks) {
			if i == 2 {
				break // the rest is on the run's page
			}
			f.Project, f.Run = names.of(r.Project), r.Number
			d.Failed = append(d.Failed, f)
		}
		if len(d.Failed) >= shownFailures {
			break
		}
	}
	slices.SortStableFunc(d.Failed, func(a, b failure) int { return b.Step.Finished.Compare(a.Step.Finished) })
	d.Failed = d.Failed[:min(len(d.Failed), shownFailures)]
	return nil
}

// projectRows are the projects that ran last.
func (q *request) projectRows(d *dashboardData, newest []store.Run) (err error) {
	if d.All, err = q.store().CountProjects(q.ctx(), q.visible()); err != nil {
		return err
	}
	var ran []int64
	for _, r := range newest {
		if len(ran) < shownProjects && !slices.Contains(ran, r.Project) {
			ran = append(ran, r.Project)
		}
	}
	filter := store.ProjectFilter{IDs: q.visible()}
	if len(ran) > 0 && int64(len(ran)) >= min(d.All, shownProjects) { // else some have not run for long, or never
		filter.IDs = ran
	}
	part, err := q.store().Projects(q.ctx(), filter, store.Page{Limit: 200})
	if err != nil {
		return err
	}
	d.Projects, err = q.rowsOf(part.Items)
	slices.SortStableFunc(d.Projects, func(a, b projectRow) int { return cmp.Compare(b.Last.ID, a.Last.ID) })
	d.Projects = d.Projects[:min(len(d.Projects), shownProjects)]
	return err
}

// rowsOf are projects with their last runs.
func (q *request) rowsOf(projects []store.Project) ([]projectRow, error) {
	rows := make([]projectRow, 0, len(projects))
	var last []int64
	for _, p := range projects {
		runs, err := q.store().Runs(q.ctx(), store.RunFilter{Project: p.ID}, store.Page{Limit: shownRuns})
		if err != nil {
			return nil, err
		}
		row := projectRow{Project: p, Bars: runBars(runs.Items, now(q.ctx())), Median: medianTime(runs.Items)}
		if len(runs.Items) > 0 {
			row.Last = runs.Items[0]
			last = append(last, row.Last.ID)
		}
		rows = append(rows, row)
	}
	if len(last) == 0 {
		return rows, nil
	}
	counts, err := q.store().StepCounts(q.ctx(), store.Build, last)
	for i := range rows {
		for _, n := range counts[rows[i].Last.ID] {
			rows[i].Builds += n
		}
	}
	return rows, err
}

func (q *request) lastDay(d *dashboardData, newest []store.Run) error {
	since := now(q.ctx()).Add(-24 * time.Hour)
	var ids []int64
	for _, r := range newest {
		if r.Created.Before(since) {
			break
		}
		d.Day.Runs++
		if r.State == store.RunSucceeded {
			d.Day.Green++
		}
		ids = append(ids, r.ID)
	}
	d.Day.More = d.Day.Runs == newestRuns
	if len(ids) == 0 {
		return nil
	}
	counts, err := q.store().StepCounts(q.ctx(), store.Build, ids, store.Succeeded, store.Failed)
	for _, byState := range counts {
		d.Day.Builds += byState[store.Succeeded] + byState[store.Failed]
	}
	return err
}

func (q *request) published(d *dashboardData, names *projectNames) error {
	all, err := q.store().Repositories(q.ctx(), 0)
	if err != nil {
		return err
	}
	visible := q.visible()
	all = slices.DeleteFunc(all, func(r store.Repository) bool { return visible != nil && !slices.Contains(visible, r.Project) })
	slices.SortFunc(all, func(a, b store.Repository) int { return b.Updated.Compare(a.Updated) })
	for _, r := range all[:min(4, len(all))] {
		s, err := q.store().Snapshot(q.ctx(), r.Snapshot)
		if err != nil {
			continue // replaced meanwhile
		}
		d.Published = append(d.Published, publishedRow{r, names.of(r.Project), s.Packages, s.Proof != ""})
	}
	return nil
}

// pause stops or starts dispatching everywhere.
func (p *Pages) pause(q *request) error {
	value, said := "true", "Paused: nothing new is started. What runs goes on."
	if q.PostFormValue("paused") == "false" {
		value, said = "false", "Work goes on."
	}
	err := q.write(auth.Change{Action: "setting.set", Object: store.SettingPaused, Detail: map[string]any{"value": value}}, func(tx *store.Tx) error {
		return tx.SetSetting(q.ctx(), store.SettingPaused, value)
	})
	if err != nil {
		return err
	}
	return q.done(said, "")
}
