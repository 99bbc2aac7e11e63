package service

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/repo"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
	"reqpm/internal/testindex"
)

// killLease is the workers' in tests with kills.
const killLease = 3 * time.Second

// kills is how many processes are killed on each database.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("REQPM_SERVICE_KILLS")); err == nil {
		return n
	}
	return 6
}

// TestKillsSQLite kills the one server at random moments, REQPM_SERVICE_KILLS of them.
func TestKillsSQLite(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	server := b.serve()
	b.makeToken()
	b.killing(func() (pid int, restart func()) {
		server.stop(syscall.SIGKILL)
		return server.cmd.Process.Pid, func() { server = b.serve() }
	})
}

// TestKillsPostgres kills the server or one of two workers, which share nothing but the database, the blobs, the logs,
// the repositories and the keys.
func TestKillsPostgres(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, storetest.Postgres(t))
	server := b.serve("--roles", "web,scheduler")
	b.makeToken()
	workers := []*process{b.worker("one"), b.worker("two")}
	b.killing(func() (pid int, restart func()) {
		i := rand.IntN(3)
		if i == 2 {
			server.stop(syscall.SIGKILL)
			return server.cmd.Process.Pid, func() { server = b.serve("--roles", "web,scheduler") }
		}
		workers[i].stop(syscall.SIGKILL)
		return workers[i].cmd.Process.Pid, func() { workers[i] = b.worker([]string{"one", "two"}[i]) }
	})
}

// newQuickBed is a bed whose processes have the quick builder.
func newQuickBed(t *testing.T, database string) *bed {
	t.Helper()
	b := newBed(t, database)
	b.quick = quickMade(t)
	b.store = storetest.Open(t, database)
	return b
}

// worker starts a worker with a state directory of its own, in which only what has to be is the server's.
func (b *bed) worker(name string, more ...string) *process {
	b.t.Helper()
	state := filepath.Join(b.dir, name)
	must(b.t, os.MkdirAll(state, 0o755))
	for _, shared := range []string{"blobs", "logs", "repos", "keys"} {
		must(b.t, os.MkdirAll(filepath.Join(b.dir, "state", shared), 0o755))
		if err := os.Symlink(filepath.Join(b.dir, "state", shared), filepath.Join(state, shared)); err != nil && !os.IsExist(err) {
			b.t.Fatal(err)
		}
	}
	return b.start(nil, append([]string{"worker", "--name", name, "--slots", "1", "--lease", "3s", "--allow-source", "local", "--min-free", "0", "--state", state}, more...)...)
}

// project makes project number n, whose packages no other has, and tells of its run.
func (b *bed) project(n int) int64 {
	b.t.Helper()
	app, libA, libB := own(n)[0], own(n)[1], own(n)[2]
	must(b.t, b.index.Add(
		testindex.Package{Name: libA, Version: "1.0", BuildRequires: []string{"tool-top>=2"}},
		testindex.Package{Name: libB, Version: "1.0", BuildRequires: []string{"tool-top"}, Requires: []string{libA}},
		testindex.Package{Name: app, Version: "1.0", BuildRequires: []string{"tool-base"}, Requires: []string{libB}}))
	dir := filepath.Join(b.dir, fmt.Sprintf("p%d", n))
	makeRepository(b.t, dir, app+"==1.0\n")
	var created struct {
		LastRun run `json:"last_run"`
	}
	body := map[string]any{"name": filepath.Base(dir), "git_url": "file://" + dir, "targets": []string{"local"}}
	if status := b.ask(http.MethodPost, "/api/v1/projects", body, &created); status != http.StatusCreated {
		b.t.Fatalf("creating a project: status %d", status)
	}
	return created.LastRun.ID
}

// own are the packages that project number n has for itself. Their names are its own, too: pages of the index
// are believed for ten minutes, new versions of a name that is known are not seen before.
func own(n int) []string {
	return []string{fmt.Sprintf("app-%d", n), fmt.Sprintf("lib-a-%d", n), fmt.Sprintf("lib-b-%d", n)}
}

