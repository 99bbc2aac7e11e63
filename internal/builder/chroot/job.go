package chroot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/scratch"
)

// Build builds one spec. While it runs, logs can be followed in builder.Partial(job.ResultDir);
// that directory becomes job.ResultDir when the build has ended, well or not.
func (r *Base) Build(ctx context.Context, job builder.Job) (res builder.Result, err error) {
	if scratch.Exists(job.ResultDir) {
		return res, fmt.Errorf("build %s: result directory %s exists already", job.Name, job.ResultDir)
	}
	release, err := r.b.slot(ctx)
	if err != nil {
		return res, err
	}
	defer release()
	o, err := r.buildOrder(job)
	if err != nil {
		return res, fmt.Errorf("build %s: %w", job.Name, err)
	}
	if err := errors.Join(os.RemoveAll(o.Build.Out), os.MkdirAll(o.Build.Out, 0o755)); err != nil {
		return res, fmt.Errorf("build %s: %w", job.Name, err)
	}
	temp, err := r.b.state.NewTemp("build")
	if err != nil {
		return res, errors.Join(fmt.Errorf("build %s: %w", job.Name, err), os.RemoveAll(o.Build.Out))
	}
	out, err := r.b.spawn(ctx, temp, o, streams{}, func(e event) {
		if e.Phase != "" && job.Phase != nil {
			job.Phase(e.Phase)
		}
	})
	cleanErr := temp.Remove()
	if ctx.Err() != nil {
		return res, errors.Join(ctx.Err(), cleanErr, os.RemoveAll(o.Build.Out))
	}
	if err != nil { // the child itself failed
		err = &builder.BuildError{Name: job.Name, Phase: builder.PhaseRoot, Cause: builder.CauseInfra, Err: err,
			Log: filepath.Join(o.Build.Out, "root.log")}
	} else {
		err = out.failure()
	}
	if renErr := os.Rename(o.Build.Out, job.ResultDir); renErr != nil {
		return res, errors.Join(err, fmt.Errorf("build %s: %w", job.Name, renErr))
	}
	var be *builder.BuildError
	if errors.As(err, &be) && be.Log != "" {
		be.Log = filepath.Join(job.ResultDir, filepath.Base(be.Log))
	}
	if cleanErr != nil {
		r.b.logf("build %s: %v", job.Name, cleanErr)
	}
	return result(job.ResultDir, out), err
}

// buildOrder checks a job and makes the child's order of it.
func (r *Base) buildOrder(job builder.Job) (order, error) {
	o := r.order()
	b := &buildOrder{Name: job.Name, NoDeps: r.info.BlindRPM, Limits: job.Limits, CPUs: max(1, runtime.NumCPU()/cap(r.b.slots))}
	var err error
	abs := func(p string) string {
		a, e := filepath.Abs(p)
		err = errors.Join(err, e)
		o.Avoid = append(o.Avoid, a)
		return a
	}
	b.Spec, b.Out = abs(job.Spec), abs(builder.Partial(job.ResultDir))
	seen := map[string]bool{}
	for _, s := range job.Sources {
		if name := filepath.Base(s); seen[name] {
			return o, fmt.Errorf("two sources are called %s", name)
		}
		seen[filepath.Base(s)] = true
		b.Sources = append(b.Sources, abs(s))
	}
	for _, p := range job.RPMs {
		p = abs(p)
		sum, e := r.digest(p)
		err = errors.Join(err, e)
		b.RPMs = append(b.RPMs, rpmFile{Path: p, Sum: sum})
	}
	o.Build = b
	return o, errors.Join(err, r.addDebs(&o, job.Debs))
}

// order is what every order of this base has in common.
func (r *Base) order() order {
	o := order{Base: r.dir, BaseID: r.info.ID, Target: r.info.Target}
	for _, repo := range r.info.Target.Repos {
		o.needs(append(slices.Clone(repo.BaseURL), repo.Mirrorlist, repo.Metalink)...)
		o.needs(repo.GPGKey...)
	}
	return o
}

// needs notes the addresses a repository is read from: directories of this host must
// stay visible, anything else wants the network.
func (o *order) needs(urls ...string) {
	for _, u := range urls {
		if p, ok := strings.CutPrefix(u, "file://"); ok {
			o.Avoid = append(o.Avoid, filepath.Clean(p))
		} else if strings.Contains(u, "://") {
			o.Network = true
		}
	}
}

// result says where everything is now.
func result(dir string, out outcome) builder.Result {
	res := builder.Result{Manifest: out.Manifest, Seconds: out.Seconds, Logs: map[string]string{}}
	for _, f := range out.RPMs {
		res.RPMs = append(res.RPMs, filepath.Join(dir, f))
	}
	if out.SRPM != "" {
		res.SRPM = filepath.Join(dir, out.SRPM)
	}
	for _, l := range []string{"root.log", "build.log"} {
		if p := filepath.Join(dir, l); scratch.Exists(p) {
			res.Logs[l] = p
		}
	}
	return res
}

// fileSum is the digest of a file that looked like this.
type fileSum struct {
	size  int64
	mtime time.Time
	sum   string
}

// digest is the SHA-256 of an RPM file, remembered as long as size and time stay.
func (r *Base) digest(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("RPM for the build root: %w", err)
	}
	r.mu.Lock()
	known, ok := r.sums[path]
	r.mu.Unlock()
	if ok && known.size == st.Size() && known.mtime.Equal(st.ModTime()) {
		return known.sum, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("RPM for the build root: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("RPM for the build root: %w", err)
	}
	s := fileSum{st.Size(), st.ModTime(), hex.EncodeToString(h.Sum(nil))}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sums == nil {
		r.sums = map[string]fileSum{}
	}
	r.sums[path] = s
	return s.sum, nil
}
