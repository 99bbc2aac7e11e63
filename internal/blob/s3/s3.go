// Package s3 is a blob.Store in a bucket of S3, or of a server that speaks its protocol.
//
// Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) or from the
// usual file (~/.aws/credentials, AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), never from an address: addresses
// are seen in lists of processes.
//
// The bucket must give back what was just put (S3 has since 2020). What a writer that is killed has sent of a blob in several
// parts stays in the bucket unseen; a rule of the bucket that ends incomplete uploads after a day removes it.
package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"reqpm/internal/blob"
)

const (
	// partSize is what a blob that is larger is sent in. A part is held in memory, so that it can be sent again.
	partSize = 8 << 20
	// wholeSize is up to where a blob is read when it is opened.
	wholeSize = 1 << 20
	// retries is how often a request is sent in all, a fraction of a second to a second apart.
	retries = 6
)

// Place is where a store is: s3://BUCKET/PREFIX?endpoint=URL&region=NAME.
type Place struct {
	Bucket   string
	Prefix   string // "", or ends in "/"
	Endpoint *url.URL
	Region   string
}

// Scheme is what the address of a Place begins with.
const Scheme = "s3://"

// Parse reads an address. The endpoint is Amazon's where none is given, here or in AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL;
// the region is from AWS_REGION where none is given, else us-east-1.
func Parse(address string) (Place, error) {
	bad := func(format string, args ...any) (Place, error) {
		return Place{}, fmt.Errorf("an address of blobs is s3://BUCKET/PREFIX?endpoint=https://HOST&region=NAME, and this one "+format, args...)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return bad("is none: %w", errors.Unwrap(err))
	case u.User != nil:
		return bad("has credentials, which everybody on the machine could read: put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials")
	case u.Scheme != "s3" || u.Host == "" || u.Fragment != "":
		return bad("has no bucket, or something else")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad("has parameters that cannot be read: %w", err)
	}
	for name := range query {
		if !slices.Contains([]string{"endpoint", "region"}, name) {
			return bad("has %q", name)
		}
	}
	p := Place{Bucket: u.Host, Region: cmp.Or(query.Get("region"), os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")}
	if folder := strings.Trim(u.Path, "/"); folder != "" {
		if err := blob.CheckName(folder); err != nil {
			return bad("has a prefix that is no name: %w", err)
		}
		p.Prefix = folder + "/"
	}
	endpoint := cmp.Or(query.Get("endpoint"), os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), "https://s3."+p.Region+".amazonaws.com")
	p.Endpoint, err = url.Parse(endpoint)
	if err != nil || p.Endpoint.Host == "" || p.Endpoint.Scheme != "https" && p.Endpoint.Scheme != "http" || strings.Trim(p.Endpoint.Path, "/") != "" || p.Endpoint.User != nil {
		return bad("has the endpoint %q, which is not https://HOST or http://HOST", endpoint)
	}
	return p, nil
}

// Store is a blob.Store. An Object of it ends with the context that it was opened with. One of more than a MiB
// that is replaced while it is open fails with blob.ErrChanged where it is read next.
type Store struct {
	core   minio.Core
	place  Place
	prefix string // of keys; "", or ends in "/"
}

var _ blob.Store = (*Store)(nil)

// Open opens the store at a place, and asks whether the bucket is there and may be used: blob.ErrUnavailable.
func Open(ctx context.Context, p Place) (*Store, error) {
	transport, err := minio.DefaultTransport(p.Endpoint.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("open the blob store %s: %w", p.shown(), err)
	}
	transport.DialContext = quietDialer(transport.DialContext)
	chain := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
	if value, err := chain.GetWithContext(&credentials.CredContext{Client: http.DefaultClient}); err != nil || value.AccessKeyID == "" {
		return nil, fmt.Errorf("open the blob store %s: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them to ~/.aws/credentials (AWS_PROFILE names a part of it)", p.shown())
	}
	client, err := minio.New(p.Endpoint.Host, &minio.Options{Creds: chain, Secure: p.Endpoint.Scheme == "https", Transport: transport, Region: p.Region, MaxRetries: retries})
	if err != nil {
		return nil, fmt.Errorf("open the blob store %s: %w", p.shown(), err)
	}
	s := &Store{core: minio.Core{Client: client}, place: p, prefix: p.Prefix}
	switch there, err := client.BucketExists(ctx, p.Bucket); {
	case err != nil:
		return nil, fmt.Errorf("open the blob store %s: %w", p.shown(), s.failed(err))
	case !there:
		return nil, fmt.Errorf("open the blob store %s: there is no bucket %q there: make it, or name another", p.shown(), p.Bucket)
	}
	return s, nil
}

// Below is the store of the names that begin with folder, without it.
func (s *Store) Below(folder string) *Store {
	below := *s
	below.prefix += folder + "/"
	return &below
}

func (p Place) shown() string { return Scheme + p.Bucket + "/" + p.Prefix + " at " + p.Endpoint.Host }

// failed says what kind of failure an error of the client is, and what to do about it.
func (s *Store) failed(err error) error {
	answer := minio.ToErrorResponse(err)
	switch answer.Code {
	case minio.NoSuchKey:
		return fmt.Errorf("%w: %w", blob.ErrNotFound, err)
	case minio.PreconditionFailed:
		return fmt.Errorf("%w: %w", blob.ErrChanged, err)
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch":
		err = fmt.Errorf("%w (the credentials must allow to get, put, delete and list in the bucket)", err)
	case minio.NoSuchBucket:
		err = fmt.Errorf("%w (bucket %s)", err, s.place.Bucket)
	case "RequestTimeTooSkewed":
		err = fmt.Errorf("%w (set this machine's clock)", err)
	}
	if answer.StatusCode == http.StatusNotFound && answer.Code != minio.NoSuchBucket {
		return fmt.Errorf("%w: %w", blob.ErrNotFound, err) // of a HEAD, whose answer has no code
	}
	return fmt.Errorf("%w: %w", blob.ErrUnavailable, err)
}

// named says of which blob an error is; a context that has ended is the reason of all that fails then.
func (s *Store) named(ctx context.Context, what, name string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s blob %s: %w", what, name, errors.Join(context.Cause(ctx), err))
	}
	return fmt.Errorf("%s blob %s: %w", what, name, s.failed(err))
}

