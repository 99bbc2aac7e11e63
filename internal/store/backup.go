package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Backup writes a copy of an SQLite database to a file that is not there yet, while everything goes on. The
// copy is the state of one moment; restoring it is opening it. PostgreSQL has pg_dump.
func (s *Store) Backup(ctx context.Context, path string) error {
	if s.path == "" {
		return fmt.Errorf("back up: %w: use pg_dump", errors.ErrUnsupported)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("back up to %s: %w", path, os.ErrExist)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), ".backup")
	if err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	defer os.RemoveAll(tmp)
	part := filepath.Join(tmp, "db")
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO $1", part); err != nil { // it only reads, so it takes no writer's turn
		return s.fail("back up to "+path, err)
	}
	f, err := os.Open(part)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Link(part, path) // not Rename: what is there by now is somebody's
	}
	if err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	return nil
}

// tables in an order in which each comes after what it refers to.
var tables = []string{
	"projects", "runs", "lanes", "workers", "steps", "edges", "attempts", "limits", "events", "artifacts", "snapshots", "repositories", "schedules", "outdated", "settings",
	"log_entries", "spec_revisions", "durations", "users", "members", "tokens", "sessions", "audit", "secrets", "idempotency_keys",
	"push_hooks", "push_deliveries", "channels", "notifications", "blob_marks",
}

// CopyTo copies everything, as it is at one moment, to another store, which must be empty (ErrConflict): from SQLite
// to PostgreSQL, or back. What is written here later is not in the copy: to move, stop the server first.
func (s *Store) CopyTo(ctx context.Context, to *Store) error {
	options := &sql.TxOptions{ReadOnly: true}
	if s.dialect == postgresDialect {
		options.Isolation = sql.LevelRepeatableRead // all of one moment, as SQLite has it anyhow
	}
	from, err := s.db.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	defer func() { _ = from.Rollback() }()
	return to.Write(ctx, func(tx *Tx) error {
		for _, table := range tables {
			if err := copyTable(ctx, from, tx, table); err != nil {
				return fmt.Errorf("copy the table %s: %w", table, err)
			}
		}
		return nil
	})
}

func copyTable(ctx context.Context, from *sql.Tx, tx *Tx, table string) error {
	full, err := one(ctx, tx.Queries, "look whether it is empty", value[bool], "SELECT EXISTS (SELECT 1 FROM "+table+")")
	if err != nil {
		return err
	}
	if full {
		return fmt.Errorf("%w: it is not empty", ErrConflict)
	}
	read, err := from.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer read.Close()
	columns, err := read.Columns()
	if err != nil {
		return err
	}
	types, err := read.ColumnTypes()
	if err != nil {
		return err
	}
	var batch [][]any
	write := func() error {
		if len(batch) == 0 {
			return nil
		}
		marks, args := rows(batch, func(row []any) []any { return row })
		batch = batch[:0]
		_, err := tx.exec(ctx, "write rows", "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES "+marks, args...)
		return err
	}
	for read.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := read.Scan(into...); err != nil {
			return err
		}
		for i, v := range row {
			if n, ok := v.(int64); ok && types[i].DatabaseTypeName() == "BOOLEAN" {
				row[i] = n != 0 // SQLite has numbers for them
			}
		}
		batch = append(batch, row)
		if len(batch) == most/len(columns) {
			if err := write(); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(read.Err(), write()); err != nil {
		return err
	}
	if tx.dialect == postgresDialect && slices.Contains(columns, "id") {
		// The next number comes after the copied ones.
		_, err := tx.exec(ctx, "go on with its numbers", "SELECT setval(pg_get_serial_sequence('"+table+"', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM "+table+"), FALSE)")
		return err
	}
	return nil
}
