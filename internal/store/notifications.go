package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Channel is a place where people want to be told of runs.
type Channel struct {
	ID       int64
	Project  int64 // 0: of all projects
	Name     string
	Kind     string
	Events   []string
	Settings json.RawMessage // without secrets
	Sealed   []byte          // the secrets, sealed by whoever stores them
	Enabled  bool
	Created  time.Time
	Updated  time.Time
}

const channelColumns = "id, project, name, kind, events, settings, sealed, enabled, created, updated"

func scanChannel(row scanner) (c Channel, err error) {
	var project sql.NullInt64
	var settings string
	err = row.Scan(&c.ID, &project, &c.Name, &c.Kind, jsonColumn{&c.Events}, &settings, &c.Sealed, &c.Enabled, timeColumn{&c.Created}, timeColumn{&c.Updated})
	c.Project, c.Settings = project.Int64, json.RawMessage(settings)
	return c, err
}

// AddChannel gives a channel its ID; Sealed may be set once that is known.
func (q Queries) AddChannel(ctx context.Context, c Channel) (Channel, error) {
	c.Created, c.Updated = now(), now()
	if c.Sealed == nil {
		c.Sealed = []byte{}
	}
	var err error
	c.ID, err = q.insert(ctx, "make the channel "+c.Name, "INSERT INTO channels (project, name, kind, events, settings, sealed, enabled, created, updated) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
		orNull(c.Project), c.Name, c.Kind, list(c.Events), object(c.Settings), c.Sealed, c.Enabled, millis(c.Created))
	return c, err
}

// SetChannel writes everything but ID, Project, Kind and Created.
func (q Queries) SetChannel(ctx context.Context, c Channel) error {
	return q.must(ctx, "change the channel "+c.Name, "UPDATE channels SET name = $2, events = $3, settings = $4, sealed = $5, enabled = $6, updated = $7 WHERE id = $1",
		c.ID, c.Name, list(c.Events), object(c.Settings), c.Sealed, c.Enabled, millis(now()))
}

// Channel is ErrNotFound where there is none.
func (q Queries) Channel(ctx context.Context, id int64) (Channel, error) {
	return one(ctx, q, fmt.Sprintf("read channel %d", id), scanChannel, "SELECT "+channelColumns+" FROM channels WHERE id = $1", id)
}

// Channels are a project's own; those of all projects when project is 0.
func (q Queries) Channels(ctx context.Context, project int64) ([]Channel, error) {
	var w where
	if project == 0 {
		w.add("project IS NULL")
	} else {
		w.add("project = ?", project)
	}
	return many(ctx, q, "list channels", scanChannel, "SELECT "+channelColumns+" FROM channels"+w.String()+" ORDER BY id", w.args...)
}

// DeleteChannel removes a channel and what it was told.
func (q Queries) DeleteChannel(ctx context.Context, id int64) error {
	return q.must(ctx, fmt.Sprintf("delete channel %d", id), "DELETE FROM channels WHERE id = $1", id)
}

// States of a notification.
const (
	NotifyWaiting = "waiting" // to be sent, or sent again
	NotifySent    = "sent"
	NotifyFailed  = "failed"  // given up
	NotifySkipped = "skipped" // nothing that the channel wants to be told of
)

// Notification is a message about the end of a run, for one channel, and what became of it.
type Notification struct {
	ID       int64
	Channel  int64
	Project  int64
	Run      int64     // 0: somebody tries the channel
	Ended    time.Time // the run
	Event    string    // failed, fixed, succeeded, cancelled, test; "": not looked at yet
	State    string
	Attempts int64
	Replays  int64     // how often somebody had it sent again
	Next     time.Time // the next attempt
	Status   string    // how the last one went
	Answer   string    // what was answered, its beginning
	Created  time.Time
	Finished time.Time
}

const notificationColumns = "id, channel, project, run, ended, event, state, attempts, replays, next, status, answer, created, finished"

func scanNotification(row scanner) (n Notification, err error) {
	err = row.Scan(&n.ID, &n.Channel, &n.Project, &n.Run, timeColumn{&n.Ended}, &n.Event, &n.State, &n.Attempts, &n.Replays, timeColumn{&n.Next}, &n.Status, &n.Answer, timeColumn{&n.Created}, timeColumn{&n.Finished})
	return n, err
}

// notify has every channel that may want it told that a run has ended. The row is there or the run has not ended:
// no restart loses a message, and the same end makes no second one.
func (tx *Tx) notify(ctx context.Context, r Run) error {
	_, err := tx.exec(ctx, "note who is to be told", `INSERT INTO notifications (channel, project, run, ended, event, state, attempts, replays, next, status, answer, created, finished)
		SELECT id, CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), '', 'waiting', 0, 0, CAST($3 AS BIGINT), '', '', CAST($3 AS BIGINT), 0 FROM channels
		WHERE enabled AND (project IS NULL OR project = $1) ON CONFLICT DO NOTHING`, r.Project, r.ID, millis(r.Finished))
	return err
}

