package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"reqpm/internal/filelock"
)

// cache is a folder that many processes use at the same time without locks:
//
//	files/ab/<sha256>/<file name>  downloads, read-only, addressed by content
//	pages/ab/<key>                 project pages; the time of the file is when it was asked for
//	packed/ab/<key>                what was understood of a page, for as long as the page is that one
//	metadata/ab/<key>              core metadata, for ever
//	refs/ab/<key>                  address → sha256, where the index gave no sha256
//	private/<id>/                  the same for what only one secret shows, see private.go
//	tmp/                           what is being written; its writer holds a lock on it
//	tmp.lock                       shared while a file in tmp is made and not yet locked
//
// Everything is written to tmp and renamed, so a reader sees the whole or nothing; two writers of
// one name write the same content, or the later page wins. Nothing waits for the disk: everything is
// checked by its digest when it is read, so that what a power cut tore is noticed and made again, and
// a resolution does not wait several hundred times.
type cache struct {
	dir string
	// create makes a new file in a folder; tests replace it to have a full disk.
	create   func(dir string) (*os.File, error)
	verified sync.Map // path → fileState already hashed by this process
}

// fileState is what must be unchanged for an earlier hash of a file to still hold.
type fileState struct {
	size    int64
	mtime   time.Time
	changed string // device, inode and change time, see statKey
}

func openCache(dir string) (*cache, error) {
	if dir == "" {
		return nil, errors.New("index: no cache directory given")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	c := &cache{dir: dir, create: func(dir string) (*os.File, error) { return os.CreateTemp(dir, "new-*") }}
	if err := os.MkdirAll(c.tmp(), 0o755); err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	c.sweep()
	return c, nil
}

func (c *cache) tmp() string { return filepath.Join(c.dir, "tmp") }

// sweep removes what dead processes left in tmp: what nobody holds a lock on. Errors do not matter.
func (c *cache) sweep() {
	gate, err := filelock.Try(filepath.Join(c.dir, "tmp.lock"))
	if err != nil {
		return // somebody begins a file: next time
	}
	defer gate.Close()
	entries, err := os.ReadDir(c.tmp())
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(c.tmp(), e.Name())
		if f, err := filelock.Try(path); err == nil {
			os.Remove(path)
			f.Close()
		}
	}
}

// localError is trouble with this machine's disk: no other try and no other index mends it.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }

// draft is a file being written; it disappears unless it is published.
type draft struct {
	*os.File
	done bool
}

func (c *cache) draft() (*draft, error) {
	gate, err := filelock.Shared(filepath.Join(c.dir, "tmp.lock"))
	if err != nil {
		return nil, localError{fmt.Errorf("index cache %s: %w", c.dir, err)}
	}
	defer gate.Close()
	f, err := c.create(c.tmp())
	if err != nil {
		return nil, localError{fmt.Errorf("index cache %s: %w", c.dir, err)}
	}
	_ = filelock.Hold(f) // where there are no locks, nothing is swept
	return &draft{File: f}, nil
}

// Write marks errors as this machine's own.
func (d *draft) Write(p []byte) (int, error) {
	n, err := d.File.Write(p)
	if err != nil {
		err = localError{fmt.Errorf("writing to the index cache: %w", err)}
	}
	return n, err
}

// discard removes the draft when it was not published.
func (d *draft) discard() {
	if !d.done {
		d.Close()
		os.Remove(d.Name())
	}
}

// publish makes the draft appear under path, whole.
func (d *draft) publish(path string, mode fs.FileMode) error {
	err := d.Chmod(mode)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil { // while it is open, and so locked: a sweep must not come between
		err = os.Rename(d.Name(), path)
	}
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return localError{fmt.Errorf("writing to the index cache: %w", err)}
	}
	d.done = true
	return nil
}

func (c *cache) filePath(sha, filename string) string {
	return filepath.Join(c.dir, "files", sha[:2], sha, filename)
}

