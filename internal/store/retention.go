package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Retention says which runs are to go. A run that has not ended, the newest and the newest good one of a
// project, one that a repository was published from, one that somebody pinned, and one that another
// run or a message waits for stays whatever it says.
type Retention struct {
	Before time.Time // runs that ended before go; zero: none for its age
	Keep   int       // of each project, so many of the newest stay; 0: any number
}

// disposable is what must be true of a run r before anything of it is removed.
const disposable = `r.state IN ('succeeded', 'failed', 'cancelled') AND NOT r.pinned
	AND r.id <> (SELECT MAX(n.id) FROM runs n WHERE n.project = r.project)
	AND (r.state <> 'succeeded' OR EXISTS (SELECT 1 FROM runs n WHERE n.project = r.project AND n.id > r.id AND n.state = 'succeeded'))
	AND NOT EXISTS (SELECT 1 FROM repositories p JOIN snapshots s ON s.id = p.snapshot WHERE s.run = r.id)
	AND NOT EXISTS (SELECT 1 FROM runs n WHERE n.behind = r.id AND n.state IN ('queued', 'running'))
	AND NOT EXISTS (SELECT 1 FROM notifications m WHERE m.run = r.id AND m.state = 'waiting')`

// expired is the query for runs that go; project 0: of all.
func (r Retention) expired(project int64, more string) string {
	of := ""
	if project != 0 {
		of = " WHERE project = " + strconv.FormatInt(project, 10)
	}
	old := "FALSE"
	if !r.Before.IsZero() {
		old = fmt.Sprintf("r.finished > 0 AND r.finished < %d", millis(r.Before))
	}
	many := "FALSE"
	if r.Keep > 0 {
		many = fmt.Sprintf("r.place > %d", r.Keep)
	}
	return "SELECT " + runColumns + " FROM (SELECT runs.*, ROW_NUMBER() OVER (PARTITION BY project ORDER BY id DESC) AS place FROM runs" + of + ") r WHERE " + disposable + " AND (" + old + " OR " + many + ")" + more
}

// ExpiredRuns are runs that go, after an id, the oldest first; limit of them at most.
func (q Queries) ExpiredRuns(ctx context.Context, r Retention, after int64, limit int) ([]Run, error) {
	return many(ctx, q, "look for old runs", scanRun, r.expired(0, fmt.Sprintf(" AND r.id > $1 ORDER BY r.id LIMIT %d", limit)), after)
}

// DeleteExpiredRun removes a run and everything of it, if it still is to go; else ErrNotFound. Its blobs and logs are the
// caller's. Published states of it that no repository points at forget which run they are of.
func (tx *Tx) DeleteExpiredRun(ctx context.Context, r Retention, run Run) error {
	what := fmt.Sprintf("remove run %d", run.ID)
	if _, err := one(ctx, tx.Queries, what, scanRun, r.expired(run.Project, " AND r.id = $1"), run.ID); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, what, "UPDATE snapshots SET run = 0 WHERE run = $1", run.ID); err != nil {
		return err
	}
	if err := tx.DeleteRun(ctx, run.ID); err != nil {
		return err
	}
	data, _ := json.Marshal(map[string]any{"state": "removed"})
	return tx.AddEvent(ctx, Event{Kind: "run", Project: run.Project, Run: run.ID, Data: data})
}

// ExpiredLogs are runs that ended before a time and still have logs, after an id, the oldest first.
func (q Queries) ExpiredLogs(ctx context.Context, before time.Time, after int64, limit int) ([]Run, error) {
	return many(ctx, q, "look for old logs", scanRun, "SELECT "+runColumns+" FROM runs r WHERE "+disposable+` AND r.finished > 0 AND r.finished < $1 AND r.id > $2
		AND EXISTS (SELECT 1 FROM steps s JOIN attempts a ON a.step = s.id WHERE s.run = r.id AND a.log <> '')`+fmt.Sprintf(" ORDER BY r.id LIMIT %d", limit), millis(before), after)
}

// ForgetLogs notes that the logs of a run are no more, if it still ended before that time and need not be kept, and gives their
// names: the caller deletes them. ErrNotFound: it is not so any more.
func (tx *Tx) ForgetLogs(ctx context.Context, before time.Time, run int64) ([]string, error) {
	what := fmt.Sprintf("forget the logs of run %d", run)
	if _, err := one(ctx, tx.Queries, what, scanRun, "SELECT "+runColumns+" FROM runs r WHERE "+disposable+" AND r.id = $1 AND r.finished > 0 AND r.finished < $2", run, millis(before)); err != nil {
		return nil, err
	}
	names, err := many(ctx, tx.Queries, what, value[string], "SELECT a.log FROM attempts a JOIN steps s ON s.id = a.step WHERE s.run = $1 AND a.log <> ''", run)
	if err != nil {
		return nil, err
	}
	_, err = tx.exec(ctx, what, "UPDATE attempts SET log = '' WHERE step IN (SELECT id FROM steps WHERE run = $1)", run)
	return names, err
}

// LogGone tells whether the log of an attempt was removed: it had one.
func (q Queries) LogGone(ctx context.Context, step, attempt int64) (bool, error) {
	return one(ctx, q, "read an attempt", value[bool], "SELECT EXISTS (SELECT 1 FROM attempts WHERE step = $1 AND attempt = $2 AND log = '')", step, attempt)
}

