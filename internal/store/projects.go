package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// Project is a Git URL with its settings.
type Project struct {
	ID               int64
	Name             string // unique
	GitURL           string
	Ref              string // "": the repository's default branch
	RequirementFiles []string
	Targets          []string
	Settings         json.RawMessage // of the pipeline: extras, groups, overrides, …
	Sync             bool            // a new commit makes a run
	LastCommit       string          // that a run was made of; "": none yet
	Created          time.Time
	Updated          time.Time
}

const projectColumns = "id, name, git_url, ref, requirement_files, targets, settings, sync, last_commit, created, updated"

func scanProject(row scanner) (p Project, err error) {
	var settings string
	err = row.Scan(&p.ID, &p.Name, &p.GitURL, &p.Ref, jsonColumn{&p.RequirementFiles}, jsonColumn{&p.Targets}, &settings, &p.Sync, &p.LastCommit, timeColumn{&p.Created}, timeColumn{&p.Updated})
	p.Settings = json.RawMessage(settings)
	return p, err
}

// CreateProject is ErrConflict where a project has the name.
func (q Queries) CreateProject(ctx context.Context, p Project) (Project, error) {
	p.Created, p.Updated = now(), now()
	var err error
	p.ID, err = q.insert(ctx, "create the project "+p.Name, `INSERT INTO projects (name, git_url, ref, requirement_files, targets, settings, sync, last_commit, created, updated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`,
		p.Name, p.GitURL, p.Ref, list(p.RequirementFiles), list(p.Targets), object(p.Settings), p.Sync, p.LastCommit, millis(p.Created))
	return p, err
}

// UpdateProject writes everything but ID, LastCommit and Created.
func (q Queries) UpdateProject(ctx context.Context, p Project) error {
	return q.must(ctx, "change the project "+p.Name, `UPDATE projects SET name = $2, git_url = $3, ref = $4, requirement_files = $5, targets = $6, settings = $7, sync = $8, updated = $9 WHERE id = $1`,
		p.ID, p.Name, p.GitURL, p.Ref, list(p.RequirementFiles), list(p.Targets), object(p.Settings), p.Sync, millis(now()))
}

// SetLastCommit notes the commit that the newest run was made of.
func (q Queries) SetLastCommit(ctx context.Context, project int64, commit string) error {
	return q.must(ctx, "note a project's commit", "UPDATE projects SET last_commit = $2 WHERE id = $1", project, commit)
}

// DeleteProject removes a project and everything of it. Its blobs and folders are the caller's.
func (q Queries) DeleteProject(ctx context.Context, id int64) error {
	return q.must(ctx, "delete a project", "DELETE FROM projects WHERE id = $1", id)
}

// Project is ErrNotFound where there is none.
func (q Queries) Project(ctx context.Context, id int64) (Project, error) {
	return one(ctx, q, "read a project", scanProject, "SELECT "+projectColumns+" FROM projects WHERE id = $1", id)
}

// ProjectNamed is ErrNotFound where there is none.
func (q Queries) ProjectNamed(ctx context.Context, name string) (Project, error) {
	return one(ctx, q, "read the project "+name, scanProject, "SELECT "+projectColumns+" FROM projects WHERE name = $1", name)
}

// ProjectFilter chooses projects; a zero field chooses all.
type ProjectFilter struct {
	Prefix string // of the name
	Text   string // that name or address has, in any case
	Sync   bool   // only those that are synchronised
	IDs    []int64
}

// Projects lists projects; sorted by id, name or updated.
func (q Queries) Projects(ctx context.Context, f ProjectFilter, p Page) (Part[Project], error) {
	var w where
	if f.Prefix != "" {
		w.add("name >= ?", f.Prefix)
		w.add("name < ?", f.Prefix+"\U0010FFFF")
	}
	if f.Sync {
		w.add("sync")
	}
	if f.Text != "" {
		text := "%" + likeText(strings.ToLower(f.Text)) + "%"
		w.add(`(lower(name) LIKE ? ESCAPE '\' OR lower(git_url) LIKE ? ESCAPE '\')`, text, text)
	}
	in(&w, "id", f.IDs)
	return listing[Project]{
		what: "list projects", query: "SELECT " + projectColumns + " FROM projects", id: "id", scan: scanProject,
		orders: map[string]order{"name": {"name", false}, "updated": {"updated", true}},
		key: func(p Project, sort string) (any, int64) {
			if sort == "updated" {
				return millis(p.Updated), p.ID
			}
			return p.Name, p.ID
		},
	}.page(ctx, q, w, p)
}

// CountProjects is how many projects there are, of those listed unless ids is nil.
func (q Queries) CountProjects(ctx context.Context, ids []int64) (int64, error) {
	var w where
	in(&w, "id", ids)
	return one(ctx, q, "count projects", value[int64], "SELECT COUNT(*) FROM projects"+w.String(), w.args...)
}

// LogEntry is a line of a project's log.
type LogEntry struct {
	ID      int64
	Project int64
	Run     int64 // 0: of none
	Step    int64 // 0: of none
	Level   string
	Message string
	At      time.Time
}

// AddLogEntry appends to a project's log, and tells listeners (event "log").
func (tx *Tx) AddLogEntry(ctx context.Context, e LogEntry) (LogEntry, error) {
	if e.At.IsZero() {
		e.At = now()
	}
	var err error
	e.ID, err = tx.insert(ctx, "write to the project's log", "INSERT INTO log_entries (project, run, step, level, message, at) VALUES ($1, $2, $3, $4, $5, $6)",
		e.Project, e.Run, e.Step, e.Level, e.Message, millis(e.At))
	if err != nil {
		return e, err
	}
	data, _ := json.Marshal(map[string]any{"entry": e.ID, "level": e.Level, "message": e.Message})
	return e, tx.AddEvent(ctx, Event{Kind: "log", Project: e.Project, Run: e.Run, Step: e.Step, Data: data})
}

// LogFilter chooses entries; a zero field chooses all.
type LogFilter struct {
	Project, Run, Step int64
	Levels             []string
	Text               string // that the message has, in any case
}

// LogEntries lists what was logged; sorted by id.
func (q Queries) LogEntries(ctx context.Context, f LogFilter, p Page) (Part[LogEntry], error) {
	var w where
	for column, id := range map[string]int64{"project": f.Project, "run": f.Run, "step": f.Step} {
		if id != 0 {
			w.add(column+" = ?", id)
		}
	}
	in(&w, "level", f.Levels)
	if f.Text != "" {
		w.add(`lower(message) LIKE ? ESCAPE '\'`, "%"+likeText(strings.ToLower(f.Text))+"%")
	}
	return listing[LogEntry]{
		what: "list log entries", query: "SELECT id, project, run, step, level, message, at FROM log_entries", id: "id",
		scan: func(row scanner) (e LogEntry, err error) {
			err = row.Scan(&e.ID, &e.Project, &e.Run, &e.Step, &e.Level, &e.Message, timeColumn{&e.At})
			return e, err
		},
		key: func(e LogEntry, _ string) (any, int64) { return e.ID, e.ID },
	}.page(ctx, q, w, p)
}

// likeText is a text that LIKE takes for itself.
func likeText(text string) string {
	return strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text)
}

// DeleteLogEntriesBefore is retention; it says how many went.
func (q Queries) DeleteLogEntriesBefore(ctx context.Context, t time.Time) (int64, error) {
	return q.exec(ctx, "delete old log entries", "DELETE FROM log_entries WHERE at < $1", millis(t))
}
