package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// SettingPaused is "true" while nothing new is dispatched anywhere.
const SettingPaused = "paused"

// Setting is a setting's value; "" where nobody set it.
func (q Queries) Setting(ctx context.Context, name string) (string, error) {
	v, err := one(ctx, q, "read the setting "+name, value[string], "SELECT value FROM settings WHERE name = $1", name)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return v, err
}

// Settings are all that were set.
func (q Queries) Settings(ctx context.Context) (map[string]string, error) {
	pairs, err := many(ctx, q, "read the settings", func(row scanner) (p [2]string, err error) {
		err = row.Scan(&p[0], &p[1])
		return p, err
	}, "SELECT name, value FROM settings")
	all := map[string]string{}
	for _, p := range pairs {
		all[p[0]] = p[1]
	}
	return all, err
}

// SetSetting sets a value, and tells listeners (event "settings").
func (tx *Tx) SetSetting(ctx context.Context, name, text string) error {
	_, err := tx.exec(ctx, "set "+name, "INSERT INTO settings (name, value, updated) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated = excluded.updated", name, text, millis(now()))
	if err != nil {
		return err
	}
	return tx.AddEvent(ctx, Event{Kind: "settings"})
}

// PutSecret keeps a sealed value of a project.
func (q Queries) PutSecret(ctx context.Context, project int64, name string, sealed []byte) error {
	_, err := q.exec(ctx, "keep a secret", "INSERT INTO secrets (project, name, sealed, updated) VALUES ($1, $2, $3, $4) ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed, updated = excluded.updated",
		project, name, sealed, millis(now()))
	return err
}

// Secret is a sealed value: ErrNotFound.
func (q Queries) Secret(ctx context.Context, project int64, name string) ([]byte, error) {
	return one(ctx, q, "read a secret", value[[]byte], "SELECT sealed FROM secrets WHERE project = $1 AND name = $2", project, name)
}

// SecretNames are what a project has secrets for.
func (q Queries) SecretNames(ctx context.Context, project int64) ([]string, error) {
	return many(ctx, q, "list secrets", value[string], "SELECT name FROM secrets WHERE project = $1 ORDER BY name", project)
}

// DeleteSecret is ErrNotFound where there is none.
func (q Queries) DeleteSecret(ctx context.Context, project int64, name string) error {
	return q.must(ctx, "delete a secret", "DELETE FROM secrets WHERE project = $1 AND name = $2", project, name)
}

// Answer is what was answered to a request with an idempotency key.
type Answer struct {
	Owner   string // who asked
	Name    string // the key
	Request string // digest of method, path and body
	Status  int    // 0: not answered yet
	Answer  string
	At      time.Time
}

// BeginAnswer notes a request. When the key was used before, by the same owner, it returns what was noted
// then, and first is false: the caller compares Request.
func (q Queries) BeginAnswer(ctx context.Context, a Answer) (was Answer, first bool, err error) {
	a.At = now()
	n, err := q.exec(ctx, "note a request", "INSERT INTO idempotency_keys (owner, name, request, status, answer, at) VALUES ($1, $2, $3, 0, '', $4) ON CONFLICT DO NOTHING", a.Owner, a.Name, a.Request, millis(a.At))
	if err != nil || n > 0 {
		return a, n > 0, err
	}
	was, err = one(ctx, q, "read an earlier request", func(row scanner) (a Answer, err error) {
		err = row.Scan(&a.Owner, &a.Name, &a.Request, &a.Status, &a.Answer, timeColumn{&a.At})
		return a, err
	}, "SELECT owner, name, request, status, answer, at FROM idempotency_keys WHERE owner = $1 AND name = $2", a.Owner, a.Name)
	return was, false, err
}

// EndAnswer notes what was answered; status 0 forgets the request, so that it can be made again.
func (q Queries) EndAnswer(ctx context.Context, a Answer) error {
	if a.Status == 0 {
		_, err := q.exec(ctx, "forget a request", "DELETE FROM idempotency_keys WHERE owner = $1 AND name = $2", a.Owner, a.Name)
		return err
	}
	return q.must(ctx, "note an answer", "UPDATE idempotency_keys SET status = $3, answer = $4 WHERE owner = $1 AND name = $2", a.Owner, a.Name, a.Status, a.Answer)
}

// Prune is retention of what nobody asks for by itself: answers, sessions, tokens, durations and log entries older than a time.
// It says how many rows went.
func (q Queries) Prune(ctx context.Context, before time.Time) (int64, error) {
	var all int64
	for what, query := range map[string]string{
		"forget old answers":     "DELETE FROM idempotency_keys WHERE at < $1",
		"forget old sessions":    "DELETE FROM sessions WHERE expires < $1",
		"forget old tokens":      "DELETE FROM tokens WHERE expires > 0 AND expires < $1",
		"forget old durations":   "DELETE FROM durations WHERE at < $1",
		"forget old log entries": "DELETE FROM log_entries WHERE at < $1",
		"forget old pushes":      "DELETE FROM push_deliveries WHERE at < $1",
		"forget old messages":    "DELETE FROM notifications WHERE created < $1 AND state <> 'waiting'",
	} {
		n, err := q.exec(ctx, what, query, millis(before))
		if err != nil {
			return all, fmt.Errorf("after %d rows: %w", all, err)
		}
		all += n
	}
	return all, nil
}
