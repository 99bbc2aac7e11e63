package pages

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"reqpm/internal/auth"
	"reqpm/internal/repo"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// What a project has published: its repositories, the snapshots of each that are there, and going back to one of them.

func (p *Pages) snapshotPages() {
	const path = "/projects/{project}/repository"
	p.get(path, auth.Viewer, aboutProject, p.projectRepository)
	p.get(path+"/{repository}/snapshot", auth.Viewer, aboutProject, p.snapshot)
	p.post(path+"/{repository}/rollback", auth.Maintainer, aboutProject, p.rollBack)
	p.post(path+"/{repository}/unpin", auth.Maintainer, aboutProject, p.unpin)
}

func repositoryPath(project string) string { return projectPath(project) + "/repository" }

// shownChanges are the packages that a roll back's page lists.
const shownChanges = 500

// snapshotsData are the snapshots of one repository.
type snapshotsData struct {
	Row     repositoryRow
	Project string
	Base    string // address of the repository's pages
	All     []service.Snapshot
	Numbers map[int64]int64 // of runs, by id; 0: retention has removed it
	May     bool            // roll back
}

// path is the page of a snapshot.
func (d snapshotsData) path(s service.Snapshot) string {
	return d.Base + "/snapshot?id=" + url.QueryEscape(s.ID)
}

// last is the snapshot that was published last; the zero one: there is none.
func (d snapshotsData) last() service.Snapshot {
	if len(d.All) == 0 {
		return service.Snapshot{}
	}
	return d.All[0]
}

// current is the snapshot that clients get; the zero one: there is none.
func (d snapshotsData) current() service.Snapshot {
	for _, s := range d.All {
		if s.Current {
			return s
		}
	}
	return service.Snapshot{}
}

// of is whose a snapshot is, in a sentence: "run 7".
func (d snapshotsData) of(s service.Snapshot) string {
	if n := d.Numbers[s.Run]; n != 0 {
		return fmt.Sprintf("run %d", n)
	}
	return "a run that is removed"
}

// repositoryData is what a project has published.
type repositoryData struct {
	Repositories []snapshotsData
	None         bool // this server has no repositories
}

func (p *Pages) projectRepository(q *request) (view, error) {
	d := repositoryData{None: p.cfg.Repositories == nil}
	rows, err := q.repositories()
	if err != nil {
		return view{}, err
	}
	for _, row := range rows {
		of, err := q.snapshots(row)
		if err != nil {
			return view{}, err
		}
		d.Repositories = append(d.Repositories, of)
	}
	v := q.projectView("Repository of "+q.project.Name, "repository", projectData{})
	v.Crumbs = append(v.Crumbs, crumb{Text: "Repository"})
	v.Body = repositoryPage(d)
	return v, nil
}

// snapshots are those of a repository that are there.
func (q *request) snapshots(row repositoryRow) (d snapshotsData, err error) {
	d = snapshotsData{Row: row, Project: q.project.Name, Base: repositoryPath(q.project.Name) + "/" + itoa(row.Repository.ID), May: q.may(auth.Maintainer)}
	if q.p.cfg.Repositories == nil {
		return d, nil
	}
	if d.All, err = q.p.cfg.Repositories.Snapshots(q.ctx(), q.project, row.Repository); err != nil {
		return d, err
	}
	var runs []int64
	for _, s := range d.All {
		runs = append(runs, s.Run)
	}
	d.Numbers, err = q.runNumbers(runs)
	return d, err
}

