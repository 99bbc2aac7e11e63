package service

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// inFlight is a server killed in the middle of a run, of which some steps are done, one runs and others wait.
func inFlight(t *testing.T, database string) (b *bed, run int64) {
	t.Helper()
	b = newQuickBed(t, database)
	must(t, os.WriteFile(filepath.Join(b.dir, slowFile), []byte("500ms"), 0o644))
	server := b.serve()
	b.makeToken()
	run = b.project(0)
	b.untilStep(run, store.Build, store.Succeeded)
	b.untilBuilding()
	server.stop(syscall.SIGKILL)
	must(t, os.Remove(filepath.Join(b.dir, slowFile)))
	return b, run
}

// goesOn starts a server with a database, and looks that the run comes to its end.
func (b *bed) goesOn(database string, run int64, flags ...string) {
	b.t.Helper()
	b.database = database
	b.serve(flags...)
	b.store = storetest.Open(b.t, database)
	b.succeeds(run)
	b.checkWhole("p0", run, own(0))
	b.checkArtifacts(run)
}

// A database that an earlier version of the program has left with a run in flight is brought forward, and the run ends. Versions:
// the one before the newest, and on SQLite the first one, too.
func TestUpgradeInMidRun(t *testing.T) {
	needQuick(t)
	before := storetest.Newest(t) - 1
	t.Run("postgres", func(t *testing.T) {
		b, run := inFlight(t, storetest.Postgres(t))
		b.goesOn(storetest.Older(t, b.database, before), run)
	})
	for _, version := range []int64{before, 1} {
		t.Run("sqlite from "+strconv.FormatInt(version, 10), func(t *testing.T) {
			b, run := inFlight(t, filepath.Join(t.TempDir(), "reqpm.db"))
			b.goesOn(storetest.Older(t, b.database, version), run)
		})
	}
}

// A backup of a server that works, restored elsewhere, goes on where the backup was made: what was built then is not
// built again, and everything is published once.
func TestBackupInMidRun(t *testing.T) {
	needQuick(t)
	for name, databases := range map[string]func(t *testing.T) (from, to string){
		"sqlite to sqlite": func(t *testing.T) (string, string) {
			return filepath.Join(t.TempDir(), "reqpm.db"), filepath.Join(t.TempDir(), "restored.db")
		},
		"postgres to postgres": func(t *testing.T) (string, string) { return storetest.Postgres(t), storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			from, to := databases(t)
			b := newQuickBed(t, from)
			must(t, os.WriteFile(filepath.Join(b.dir, slowFile), []byte("700ms"), 0o644))
			server := b.serve()
			b.makeToken()
			run := b.project(0)
			b.untilStep(run, store.Build, store.Succeeded)
			b.untilBuilding()
			file := filepath.Join(b.dir, "backup.tar")
			if out, err := b.command("backup", file).CombinedOutput(); err != nil {
				t.Fatalf("backup: %v\n%s", err, out)
			}
			server.stop(syscall.SIGKILL)
			var done []string // when the backup was made
			must(t, os.Remove(filepath.Join(b.dir, builtFile)))
			b.database = to
			state := filepath.Join(b.dir, "restored")
			if out, err := b.command("restore", file, "--state", state).CombinedOutput(); err != nil {
				t.Fatalf("restore: %v\n%s", err, out)
			}
			steps, err := storetest.Open(t, to).RunSteps(t.Context(), run)
			must(t, err)
			for _, s := range steps {
				if s.Kind == store.Build && s.State == store.Succeeded {
					done = append(done, strings.Replace(s.Package, "==", " ", 1))
				}
			}
			must(t, os.Rename(filepath.Join(b.dir, "state"), filepath.Join(b.dir, "lost"))) // nothing of it is there any more
			must(t, os.Symlink(state, filepath.Join(b.dir, "state")))                       // where checkWhole looks
			b.goesOn(to, run, "--state", state)
			b.checkBuiltOnce()
			again := slices.ContainsFunc(b.lines(builtFile), func(job string) bool { return slices.Contains(done, job) })
			if again || len(done) == 0 {
				t.Errorf("when the backup was made these packages were built: %q; and after it: %q", done, b.lines(builtFile))
			}
			if status, _ := b.raw(http.MethodGet, "/repos/p0/stable/local/repodata/repomd.xml", nil, nil); status != http.StatusOK {
				t.Errorf("the published repository: status %d", status)
			}
		})
	}
}

// A service with a run in flight moves from SQLite to PostgreSQL, and the run ends there.
func TestMoveInMidRun(t *testing.T) {
	needQuick(t)
	b, run := inFlight(t, filepath.Join(t.TempDir(), "reqpm.db"))
	to := storetest.Postgres(t)
	if out, err := b.command("database", "copy", to).CombinedOutput(); err != nil {
		t.Fatalf("database copy: %v\n%s", err, out)
	}
	b.goesOn(to, run)
	b.checkBuiltOnce()
}
