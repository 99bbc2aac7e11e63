package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reqpm/internal/engine"
	"reqpm/internal/store"
)

// The commands against a server: the real one, whose steps are scripted.

// script is what the steps of the server under test do.
type script struct {
	mu    sync.Mutex
	fails map[string]bool          // package names whose builds fail
	holds map[string]chan struct{} // builds that wait until their channel is closed
	log   string                   // what each build writes, besides its name
	check string                   // what a check of a spec file finds, as the service's own result
	newer string                   // what the update check finds of a set that has been resolved; "": there was none
}

func (s *script) set(do func(s *script)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s)
}

// hostile is text that would clear a terminal.
const hostile = "wicked \x1b[2J\x07 text"

const rpmText = "these are the bytes of an RPM, as far as this test goes"

func (s *script) work(p *parts) map[store.Kind]engine.Handler {
	ok := func(context.Context, store.Step) (engine.Result, error) { return engine.Result{}, nil }
	handlers := map[store.Kind]engine.Handler{store.Checkout: ok, store.Analyze: ok, store.Resolve: ok, store.Specs: ok}
	handlers[store.Resolve] = func(ctx context.Context, step store.Step) (engine.Result, error) {
		s.mu.Lock()
		newer := s.newer
		s.mu.Unlock()
		if newer == "" {
			return engine.Result{}, nil
		}
		return engine.Result{}, p.store.PutOutdated(ctx, store.Outdated{Project: step.Project, Target: step.Target, Run: step.Run, Packages: 4, Found: json.RawMessage(newer), Checked: time.Now()})
	}
	handlers[store.Specs] = func(ctx context.Context, step store.Step) (engine.Result, error) {
		text := fmt.Sprintf("Name: python-mid\nVersion: 1.0\nRelease: 1\n# %s\n# written for run %d\n", hostile, step.Run)
		blobName := fmt.Sprintf("specs/%d/%d/python-mid.spec", step.Project, step.Run)
		if _, err := p.blobs.Put(ctx, blobName, strings.NewReader(text)); err != nil {
			return engine.Result{}, err
		}
		_, err := p.store.AddSpecRevision(ctx, store.SpecRevision{Project: step.Project, Target: step.Target, Package: "mid==1.0", Blob: blobName, SHA256: fmt.Sprint(step.Run), Message: "written for a run", Author: "reqpm"})
		return engine.Result{}, err
	}
	handlers[store.Plan] = func(_ context.Context, step store.Step) (engine.Result, error) {
		key := func(name string) string { return "build " + step.Target + " " + name + "==1.0" }
		var add []store.NewStep
		var all []string
		for name, needs := range map[string][]string{"base": nil, "mid": {"base"}, "top": {"mid"}, "alone": nil} {
			n := store.NewStep{Key: key(name), Kind: store.Build, Target: step.Target, Package: name + "==1.0", Expected: 3}
			for _, need := range needs {
				n.Needs = append(n.Needs, key(need))
			}
			add, all = append(add, n), append(all, n.Key)
		}
		add = append(add, store.NewStep{Key: "publish " + step.Target, Kind: store.Publish, Target: step.Target, Needs: all})
		return engine.Result{Add: add}, nil
	}
	handlers[store.Build] = func(ctx context.Context, step store.Step) (engine.Result, error) {
		name, _, _ := strings.Cut(step.Package, "==")
		s.mu.Lock()
		fails, hold, text := s.fails[name], s.holds[name], s.log
		s.mu.Unlock()
		log, err := p.logs.Create(store.LogName(step.Run, step.ID, step.Attempt))
		if err != nil {
			return engine.Result{}, err
		}
		defer log.Close()
		fmt.Fprintf(log, "building %s, %s\n%s", name, hostile, text)
		if hold != nil {
			select {
			case <-hold:
			case <-ctx.Done():
				return engine.Result{}, context.Cause(ctx)
			}
		}
		if fails {
			return engine.Result{}, errors.New("the compiler says: " + hostile)
		}
		file, sum := name+"-1.0-1.noarch.rpm", sha256.Sum256([]byte(rpmText))
		if _, err := p.blobs.Put(ctx, "test/"+file, strings.NewReader(rpmText)); err != nil {
			return engine.Result{}, err
		}
		_, err = p.store.PutArtifact(ctx, store.Artifact{Run: step.Run, Step: step.ID, Kind: "rpm", Name: file, Blob: "test/" + file, Size: int64(len(rpmText)), SHA256: hex.EncodeToString(sum[:])})
		return engine.Result{Data: json.RawMessage(`{"state":"built","seconds":0.25}`)}, err
	}
	handlers[store.Check] = func(ctx context.Context, step store.Step) (engine.Result, error) {
		s.mu.Lock()
		hold, found := s.holds["check"], s.check
		s.mu.Unlock()
		log, err := p.logs.Create(store.LogName(step.Run, step.ID, step.Attempt))
		if err != nil {
			return engine.Result{}, err
		}
		defer log.Close()
		fmt.Fprintf(log, "checking %s, %s\n", step.Package, hostile)
		if hold != nil {
			select {
			case <-hold:
			case <-ctx.Done():
				return engine.Result{}, context.Cause(ctx)
			}
		}
		if found == "" {
			return engine.Result{}, errors.New("there is no build root")
		}
		return engine.Result{Data: json.RawMessage(found)}, nil
	}
	handlers[store.Publish] = func(ctx context.Context, step store.Step) (engine.Result, error) {
		at, err := publishEmpty(p.state, step)
		if err != nil {
			return engine.Result{}, err
		}
		return engine.Result{Data: json.RawMessage(`{"set_name":"app-requirements"}`)}, p.store.Write(ctx, func(tx *store.Tx) error {
			snapshot, err := tx.AddSnapshot(ctx, store.Snapshot{Project: step.Project, Run: step.Run, Target: step.Target, Path: at})
			if err != nil {
				return err
			}
			_, err = tx.PointRepository(ctx, step.Project, "stable", step.Target, snapshot.ID)
			return err
		})
	}
	return handlers
}

