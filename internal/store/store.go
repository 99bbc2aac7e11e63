// Package store keeps what the service knows in a database: SQLite, or PostgreSQL for several
// machines. It is the only package that speaks SQL, and every statement is written once for both.
//
//	Open → (reads, Write)… → Close
//
// Statements that stand alone are methods of Queries, which Store and Tx both have. What takes several
// is a method of Tx, and runs in Store.Write. Writes come one after the other on both databases: SQLite has
// one writer anyhow, and on PostgreSQL Write holds an advisory lock. So limits are counted
// right, no two transactions deadlock, and events get their numbers in the order in which they are seen.
//
// Times are kept in milliseconds, UTC; the zero time is "never". All methods may be called from
// any goroutine.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"reqpm/internal/filelock"
)

// Errors that callers tell apart, wrapped with what was being done.
var (
	ErrNotFound  = errors.New("not found")
	ErrConflict  = errors.New("there is one already")
	ErrReference = errors.New("what it belongs to is not there, or something still belongs to it")
	ErrNewer     = errors.New("the database was made by a newer version of reqpm")
	ErrInUse     = errors.New("another server uses this database")
	ErrCursor    = errors.New("not a cursor of this list")
	ErrSort      = errors.New("this list cannot be sorted by that")
	// ErrUnavailable: the database is gone, locked by somebody, or full. The same may work later.
	ErrUnavailable = errors.New("the database does not answer as it should")
)

// Config says which database, and as what it is opened.
type Config struct {
	// URL is postgres://… or the path of an SQLite file, which is made where there is none.
	URL string
	// Server takes the SQLite file for this process alone among servers (ErrInUse), and brings an
	// older schema forward. Without it, a command may read and write beside a server; it brings
	// the schema forward only when no server has the file.
	Server bool
	// Schema is the version that the schema is brought to, for tests of upgrades: such a store is good for nothing but
	// to be closed. 0: the newest.
	Schema int64
	Log    *slog.Logger // nil: nothing is logged
}

// Store is an open database.
type Store struct {
	Queries
	db   *sql.DB
	path string   // of the SQLite file
	lock *os.File // of an SQLite file that a server has

	mu      sync.Mutex
	changed chan struct{} // closed and replaced after each Write
}

// Tx is a transaction: see Store.Write.
type Tx struct{ Queries }

// Queries are the statements that stand alone.
type Queries struct {
	db      conn
	dialect *dialect
	turn    turn // of statements that write outside of a transaction
	writing bool // in a transaction
}

// turn lets the writers of this process go one after the other before they take a connection: all of them waiting for
// an SQLite file that somebody has locked would leave no connection to those who read. nil: nobody waits.
type turn chan struct{}

// take waits for the turn, not longer than SQLite itself waits for a lock; done gives it on.
func (t turn) take(ctx context.Context) (done func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	limit := time.NewTimer(busyTimeout)
	defer limit.Stop()
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-limit.C:
		return nil, fmt.Errorf("another writer does not come to an end: %w", ErrUnavailable)
	}
}

// conn is a database or a transaction.
type conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// dialect is where the two databases differ.
type dialect struct {
	name     string
	words    *strings.Replacer // of migrations
	open     func(url string) (*sql.DB, error)
	conflict func(error) error // the error of this package that a driver's error is, or nil
	away     func(error) bool  // whether a driver's error is that the database is away, not that of a statement
	// begin makes the writer of a transaction the only one.
	begin string
	// tune refreshes what the planner of queries knows of the tables' sizes; "": the database does so by itself.
	tune string
	// ofEach joins steps s by a selection "FROM steps s WHERE …" that may name what it is joined to.
	ofEach string
	// remote: the database is another process, which may be silent.
	remote bool
	// writable is an error when nothing can be written for now; nil: who answers can be written.
	writable func(ctx context.Context, conn *sql.Conn) error
}

