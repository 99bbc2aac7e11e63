package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// WorkerState is what a worker does.
type WorkerState string

// A worker's states.
const (
	WorkerActive   WorkerState = "active"
	WorkerDraining WorkerState = "draining" // ends what it has, takes nothing new
	WorkerGone     WorkerState = "gone"     // for ever: who comes back is another worker of the same name
)

// Worker is one life of a process that runs steps. Its name stays over restarts, its ID does not.
type Worker struct {
	ID       int64
	Name     string
	Host     string
	PID      int64
	Slots    int64 // builds at once
	Labels   map[string]string
	Versions map[string]string // reqpm's and the tools'
	DiskFree int64             // bytes where it builds; -1: unknown
	DiskSize int64             // bytes of that disk; 0: unknown
	State    WorkerState
	Message  string // why it takes nothing, when it does not
	Lease    time.Duration
	// Beats counts signs of life. Others watch whether it changes: comparing times of several clocks is
	// not needed, and a clock that jumps costs nobody his work.
	Beats   int64
	Beat    time.Time // of the last
	Started time.Time
}

const workerColumns = "id, name, host, pid, slots, labels, versions, disk_free, disk_size, state, message, lease_ms, beats, beat, started"

func scanWorker(row scanner) (w Worker, err error) {
	var lease int64
	err = row.Scan(&w.ID, &w.Name, &w.Host, &w.PID, &w.Slots, jsonColumn{&w.Labels}, jsonColumn{&w.Versions}, &w.DiskFree, &w.DiskSize, &w.State, &w.Message, &lease, &w.Beats, timeColumn{&w.Beat}, timeColumn{&w.Started})
	w.Lease = time.Duration(lease) * time.Millisecond
	return w, err
}

func labels(m map[string]string) string {
	if m == nil {
		m = map[string]string{}
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// AddWorker registers a worker.
func (tx *Tx) AddWorker(ctx context.Context, w Worker) (Worker, error) {
	w.State, w.Started = WorkerActive, now()
	w.Beat = w.Started
	var err error
	w.ID, err = tx.insert(ctx, "register the worker "+w.Name, "INSERT INTO workers (name, host, pid, slots, labels, versions, disk_free, disk_size, state, message, lease_ms, beats, beat, started) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $12)",
		w.Name, w.Host, w.PID, w.Slots, labels(w.Labels), labels(w.Versions), w.DiskFree, w.DiskSize, string(w.State), w.Message, w.Lease.Milliseconds(), millis(w.Started))
	if err != nil {
		return w, err
	}
	return w, tx.workerEvent(ctx, w)
}

func (tx *Tx) workerEvent(ctx context.Context, w Worker) error {
	data, _ := json.Marshal(map[string]any{"worker": w.ID, "name": w.Name, "state": w.State})
	return tx.AddEvent(ctx, Event{Kind: "worker", Data: data})
}

// Beat is a sign of life, with what is new: ErrLost when others have given the worker up.
func (q Queries) Beat(ctx context.Context, id, diskFree int64, message string) error {
	n, err := q.exec(ctx, "give a sign of life", "UPDATE workers SET beats = beats + 1, beat = $2, disk_free = $3, message = $4 WHERE id = $1 AND state <> 'gone'", id, millis(now()), diskFree, message)
	if err == nil && n == 0 {
		err = fmt.Errorf("give a sign of life: %w", ErrLost)
	}
	return err
}

// LivingWorkers are those that nobody has given up.
func (q Queries) LivingWorkers(ctx context.Context) ([]Worker, error) {
	return many(ctx, q, "list workers", scanWorker, "SELECT "+workerColumns+" FROM workers WHERE state <> 'gone' ORDER BY name, id")
}

// Workers are the newest life of each name.
func (q Queries) Workers(ctx context.Context) ([]Worker, error) {
	return many(ctx, q, "list workers", scanWorker, "SELECT "+workerColumns+" FROM workers WHERE id IN (SELECT MAX(id) FROM workers GROUP BY name) ORDER BY name")
}

// Worker is ErrNotFound where there is none.
func (q Queries) Worker(ctx context.Context, id int64) (Worker, error) {
	return one(ctx, q, "read a worker", scanWorker, "SELECT "+workerColumns+" FROM workers WHERE id = $1", id)
}

// DrainWorker has a worker take nothing new, or take work again.
func (tx *Tx) DrainWorker(ctx context.Context, id int64, drain bool) error {
	state := WorkerActive
	if drain {
		state = WorkerDraining
	}
	w, err := one(ctx, tx.Queries, "drain a worker", scanWorker, "UPDATE workers SET state = $2 WHERE id = $1 AND state <> 'gone' RETURNING "+workerColumns, id, string(state))
	if err != nil {
		return err
	}
	return tx.workerEvent(ctx, w)
}

// LoseWorker ends a worker's life when it has given no sign since beats, and queues again what it had; a
// step that was lost more than maxLosses times has failed. No steps and no error: it lives.
// A worker that ends by itself after it has handed everything back says beats -1.
func (tx *Tx) LoseWorker(ctx context.Context, id, beats, maxLosses int64) (lost []Step, err error) {
	gone, err := many(ctx, tx.Queries, "give a worker up", scanWorker, "UPDATE workers SET state = 'gone' WHERE id = $1 AND state <> 'gone' AND (beats = $2 OR $2 = -1) RETURNING "+workerColumns, id, beats)
	if err != nil || len(gone) == 0 {
		return nil, err
	}
	if err := tx.workerEvent(ctx, gone[0]); err != nil {
		return nil, err
	}
	lost, err = many(ctx, tx.Queries, "look what a lost worker had", scanStep, "SELECT "+stepColumns+" FROM steps s WHERE s.state = 'running' AND s.worker = $1 ORDER BY s.id", id)
	if err != nil {
		return nil, err
	}
	for _, s := range lost {
		f := Finish{Step: s.ID, Attempt: s.Attempt, Worker: id, State: Failed, Infrastructure: true, Cause: fmt.Sprintf("the worker %s was lost", gone[0].Name)}
		switch {
		case s.CancelWanted:
			f.State = Cancelled
			_, err = tx.FinishStep(ctx, f)
		case s.Losses >= maxLosses:
			f.Cause += fmt.Sprintf(", as %d workers before it that ran this step", s.Losses)
			_, err = tx.FinishStep(ctx, f)
		default:
			if s, err = tx.leave(ctx, f, Ready, 0); err == nil {
				_, err = tx.exec(ctx, "queue a lost step again", "UPDATE steps SET losses = losses + 1, avoid = $2 WHERE id = $1", s.ID, gone[0].Name)
			}
			if err == nil {
				err = tx.stepEvents(ctx, []Step{s})
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return lost, nil
}

// DeleteWorkersBefore forgets lives that ended before a time; it says how many.
func (q Queries) DeleteWorkersBefore(ctx context.Context, t time.Time) (int64, error) {
	return q.exec(ctx, "forget old workers", "DELETE FROM workers WHERE state = 'gone' AND beat < $1", millis(t))
}
