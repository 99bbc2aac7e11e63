package chroot

import (
	"context"
	"errors"

	"reqpm/internal/target"
)

func (b *Builder) openDNF(ctx context.Context, t target.Target, report func(string)) (*Base, error) {
	return nil, errors.New("not yet")
}
func (w *worker) makeDNF(ctx context.Context, log *boundedLog) error { return nil }
