package chroot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/proc"
	"reqpm/internal/target"
)

// childName is argv[0] of the child; Init looks for it.
const childName = "reqpm-build-root"

// initCalled remembers that main called Init: without it a child would be a second CLI.
var initCalled atomic.Bool

// Init runs the child's side and never returns when this process is a build child;
// otherwise it returns at once. It must be the first thing main and TestMain do.
func Init() {
	initCalled.Store(true)
	if len(os.Args) == 0 || os.Args[0] != childName {
		return
	}
	os.Exit(childMain()) //nolint:forbidigo // the child is a program of its own
}

// Descriptors the child inherits beyond standard input and output.
const (
	fdOrder = 3 // the order as JSON; stays open as long as the parent lives
	fdEvent = 4 // events as JSON lines
	fdLock  = 5 // the lock of the temporary directory, held as long as the child lives
)

// order tells the child what to do. Exactly one of the last group is set.
type order struct {
	State   string        `json:"state"`
	Temp    string        `json:"temp"`
	Base    string        `json:"base"`
	BaseID  string        `json:"base_id"`
	Target  target.Target `json:"target"`
	Avoid   []string      `json:"avoid"` // host paths in use, which the mount point must not hide
	Network bool          `json:"network"`
	// NoUserNS: the build user may not make user namespaces here; see worker.bwrap.
	NoUserNS bool `json:"no_user_ns"`

	Debs []deb `json:"debs,omitempty"` // laid over the base, see debs.go

	Build  *buildOrder  `json:"build,omitempty"`
	Run    *runOrder    `json:"run,omitempty"`
	Verify *verifyOrder `json:"verify,omitempty"`
	Make   *makeOrder   `json:"make,omitempty"`
	Unpack *debsOrder   `json:"unpack,omitempty"`
}

// event is one line from the child. Done ends the stream.
type event struct {
	Phase builder.Phase `json:"phase,omitempty"`
	Note  string        `json:"note,omitempty"`
	Done  *outcome      `json:"done,omitempty"`
}

// outcome is what the child hands back.
type outcome struct {
	Err      string                    `json:"err,omitempty"`
	Build    *builder.BuildError       `json:"build_error,omitempty"` // with Err as its cause's text
	Exit     *builder.ExitError        `json:"exit_error,omitempty"`
	Timeout  bool                      `json:"timeout,omitempty"`
	RPMs     []string                  `json:"rpms,omitempty"`
	SRPM     string                    `json:"srpm,omitempty"`
	Manifest []string                  `json:"manifest,omitempty"`
	Seconds  map[builder.Phase]float64 `json:"seconds,omitempty"`
}

// streams are the child's standard files; nil means /dev/null.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// errChildDied: the child ended without saying how it went.
var errChildDied = errors.New("the build child ended without a result (killed?)")

// spawn runs one order in a child and waits until every process of it is gone.
// Cancelling ctx kills the child, which as first process of its PID namespace takes
// everything with it. The returned error is about the child itself, not about its work.
func (b *Builder) spawn(ctx context.Context, t *scratch.Temp, o order, s streams, on func(event)) (outcome, error) {
	if !initCalled.Load() {
		return outcome{}, errors.New("chroot.Init was not called at the start of main")
	}
	orderR, orderW, err := os.Pipe()
	if err != nil {
		return outcome{}, fmt.Errorf("start build child: %w", err)
	}
	eventR, eventW, err := os.Pipe()
	if err != nil {
		return outcome{}, errors.Join(fmt.Errorf("start build child: %w", err), orderR.Close(), orderW.Close())
	}
	defer eventR.Close()
	defer orderW.Close()

	o.State, o.Temp, o.NoUserNS = b.state.Dir(), t.Path, b.noUserNS()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{childName}
	cmd.Env = proc.Env()
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	cmd.ExtraFiles = []*os.File{orderR, eventW, t.Lock}
	cmd.WaitDelay = 10 * time.Second
	waited, err := proc.Start(cmd, o.Network)
	_ = orderR.Close()
	_ = eventW.Close()
	if errors.Is(err, syscall.EPERM) {
		return outcome{}, fmt.Errorf("%w: no right to make namespaces and mounts here; in a container, run it with: --privileged (docker, podman)", builder.ErrMissingTool)
	}
	if err != nil {
		return outcome{}, fmt.Errorf("start build child: %w", err)
	}
	sendErr := json.NewEncoder(orderW).Encode(o)
	done := readEvents(eventR, on)
	waitErr := <-waited
	if err := ctx.Err(); err != nil {
		return outcome{}, err
	}
	if done == nil {
		return outcome{}, errors.Join(errChildDied, waitErr, sendErr)
	}
	return *done, nil
}

