package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Event is something that happened, for whoever listens. Its number grows, and no event gets
// a lower one than an event that could be seen before it: who knows all up to a number asks for
// those after it and misses none.
type Event struct {
	ID      int64
	At      time.Time
	Kind    string // run, step, log, worker, …
	Project int64
	Run     int64
	Step    int64
	Data    json.RawMessage
}

// AddEvent tells listeners; ID and At are given here.
func (tx *Tx) AddEvent(ctx context.Context, e Event) error {
	_, err := tx.exec(ctx, "tell what happened", "INSERT INTO events (at, kind, project, run, step, data) VALUES ($1, $2, $3, $4, $5, $6)",
		millis(now()), e.Kind, e.Project, e.Run, e.Step, object(e.Data))
	return err
}

// EventFilter chooses events; a zero field chooses all.
type EventFilter struct {
	Project, Run int64
}

// EventsAfter are the events after a number, the oldest first, limit of them at most.
func (q Queries) EventsAfter(ctx context.Context, after int64, f EventFilter, limit int) ([]Event, error) {
	var w where
	w.add("id > ?", after)
	if f.Project != 0 {
		w.add("project = ?", f.Project)
	}
	if f.Run != 0 {
		w.add("run = ?", f.Run)
	}
	return many(ctx, q, "read events", func(row scanner) (e Event, err error) {
		var data string
		err = row.Scan(&e.ID, timeColumn{&e.At}, &e.Kind, &e.Project, &e.Run, &e.Step, &data)
		e.Data = json.RawMessage(data)
		return e, err
	}, fmt.Sprintf("SELECT id, at, kind, project, run, step, data FROM events%s ORDER BY id LIMIT %d", w.String(), limit), w.args...)
}

// LastEvent is the newest event's number; 0: there is none.
func (q Queries) LastEvent(ctx context.Context) (int64, error) {
	return one(ctx, q, "read the newest event", value[int64], "SELECT COALESCE(MAX(id), 0) FROM events")
}

// DeleteEventsBefore is retention; it says how many went. The newest stays, and so the numbering.
func (q Queries) DeleteEventsBefore(ctx context.Context, t time.Time) (int64, error) {
	return q.exec(ctx, "delete old events", "DELETE FROM events WHERE at < $1 AND id < (SELECT MAX(id) FROM events)", millis(t))
}