// runNumbers are the numbers of runs by id. Those that retention took have none.
func (q *request) runNumbers(runs []int64) (map[int64]int64, error) {
	numbers := map[int64]int64{}
	for _, id := range runs {
		if _, ok := numbers[id]; ok {
			continue
		}
		r, err := q.store().Run(q.ctx(), id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		numbers[id] = r.Number
	}
	return numbers, nil
}

// repository is the one of the project that the address names: nobody reaches another's by its number.
func (q *request) repository() (snapshotsData, error) {
	id, err := q.pathID("repository")
	if err != nil {
		return snapshotsData{}, err
	}
	rows, err := q.repositories()
	if err != nil {
		return snapshotsData{}, err
	}
	for _, row := range rows {
		if row.Repository.ID == id {
			return q.snapshots(row)
		}
	}
	return snapshotsData{}, fmt.Errorf("repository %d of %s: %w", id, q.project.Name, store.ErrNotFound)
}

// snapshotData is one snapshot, and what clients would get otherwise with it than now.
type snapshotData struct {
	snapshotsData
	Snapshot service.Snapshot
	Changes  []repo.Change
	Counts   changeCounts
}

// changeCounts are changes by kind.
type changeCounts struct{ Other, Gone, New int }

func countChanges(all []repo.Change) (c changeCounts) {
	for _, x := range all {
		switch {
		case x.To == "":
			c.Gone++
		case x.From == "":
			c.New++
		default:
			c.Other++
		}
	}
	return c
}

func (p *Pages) snapshot(q *request) (view, error) {
	of, err := q.repository()
	if err != nil {
		return view{}, err
	}
	d := snapshotData{snapshotsData: of}
	for _, s := range d.All {
		if s.ID == q.URL.Query().Get("id") {
			d.Snapshot = s
		}
	}
	if d.Snapshot.ID == "" {
		return view{}, fmt.Errorf("snapshot of %s: %w", q.project.Name, store.ErrNotFound)
	}
	if d.Changes, err = p.cfg.Repositories.Changes(q.ctx(), q.project, d.Row.Repository, d.Snapshot.ID); err != nil {
		return view{}, unusable(err)
	}
	d.Counts = countChanges(d.Changes)
	v := q.projectView("Snapshot of "+q.project.Name, "repository", projectData{})
	v.Crumbs = append(v.Crumbs, crumb{"Repository", repositoryPath(q.project.Name)}, crumb{Text: "Snapshot of " + d.of(d.Snapshot)})
	v.Body = snapshotPage(d)
	return v, nil
}

// unusable is 409 where a snapshot cannot be what clients get.
func unusable(err error) error {
	switch {
	case errors.Is(err, repo.ErrNoSnapshot):
		return fmt.Errorf("%w: a publication has removed the snapshot just now", store.ErrConflict)
	case errors.Is(err, repo.ErrDamaged):
		return fmt.Errorf("%w: the snapshot is not as it was written; clients get what they got before", store.ErrConflict)
	case errors.Is(err, repo.ErrNotPinned):
		return fmt.Errorf("%w: it is not rolled back any more", store.ErrConflict)
	}
	return err
}

// rollBack makes a snapshot the one that clients get, if they still get the one that it was compared with.
func (p *Pages) rollBack(q *request) error {
	d, err := q.repository()
	if err != nil {
		return err
	}
	was, chosen := d.current(), q.PostFormValue("snapshot")
	if q.PostFormValue("from") != was.ID {
		return fmt.Errorf("%w: clients get another snapshot than a moment ago; look at what it would do now", store.ErrConflict)
	}
	if p.cfg.Repositories == nil {
		return store.ErrNotFound
	}
	r := d.Row.Repository
	if _, err := p.cfg.Repositories.RollBack(q.ctx(), q.project, r, chosen, q.who.String(), q.noteSwitch("repository.roll-back", r, was.ID, chosen)); err != nil {
		return unusable(err)
	}
	return q.done(fmt.Sprintf("Clients of %s get the chosen snapshot, whatever is published.", repositoryName(r)), repositoryPath(q.project.Name))
}

// unpin lets publications reach clients again.
func (p *Pages) unpin(q *request) error {
	d, err := q.repository()
	if err != nil {
		return err
	}
	if p.cfg.Repositories == nil {
		return store.ErrNotFound
	}
	r := d.Row.Repository
	if _, err := p.cfg.Repositories.Unpin(q.ctx(), q.project, r, q.who.String(), q.noteSwitch("repository.unpin", r, d.current().ID, d.last().ID)); err != nil {
		return unusable(err)
	}
	return q.done(fmt.Sprintf("Clients of %s get what was published last, and what will be.", repositoryName(r)), repositoryPath(q.project.Name))
}

// noteSwitch notes who chose which snapshot.
func (q *request) noteSwitch(action string, r store.Repository, was, is string) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		return q.who.Audit(context.WithoutCancel(q.ctx()), tx, auth.Change{Action: action, Object: r.Channel + "/" + r.Target, Project: q.project.ID, Detail: map[string]any{"snapshot": auth.FromTo(was, is)}})
	}
}

// What snapshotpage.templ says.

// repositoryName is a repository in a sentence.
func repositoryName(r store.Repository) string { return r.Target + ", " + r.Channel }

// switchWord is what is done to have clients get a snapshot: after a roll back there are newer ones, too.
func switchWord(d snapshotsData, s service.Snapshot) string {
	if s.Published.After(d.current().Published) {
		return "Switch to this"
	}
	return "Roll back to this"
}

// changesText is how many packages change, by kind.
func changesText(c changeCounts) string {
	var parts []string
	add := func(n int, one, many string) {
		if n == 1 {
			parts = append(parts, "1 "+one)
		} else if n > 1 {
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(c.Other, "package has another version", "packages have another version")
	add(c.New, "comes back", "come back")
	add(c.Gone, "goes away", "go away")
	if len(parts) == 0 {
		return "Each package has the name and version that it has now; only files within differ."
	}
	return strings.Join(parts, ", ") + "."
}

// changeText is a change in one line, for a phone.
func changeText(c repo.Change) string {
	switch {
	case c.To == "":
		return visibleName(c.From) + " goes away"
	case c.From == "":
		return visibleName(c.To) + " comes back"
	}
	return visibleName(c.From) + " → " + visibleName(c.To)
}

// rollBackConfirm says what is lost.
func rollBackConfirm(d snapshotData) string {
	return fmt.Sprintf("Have clients of %s get the snapshot of %s? They do not get that of %s any more, nor what is published from now on. %s", repositoryName(d.Row.Repository), d.of(d.Snapshot), d.of(d.current()), changesText(d.Counts))
}
