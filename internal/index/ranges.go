package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Asking for parts: a wheel of hundreds of megabytes holds a few kilobytes of metadata, and
// they are usually at its end.
const (
	rangeWorth = 256 << 10 // a wheel smaller than this is fetched whole
	rangePart  = 64 << 10
	maxParts   = 48 // then the whole wheel is cheaper
)

// metadataByRange reads a wheel's metadata through range requests. False means: get the
// whole wheel. The bytes are not covered by the wheel's hash, but by the checksum in the
// archive, and by TLS as much as a metadata file without a hash is.
func (c *Client) metadataByRange(ctx context.Context, f File, u *url.URL) ([]byte, bool) {
	if u.Scheme == "file" || f.Kind != Wheel || f.Size < rangeWorth {
		return nil, false
	}
	if _, ignores := c.noRanges.Load(u.Host); ignores {
		return nil, false
	}
	r := &rangeReader{ctx: ctx, c: c, f: f, u: u}
	data, err := WheelMetadata(r, f.Size, f.Name)
	if err == nil {
		err = checkMetadata(data, f.MetadataSHA256)
	}
	if err != nil {
		if errors.Is(err, errNoRanges) {
			c.noRanges.Store(u.Host, true)
		}
		c.cfg.Log.Debug("range requests did not give the metadata; fetching the wheel", "file", f.Filename, "why", err)
		return nil, false
	}
	return data, true
}

var errNoRanges = errors.New("the server ignores range requests")

// rangeReader is a remote file as an io.ReaderAt for one goroutine.
type rangeReader struct {
	ctx   context.Context
	c     *Client
	f     File
	u     *url.URL
	parts []part
}

type part struct {
	off  int64
	data []byte
}

func (r *rangeReader) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= r.f.Size {
			return n, io.EOF
		}
		data, err := r.at(at, int64(len(p)-n))
		if err != nil {
			return n, err
		}
		n += copy(p[n:], data)
	}
	return n, nil
}

// at returns bytes from off on, at least one.
func (r *rangeReader) at(off, want int64) ([]byte, error) {
	for _, p := range r.parts {
		if off >= p.off && off < p.off+int64(len(p.data)) {
			return p.data[off-p.off:], nil
		}
	}
	if len(r.parts) >= maxParts {
		return nil, errors.New("too many parts")
	}
	from, end := off, min(off+max(want, rangePart), r.f.Size)
	if len(r.parts) == 0 {
		from = max(0, min(off, r.f.Size-rangePart)) // the first read is at the end: take a good piece of it
	}
	data, err := r.ask(from, end)
	if err != nil {
		return nil, err
	}
	r.parts = append(r.parts, part{from, data})
	return data[off-from:], nil
}

func (r *rangeReader) ask(from, end int64) (data []byte, err error) {
	header := http.Header{
		"Accept-Encoding": {"identity"}, "Accept": {"*/*"},
		"Range": {fmt.Sprintf("bytes=%d-%d", from, end-1)},
	}
	q := question{url: r.u, header: header, grant: r.c.grantFor(r.f.Index, r.u), what: "part of " + r.f.Filename, limit: maxFile}
	err = r.c.fetch.get(r.ctx, q, func(resp *http.Response, body io.Reader) error {
		if resp.StatusCode != http.StatusPartialContent {
			return finalError{errNoRanges}
		}
		if got, want := resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", from, end-1, r.f.Size); got != want {
			return finalError{fmt.Errorf("%w: asked for %q, got %.60q", errNoRanges, want, got)}
		}
		data = make([]byte, end-from)
		_, err := io.ReadFull(body, data)
		return err
	})
	return data, err
}
