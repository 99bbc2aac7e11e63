package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/plan"
	"reqpm/internal/proc"
)

// A spec file is a program: rpm carries out its %(…) and %{lua:…} already when it reads it. So whoever wants to know whether one
// is well asks rpm in a throw-away root, as the user who builds, without network; nothing on the machine itself reads one.

// SpecFinding is one thing that was looked at about a spec file.
type SpecFinding struct {
	What  string `json:"what" enum:"parse,build-requires,rpmlint,build" doc:"rpm reads it; dnf finds what it needs to be built; what rpmlint says; it was built"`
	State string `json:"state" enum:"ok,failed,warning,skipped"`
	Text  string `json:"text" doc:"what was said, at most 8 KiB"`
}

// The states of a finding.
const (
	FindingOK      = "ok"
	FindingFailed  = "failed"
	FindingWarning = "warning"
	FindingSkipped = "skipped"
)

const (
	// checkTimeout ends a spec whose macros do not end.
	checkTimeout = 2 * time.Minute
	mostFinding  = 8 << 10
	specFolder   = "/var/tmp/reqpm-spec" // inside the root
)

// GeneratedSpec is the spec file that ReqPM writes of a build of the plan now, whatever people have put in its place; "" for
// what is not built from a spec, or cannot be.
func (p *Pipeline) GeneratedSpec(ctx context.Context, work *Work, id plan.ID) (file, text string, err error) {
	b := work.builds[id]
	if b == nil || b.err != nil || b.spec.text == "" {
		return "", "", nil
	}
	if _, own, err := p.ownSpec(b); err != nil || !own {
		return b.spec.fileName, b.spec.text, err
	}
	out, err := p.generate(ctx, b)
	return out.FileName, out.Text, err
}

// specTrial is a spec file that is looked at, in the base that its package is built in.
type specTrial struct {
	p    *Pipeline
	b    *pkgBuild
	base builder.Base
	dir  string // has the spec file and its sources
	spec string // path inside the root
	rpms []string
	debs []string
	say  func(line string)
}

// CheckSpec looks at the spec file that the plan has for id: whether rpm reads it with the target's macros, whether dnf finds what it
// needs to be built, and what rpmlint says. With logDir it is then built once; the result is looked at as every result is, and thrown
// away. Each step is told to say. What is wrong with the spec is a finding; an error is about the machine.
func (p *Pipeline) CheckSpec(ctx context.Context, work *Work, id plan.ID, logDir string, say func(line string)) ([]SpecFinding, error) {
	b := work.builds[id]
	switch {
	case b == nil:
		return nil, fmt.Errorf("%s is not in the plan", id)
	case b.err != nil:
		return nil, b.err
	}
	base, err := p.openBase(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(p.paths.tmp(), "check-")
	if err != nil {
		return nil, err
	}
	defer removeTree(dir)
	t := &specTrial{p: p, b: b, base: base, dir: dir, spec: path.Join(specFolder, b.spec.fileName), say: say}
	if _, _, err := b.spec.materialise(dir); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if t.debs, err = p.fetchDebs(ctx, b.outside.debs); err != nil {
		return nil, err
	}
	parsed, requires, err := t.parse(ctx)
	found := []SpecFinding{parsed}
	if err != nil || parsed.State == FindingFailed {
		return found, err
	}
	for _, look := range []func(context.Context) (SpecFinding, error){
		func(ctx context.Context) (SpecFinding, error) { return t.resolve(ctx, work, requires) },
		t.lint,
	} {
		f, err := look(ctx)
		if err != nil {
			return found, err
		}
		found = append(found, f)
	}
	if logDir == "" || found[1].State == FindingFailed {
		return found, nil
	}
	built, err := t.build(ctx, logDir)
	return append(found, built), err
}

// finding ends a part of the check, and says so.
func (t *specTrial) finding(what, state, text string) SpecFinding {
	if text = strings.TrimSpace(text); len(text) > mostFinding {
		text = strings.ToValidUTF8(text[:mostFinding], "") + "…"
	}
	first, _, _ := strings.Cut(text, "\n")
	t.say(what + ": " + state + ": " + first)
	return SpecFinding{What: what, State: state, Text: text}
}

// run runs a program in the root. said is what it wrote, out what of it went to its standard output; failed is how it ended,
// err what is about the machine.
func (t *specTrial) run(ctx context.Context, install []string, args ...string) (out, said string, failed, err error) {
	stdout, stderr := &proc.Head{Max: 1 << 20}, &proc.Head{Max: 64 << 10}
	err = t.base.Run(ctx, builder.Command{
		Args: args, Dir: "/", Binds: []builder.Bind{{Host: t.dir, Inside: specFolder}}, RPMs: t.rpms, Install: install, Debs: t.debs,
		Stdout: stdout, Stderr: stderr, Timeout: checkTimeout,
	})
	exit, ended := errors.AsType[*builder.ExitError](err)
	be, refused := errors.AsType[*builder.BuildError](err)
	switch {
	case err == nil:
	case ended:
		failed = exit
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		failed = fmt.Errorf("it did not end within %s", checkTimeout)
	case refused && be.Cause != builder.CauseInfra:
		failed = be
	default:
		return "", "", nil, err
	}
	return stdout.String(), strings.TrimSpace(stderr.String() + "\n" + stdout.String()), failed, nil
}

// parse has rpm read the spec file, and asks it what the build requires.
func (t *specTrial) parse(ctx context.Context) (SpecFinding, []string, error) {
	t.say("rpm reads the spec file with the macros of " + t.p.cfg.Target.Name)
	rpmspec := []string{"rpmspec", "--define", "_sourcedir " + specFolder}
	_, said, failed, err := t.run(ctx, nil, append(rpmspec, "-P", t.spec)...)
	if err != nil {
		return SpecFinding{}, nil, err
	}
	if failed != nil {
		return t.finding("parse", FindingFailed, orError(said, failed)), nil, nil
	}
	out, said, failed, err := t.run(ctx, nil, append(rpmspec, "-q", "--buildrequires", t.spec)...)
	if err != nil {
		return SpecFinding{}, nil, err
	}
	if failed != nil {
		return t.finding("parse", FindingFailed, orError(said, failed)), nil, nil
	}
	var requires []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "rpmlib(") && !strings.HasPrefix(line, "-") {
			requires = append(requires, line)
		}
	}
	return t.finding("parse", FindingOK, fmt.Sprintf("rpm reads it; the build requires %d packages", len(requires))), requires, nil
}