// AddNotification notes a message that is about no run; it is for its maker to send until Next.
func (q Queries) AddNotification(ctx context.Context, n Notification) (Notification, error) {
	n.Created, n.State = now(), NotifyWaiting
	if n.Ended.IsZero() {
		n.Ended = n.Created
	}
	var err error
	n.ID, err = q.insert(ctx, "note a message", `INSERT INTO notifications (channel, project, run, ended, event, state, attempts, replays, next, status, answer, created, finished)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, '', '', $9, 0)`, n.Channel, n.Project, n.Run, millis(n.Ended), n.Event, n.State, n.Attempts, millis(n.Next), millis(n.Created))
	return n, err
}

// ClaimNotifications gives out messages that are due, each to one caller for as long as lease. Who has not said by then
// what became of it may see it given to another.
func (q Queries) ClaimNotifications(ctx context.Context, lease time.Duration, limit int) ([]Notification, error) {
	at := now()
	return many(ctx, q, "look for messages to send", scanNotification, `UPDATE notifications SET attempts = attempts + 1, next = $2 WHERE id IN (
			SELECT id FROM notifications WHERE state = 'waiting' AND next <= $1 ORDER BY next, id LIMIT $3)
		AND state = 'waiting' AND next <= $1 RETURNING `+notificationColumns, millis(at), millis(at.Add(lease)), limit)
}

// DueNotification tells whether a message waits to be sent.
func (q Queries) DueNotification(ctx context.Context) (bool, error) {
	return one(ctx, q, "look for messages to send", value[bool], "SELECT EXISTS (SELECT 1 FROM notifications WHERE state = 'waiting' AND next <= $1)", millis(now()))
}

// EndNotification notes what became of an attempt, unless somebody has begun another since.
func (q Queries) EndNotification(ctx context.Context, n Notification) error {
	if n.State != NotifyWaiting {
		n.Finished = now()
	}
	_, err := q.exec(ctx, "note what became of a message", "UPDATE notifications SET event = $2, state = $3, next = $4, status = $5, answer = $6, finished = $7 WHERE id = $1 AND attempts = $8 AND replays = $9",
		n.ID, n.Event, n.State, millis(n.Next), n.Status, n.Answer, millis(n.Finished), n.Attempts, n.Replays)
	return err
}

// ReplayNotification has a message sent again.
func (q Queries) ReplayNotification(ctx context.Context, id int64) error {
	return q.must(ctx, "have a message sent again", "UPDATE notifications SET state = 'waiting', attempts = 0, replays = replays + 1, next = $2, finished = 0 WHERE id = $1", id, millis(now()))
}

// Notification is ErrNotFound where there is none.
func (q Queries) Notification(ctx context.Context, id int64) (Notification, error) {
	return one(ctx, q, fmt.Sprintf("read message %d", id), scanNotification, "SELECT "+notificationColumns+" FROM notifications WHERE id = $1", id)
}

// NotificationFilter chooses messages; a zero field chooses all.
type NotificationFilter struct {
	Project, Channel, Run int64
	Own                   bool // of the project's own channels only
	States                []string
}

// Notifications lists messages; sorted by id.
func (q Queries) Notifications(ctx context.Context, f NotificationFilter, p Page) (Part[Notification], error) {
	var w where
	if f.Project != 0 {
		w.add("project = ?", f.Project)
	}
	if f.Channel != 0 {
		w.add("channel = ?", f.Channel)
	}
	if f.Run != 0 {
		w.add("run = ?", f.Run)
	}
	if f.Own {
		w.add("channel IN (SELECT id FROM channels WHERE project IS NOT NULL)")
	}
	in(&w, "state", f.States)
	return listing[Notification]{
		what: "list messages", query: "SELECT " + notificationColumns + " FROM notifications", id: "id", scan: scanNotification,
		key: func(n Notification, _ string) (any, int64) { return n.ID, n.ID },
	}.page(ctx, q, w, p)
}

// RunBefore is the last run of the same project and ref before one that has succeeded or failed: ErrNotFound.
func (q Queries) RunBefore(ctx context.Context, r Run) (Run, error) {
	return one(ctx, q, fmt.Sprintf("look for the run before %d", r.ID), scanRun, "SELECT "+runColumns+" FROM runs WHERE project = $1 AND id < $2 AND ref = $3 AND state IN ('succeeded', 'failed') ORDER BY id DESC LIMIT 1",
		r.Project, r.ID, r.Ref)
}