// publishEmpty makes an empty snapshot of project app the current one, and says where it is among the repositories.
func publishEmpty(state string, step store.Step) (at string, err error) {
	id := fmt.Sprintf("%020x", step.ID)
	root := filepath.Join(state, "repos", "app", "stable", step.Target)
	dir := filepath.Join(root, "snapshots", id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "reqpm-snapshot.json"), []byte(`{"id": "`+id+`", "packages": [], "files": {}, "created": "2026-11-26T12:00:00Z"}`), 0o600); err != nil {
		return "", err
	}
	current := filepath.Join(root, "current")
	return "app/stable/" + step.Target + "/snapshots/" + id, errors.Join(os.RemoveAll(current), os.Symlink("snapshots/"+id, current))
}

// remoteBed is a server and somebody with a token for it.
type remoteBed struct {
	t          *testing.T
	script     *script
	state, url string
	stop       func()
}

// safeBuffer is written by commands and read by tests at once.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newRemoteBed is such a server; env are more names and values of its environment.
func newRemoteBed(t *testing.T, env ...string) *remoteBed {
	t.Helper()
	b := &remoteBed{t: t, script: &script{fails: map[string]bool{}, holds: map[string]chan struct{}{}}, state: t.TempDir()}
	for name, value := range map[string]string{"REQPM_STATE": b.state, "HOME": b.state, "XDG_CONFIG_HOME": filepath.Join(b.state, "config"), "PIP_CONFIG_FILE": os.DevNull,
		"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "REQPM_SERVER": "", "REQPM_TOKEN": "", "REQPM_DATABASE": ""} {
		t.Setenv(name, value)
	}
	for i := 0; i+1 < len(env); i += 2 {
		t.Setenv(env[i], env[i+1])
	}
	b.url, b.stop = b.serve()
	t.Setenv("REQPM_SERVER", b.url)
	t.Setenv("REQPM_TOKEN", b.token("admin"))
	return b
}

