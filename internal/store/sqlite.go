package store

import (
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

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
		values := url.Values{"_txlock": {"immediate"}, "_pragma": {"journal_mode(WAL)", "busy_timeout(10000)", "foreign_keys(1)", "synchronous(NORMAL)"}}
		name := (&url.URL{Scheme: "file", Path: path, RawQuery: values.Encode()}).String()
		db, err := sql.Open("sqlite", name)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(4)
		db.SetMaxIdleConns(4)
		return db, nil
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