// Open opens a database, and brings its schema forward: ErrNewer when this program is too old for
// it, ErrInUse when another server has it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{changed: make(chan struct{})}
	d := postgresDialect
	if !isPostgres(cfg.URL) {
		d, s.path = sqliteDialect, strings.TrimPrefix(cfg.URL, "sqlite:")
	}
	fail := func(err error) (*Store, error) {
		return nil, errors.Join(fmt.Errorf("open the database %s: %w", Shown(cfg.URL), err), s.Close())
	}
	migrating := true
	if s.path != "" {
		var err error
		if s.lock, err = filelock.Try(s.path + ".lock"); errors.Is(err, filelock.ErrHeld) {
			if cfg.Server {
				return fail(ErrInUse)
			}
			migrating = false
		} else if err != nil {
			return fail(err)
		}
	}
	var err error
	if s.db, err = d.open(cfg.URL); err != nil {
		return fail(err)
	}
	s.Queries = Queries{db: s.db, dialect: d}
	if !d.remote {
		s.turn = make(turn, 1)
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := migrate(ctx, s.db, d, migrating, cfg.Schema, log); err != nil {
		return fail(err)
	}
	if cfg.Server {
		if err := s.Tune(ctx); err != nil {
			log.Warn("the database's statistics are not fresh", "error", err)
		}
	}
	if s.lock != nil && !cfg.Server {
		err = s.lock.Close()
		s.lock = nil
		if err != nil {
			return fail(err)
		}
	}
	return s, nil
}

// Close ends every connection, and gives the file to the next server.
func (s *Store) Close() error {
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Ping is nil when the database answers, and lets this process write.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.db.PingContext(ctx); err != nil {
		return s.fail("ask the database", err)
	}
	if s.dialect.writable == nil {
		return nil
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return s.fail("ask the database", err)
	}
	defer func() { _ = conn.Close() }() // gives it back
	if err := s.dialect.writable(ctx, conn); err != nil {
		return s.fail("ask the database whether it can be written", err)
	}
	return nil
}

// Tune has the database choose its ways by how large the tables are now. Without it SQLite takes a
// list's index by its order alone, and pages of one run or project are read from those of all.
// Connections that are busy meanwhile know of it within an hour.
func (s *Store) Tune(ctx context.Context) error {
	if s.dialect.tune == "" {
		return nil
	}
	_, err := s.exec(ctx, "tune the database", s.dialect.tune)
	s.db.SetMaxIdleConns(0) // a connection reads the statistics when it is made
	s.db.SetMaxIdleConns(sqliteConns)
	return err
}

// IsFile tells whether an address is that of an SQLite file.
func IsFile(address string) bool { return !isPostgres(address) }

// Local tells whether a server has the database for itself: an SQLite file. Whoever was its server before is gone.
func (s *Store) Local() bool { return s.path != "" }

// Name is "SQLite" or "PostgreSQL".
func (q Queries) Name() string { return q.dialect.name }

// Write runs fn in a transaction, the only one that writes. It is committed when fn returns nil, and as if
// it had never been otherwise. fn must use tx alone (the store's own methods would wait for it), and
// do nothing that cannot be done again.
//
// ErrUnavailable does not say that nothing was written: where the answer to the commit was lost, all may be there.
func (s *Store) Write(ctx context.Context, fn func(tx *Tx) error) error {
	done, err := s.turn.take(ctx)
	if err != nil {
		return s.fail("begin a transaction", err)
	}
	defer done()
	// The context is the transaction's until its end, so what takes too long ends that.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	limited := func(do func() error) error {
		if s.dialect.remote {
			defer time.AfterFunc(writePatience, func() { stop(errSilent) }).Stop()
		}
		err := do()
		if err != nil && context.Cause(ctx) == errSilent { //nolint:errorlint // it is never wrapped
			err = errors.Join(errSilent, err)
		}
		return err
	}
	var tx *sql.Tx
	if err := limited(func() (err error) {
		tx, err = s.db.BeginTx(ctx, nil)
		return err
	}); err != nil {
		return s.fail("begin a transaction", err)
	}
	defer func() { _ = limited(tx.Rollback) }() // after a commit there is nothing to roll back
	inside := Queries{db: tx, dialect: s.dialect, writing: true}
	if s.dialect.begin != "" {
		if _, err := inside.exec(ctx, "begin a transaction", s.dialect.begin); err != nil {
			return err
		}
	}
	if err := fn(&Tx{inside}); err != nil {
		return err
	}
	if err := limited(tx.Commit); err != nil {
		return s.fail("commit", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// Changed is closed when this process has written something. What other processes write is seen
// by asking (LastEvent) only.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// now is the time as it is kept.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
