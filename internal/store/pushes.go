package store

import (
	"context"
	"time"
)

// PushHook is what a project's forge may tell it, and what of that counts. The secret is sealed by whoever
// stores it.
type PushHook struct {
	Project  int64
	Sealed   []byte
	Branches []string // patterns; none: the project's own branch
	Tags     []string // patterns; none: no tags
	Paths    []string // patterns of changed files; none: all
	Created  time.Time
	Rotated  time.Time // when the secret was made
	// The last request that was refused, because it did not have the secret.
	Refused     time.Time
	RefusedFrom string
	RefusedWhy  string
}

// PushHook is ErrNotFound where a project has none.
func (q Queries) PushHook(ctx context.Context, project int64) (PushHook, error) {
	return one(ctx, q, "read a push hook", func(row scanner) (h PushHook, err error) {
		err = row.Scan(&h.Project, &h.Sealed, jsonColumn{&h.Branches}, jsonColumn{&h.Tags}, jsonColumn{&h.Paths}, timeColumn{&h.Created}, timeColumn{&h.Rotated},
			timeColumn{&h.Refused}, &h.RefusedFrom, &h.RefusedWhy)
		return h, err
	}, "SELECT project, sealed, branches, tags, paths, created, rotated, refused, refused_from, refused_why FROM push_hooks WHERE project = $1", project)
}

// AddPushHook is ErrConflict where the project has one.
func (q Queries) AddPushHook(ctx context.Context, h PushHook) error {
	_, err := q.exec(ctx, "make a push hook", `INSERT INTO push_hooks (project, sealed, branches, tags, paths, created, rotated, refused, refused_from, refused_why)
		VALUES ($1, $2, $3, $4, $5, $6, $6, 0, '', '')`, h.Project, h.Sealed, list(h.Branches), list(h.Tags), list(h.Paths), millis(now()))
	return err
}

// ChangePushHook sets what counts.
func (q Queries) ChangePushHook(ctx context.Context, h PushHook) error {
	return q.must(ctx, "change a push hook", "UPDATE push_hooks SET branches = $2, tags = $3, paths = $4 WHERE project = $1", h.Project, list(h.Branches), list(h.Tags), list(h.Paths))
}

// SetPushSecret replaces the sealed secret.
func (q Queries) SetPushSecret(ctx context.Context, project int64, sealed []byte, rotated time.Time) error {
	return q.must(ctx, "change a push hook's secret", "UPDATE push_hooks SET sealed = $2, rotated = $3 WHERE project = $1", project, sealed, millis(rotated))
}

// NoteRefusedPush notes the last request that did not have the secret.
func (q Queries) NoteRefusedPush(ctx context.Context, project int64, from, why string) error {
	return q.must(ctx, "note a refused push", "UPDATE push_hooks SET refused = $2, refused_from = $3, refused_why = $4 WHERE project = $1", project, millis(now()), from, why)
}

// DeletePushHook is ErrNotFound where there is none. What it was told stays until retention.
func (q Queries) DeletePushHook(ctx context.Context, project int64) error {
	return q.must(ctx, "delete a push hook", "DELETE FROM push_hooks WHERE project = $1", project)
}

// PushDelivery is something that a forge told, and what was decided.
type PushDelivery struct {
	ID       int64
	Project  int64
	Delivery string // the forge's own id of it, unique in the project
	Forge    string
	Event    string
	Ref      string
	Commit   string
	Address  string // that it came from
	Decision string // run, joined, ignored, ping
	Why      string
	Run      int64 // 0: none
	Times    int64 // how often it came
	At       time.Time
}

const pushColumns = "id, project, delivery, forge, event, ref, commit_id, address, decision, why, run, times, at"

func scanPush(row scanner) (d PushDelivery, err error) {
	err = row.Scan(&d.ID, &d.Project, &d.Delivery, &d.Forge, &d.Event, &d.Ref, &d.Commit, &d.Address, &d.Decision, &d.Why, &d.Run, &d.Times, timeColumn{&d.At})
	return d, err
}

// RepeatPush is the delivery of an id that came before, counted once more; ErrNotFound: it is new.
func (tx *Tx) RepeatPush(ctx context.Context, project int64, delivery string) (PushDelivery, error) {
	return one(ctx, tx.Queries, "look for an earlier push", scanPush, "UPDATE push_deliveries SET times = times + 1 WHERE project = $1 AND delivery = $2 RETURNING "+pushColumns, project, delivery)
}

// AddPush notes a delivery.
func (tx *Tx) AddPush(ctx context.Context, d PushDelivery) (PushDelivery, error) {
	d.At, d.Times = now(), 1
	var err error
	d.ID, err = tx.insert(ctx, "note a push", `INSERT INTO push_deliveries (project, delivery, forge, event, ref, commit_id, address, decision, why, run, times, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, d.Project, d.Delivery, d.Forge, d.Event, d.Ref, d.Commit, d.Address, d.Decision, d.Why, d.Run, d.Times, millis(d.At))
	return d, err
}

// Pushes lists what a project was told; sorted by id.
func (q Queries) Pushes(ctx context.Context, project int64, p Page) (Part[PushDelivery], error) {
	var w where
	w.add("project = ?", project)
	return listing[PushDelivery]{
		what: "list pushes", query: "SELECT " + pushColumns + " FROM push_deliveries", id: "id", scan: scanPush,
		key: func(d PushDelivery, _ string) (any, int64) { return d.ID, d.ID },
	}.page(ctx, q, w, p)
}

// RunningRuns are a project's runs of one of some refs that have begun and not ended, the newest first.
func (q Queries) RunningRuns(ctx context.Context, project int64, refs []string) ([]Run, error) {
	var w where
	w.add("project = ?", project)
	w.add("state = 'running'")
	in(&w, "ref", refs)
	return many(ctx, q, "look for running runs", scanRun, "SELECT "+runColumns+" FROM runs"+w.String()+" ORDER BY id DESC", w.args...)
}

// releaseBehind lets the runs begin that waited for the end of this one.
func (tx *Tx) releaseBehind(ctx context.Context, run int64) error {
	runs, err := many(ctx, tx.Queries, "look which runs waited", value[int64], "UPDATE runs SET behind = 0 WHERE behind = $1 RETURNING id", run)
	if err != nil {
		return err
	}
	for _, next := range runs {
		freed, err := many(ctx, tx.Queries, "begin a run that waited", scanStep, `UPDATE steps AS s SET waiting = 0, state = 'ready', ready = $2
			WHERE s.run = $1 AND s.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM edges e WHERE e.step = s.id) RETURNING `+stepColumns, next, millis(now()))
		if err != nil {
			return err
		}
		if err := tx.stepEvents(ctx, freed); err != nil {
			return err
		}
	}
	return nil
}