// file answers the path of a cached file, if it is there and still what its name says. The
// content is hashed once per process and whenever the file looks touched.
func (c *cache) file(sha, filename string, size int64) (string, bool) {
	path := c.filePath(sha, filename)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || size > 0 && info.Size() != size {
		return "", false
	}
	state := fileState{info.Size(), info.ModTime(), statKey(info)}
	if known, ok := c.verified.Load(path); ok && known == state {
		return path, true
	}
	got, err := hashFile(path)
	if err != nil || got != sha {
		return "", false
	}
	c.verified.Store(path, state)
	return path, true
}

// remember notes that a file was just written with the right hash.
func (c *cache) remember(path string) {
	if info, err := os.Lstat(path); err == nil {
		c.verified.Store(path, fileState{info.Size(), info.ModTime(), statKey(info)})
	}
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// entry is a small thing in the cache: a head line in JSON, then the body.
type entry struct {
	URL          string `json:"url"`             // what was asked, for people
	Base         string `json:"base,omitempty"`  // address after redirects: links are relative to it
	Type         string `json:"type"`            // what the body is
	ETag         string `json:"etag,omitempty"`  // to ask "has it changed"
	LastModified string `json:"since,omitempty"` // likewise
	SHA256       string `json:"sha256"`          // of the body
	Of           string `json:"of,omitempty"`    // identity of the entry that the body was made from
	body         []byte
	size         int64 // of head and body
	age          time.Duration
}

// identity tells a page from every other, and from itself when a part of it is gone.
func (e *entry) identity() string { return fmt.Sprintf("%s %d %s", e.SHA256, e.size, e.Base) }

// maxHead bounds the head line of an entry; real ones have some hundred bytes.
const maxHead = 16 << 10

// head reads an entry without its body, which is not checked either.
func (c *cache) head(kind, key string) (*entry, bool) {
	f, err := os.Open(c.entryPath(kind, key))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxEntry {
		return nil, false
	}
	buf := make([]byte, min(info.Size(), maxHead))
	n, err := io.ReadFull(f, buf)
	line, _, ok := bytes.Cut(buf[:n], []byte("\n"))
	e := &entry{}
	if err != nil || !ok || json.Unmarshal(line, e) != nil {
		return nil, false
	}
	e.size, e.age = info.Size(), time.Since(info.ModTime())
	return e, true
}

// maxEntry bounds what is read back.
const maxEntry = maxPage + 1<<20

func (c *cache) entryPath(kind, key string) string {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(c.dir, kind, name[:2], name)
}

// get reads an entry; anything amiss with it is a miss.
func (c *cache) get(kind, key string) (*entry, bool) {
	path := c.entryPath(kind, key)
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxEntry {
		return nil, false
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	head, body, ok := bytes.Cut(data, []byte("\n"))
	e := &entry{}
	if !ok || json.Unmarshal(head, e) != nil {
		return nil, false
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, false
	}
	e.body, e.size, e.age = body, int64(len(data)), time.Since(info.ModTime())
	return e, true
}

// put keeps an entry, and notes in it the checksum and size that it has now.
func (c *cache) put(kind, key string, e *entry, body []byte) error {
	sum := sha256.Sum256(body)
	e.SHA256 = hex.EncodeToString(sum[:])
	head, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("index cache: %w", err)
	}
	e.size = int64(len(head) + 1 + len(body))
	d, err := c.draft()
	if err != nil {
		return err
	}
	defer d.discard()
	if _, err := d.Write(append(head, '\n')); err != nil {
		return err
	}
	if _, err := d.Write(body); err != nil {
		return err
	}
	return d.publish(c.entryPath(kind, key), 0o644)
}

// touch notes that the index said an entry has not changed.
func (c *cache) touch(kind, key string) {
	now := time.Now()
	_ = os.Chtimes(c.entryPath(kind, key), now, now) // a failure costs one more question later
}
