package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// A test binary started with this variable is a second process: it downloads the one file
// of project "foo" from the index named there into the cache given behind it.
const childVariable = "INDEX_TEST_CHILD"

func TestMain(m *testing.M) {
	if job := os.Getenv(childVariable); job != "" {
		address, dir, _ := strings.Cut(job, " ")
		if err := child(address, dir); err != nil {
			fmt.Fprintln(os.Stdout, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(address, dir string) error {
	c, err := New(Config{Indexes: []IndexConfig{{URL: address}}, CacheDir: dir, Getenv: noEnv})
	if err != nil {
		return err
	}
	files, err := c.Files(context.Background(), "foo")
	if err != nil {
		return err
	}
	path, err := c.Download(context.Background(), files[0])
	if err == nil {
		fmt.Fprint(os.Stdout, path)
	}
	return err
}

// TestProcessesShareACache: three processes and this one download the same file at the
// same time; the server lets nobody finish before all have come.
func TestProcessesShareACache(t *testing.T) {
	content := bytes.Repeat([]byte("a large file "), 200_000)
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.0.tar.gz": content}, nil)
	const n = 4
	var all sync.WaitGroup
	all.Add(n)
	f.handle("/files/foo-1.0.tar.gz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:len(content)/2])
		w.(http.Flusher).Flush()
		all.Done()
		all.Wait()
		w.Write(content[len(content)/2:])
	})
	cfg := f.config(t)
	var wg sync.WaitGroup
	paths := make([]string, n)
	for i := range n - 1 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"="+cfg.Indexes[0].URL+" "+cfg.CacheDir)
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("process %d: %v %s", i, err, out)
			}
			paths[i] = string(out)
		})
	}
	c := newClient(t, cfg)
	path, err := c.Download(context.Background(), oneFile(t, c, "foo"))
	if err != nil {
		t.Error(err)
	}
	paths[n-1] = path
	wg.Wait()
	for _, p := range paths {
		if p != path {
			t.Errorf("path %q, another process has %q", p, path)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	checkNothingHalf(t, c, false)
}

// TestOneRequestForMany: callers of one process share pages, metadata and downloads.
func TestOneRequestForMany(t *testing.T) {
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.0-py3-none-any.whl": wheel(t, "foo-1.0", coreMetadata, 10)}, nil)
	c := newClient(t, f.config(t))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			files, err := c.Files(context.Background(), "foo")
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Download(context.Background(), files[0]); err != nil {
				t.Error(err)
			}
			if data, err := c.Metadata(context.Background(), files[0]); err != nil || string(data) != coreMetadata {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Requests != 2 {
		t.Errorf("%+v, want 2 requests", s)
	}
}

func TestFlightOutlivesItsFirstCaller(t *testing.T) {
	var g flights[int]
	started, release := make(chan struct{}), make(chan struct{})
	work := func(ctx context.Context) (int, error) {
		close(started)
		select {
		case <-release:
			return 7, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	first, leave := context.WithCancel(context.Background())
	firstDone := make(chan error)
	go func() { _, err := g.do(first, "k", work); firstDone <- err }()
	<-started
	type answer struct {
		n   int
		err error
	}
	second := make(chan answer)
	go func() {
		n, err := g.do(context.Background(), "k", func(context.Context) (int, error) { return 0, errors.New("asked twice") })
		second <- answer{n, err}
	}()
	for { // until the second has joined
		g.mu.Lock()
		joined := g.byID["k"].waiting == 2
		g.mu.Unlock()
		if joined {
			break
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // a caller that joins signals nobody
	}
	leave()
	if err := <-firstDone; !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller got %v", err)
	}
	close(release)
	if a := <-second; a.n != 7 || a.err != nil {
		t.Errorf("the second caller got %+v", a)
	}
}

func TestFlightEndsWithItsLastCaller(t *testing.T) {
	var g flights[int]
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	_, err := g.do(ctx, "k", func(shared context.Context) (int, error) {
		cancel()
		<-shared.Done()
		for range 1000 {
			runtime.Gosched() // the caller has all the time to leave
		}
		close(ended)
		return 0, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-ended:
	default:
		t.Error("the work goes on although its last caller has left: a process that ends now leaves files behind")
	}
	if n, err := g.do(context.Background(), "k", func(context.Context) (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// TestDamagedFileIsFetchedAgain: what is in the cache is believed only while it is what
// its name says.
func TestDamagedFileIsFetchedAgain(t *testing.T) {
	content := gz("the real thing")
	for name, damage := range map[string]func(path string) error{
		"other bytes": func(p string) error {
			os.Chmod(p, 0o644)
			return os.WriteFile(p, bytes.Repeat([]byte("x"), len(content)), 0o644)
		},
		"cut off": func(p string) error { return os.Truncate(p, 3) },
		"empty":   func(p string) error { return os.Truncate(p, 0) },
		"gone":    os.Remove,
		"a folder": func(p string) error {
			os.Remove(p)
			return os.Symlink("/dev/zero", p)
		},
	} {
		for _, hashed := range []bool{true, false} {
			t.Run(fmt.Sprint(name, hashed), func(t *testing.T) {
				f := newFakeIndex(t)
				f.add("foo", map[string][]byte{"foo-1.0.tar.gz": content}, func(e map[string]any) {
					if !hashed {
						delete(e, "hashes")
						delete(e, "size")
					}
				})
				cfg := f.config(t)
				for i := range 3 { // the third time from the cache again
					c := newClient(t, cfg)
					file := oneFile(t, c, "foo")
					path, err := c.Download(context.Background(), file)
					if err != nil {
						t.Fatal(err)
					}
					if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
						t.Fatalf("%q, %v", got, err)
					}
					if i > 0 {
						continue
					}
					if err := damage(path); err != nil {
						t.Fatal(err)
					}
					// The same client must notice too.
					if path, err = c.Download(context.Background(), file); err != nil {
						t.Fatal(err)
					}
					if got, _ := os.ReadFile(path); !bytes.Equal(got, content) {
						t.Fatalf("the damaged file was served: %q", got)
					}
				}
				if n := f.times("/files/foo-1.0.tar.gz"); n != 2 {
					t.Errorf("fetched %d times, want 2", n)
				}
			})
		}
	}
}

func TestDamagedPageIsFetchedAgain(t *testing.T) {
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.0.tar.gz": gz("x")}, nil)
	cfg := f.config(t)
	oneFile(t, newClient(t, cfg), "foo")
	pages, _ := filepath.Glob(filepath.Join(cfg.CacheDir, "pages", "*", "*"))
	if len(pages) != 1 {
		t.Fatalf("pages: %v", pages)
	}
	if err := os.Truncate(pages[0], 300); err != nil {
		t.Fatal(err)
	}
	oneFile(t, newClient(t, cfg), "foo")
	if n := f.times(f.page("foo")); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestAgeOfPages(t *testing.T) {
	for _, c := range []struct {
		name                  string
		header                string // what the index sends
		condition             string // what is asked back
		value                 string
		requests, notModified int64
	}{
		{"nothing", "", "", "", 2, 0},
		{"ETag", "ETag", "If-None-Match", `"v1"`, 2, 1},
		{"date", "Last-Modified", "If-Modified-Since", "Thu, 01 Jan 2026 12:00:30 GMT", 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeIndex(t)
			f.handle(f.page("foo"), func(w http.ResponseWriter, r *http.Request) {
				if c.header != "" {
					w.Header().Set(c.header, c.value)
					if r.Header.Get(c.condition) == c.value {
						w.WriteHeader(http.StatusNotModified)
						return
					}
				}
				body("application/json", goodPage)(w, r)
			})
			cfg := f.config(t)
			ask := func() Stats {
				client := newClient(t, cfg)
				oneFile(t, client, "foo")
				return client.Stats()
			}
			total := ask().Requests
			if s := ask(); s.Requests != 0 || s.PageHits != 1 {
				t.Errorf("a fresh page: %+v", s)
			}
			pages, _ := filepath.Glob(filepath.Join(cfg.CacheDir, "pages", "*", "*"))
			old := time.Now().Add(-defaultMaxAge - time.Second)
			if err := os.Chtimes(pages[0], old, old); err != nil {
				t.Fatal(err)
			}
			s := ask()
			if total += s.Requests; total != c.requests || s.NotModified != c.notModified {
				t.Errorf("an old page: %+v, %d requests in all", s, total)
			}
			if s := ask(); s.Requests != 0 {
				t.Errorf("a page confirmed just now was asked for again: %+v", s)
			}
		})
	}
	t.Run("ask every time", func(t *testing.T) {
		f := newFakeIndex(t)
		f.handle(f.page("foo"), body("application/json", goodPage))
		cfg := f.config(t)
		cfg.MaxAge = -1
		client := newClient(t, cfg)
		oneFile(t, client, "foo")
		oneFile(t, client, "foo")
		if n := f.times(f.page("foo")); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

func TestOffline(t *testing.T) {
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.0-py3-none-any.whl": wheel(t, "foo-1.0", coreMetadata, 10)}, nil)
	f.add("bar", map[string][]byte{"bar-1.0-py3-none-any.whl": wheel(t, "bar-1.0", coreMetadata, 10)}, nil)
	cfg := f.config(t)
	online := newClient(t, cfg)
	ctx := context.Background()
	foo, bar := oneFile(t, online, "foo"), oneFile(t, online, "bar")
	if _, err := online.Download(ctx, foo); err != nil {
		t.Fatal(err)
	}
	if _, err := online.Files(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	pages, _ := filepath.Glob(filepath.Join(cfg.CacheDir, "pages", "*", "*"))
	old := time.Now().Add(-1000 * time.Hour)
	for _, p := range pages {
		if err := os.Chtimes(p, old, old); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	cfg.Offline = true
	c := newClient(t, cfg)
	if got := oneFile(t, c, "foo"); got.SHA256 != foo.SHA256 {
		t.Errorf("stale page: %v", got)
	}
	if _, err := c.Download(ctx, foo); err != nil {
		t.Errorf("a file in the cache: %v", err)
	}
	if data, err := c.Metadata(ctx, foo); err != nil || string(data) != coreMetadata {
		t.Errorf("metadata of a wheel in the cache: %q, %v", data, err)
	}
	if _, err := c.Files(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a project known not to exist: %v", err)
	}
	for what, err := range map[string]error{
		"unknown":                  func() error { _, err := c.Files(ctx, "unknown"); return err }(),
		"bar-1.0-py3-none-any.whl": func() error { _, err := c.Download(ctx, bar); return err }(),
		"metadata of bar":          func() error { _, err := c.Metadata(ctx, bar); return err }(),
	} {
		if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v, want ErrOffline that names it", what, err)
		}
	}
	if s := c.Stats(); s.Requests != 0 {
		t.Errorf("%+v", s)
	}
}

// TestLocalFileIsCopied: a folder's owner may change a file after it was handed out.
func TestLocalFileIsCopied(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "foo-1.0.tar.gz")
	write := func(text string) {
		if err := os.WriteFile(source, gz(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	c := newClient(t, Config{Indexes: []IndexConfig{{URL: dir}}, CacheDir: t.TempDir(), Offline: true})
	first := oneFile(t, c, "foo")
	path, err := c.Download(context.Background(), first)
	if err != nil {
		t.Fatal(err)
	}
	write("second, longer")
	if got, _ := os.ReadFile(path); !bytes.Equal(got, gz("first")) {
		t.Errorf("the file changed under its path: %q", got)
	}
	second := oneFile(t, c, "foo")
	if second.SHA256 == first.SHA256 {
		t.Error("the change was not seen")
	}
	if _, err := c.Download(context.Background(), second); err != nil {
		t.Error(err)
	}
}

func TestRemoteClientReadsNoLocalFile(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "foo-1.0.tar.gz")
	if err := os.WriteFile(secret, gz("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, newFakeIndex(t).config(t))
	if path, err := c.Download(context.Background(), File{Filename: "foo-1.0.tar.gz", URL: fileURL(secret).String()}); err == nil {
		t.Errorf("got %s", path)
	}
}

func TestSweepKeepsWhatIsBeingWritten(t *testing.T) {
	c, err := openCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	alive, err := c.draft()
	if err != nil {
		t.Fatal(err)
	}
	defer alive.discard()
	dead, err := c.draft()
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Close(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	if _, err := openCache(c.dir); err != nil { // the next process
		t.Fatal(err)
	}
	if _, err := os.Stat(dead.Name()); err == nil {
		t.Error("what a dead process left is still there")
	}
	if _, err := os.Stat(alive.Name()); err != nil {
		t.Error("what is being written was removed")
	}
}

func TestCacheDirectoryThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", filepath.Join(file, "cache")} {
		if _, err := New(Config{Indexes: []IndexConfig{{URL: "http://127.0.0.1/"}}, CacheDir: dir, Getenv: noEnv}); err == nil {
			t.Errorf("%q: no error", dir)
		}
	}
}
