// Package mock builds RPMs with Mock, as people run it on Fedora and Enterprise Linux.
//
// A base root is made once per target by "mock --init" and kept under the state directory. Every
// build, run and proof is one shell script in PID, mount, IPC and (where the target's
// repositories allow it) network namespaces of its own: it lays an overlay over the directory
// that holds Mock's roots and caches, so that each slot has its own copy of both without
// unpacking anything, and calls Mock in it as a member of group mock. Killing that script, or
// dying ourselves by whatever signal, ends every process and every mount at once; only a directory
// stays, and whoever opens the state directory next removes it.
//
// Mock's isolation is "simple": the namespaces are ours already, and systemd-nspawn does not work
// inside of them. The network is cut by us, because simple isolation does not.
//
// Limits.MemoryBytes is the address space limit of every process of a build, not of all
// together; Limits.Processes is not enforced.
package mock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/filelock"
	"reqpm/internal/target"
)

// Config says where a Builder keeps its roots and how much it does at once.
type Config struct {
	StateDir string                        // bases and temporary directories; made when missing
	Slots    int                           // builds at a time; 0 means one per CPU
	Log      func(format string, a ...any) // notes for the operator; may be nil
}

// Builder makes base roots under one state directory, which many processes may share. It
// implements builder.Builder; all methods are safe for concurrent use.
type Builder struct {
	state *scratch.State
	slots chan struct{}
	logf  func(string, ...any)
}

var _ builder.Builder = (*Builder)(nil)

// New prepares the state directory. It needs no privilege and no Mock yet: Open asks for them.
func New(c Config) (*Builder, error) {
	if c.Slots <= 0 {
		c.Slots = runtime.NumCPU()
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	st, err := scratch.Open(c.StateDir)
	if err != nil {
		return nil, err
	}
	return &Builder{state: st, slots: make(chan struct{}, c.Slots), logf: c.Log}, nil
}

var targetName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Open makes or finds the base root of t; it also removes what dead processes left behind. A
// target without repositories (local on Debian) is none for Mock.
func (b *Builder) Open(ctx context.Context, t target.Target, report func(string)) (builder.Base, error) {
	if report == nil {
		report = func(string) {}
	}
	if t.Kind != target.DNF {
		return nil, fmt.Errorf("open base root of %s: Mock builds for releases that have repositories, not for this machine; use the chroot builder", t.Name)
	}
	if !targetName.MatchString(t.Name) {
		return nil, fmt.Errorf("open base root: target name %q cannot be a file name", t.Name)
	}
	m, err := Find()
	if err != nil {
		return nil, err
	}
	b.state.Sweep(b.logf)
	base, err := b.open(ctx, m, t, report)
	if err != nil {
		return nil, err
	}
	return base, nil
}

// Base is one base root on disk. It implements builder.Base.
type Base struct {
	b    *Builder
	mock Mock
	info baseInfo
	dir  string

	use *os.File // shared lock that keeps Prune away
}

var _ builder.Base = (*Base)(nil)

// infoFile beside a base root makes it complete.
const infoFile = "mock.json"

// baseInfo is what infoFile holds.
type baseInfo struct {
	ID       string        `json:"id"`
	Target   target.Target `json:"target"`
	Packages []string      `json:"packages"` // NEVRAs in the base
}

// ID is a digest of what the base consists of.
func (r *Base) ID() string { return r.info.ID }

// Target is the target with what was probed in the base corrected.
func (r *Base) Target() target.Target { return r.info.Target }

// Close forgets the base; what is on disk stays for the next Open, until Prune.
func (r *Base) Close() error {
	if err := r.use.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close base root: %w", err)
	}
	return nil
}

// hold makes a Base of what is on disk and keeps Prune away from it.
func (b *Builder) hold(m Mock, dir string) (*Base, error) {
	use, err := filelock.Shared(dir + ".use")
	if err != nil {
		return nil, err
	}
	base := &Base{b: b, mock: m, dir: dir, use: use}
	path := filepath.Join(dir, infoFile)
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &base.info)
	}
	if err != nil {
		return nil, errors.Join(err, use.Close())
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // the age Prune goes by
	return base, nil
}

// slot waits for a free build slot; the returned function gives it back.
func (b *Builder) slot(ctx context.Context) (func(), error) {
	select {
	case b.slots <- struct{}{}:
		return func() { <-b.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Prune removes base roots not opened for maxAge and says how many and how many bytes. What is in
// use now, by any process, stays; what is removed is made again when it is needed.
func (b *Builder) Prune(ctx context.Context, maxAge time.Duration) (bases int, bytes int64, err error) {
	b.state.Sweep(b.logf)
	infos, err := filepath.Glob(filepath.Join(b.state.Roots(), "*", infoFile))
	if err != nil {
		return 0, 0, fmt.Errorf("prune build roots: %w", err)
	}
	for _, f := range infos {
		if err := ctx.Err(); err != nil {
			return bases, bytes, err
		}
		st, err := os.Stat(f)
		if err != nil || time.Since(st.ModTime()) <= maxAge {
			continue
		}
		dir := filepath.Dir(f)
		size := scratch.TreeSize(dir)
		gone, err := b.state.Drop(dir, dir+".use")
		if err != nil {
			return bases, bytes, err
		}
		if gone {
			bases, bytes = bases+1, bytes+size
		}
	}
	return bases, bytes, nil
}
