package index

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Download implements Reader: the file is verified by every hash the index gave, and by
// its size. The path ends in the file's name. Errors are of kind ErrNotFound, ErrHash, ErrOffline,
// ErrUnavailable, the context's, or of the local disk.
func (c *Client) Download(ctx context.Context, f File) (string, error) {
	u, err := url.Parse(f.URL)
	if err != nil {
		return "", fmt.Errorf("file %s: its address is not a URL", f.Filename)
	}
	u = cleanURL(u)
	if f.Filename == "" {
		f.Filename = urlFilename(u)
	}
	if !safeFilename(f.Filename) {
		return "", fmt.Errorf("file %.100q: not a usable file name", f.Filename)
	}
	f.SHA256 = strings.ToLower(f.SHA256)
	if f.SHA256 != "" && !validSHA256(f.SHA256) {
		return "", fmt.Errorf("file %s: %.80q is not a sha256", f.Filename, f.SHA256)
	}
	key := f.Filename + "\n" + refKey(u, f)
	return c.files.do(ctx, key, func(ctx context.Context) (string, error) { return c.download(ctx, f, u) })
}

// refKey names a file by its address and everything the index said about its content.
func refKey(u *url.URL, f File) string {
	var b strings.Builder
	b.WriteString(u.String())
	for _, name := range slices.Sorted(maps.Keys(f.Hashes)) {
		fmt.Fprintf(&b, "\n%s=%s", name, f.Hashes[name])
	}
	fmt.Fprintf(&b, "\n%s %d", f.SHA256, f.Size)
	return b.String()
}

func (c *Client) download(ctx context.Context, f File, u *url.URL) (string, error) {
	if path, ok := c.cachedFile(f, u); ok {
		c.stats.fileHits.Add(1)
		return path, nil
	}
	if path, ok := localPath(u.String()); ok {
		return c.copyLocal(f, path)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("file %s: cannot be fetched by %q", f.Filename, u.Scheme)
	}
	if c.cfg.Offline {
		return "", fmt.Errorf("file %s (%s): %w", f.Filename, redact(u.String()), ErrOffline)
	}
	// The bytes are wanted as they are, not packed once more on the way.
	header := http.Header{"Accept-Encoding": {"identity"}, "Accept": {"*/*"}}
	q := question{url: u, header: header, grant: c.grantFor(f.Index, u), what: "file " + f.Filename, limit: maxFile}
	kept := c.cacheOf(q.grant.held)
	var path string
	err := c.fetch.get(ctx, q, func(resp *http.Response, body io.Reader) (err error) {
		if resp.StatusCode != http.StatusOK {
			return nonsenseError{fmt.Errorf("unexpected answer HTTP %d", resp.StatusCode)}
		}
		path, err = kept.keep(f, body)
		return err
	})
	if err != nil {
		return "", err
	}
	if f.SHA256 == "" {
		sha := shaOfPath(path)
		if err := kept.put("refs", refKey(u, f), &entry{URL: redact(u.String()), Type: "ref"}, []byte(sha)); err != nil {
			return "", err
		}
	}
	return path, nil
}

// cachedFile finds a file by its sha256, or by the address it was fetched from before.
func (c *Client) cachedFile(f File, u *url.URL) (string, bool) {
	kept, sha := c.cacheFor(f, u), f.SHA256
	if sha == "" {
		if u.Scheme == "file" {
			return "", false // the folder's owner may have changed it
		}
		ref, ok := kept.get("refs", refKey(u, f))
		if !ok || !validSHA256(string(ref.body)) {
			return "", false
		}
		sha = string(ref.body)
	}
	return kept.file(sha, f.Filename, f.Size)
}

// keep writes a file into the cache, under the name of what it really is.
func (c *cache) keep(f File, body io.Reader) (string, error) {
	d, err := c.draft()
	if err != nil {
		return "", err
	}
	defer d.discard()
	check := newChecker(f)
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(d, check)}, body, make([]byte, 128<<10))
	if err != nil {
		return "", err
	}
	if err := check.verify(f, n); err != nil {
		return "", err
	}
	sha := check.sha256()
	path := c.filePath(sha, f.Filename)
	if err := d.publish(path, 0o444); err != nil {
		return "", err
	}
	c.remember(path)
	return path, nil
}

// copyLocal takes a file of a local index into the cache: its owner may change it later, and
// what Download returned must not.
func (c *Client) copyLocal(f File, path string) (string, error) {
	if !slices.ContainsFunc(slices.Concat(c.indexes, c.links), func(l *location) bool { return l.path != "" }) {
		return "", fmt.Errorf("file %s: no local folder is configured, so %s is not read", f.Filename, path)
	}
	src, err := openLocal(path, maxFile)
	if err != nil {
		return "", fmt.Errorf("file %s: %w: %w", f.Filename, ErrNotFound, err)
	}
	defer src.Close()
	kept, err := c.cache.keep(f, io.LimitReader(src, maxFile))
	if err != nil {
		return "", fmt.Errorf("file %s from %s: %w", f.Filename, path, err)
	}
	return kept, nil
}

// checker computes every hash the index gave, and sha256 always.
type checker struct {
	sums map[string]hash.Hash
	head []byte // the first bytes, to tell an archive from a page about an error
}

func newChecker(f File) *checker {
	c := &checker{sums: map[string]hash.Hash{"sha256": sha256.New()}}
	for name := range f.Hashes {
		switch name {
		case "md5":
			c.sums[name] = md5.New()
		case "sha1":
			c.sums[name] = sha1.New()
		case "sha224":
			c.sums[name] = sha256.New224()
		case "sha384":
			c.sums[name] = sha512.New384()
		case "sha512":
			c.sums[name] = sha512.New()
		}
	}
	return c
}

func (c *checker) Write(p []byte) (int, error) {
	if n := 8 - len(c.head); n > 0 {
		c.head = append(c.head, p[:min(n, len(p))]...)
	}
	for _, h := range c.sums {
		h.Write(p)
	}
	return len(p), nil
}

func (c *checker) sha256() string { return hex.EncodeToString(c.sums["sha256"].Sum(nil)) }

func (c *checker) verify(f File, n int64) error {
	if f.Size > 0 && n != f.Size {
		return fmt.Errorf("%w: %d bytes came, the index promised %d", ErrHash, n, f.Size)
	}
	verified := false
	for name, h := range c.sums {
		want := strings.ToLower(f.Hashes[name])
		if name == "sha256" && f.SHA256 != "" {
			want = f.SHA256
		}
		if want == "" {
			continue
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			return fmt.Errorf("%w: %s is %s, the index promised %s", ErrHash, name, got, want)
		}
		verified = true
	}
	if !verified && !looksPacked(f.Filename, c.head) {
		return nonsenseError{errors.New("what came is not an archive, and the index gives no hash to tell what it should be")}
	}
	return nil
}

// looksPacked compares a file's first bytes with what its ending promises.
func looksPacked(filename string, head []byte) bool {
	for ending, magic := range map[string]string{
		".gz": "\x1f\x8b", ".tgz": "\x1f\x8b", ".zip": "PK", ".whl": "PK", ".bz2": "BZh", ".xz": "\xfd7zXZ",
	} {
		if strings.HasSuffix(strings.ToLower(filename), ending) {
			return bytes.HasPrefix(head, []byte(magic))
		}
	}
	return true
}

// shaOfPath is the folder a cached file is in.
func shaOfPath(path string) string {
	parts := strings.Split(strings.ReplaceAll(path, "\\", "/"), "/")
	return parts[len(parts)-2]
}
