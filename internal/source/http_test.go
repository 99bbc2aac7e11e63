package source

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// gitServer serves the repositories under dir by git http-backend, as forges do; token
// "" lets everybody in.
func gitServer(t *testing.T, dir, token string) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	needGit(t)
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Skip("git --exec-path fails")
	}
	backend := filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skip("git http-backend is not installed")
	}
	var authorized atomic.Int32
	serve := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}, InheritEnv: []string{"PATH"}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); token != "" && (!ok || password != token) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			http.Error(w, "no", http.StatusUnauthorized)
			return
		} else if ok {
			authorized.Add(1)
		}
		serve.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv, &authorized
}

func loopback(t *testing.T, url string) Request {
	return Request{URL: url, Dir: filepath.Join(t.TempDir(), "state"), Allow: Policy{Loopback: true, HTTP: true}}
}

func serveRepo(t *testing.T) (r repo, dir string) {
	r = newRepo(t)
	return r, filepath.Dir(r.dir)
}

func TestFetchOverHTTP(t *testing.T) {
	r, dir := serveRepo(t)
	first := r.commit("a", "one")
	r.git("tag", "v1")
	second := r.commit("a", "two")
	third := r.commit("a", "three")
	srv, _ := gitServer(t, dir, "")
	for ref, want := range map[string]string{"": third, "v1": first, second: second, second[:8]: second} {
		req := loopback(t, srv.URL+"/"+filepath.Base(r.dir))
		req.Ref = ref
		got := mustFetch(t, req)
		if got.Commit != want {
			t.Errorf("%q: got %s, want %s", ref, got.Commit, want)
		}
		if want == third && got.Describe != "v1-2-g"+third[:7] {
			t.Errorf("describe %q, warnings %q", got.Describe, got.Warnings)
		}
	}
	_, err := Fetch(t.Context(), loopback(t, srv.URL+"/"+filepath.Base(r.dir)+"-not"))
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("a missing repository: %v", err)
	}
}

