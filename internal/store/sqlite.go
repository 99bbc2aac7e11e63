package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// busyTimeout is how long a writer waits for another one.
const busyTimeout = 10 * time.Second

func busyPragma(wait time.Duration) string {
	return fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds())
}

// sqliteConns are the connections to one file: one that writes, and readers beside it.
const sqliteConns = 4

var sqliteDialect = &dialect{
	name:  "SQLite",
	words: strings.NewReplacer("{{ID}}", "INTEGER PRIMARY KEY AUTOINCREMENT", "{{SORTED}}", "TEXT", "{{BYTES}}", "BLOB"),
	open: func(path string) (*sql.DB, error) {
		path, err := filepath.Abs(strings.TrimPrefix(path, "sqlite:"))
		if err != nil {
			return nil, err
		}
		// WAL: readers and the writer do not wait for each other. immediate: a transaction that writes later
		// would fail, not wait, when another wrote meanwhile. NORMAL loses no committed transaction when
		// the process dies, only when the machine does.
		values := url.Values{"_txlock": {"immediate"}, "_pragma": {"journal_mode(WAL)", busyPragma(busyTimeout), "foreign_keys(1)", "synchronous(NORMAL)"}}
		name := (&url.URL{Scheme: "file", Path: path, RawQuery: values.Encode()}).String()
		db, err := sql.Open("sqlite", name)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(sqliteConns)
		db.SetMaxIdleConns(sqliteConns)
		db.SetConnMaxLifetime(time.Hour) // for Tune
		return db, nil
	},
	// 0x02: analyze what has grown tenfold; 0x10000: also tables that this connection did not ask
	// (sqlite.org, PRAGMA optimize). So many rows of each index are read that a run's part of them is
	// seen: with the few that SQLite reads by itself, all that is read is one run. 0.7 s for 100,000 builds.
	tune:   "PRAGMA analysis_limit = 100000; PRAGMA optimize = 0x10002",
	ofEach: "steps s ON s.id IN (SELECT s.id %s)",
	away: func(err error) bool {
		e, ok := errors.AsType[*sqlite.Error](err)
		if !ok {
			return goneConn(err)
		}
		switch e.Code() & 0xff { // without what an extended code says besides
		case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_IOERR, lib.SQLITE_FULL, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_PROTOCOL:
			return true
		}
		return false
	},
	writable: func(ctx context.Context, conn *sql.Conn) (err error) {
		// Not as patient as a writer: who asks wants to know how things are now.
		if _, err := conn.ExecContext(ctx, "PRAGMA "+busyPragma(2*time.Second)); err != nil {
			return err
		}
		defer func() {
			_, again := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA "+busyPragma(busyTimeout))
			err = errors.Join(err, again)
		}()
		if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		_, err = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return err
	},
	conflict: func(err error) error {
		e, ok := errors.AsType[*sqlite.Error](err)
		if !ok {
			return nil
		}
		switch e.Code() {
		case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
			return ErrConflict
		case lib.SQLITE_CONSTRAINT_FOREIGNKEY:
			return ErrReference
		}
		return nil
	},
}
