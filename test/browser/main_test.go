package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/cli"
	"reqpm/internal/web/pagetest"
)

// beReqpm is set for processes that are to be the program under test.
const beReqpm = "REQPM_BROWSER_PROGRAM"

func TestMain(m *testing.M) {
	chroot.Init()
	if os.Getenv(beReqpm) != "" {
		os.Unsetenv(beReqpm)
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := cli.Execute(ctx, "test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	code := m.Run()
	past.close()
	work.close()
	full.close()
	small.Remove()
	chrome.close()
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// server is a process that serves one state directory, always at the same address.
type server struct {
	dir    string
	env    []string
	flags  []string
	url    string
	cookie *http.Cookie // of the administrator that login made
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{}
}

const (
	adminName     = "mira"
	adminPassword = "correct horse battery"
)

// start begins to serve and waits until the server listens. It returns the link that makes the first administrator, "" where
// there is one.
func (s *server) start() (adminLink string, err error) {
	listen := "127.0.0.1:0"
	if s.url != "" { // again where it was: pages are open
		listen = strings.TrimPrefix(s.url, "http://")
	}
	args := append([]string{"serve", "--state", filepath.Join(s.dir, "state"), "--database", filepath.Join(s.dir, "state", "reqpm.db"), "--listen", listen, "--min-free", "0"}, s.flags...)
	s.cmd, s.ended = exec.Command("/proc/self/exe", args...), make(chan struct{})
	s.cmd.Dir = s.dir
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + filepath.Join(s.dir, "tmp"), beReqpm + "=1", "PIP_CONFIG_FILE=" + os.DevNull,
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "GIT_CONFIG_NOSYSTEM=1"}, s.env...)
	s.cmd.Stderr = &s.stderr
	for _, dir := range []string{"tmp", "state"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return "", err
		}
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := s.cmd.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // how it ended does not matter: tests kill it
	}()
	var said struct {
		URL       string `json:"url"`
		AdminLink string `json:"admin_link"`
	}
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		s.stop(syscall.SIGKILL)
		return "", fmt.Errorf("the server does not listen: %w\n%s", err, s.stderr.String())
	}
	s.url = said.URL
	return said.AdminLink, nil
}

func (s *server) stop(sig syscall.Signal) {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(sig)
		<-s.ended
	}
}

// login makes the first administrator and logs in, without a browser.
func (s *server) login(adminLink string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar, Timeout: time.Minute}
	form := url.Values{"name": {adminName}, "password": {adminPassword}}
	for _, path := range []string{adminLink, s.url + "/login"} {
		r, err := http.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", s.url)
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode >= 400 {
			return fmt.Errorf("%s answers %d", path, answer.StatusCode)
		}
	}
	at, err := url.Parse(s.url)
	if err != nil {
		return err
	}
	for _, c := range jar.Cookies(at) {
		s.cookie = c
	}
	if s.cookie == nil {
		return fmt.Errorf("no session after logging in as %s", adminName)
	}
	return nil
}

// get is a page as the server sends it.
func (s *server) get(t testing.TB, path string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	must(t, err)
	r.AddCookie(s.cookie)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(answer.Body)
	must(t, err)
	return answer, body.String()
}

// past is the server that shows what pagetest has made up. It builds nothing. All tests that change nothing share it.
var past shared

// small is what it shows.
var small pagetest.Past

type shared struct {
	once sync.Once
	s    *server
	err  error
	fill func(ctx context.Context, state string) error // makes a state directory; nil: with what pagetest.Seed makes
}

func (p *shared) close() {
	if p.s != nil {
		p.s.stop(syscall.SIGKILL)
		os.RemoveAll(p.s.dir)
	}
}

// get is the server that shows what was made up, with an administrator who has logged in.
func (p *shared) get(t testing.TB) *server {
	t.Helper()
	p.once.Do(func() {
		fill := p.fill
		if fill == nil {
			fill = small.Copy
		}
		p.s, p.err = newPast(context.Background(), fill)
	})
	must(t, p.err)
	return p.s
}

func newPast(ctx context.Context, fill func(ctx context.Context, state string) error) (*server, error) {
	dir, err := os.MkdirTemp("", "reqpm-pages-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, flags: []string{"--roles", "web"}}
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o755); err != nil {
		return s, err
	}
	if err := fill(ctx, filepath.Join(dir, "state")); err != nil {
		return s, err
	}
	link, err := s.start()
	if err != nil {
		return s, err
	}
	return s, s.login(link)
}