func TestTokenFromAFile(t *testing.T) {
	r, dir := serveRepo(t)
	commit := r.commit("a", "one")
	srv, authorized := gitServer(t, dir, "tok-en'$x")
	file := filepath.Join(t.TempDir(), "it's a token")
	req := loopback(t, srv.URL+"/"+filepath.Base(r.dir))
	if _, err := Fetch(t.Context(), req); !errors.Is(err, ErrAuth) || !errors.Is(err, ErrNetwork) {
		t.Errorf("without a token: %v", err)
	}
	if err := os.WriteFile(file, []byte("wrong-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	req.TokenFile = file
	if _, err := Fetch(t.Context(), req); !errors.Is(err, ErrAuth) || strings.Contains(err.Error(), "wrong-token") {
		t.Errorf("with a wrong token: %v", err)
	}
	if err := os.WriteFile(file, []byte("tok-en'$x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := mustFetch(t, req)
	if got.Commit != commit || authorized.Load() == 0 {
		t.Errorf("got %s", got.Commit)
	}
	// Nothing that stays holds the token.
	err := filepath.WalkDir(req.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("tok-en")) {
			t.Errorf("%s holds the token", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTokenIsNotInTheProcessList looks at the command lines and environments of
// everything that runs while the server answers.
func TestTokenIsNotInTheProcessList(t *testing.T) {
	r, dir := serveRepo(t)
	r.commit("a", "one")
	const token = "tok-3c1f9a-en"
	back, _ := gitServer(t, dir, token)
	looked := 0
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
			files, _ := filepath.Glob(pattern)
			for _, f := range files {
				if strings.HasPrefix(f, "/proc/"+strconv.Itoa(os.Getpid())+"/") {
					continue
				}
				data, _ := os.ReadFile(f)
				if bytes.Contains(data, []byte("ls-remote")) {
					looked++
				}
				if bytes.Contains(data, []byte(token)) {
					t.Errorf("%s: %q", f, data)
				}
			}
		}
		back.Config.Handler.ServeHTTP(w, req)
	}))
	t.Cleanup(front.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	req := loopback(t, front.URL+"/"+filepath.Base(r.dir))
	req.TokenFile = file
	mustFetch(t, req)
	if looked == 0 {
		t.Skip("/proc shows no other processes")
	}
}

func TestRedirections(t *testing.T) {
	r, dir := serveRepo(t)
	commit := r.commit("a", "one")
	srv, _ := gitServer(t, dir, "")
	name := "/" + filepath.Base(r.dir)
	var target atomic.Value
	mux := http.NewServeMux()
	mux.HandleFunc("/moved/", func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, target.Load().(string)+strings.TrimPrefix(req.URL.Path, "/moved")+"?"+req.URL.RawQuery, http.StatusMovedPermanently)
	})
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)

	target.Store(srv.URL + name)
	if got := mustFetch(t, loopback(t, front.URL+"/moved")); got.Commit != commit {
		t.Errorf("got %s", got.Commit)
	}
	var bad *URLError
	target.Store(front.URL + "/moved")
	if _, err := Fetch(t.Context(), loopback(t, front.URL+"/moved")); !errors.As(err, &bad) || !strings.Contains(bad.Reason, "circle") {
		t.Errorf("a circle: %v", err)
	}
	target.Store("ftp://example.org")
	if _, err := Fetch(t.Context(), loopback(t, front.URL+"/moved")); !errors.As(err, &bad) {
		t.Errorf("another protocol: %v", err)
	}
	// The other server is another host for a token.
	target.Store(strings.Replace(srv.URL, "127.0.0.1", "localhost", 1) + name)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("x1x2x3"), 0o600); err != nil {
		t.Fatal(err)
	}
	req := loopback(t, front.URL+"/moved")
	req.TokenFile = file
	if _, err := Fetch(t.Context(), req); !errors.As(err, &bad) || !strings.Contains(bad.Reason, "token is not sent") {
		t.Errorf("another host with a token: %v", err)
	}
}

// A run goes on with the commit it began with, also while the server is away. Others have to ask: they may
// not be let in any more.
func TestACommitIsHadAgainWithoutTheServer(t *testing.T) {
	r, dir := serveRepo(t)
	req := loopback(t, "")
	req.Ref = r.commit("a", "one")
	srv, _ := gitServer(t, dir, "")
	req.URL = srv.URL + "/" + filepath.Base(r.dir)
	first := mustFetch(t, req)
	srv.Close()
	if _, err := Fetch(t.Context(), req); !errors.Is(err, ErrNetwork) {
		t.Errorf("a checkout without asking: %v", err)
	}
	req.Again = true
	if got := mustFetch(t, req); got.Dir != first.Dir {
		t.Errorf("another checkout: %s", got.Dir)
	}
}

func TestDeadServerIsANetworkError(t *testing.T) {
	needGit(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String() + "/x"
	l.Close()
	_, err = Fetch(t.Context(), loopback(t, url))
	if !errors.Is(err, ErrNetwork) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestCancelEndsGitAndItsChildren(t *testing.T) {
	needGit(t)
	asked := make(chan struct{}, 1)
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-release
	}))
	t.Cleanup(func() { close(release); srv.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	req := loopback(t, srv.URL+"/hangs")
	start := time.Now()
	_, err := Fetch(ctx, req)
	if !errors.Is(err, context.Canceled) || time.Since(start) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
	// git-remote-http has the URL in its command line. A killed process may take a moment to go.
	for deadline := time.Now().Add(5 * time.Second); ; {
		left := processesWith(srv.URL)
		if left == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("still running: %s", left)
			break
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // nothing signals the end of somebody else's child
	}
	entries, err := os.ReadDir(req.Dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func processesWith(text string) string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if data, _ := os.ReadFile(f); bytes.Contains(data, []byte(text)) {
			return string(data)
		}
	}
	return ""
}