// killing kills as often as asked, always with work going on, and looks at everything in the end.
func (b *bed) killing(kill func() (pid int, restart func())) {
	b.t.Helper()
	watch := &lostWatch{b: b, had: map[string]int{}}
	var runs []int64
	begun := time.Now()
	for i := range kills() {
		for b.unfinished(runs) < 2 {
			runs = append(runs, b.project(len(runs)))
		}
		b.until("something runs", time.Minute, func() bool { return len(b.running()) > 0 })
		b.pause(rand.N(2 * time.Second))
		if i%4 == 3 {
			b.untilOneEnds() // however slow the machine is: what loses twenty workers in a row is given up
		}
		watch.kill(kill)
	}
	b.until("every run has ended", 5*time.Minute, func() bool { return b.unfinished(runs) == 0 })
	b.t.Logf("%d kills (%s) in %d runs, %.0f s; the longest until what was lost was done or begun again: %v", kills(), watch.what(), len(runs), time.Since(begun).Seconds(), watch.longest)
	if limit := killLease + 5*time.Second; watch.longest > limit {
		b.t.Errorf("work was resumed after %v, more than %v", watch.longest, limit)
	}
	for i, id := range runs {
		b.checkWhole(fmt.Sprintf("p%d", i), id, own(i))
	}
}

// untilOneEnds waits until one of the steps that run has ended.
func (b *bed) untilOneEnds() {
	b.t.Helper()
	attempts := map[int64]int64{}
	for _, s := range b.running() {
		attempts[s.ID] = s.Attempt
	}
	b.until("a step ends", time.Minute, func() bool {
		still := 0
		for _, s := range b.running() {
			if attempts[s.ID] == s.Attempt {
				still++
			}
		}
		return still < len(attempts) || still == 0
	})
}

// lostWatch measures how long what a killed process had is nobody's.
type lostWatch struct {
	b       *bed
	longest time.Duration
	had     map[string]int // kinds of steps that ran on killed processes, and how often
}

