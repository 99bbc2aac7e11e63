// Package storetest has databases for tests: SQLite always, and PostgreSQL where its programs are
// installed. It starts a server of its own, as an unprivileged user, and needs nobody's.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/store"
)

// Run runs a package's tests, and ends the server that they started: for TestMain.
func Run(m *testing.M) int {
	defer func() {
		if server.stop != nil {
			server.stop()
		}
	}()
	return m.Run()
}

// Each runs a test on an empty database of either kind; url opens it, any number of times.
func Each(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "reqpm.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// Open opens a store until the test's end.
func Open(t testing.TB, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// postgresServer is the one server of this test process.
type postgresServer struct {
	once  sync.Once
	dir   string
	err   error
	stop  func()
	count atomic.Int64

	launch func() error // starts it, also again
	cmd    *exec.Cmd
	ended  <-chan struct{}
}

var server postgresServer

// ErrMissing: PostgreSQL's programs are not installed.
var errMissing = errors.New("PostgreSQL is not installed (Debian: postgresql, Fedora: postgresql-server)")

// Postgres is the address of a new database; the test is skipped where there is no PostgreSQL.
func Postgres(t testing.TB) string {
	t.Helper()
	server.once.Do(server.start)
	if errors.Is(server.err, errMissing) {
		t.Skip(server.err)
	}
	if server.err != nil {
		t.Fatal(server.err)
	}
	return create(t, " TEMPLATE reqpm")
}

func create(t testing.TB, how string) string {
	t.Helper()
	name := fmt.Sprintf("test%d", server.count.Add(1))
	admin(t, "CREATE DATABASE "+name+how)
	t.Cleanup(func() { admin(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return server.url(name)
}

func (s *postgresServer) url(database string) string {
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: url.Values{"host": {s.dir}, "user": {"reqpm"}}.Encode()}).String()
}

func admin(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", server.url("postgres"))
	if err == nil {
		_, err = db.ExecContext(context.Background(), statement)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// program finds a program of PostgreSQL: Debian does not put them on the path.
func program(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err == nil && len(found) > 0 {
		return slices.Max(found), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errMissing
	}
	return path, nil
}

func (s *postgresServer) start() { s.err = s.tryStart() }

func (s *postgresServer) tryStart() error {
	initdb, err := program("initdb")
	if err != nil {
		return err
	}
	postgres, err := program("postgres")
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "reqpm-postgres"); err != nil {
		return err
	}
	s.stop = func() { os.RemoveAll(s.dir) }
	attr, err := unprivileged(s.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	create := exec.Command(initdb, "-D", data, "-U", "reqpm", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	create.SysProcAttr, create.Dir = attr, s.dir
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s.launch = func() error {
		cmd := exec.Command(postgres, "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
		attr := *attr
		attr.Pdeathsig = syscall.SIGQUIT // also when the tests are killed
		cmd.SysProcAttr, cmd.Dir = &attr, s.dir
		cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
		return s.run(cmd)
	}
	if err := s.launch(); err != nil {
		return err
	}
	s.stop = func() {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.ended
		os.RemoveAll(s.dir)
	}
	return s.makeTemplate()
}

// run starts the server and sees its end.
func (s *postgresServer) run(cmd *exec.Cmd) error {
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the death signal comes when the thread ends
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		return err
	}
	s.cmd, s.ended = cmd, ended
	return nil
}

// unprivileged gives a directory to a user who is not root: PostgreSQL refuses to run as root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(dir, int(uid), int(gid))
}

// await waits until the server answers.
func (s *postgresServer) await(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for err := db.PingContext(ctx); err != nil; err = db.PingContext(ctx) {
		select {
		case <-s.ended:
			return errors.New("the PostgreSQL server ended at its start")
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL: %w", err)
		case <-tick.C:
		}
	}
	return nil
}

// makeTemplate waits for the server, and makes the database that the tests get copies of.
func (s *postgresServer) makeTemplate() error {
	ctx := context.Background()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := s.await(ctx, db); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "CREATE DATABASE reqpm"); err != nil {
		return err
	}
	template, err := store.Open(ctx, store.Config{URL: s.url("reqpm")})
	if err != nil {
		return err
	}
	return template.Close()
}

// raw opens a database beside the store.
func raw(address string) (*sql.DB, error) {
	if store.IsFile(address) {
		return sql.Open("sqlite", "file:"+address+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	}
	return sql.Open("pgx", address)
}

// Rewrite changes rows of a database beside the store, each statement with its arguments: for tests that need a
// past, which a store does not make.
func Rewrite(ctx context.Context, address string, change func(exec func(statement string, args ...any) error) error) error {
	db, err := raw(address)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		err = change(func(statement string, args ...any) error {
			_, err := tx.ExecContext(ctx, statement, args...)
			return err
		})
		if err == nil {
			err = tx.Commit()
		} else {
			err = errors.Join(err, tx.Rollback())
		}
	}
	return errors.Join(err, db.Close())
}