// serve starts a server on the bed's state.
func (b *remoteBed) serve(more ...string) (address string, stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	stderr := &safeBuffer{}
	a := &app{version: "test", stdin: strings.NewReader(""), stdout: write, stderr: stderr, work: b.script.work}
	ended := make(chan int, 1)
	go func() {
		code := a.execute(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--allow-source", "local", "--min-free", "0", "--slots", "2"}, more...))
		write.Close()
		ended <- code
	}()
	line, err := bufio.NewReader(read).ReadBytes('\n')
	if err != nil {
		b.t.Fatalf("the server does not listen: %s", stderr)
	}
	var said listening
	if err := json.Unmarshal(line, &said); err != nil {
		b.t.Fatal(err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if code := <-ended; code != exitOK {
				b.t.Errorf("the server ends with %d: %s", code, stderr)
			}
		})
	}
	b.t.Cleanup(stop)
	return said.URL, stop
}

func (b *remoteBed) token(role string) string {
	b.t.Helper()
	out := b.must("token", "create", "--role", role, "--json")
	var said tokenAnswer
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		b.t.Fatal(err)
	}
	return said.Token
}

// run runs one command.
func (b *remoteBed) run(args ...string) (code int, stdout, stderr string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	return b.runContext(ctx, args...)
}

func (b *remoteBed) runContext(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs safeBuffer
	a := &app{version: "test", stdin: strings.NewReader(os.Getenv("REQPM_TOKEN") + "\n"), stdout: &out, stderr: &errs, work: b.script.work}
	code = a.execute(ctx, args)
	if text := out.String() + errs.String(); strings.ContainsAny(text, "\x1b\x07") && !slices.Contains(args, "--raw") {
		b.t.Errorf("%v lets control characters through: %q", args, text)
	}
	return code, out.String(), errs.String()
}

// must wants a command to end well, and gives what it answered.
func (b *remoteBed) must(args ...string) string {
	b.t.Helper()
	code, out, errs := b.run(args...)
	if code != exitOK {
		b.t.Fatalf("%v ends with %d\n%s%s", args, code, out, errs)
	}
	return out
}

// exits wants a status and a text on either stream.
func (b *remoteBed) exits(want int, text string, args ...string) {
	b.t.Helper()
	code, out, errs := b.run(args...)
	if code != want || !strings.Contains(out+errs, text) {
		b.t.Errorf("%v ends with %d, not %d with %q\n%s%s", args, code, want, text, out, errs)
	}
}

var createApp = []string{"project", "create", "app", "https://git.example.org/team/app.git"}

func create(more ...string) []string { return append(slices.Clone(createApp), more...) }

func TestRemoteProjectToArtifacts(t *testing.T) {
	b := newRemoteBed(t)
	code, out, errs := b.run(create("--follow", "--option", "extra=postgres")...)
	for _, want := range []string{"==> run app/1 on " + b.url, "/4] built    alone 1.0", "built    base 1.0 in 0.2 s", "/4] built    top 1.0", "==> sign and publish the repository for local", "4 built, 0 reused, 0 failed, 0 blocked", "repository  " + b.url + "/repos/app/stable/local/", "/repos/app/stable/local.repo", "app-requirements"} {
		if !strings.Contains(out+errs, want) {
			t.Errorf("%q is missing in\n%s%s", want, errs, out)
		}
	}
	if code != exitOK {
		t.Fatalf("the run ends with %d\n%s", code, errs)
	}
	b.exits(exitUsage, "app", create()...) // the name is taken
	b.exits(exitUsage, "extra", create("--option", "extra")...)
	for want, args := range map[string][]string{
		"app/1": {"project", "list"}, "extra=postgres": {"project", "show", "app"}, "succeeded": {"run", "list", "--project", "app"}, "top==1.0": {"run", "show", "app/1"},
		"building top, wicked ?[2J? text": {"logs", "app/top"}, "base-1.0-1.noarch.rpm": {"artifacts", "list", "app/1", "--kind", "rpm"}, "active": {"workers", "list"}, "nothing runs": {"queue"},
		`"run":`: {"run", "follow", "app", "--json"}, "has ended already": {"run", "cancel", "app/1"}, "nothing of the run": {"run", "retry", "app"},
	} {
		b.exits(exitOK, want, args...)
	}
	for want, args := range map[string][]string{
		"no run app/9": {"run", "show", "app/9"}, "no project": {"run", "show", "nobody"}, "names a run": {"logs", "app/1"}, "no package": {"logs", "app/nothing"}, "no such files": {"artifacts", "get", "app", "x*"},
		"With --yes": {"project", "delete", "app"}, "no worker": {"workers", "pause", "nobody"},
	} {
		b.exits(exitUsage, want, args...)
	}
	b.exits(exitOK, "deleted app", "project", "delete", "app", "--yes")
}