// readEvents hands every event on until the stream ends and returns the outcome, if any came.
func readEvents(r io.Reader, on func(event)) *outcome {
	dec := json.NewDecoder(r)
	var done *outcome
	for {
		var e event
		if err := dec.Decode(&e); err != nil {
			return done
		}
		if e.Done != nil {
			done = e.Done
		} else if on != nil {
			on(e)
		}
	}
}

// worker is the child's side: the first process of its PID namespace.
type worker struct {
	order
	events *json.Encoder
	at     string // where the merged root is mounted

	scratch  string // where upper layers go
	inMemory bool   // scratch is a tmpfs: layers cannot be kept
}

func (w *worker) emit(e event) { _ = w.events.Encode(e) }

// childMain reads the order, does it and reports. Its exit code does not matter.
func childMain() int {
	for fd := fdOrder; fd <= fdLock; fd++ {
		syscall.CloseOnExec(fd)
	}
	syscall.Umask(0o022)
	in := os.NewFile(fdOrder, "order")
	events := os.NewFile(fdEvent, "events")
	w := &worker{events: json.NewEncoder(events)}
	if err := json.NewDecoder(in).Decode(&w.order); err != nil {
		return 1
	}
	// The parent keeps its end open while it lives. The death signal says the same; this
	// one also comes where that signal was lost.
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(1) //nolint:forbidigo // nobody is left to report to
	}()
	out, err := w.do()
	if err != nil {
		describe(&out, err)
	}
	w.emit(event{Done: &out})
	return 0
}

// describe writes err into out in a form that survives JSON.
func describe(out *outcome, err error) {
	out.Err = err.Error()
	var be *builder.BuildError
	var ee *builder.ExitError
	switch {
	case errors.As(err, &be):
		c := *be
		if c.Err != nil {
			out.Err = c.Err.Error()
		}
		c.Err = nil
		out.Build = &c
	case errors.As(err, &ee):
		out.Exit = ee
	case errors.Is(err, context.DeadlineExceeded):
		out.Timeout = true
	}
}

// failure turns what describe wrote into an error again.
func (o outcome) failure() error {
	switch {
	case o.Build != nil:
		be := *o.Build
		be.Err = errors.New(o.Err)
		return &be
	case o.Exit != nil && o.Err != o.Exit.Error():
		return fmt.Errorf("%s%w", strings.TrimSuffix(o.Err, o.Exit.Error()), o.Exit)
	case o.Exit != nil:
		return o.Exit
	case o.Timeout:
		return fmt.Errorf("%s: %w", o.Err, context.DeadlineExceeded)
	case o.Err != "":
		return errors.New(o.Err)
	}
	return nil
}

// do carries the order out.
func (w *worker) do() (outcome, error) {
	if err := w.privateMounts(); err != nil {
		return outcome{}, err
	}
	switch {
	case w.Build != nil:
		return w.build()
	case w.Run != nil:
		return w.run()
	case w.Verify != nil:
		return w.verify()
	case w.Make != nil:
		return w.make()
	case w.Unpack != nil:
		return w.unpack()
	}
	return outcome{}, errors.New("build child: an order without work")
}
