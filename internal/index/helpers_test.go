package index

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeIndex is an index on the loopback address. Pages are JSON; a test replaces single
// addresses by handlers of its own.
type fakeIndex struct {
	*httptest.Server
	mu       sync.Mutex
	contents map[string][]byte // "/files/…" → content
	handlers map[string]http.HandlerFunc
	asked    map[string]int
}

func newFakeIndex(t *testing.T) *fakeIndex {
	f := unstartedIndex()
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func unstartedIndex() *fakeIndex {
	return &fakeIndex{contents: map[string][]byte{}, handlers: map[string]http.HandlerFunc{}, asked: map[string]int{}}
}

func (f *fakeIndex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked[r.URL.Path]++
	content, known := f.contents[r.URL.Path]
	handler := f.handlers[r.URL.Path]
	f.mu.Unlock()
	switch {
	case handler != nil:
		handler(w, r)
	case known && strings.HasPrefix(r.URL.Path, "/simple/"):
		w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
		w.Write(content)
	case known:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeIndex) handle(path string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[path] = h
}

func (f *fakeIndex) times(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

// add puts files on the page of a project; change, when given, edits each entry.
func (f *fakeIndex) add(project string, files map[string][]byte, change func(map[string]any)) {
	var entries []map[string]any
	for name, content := range files {
		e := map[string]any{
			"filename": name, "url": "../../files/" + name, "size": len(content),
			"hashes": map[string]string{"sha256": sum(content)}, "yanked": false,
			"upload-time": "2020-05-01T10:00:00.000000Z",
		}
		if change != nil {
			change(e)
		}
		entries = append(entries, e)
		f.mu.Lock()
		f.contents["/files/"+name] = content
		f.mu.Unlock()
	}
	page, _ := json.Marshal(map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": project, "files": entries})
	f.mu.Lock()
	f.contents["/simple/"+project+"/"] = page
	f.mu.Unlock()
}

func (f *fakeIndex) page(project string) string { return "/simple/" + project + "/" }

// config of a client that tries again fast and asks nobody else.
func (f *fakeIndex) config(t *testing.T) Config {
	return Config{
		Indexes: []IndexConfig{{URL: f.URL + "/simple"}}, CacheDir: t.TempDir(),
		Backoff: time.Millisecond, Retries: 3, Timeout: 20 * time.Second, Getenv: noEnv,
	}
}

func noEnv(string) string { return "" }

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.Getenv == nil {
		cfg.Getenv = noEnv
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// oneFile lists a project that has one file.
func oneFile(t *testing.T, c *Client, project string) File {
	t.Helper()
	files, err := c.Files(context.Background(), project)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Fatalf("%d files, want 1: %v", len(files), names(files))
	}
	return files[0]
}

func names(files []File) []string {
	var all []string
	for _, f := range files {
		all = append(all, f.Filename)
	}
	return all
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// gz is a small gzip file, different for each text.
func gz(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprint(w, text)
	w.Close()
	return b.Bytes()
}

// wheel is a wheel with metadata and padding that does not compress in front of it.
func wheel(t *testing.T, distinfo, metadata string, padding int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	put := func(name string, method uint16, content []byte) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = f.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("foo/data.bin", zip.Store, bytes.Repeat([]byte{0xa5}, padding))
	put(distinfo+".dist-info/METADATA", zip.Deflate, []byte(metadata))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func isKind(err, kind error) bool { return errors.Is(err, kind) }

const coreMetadata = "Metadata-Version: 2.1\nName: foo\nVersion: 1.0\nRequires-Dist: bar>=2\n"

// logBuffer collects what a client logs.
type logBuffer struct {
	mu sync.Mutex
	strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

func (b *logBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.String()
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