func TestRemoteFailureAndRetry(t *testing.T) {
	b := newRemoteBed(t)
	b.script.set(func(s *script) { s.fails["mid"] = true })
	code, out, errs := b.run(create("--wait")...)
	if code != exitFailed || !strings.Contains(errs, "failed   mid==1.0 on local: the compiler says: wicked ?[2J? text") || !strings.Contains(errs, "blocked  top==1.0 on local: needs mid==1.0") || strings.Contains(errs, "[1/4]") {
		t.Errorf("ends with %d\n%s%s", code, out, errs)
	}
	b.exits(exitOK, "3 steps would be done again", "run", "retry", "app", "--dry-run")
	b.exits(exitOK, "needs mid==1.0", "run", "show", "app")
	b.script.set(func(s *script) { s.fails["mid"] = false })
	code, out, errs = b.run("run", "retry", "app", "--follow")
	if code != exitOK || !strings.Contains(errs, "3 steps are done again") || !strings.Contains(errs, "4 built, 0 reused, 0 failed") || !strings.Contains(errs, "built    mid 1.0") || strings.Contains(errs, "built    base 1.0") {
		t.Errorf("ends with %d\n%s%s", code, out, errs)
	}
	b.exits(exitOK, "build local base==1.0", "run", "retry", "app", "--package", "base", "--dependents", "--dry-run")
	code, out, _ = b.run("run", "retry", "app", "--all", "--wait", "--json")
	var last watchedRun
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || code != exitOK || last.Event != "run" || last.Name != "app/1" || last.Run.State != store.RunSucceeded || len(last.Repositories) != 1 {
		t.Errorf("ends with %d, %v: %s", code, err, out)
	}
}

// hold has the builds of a package wait until the returned function is called.
func (b *remoteBed) hold(name string) (release func()) {
	held := make(chan struct{})
	b.script.set(func(s *script) { s.holds[name] = held })
	return sync.OnceFunc(func() {
		b.script.set(func(s *script) { delete(s.holds, name) })
		close(held)
	})
}

// until waits for something that other goroutines bring about.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(30 * time.Millisecond); ; <-tick.C {
		if is() {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("this did not happen: %s", what)
		}
	}
}

