package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"reqpm/internal/blob"
)

// errBlobs: the store of blobs is full, or does not answer. No package is to blame for that.
var errBlobs = errors.New("the store of artifacts and logs does not work as it should")

// watchedBlobs is a store whose errors are errBlobs too, but for what is not there and what the caller did.
type watchedBlobs struct{ store blob.Store }

var _ blob.Store = watchedBlobs{}

func watched(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrName) {
		return err
	}
	return fmt.Errorf("%w: %w", errBlobs, err)
}

func (w watchedBlobs) Put(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	info, err := w.store.Put(ctx, name, r)
	return info, watched(ctx, err)
}

func (w watchedBlobs) Open(ctx context.Context, name string) (blob.Object, error) {
	object, err := w.store.Open(ctx, name)
	return object, watched(ctx, err)
}

func (w watchedBlobs) Stat(ctx context.Context, name string) (blob.Info, error) {
	info, err := w.store.Stat(ctx, name)
	return info, watched(ctx, err)
}

func (w watchedBlobs) Delete(ctx context.Context, name string) error {
	return watched(ctx, w.store.Delete(ctx, name))
}

func (w watchedBlobs) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for info, err := range w.store.List(ctx, prefix) {
			if !yield(info, watched(ctx, err)) {
				return
			}
		}
	}
}
