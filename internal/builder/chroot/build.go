package chroot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
)

// Bounds of one build.
const (
	defaultTotal = 2 * time.Hour
	defaultIdle  = 30 * time.Minute
	maxRounds    = 10 // of dynamic BuildRequires
	maxNeeds     = 4096
)

// rpmbuildWantsMore is rpmbuild's exit status when %generate_buildrequires asked for
// what is not installed (rpmbuild(8)).
const rpmbuildWantsMore = 11

// buildOrder is one build, for the child.
type buildOrder struct {
	Name    string         `json:"name"`
	Spec    string         `json:"spec"`
	Sources []string       `json:"sources"`
	RPMs    []rpmFile      `json:"rpms"`
	Out     string         `json:"out"` // existing directory for logs and results
	Limits  builder.Limits `json:"limits"`
	CPUs    int            `json:"cpus"`
	NoDeps  bool           `json:"nodeps"` // see baseInfo.BlindRPM
}

// building is the state of one build in the child.
type building struct {
	*worker
	o        *buildOrder
	rootLog  *boundedLog
	buildLog *boundedLog
	phases   *rpmlog.Clock
	known    knownNeeds
	debs     *debLayer
	specSum  string // "" when the spec's needs must not be remembered
	stage    layer
}

// build runs the whole build of w.Build.
func (w *worker) build() (outcome, error) {
	b := &building{worker: w, o: w.Build}
	b.phases = rpmlog.NewClock(func(p builder.Phase) { w.emit(event{Phase: p}) })
	var err error
	if b.rootLog, err = newLog(filepath.Join(b.o.Out, "root.log")); err != nil {
		return outcome{}, err
	}
	defer b.rootLog.Close()
	if b.buildLog, err = newLog(filepath.Join(b.o.Out, "build.log")); err != nil {
		return outcome{}, err
	}
	defer b.buildLog.Close()

	total, idle := b.o.Limits.Total, b.o.Limits.Idle
	if total <= 0 {
		total = defaultTotal
	}
	if idle <= 0 {
		idle = defaultIdle
	}
	ctx, stop := watch(total, idle, b.rootLog, b.buildLog)
	defer stop()

	b.phases.Enter(builder.PhaseRoot)
	var out outcome
	if b.debs, err = w.debs(ctx, b.rootLog); err == nil {
		defer b.debs.release()
		out, err = b.rounds(ctx)
	}
	out.Seconds = b.phases.Seconds()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = &builder.BuildError{Phase: b.phases.Now(), Cause: builder.CauseTimeout, Err: cause}
	}
	return out, b.explain(err)
}

// rounds builds until rpmbuild asks for nothing new.
func (b *building) rounds(ctx context.Context) (outcome, error) {
	if err := b.stageFiles(); err != nil {
		return outcome{}, err
	}
	if err := b.staticNeeds(ctx); err != nil {
		return outcome{}, err
	}
	for range maxRounds {
		b.phases.Enter(builder.PhaseRoot)
		out, more, err := b.round(ctx)
		if err != nil || len(more) == 0 {
			return out, err
		}
		fresh := false
		for _, d := range more {
			if !slices.Contains(b.known.Static, d) && !slices.Contains(b.known.Dynamic, d) {
				b.known.Dynamic = append(b.known.Dynamic, d)
				fresh = true
			}
		}
		if !fresh {
			return out, &builder.BuildError{Phase: builder.PhaseRoot, Cause: builder.CauseDeps, Missing: more,
				Err: errors.New("generated build requirements are installed, yet rpmbuild finds them missing")}
		}
	}
	return outcome{}, &builder.BuildError{Phase: builder.PhaseRoot, Cause: builder.CauseDeps,
		Err: fmt.Errorf("build requirements still change after %d rounds", maxRounds)}
}

