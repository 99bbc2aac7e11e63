package pages

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cavaliergopher/rpm"

	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/web/runview"
)

// Two runs side by side, and the list of a project's runs.

func (p *Pages) comparePages() {
	p.get("/runs/{run}/compare", auth.Viewer, aboutRun, p.compare)
	p.get("/projects/{project}/runs", auth.Viewer, aboutProject, p.runList)
}

// sideData is one of the two runs.
type sideData struct {
	Run    store.Run
	Counts runview.Counts
	Steps  []store.Step
}

// compareData is what the page shows.
type compareData struct {
	Old, New sideData
	Path     string
	Choices  []tab
	Runs     []store.Run // to choose from, newest first
	Groups   runview.Comparison
	Files    []filesChange
	OldSize  int64
	NewSize  int64
	MoreRPMs bool // there are more RPMs that differ than were read
	Now      time.Time
}

// filesChange is an RPM whose list of files differs.
type filesChange struct {
	Package, Target string
	Lines           []runview.ListChange
}

func (p *Pages) compare(q *request) (view, error) {
	d, err := q.compareData()
	if err != nil {
		return view{}, err
	}
	state := ""
	if len(d.Groups.NewlyFailing) > 0 {
		state = "failed"
	}
	base := projectPath(q.project.Name)
	return view{Title: "Compare runs · " + q.project.Name, State: state, Nav: "runs", Body: comparePage(d), Watch: store.EventFilter{Run: d.New.Run.ID}, Crumbs: []crumb{
		{q.project.Name, base}, {"Runs", base + "/runs"}, {fmt.Sprintf("Run %d", d.New.Run.Number), runPath(d.New.Run.ID)}, {Text: "Compare"},
	}}, nil
}

func (q *request) compareData() (compareData, error) {
	ctx, s := q.ctx(), q.store()
	id, err := q.pathID("run")
	if err != nil {
		return compareData{}, err
	}
	d := compareData{Path: runPath(id) + "/compare", Now: now(ctx)}
	if d.New, err = q.side(id); err != nil {
		return d, err
	}
	runs, err := s.Runs(ctx, store.RunFilter{Project: q.project.ID}, store.Page{Limit: 200})
	if err != nil {
		return d, err
	}
	d.Runs = slices.DeleteFunc(runs.Items, func(r store.Run) bool { return r.ID == id })
	with := d.choose(q.number("with"))
	if with == 0 {
		return d, nil
	}
	if d.Old, err = q.side(with); err != nil {
		return d, err
	}
	if d.Old.Run.Project != q.project.ID {
		return d, fmt.Errorf("run %d is of another project: %w", with, store.ErrNotFound)
	}
	d.Groups = runview.Compare(d.Old.Steps, d.New.Steps)
	return d, q.fileChanges(&d)
}

// choose fills the choices, and says which run is compared with: the one that was asked for, else the last green, else
// the one before.
func (d *compareData) choose(asked int64) int64 {
	var previous, green, week int64
	for _, r := range d.Runs { // newest first
		if r.ID > d.New.Run.ID {
			continue
		}
		previous = cmp.Or(previous, r.ID)
		if r.State == store.RunSucceeded {
			green = cmp.Or(green, r.ID)
		}
		if r.Created.Before(d.New.Run.Created.Add(-7 * 24 * time.Hour)) {
			week = cmp.Or(week, r.ID)
		}
	}
	with := cmp.Or(asked, green, previous)
	if with == 0 && len(d.Runs) > 0 {
		with = d.Runs[0].ID
	}
	for _, c := range []struct {
		text string
		id   int64
	}{{"Previous", previous}, {"Last green", green}, {"1 week ago", week}} {
		if c.id > 0 {
			d.Choices = append(d.Choices, tab{Text: c.text, Path: fmt.Sprintf("%s?with=%d", d.Path, c.id), Current: c.id == with})
		}
	}
	return with
}

func (q *request) side(id int64) (sideData, error) {
	var d sideData
	var err error
	if d.Run, err = q.store().Run(q.ctx(), id); err != nil {
		return d, err
	}
	if d.Steps, err = q.store().RunSteps(q.ctx(), id); err != nil {
		return d, err
	}
	d.Counts = runview.Count(d.Steps)
	return d, nil
}