func orError(said string, err error) string {
	if said == "" {
		return err.Error()
	}
	return said
}

// resolve has dnf install what the build requires, from the repositories of the target and what was built before.
func (t *specTrial) resolve(ctx context.Context, work *Work, requires []string) (SpecFinding, error) {
	const what = "build-requires"
	t.say("dnf looks for what the build requires: " + strings.Join(requires, ", "))
	for _, need := range t.b.rootIDs() {
		n := work.builds[need]
		if n == nil || n.reused != nil {
			continue // the distribution's: it is in the target's repositories
		}
		built := n.cached
		if built == nil {
			built = t.p.cachedBuild(n.key)
		}
		if built == nil {
			return t.finding(what, FindingFailed, fmt.Sprintf("%s is needed to build it, and is not built yet: let a run build it first", need)), nil
		}
		for _, r := range built.RPMs {
			t.rpms = append(t.rpms, built.path(r))
		}
	}
	if len(requires) == 0 {
		return t.finding(what, FindingOK, "the build requires nothing beyond the base root"), nil
	}
	_, said, failed, err := t.run(ctx, requires, "true")
	if err != nil {
		return SpecFinding{}, err
	}
	if be, ok := errors.AsType[*builder.BuildError](failed); ok && len(be.Missing) > 0 {
		return t.finding(what, FindingFailed, "nobody provides "+strings.Join(be.Missing, ", ")), nil
	}
	if failed != nil {
		return t.finding(what, FindingFailed, orError(said, failed)), nil
	}
	return t.finding(what, FindingOK, fmt.Sprintf("dnf finds all %d", len(requires))), nil
}

// lint asks rpmlint, where the base root or the target's repositories have it. It decides nothing.
func (t *specTrial) lint(ctx context.Context) (SpecFinding, error) {
	const what = "rpmlint"
	script := `command -v rpmlint >/dev/null || exit 99; exec rpmlint "$1"`
	for _, install := range [][]string{nil, {"rpmlint"}} {
		_, said, failed, err := t.run(ctx, install, "sh", "-c", script, "sh", t.spec)
		if err != nil {
			return SpecFinding{}, err
		}
		exit, ended := errors.AsType[*builder.ExitError](failed)
		switch {
		case failed == nil:
			return t.finding(what, FindingOK, orText(said, "it says nothing")), nil
		case ended && exit.Code != 99:
			return t.finding(what, FindingWarning, orError(said, failed)), nil
		}
	}
	return t.finding(what, FindingSkipped, "neither the base root nor the repositories of "+t.p.cfg.Target.Name+" have rpmlint"), nil
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// build builds the spec once. Nothing of it is kept but the logs.
func (t *specTrial) build(ctx context.Context, logDir string) (SpecFinding, error) {
	const what = "build"
	t.say("build it once; the result is thrown away")
	slot := t.p.cfg.Pool.join(0)
	defer slot.leave()
	if err := slot.wait(ctx); err != nil {
		return SpecFinding{}, err
	}
	result, err := t.p.buildIn(ctx, t.b, t.rpms, logDir, 1)
	if result.SRPM != "" || len(result.RPMs) > 0 {
		defer func() {
			for _, file := range append(result.RPMs, result.SRPM) {
				_ = os.Remove(file) // what stays goes with the run's folder
			}
		}()
	}
	var built *Built
	if err == nil {
		built, err = t.p.look(t.b, result)
	}
	be, ok := errors.AsType[*builder.BuildError](err)
	_, arch := errors.AsType[*archError](err)
	switch {
	case ok && be.Cause == builder.CauseInfra, err != nil && !ok && !arch:
		return SpecFinding{}, t.p.explainDisk(err)
	case ok:
		return t.finding(what, FindingFailed, err.Error()+"\n"+be.Tail), nil
	case arch:
		return t.finding(what, FindingFailed, err.Error()), nil
	}
	lines := []string{fmt.Sprintf("built in %.1f s: %d RPMs, thrown away", built.Seconds, len(built.RPMs))}
	for _, r := range built.RPMs {
		lines = append(lines, filepath.Base(r.File))
	}
	return t.finding(what, FindingOK, strings.Join(lines, "\n")), nil
}