func (w *lostWatch) what() string {
	var parts []string
	for kind, n := range w.had {
		parts = append(parts, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// kill kills a process, restarts it, and waits until what it had does not run in that attempt any more.
func (w *lostWatch) kill(kill func() (pid int, restart func())) {
	w.b.t.Helper()
	workers, err := w.b.store.LivingWorkers(w.b.t.Context())
	must(w.b.t, err)
	pid, restart := kill()
	killed := time.Now()
	lost := map[int64]int64{}
	kinds := map[string]bool{}
	for _, s := range w.b.running() {
		if slices.ContainsFunc(workers, func(x store.Worker) bool { return x.ID == s.Worker && x.PID == int64(pid) }) {
			lost[s.ID] = s.Attempt
			kinds[string(s.Kind)] = true
		}
	}
	if len(lost) == 0 {
		kinds["nothing"] = true
	}
	for kind := range kinds {
		w.had[kind]++
	}
	restart()
	w.b.until("what was lost goes on", time.Minute, func() bool {
		return !slices.ContainsFunc(w.b.running(), func(s store.Step) bool { return lost[s.ID] == s.Attempt })
	})
	if len(lost) > 0 {
		w.longest = max(w.longest, time.Since(killed))
	}
}

// running are the steps that the database says somebody does.
func (b *bed) running() []store.Step {
	b.t.Helper()
	part, err := b.store.Steps(b.t.Context(), store.StepFilter{States: []store.StepState{store.Running}}, store.Page{Limit: 500})
	must(b.t, err)
	return part.Items
}

// unfinished is how many of runs have not ended.
func (b *bed) unfinished(runs []int64) int {
	b.t.Helper()
	n := 0
	for _, id := range runs {
		r, err := b.store.Run(b.t.Context(), id)
		must(b.t, err)
		if !r.State.Ended() {
			n++
		}
	}
	return n
}

// until waits for something that the database will say.
func (b *bed) until(what string, limit time.Duration, is func() bool) {
	b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !is(); <-tick.C {
		if time.Now().After(end) {
			b.t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

func (b *bed) pause(d time.Duration) {
	b.t.Helper()
	select {
	case <-time.After(d):
	case <-b.t.Context().Done():
	}
}

// checkWhole looks at a project's one run, its builds and its repository: nothing lost, nothing twice.
func (b *bed) checkWhole(project string, id int64, want []string) {
	b.t.Helper()
	ctx := b.t.Context()
	r, err := b.store.Run(ctx, id)
	must(b.t, err)
	if r.State != store.RunSucceeded {
		b.t.Errorf("%s: the run %s: %s", project, r.State, r.Message)
		steps, err := b.store.RunSteps(ctx, id)
		must(b.t, err)
		for _, s := range steps {
			if s.State != store.Succeeded {
				b.t.Errorf("%s is %s after %d attempts, %d losses: %s %s", s.Key, s.State, s.Attempt, s.Losses, s.Cause, s.Result)
			}
		}
		return
	}
	b.checkSteps(project, id)
	for _, target := range r.Targets {
		snapshots, err := b.store.Snapshots(ctx, r.Project, target, store.Page{Limit: 10})
		must(b.t, err)
		if len(snapshots.Items) != 1 {
			b.t.Errorf("%s was published %d times for %s: %+v", project, len(snapshots.Items), target, snapshots.Items)
			continue
		}
		if s := snapshots.Items[0]; s.Proof == "" || s.Size == 0 || s.Packages < int64(len(want)) {
			b.t.Errorf("%s for %s: a snapshot without size, packages or proof: %+v", project, target, s)
		}
		root, err := filepath.EvalSymlinks(filepath.Join(b.dir, "state", "repos"))
		must(b.t, err)
		current, err := filepath.EvalSymlinks(filepath.Join(root, project, "stable", target, repo.Current))
		must(b.t, err)
		if named := filepath.Join(root, snapshots.Items[0].Path); named != current {
			b.t.Errorf("%s has %s as its snapshot, and publishes %s", project, named, current)
		}
		b.checkSnapshot(project, current, want)
	}
}

// checkSteps looks that every step succeeded in one attempt, after what it needs.
func (b *bed) checkSteps(project string, run int64) {
	b.t.Helper()
	ctx := b.t.Context()
	steps, err := b.store.RunSteps(ctx, run)
	must(b.t, err)
	for _, s := range steps {
		attempts, err := b.store.Attempts(ctx, s.ID)
		must(b.t, err)
		succeeded := 0
		for _, a := range attempts {
			if a.State == store.Succeeded {
				succeeded++
			}
		}
		if s.State != store.Succeeded || succeeded != 1 {
			b.t.Errorf("%s, %s is %s and succeeded %d times in %d attempts: %s", project, s.Key, s.State, succeeded, len(attempts), s.Cause)
		}
		needs, err := b.store.Needs(ctx, s.ID)
		must(b.t, err)
		for _, need := range needs {
			if need.Finished.After(s.Started) {
				b.t.Errorf("%s, %s started before %s had ended", project, s.Key, need.Key)
			}
		}
	}
}

// checkSnapshot looks at what is published: whole, each package once and signed.
func (b *bed) checkSnapshot(project, dir string, want []string) {
	b.t.Helper()
	packages, err := repo.Packages(dir)
	must(b.t, err)
	var names []string
	for _, p := range packages {
		if !p.Source() {
			names = append(names, bare(p.Name))
		}
	}
	for _, name := range want {
		if n := countOf(names, name); n != 1 {
			b.t.Errorf("%s has %s %d times: %v", project, name, n, names)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "Packages", "*.rpm"))
	must(b.t, err)
	out, err := exec.Command("rpm", append([]string{"--dbpath", filepath.Join(b.dir, "rpmdb"), "-K", "--nosignature"}, files...)...).CombinedOutput()
	if err != nil {
		b.t.Errorf("%s: %v\n%s", project, err, out)
	}
	list, err := exec.Command("dnf", "-q", "--releasever=1", "repoquery", "--setopt=cachedir="+filepath.Join(b.dir, "dnf"), "--repofrompath=x"+project+",file://"+dir, "--repo=x"+project, "--qf", "%{name}\n").CombinedOutput()
	var listed []string
	for _, name := range strings.Fields(string(list)) {
		listed = append(listed, bare(name))
	}
	if err != nil || countOf(listed, want[0]) != 1 {
		b.t.Errorf("%s: dnf repoquery: %v\n%s", project, err, list)
	}
}

// bare is a package's name without the prefix of the target's Python.
func bare(name string) string {
	if prefix, rest, ok := strings.Cut(name, "-"); ok && strings.HasPrefix(prefix, "python3") {
		return rest
	}
	return name
}

func countOf(list []string, one string) int {
	n := 0
	for _, s := range list {
		if s == one {
			n++
		}
	}
	return n
}