// round installs what is known to be needed and runs rpmbuild once. more is what
// %generate_buildrequires asked for beyond that.
func (b *building) round(ctx context.Context) (out outcome, more []string, err error) {
	lowers := b.debs.lowers(b.stage)
	if deps := b.known.all(); len(deps) > 0 {
		dep, err := b.dependencies(ctx, needs{rpms: b.o.RPMs, deps: deps, debs: b.debs}, b.rootLog)
		if err != nil {
			return out, nil, err
		}
		defer dep.release()
		out.Manifest = dep.manifest
		lowers = b.debs.lowers(b.stage, dep.layer)
	}
	temp, err := os.MkdirTemp(b.scratch, "round-")
	if err != nil {
		return out, nil, fmt.Errorf("make build directory: %w", err)
	}
	upper, err := makeLayer(filepath.Join(temp, "up"))
	if err != nil {
		return out, nil, err
	}
	if err := b.mount(upper, filepath.Join(temp, "work"), lowers...); err != nil {
		return out, nil, err
	}
	defer func() { err = errors.Join(err, b.unmount()) }()
	err = b.rpmbuild(ctx)
	var exit *builder.ExitError
	if errors.As(err, &exit) && exit.Code == rpmbuildWantsMore {
		more, err = b.generatedNeeds(ctx)
		return out, more, err
	}
	if err != nil {
		return out, nil, b.failed(err)
	}
	b.remember()
	b.phases.Stop()
	err = b.collect(&out)
	return out, nil, err
}

// rpmbuild runs rpmbuild -ba as the build user, its output in build.log.
func (b *building) rpmbuild(ctx context.Context) error {
	script := `ulimit -c 0; `
	if m := b.o.Limits.MemoryBytes; m > 0 {
		script += "ulimit -v " + strconv.FormatInt(m>>10, 10) + "; "
	}
	script += `exec "$@"`
	args := []string{"/bin/sh", "-c", script, "sh", "rpmbuild", "-ba", "--noclean"}
	if b.o.NoDeps {
		args = append(args, "--nodeps")
	}
	if b.o.CPUs > 0 {
		args = append(args, "--define", "_smp_build_ncpus "+strconv.Itoa(b.o.CPUs))
	}
	args = append(args, filepath.Join(buildHome, "SPECS", filepath.Base(b.o.Spec)))
	b.buildLog.forget()
	sink := &phaseWriter{w: b.buildLog, clock: b.phases}
	return builder.AsExit(b.bwrap(ctx, sandboxed{args: args, stdout: sink, stderr: sink}).Run(), "")
}

// stageFiles lays spec and sources out in a layer of their own, below every round.
// Times are fixed: when a source was downloaded must not show in the source RPM.
func (b *building) stageFiles() error {
	l, err := makeLayer(filepath.Join(b.Temp, "stage"))
	if err != nil {
		return err
	}
	b.stage = l
	home := filepath.Join(l.root(), buildHome)
	for _, d := range []string{"", "SPECS", "SOURCES", "BUILD", "BUILDROOT", "RPMS", "SRPMS"} {
		p := filepath.Join(home, d)
		if err := os.Mkdir(p, 0o755); err != nil {
			return fmt.Errorf("stage sources: %w", err)
		}
		if err := os.Chown(p, buildUID, buildUID); err != nil {
			return fmt.Errorf("stage sources: %w", err)
		}
	}
	when := time.Unix(1_000_000_000, 0)
	spec := filepath.Join(home, "SPECS", filepath.Base(b.o.Spec))
	if err := scratch.CopyFile(b.o.Spec, spec, 0o644, buildUID, when); err != nil {
		return fmt.Errorf("stage spec: %w", err)
	}
	for _, s := range b.o.Sources {
		if err := scratch.CopyFile(s, filepath.Join(home, "SOURCES", filepath.Base(s)), 0o644, buildUID, when); err != nil {
			return fmt.Errorf("stage sources: %w", err)
		}
	}
	text, err := os.ReadFile(spec)
	if err != nil {
		return fmt.Errorf("stage spec: %w", err)
	}
	for _, lookup := range []string{"%include", "%{load", "%("} {
		if strings.Contains(string(text), lookup) {
			return nil // what it asks for may follow from its sources: never remembered
		}
	}
	sum := sha256.Sum256(text)
	b.specSum = hex.EncodeToString(sum[:])[:32]
	return nil
}

// knownNeeds is what a spec asked for last time, so that a rebuild starts with the right root.
type knownNeeds struct {
	Static  []string `json:"static"`
	Dynamic []string `json:"dynamic"`
}

func (k knownNeeds) all() []string { return append(slices.Clone(k.Static), k.Dynamic...) }

func (b *building) knownFile() string { return filepath.Join(b.Base, "known", b.specSum+".json") }

// remember keeps what this spec needs. Losing it costs a moment, nothing else.
func (b *building) remember() {
	if b.specSum == "" {
		return
	}
	text, err := json.Marshal(b.known)
	if err != nil {
		return
	}
	_ = os.MkdirAll(filepath.Dir(b.knownFile()), 0o700)
	tmp := filepath.Join(b.Temp, "known.json")
	if os.WriteFile(tmp, text, 0o600) == nil {
		_ = os.Rename(tmp, b.knownFile())
	}
}

