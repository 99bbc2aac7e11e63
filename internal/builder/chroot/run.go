package chroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
)

// runOrder is one Run, for the child.
type runOrder struct {
	Args    []string       `json:"args"`
	Dir     string         `json:"dir"`
	Env     []string       `json:"env"`
	Binds   []builder.Bind `json:"binds"`
	RPMs    []rpmFile      `json:"rpms"`
	Install []string       `json:"install"`
}

// Run runs one command as the unprivileged user in a throw-away copy of the base, with
// no network. Directories bound for writing are given to the build user while it runs.
func (r *Base) Run(ctx context.Context, c builder.Command) error {
	if len(c.Args) == 0 {
		return errors.New("run in build root: no command")
	}
	o := r.order()
	o.Run = &runOrder{Args: c.Args, Dir: c.Dir, Env: c.Env, Binds: slices.Clone(c.Binds), Install: c.Install}
	for i, b := range c.Binds {
		host, err := filepath.Abs(b.Host)
		if err != nil {
			return fmt.Errorf("run %s: %w", c.Args[0], err)
		}
		o.Run.Binds[i].Host = host
		o.Avoid = append(o.Avoid, host)
	}
	for _, p := range c.RPMs {
		sum, err := r.digest(p)
		if err != nil {
			return fmt.Errorf("run %s: %w", c.Args[0], err)
		}
		o.Run.RPMs = append(o.Run.RPMs, rpmFile{p, sum})
	}
	if err := r.addDebs(&o, c.Debs); err != nil {
		return fmt.Errorf("run %s: %w", c.Args[0], err)
	}
	if len(c.Install) == 0 {
		o.Network = false
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("run %s: not done after %s: %w", c.Args[0], c.Timeout, context.DeadlineExceeded))
		defer cancel()
	}
	temp, err := r.b.state.NewTemp("run")
	if err != nil {
		return fmt.Errorf("run %s: %w", c.Args[0], err)
	}
	errs := &rpmlog.Tail{Max: 4 << 10}
	var stderr io.Writer = errs
	if c.Stderr != nil {
		stderr = io.MultiWriter(errs, c.Stderr)
	}
	out, err := r.b.spawn(ctx, temp, o, streams{out: c.Stdout, err: stderr}, nil)
	err = errors.Join(err, temp.Remove())
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", c.Args[0], err)
	}
	err = out.failure()
	var exit *builder.ExitError
	if errors.As(err, &exit) {
		exit.Stderr = errs.String()
	}
	return err
}

// run does w.Run.
func (w *worker) run() (outcome, error) {
	ctx := context.Background()
	debs, err := w.debs(ctx, io.Discard)
	if err != nil {
		return outcome{}, err
	}
	defer debs.release()
	lowers := debs.lowers()
	if len(w.Run.Install) > 0 {
		dep, err := w.dependencies(ctx, needs{rpms: w.Run.RPMs, deps: w.Run.Install, debs: debs}, io.Discard)
		if err != nil {
			return outcome{}, err
		}
		defer dep.release()
		lowers = debs.lowers(dep.layer)
	}
	upper, err := makeLayer(filepath.Join(w.scratch, "up"))
	if err != nil {
		return outcome{}, err
	}
	if err := w.mount(upper, filepath.Join(w.scratch, "work"), lowers...); err != nil {
		return outcome{}, err
	}
	for _, b := range w.Run.Binds {
		if err := w.bind(b); err != nil {
			return outcome{}, err
		}
	}
	c := sandboxed{args: w.Run.Args, dir: w.Run.Dir, env: w.Run.Env, stdout: os.Stdout, stderr: os.Stderr}
	return outcome{}, builder.AsExit(w.bwrap(ctx, c).Run(), "")
}

// bind shows a host directory (or file) in the merged root.
func (w *worker) bind(b builder.Bind) error {
	st, err := os.Stat(b.Host)
	if err != nil {
		return fmt.Errorf("bind into build root: %w", err)
	}
	at := w.under(b.Inside)
	if st.IsDir() {
		err = os.MkdirAll(at, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(at), 0o755); err == nil && !scratch.Exists(at) {
		err = os.WriteFile(at, nil, 0o644)
	}
	if err != nil {
		return fmt.Errorf("bind %s into build root: %w", b.Host, err)
	}
	if b.Write {
		if err := os.Chown(b.Host, buildUID, buildUID); err != nil {
			return fmt.Errorf("bind %s into build root: %w", b.Host, err)
		}
	}
	if err := unix.Mount(b.Host, at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s into build root: %w", b.Host, err)
	}
	flags := uintptr(unix.MS_BIND | unix.MS_REMOUNT | unix.MS_NOSUID | unix.MS_NODEV)
	if !b.Write {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("", at, "", flags, ""); err != nil {
		return fmt.Errorf("bind %s into build root: %w", b.Host, err)
	}
	return nil
}
