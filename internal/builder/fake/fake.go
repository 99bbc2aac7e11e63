// Package fake is a builder that builds nothing: durations, failures and logs are
// scripted by package name. The engine's and the pages' tests run on it.
//
// Time is time.After's, so a test in a synctest bubble runs it at once.
package fake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/target"
)

// Script is how the builds of one package go. The zero Script succeeds at once.
type Script struct {
	Seconds map[builder.Phase]time.Duration // how long each phase takes
	Log     map[builder.Phase]string        // what it writes to its log
	Fail    *builder.BuildError             // ends the build in Fail.Phase (PhaseBuild when empty)
	Silent  bool                            // says nothing in PhaseBuild until cancelled or out of time
	RPMs    []string                        // file names; nil means one made of the job's name
}

// Builder is a scripted builder.Builder. Safe for concurrent use.
type Builder struct {
	// OpenError, when set before use, is what Open answers.
	OpenError error
	// Runner answers Run; nil means every command succeeds and prints nothing.
	Runner func(context.Context, builder.Command) error
	// Verifier answers Verify; nil means everything asked for installs.
	Verifier func(context.Context, builder.Verification) (builder.VerifyResult, error)

	slots chan struct{}

	mu      sync.Mutex
	scripts map[string]Script
	builds  []string
	running int
	most    int
}

var _ builder.Builder = (*Builder)(nil)

// New makes a builder that runs at most slots builds at a time (0: no limit).
func New(slots int) *Builder {
	b := &Builder{scripts: map[string]Script{}}
	if slots > 0 {
		b.slots = make(chan struct{}, slots)
	}
	return b
}

// Set scripts the builds whose Job.Name is name, or starts with name and a space.
func (b *Builder) Set(name string, s Script) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scripts[name] = s
}

// Builds are the names of the jobs started so far, in order.
func (b *Builder) Builds() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.builds...)
}

// MostAtOnce is how many builds ran at the same time at most.
func (b *Builder) MostAtOnce() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

// Open returns a base whose ID depends on the target's name alone.
func (b *Builder) Open(ctx context.Context, t target.Target, report func(string)) (builder.Base, error) {
	if err := errors.Join(ctx.Err(), b.OpenError); err != nil {
		return nil, err
	}
	if report != nil {
		report("fake base root of " + t.Name)
	}
	return &base{b: b, t: t}, nil
}

func (b *Builder) script(name string) Script {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.builds = append(b.builds, name)
	if s, ok := b.scripts[name]; ok {
		return s
	}
	short, _, _ := strings.Cut(name, " ")
	return b.scripts[short]
}

func (b *Builder) count(by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running += by
	b.most = max(b.most, b.running)
}

type base struct {
	b *Builder
	t target.Target
}

func (r *base) ID() string {
	sum := sha256.Sum256([]byte("fake " + r.t.Name))
	return hex.EncodeToString(sum[:])
}
func (r *base) Target() target.Target { return r.t }
func (r *base) Close() error          { return nil }

func (r *base) Run(ctx context.Context, c builder.Command) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.b.Runner != nil {
		return r.b.Runner(ctx, c)
	}
	return nil
}

func (r *base) Verify(ctx context.Context, v builder.Verification) (builder.VerifyResult, error) {
	if err := ctx.Err(); err != nil {
		return builder.VerifyResult{}, err
	}
	if r.b.Verifier != nil {
		return r.b.Verifier(ctx, v)
	}
	return builder.VerifyResult{Installed: append([]string(nil), v.Install...)}, nil
}

var phases = []builder.Phase{builder.PhaseRoot, builder.PhasePrep, builder.PhaseBuild, builder.PhaseInstall, builder.PhaseCheck, builder.PhasePackage}

