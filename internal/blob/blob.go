// Package blob keeps bytes by name: artifacts in a Store, and the texts of running work in Logs.
//
// State is in the database, bytes are here. A name is written once: what changes gets another name, and
// the database says which one counts.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// Errors that callers tell apart, wrapped with the name.
var (
	ErrNotFound = errors.New("no such blob")
	ErrName     = errors.New("not a name for a blob")
	ErrExists   = errors.New("a log of that name is there already")
	// ErrUnavailable is a store that does not do what it should, whose network or credentials fail: no
	// fault of what was to be kept, so that it may work later.
	ErrUnavailable = errors.New("the blob store does not answer as it should")
	ErrChanged     = errors.New("the blob was replaced or deleted while it was read")
)

// Info is what a store knows of a blob without reading it.
type Info struct {
	Name     string
	Size     int64 // bytes
	Modified time.Time
	// SHA256 in lower-case hexadecimal, from Put; empty from Stat and List, for nobody reads the
	// bytes for it.
	SHA256 string
}

// Object is an open blob. It is what was there when it was opened, whatever is put or deleted
// meanwhile; a store that cannot keep a large one so long says ErrChanged, and never gives other bytes.
// It may end with the context that it was opened with. Not for use by several goroutines at once, but for ReadAt.
type Object interface {
	io.ReadSeekCloser
	io.ReaderAt
	Info() Info
}

// Store keeps blobs. All methods may be called from any goroutine and, on the same storage, from
// any process; each ends early when its context does.
//
// A name is one or more parts separated by "/", each of letters, digits and "._+-~^=@!,", not
// starting with "."; no name is another's folder ("a" beside "a/b"). Anything else is ErrName.
//
// There is no lock and no transaction. Put, then write the name to the database; delete from the
// database, then Delete: whoever dies between the two leaves a blob that nobody names, which
// retention finds with List.
type Store interface {
	// Put keeps all of r. The blob is seen whole or not at all, and survives a power cut once Put has
	// returned. One that has the name already is replaced: putting the same bytes twice is well.
	// When r fails or ctx ends, nothing is kept.
	Put(ctx context.Context, name string, r io.Reader) (Info, error)
	// Open opens for reading at any place. ErrNotFound.
	Open(ctx context.Context, name string) (Object, error)
	// Stat is ErrNotFound for what is not there.
	Stat(ctx context.Context, name string) (Info, error)
	// Delete removes a blob. One that is not there is none to remove: nil.
	Delete(ctx context.Context, name string) error
	// List yields every blob whose name starts with prefix, in no particular order; "" is all of them.
	// The sequence ends with its first error. What is put or deleted meanwhile may be seen or not.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

const maxName = 1024 // bytes, as S3 has it

// CheckName is ErrName for what no store takes.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%w: %d bytes, and 1 to %d are allowed", ErrName, len(name), maxName)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || len(part) > 200 {
			return fmt.Errorf("%w: %.100q has an empty, hidden or overlong part", ErrName, name)
		}
		if i := strings.IndexFunc(part, func(c rune) bool { return !allowed(c) }); i >= 0 {
			return fmt.Errorf("%w: %.100q has %q", ErrName, name, part[i])
		}
	}
	return nil
}

func allowed(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._+-~^=@!,", c)
}

// contextReader ends a copy when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
