package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"reqpm/internal/api"
)

// ErrChecksum is what errors wrap when what was downloaded is not what the server says it is.
var ErrChecksum = errors.New("what was downloaded is not what the server says it is")

// sink takes bytes in order, and can say how many it has.
type sink interface {
	io.Writer
	at() int64
	restart() error // forget everything
}

// stalls is how often a download may break off without a single byte before it has failed.
const stalls = 5

// bytes downloads an address into a sink, which may have its beginning already. What breaks off goes on where it broke,
// as long as it gets on. tag is the content's ETag, "" where nothing vouches for its being the same.
func (c *Client) bytes(ctx context.Context, path, tag string, to sink) error {
	for failures := 0; ; failures++ {
		before := to.at()
		err := c.part(ctx, path, tag, to)
		if err == nil {
			return nil
		}
		refused, isRefusal := errors.AsType[*Error](err)
		if ctx.Err() != nil || isRefusal && !refused.Temporary() || !isRefusal && !errors.Is(err, ErrUnreachable) {
			return err
		}
		if to.at() > before {
			failures = 0
		}
		if failures >= stalls {
			return err
		}
		c.cfg.Waiting(err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(failures+1) * 300 * time.Millisecond):
		}
	}
}

// part makes one request for what is missing.
func (c *Client) part(ctx context.Context, path, tag string, to sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(c.cfg.Idle, func() {
		cancel(fmt.Errorf("%s: %w: nothing came for %v", c.base, ErrUnreachable, c.cfg.Idle))
	})
	defer idle.Stop()
	r, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if at := to.at(); at > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
		if tag != "" {
			r.Header.Set("If-Range", tag)
		}
	}
	answer, err := c.send(r)
	if IsStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		return nil // all of it is there; the checksum says whether that is right
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if at := to.at(); at > 0 {
		switch {
		case answer.StatusCode == http.StatusOK: // it has changed, or a proxy knows no ranges
			if err := to.restart(); err != nil {
				return fmt.Errorf("%s: the server sends all of it again: %w", c.base, err)
			}
		case !strings.HasPrefix(answer.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", at)):
			return fmt.Errorf("%s: %w as a ReqPM server does: the part is not the one asked for", c.base, ErrUnreachable)
		}
	}
	from := &failing{r: answer.Body, seen: func() { idle.Reset(c.cfg.Idle) }}
	if _, err := io.Copy(to, from); err == nil {
		return nil
	} else if from.err == nil {
		return err // ours: the disk is full
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w: the download broke off: %w", c.base, ErrUnreachable, from.err)
}

// failing remembers that it was the reader that failed.
type failing struct {
	r    io.Reader
	seen func()
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 {
		f.seen()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// file is a sink that counts and digests.
type file struct {
	f    *os.File
	n    int64
	hash hash.Hash
}

func (d *file) Write(p []byte) (int, error) {
	n, err := d.f.Write(p)
	d.n += int64(n)
	_, _ = d.hash.Write(p[:n])
	return n, err
}

func (d *file) at() int64 { return d.n }

func (d *file) restart() error {
	d.n = 0
	d.hash.Reset()
	if err := d.f.Truncate(0); err != nil {
		return err
	}
	_, err := d.f.Seek(0, io.SeekStart)
	return err
}

// Download writes an artifact to f, which may have its beginning from an earlier try, and checks it. With
// ErrChecksum f is empty again.
func (c *Client) Download(ctx context.Context, a api.Artifact, f *os.File) error {
	to := &file{f: f, hash: sha256.New()}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(to.hash, f)
	if err != nil {
		return err
	}
	if to.n = n; n > a.Size {
		if err := to.restart(); err != nil {
			return err
		}
	}
	tag := ""
	if a.SHA256 != "" {
		tag = `"` + a.SHA256 + `"`
	}
	if to.n < a.Size || a.Size == 0 {
		if err := c.bytes(ctx, fmt.Sprintf("%s/artifacts/%d", api.Prefix, a.ID), tag, to); err != nil {
			return fmt.Errorf("download %s: %w", a.Name, err)
		}
	}
	if got := hex.EncodeToString(to.hash.Sum(nil)); to.n != a.Size || a.SHA256 != "" && got != a.SHA256 {
		return errors.Join(fmt.Errorf("download %s: %w: %d bytes with SHA-256 %s, not %d with %s", a.Name, ErrChecksum, to.n, got, a.Size, a.SHA256), to.restart())
	}
	return nil
}
