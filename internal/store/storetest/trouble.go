package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"reqpm/internal/store"
)

// What happens to databases, for tests of what survives it.

// Pause stops every process of the PostgreSQL server, as a machine does that hangs: it answers nothing, and refuses
// nothing. resume has it go on. The databases of all tests are meant: no two tests may run at once.
func Pause(t testing.TB) (resume func()) {
	t.Helper()
	pids := []int{server.cmd.Process.Pid}
	signal := func(s syscall.Signal) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, s) // one that has ended needs no signal
		}
	}
	signal(syscall.SIGSTOP) // the first one makes no others from here on
	pids = append(pids, children(t, pids[0])...)
	signal(syscall.SIGSTOP)
	resume = sync.OnceFunc(func() { signal(syscall.SIGCONT) })
	t.Cleanup(resume)
	return resume
}

func children(t testing.TB, pid int) []int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, child)
		}
	}
	return all
}

// Stop stops the PostgreSQL server as its operator does for a restart, with connections open; start starts it again.
func Stop(t testing.TB) (start func()) {
	t.Helper()
	if err := server.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-server.ended
	start = sync.OnceFunc(func() {
		err := server.launch()
		if err == nil {
			var db *sql.DB
			if db, err = sql.Open("pgx", server.url("postgres")); err == nil {
				err = errors.Join(server.await(context.Background(), db), db.Close())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(start)
	return start
}

// Lock locks an SQLite file against every other writer, as a program that was begun beside the server does.
func Lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	db, err := raw(path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err == nil {
		_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() {
		_, err := conn.ExecContext(context.Background(), "ROLLBACK")
		if err := errors.Join(err, conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(unlock)
	return unlock
}

// Newest is the version of the schema that this program makes.
func Newest(t testing.TB) (version int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "newest.db")
	s, err := store.Open(t.Context(), store.Config{URL: path})
	if err == nil {
		err = s.Close()
	}
	var db *sql.DB
	if err == nil {
		db, err = raw(path)
	}
	if err == nil {
		err = errors.Join(db.QueryRowContext(t.Context(), "SELECT MAX(version_id) FROM goose_db_version").Scan(&version), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// Older is the address of a database with an earlier version of the schema, that has what the database from has, as
// far as that version has a place for it: what an earlier program would have left.
func Older(t testing.TB, from string, version int64) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "older.db")
	if !store.IsFile(from) {
		to = create(t, "")
	}
	s, err := store.Open(t.Context(), store.Config{URL: to, Schema: version})
	if err == nil {
		err = errors.Join(s.Close(), copyRows(t.Context(), from, to))
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func copyRows(ctx context.Context, from, to string) error {
	source, err := raw(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := raw(to)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	list, begin := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%'", ""
	if !store.IsFile(to) {
		list, begin = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'", "SET LOCAL session_replication_role = replica"
	}
	tables, err := texts(ctx, target, list)
	if err != nil {
		return err
	}
	tx, err := target.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit there is nothing to roll back
	if begin != "" {                     // rows come in any order
		if _, err := tx.ExecContext(ctx, begin); err != nil {
			return err
		}
	}
	for _, table := range tables {
		if err := copyTable(ctx, source, tx, table, begin != ""); err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	return tx.Commit()
}

func texts(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// copyTable copies the columns that the table has where it goes to.
func copyTable(ctx context.Context, source *sql.DB, tx *sql.Tx, table string, sequences bool) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM "+table); err != nil {
		return err
	}
	empty, err := tx.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	columns, err := empty.Columns()
	if err = errors.Join(err, empty.Close()); err != nil {
		return err
	}
	rows, err := source.QueryContext(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	row, into, marks := make([]any, len(columns)), make([]any, len(columns)), make([]string, len(columns))
	for i := range row {
		into[i], marks[i] = &row[i], fmt.Sprintf("$%d", i+1)
	}
	insert := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
	numbered := false
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insert, row...); err != nil {
			return err
		}
	}
	for _, c := range columns {
		numbered = numbered || c == "id"
	}
	if sequences && numbered {
		if _, err := tx.ExecContext(ctx, "SELECT setval(pg_get_serial_sequence('"+table+"', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM "+table+"), FALSE)"); err != nil {
			return err
		}
	}
	return rows.Err()
}
