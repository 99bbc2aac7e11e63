package service

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// outage is how long the database is away: a minute with REQPM_OUTAGE=1m, else what the test says.
func outage(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("REQPM_OUTAGE")
	if text == "" {
		return short
	}
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

// PostgreSQL is stopped and started again, longer than a lease, while builds run. Nothing is lost, nothing is
// built twice, and who asks meanwhile is told to come again.
func TestDatabaseStops(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, storetest.Postgres(t))
	b.away(outage(t, 4*time.Second), func() (back func()) { return storetest.Stop(t) })
}

// PostgreSQL says nothing at all for longer than a lease.
func TestDatabaseHangs(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, storetest.Postgres(t))
	b.away(outage(t, 11*time.Second), func() (back func()) { return storetest.Pause(t) })
}

// away takes the database away for a while, with a server, two workers and builds in flight.
func (b *bed) away(long time.Duration, take func() (back func())) {
	b.t.Helper()
	b.serve("--roles", "web,scheduler")
	b.makeToken()
	b.worker("one")
	b.worker("two")
	first := b.project(0)
	b.succeeds(first)
	must(b.t, os.WriteFile(filepath.Join(b.dir, slowFile), []byte("700ms"), 0o644))
	second := b.project(1)
	b.untilBuilding()
	built := b.lines(builtFile)
	begun := time.Now()
	back := take()
	// Readers and writers are told to come again, and soon; what is published is there all the while.
	var asking sync.WaitGroup
	for _, path := range []string{"/api/v1/runs", "/readyz", "/runs"} {
		asking.Go(func() { b.comeAgain(http.MethodGet, path, nil) })
	}
	asking.Go(func() { b.comeAgain(http.MethodPost, fmt.Sprintf("/api/v1/runs/%d/cancel", second), map[string]any{}) })
	asking.Wait()
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/repos/p0/stable/local/repodata/repomd.xml": http.StatusOK} {
		if status, _ := b.raw(http.MethodGet, path, nil, nil); status != want {
			b.t.Errorf("%s while the database is away: status %d", path, status)
		}
	}
	b.pause(long - time.Since(begun))
	if len(b.lines(builtFile)) == len(built) {
		b.t.Errorf("no build came to its end in %v without database", long)
	}
	back()
	returned := time.Now()
	b.succeeds(second)
	b.t.Logf("away for %v, with %d builds ended meanwhile; the run ended %v later", time.Since(begun).Round(time.Second), len(b.lines(builtFile))-len(built), time.Since(returned).Round(100*time.Millisecond))
	b.checkWhole("p0", first, own(0))
	b.checkWhole("p1", second, own(1))
	b.checkBuiltOnce()
	b.checkNobodyLost()
}

// comeAgain asks for what needs the database: 503, with Retry-After.
func (b *bed) comeAgain(method, path string, body any) {
	b.t.Helper()
	begun := time.Now()
	status, header, text := b.answer(method, path, body, nil)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		b.t.Errorf("%s %s without database: status %d, Retry-After %q after %v\n%.300s", method, path, status, header.Get("Retry-After"), time.Since(begun), text)
	}
}

// lines are the builds that the quick builder has noted in a file, in order.
func (b *bed) lines(file string) []string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, file))
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// untilBuilding waits until the quick builder is in the middle of a build.
func (b *bed) untilBuilding() {
	b.t.Helper()
	b.until("something is being built", 2*time.Minute, func() bool { return len(b.lines(begunFile)) > len(b.lines(builtFile)) })
}

// checkBuiltOnce looks that no package was built twice.
func (b *bed) checkBuiltOnce() {
	b.t.Helper()
	// The package that requires the set is made by whoever publishes, and by who verifies.
	all := slices.DeleteFunc(b.lines(builtFile), func(job string) bool { return strings.Contains(job, "-requirements ") })
	slices.Sort(all)
	if once := slices.Compact(slices.Clone(all)); len(once) != len(all) {
		b.t.Errorf("something was built twice: %v", all)
	}
}

// checkNobodyLost looks that no living worker was given up.
func (b *bed) checkNobodyLost() {
	b.t.Helper()
	living, err := b.store.LivingWorkers(b.t.Context())
	must(b.t, err)
	for _, w := range living {
		if w.Name == "one" && w.ID > 2 || len(living) != 2 {
			b.t.Errorf("a worker was given up although it lived: %+v", living)
			return
		}
	}
}

