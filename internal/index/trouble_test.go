package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// after answers the first n requests in one way and the others in another.
func after(n int64, bad, good http.HandlerFunc) http.HandlerFunc {
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) <= n {
			bad(w, r)
			return
		}
		good(w, r)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

func body(contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, text)
	}
}

// hangUp closes the connection in the middle of a promised body.
func hangUp(sent string, promised int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", promised, sent)
		conn.Close()
	}
}

const goodPage = `{"meta":{"api-version":"1.0"},"files":[{"filename":"foo-1.0.zip","url":"/files/foo-1.0.zip"}]}`

func TestPageTrouble(t *testing.T) {
	good := body("application/json", goodPage)
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		kind    error // nil: the page is had in the end
		says    string
		times   int // requests, at most
	}{
		{"busy twice, then well", after(2, status(503), good), nil, "", 3},
		{"too many requests, then well", after(1, status(429), good), nil, "", 2},
		{"cut off once", after(1, hangUp(goodPage[:20], len(goodPage)), good), nil, "", 2},
		{"hung up without an answer", after(1, hangUp("", 0), good), nil, "", 2},
		{"proxy's page once", after(1, body("text/html", "<h1>Bad gateway</h1>"), good), nil, "", 2},
		{"not JSON by itself but HTML when asked", func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept"), "json") {
				w.WriteHeader(http.StatusNotAcceptable)
				return
			}
			body("text/html", `<a href="foo-1.0.zip">x</a>`)(w, r)
		}, nil, "", 2},
		{"always busy", status(503), ErrUnavailable, "HTTP 503 Service Unavailable (tried 4 times)", 4},
		{"always cut off", hangUp(goodPage[:20], len(goodPage)), ErrUnavailable, "cut off", 4},
		{"not found", status(404), ErrNotFound, "foo", 1},
		{"gone", status(410), ErrNotFound, "foo", 1},
		{"unauthorized", status(401), ErrUnavailable, "credentials", 1},
		{"forbidden", status(403), ErrUnavailable, "access refused", 1},
		{"not implemented", status(501), ErrUnavailable, "HTTP 501", 1},
		{"a login page", body("text/html", "<title>Sign in</title><form>Please sign in</form>"), ErrUnavailable, "HTML page", 2},
		{"an HTML page that says it is JSON", body("application/json", "<html><body>Oops</body></html>"), ErrUnavailable, "HTML page", 2},
		{"garbage", body("application/json", `{"files":[{"filename"`), ErrUnavailable, "cut off", 2},
		{"something else", body("text/plain", "hello"), ErrUnavailable, "neither JSON nor HTML", 2},
		{"nothing", body("application/json", ""), ErrUnavailable, "empty", 2},
		{"another API version", body("application/json", `{"meta":{"api-version":"2.0"},"files":[]}`), ErrUnavailable, "version", 2},
		{"larger than allowed", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(maxPage+1))
			w.WriteHeader(200)
		}, ErrUnavailable, "larger than", 1},
		{"redirects for ever", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, ErrUnavailable, "redirects", 11},
		{"redirected to a file", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, ErrUnavailable, "http", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeIndex(t)
			f.handle(f.page("foo"), c.handler)
			cfg := f.config(t)
			cfg.Indexes[0].URL = strings.Replace(cfg.Indexes[0].URL, "http://", "http://me:hidden@", 1)
			client := newClient(t, cfg)
			files, err := client.Files(context.Background(), "foo")
			if c.kind == nil {
				if err != nil || len(files) != 1 {
					t.Fatalf("%v, %v", names(files), err)
				}
			} else {
				if !errors.Is(err, c.kind) {
					t.Fatalf("error %v, want kind %v", err, c.kind)
				}
				if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), f.URL) || strings.Contains(err.Error(), "hidden") {
					t.Errorf("message %q, want %q and %s in it, and no password", err, c.says, f.URL)
				}
			}
			if n := f.times(f.page("foo")); n > c.times {
				t.Errorf("asked %d times, want at most %d", n, c.times)
			}
			if errors.Is(c.kind, ErrUnavailable) {
				// Nonsense must not have been kept.
				if _, ok := client.cache.get("pages", f.URL+f.page("foo")); ok {
					t.Error("the bad page is in the cache")
				}
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c := newClient(t, Config{Indexes: []IndexConfig{{URL: "http://" + address + "/simple"}}, CacheDir: t.TempDir(), Backoff: time.Millisecond, Retries: 2})
	_, err = c.Files(context.Background(), "foo")
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "tried 3 times") || !strings.Contains(err.Error(), address) {
		t.Errorf("error %v", err)
	}
	if s := c.Stats(); s.Retries != 2 || s.Requests != 3 {
		t.Errorf("%+v", s)
	}
}

