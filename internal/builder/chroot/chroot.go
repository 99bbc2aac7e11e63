// Package chroot builds RPMs with dnf, overlayfs, bubblewrap and rpmbuild: no Mock,
// no daemon, the same targets.
//
// A base root is made once per target and kept under the state directory. Every
// build, run and proof happens in a child process of our own, the first process of
// its own PID, mount, IPC and network namespaces: it lays overlays over the base,
// lets dnf install what the spec asks for, and starts rpmbuild in bubblewrap as an
// unprivileged user. Killing that child, or dying ourselves by whatever signal, ends
// every process and every mount of the build at once; only a directory stays, and
// whoever opens the state directory next removes it.
//
// The child is this same program: main (and TestMain) must call Init first.
//
// Limits.MemoryBytes is the address space limit of every process of a build, not of all
// together; Limits.Processes is not enforced. Both would need cgroup v2 controllers
// delegated to us.
package chroot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/filelock"
	"reqpm/internal/target"
)

// Config says where a Builder keeps its roots and how much it does at once.
type Config struct {
	StateDir string                        // bases, layers and temporary directories; made when missing
	Slots    int                           // builds at a time; 0 means one per CPU
	Log      func(format string, a ...any) // notes for the operator; may be nil
}

// Builder makes base roots under one state directory. Many processes may share the
// directory. It implements builder.Builder; all methods are safe for concurrent use.
type Builder struct {
	state *scratch.State
	slots chan struct{}
	logf  func(string, ...any)

	// noUserNS is found out once, when the first child starts.
	noUserNS func() bool
}

var _ builder.Builder = (*Builder)(nil)

// New prepares the state directory. It needs no privilege and no tools yet: Open asks for them.
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
	return &Builder{
		state: st, slots: make(chan struct{}, c.Slots), logf: c.Log,
		noUserNS: sync.OnceValue(func() bool { return !userNamespaces(context.Background()) }),
	}, nil
}

// Open makes or finds the base root of t; it also removes what dead processes left behind.
func (b *Builder) Open(ctx context.Context, t target.Target, report func(string)) (builder.Base, error) {
	base, err := b.OpenBase(ctx, t, report)
	if err != nil {
		return nil, err
	}
	return base, nil
}

var targetName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// OpenBase is Open for callers that need more than builder.Base, such as HostRPM.
func (b *Builder) OpenBase(ctx context.Context, t target.Target, report func(string)) (*Base, error) {
	if report == nil {
		report = func(string) {}
	}
	if err := usable(t.Kind); err != nil {
		return nil, err
	}
	if !targetName.MatchString(t.Name) {
		return nil, fmt.Errorf("open base root: target name %q cannot be a file name", t.Name)
	}
	b.state.Sweep(b.logf)
	switch t.Kind {
	case target.Host:
		return b.openHost(ctx, t, report)
	case target.DNF:
		return b.openDNF(ctx, t, report)
	}
	return nil, fmt.Errorf("open base root of %s: unknown kind %q", t.Name, t.Kind)
}

// Base is one base root on disk. It implements builder.Base.
type Base struct {
	b    *Builder
	info baseInfo
	dir  string

	use *os.File // shared lock that keeps Prune away

	mu   sync.Mutex
	sums map[string]fileSum // digests of RPM files seen, by path
}

var _ builder.Base = (*Base)(nil)

// baseInfo is what base.json beside a base root holds.
type baseInfo struct {
	ID       string        `json:"id"`
	Target   target.Target `json:"target"`
	HostRPM  string        `json:"host_rpm,omitempty"` // file name in the base's directory
	Packages []string      `json:"packages"`           // NEVRAs in the base
	// BlindRPM: the root's own rpm cannot read the database the host's dnf wrote (an
	// older format); rpmbuild then trusts dnf for the build requirements.
	BlindRPM bool `json:"blind_rpm,omitempty"`
}

// ID is a digest of what the base consists of.
func (r *Base) ID() string { return r.info.ID }

// Target is the target with what was probed in the base corrected.
func (r *Base) Target() target.Target { return r.info.Target }

// HostRPM is the path of the reqpm-host RPM, which says in RPM's words what this
// machine has; a published repository for target local needs it too. "" for Kind DNF.
func (r *Base) HostRPM() string {
	if r.info.HostRPM == "" {
		return ""
	}
	return filepath.Join(r.dir, r.info.HostRPM)
}

// Close forgets the base; what is on disk stays for the next Open, until Prune.
func (r *Base) Close() error {
	if err := r.use.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close base root: %w", err)
	}
	return nil
}

// hold makes a Base of what is on disk and keeps Prune away from it.
func (b *Builder) hold(dir string) (*Base, error) {
	use, err := filelock.Shared(dir + ".use")
	if err != nil {
		return nil, err
	}
	info, err := readBase(dir)
	if err != nil {
		return nil, errors.Join(err, use.Close())
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Join(dir, "base.json"), now, now) // the age Prune goes by
	return &Base{b: b, info: info, dir: dir, use: use}, nil
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
