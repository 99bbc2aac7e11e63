package store

import (
	"context"
	"encoding/json"
	"time"
)

// Outdated is what the update check found of a project's set for one target.
type Outdated struct {
	Project  int64
	Target   string
	Run      int64           // whose lock was looked at
	Packages int64           // of the set
	Found    json.RawMessage // those with newer versions, a list
	Problem  string          // why it could not be checked; "": it was, and Found is of Checked
	Checked  time.Time
}

// PutOutdated keeps what was found, in place of what was found before.
func (q Queries) PutOutdated(ctx context.Context, o Outdated) error {
	if len(o.Found) == 0 {
		o.Found = json.RawMessage("[]")
	}
	_, err := q.exec(ctx, "keep the update check", `INSERT INTO outdated (project, target, run, packages, found, problem, checked) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (project, target) DO UPDATE SET run = excluded.run, packages = excluded.packages, found = excluded.found, problem = excluded.problem, checked = excluded.checked`,
		o.Project, o.Target, o.Run, o.Packages, string(o.Found), o.Problem, millis(o.Checked))
	return err
}

// OutdatedOf are a project's, by target.
func (q Queries) OutdatedOf(ctx context.Context, project int64) ([]Outdated, error) {
	return many(ctx, q, "read the update check", func(row scanner) (o Outdated, err error) {
		var found string
		err = row.Scan(&o.Project, &o.Target, &o.Run, &o.Packages, &found, &o.Problem, timeColumn{&o.Checked})
		o.Found = json.RawMessage(found)
		return o, err
	}, "SELECT project, target, run, packages, found, problem, checked FROM outdated WHERE project = $1 ORDER BY target", project)
}
