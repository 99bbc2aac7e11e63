package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Schedule is something that is done again and again, by one process at a time.
//
// Whoever wants to start or end one says which state of it he saw, and nothing happens where it is another by
// now. What time it is the database never asks: clocks of several machines differ, and jump.
type Schedule struct {
	Name    string
	Every   string // how often, as its owner reads it
	Enabled bool
	Next    time.Time
	Asked   string // who wants it run now; "": nobody
	// RunningUntil changes while somebody runs it, and is never when nobody does. A value that
	// stays for a whole lease, by the clock of whoever watches, is that of a process that died.
	RunningUntil time.Time
	Starts       int64 // how often it was started: the fencing token
	LastStarted  time.Time
	LastFinished time.Time
	LastOK       bool
	LastResult   string
	LastError    string
}

const scheduleColumns = "name, every, enabled, next, asked, running_until, starts, last_started, last_finished, last_ok, last_result, last_error"

func scanSchedule(row scanner) (s Schedule, err error) {
	err = row.Scan(&s.Name, &s.Every, &s.Enabled, timeColumn{&s.Next}, &s.Asked, timeColumn{&s.RunningUntil}, &s.Starts, timeColumn{&s.LastStarted}, timeColumn{&s.LastFinished}, &s.LastOK, &s.LastResult, &s.LastError)
	return s, err
}

// AddSchedule notes a schedule unless there is one of that name: what people changed stays.
func (q Queries) AddSchedule(ctx context.Context, s Schedule) error {
	_, err := q.exec(ctx, "note the schedule "+s.Name, `INSERT INTO schedules (name, every, enabled, next, running_until, last_started, last_finished, last_ok, last_result)
		VALUES ($1, $2, $3, $4, 0, 0, 0, FALSE, '') ON CONFLICT DO NOTHING`, s.Name, s.Every, s.Enabled, millis(s.Next))
	return err
}

// Schedules are all there are, by name.
func (q Queries) Schedules(ctx context.Context) ([]Schedule, error) {
	return many(ctx, q, "list schedules", scanSchedule, "SELECT "+scheduleColumns+" FROM schedules ORDER BY name")
}

// Schedule is ErrNotFound where there is none.
func (q Queries) Schedule(ctx context.Context, name string) (Schedule, error) {
	return one(ctx, q, "read the schedule "+name, scanSchedule, "SELECT "+scheduleColumns+" FROM schedules WHERE name = $1", name)
}

// scheduleEvent runs a statement that returns a schedule, and tells listeners (event "schedule"). No row is ErrNotFound.
func (tx *Tx) scheduleEvent(ctx context.Context, what, query string, args ...any) (Schedule, error) {
	s, err := one(ctx, tx.Queries, what, scanSchedule, query+" RETURNING "+scheduleColumns, args...)
	if err != nil {
		return s, err
	}
	data, _ := json.Marshal(map[string]any{"name": s.Name, "running": !s.RunningUntil.IsZero(), "ok": s.LastOK})
	return s, tx.AddEvent(ctx, Event{Kind: "schedule", Data: data})
}

// ChangeSchedule sets how often, whether, and when next.
func (tx *Tx) ChangeSchedule(ctx context.Context, s Schedule) (Schedule, error) {
	return tx.scheduleEvent(ctx, "change the schedule "+s.Name, "UPDATE schedules SET every = $2, enabled = $3, next = $4 WHERE name = $1", s.Name, s.Every, s.Enabled, millis(s.Next))
}

// AskSchedule has a schedule run now, by whichever process runs schedules, even one that is switched off. ErrConflict while
// it runs.
func (tx *Tx) AskSchedule(ctx context.Context, name, who string) (Schedule, error) {
	s, err := tx.Schedule(ctx, name)
	if err == nil && !s.RunningUntil.IsZero() {
		err = fmt.Errorf("run the schedule %s: %w: it runs already", name, ErrConflict)
	}
	if err != nil {
		return s, err
	}
	return tx.scheduleEvent(ctx, "run the schedule "+name, "UPDATE schedules SET asked = $2 WHERE name = $1", name, who)
}

// same is what a schedule must still be like for a change to count.
const same = " WHERE name = $1 AND starts = $2 AND running_until = $3 AND next = $4 AND asked = $5"

func (s Schedule) same(args ...any) []any {
	return append([]any{s.Name, s.Starts, millis(s.RunningUntil), millis(s.Next), s.Asked}, args...)
}

// StartSchedule takes a schedule, as seen, for this process: ErrNotFound when it is another by now. Who has
// it says so again (HoldSchedule), three times within lease.
func (tx *Tx) StartSchedule(ctx context.Context, seen Schedule, at time.Time, lease time.Duration) (Schedule, error) {
	return tx.scheduleEvent(ctx, "start the schedule "+seen.Name, "UPDATE schedules SET running_until = $6, last_started = $7, starts = starts + 1, asked = ''"+same,
		seen.same(millis(at.Add(lease)), millis(at))...)
}

// HoldSchedule says that it still runs: ErrNotFound when it was given up.
func (q Queries) HoldSchedule(ctx context.Context, started Schedule, at time.Time, lease time.Duration) error {
	return q.must(ctx, "hold the schedule "+started.Name, "UPDATE schedules SET running_until = CASE WHEN running_until < $3 THEN $3 ELSE running_until + 1 END WHERE name = $1 AND starts = $2 AND running_until > 0",
		started.Name, started.Starts, millis(at.Add(lease)))
}

// FinishSchedule notes how it went, and when it is due again: ErrNotFound when it was given up. LastError "" is success.
func (tx *Tx) FinishSchedule(ctx context.Context, s Schedule, at time.Time) error {
	_, err := tx.scheduleEvent(ctx, "finish the schedule "+s.Name, "UPDATE schedules SET running_until = 0, last_finished = $3, last_ok = $4, last_result = $5, last_error = $6, next = $7 WHERE name = $1 AND starts = $2 AND running_until > 0",
		s.Name, s.Starts, millis(at), s.LastError == "", s.LastResult, s.LastError, millis(s.Next))
	return err
}

// LoseSchedule gives up, as seen, the run of a process that died.
func (tx *Tx) LoseSchedule(ctx context.Context, seen Schedule, at time.Time) error {
	_, err := tx.scheduleEvent(ctx, "give up the schedule "+seen.Name, "UPDATE schedules SET running_until = 0, starts = starts + 1, last_finished = $6, last_ok = FALSE, last_result = '', last_error = 'the process that ran it was lost'"+same,
		seen.same(millis(at))...)
	return err
}

// MoveSchedule sets when a schedule, as seen, is due.
func (q Queries) MoveSchedule(ctx context.Context, seen Schedule, next time.Time) error {
	return q.must(ctx, "move the schedule "+seen.Name, "UPDATE schedules SET next = $6"+same, seen.same(millis(next))...)
}
