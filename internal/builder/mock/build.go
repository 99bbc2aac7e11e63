package mock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
)

// buildScript makes the source RPM inside the root (a spec is never read outside of it), then
// builds it. Where the repositories are remote, what a build needs is installed with the network
// by calls of their own, and everything that runs the package's code is without: first what the
// source RPM asks for, then, as long as it asks for more, what %generate_buildrequires left.
const buildScript = `
own_repository
offline --buildsrpm --spec "$AT/call/spec/$1" --sources "$AT/call/sources" || exit
set -- "$AT"/result/*.src.rpm
again() { echo "` + lastCall + `" >>"$AT/result/root.log"; }
again
if [ -z "$NETWORK" ]; then
	mock --rebuild "$1"
	exit
fi
mock --installdeps "$1" || exit
for round in 1 2 3 4 5 6 7 8 9 10; do
	again
	code=0
	offline --offline --rebuild "$1" || code=$?
	[ $code = 30 ] || exit $code
	more=$(ls "$AT"/base/lib/reqpm/root/builddir/build/SRPMS/*.buildreqs.nosrc.rpm 2>/dev/null) || exit $code
	cp "$more" "$AT/result/more.nosrc.rpm"
	again
	mock --installdeps "$AT/result/more.nosrc.rpm" || exit
	rm "$AT/result/more.nosrc.rpm"
done
exit 30
`

// Build builds one spec. While it runs, Mock's logs can be followed in builder.Partial(job.ResultDir);
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
	dir, err := filepath.Abs(builder.Partial(job.ResultDir))
	if err == nil {
		err = errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
	}
	if err != nil {
		return res, fmt.Errorf("build %s: %w", job.Name, err)
	}
	temp, err := r.b.state.NewTemp("build")
	if err != nil {
		return res, errors.Join(fmt.Errorf("build %s: %w", job.Name, err), os.RemoveAll(dir))
	}
	b := &building{Base: r, job: job, dir: dir, clock: rpmlog.NewClock(func(p builder.Phase) {
		if job.Phase != nil {
			job.Phase(p)
		}
	})}
	err = b.run(ctx, temp)
	cleanErr := temp.Remove()
	if ctx.Err() != nil {
		return res, errors.Join(ctx.Err(), cleanErr, os.RemoveAll(dir))
	}
	if be := (*builder.BuildError)(nil); err != nil && !errors.As(err, &be) {
		err = &builder.BuildError{Phase: b.clock.Now(), Cause: builder.CauseInfra, Err: err}
	}
	if renErr := errors.Join(ownAll(dir), os.Rename(dir, job.ResultDir)); renErr != nil {
		return res, errors.Join(err, fmt.Errorf("build %s: %w", job.Name, renErr))
	}
	if cleanErr != nil {
		r.b.logf("build %s: %v", job.Name, cleanErr)
	}
	return b.result(err)
}

// building is one build going on.
type building struct {
	*Base
	job      builder.Job
	dir      string // of logs and packages, while it runs
	clock    *rpmlog.Clock
	manifest []string
	rpms     []string
	srpm     string
}

// run stages the job, calls Mock and looks at what it made.
func (b *building) run(ctx context.Context, temp *scratch.Temp) error {
	at, err := b.at(temp, b.dir)
	if err != nil {
		return err
	}
	c := call{temp: temp, at: at, lower: filepath.Join(b.Base.dir, "base"), upper: filepath.Join(temp.Path, "upper"), result: b.dir,
		network: remote(b.info.Target), script: buildScript, args: []string{filepath.Base(b.job.Spec)}}
	if err := b.stage(temp, &c); err != nil {
		return err
	}
	console, err := os.Create(filepath.Join(b.dir, "mock.log"))
	if err != nil {
		return err
	}
	defer console.Close()
	c.stdout, c.stderr = console, console
	own, err := readHeaders(b.job.RPMs)
	if err != nil {
		return err
	}

	b.clock.Enter(builder.PhaseRoot)
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &follower{dir: b.dir, clock: b.clock, at: map[string]int64{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.follow(watched, b.job.Limits, cancel)
	}()
	err = b.mock.run(watched, c)
	cause := context.Cause(watched)
	cancel(nil)
	<-done
	pollErr := f.poll() // what came after the last look
	b.clock.Stop()
	if err := b.failure(err, cause); err != nil {
		return err
	}
	if pollErr != nil {
		return pollErr
	}
	return b.collect(own)
}

// failure says why Mock's end was none to be glad of.
func (b *building) failure(err, cause error) error {
	var exit *builder.ExitError
	switch {
	case err == nil:
		return nil
	case errors.Is(cause, context.DeadlineExceeded):
		return &builder.BuildError{Phase: b.clock.Now(), Cause: builder.CauseTimeout, Err: cause, Log: "build.log", Tail: rpmlog.LastLines(logTail(b.dir, "build.log"), 40)}
	case cause != nil:
		return cause
	case errors.As(err, &exit):
		return explain(b.dir, b.clock.Now(), exit.Code, exit.Stderr)
	}
	return err
}

// at chooses where a call works.
func (r *Base) at(temp *scratch.Temp, used ...string) (string, error) {
	return mountPoint(append(append(used, temp.Path, r.dir), localPaths(r.info.Target)...)...)
}

// stage lays configuration, spec, sources and the repository of the build root out. Times are
// fixed: when a source was downloaded must not show in the source RPM.
func (b *building) stage(temp *scratch.Temp, c *call) error {
	dirs, err := directories(temp, "call", "call/spec", "call/sources")
	if err != nil {
		return fmt.Errorf("stage sources: %w", err)
	}
	conf := configuration{at: c.at, ownRepo: len(b.job.RPMs) > 0, limits: b.job.Limits, cpus: max(1, runtime.NumCPU()/cap(b.b.slots))}
	text, err := conf.text(b.info.Target)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dirs["call"], "reqpm.cfg"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("stage configuration: %w", err)
	}
	when := time.Unix(1_000_000_000, 0)
	if err := scratch.CopyFile(b.job.Spec, filepath.Join(dirs["call/spec"], filepath.Base(b.job.Spec)), 0o644, -1, when); err != nil {
		return fmt.Errorf("stage spec: %w", err)
	}
	for _, s := range b.job.Sources {
		if err := scratch.CopyFile(s, filepath.Join(dirs["call/sources"], filepath.Base(s)), 0o644, -1, when); err != nil {
			return fmt.Errorf("stage sources: %w", err)
		}
	}
	c.binds = []bind{{host: dirs["call"], name: "call"}}
	if len(b.job.RPMs) == 0 {
		return nil
	}
	repo, err := stageRepo(temp, b.mock, b.job.RPMs)
	c.binds = append(c.binds, bind{repo, "repo", true})
	return err
}

