package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/cli"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
	"reqpm/internal/testindex"
)

// beReqpm is set for processes that are to be the program under test.
const beReqpm = "REQPM_SERVICE_PROGRAM"

func TestMain(m *testing.M) {
	chroot.Init()
	if os.Getenv(beReqpm) != "" {
		os.Unsetenv(beReqpm)
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := 0
		if os.Getenv(quickDir) != "" {
			code = cli.ExecuteWith(ctx, newQuick, "test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		} else {
			code = cli.Execute(ctx, "test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		}
		stop()
		os.Exit(code)
	}
	code := storetest.Run(m)
	if quickly.dir != "" {
		os.RemoveAll(quickly.dir)
	}
	os.Exit(code)
}

// quickly is the folder of what the quick builder has made, for all tests.
var quickly struct {
	once sync.Once
	dir  string
	err  error
}

func quickMade(t *testing.T) string {
	t.Helper()
	quickly.once.Do(func() { quickly.dir, quickly.err = os.MkdirTemp("", "reqpm-quick-") })
	must(t, quickly.err)
	return quickly.dir
}

// need skips where a real build cannot run.
func need(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes minutes")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: build roots are mounted")
	}
	needTools(t, "bwrap")
}

// needQuick skips where what the quick builder needs is missing.
func needQuick(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	needTools(t)
}

func needTools(t *testing.T, more ...string) {
	t.Helper()
	for _, tool := range append(more, "git", "rpm", "rpmbuild", "rpmsign", "gpg", "dnf", "createrepo_c", "/usr/bin/python3") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
}

// bed is a project with its index, a state directory and a database.
type bed struct {
	t             *testing.T
	dir, database string
	index         *testindex.Server
	url, token    string
	real          bool         // the processes ask the index that pip asks, and not the test's
	quick         string       // folder of the quick builder, where that is to be the processes'
	store         *store.Store // the database, beside the processes; nil: the test asks by HTTP only
	env           []string     // of every program, beside what it needs anyway
}

var packages = []testindex.Package{
	{Name: "tool-base", Version: "1.0"},
	{Name: "tool-top", Version: "2.1", BuildRequires: []string{"tool-base"}},
	{Name: "lib-a", Version: "1.4", BuildRequires: []string{"tool-top>=2"}},
	{Name: "lib-b", Version: "0.3", BuildRequires: []string{"tool-top"}, Requires: []string{"lib-a>=1"}},
	{Name: "core", Version: "3.2", BuildRequires: []string{"tool-base"}, Requires: []string{"lib-b"}},
}

func newBed(t *testing.T, database string) *bed {
	t.Helper()
	dir, err := os.MkdirTemp("", "reqpm-svc-") // short: socket and mount paths are below it
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bed{t: t, dir: dir, database: database}
	b.index, err = testindex.Start(packages...)
	must(t, err)
	t.Cleanup(b.index.Close)
	for _, d := range []string{filepath.Join(dir, "tmp"), filepath.Join(dir, "home")} {
		must(t, os.MkdirAll(d, 0o755))
	}
	makeRepository(t, filepath.Join(dir, "project"), "core>=3\n")
	return b
}

// makeRepository makes a Git repository of a project with these requirements.
func makeRepository(t *testing.T, dir, requirements string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte(requirements), 0o644))
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-q", "-m", "The project"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command is the program with the bed's state and database.
func (b *bed) command(args ...string) *exec.Cmd {
	if !slices.Contains(args, "--state") {
		args = append(args, "--state", filepath.Join(b.dir, "state"))
	}
	cmd := exec.Command("/proc/self/exe", append(args, "--database", b.database)...)
	cmd.Dir = b.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(b.dir, "home"), "TMPDIR=" + filepath.Join(b.dir, "tmp"), beReqpm + "=1",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "GIT_CONFIG_NOSYSTEM=1"}
	if !b.real {
		cmd.Env = append(cmd.Env, "PIP_CONFIG_FILE="+os.DevNull, "PIP_INDEX_URL="+b.index.URL)
	}
	if b.quick != "" {
		cmd.Env = append(cmd.Env, quickDir+"="+b.quick)
	}
	cmd.Env = append(cmd.Env, b.env...)
	return cmd
}

// process is a server or a worker.
type process struct {
	cmd    *exec.Cmd
	stderr output
	ended  chan struct{}
}

// output is what a process has said so far; it may go on while that is read.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (b *bed) start(out io.Writer, args ...string) *process {
	b.t.Helper()
	p := &process{cmd: b.command(args...), ended: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Stdout = &p.stderr, out
	must(b.t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended does not matter: tests kill it
	}()
	b.t.Cleanup(func() {
		p.stop(syscall.SIGKILL)
		if b.t.Failed() {
			b.t.Logf("%v said:\n%s", args, p.stderr.String())
		}
	})
	return p
}

func (p *process) stop(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	<-p.ended
}

// serve starts the server and waits until it listens.
func (b *bed) serve(more ...string) *process {
	b.t.Helper()
	read, write, err := os.Pipe()
	must(b.t, err)
	p := b.start(write, append([]string{"serve", "--listen", "127.0.0.1:0", "--allow-source", "local", "--public-repositories", "--lease", "3s", "--min-free", "0"}, more...)...)
	must(b.t, write.Close())
	line, err := bufio.NewReader(read).ReadBytes('\n')
	if err != nil {
		<-p.ended
		b.t.Fatalf("the server does not listen: %v\n%s", err, p.stderr.String())
	}
	var said struct{ Event, URL string }
	must(b.t, json.Unmarshal(line, &said))
	b.url = said.URL
	return p
}

// makeToken lets the test in as an admin.
func (b *bed) makeToken() {
	b.t.Helper()
	out, err := b.command("token", "create", "--role", "admin", "--name", "test", "--json").Output()
	must(b.t, err)
	var said struct{ Token string }
	must(b.t, json.Unmarshal(out, &said))
	b.token = said.Token
}

// ask makes a request and reads the answer into a value; it returns the status.
func (b *bed) ask(method, path string, body, into any) int {
	b.t.Helper()
	status, text := b.raw(method, path, body, nil)
	if into != nil && status < 300 {
		b.read(text, into)
	}
	return status
}

// read reads an answer into a value.
func (b *bed) read(text []byte, into any) {
	b.t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		b.t.Fatalf("%v\n%s", err, text)
	}
}

func (b *bed) raw(method, path string, body any, header http.Header) (int, []byte) {
	b.t.Helper()
	status, _, text := b.answer(method, path, body, header)
	return status, text
}

func (b *bed) answer(method, path string, body any, header http.Header) (int, http.Header, []byte) {
	b.t.Helper()
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, bytes.NewReader(text))
	must(b.t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	must(b.t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	must(b.t, err)
	return answer.StatusCode, answer.Header, data
}

// follow reads events after a number until want is content with one; it returns that one's number.
func (b *bed) follow(after int64, want func(kind string, data map[string]any) bool) int64 {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/api/v1/events?after=%d", b.url, max(after, 1)-1), nil)
		must(b.t, err)
		r.Header.Set("Authorization", "Bearer "+b.token)
		answer, err := http.DefaultClient.Do(r)
		must(b.t, err)
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			text, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var e struct {
				ID   int64
				Kind string
				Data map[string]any
			}
			must(b.t, json.Unmarshal([]byte(text), &e))
			if e.ID <= after {
				continue
			}
			after = e.ID
			if want(e.Kind, e.Data) {
				answer.Body.Close()
				return after
			}
		}
		answer.Body.Close()
	}
	b.t.Fatal("what was waited for did not happen")
	return 0
}
