// Package conformance is the one suite every builder passes: what builder.Base promises,
// seen from outside.
package conformance

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/filelock"
)

// Behaviour is how a test package behaves when it is built.
type Behaviour string

// The behaviours a subject must be able to produce.
const (
	Succeeds Behaviour = "succeeds"
	Fails    Behaviour = "fails"   // in PhaseBuild, after writing "this is what went wrong"
	Silent   Behaviour = "silent"  // PhaseBuild says "started" and then nothing for ten minutes
	Lacking  Behaviour = "lacking" // needs "no-such-thing", which nobody provides
)

// Subject is a builder under test.
type Subject struct {
	Base builder.Base
	// Script tells a scripted builder how jobs of that name behave; nil for one that
	// reads specs.
	Script func(name string, b Behaviour)
	// Leftovers lists what builds left behind (mounts, processes, temporary
	// directories); nil when there cannot be any.
	Leftovers func() []string
	// Sandbox: Run really runs commands, in a sandbox.
	Sandbox bool
	// Limit is how long a build may take, and be silent, before it is in PhaseBuild; 0 means 2 s.
	Limit time.Duration
}

// Test runs the suite.
func Test(t *testing.T, s Subject) {
	t.Run("build", s.build)
	t.Run("result directory is never overwritten", s.occupied)
	t.Run("failing build keeps its log", s.fails)
	t.Run("missing build requirement is named", s.lacking)
	t.Run("cancelled build leaves nothing", s.cancel)
	t.Run("silent build times out", s.idle)
	t.Run("total time is bounded", s.total)
	t.Run("builds run side by side", s.parallel)
	t.Run("run", s.run)
	if s.Leftovers != nil {
		if left := s.Leftovers(); len(left) > 0 {
			t.Errorf("left behind after all: %s", strings.Join(left, "\n"))
		}
	}
}

// Rounds is how often tests that kill or cancel at random moments do so: n, or what REQPM_KILLS says.
func Rounds(n int) int {
	if asked, err := strconv.Atoi(os.Getenv("REQPM_KILLS")); err == nil {
		return asked
	}
	return n
}

// Settled waits until nothing runs of what was killed, and gives what does for more than two seconds: what running finds, and whoever has the
// lock of an operation's directory in tmp. The kernel lets go of a dying process's locks a moment after /proc has stopped showing its files.
func Settled(tmp string, running func() []string) []string {
	var left []string
	for range 100 {
		if left = append(running(), held(tmp)...); len(left) == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // nothing signals the end of somebody else's child
	}
	return left
}

// held are the locks of operations that somebody has.
func held(tmp string) []string {
	var all []string
	paths, _ := filepath.Glob(filepath.Join(tmp, "*", "lock"))
	for _, path := range paths {
		lock, err := filelock.Try(path)
		if errors.Is(err, filelock.ErrHeld) {
			all = append(all, "lock "+path)
		}
		if lock != nil {
			_ = lock.Close() // looked only
		}
	}
	return all
}

// Cancelled cancels builds of job at random moments within a time, and wants nothing left of any of
// them, not even a directory.
func (s Subject) Cancelled(t *testing.T, job builder.Job, rounds int, within time.Duration) {
	t.Helper()
	dir, ended := t.TempDir(), 0
	for i := range rounds {
		after := rand.N(within)
		ctx, cancel := context.WithTimeout(t.Context(), after)
		job.ResultDir = filepath.Join(dir, strconv.Itoa(i))
		_, err := s.Base.Build(ctx, job)
		if err != nil && ctx.Err() == nil {
			t.Fatalf("round %d: %v", i, err)
		}
		if err == nil {
			ended++
		}
		cancel()
		if left := s.Leftovers(); len(left) > 0 {
			t.Errorf("round %d, cancelled after %s: left behind %s", i, after, strings.Join(left, "\n"))
		}
	}
	t.Logf("%d builds cancelled, %d had ended before", rounds-ended, ended)
}