// Build plays the script of job.Name.
func (r *base) Build(ctx context.Context, job builder.Job) (builder.Result, error) {
	var res builder.Result
	if _, err := os.Lstat(job.ResultDir); err == nil {
		return res, fmt.Errorf("build %s: result directory %s exists already", job.Name, job.ResultDir)
	}
	if r.b.slots != nil {
		select {
		case r.b.slots <- struct{}{}:
			defer func() { <-r.b.slots }()
		case <-ctx.Done():
			return res, ctx.Err()
		}
	}
	r.b.count(1)
	defer r.b.count(-1)
	dir := builder.Partial(job.ResultDir)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return res, fmt.Errorf("build %s: %w", job.Name, err)
	}
	p := &play{job: job, dir: dir, script: r.b.script(job.Name), res: builder.Result{Seconds: map[builder.Phase]float64{}, Logs: map[string]string{}}}
	err := p.all(ctx)
	if ctx.Err() != nil {
		return res, errors.Join(ctx.Err(), os.RemoveAll(dir))
	}
	if err := os.Rename(dir, job.ResultDir); err != nil {
		return res, fmt.Errorf("build %s: %w", job.Name, err)
	}
	return p.result(), err
}

// play is one build going on.
type play struct {
	job    builder.Job
	dir    string
	script Script
	res    builder.Result
	names  []string // RPMs written
}

func (p *play) all(ctx context.Context) error {
	for _, ph := range phases {
		if p.job.Phase != nil {
			p.job.Phase(ph)
		}
		start := time.Now()
		err := p.phase(ctx, ph)
		p.res.Seconds[ph] = time.Since(start).Seconds()
		if err != nil {
			return err
		}
	}
	names := p.script.RPMs
	if names == nil {
		names = []string{strings.ReplaceAll(p.job.Name, " ", "-") + "-1.noarch.rpm"}
	}
	for _, n := range append(names, strings.ReplaceAll(p.job.Name, " ", "-")+"-1.src.rpm") {
		if err := os.WriteFile(filepath.Join(p.dir, n), []byte("fake RPM "+n+"\n"), 0o644); err != nil {
			return fmt.Errorf("build %s: %w", p.job.Name, err)
		}
	}
	p.names = names
	return nil
}

// phase writes the log of one phase, waits, and fails where the script says so.
func (p *play) phase(ctx context.Context, ph builder.Phase) error {
	log := "build.log"
	if ph == builder.PhaseRoot {
		log = "root.log"
	}
	text := fmt.Sprintf("Executing(%%%s): fake\n%s", ph, p.script.Log[ph])
	if err := appendTo(filepath.Join(p.dir, log), text); err != nil {
		return fmt.Errorf("build %s: %w", p.job.Name, err)
	}
	wait := p.script.Seconds[ph]
	limit := p.job.Limits.Total
	if p.script.Silent && ph == builder.PhaseBuild {
		wait = 1<<62 - 1
		if idle := p.job.Limits.Idle; idle > 0 && (limit == 0 || idle < limit) {
			limit = idle
		}
	}
	if limit > 0 && limit < wait {
		if err := sleep(ctx, limit); err != nil {
			return err
		}
		return &builder.BuildError{Name: p.job.Name, Phase: ph, Cause: builder.CauseTimeout, Tail: text,
			Log: filepath.Join(p.job.ResultDir, log), Err: fmt.Errorf("not done after %s", limit)}
	}
	if err := sleep(ctx, wait); err != nil {
		return err
	}
	fail := p.script.Fail
	if fail == nil || (fail.Phase != ph && (fail.Phase != "" || ph != builder.PhaseBuild)) {
		return nil
	}
	be := *fail
	be.Name, be.Phase = p.job.Name, ph
	if be.Cause == "" {
		be.Cause = builder.CauseBuild
	}
	if be.Log == "" {
		be.Log = filepath.Join(p.job.ResultDir, log)
	}
	if be.Tail == "" {
		be.Tail = text
	}
	if be.Err == nil {
		be.Err = errors.New("scripted failure")
	}
	return &be
}

func (p *play) result() builder.Result {
	for _, l := range []string{"root.log", "build.log"} {
		if _, err := os.Stat(filepath.Join(p.job.ResultDir, l)); err == nil {
			p.res.Logs[l] = filepath.Join(p.job.ResultDir, l)
		}
	}
	if p.names == nil {
		return p.res
	}
	for _, n := range p.names {
		p.res.RPMs = append(p.res.RPMs, filepath.Join(p.job.ResultDir, n))
	}
	p.res.SRPM = filepath.Join(p.job.ResultDir, strings.ReplaceAll(p.job.Name, " ", "-")+"-1.src.rpm")
	return p.res
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewBufferString(text))
	return errors.Join(err, f.Close())
}