// PinRun has retention leave a run alone, or not any more, and tells listeners (event "run").
func (tx *Tx) PinRun(ctx context.Context, run int64, pinned bool) (Run, error) {
	r, err := one(ctx, tx.Queries, "pin a run", scanRun, "UPDATE runs SET pinned = $2 WHERE id = $1 RETURNING "+runColumns, run, pinned)
	if err != nil {
		return r, err
	}
	return r, tx.runEvent(ctx, r.Project, r.ID, r.State)
}

// BlobUses are how many artifacts name each of some blobs; those that none names are absent.
func (q Queries) BlobUses(ctx context.Context, blobs []string) (map[string]int, error) {
	return q.uses(ctx, "artifacts", blobs)
}

// RevisionUses are how many revisions of specs name each of some blobs.
func (q Queries) RevisionUses(ctx context.Context, blobs []string) (map[string]int, error) {
	return q.uses(ctx, "spec_revisions", blobs)
}

func (q Queries) uses(ctx context.Context, table string, blobs []string) (map[string]int, error) {
	type use struct {
		blob string
		n    int
	}
	uses := map[string]int{}
	for part := range slices.Chunk(blobs, most) {
		set, args := inList(nil, part)
		found, err := many(ctx, q, "look who uses blobs", func(row scanner) (u use, err error) {
			err = row.Scan(&u.blob, &u.n)
			return u, err
		}, "SELECT blob, COUNT(*) FROM "+table+" WHERE blob IN "+set+" GROUP BY blob", args...)
		if err != nil {
			return nil, err
		}
		for _, u := range found {
			uses[u.blob] = u.n
		}
	}
	return uses, nil
}

// BlobMark is the result of a build that nobody referred to when it was looked at.
type BlobMark struct {
	Name     string
	Marked   time.Time
	Deleting bool // its blobs are being deleted: nobody may rely on them, nor put them again before it is over
}

// MarkBlobs notes results of builds that nobody refers to; those that are marked stay as they are.
func (q Queries) MarkBlobs(ctx context.Context, names []string, at time.Time) error {
	for part := range slices.Chunk(names, most/3) {
		values, args := rows(part, func(name string) []any { return []any{name, millis(at), false} })
		if _, err := q.exec(ctx, "mark blobs", "INSERT INTO blob_marks (name, marked, deleting) VALUES "+values+" ON CONFLICT DO NOTHING", args...); err != nil {
			return err
		}
	}
	return nil
}

func scanMark(row scanner) (m BlobMark, err error) {
	err = row.Scan(&m.Name, timeColumn{&m.Marked}, &m.Deleting)
	return m, err
}

// BlobMarks are all marks, those of some names unless there are none.
func (q Queries) BlobMarks(ctx context.Context, names ...string) ([]BlobMark, error) {
	if len(names) == 0 {
		return many(ctx, q, "read marks of blobs", scanMark, "SELECT name, marked, deleting FROM blob_marks ORDER BY name")
	}
	var all []BlobMark
	for part := range slices.Chunk(names, most) {
		set, args := inList(nil, part)
		found, err := many(ctx, q, "read marks of blobs", scanMark, "SELECT name, marked, deleting FROM blob_marks WHERE name IN "+set, args...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// UseBlobs takes the marks off results that somebody is about to use, and gives those that are being deleted.
func (tx *Tx) UseBlobs(ctx context.Context, names []string) (deleting []string, err error) {
	marks, err := tx.BlobMarks(ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, m := range marks {
		if m.Deleting {
			deleting = append(deleting, m.Name)
		} else if err := tx.UnmarkBlobs(ctx, m.Name); err != nil {
			return nil, err
		}
	}
	return deleting, nil
}

// ClaimBlobs says that the blobs of a result that was marked before a time are being deleted. False, and no mark any more: an
// artifact names one of them. False too where somebody has taken the mark off.
func (tx *Tx) ClaimBlobs(ctx context.Context, name string, blobs []string, before time.Time) (bool, error) {
	uses, err := tx.BlobUses(ctx, blobs)
	if err != nil {
		return false, err
	}
	if len(uses) > 0 {
		_, err := tx.exec(ctx, "take a mark off", "DELETE FROM blob_marks WHERE name = $1 AND NOT deleting", name)
		return false, err
	}
	n, err := tx.exec(ctx, "delete blobs", "UPDATE blob_marks SET deleting = TRUE WHERE name = $1 AND (deleting OR marked < $2)", name, millis(before))
	return n > 0, err
}

// UnmarkBlobs takes a mark off.
func (q Queries) UnmarkBlobs(ctx context.Context, name string) error {
	_, err := q.exec(ctx, "take a mark off", "DELETE FROM blob_marks WHERE name = $1", name)
	return err
}

// RunNumbers are the numbers, each within its project, of some runs; those that there are not are not among them.
func (q Queries) RunNumbers(ctx context.Context, ids []int64) (map[int64]int64, error) {
	type run struct{ id, number int64 }
	numbers := map[int64]int64{}
	for part := range slices.Chunk(ids, most) {
		set, args := inList(nil, part)
		found, err := many(ctx, q, "read the numbers of runs", func(row scanner) (r run, err error) {
			err = row.Scan(&r.id, &r.number)
			return r, err
		}, "SELECT id, number FROM runs WHERE id IN "+set, args...)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			numbers[r.id] = r.number
		}
	}
	return numbers, nil
}