// Job makes a job that behaves as b.
func (s Subject) Job(t *testing.T, name string, b Behaviour) builder.Job {
	t.Helper()
	if s.Script != nil {
		s.Script(name, b)
	}
	dir := t.TempDir()
	spec := filepath.Join(dir, name+".spec")
	if err := os.WriteFile(spec, []byte(Spec(name, b)), 0o644); err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(dir, name+".txt")
	if err := os.WriteFile(src, []byte("hello from "+name+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return builder.Job{Name: name + " 1.0", Spec: spec, Sources: []string{src}, ResultDir: filepath.Join(dir, "result")}
}

// Spec is a spec that behaves as b; it needs nothing but a shell.
func Spec(name string, b Behaviour) string {
	build, needs := "echo building", ""
	switch b {
	case Fails:
		build = "echo this is what went wrong >&2\nexit 3"
	case Silent:
		build = "echo started\nsleep 600"
	case Lacking:
		needs = "BuildRequires: no-such-thing\n"
	}
	return `Name: ` + name + `
Version: 1.0
Release: 1
Summary: A test
License: MIT
BuildArch: noarch
Source0: ` + name + `.txt
` + needs + `
%description
A test.
%prep
%build
` + build + `
%install
install -D -m 644 %{SOURCE0} %{buildroot}/usr/share/reqpm-test/` + name + `.txt
%files
/usr/share/reqpm-test/
%changelog
* Tue Mar 05 2024 Somebody <somebody@example.org> - 1.0-1
- Made
`
}

func (s Subject) build(t *testing.T) {
	job := s.Job(t, "good", Succeeds)
	var seen []builder.Phase
	job.Phase = func(p builder.Phase) { seen = append(seen, p) }
	res, err := s.Base.Build(t.Context(), job)
	if err != nil {
		t.Fatalf("%v\n%s", err, logs(res))
	}
	if len(res.RPMs) != 1 || res.SRPM == "" {
		t.Fatalf("RPMs %v, SRPM %q; want one of each", res.RPMs, res.SRPM)
	}
	for _, f := range append(res.RPMs, res.SRPM) {
		if st, err := os.Stat(f); err != nil || st.Size() == 0 || filepath.Dir(f) != job.ResultDir {
			t.Errorf("%s: %v; want a file in %s", f, err, job.ResultDir)
		}
	}
	if len(seen) == 0 || seen[0] != builder.PhaseRoot || !slices.Contains(seen, builder.PhaseBuild) || seen[len(seen)-1] != builder.PhasePackage {
		t.Errorf("phases %v; want root … build … package", seen)
	}
	if _, ok := res.Seconds[builder.PhaseBuild]; !ok {
		t.Errorf("seconds %v; want one for build", res.Seconds)
	}
	if _, err := os.Stat(builder.Partial(job.ResultDir)); err == nil {
		t.Error("the directory of the running build is still there")
	}
}

func (s Subject) occupied(t *testing.T) {
	job := s.Job(t, "good", Succeeds)
	keep := filepath.Join(job.ResultDir, "keep")
	if err := errors.Join(os.Mkdir(job.ResultDir, 0o755), os.WriteFile(keep, []byte("x"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Base.Build(t.Context(), job); err == nil {
		t.Error("built into a result directory that was there already")
	}
	if _, err := os.Stat(keep); err != nil {
		t.Error(err)
	}
}

func (s Subject) fails(t *testing.T) {
	res, err := s.Base.Build(t.Context(), s.Job(t, "bad", Fails))
	var be *builder.BuildError
	if !errors.As(err, &be) {
		t.Fatalf("error %v; want a *BuildError", err)
	}
	if be.Cause != builder.CauseBuild || be.Phase != builder.PhaseBuild || !strings.Contains(be.Tail, "this is what went wrong") {
		t.Errorf("cause %s in %s, tail %q", be.Cause, be.Phase, be.Tail)
	}
	text, err := os.ReadFile(be.Log)
	if err != nil || !strings.Contains(string(text), "this is what went wrong") {
		t.Errorf("log %s: %v, %q", be.Log, err, text)
	}
	if len(res.RPMs) != 0 || res.Logs["build.log"] == "" {
		t.Errorf("result %+v; want logs and no RPM", res)
	}
}

func (s Subject) lacking(t *testing.T) {
	_, err := s.Base.Build(t.Context(), s.Job(t, "lacking", Lacking))
	var be *builder.BuildError
	if !errors.As(err, &be) || be.Cause != builder.CauseDeps || !slices.Contains(be.Missing, "no-such-thing") {
		t.Fatalf("error %#v; want %s naming no-such-thing", err, builder.CauseDeps)
	}
}

func (s Subject) cancel(t *testing.T) {
	job := s.Job(t, "silent", Silent)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	job.Phase = func(p builder.Phase) {
		if p == builder.PhaseBuild {
			cancel()
		}
	}
	start := time.Now()
	_, err := s.Base.Build(ctx, job)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v; want context.Canceled", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("cancelling took %s", took)
	}
	for _, d := range []string{job.ResultDir, builder.Partial(job.ResultDir)} {
		if _, err := os.Stat(d); err == nil {
			t.Errorf("%s is still there", d)
		}
	}
	if s.Leftovers != nil {
		if left := s.Leftovers(); len(left) > 0 {
			t.Errorf("left behind: %s", strings.Join(left, "\n"))
		}
	}
}

func (s Subject) idle(t *testing.T) {
	job := s.Job(t, "silent", Silent)
	job.Limits.Idle = cmp.Or(s.Limit, 2*time.Second)
	s.timesOut(t, job)
}

func (s Subject) total(t *testing.T) {
	job := s.Job(t, "silent", Silent)
	job.Limits.Total = cmp.Or(s.Limit, 2*time.Second)
	s.timesOut(t, job)
}

func (s Subject) timesOut(t *testing.T, job builder.Job) {
	t.Helper()
	res, err := s.Base.Build(t.Context(), job)
	var be *builder.BuildError
	if !errors.As(err, &be) || be.Cause != builder.CauseTimeout || be.Phase != builder.PhaseBuild {
		t.Fatalf("error %v; want %s in build", err, builder.CauseTimeout)
	}
	if res.Logs["build.log"] == "" {
		t.Error("no log of a build that took too long")
	}
}

func (s Subject) parallel(t *testing.T) {
	jobs := []builder.Job{s.Job(t, "one", Succeeds), s.Job(t, "two", Succeeds), s.Job(t, "three", Fails), s.Job(t, "four", Succeeds)}
	errs := make([]error, len(jobs))
	var wg sync.WaitGroup
	for i, job := range jobs {
		wg.Go(func() { _, errs[i] = s.Base.Build(t.Context(), job) })
	}
	wg.Wait()
	for i, err := range errs {
		if (err != nil) != (i == 2) {
			t.Errorf("job %d: %v", i, err)
		}
	}
}

func (s Subject) run(t *testing.T) {
	if !s.Sandbox {
		t.Skip("this builder runs no commands")
	}
	tests := []struct {
		name, script, out string
		code              int
	}{
		{"output", "echo hello", "hello\n", 0},
		{"exit status", "echo no >&2; exit 7", "", 7},
		{"unprivileged", "touch /etc/x 2>/dev/null || echo refused; id -u | grep -qx 0 || echo nobody special", "refused\nnobody special\n", 0},
		{"no network", "cat /proc/net/dev | grep -c :", "1\n", 0}, // lo alone
		{"no environment", "env | grep -c REQPM_SECRET", "0\n", 1},
		{"no standard input", "cat", "", 0},
	}
	t.Setenv("REQPM_SECRET", "x")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := s.Base.Run(t.Context(), builder.Command{Args: []string{"/bin/sh", "-c", tt.script}, Stdout: &out})
			var exit *builder.ExitError
			if tt.code == 0 && err != nil || tt.code != 0 && (!errors.As(err, &exit) || exit.Code != tt.code) {
				t.Fatalf("error %v; want exit status %d", err, tt.code)
			}
			if out.String() != tt.out {
				t.Errorf("output %q; want %q", out.String(), tt.out)
			}
		})
	}
	t.Run("binds", func(t *testing.T) {
		read, write := t.TempDir(), t.TempDir()
		if err := os.WriteFile(filepath.Join(read, "in"), []byte("from the host\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		err := s.Base.Run(t.Context(), builder.Command{
			Args:  []string{"/bin/sh", "-ec", "cp /src/in /dst/out; ! touch /src/x 2>/dev/null"},
			Binds: []builder.Bind{{Host: read, Inside: "/src"}, {Host: write, Inside: "/dst", Write: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(write, "out")); err != nil || string(text) != "from the host\n" {
			t.Errorf("%q, %v", text, err)
		}
	})
	t.Run("time-out", func(t *testing.T) {
		err := s.Base.Run(t.Context(), builder.Command{Args: []string{"sleep", "600"}, Timeout: time.Second})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v; want context.DeadlineExceeded", err)
		}
	})
}

func logs(res builder.Result) string {
	var b strings.Builder
	for name, p := range res.Logs {
		text, _ := os.ReadFile(p)
		b.WriteString("--- " + name + "\n" + string(text))
	}
	return b.String()
}