// TestSlowIndex: an index that says nothing, and one that drips, are both given up.
func TestSlowIndex(t *testing.T) {
	silent := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	drip := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}
	for name, h := range map[string]http.HandlerFunc{"silent": silent, "drip": drip} {
		t.Run(name, func(t *testing.T) {
			f := newFakeIndex(t)
			f.handle(f.page("foo"), h)
			cfg := f.config(t)
			cfg.Timeout, cfg.Retries = 100*time.Millisecond, 1
			_, err := newClient(t, cfg).Files(context.Background(), "foo")
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no answer within 100ms (tried 2 times)") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCallerGivesUp(t *testing.T) {
	f := newFakeIndex(t)
	arrived := make(chan struct{})
	f.handle(f.page("foo"), func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	_, err := newClient(t, f.config(t)).Files(ctx, "foo")
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want context.Canceled alone", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "86400": maxWait, "-3": 0, "soon": 0,
		"Thu, 01 Jan 2026 12:00:30 GMT": 30 * time.Second, "Thu, 01 Jan 2026 11:00:00 GMT": 0, "Fri, 02 Jan 2026 12:00:00 GMT": maxWait,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	f := &fetcher{backoff: 100 * time.Millisecond}
	if got := f.wait(0, &statusError{status: 429, retryAfter: 9 * time.Second}); got != 9*time.Second {
		t.Errorf("waits %v where the server asked for 9 s", got)
	}
	for try := range 40 {
		if got := f.wait(try, io.ErrUnexpectedEOF); got < 100*time.Millisecond || got > maxWait {
			t.Errorf("try %d waits %v", try, got)
		}
	}
}

func TestDownloadTrouble(t *testing.T) {
	content := gz("the real thing")
	serve := func(b []byte) http.HandlerFunc { return body("application/octet-stream", string(b)) }
	entry := func(change func(map[string]any)) func(map[string]any) { return change }
	noHash := entry(func(e map[string]any) { delete(e, "hashes"); delete(e, "size") })
	for _, c := range []struct {
		name    string
		change  func(map[string]any)
		handler http.HandlerFunc
		kind    error
		says    string
	}{
		{"well", nil, nil, nil, ""},
		{"cut off once", nil, after(1, hangUp("xx", 20), serve(content)), nil, ""},
		{"wrong once", nil, after(1, serve(gz("another")), serve(content)), nil, ""},
		{"wrong", entry(func(e map[string]any) { delete(e, "size") }), serve(gz("another")), ErrHash, sum(content)},
		{"another size", nil, serve(gz("much longer than the real thing")), ErrHash, "promised"},
		{"only md5, wrong", entry(func(e map[string]any) { e["hashes"] = map[string]string{"md5": strings.Repeat("0", 32)} }), nil, ErrHash, "md5"},
		{"only sha512, wrong", entry(func(e map[string]any) { e["hashes"] = map[string]string{"sha512": strings.Repeat("0", 128)} }), nil, ErrHash, "sha512"},
		{"no hash", noHash, nil, nil, ""},
		{"no hash, an error page", noHash, body("text/html", "<h1>Oops</h1>"), ErrUnavailable, "not an archive"},
		{"gone", nil, status(404), ErrNotFound, "foo-1.0.tar.gz"},
		{"busy", nil, status(502), ErrUnavailable, "HTTP 502"},
		{"a part nobody asked for", nil, status(206), ErrUnavailable, "HTTP 206"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeIndex(t)
			f.add("foo", map[string][]byte{"foo-1.0.tar.gz": content}, c.change)
			if c.handler != nil {
				f.handle("/files/foo-1.0.tar.gz", c.handler)
			}
			client := newClient(t, f.config(t))
			path, err := client.Download(context.Background(), oneFile(t, client, "foo"))
			if c.kind == nil {
				got, rerr := os.ReadFile(path)
				if err != nil || rerr != nil || string(got) != string(content) {
					t.Fatalf("%q: %v %v", path, err, rerr)
				}
				if info, _ := os.Stat(path); info.Mode().Perm() != 0o444 {
					t.Errorf("mode %v, want read-only", info.Mode())
				}
			} else if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want kind %q and %q in it", err, c.kind, c.says)
			}
			checkNothingHalf(t, client, c.kind != nil)
		})
	}
}

// checkNothingHalf looks for drafts left behind, and for files where none should be.
func checkNothingHalf(t *testing.T, c *Client, failed bool) {
	t.Helper()
	if left, _ := os.ReadDir(c.cache.tmp()); len(left) != 0 {
		t.Errorf("%d drafts left in the cache", len(left))
	}
	files, _ := filepath.Glob(filepath.Join(c.cache.dir, "files", "*", "*", "*"))
	if failed != (len(files) == 0) {
		t.Errorf("files in the cache: %v", files)
	}
}

func TestDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("needs /dev/full")
	}
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.0.tar.gz": gz("x")}, nil)
	client := newClient(t, f.config(t))
	file := oneFile(t, client, "foo")
	var n atomic.Int64
	client.cache.create = func(dir string) (*os.File, error) {
		name := filepath.Join(dir, fmt.Sprintf("full-%d", n.Add(1)))
		if err := os.Symlink("/dev/full", name); err != nil {
			return nil, err
		}
		return os.OpenFile(name, os.O_WRONLY, 0)
	}
	_, err := client.Download(context.Background(), file)
	if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "cache") {
		t.Errorf("error %v, want one about the full disk", err)
	}
	if got := f.times("/files/foo-1.0.tar.gz"); got != 1 {
		t.Errorf("asked the index %d times: a full disk is not its fault", got)
	}
	checkNothingHalf(t, client, true)
	f.add("bar", map[string][]byte{"bar-1.0.tar.gz": gz("x")}, nil)
	if _, err := client.Files(context.Background(), "bar"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a page that cannot be kept: %v", err)
	}
}

func TestBoundedBody(t *testing.T) {
	var count atomic.Int64
	read := func(text string, limit int64) error {
		b := &boundedBody{r: strings.NewReader(text), left: limit, limit: limit, alive: func() {}, count: &count}
		_, err := io.ReadAll(b)
		return err
	}
	if err := read("12345", 5); err != nil {
		t.Errorf("as much as allowed: %v", err)
	}
	var big tooBigError
	if err := read("123456", 5); !errors.As(err, &big) {
		t.Errorf("more than allowed: %v", err)
	}
}

// TestAtMostSixteenRequests holds all requests until no more come.
func TestAtMostSixteenRequests(t *testing.T) {
	var now, most atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		if n == maxRequests {
			once.Do(func() { close(full) })
		}
		<-full
		body("application/json", goodPage)(w, r)
	}))
	defer f.Close()
	c := newClient(t, Config{Indexes: []IndexConfig{{URL: f.URL}}, CacheDir: t.TempDir()})
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() { c.Files(context.Background(), fmt.Sprintf("p%d", i)) })
	}
	wg.Wait()
	if m := most.Load(); m != maxRequests {
		t.Errorf("%d requests at the same time, want %d", m, maxRequests)
	}
}
