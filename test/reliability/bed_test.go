package reliability

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/pipeline"
	"reqpm/internal/testindex"
)

// bed is one project with its index and the folders that builds of it work in.
type bed struct {
	dir     string // state directories are below it
	project string
	links   string // what --find-links names: the sdist in C
	server  *testindex.Server
}

// newBed makes a project in dir and serves its packages to the end of the process.
func newBed(t *testing.T, dir string) *bed {
	t.Helper()
	b := &bed{dir: dir, project: filepath.Join(dir, "demo"), links: filepath.Join(dir, "links")}
	for _, d := range []string{b.project, b.links, b.tmp(), filepath.Join(dir, "home")} {
		must(t, os.MkdirAll(d, 0o755))
	}
	writeProject(t, b.project)
	name, data := quick(t)
	must(t, os.WriteFile(filepath.Join(b.links, name), data, 0o644))
	var err error
	b.server, err = testindex.Start(packages()...)
	must(t, err)
	return b
}

// freshBed is a bed for one test.
func freshBed(t *testing.T) *bed {
	t.Helper()
	dir, err := os.MkdirTemp("", "reqpm-rel-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := newBed(t, dir)
	t.Cleanup(b.server.Close)
	return b
}

// tmp is TMPDIR of the processes: nothing may stay there either.
func (b *bed) tmp() string { return filepath.Join(b.dir, "tmp") }

func (b *bed) state(name string) string { return filepath.Join(b.dir, name) }

// process is one running reqpm.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	events chan event // closed at the end
	done   chan struct{}

	mu    sync.Mutex
	stage string
	seen  []event
}

// event is any line of --json: an event, the summary or an error.
type event struct {
	pipeline.Event
	Built      []pipeline.Outcome `json:"built"`
	Reused     []pipeline.Outcome `json:"reused"`
	Failed     []pipeline.Outcome `json:"failed"`
	Repository string             `json:"repository"`
	Proof      *pipeline.Proof    `json:"proof"`
	Error      string             `json:"error"` // in a summary
}

// result is how a process ended.
type result struct {
	code    int // -1: by a signal
	stderr  string
	events  []event
	seconds float64
}

// summary is the last word of a run that came to its end.
func (r result) summary(t *testing.T) event {
	t.Helper()
	for _, e := range r.events {
		if e.Event.Event == "summary" {
			return e
		}
	}
	t.Fatalf("no summary; exit %d, stderr:\n%s", r.code, r.stderr)
	return event{}
}

// message is what the last line says of the error.
func (r result) message() string {
	for i := len(r.events) - 1; i >= 0; i-- {
		switch e := r.events[i]; e.Event.Event {
		case "error":
			return e.Message
		case "summary":
			return e.Error
		}
	}
	return ""
}

// why is everything that a failed run says.
func (r result) why() string {
	text := fmt.Sprintf("exit %d: %s\n%s", r.code, r.message(), r.stderr)
	for _, e := range r.events {
		for _, f := range e.Failed {
			text += fmt.Sprintf("\nfailed %s: %s (%s)", f.Name, f.Cause, f.Log)
			if log, err := os.ReadFile(f.Log); err == nil {
				text += "\n" + string(log[max(0, len(log)-2000):])
			}
		}
		if e.Event.Event == "warning" {
			text += "\nwarning " + e.Message
		}
	}
	return text
}

// command is `reqpm build` of the project with a state directory of that name.
func (b *bed) command(state string, more ...string) *exec.Cmd {
	args := append([]string{"build", b.project, "--json", "--name", "demo", "--state", b.state(state), "--slots", "2",
		"--index-url", b.server.URL, "--find-links", b.links}, more...)
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Dir = b.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(b.dir, "home"), "TMPDIR=" + b.tmp(), beReqpm + "=1",
		"PIP_CONFIG_FILE=" + os.DevNull, "PIP_RETRIES=0", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "GIT_CONFIG_NOSYSTEM=1"}
	return cmd
}

// start starts cmd and reads its events.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, events: make(chan event, 10000), done: make(chan struct{})}
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = &p.stderr
	must(t, cmd.Start())
	go p.read(out)
	return p
}

func (p *process) read(out io.Reader) {
	defer close(p.done)
	defer close(p.events)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		p.mu.Lock()
		p.seen = append(p.seen, e)
		if e.Event.Event == "stage" {
			p.stage = e.Stage
		}
		p.mu.Unlock()
		p.events <- e
	}
}

// at is the stage the process has reached.
func (p *process) at() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stage
}

// until waits for an event; false when the process ended before.
func (p *process) until(want func(event) bool) bool {
	for e := range p.events {
		if want(e) {
			return true
		}
	}
	return false
}

// wait waits for the end.
func (p *process) wait(t *testing.T) result {
	t.Helper()
	<-p.done
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{code: p.cmd.ProcessState.ExitCode(), stderr: p.stderr.String(), events: p.seen}
}

// ended tells whether the process ends within d.
func (p *process) ended(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// build runs to the end.
func (b *bed) build(t *testing.T, state string, more ...string) result {
	t.Helper()
	started := time.Now()
	r := start(t, b.command(state, more...)).wait(t)
	r.seconds = time.Since(started).Seconds()
	return r
}

// mustBuild is build that must succeed.
func (b *bed) mustBuild(t *testing.T, state string, more ...string) result {
	t.Helper()
	r := b.build(t, state, more...)
	if r.code != 0 {
		t.Fatal(r.why())
	}
	return r
}

// gate is a door in front of the index that shuts after some requests: later connections
// are refused, until it is opened again for good.
type gate struct {
	address string
	target  *url.URL
	server  *http.Server
	left    atomic.Int64
}

func (b *bed) newGate(t *testing.T, requests int64) *gate {
	t.Helper()
	target, err := url.Parse(b.server.URL)
	must(t, err)
	target.Path = ""
	g := &gate{address: "127.0.0.1:0", target: target}
	g.left.Store(requests)
	g.open(t)
	t.Cleanup(func() { g.server.Close() })
	return g
}

// open serves, at the same address each time.
func (g *gate) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", g.address)
	must(t, err)
	g.address = l.Addr().String()
	server, proxy := &http.Server{}, httputil.NewSingleHostReverseProxy(g.target)
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		left := g.left.Add(-1)
		if left == -1 {
			_ = l.Close() // with the listener gone, new connections are refused
		}
		if left < 0 {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	})
	g.server = server
	go server.Serve(l) // ends with Close
}

// reopen opens for good.
func (g *gate) reopen(t *testing.T) {
	t.Helper()
	g.server.Close()
	g.left.Store(math.MaxInt64)
	g.open(t)
}

func (g *gate) url() string { return "http://" + g.address + "/simple" }
