package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"reqpm/internal/blob"
)

// Open is of blob.Store.
func (s *Store) Open(ctx context.Context, name string) (blob.Object, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	body, stat, _, err := s.core.GetObject(ctx, s.place.Bucket, s.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, s.named(ctx, "open", name, err)
	}
	info := blob.Info{Name: name, Size: stat.Size, Modified: stat.LastModified}
	o := &object{store: s, ctx: ctx, info: info, etag: stat.ETag, body: body}
	if info.Size > wholeSize {
		return o, nil
	}
	data := make([]byte, info.Size)
	_, err = io.ReadFull(o, data)
	if err = errors.Join(err, o.Close()); err != nil {
		return nil, err
	}
	return small{bytes.NewReader(data), info}, nil
}

// small is a blob that was read whole.
type small struct {
	*bytes.Reader
	info blob.Info
}

func (small) Close() error      { return nil }
func (o small) Info() blob.Info { return o.info }

// object reads a blob with as few requests as its reader allows: one for each place that is gone to.
type object struct {
	store *Store
	ctx   context.Context
	info  blob.Info
	etag  string

	at   int64         // where the next Read reads
	body io.ReadCloser // nil: no request is open
	from int64         // where the body is
}

func (o *object) Info() blob.Info { return o.info }

func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	body := o.body
	o.body = nil
	return body.Close()
}

// get asks for the bytes from at to before end.
func (o *object) get(at, end int64) (io.ReadCloser, error) {
	var options minio.GetObjectOptions
	err := errors.Join(options.SetRange(at, end-1), options.SetMatchETag(o.etag))
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", o.info.Name, err)
	}
	body, _, _, err := o.store.core.GetObject(o.ctx, o.store.place.Bucket, o.store.prefix+o.info.Name, options)
	if err != nil {
		err = o.store.named(o.ctx, "read", o.info.Name, err)
		if errors.Is(err, blob.ErrNotFound) {
			err = fmt.Errorf("%w: it was deleted while it was read: %w", blob.ErrChanged, err)
		}
		return nil, err
	}
	return body, nil
}

// Read goes on where the connection broke, a few times.
func (o *object) Read(p []byte) (int, error) {
	if o.at >= o.info.Size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	for try := 1; ; try++ {
		n, err := o.readOnce(p)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			continue // nothing is allowed, too
		}
		if o.ctx.Err() != nil {
			return 0, context.Cause(o.ctx)
		}
		if try == 3 || errors.Is(err, blob.ErrChanged) {
			return 0, err
		}
	}
}

func (o *object) readOnce(p []byte) (int, error) {
	if o.body != nil && o.from != o.at {
		_ = o.Close() // what was asked for there is not wanted any more
	}
	if o.body == nil {
		body, err := o.get(o.at, o.info.Size)
		if err != nil {
			return 0, err
		}
		o.body, o.from = body, o.at
	}
	n, err := o.body.Read(p[:min(int64(len(p)), o.info.Size-o.at)])
	o.at += int64(n)
	o.from = o.at
	if err != nil {
		_ = o.Close() // its error is the one that is known
		if o.at < o.info.Size {
			return n, fmt.Errorf("read blob %s at byte %d: %w: %w", o.info.Name, o.at, blob.ErrUnavailable, err)
		}
	}
	return n, nil
}

func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.info.Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("read blob %s: %d is before its start", o.info.Name, offset)
	}
	o.at = offset
	return offset, nil
}

// ReadAt is a request of its own.
func (o *object) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("read blob %s: %d is before its start", o.info.Name, at)
	}
	if at >= o.info.Size {
		return 0, io.EOF
	}
	end := min(o.info.Size, at+int64(len(p)))
	body, err := o.get(at, end)
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(body, p[:end-at])
	_ = body.Close() // all that was asked for is read
	if err != nil {
		return n, fmt.Errorf("read blob %s at byte %d: %w: %w", o.info.Name, at, blob.ErrUnavailable, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