func TestRemoteCtrlCLeavesTheRun(t *testing.T) {
	b := newRemoteBed(t)
	release := b.hold("mid")
	defer release()
	ctx, ctrlC := context.WithCancel(t.Context())
	defer ctrlC()
	type ending struct {
		code int
		errs string
	}
	ended := make(chan ending, 1)
	go func() {
		code, _, errs := b.runContext(ctx, create("--follow")...)
		ended <- ending{code, errs}
	}()
	until(t, "mid is being built", func() bool { _, out, _ := b.run("queue"); return strings.Contains(out, "mid==1.0") })
	b.exits(exitOK, "EXPECTED", "queue")
	ctrlC()
	if e := <-ended; e.code != exitCancelled || !strings.Contains(e.errs, "the run app/1 goes on; 'reqpm run follow app/1' shows it again, 'reqpm run cancel app/1' cancels it") {
		t.Errorf("ends with %d\n%s", e.code, e.errs)
	}
	b.exits(exitOK, "running", "run", "list")
	b.exits(exitUsage, "cancel it first", "project", "delete", "app", "--yes")

	// Another one follows it, and sees it cancelled.
	go func() {
		code, _, errs := b.run("run", "follow", "app")
		ended <- ending{code, errs}
	}()
	until(t, "somebody cancels", func() bool {
		code, out, errs := b.run("run", "cancel", "app/1")
		return code == exitOK && strings.Contains(out+errs, "cancel")
	})
	if e := <-ended; e.code != exitCancelled || !strings.Contains(e.errs, "was cancelled; 'reqpm run retry app/1' goes on with it") {
		t.Errorf("ends with %d\n%s", e.code, e.errs)
	}
}

func TestRemoteWorkersAndRoles(t *testing.T) {
	b := newRemoteBed(t)
	host, _ := os.Hostname()
	b.must("workers", "pause", host)
	b.exits(exitNetwork, "none takes work", "doctor", "--server", b.url)
	b.must(create("--no-run")...)
	b.must("run", "start", "app")
	b.exits(exitOK, "(stage)", "queue")
	b.exits(exitOK, "takes work", "workers", "resume", host)
	b.must("run", "follow", "app")
	b.exits(exitOK, "nothing left", "workers", "drain", host)
	b.must("workers", "resume", host)
	b.exits(exitOK, "slots", "doctor", "--server", b.url)

	admin := os.Getenv("REQPM_TOKEN")
	t.Setenv("REQPM_TOKEN", b.token("viewer"))
	b.exits(exitOK, "app/1", "run", "list")
	b.exits(exitMissing, "role", "run", "start", "app")
	b.exits(exitMissing, "role", "workers", "pause", host)
	t.Setenv("REQPM_TOKEN", "")
	b.exits(exitMissing, "Give a token", "run", "list")
	b.exits(exitOK, "none is given", "doctor", "--server", b.url)
	b.exits(exitNetwork, "does not answer", "run", "list", "--server", "http://127.0.0.1:9")
	b.exits(exitUsage, "address of a server", "run", "list", "--server", "ftp://x")

	// login keeps a token that works, for its server alone.
	t.Setenv("REQPM_TOKEN", "rqp_wrong")
	b.exits(exitMissing, "", "login", b.url)
	t.Setenv("REQPM_TOKEN", admin)
	t.Setenv("REQPM_SERVER", "")
	b.exits(exitOK, "kept", "login", b.url+"/")
	t.Setenv("REQPM_TOKEN", "")
	b.exits(exitOK, "app/1", "run", "list")
	if info, err := os.Stat(loginFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of tokens: %v, %v", info.Mode(), err)
	}
	b.must("__complete", "run", "show", "a")
	if out := b.must("__complete", "logs", "app/1/"); !strings.Contains(out, "app/1/top==1.0\n") {
		t.Errorf("the shell is offered %s", out)
	}
	if err := os.Chmod(loginFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	b.exits(exitUsage, "others can read it", "run", "list")
	if err := os.Chmod(loginFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	b.exits(exitOK, "forgotten", "logout")
	b.exits(exitUsage, "name the server", "run", "list")
}

// cutter is a server in front of another that cuts every connection after so many bytes of its answer.
func cutter(t *testing.T, address string, after int64) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	go func() {
		for {
			in, err := front.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", u.Host)
				if err != nil {
					return
				}
				defer out.Close()
				go func() { _, _ = io.Copy(out, in) }()
				_, _ = io.CopyN(in, out, after)
			}()
		}
	}()
	return "http://" + front.Addr().String()
}

