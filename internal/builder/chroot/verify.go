package chroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/dnf"
)

// verifyOrder is one Verify, for the child.
type verifyOrder struct {
	RepoFile string   `json:"repo_file"`
	Install  []string `json:"install"`
	Script   []string `json:"script"`
	Log      string   `json:"log"`
}

// Verify installs from a published repository into a fresh copy of the base. Both
// signatures, of every RPM and of the metadata, are checked; a .repo file that does not
// ask for it is refused. A package that does not install, or a bad signature, is a
// *builder.BuildError; a script that fails is a *builder.ExitError.
func (r *Base) Verify(ctx context.Context, v builder.Verification) (builder.VerifyResult, error) {
	var res builder.VerifyResult
	o := r.order()
	file, err := filepath.Abs(v.RepoFile)
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	urls, err := dnf.CheckRepoFile(file)
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	o.needs(urls...)
	log, err := filepath.Abs(v.Log)
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	o.Verify = &verifyOrder{RepoFile: file, Install: v.Install, Script: v.Script}
	if err := r.addDebs(&o, v.Debs); err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	if v.Log != "" {
		o.Verify.Log = log
		o.Avoid = append(o.Avoid, log)
	}
	o.Avoid = append(o.Avoid, file)
	temp, err := r.b.state.NewTemp("verify")
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	errs := &rpmlog.Tail{Max: 4 << 10}
	out, err := r.b.spawn(ctx, temp, o, streams{in: v.Stdin, out: v.Stdout, err: errs}, nil)
	err = errors.Join(err, temp.Remove())
	if ctx.Err() != nil {
		return res, context.Cause(ctx)
	}
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	res.Installed = out.Manifest
	err = out.failure()
	var exit *builder.ExitError
	var be *builder.BuildError
	switch {
	case errors.As(err, &be):
		be.Name, be.Log = "proof of installability", v.Log
	case errors.As(err, &exit):
		exit.Stderr = errs.String()
	}
	return res, err
}

// verify does w.Verify.
func (w *worker) verify() (outcome, error) {
	var out outcome
	path := w.order.Verify.Log
	if path == "" {
		path = filepath.Join(w.Temp, "verify.log")
	}
	log, err := newLog(path)
	if err != nil {
		return out, err
	}
	defer log.Close()
	ctx, stop := watch(defaultTotal, defaultIdle, log)
	defer stop()
	upper, err := makeLayer(filepath.Join(w.scratch, "up"))
	if err != nil {
		return out, err
	}
	debs, err := w.debs(ctx, log)
	if err != nil {
		return out, err
	}
	defer debs.release()
	if err := w.mount(upper, filepath.Join(w.scratch, "work"), debs.lowers()...); err != nil {
		return out, err
	}
	v := w.order.Verify
	err = w.dnf(ctx, transaction{repos: w.Target.Repos, files: []string{v.RepoFile}, args: append([]string{"install", "--"}, v.Install...), log: log})
	if err != nil {
		return out, rpmlog.SignatureError(err, log.tail())
	}
	if out.Manifest, err = w.beyondBase(ctx); err != nil {
		return out, err
	}
	if len(v.Script) == 0 {
		return out, nil
	}
	return out, builder.AsExit(w.bwrap(ctx, sandboxed{args: v.Script, stdin: os.Stdin, stdout: os.Stdout, stderr: io.MultiWriter(os.Stderr, log)}).Run(), "")
}
