package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"

	"reqpm/internal/blob"
	"reqpm/internal/blob/s3"
	"reqpm/internal/engine"
	"reqpm/internal/store"
)

// openBlobs opens the blobs and the logs: in the state directory, or where --blobs says.
func (p *parts) openBlobs(ctx context.Context, address string, log *slog.Logger) (err error) {
	logs := filepath.Join(p.state, "logs")
	switch {
	case address == "":
		if p.blobs, err = blob.OpenDir(filepath.Join(p.state, "blobs")); err != nil {
			return err
		}
		p.logs, err = blob.OpenLogs(logs)
		return err
	case !strings.HasPrefix(address, s3.Scheme):
		if p.blobs, err = blob.OpenDir(filepath.Join(address, "blobs")); err != nil {
			return err
		}
		p.logs, err = blob.OpenLogs(filepath.Join(address, "logs"))
		return err
	}
	place, err := s3.Parse(address)
	if err != nil {
		return usageError{err}
	}
	all, err := s3.Open(ctx, place)
	if err != nil && !errors.Is(err, blob.ErrUnavailable) {
		return usageError{err} // no credentials, no bucket
	}
	if err != nil {
		return err
	}
	p.bucket = blob.NewWatch(all.Below("watch"), log)
	p.blobs = p.bucket.Guard(all.Below("blobs"))
	p.logs, err = blob.OpenStoreLogs(p.bucket.Guard(all.Below("logs")), logs)
	return err
}

// works is an error while the database or the bucket does not answer.
func (p *parts) works(ctx context.Context) error {
	if err := p.store.Ping(ctx); err != nil || p.bucket == nil {
		return err
	}
	if err := p.bucket.Problem(); err != nil {
		return fmt.Errorf("the bucket of artifacts and logs: %w", err)
	}
	return nil
}

// handlers are what this process does. Where the blobs are in a bucket processes share no directory, and
// published repositories lie where they are served from: publishing, and the proof that reads what was published, are
// done by the process with the pages.
func (p *parts) handlers(o serviceOptions, works, web bool) map[store.Kind]engine.Handler {
	all := p.service.Handlers()
	if !strings.HasPrefix(o.blobs, s3.Scheme) {
		web = works
	}
	maps.DeleteFunc(all, func(kind store.Kind, _ engine.Handler) bool {
		if kind == store.Publish || kind == store.Verify {
			return !web
		}
		return !works
	})
	return all
}
