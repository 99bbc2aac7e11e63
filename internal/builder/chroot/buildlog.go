package chroot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
)

// maxLog is how much of one log is kept; what comes after is dropped, with a note.
const maxLog = 100 << 20

// boundedLog is a log file written as lines come, up to maxLog bytes. It remembers its
// end and when something was last said. Safe for concurrent use.
type boundedLog struct {
	mu   sync.Mutex
	f    *os.File
	n    int64
	end  rpmlog.Tail
	last atomic.Int64 // unix nanoseconds
}

func newLog(path string) (*boundedLog, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &boundedLog{f: f, end: rpmlog.Tail{Max: 32 << 10}}
	l.last.Store(time.Now().UnixNano())
	return l, nil
}

// Write never fails for being full: a build that talks too much still builds.
func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.Store(time.Now().UnixNano())
	_, _ = l.end.Write(p)
	if l.n > maxLog {
		return len(p), nil
	}
	l.n += int64(len(p))
	if _, err := l.f.Write(p); err != nil {
		return 0, fmt.Errorf("write log: %w", err)
	}
	if l.n > maxLog {
		fmt.Fprintf(l.f, "\n[log cut here: more than %d MB]\n", maxLog>>20)
	}
	return len(p), nil
}

func (l *boundedLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end.String()
}

// forget empties the remembered end: what an earlier round said must not explain this one.
func (l *boundedLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end.Forget()
}

// Close has nothing left to say: each Write said its own error.
func (l *boundedLog) Close() { _ = l.f.Close() }

// watch makes a context that ends, with a cause that says why, after total, or when no
// log got anything for idle.
func watch(total, idle time.Duration, logs ...*boundedLog) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	stopped := make(chan struct{})
	go func() {
		end := time.NewTimer(total)
		defer end.Stop()
		quiet := time.NewTimer(idle)
		defer quiet.Stop()
		for {
			select {
			case <-stopped:
				return
			case <-end.C:
				cancel(fmt.Errorf("not done after %s: %w", total, context.DeadlineExceeded))
				return
			case <-quiet.C:
				var last int64
				for _, l := range logs {
					last = max(last, l.last.Load())
				}
				left := idle - time.Since(time.Unix(0, last))
				if left <= 0 {
					cancel(fmt.Errorf("no output for %s: %w", idle, context.DeadlineExceeded))
					return
				}
				quiet.Reset(left)
			}
		}
	}()
	var once sync.Once
	return ctx, func() { once.Do(func() { close(stopped) }) }
}

// phaseWriter passes rpmbuild's output on and tells the clock of the phases it announces.
type phaseWriter struct {
	w     *boundedLog
	clock *rpmlog.Clock
	line  []byte // start of a line not ended yet, bounded
}

func (p *phaseWriter) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		part := rest
		if i >= 0 {
			part = rest[:i]
		}
		if len(p.line) < 256 {
			p.line = append(p.line, part[:min(len(part), 256)]...)
		}
		if i < 0 {
			break
		}
		p.see(string(p.line))
		p.line = p.line[:0]
		rest = rest[i+1:]
	}
	return p.w.Write(b)
}

func (p *phaseWriter) see(line string) {
	if ph, ok := rpmlog.PhaseOf(line); ok {
		p.clock.Enter(ph)
	}
}

// failed says what went wrong in an rpmbuild that ended with err.
func (b *building) failed(err error) error {
	end := b.buildLog.tail()
	be := &builder.BuildError{Phase: b.phases.Now(), Cause: builder.CauseBuild, Tail: rpmlog.LastLines(end, 40), Log: "build.log", Err: err}
	var exit *builder.ExitError
	if errors.As(err, &exit) {
		be.Err = fmt.Errorf("rpmbuild: exit status %d: %s", exit.Code, rpmlog.FirstError(end))
	}
	switch {
	case strings.Contains(end, "No space left on device"):
		be.Cause, be.Err = builder.CauseInfra, errors.New("disk full (No space left on device)")
	case strings.Contains(end, "error: Failed build dependencies:"):
		be.Cause = builder.CauseDeps
		be.Missing = rpmlog.FailedDeps(end)
	case be.Phase == builder.PhaseRoot && (exit == nil || strings.Contains(end, "bwrap: ")):
		be.Cause = builder.CauseInfra
	case be.Phase == builder.PhaseRoot:
		be.Cause = builder.CauseSpec
	}
	return be
}

// explain completes an error with the package's name, the log that tells and its end.
func (b *building) explain(err error) error {
	if err == nil {
		return nil
	}
	var be *builder.BuildError
	if !errors.As(err, &be) {
		be = &builder.BuildError{Phase: b.phases.Now(), Cause: builder.CauseInfra, Err: err}
	}
	be.Name = b.o.Name
	log, name := b.buildLog, "build.log"
	if be.Log == "" && be.Phase == builder.PhaseRoot {
		log, name = b.rootLog, "root.log"
	}
	if be.Log == "" {
		be.Log = name
	}
	if be.Tail == "" {
		be.Tail = rpmlog.LastLines(log.tail(), 40)
	}
	if be.Phase == builder.PhaseRoot && be.Err != nil && log == b.rootLog {
		fmt.Fprintf(b.rootLog, "error: %v\n", be.Err)
	}
	be.Log = filepath.Join(b.o.Out, be.Log)
	return be
}
