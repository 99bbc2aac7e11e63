package mock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
)

// Bounds of one build.
const (
	defaultTotal = 2 * time.Hour
	defaultIdle  = 30 * time.Minute
	maxLog       = 512 << 20 // bytes of one log
	pollEvery    = 100 * time.Millisecond
)

// logNames are the logs that Mock writes while it works (mock(1), "FILES").
var logNames = []string{"root.log", "build.log", "state.log"}

// errLogTooLong ends a build that would fill the disk with its log.
var errLogTooLong = fmt.Errorf("a log grew beyond %d MB", maxLog>>20)

// follower reads the logs of a running build as they grow: phases from build.log, signs of life
// from all of them.
type follower struct {
	dir   string
	clock *rpmlog.Clock
	at    map[string]int64 // bytes seen of each log
	line  []byte           // start of a line of build.log not ended yet, bounded
	last  time.Time        // when something was last said
}

// follow watches until ctx ends, and ends it itself, with a cause that says why, after the limits.
func (f *follower) follow(ctx context.Context, l builder.Limits, cancel context.CancelCauseFunc) {
	total, idle := l.Total, l.Idle
	if total <= 0 {
		total = defaultTotal
	}
	if idle <= 0 {
		idle = defaultIdle
	}
	f.last = time.Now()
	end := time.NewTimer(total)
	defer end.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			_ = f.poll() // for the phase; that it is over is known already
			cancel(fmt.Errorf("not done after %s: %w", total, context.DeadlineExceeded))
			return
		case <-tick.C:
			switch err := f.poll(); {
			case err != nil:
				cancel(err)
				return
			case time.Since(f.last) > idle:
				cancel(fmt.Errorf("no output for %s: %w", idle, context.DeadlineExceeded))
				return
			}
		}
	}
}

// poll reads what is new.
func (f *follower) poll() error {
	for _, name := range logNames {
		st, err := os.Stat(filepath.Join(f.dir, name))
		if err != nil || st.Size() <= f.at[name] {
			continue
		}
		f.last = time.Now()
		if st.Size() > maxLog {
			return errLogTooLong
		}
		if name == "build.log" {
			if err := f.phases(f.at[name], st.Size()); err != nil {
				return err
			}
		}
		f.at[name] = st.Size()
	}
	return nil
}

// phases reads build.log between two places and tells the clock of the phases it announces.
func (f *follower) phases(from, to int64) error {
	file, err := os.Open(filepath.Join(f.dir, "build.log"))
	if err != nil {
		return fmt.Errorf("follow build.log: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, from, to-from))
	if err != nil {
		return fmt.Errorf("follow build.log: %w", err)
	}
	for len(text) > 0 {
		part, rest, ended := bytes.Cut(text, []byte("\n"))
		if len(f.line) < 256 {
			f.line = append(f.line, part[:min(len(part), 256)]...)
		}
		if ended {
			f.see(string(f.line))
			f.line = f.line[:0]
		}
		text = rest
	}
	return nil
}

// installsMore is what Mock writes when %generate_buildrequires asked for something.
const installsMore = "Going to install missing buildrequires"

func (f *follower) see(line string) {
	if p, ok := rpmlog.PhaseOf(line); ok {
		f.clock.Enter(p)
	} else if strings.HasPrefix(line, installsMore) {
		f.clock.Enter(builder.PhaseRoot)
	}
}

// rootPrefix is what Mock puts before each line of dnf in root.log.
var rootPrefix = regexp.MustCompile(`(?m)^(?:DEBUG|INFO|WARNING|ERROR) [A-Za-z_]+\.py:\d+:\s{1,2}`)

// maxTail is how much of the end of a log is read to explain a failure.
const maxTail = 256 << 10

// rootLog is the end of what dnf said in the last call of Mock.
func rootLog(dir string) string {
	text := logTail(dir, "root.log")
	if i := strings.LastIndex(text, lastCall); i >= 0 {
		text = text[i:]
	}
	return rootPrefix.ReplaceAllString(text, "")
}

// lastCall is written by our script before Mock is called again.
const lastCall = "reqpm: mock is called again"

// logTail is the end of a log; nothing when there is none.
func logTail(dir, name string) string {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, st.Size()-maxTail), maxTail))
	if err != nil {
		return ""
	}
	return string(text)
}

// lastState is the step that Mock began last (state.log has "Start: NAME" with times around it);
// steps inside of others that say nothing of the cause are left out.
func lastState(dir string) string {
	last := ""
	for line := range strings.Lines(logTail(dir, "state.log")) {
		_, name, ok := strings.Cut(strings.TrimSpace(line), "Start: ")
		if ok && (strings.HasPrefix(name, "rpmbuild ") || strings.HasPrefix(name, "build setup") || strings.HasPrefix(name, "chroot init") || name == "buildsrpm") {
			last = name
		}
	}
	return last
}

// mockTimeout and mockPackages are exit codes of Mock (mockbuild/exception.py).
const (
	mockTimeout  = 11 // rpmbuild_timeout
	mockPackages = 30 // the package manager failed
)

// explain tells from Mock's exit code, and from its logs where the code alone does not, what went
// wrong in a build whose logs are in dir.
func explain(dir string, phase builder.Phase, code int, stderr string) *builder.BuildError {
	root, build, state := rootLog(dir), logTail(dir, "build.log"), lastState(dir)
	be := &builder.BuildError{Phase: phase, Cause: builder.CauseInfra, Log: "mock.log", Tail: rpmlog.LastLines(stderr, 20),
		Err: fmt.Errorf("mock: exit status %d in %q: %s", code, state, rpmlog.FirstError(stderr))}
	inBuild := func(cause builder.Cause) {
		be.Cause, be.Log, be.Tail = cause, "build.log", rpmlog.LastLines(build, 40)
		be.Err = fmt.Errorf("rpmbuild: %s", rpmlog.FirstError(build))
	}
	var fromDNF *builder.BuildError
	if code == mockPackages && errors.As(rpmlog.DNFError(fmt.Errorf("mock: exit status %d", code), root), &fromDNF) {
		fromDNF.Log = "root.log"
		return fromDNF
	}
	switch {
	case strings.Contains(build, "No space left on device") || strings.Contains(root, "No space left on device") || strings.Contains(stderr, "No space left on device"):
		be.Err = errors.New("disk full (No space left on device)")
	case code == mockTimeout:
		be.Cause = builder.CauseTimeout
	case strings.Contains(build, "error: Failed build dependencies:"):
		inBuild(builder.CauseDeps)
		be.Missing = rpmlog.FailedDeps(build)
	case state == "rpmbuild -bs" || state == "buildsrpm":
		inBuild(builder.CauseSpec)
	case strings.HasPrefix(state, "rpmbuild ") && phase != builder.PhaseRoot:
		inBuild(builder.CauseBuild)
	case strings.HasPrefix(state, "rpmbuild "):
		inBuild(builder.CauseSpec)
	}
	return be
}