// Another program locks the SQLite file for longer than a writer waits. Readers notice nothing, writers are told to
// come again, and the run goes on when it is free.
func TestDatabaseLocked(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	b.serve()
	b.makeToken()
	must(t, os.WriteFile(filepath.Join(b.dir, slowFile), []byte("700ms"), 0o644))
	id := b.project(0)
	b.untilBuilding()
	// Two servers on one file: the second refuses.
	second := b.command("serve", "--listen", "127.0.0.1:0")
	if out, err := second.CombinedOutput(); err == nil || second.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "another server uses this database") {
		t.Errorf("a second server: %v\n%s", err, out)
	}
	begun, long := time.Now(), outage(t, 12*time.Second)
	unlock := storetest.Lock(t, b.database)
	wrote := make(chan int, 1)
	go func() {
		status, header, _ := b.answer(http.MethodPost, "/api/v1/projects", map[string]any{"name": "late", "git_url": "file://" + filepath.Join(b.dir, "project"), "targets": []string{"local"}}, nil)
		if header.Get("Retry-After") == "" {
			status = -status
		}
		wrote <- status
	}()
	slowest := time.Duration(0)
	for time.Since(begun) < long {
		asked := time.Now()
		if status, text := b.raw(http.MethodGet, "/api/v1/runs", nil, nil); status != http.StatusOK {
			t.Errorf("a reader, with the file locked: status %d\n%s", status, text)
			break
		}
		slowest = max(slowest, time.Since(asked))
		b.pause(300 * time.Millisecond)
	}
	unlock()
	if slowest > 3*time.Second {
		t.Errorf("a reader waited %v", slowest)
	}
	// It waits for its turn and then for the lock, ten seconds each.
	if status := <-wrote; status != http.StatusServiceUnavailable && (status != -http.StatusCreated || long > 25*time.Second) {
		t.Errorf("a writer, with the file locked for %v: status %d (negative: without Retry-After)", long, status)
	}
	b.succeeds(id)
	t.Logf("locked for %v; the slowest reader took %v; the run ended %v after", long, slowest, time.Since(begun)-long)
	b.checkWhole("p0", id, own(0))
	b.checkBuiltOnce()
}

// The disk of the blobs is full in the middle of a run: the builds that end then fail for the machine's sake, nothing more
// is begun, and with room again all of it goes on. Nothing half is left.
func TestBlobsFull(t *testing.T) {
	needQuick(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a small disk")
	}
	b := newQuickBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	blobs := filepath.Join(b.dir, "state", "blobs")
	smallDisk(t, blobs)
	must(t, os.WriteFile(filepath.Join(b.dir, slowFile), []byte("1s"), 0o644))
	b.serve("--min-free", "1000000")
	b.makeToken()
	id := b.project(0)
	b.untilBuilding()
	filler := filepath.Join(blobs, "filler")
	fill(t, filler)
	b.until("nothing runs, and the worker says why", time.Minute, func() bool {
		workers, err := b.store.LivingWorkers(t.Context())
		must(t, err)
		return len(b.running()) == 0 && len(workers) == 1 && strings.Contains(workers[0].Message, "blobs of the state directory")
	})
	ended := len(b.lines(builtFile))
	b.pause(7 * time.Second) // longer than the back-off after the first failure
	if n := len(b.lines(builtFile)); n != ended || len(b.running()) > 0 {
		t.Errorf("%d builds came to their end with the disk full, %d run", n-ended, len(b.running()))
	}
	r, err := b.store.Run(t.Context(), id)
	must(t, err)
	if r.State != store.RunRunning {
		t.Errorf("the run %s while the disk is full", r.State)
	}
	must(t, os.Remove(filler))
	b.succeeds(id)
	b.checkWhole("p0", id, own(0))
	b.checkBuiltOnce()
	b.checkArtifacts(id)
	b.checkFull(id)
}

// checkFull looks that builds failed because the disk was full, and were not held to be the packages' fault.
func (b *bed) checkFull(run int64) {
	b.t.Helper()
	steps, err := b.store.RunSteps(b.t.Context(), run)
	must(b.t, err)
	full := 0
	for _, s := range steps {
		attempts, err := b.store.Attempts(b.t.Context(), s.ID)
		must(b.t, err)
		for _, a := range attempts {
			if a.State != store.Failed {
				continue
			}
			full++
			if !a.Infrastructure || !strings.Contains(a.Cause, "no space left") {
				b.t.Errorf("%s failed: infrastructure %v: %s", s.Key, a.Infrastructure, a.Cause)
			}
		}
	}
	if full == 0 {
		b.t.Error("no attempt failed, so the disk was not full in time")
	}
}

// checkArtifacts looks that every file that a run's builds have is there, whole.
func (b *bed) checkArtifacts(run int64) {
	b.t.Helper()
	files, err := b.store.Artifacts(b.t.Context(), store.ArtifactFilter{Run: run}, store.Page{Limit: 500})
	must(b.t, err)
	if len(files.Items) == 0 {
		b.t.Errorf("run %d has no files", run)
	}
	for _, f := range files.Items {
		status, data := b.raw(http.MethodGet, fmt.Sprintf("/api/v1/artifacts/%d", f.ID), nil, nil)
		sum := sha256.Sum256(data)
		if status != http.StatusOK || int64(len(data)) != f.Size || f.SHA256 != "" && hex.EncodeToString(sum[:]) != f.SHA256 {
			b.t.Errorf("%s: status %d, %d bytes of %d", f.Name, status, len(data), f.Size)
		}
	}
}

// fill writes until nothing more can be.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(bytes.Repeat([]byte("x"), size)); err != nil {
			size /= 2
		}
	}
	must(t, f.Close())
}

// smallDisk is a tmpfs of some megabytes at a folder, until the test's end.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=8m,mode=755"); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