// source reads what is put, and knows how that went.
type source struct {
	ctx  context.Context
	r    io.Reader
	size int64
	err  error // other than io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.size += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// Put is of blob.Store.
func (s *Store) Put(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	if err := blob.CheckName(name); err != nil {
		return blob.Info{}, err
	}
	hash := sha256.New()
	from := &source{ctx: ctx, r: io.TeeReader(r, hash)}
	options := minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: partSize, NumThreads: 1}
	// Most blobs are one part, sent with their length, and again when the network fails.
	var first bytes.Buffer
	_, err := io.CopyN(&first, from, partSize)
	switch {
	case errors.Is(err, io.EOF):
		_, err = s.core.Client.PutObject(ctx, s.place.Bucket, s.prefix+name, bytes.NewReader(first.Bytes()), int64(first.Len()), options)
	case err == nil:
		_, err = s.core.Client.PutObject(ctx, s.place.Bucket, s.prefix+name, io.MultiReader(&first, from), -1, options)
		if err != nil || from.err != nil {
			quick, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			_ = s.core.RemoveIncompleteUpload(quick, s.place.Bucket, s.prefix+name) // else a rule of the bucket does
			cancel()
		}
	}
	switch {
	case from.err != nil:
		return blob.Info{}, fmt.Errorf("put blob %s: %w", name, from.err)
	case err != nil:
		return blob.Info{}, s.named(ctx, "put", name, err)
	}
	return blob.Info{Name: name, Size: from.size, Modified: time.Now(), SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// Stat is of blob.Store.
func (s *Store) Stat(ctx context.Context, name string) (blob.Info, error) {
	if err := blob.CheckName(name); err != nil {
		return blob.Info{}, err
	}
	stat, err := s.core.Client.StatObject(ctx, s.place.Bucket, s.prefix+name, minio.StatObjectOptions{})
	if err != nil {
		return blob.Info{}, s.named(ctx, "look for", name, err)
	}
	return blob.Info{Name: name, Size: stat.Size, Modified: stat.LastModified}, nil
}

// Delete is of blob.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	err := s.core.Client.RemoveObject(ctx, s.place.Bucket, s.prefix+name, minio.RemoveObjectOptions{})
	if err != nil {
		err = s.named(ctx, "delete", name, err)
	}
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}

// List is of blob.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		// What no name begins with is not asked for: a server may take "../" for more than a text.
		if start := strings.TrimSuffix(prefix, "/"); prefix != "" && blob.CheckName(start) != nil {
			return
		}
		ctx, cancel := context.WithCancel(ctx) // a listing that is left ends
		defer cancel()
		for object := range s.core.ListObjectsIter(ctx, s.place.Bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
			name := strings.TrimPrefix(object.Key, s.prefix)
			switch {
			case object.Err != nil:
				yield(blob.Info{}, s.named(ctx, "list", prefix+"*", object.Err))
				return
			case blob.CheckName(name) != nil:
				continue // somebody else's, or a folder
			case !yield(blob.Info{Name: name, Size: object.Size, Modified: object.LastModified}, nil):
				return
			}
		}
		if ctx.Err() != nil {
			yield(blob.Info{}, fmt.Errorf("list blobs %s*: %w", prefix, context.Cause(ctx)))
		}
	}
}
