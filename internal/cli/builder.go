package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/chroot"
	"reqpm/internal/builder/mock"
	"reqpm/internal/target"
)

// Values of --builder.
const (
	builderAuto   = "auto"
	builderMock   = "mock"
	builderChroot = "chroot"
)

var builderNames = []string{builderAuto, builderMock, builderChroot}

// builders makes base roots with the builder asked for. It implements builder.Builder.
type builders struct {
	name   string // one of builderNames
	chroot *chroot.Builder
	mock   *mock.Builder
}

// openBuilder is newBuilder, but for who brought a builder of his own.
func (a *app) openBuilder(name, state string, slots int) (builder.Builder, error) {
	if a.builder != nil {
		return a.builder(state, slots)
	}
	b, err := a.newBuilder(name, state, slots)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// newBuilder prepares the state directory for the builder of that name, "" meaning auto.
func (a *app) newBuilder(name, state string, slots int) (*builders, error) {
	if name == "" {
		name = builderAuto
	}
	if !slices.Contains(builderNames, name) {
		return nil, usagef("--builder %q is none of: auto, mock, chroot", name)
	}
	log := func(format string, args ...any) { a.logger().Info(fmt.Sprintf(format, args...)) }
	b := &builders{name: name}
	var err error
	if b.chroot, err = chroot.New(chroot.Config{StateDir: state, Slots: slots, Log: log}); err != nil {
		return nil, err
	}
	b.mock, err = mock.New(mock.Config{StateDir: state, Slots: slots, Log: log})
	return b, err
}

// Open makes or finds the base root of t with the builder that takes it.
func (b *builders) Open(ctx context.Context, t target.Target, report func(string)) (builder.Base, error) {
	name, why := chooseBuilder(b.name, t.Kind)
	if report != nil && name == builderMock {
		report("building with Mock: " + why)
	}
	if name == builderMock {
		return b.mock.Open(ctx, t, report)
	}
	return b.chroot.Open(ctx, t, report)
}

// chooseBuilder says which builder takes targets of kind k, and why. auto is Mock where it can be
// used for them, else chroot.
func chooseBuilder(asked string, k target.Kind) (name, why string) {
	if asked != builderAuto {
		return asked, "--builder " + asked
	}
	if k != target.DNF {
		return builderChroot, "Mock does not build for this machine itself"
	}
	m, err := mock.Find()
	if err != nil {
		return builderChroot, err.Error()
	}
	return builderMock, fmt.Sprintf("%s, as %s", m.Program, m.User)
}

// prune removes base roots not opened for age and build roots above maxBytes.
func (b *builders) prune(ctx context.Context, maxBytes int64, age time.Duration) (chroot.Pruned, error) {
	done, err := b.chroot.Prune(ctx, maxBytes, age)
	if err != nil {
		return done, err
	}
	bases, bytes, err := b.mock.Prune(ctx, age)
	done.Bases, done.Bytes = done.Bases+bases, done.Bytes+bytes
	return done, err
}
