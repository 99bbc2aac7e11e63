package index

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"reqpm/internal/pep508"
)

// Metadata implements Reader. Where the index has no metadata file, the wheel's own is
// read: by asking for the few bytes of the archive that hold it where the server can do
// that, else from the whole wheel. For an sdist it is only answered where the
// index has a metadata file for it (ErrNotFound otherwise: it has to be built).
func (c *Client) Metadata(ctx context.Context, f File) ([]byte, error) {
	u, err := url.Parse(f.URL)
	if err != nil {
		return nil, fmt.Errorf("metadata of %s: its address is not a URL", f.Filename)
	}
	u = cleanURL(u)
	if f.Kind != Wheel && !f.HasMetadata {
		return nil, fmt.Errorf("metadata of %s: %w: the index has none for this sdist", f.Filename, ErrNotFound)
	}
	key := "sha256 " + f.SHA256
	if f.SHA256 == "" {
		key = refKey(u, f)
	}
	data, err := c.metadata.do(ctx, key+f.MetadataSHA256, func(ctx context.Context) ([]byte, error) {
		return c.readMetadata(ctx, f, u, key)
	})
	return bytes.Clone(data), err
}

func (c *Client) readMetadata(ctx context.Context, f File, u *url.URL, key string) ([]byte, error) {
	kept, local := c.cacheFor(f, u), u.Scheme == "file" && f.SHA256 == ""
	if e, ok := kept.get("metadata", key); ok && !local {
		if f.MetadataSHA256 == "" || f.MetadataSHA256 == e.SHA256 {
			c.stats.metadataHits.Add(1)
			return e.body, nil
		}
	}
	data, err := c.findMetadata(ctx, f, u)
	if err != nil {
		return nil, err
	}
	if err := kept.put("metadata", key, &entry{URL: redact(u.String()), Type: "metadata"}, data); err != nil {
		return nil, err
	}
	return data, nil
}

func (c *Client) findMetadata(ctx context.Context, f File, u *url.URL) ([]byte, error) {
	if f.HasMetadata {
		data, err := c.metadataFile(ctx, f, u)
		if err == nil || f.Kind != Wheel || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrOffline) {
			return data, err
		}
		if errors.Is(err, ErrNotFound) {
			c.warnOnce("metadata "+f.Index, "the index announces metadata files it does not have; reading wheels instead", "index", f.Index, "file", f.Filename)
		}
	}
	if path, ok := c.cachedFile(f, u); ok {
		return wheelFileMetadata(path, f.Name)
	}
	if c.cfg.Offline && u.Scheme != "file" {
		return nil, fmt.Errorf("metadata of %s (%s): %w", f.Filename, redact(u.String()), ErrOffline)
	}
	if data, ok := c.metadataByRange(ctx, f, u); ok {
		return data, nil
	}
	path, err := c.Download(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return wheelFileMetadata(path, f.Name)
}

// metadataFile gets the PEP 658 file and checks it by its hash.
func (c *Client) metadataFile(ctx context.Context, f File, u *url.URL) ([]byte, error) {
	m := *u
	m.Path, m.RawPath = u.Path+".metadata", ""
	if u.RawPath != "" {
		m.RawPath = u.RawPath + ".metadata"
	}
	what := "metadata of " + f.Filename
	if path, ok := localPath(m.String()); ok {
		data, err := readLocal(path, maxMetadata)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", what, ErrNotFound, err)
		}
		return data, checkMetadata(data, f.MetadataSHA256)
	}
	if c.cfg.Offline {
		return nil, fmt.Errorf("%s (%s): %w", what, redact(m.String()), ErrOffline)
	}
	q := question{url: &m, header: http.Header{"Accept": {"*/*"}}, grant: c.grantFor(f.Index, &m), what: what, limit: maxMetadata}
	var data []byte
	err := c.fetch.get(ctx, q, func(resp *http.Response, body io.Reader) (err error) {
		if resp.StatusCode != http.StatusOK {
			return nonsenseError{fmt.Errorf("unexpected answer HTTP %d", resp.StatusCode)}
		}
		if data, err = io.ReadAll(body); err != nil {
			return err
		}
		return checkMetadata(data, f.MetadataSHA256)
	})
	return data, err
}

func checkMetadata(data []byte, want string) error {
	if want != "" {
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != want {
			return fmt.Errorf("%w: sha256 is %s, the index promised %s", ErrHash, got, want)
		}
		return nil
	}
	head := bytes.ToLower(data[:min(len(data), 4<<10)])
	if !bytes.Contains(head, []byte("metadata-version:")) && !bytes.Contains(head, []byte("name:")) {
		return nonsenseError{errors.New("what came is no core metadata")}
	}
	return nil
}

func wheelFileMetadata(path, name string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a wheel: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading a wheel: %w", err)
	}
	data, err := WheelMetadata(f, info.Size(), name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", info.Name(), err)
	}
	return data, nil
}

// maxDirectory bounds the table of contents of a wheel, in bytes read while opening it.
const maxDirectory = 64 << 20

// WheelMetadata reads NAME-VERSION.dist-info/METADATA of a wheel of the project name
// (PEP 427; the folder is found the way pip finds it).
func WheelMetadata(r io.ReaderAt, size int64, name string) ([]byte, error) {
	budget := &budgetReader{r: r, left: maxDirectory}
	z, err := zip.NewReader(budget, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("the wheel cannot be opened as a zip archive: %w", err)
	}
	key := pep508.NormalizeName(name)
	var found *zip.File
	for _, f := range z.File {
		dir, ok := strings.CutSuffix(f.Name, ".dist-info/METADATA")
		if !ok || strings.Contains(dir, "/") || !strings.HasPrefix(pep508.NormalizeName(dir), key+"-") {
			continue
		}
		if found != nil && found.Name != f.Name {
			return nil, fmt.Errorf("the wheel has several metadata folders: %.100q and %.100q", found.Name, f.Name)
		}
		found = f
	}
	if found == nil {
		return nil, fmt.Errorf("the wheel has no %s-*.dist-info/METADATA", key)
	}
	budget.left = maxMetadata + maxDirectory
	m, err := found.Open()
	if err != nil {
		return nil, fmt.Errorf("the wheel's METADATA: %w", err)
	}
	defer m.Close()
	data, err := io.ReadAll(io.LimitReader(m, maxMetadata+1))
	if err != nil {
		return nil, fmt.Errorf("the wheel's METADATA: %w", err)
	}
	if len(data) > maxMetadata {
		return nil, fmt.Errorf("the wheel's METADATA is larger than %d bytes", maxMetadata)
	}
	return data, nil
}

// budgetReader bounds how much of a file is read in all.
type budgetReader struct {
	r    io.ReaderAt
	left int64
}

func (b *budgetReader) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errors.New("its table of contents is too large")
	}
	return b.r.ReadAt(p, off)
}