// staticNeeds asks rpm, inside the build root, what the spec's BuildRequires are.
func (b *building) staticNeeds(ctx context.Context) error {
	if text, err := os.ReadFile(b.knownFile()); err == nil && b.specSum != "" && json.Unmarshal(text, &b.known) == nil {
		b.known.Dynamic = nil // sources may have changed: only a hint that is cheap to find again
		return nil
	}
	temp, err := os.MkdirTemp(b.scratch, "parse-")
	if err != nil {
		return fmt.Errorf("make build directory: %w", err)
	}
	upper, err := makeLayer(filepath.Join(temp, "up"))
	if err != nil {
		return err
	}
	if err := b.mount(upper, filepath.Join(temp, "work"), b.debs.lowers(b.stage)...); err != nil {
		return err
	}
	defer b.unmount() //nolint:errcheck // the round's own mount would say so
	spec := filepath.Join(buildHome, "SPECS", filepath.Base(b.o.Spec))
	text, err := b.output(ctx, sandboxed{args: []string{"rpmspec", "-q", "--buildrequires", spec}})
	if err != nil {
		var exit *builder.ExitError
		if !errors.As(err, &exit) {
			return err
		}
		fmt.Fprintf(b.buildLog, "%s\n", exit.Stderr)
		return &builder.BuildError{Phase: builder.PhaseRoot, Cause: builder.CauseSpec, Tail: rpmlog.LastLines(exit.Stderr, 20),
			Log: "build.log", Err: fmt.Errorf("rpm cannot read the spec: %s", rpmlog.FirstError(exit.Stderr))}
	}
	b.known.Static, err = needLines(text)
	return err
}

// needLines reads dependency expressions, one a line, without rpm's own features.
func needLines(text string) ([]string, error) {
	var list []string
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "rpmlib(") || slices.Contains(list, l) {
			continue
		}
		if list = append(list, l); len(list) > maxNeeds {
			return nil, fmt.Errorf("more than %d build requirements", maxNeeds)
		}
	}
	return list, nil
}

// generatedNeeds reads the requirements rpmbuild left in *.buildreqs.nosrc.rpm.
func (b *building) generatedNeeds(ctx context.Context) ([]string, error) {
	text, err := b.output(ctx, sandboxed{args: []string{"/bin/sh", "-c", "rpm -qp --requires " + buildHome + "/SRPMS/*.buildreqs.nosrc.rpm"}})
	if err != nil {
		return nil, fmt.Errorf("read generated build requirements: %w", err)
	}
	list, err := needLines(text)
	fmt.Fprintf(b.rootLog, "generated build requirements: %s\n", strings.Join(list, ", "))
	return list, err
}

// collect copies RPMs and SRPM out. The build's tree is not trusted: no symlink in it
// is followed out of it.
func (b *building) collect(out *outcome) error {
	home, err := os.OpenRoot(b.under(buildHome))
	if err != nil {
		return fmt.Errorf("collect results: %w", err)
	}
	defer home.Close()
	for _, dir := range []string{"RPMS", "SRPMS"} {
		if err := b.collectDir(home, dir, out); err != nil {
			return fmt.Errorf("collect results: %w", err)
		}
	}
	if len(out.RPMs) == 0 {
		return &builder.BuildError{Phase: builder.PhasePackage, Cause: builder.CauseResult, Err: errors.New("rpmbuild succeeded but wrote no RPM")}
	}
	slices.Sort(out.RPMs)
	return nil
}

func (b *building) collectDir(home *os.Root, dir string, out *outcome) error {
	d, err := home.Open(dir)
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(10_000)
	_ = d.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, e := range entries {
		path := dir + "/" + e.Name()
		switch {
		case e.IsDir() && dir == "RPMS":
			if err := b.collectDir(home, path, out); err != nil {
				return err
			}
		case e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".rpm") && !strings.HasSuffix(e.Name(), ".buildreqs.nosrc.rpm"):
			if err := copyOut(home, path, filepath.Join(b.o.Out, e.Name())); err != nil {
				return err
			}
			if dir == "SRPMS" {
				out.SRPM = e.Name()
			} else {
				out.RPMs = append(out.RPMs, e.Name())
			}
		}
	}
	return nil
}

// copyOut copies one regular file out of a build's tree.
func copyOut(home *os.Root, path, dst string) (err error) {
	in, err := home.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