func TestRemoteConnectionsThatBreak(t *testing.T) {
	b := newRemoteBed(t)
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, "%d: größer als %s\n", i, strings.Repeat("ü€𝄞", 7))
	}
	b.script.set(func(s *script) { s.log = text.String() })
	release := b.hold("alone")
	defer release()
	b.must(create()...)
	until(t, "alone is being built", func() bool { _, out, _ := b.run("queue"); return strings.Contains(out, "alone==1.0") })
	bad := cutter(t, b.url, 40_000)
	whole := "building alone, " + hostile + "\n" + text.String()
	got := make(chan string, 1)
	go func() {
		code, out, errs := b.run("logs", "-f", "app/alone", "--raw", "--server", bad)
		if code != exitOK {
			t.Errorf("ends with %d\n%s", code, errs)
		}
		got <- out
	}()
	until(t, "logs -f waits for more", func() bool { return true })
	release()
	if out := <-got; out != whole {
		t.Errorf("%d bytes of %d came", len(out), len(whole))
	}
	b.must("run", "follow", "app", "--server", bad)
	if out := b.must("logs", "app/alone", "--raw", "--server", bad); out != whole {
		t.Errorf("%d bytes of %d came", len(out), len(whole))
	}
}

func TestRemoteDownloads(t *testing.T) {
	b := newRemoteBed(t)
	b.must(create("--wait")...)
	dir := t.TempDir()
	file := filepath.Join(dir, "base-1.0-1.noarch.rpm")
	read := func() string { text, _ := os.ReadFile(file); return string(text) }
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(file+".part", rpmText[:20])
	b.exits(exitOK, "[1/1] got", "artifacts", "get", "app", "base-*", "-o", dir)
	if read() != rpmText {
		t.Errorf("a download that went on is %q", read())
	}
	b.exits(exitOK, "got  top-1.0", "artifacts", "get", "app", "-o", dir)
	b.exits(exitOK, "have base-1.0", "artifacts", "get", "app", "-o", dir)
	write(file, "something else")
	b.exits(exitUsage, "--force", "artifacts", "get", "app", "base-*", "-o", dir)
	write(file+".part", "begun with something else")
	b.exits(exitNetwork, "not what the server says", "artifacts", "get", "app", "base-*", "-o", dir, "--force")
	if read() != "something else" {
		t.Error("a download that was wrong replaced a file")
	}
	b.exits(exitOK, "got", "artifacts", "get", "app", "base-*", "-o", dir, "--force")
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); read() != rpmText || len(left) > 0 {
		t.Errorf("%q, and left are %v", read(), left)
	}
}

// A server that is told to stop hands back what runs, or waits for it, as it was asked.
func TestStopping(t *testing.T) {
	b := newRemoteBed(t)
	release := b.hold("mid")
	b.must(create()...)
	building := func() {
		until(t, "mid is being built", func() bool { _, out, _ := b.run("queue"); return strings.Contains(out, "mid==1.0") })
	}
	building()
	b.stop() // hands back, which takes no longer than a build that stops when it is told to
	b.url, b.stop = b.serve("--stop", "wait")
	t.Setenv("REQPM_SERVER", b.url)
	building() // again, as another attempt
	ended := make(chan struct{})
	go func() { b.stop(); close(ended) }()
	until(t, "the server says that it stops", func() bool {
		code, out, errs := b.run("doctor", "--server", b.url)
		return code == exitNetwork && strings.Contains(out+errs, "the server is stopping")
	})
	select {
	case <-ended:
		t.Error("the server did not wait for the build")
	default:
	}
	release()
	<-ended
	b.url, b.stop = b.serve("--stop", "wait", "--stop-limit", "1s")
	t.Setenv("REQPM_SERVER", b.url)
	if out := b.must("run", "show", "app", "--json"); !strings.Contains(out, `"package":"mid==1.0","target":"local","state":"succeeded"`) {
		t.Errorf("the build that was waited for: %s", out)
	}
	defer b.hold("top")()
	b.must("run", "retry", "app", "--all")
	until(t, "top is being built", func() bool { _, out, _ := b.run("queue"); return strings.Contains(out, "top==1.0") })
	b.stop() // the limit ends the waiting
}