const (
	mostPairs = 60  // packages whose RPMs are opened
	mostFiles = 400 // lines of file lists
)

// fileChanges compares the files of what both runs have, where it is not the same build.
func (q *request) fileChanges(d *compareData) error {
	sizes := func(run int64) (total int64, byStep map[int64][]store.Artifact, err error) {
		byStep = map[int64][]store.Artifact{}
		page := store.Page{Limit: 500}
		for {
			part, err := q.store().Artifacts(q.ctx(), store.ArtifactFilter{Run: run, Kinds: []string{"rpm"}}, page)
			if err != nil {
				return 0, nil, err
			}
			for _, a := range part.Items {
				total += a.Size
				byStep[a.Step] = append(byStep[a.Step], a)
			}
			if page.Cursor = part.Next; part.Next == "" {
				return total, byStep, nil
			}
		}
	}
	var older, newer map[int64][]store.Artifact
	var err error
	if d.OldSize, older, err = sizes(d.Old.Run.ID); err != nil {
		return err
	}
	if d.NewSize, newer, err = sizes(d.New.Run.ID); err != nil {
		return err
	}
	read, lines := 0, 0
	for _, p := range d.Groups.Both {
		if runview.Key(p.Old) == runview.Key(p.New) {
			continue
		}
		if read++; read > mostPairs || lines > mostFiles {
			d.MoreRPMs = true
			break
		}
		changes := runview.DiffLists(q.files(older[p.Old.ID], p.OldVersion()), q.files(newer[p.New.ID], p.NewVersion()))
		if len(changes) > 0 {
			d.Files = append(d.Files, filesChange{p.Package, p.Target, changes})
			lines += len(changes)
		}
	}
	return nil
}

// files are those of RPMs, sorted, with the version of the package in paths told from what else changes.
func (q *request) files(rpms []store.Artifact, version string) []string {
	var files []string
	for _, a := range rpms {
		object, err := q.p.cfg.Blobs.Open(q.ctx(), a.Blob)
		if err != nil {
			continue // taken by retention
		}
		header, err := rpm.Read(object)
		_ = object.Close()
		if err != nil {
			continue
		}
		for _, f := range header.Files() {
			if strings.Contains(f.Name(), "/.build-id/") {
				continue // a digest of what is inside
			}
			files = append(files, strings.ReplaceAll(f.Name(), "-"+version, "-VERSION"))
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// runListData are a project's runs.
type runListData struct {
	Project string
	Rows    []runListRow
	Next    string
	Builder bool
	State   string
	Now     time.Time
}

type runListRow struct {
	Run    store.Run
	Counts runview.Counts
}

func (p *Pages) runList(q *request) (view, error) {
	d := runListData{Project: q.project.Name, Builder: q.may(auth.Builder), State: q.URL.Query().Get("state"), Now: now(q.ctx())}
	filter := store.RunFilter{Project: q.project.ID}
	if d.State != "" {
		filter.States = []store.RunState{store.RunState(d.State)}
	}
	part, err := q.store().Runs(q.ctx(), filter, store.Page{Limit: 50, Cursor: q.URL.Query().Get("cursor")})
	if err != nil {
		return view{}, err
	}
	d.Next = part.Next
	ids := make([]int64, len(part.Items))
	for i, r := range part.Items {
		ids[i] = r.ID
	}
	counts := map[int64]map[store.StepState]int{}
	if len(ids) > 0 {
		if counts, err = q.store().StepCounts(q.ctx(), store.Build, ids); err != nil {
			return view{}, err
		}
	}
	for _, r := range part.Items {
		row := runListRow{Run: r, Counts: runview.Counts{}}
		for state, n := range counts[r.ID] {
			row.Counts[runview.StateOf(store.Step{State: state})] += n
		}
		d.Rows = append(d.Rows, row)
	}
	return view{Title: "Runs · " + d.Project, Nav: "runs", Body: runListPage(d), Watch: store.EventFilter{Project: q.project.ID}, Crumbs: []crumb{
		{"Projects", "/projects"}, {d.Project, projectPath(d.Project)}, {Text: "Runs"},
	}}, nil
}
