package chroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"reqpm/internal/builder"
)

// maxRepoFile bounds a .repo file, which somebody else may have written.
const maxRepoFile = 1 << 20

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
	urls, err := checkRepoFile(file)
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	o.needs(urls...)
	log, err := filepath.Abs(v.Log)
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	o.Verify = &verifyOrder{RepoFile: file, Install: v.Install, Script: v.Script}
	if v.Log != "" {
		o.Verify.Log = log
		o.Avoid = append(o.Avoid, log)
	}
	o.Avoid = append(o.Avoid, file)
	temp, err := r.b.state.newTemp("verify")
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	errs := &tail{max: 4 << 10}
	out, err := r.b.spawn(ctx, temp, o, streams{in: v.Stdin, out: v.Stdout, err: errs}, nil)
	err = errors.Join(err, temp.remove())
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

// checkRepoFile makes sure both kinds of signatures will be checked and returns every
// address the file names.
func checkRepoFile(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRepoFile))
	if err != nil {
		return nil, err
	}
	var urls []string
	section, checks := "", map[string]string{}
	finish := func() error {
		if section == "" || section == "main" {
			return nil
		}
		for _, k := range []string{"gpgcheck", "repo_gpgcheck"} {
			if v := strings.ToLower(checks[k]); v != "1" && v != "true" && v != "yes" {
				return fmt.Errorf("%s: repository %s does not set %s=1; unsigned packages prove nothing", path, section, k)
			}
		}
		return nil
	}
	for line := range strings.Lines(string(text)) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "[") {
			if err := finish(); err != nil {
				return nil, err
			}
			section, checks = strings.Trim(trimmed, "[]"), map[string]string{}
			continue
		}
		if k, v, ok := strings.Cut(trimmed, "="); ok && line[0] != ' ' && line[0] != '\t' {
			checks[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
		if i := strings.Index(trimmed, "="); i >= 0 {
			trimmed = trimmed[i+1:]
		}
		for _, u := range strings.Fields(strings.ReplaceAll(trimmed, ",", " ")) {
			if strings.Contains(u, "://") {
				urls = append(urls, u)
			}
		}
	}
	if section == "" {
		return nil, fmt.Errorf("%s: no repository in it", path)
	}
	return urls, finish()
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
	if err := w.mount(upper, filepath.Join(w.scratch, "work")); err != nil {
		return out, err
	}
	v := w.order.Verify
	err = w.dnf(ctx, transaction{repos: w.Target.Repos, files: []string{v.RepoFile}, args: append([]string{"install", "--"}, v.Install...), log: log})
	if err != nil {
		return out, signatureError(err, log.tail())
	}
	if out.Manifest, err = w.beyondBase(ctx); err != nil {
		return out, err
	}
	if len(v.Script) == 0 {
		return out, nil
	}
	return out, exitError(w.bwrap(ctx, sandboxed{args: v.Script, stdin: os.Stdin, stdout: os.Stdout, stderr: io.MultiWriter(os.Stderr, log)}).Run(), "")
}

// signatureError tells a bad signature from other troubles of dnf.
func signatureError(err error, text string) error {
	var be *builder.BuildError
	if !errors.As(err, &be) {
		return err
	}
	for _, s := range []string{"GPG check FAILED", "Bad GPG signature", "GPG signature verification error", "repomd.xml GPG", "Error: GPG", "GPG signature is not available", "is not signed", "does not match the installed key", "checksum doesn't match", "Checksum doesn't match"} {
		if strings.Contains(text, s) {
			be.Cause, be.Err, be.Missing = builder.CauseResult, fmt.Errorf("signature or checksum refused by dnf: %w", be.Err), nil
			return be
		}
	}
	return err
}