// stageRepo makes a directory of exactly these RPMs, which the script makes a repository of.
func stageRepo(temp *scratch.Temp, m Mock, rpms []string) (string, error) {
	dirs, err := directories(temp, "repo")
	if err != nil {
		return "", fmt.Errorf("make repository of build requirements: %w", err)
	}
	repo := dirs["repo"]
	for i, p := range rpms {
		dst := filepath.Join(repo, fmt.Sprintf("%04d-%s", i, filepath.Base(p)))
		if os.Link(p, dst) == nil {
			if st, err := os.Stat(dst); err == nil && st.Mode().Perm()&0o004 != 0 {
				continue
			}
			_ = os.Remove(dst) // unreadable for Mock's account: a copy then
		}
		if err := scratch.CopyFile(p, dst, 0o644, -1, time.Time{}); err != nil {
			return "", fmt.Errorf("make repository of build requirements: %w", err)
		}
	}
	if err := os.Chown(repo, m.UID, m.GID); err != nil {
		return "", fmt.Errorf("make repository of build requirements: %w", err)
	}
	return repo, nil
}

// collect lists the packages that Mock left and checks where the build root came from.
func (b *building) collect(own headers) error {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return fmt.Errorf("collect results: %w", err)
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case !strings.HasSuffix(name, ".rpm"):
		case !e.Type().IsRegular():
			return fmt.Errorf("collect results: %s is not a regular file", name)
		case strings.HasSuffix(name, ".src.rpm"):
			b.srpm = name
		default:
			b.rpms = append(b.rpms, name)
		}
	}
	if len(b.rpms) == 0 {
		return &builder.BuildError{Phase: builder.PhasePackage, Cause: builder.CauseResult, Err: errors.New("mock succeeded but left no RPM")}
	}
	slices.Sort(b.rpms)
	lines := strings.Split(readSmall(filepath.Join(b.dir, "installed_pkgs.log")), "\n")
	b.manifest = slices.DeleteFunc(nevras(lines), func(p string) bool { return slices.Contains(b.info.Packages, p) })
	if foreign := own.foreign(lines, b.info.Packages); len(foreign) > 0 {
		return &builder.BuildError{Phase: builder.PhaseRoot, Cause: builder.CauseResult, Log: "root.log",
			Err: fmt.Errorf("the build root has %s from the target's repositories, not as built in this run", strings.Join(foreign, ", "))}
	}
	return nil
}

// result completes the error and says where everything is now.
func (b *building) result(err error) (builder.Result, error) {
	res := builder.Result{Manifest: b.manifest, Seconds: b.clock.Seconds(), Logs: map[string]string{}}
	for _, l := range append([]string{"mock.log", "installed_pkgs.log"}, logNames...) {
		if p := filepath.Join(b.job.ResultDir, l); scratch.Exists(p) {
			res.Logs[l] = p
		}
	}
	var be *builder.BuildError
	if errors.As(err, &be) {
		be.Name = b.job.Name
		if be.Log == "" {
			be.Log = "root.log"
		}
		if be.Tail == "" {
			be.Tail = rpmlog.LastLines(logTail(b.job.ResultDir, be.Log), 40)
		}
		be.Log = filepath.Join(b.job.ResultDir, be.Log)
		return res, err
	}
	for _, f := range b.rpms {
		res.RPMs = append(res.RPMs, filepath.Join(b.job.ResultDir, f))
	}
	if b.srpm != "" {
		res.SRPM = filepath.Join(b.job.ResultDir, b.srpm)
	}
	return res, err
}

// ownAll gives what Mock's account left in dir to us.
func ownAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, os.Getuid(), os.Getgid())
	})
}
