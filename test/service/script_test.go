package service

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/store/storetest"
)

// script is reqpm.sh itself, in a folder of its own beside a program that is the one under test, with a state directory and
// a port of its own.
type script struct {
	t   *testing.T
	dir string
	env []string
}

func newScript(t *testing.T, env ...string) *script {
	t.Helper()
	needQuick(t)
	needTools(t, "bash", "setsid", "tail", "ps")
	if os.Geteuid() != 0 {
		t.Skip("needs root: the script takes sudo, which may ask")
	}
	dir, err := os.MkdirTemp("", "reqpm-sh-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	text, err := os.ReadFile(filepath.Join("..", "..", "reqpm.sh"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "reqpm.sh"), text, 0o755))
	self, err := os.Executable()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "reqpm"), fmt.Appendf(nil, "#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", beReqpm, self), 0o755))
	s := &script{t: t, dir: dir, env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "REQPM_STATE=" + filepath.Join(dir, "state"), "REQPM_LISTEN=127.0.0.1:0",
		"REQPM_BUILT=1", "GOCOVERDIR=" + dir, "PIP_CONFIG_FILE=" + os.DevNull, "PIP_INDEX_URL=http://127.0.0.1:1/simple"}, env...)}
	t.Cleanup(func() { _, _ = s.command("stop").CombinedOutput() })
	return s
}

func (s *script) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.dir, "reqpm.sh"), args...)
	cmd.Env, cmd.Dir = s.env, os.TempDir() // it finds its own folder
	return cmd
}

// run runs the script, which must end with a status and say all of these words; it returns what was said.
func (s *script) run(status int, args string, words ...string) string {
	s.t.Helper()
	var out bytes.Buffer
	cmd := s.command(strings.Fields(args)...)
	// A file, and not a pipe, which what it starts in the background would hold open.
	file, err := os.CreateTemp(s.dir, "said-")
	must(s.t, err)
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	err = cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || ended.ExitCode() < 0) {
		s.t.Fatalf("reqpm.sh %s: %v", args, err)
	}
	_, err = file.Seek(0, 0)
	must(s.t, err)
	_, err = out.ReadFrom(file)
	must(s.t, err)
	if got := cmd.ProcessState.ExitCode(); got != status {
		s.t.Errorf("reqpm.sh %s ended with %d, not %d:\n%s", args, got, status, out.String())
	}
	for _, word := range words {
		if !strings.Contains(out.String(), word) {
			s.t.Errorf("reqpm.sh %s does not say %q:\n%s", args, word, out.String())
		}
	}
	return out.String()
}

var pidSaid = regexp.MustCompile(`pid (\d+)`)

// pid is the one that a text names first.
func (s *script) pid(said string) int {
	s.t.Helper()
	found := pidSaid.FindStringSubmatch(said)
	if found == nil {
		s.t.Fatalf("no pid in %q", said)
	}
	pid, err := strconv.Atoi(found[1])
	must(s.t, err)
	return pid
}

// kill ends a process as nothing but a kill can, and waits until it is gone.
func (s *script) kill(pid int) {
	s.t.Helper()
	must(s.t, syscall.Kill(pid, syscall.SIGKILL))
	s.gone(pid)
}

// gone waits until there is no such process any more, or only what its parent has not asked for yet.
func (s *script) gone(pid int) {
	s.t.Helper()
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, rest, ok := strings.Cut(string(stat), ") "); err != nil || ok && strings.HasPrefix(rest, "Z") {
			return
		}
		select {
		case <-s.t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	s.t.Fatalf("process %d does not end", pid)
}

var addressSaid = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// One process that does everything: all that ./reqpm.sh start, status, logs, restart and stop say, and their statuses.
func TestScript(t *testing.T) {
	s := newScript(t)
	s.run(3, "status", "all: not running")
	s.run(3, "logs", "there is no log yet")
	s.run(0, "stop", "all does not run")
	s.run(2, "status nobody", "the services are all, web, worker and scheduler")
	s.run(4, "start web", "only with PostgreSQL", "REQPM_DATABASE")

	said := s.run(0, "start -- --lease 7s --min-free 0", "all runs, pid", "Set the first administrator", "/setup?key=")
	first, url := s.pid(said), addressSaid.FindString(said)
	status := s.run(0, "status", "all: running", fmt.Sprintf("pid %d, since", first), "ready", url)
	if !strings.Contains(status, strconv.Itoa(time.Now().Year())) {
		t.Errorf("since when: %s", status)
	}
	answer, err := http.Get(url + "/readyz")
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("readyz of what was started: %s", answer.Status)
	}
	s.run(0, "start", fmt.Sprintf("all runs already, pid %d, %s", first, url))

	s.run(0, "logs", fmt.Sprintf("pid=%d", first), url)
	follow := s.command("logs", "-f")
	lines, err := follow.StdoutPipe()
	must(t, err)
	must(t, follow.Start())
	defer func() {
		_ = follow.Process.Kill()
		_ = follow.Wait()
	}()
	seen := make(chan string, 1000)
	go func() {
		defer close(seen)
		for in := bufio.NewScanner(lines); in.Scan(); {
			seen <- in.Text()
		}
	}()
	said = s.run(0, "restart", fmt.Sprintf("stop all, pid %d", first), "all has stopped", "all runs, pid")
	second := s.pid(said[strings.Index(said, "all runs"):])
	if second == first {
		t.Error("a restart leaves the process as it is")
	}
	s.gone(first)
	// The log is followed through the restart: what the new process says is there.
	mark := fmt.Sprintf("pid=%d", second)
	for deadline := time.After(20 * time.Second); ; {
		select {
		case line, ok := <-seen:
			if !ok {
				t.Fatal("logs -f has ended")
			}
			if !strings.Contains(line, mark) {
				continue
			}
		case <-deadline:
			t.Errorf("logs -f does not show a line with %s of the process that was started", mark)
		}
		break
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", second))
	must(t, err)
	if !strings.Contains(string(args), "--lease\x007s") {
		t.Errorf("a restart forgets flags: %q", args)
	}

	// A process that does not answer runs, and is not well.
	must(t, syscall.Kill(second, syscall.SIGSTOP))
	s.run(1, "status", "all: running", "not ready")
	must(t, syscall.Kill(second, syscall.SIGCONT))

	s.kill(second)
	s.run(3, "status", "all: not running (it ended without being stopped; its log is")
	s.run(0, "stop", "all does not run any more")
	s.run(3, "status", "all: not running\n")

	// The number of a dead process that somebody else has now is nobody's.
	must(t, os.WriteFile(filepath.Join(s.dir, "state", "service", "all.pid"), fmt.Appendf(nil, "%d 1 x\n", os.Getpid()), 0o644))
	s.run(3, "status", "not running")
	third := s.pid(s.run(0, "start", "all runs, pid"))
	s.run(0, "stop --wait", "when what runs has ended", "all has stopped")
	s.gone(third)
	s.run(3, "status", "all: not running\n")

	// What cannot start says why, at once.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	s.env = append(s.env, "REQPM_LISTEN="+taken.Addr().String())
	s.run(1, "start", "all did not start; its log is", "address already in use")
	s.run(3, "status", "all: not running")
}

// Who is not root and has no sudo gets the help, and is told in one sentence what all else needs; nothing is begun.
func TestScriptWithoutRoot(t *testing.T) {
	s := newScript(t)
	bin := filepath.Join(s.dir, "bin")
	must(t, os.Mkdir(bin, 0o755))
	must(t, os.Chmod(s.dir, 0o755))
	for _, tool := range []string{"bash", "env", "dirname", "readlink", "id", "sed"} {
		path, err := exec.LookPath(tool)
		must(t, err)
		must(t, os.Symlink(path, filepath.Join(bin, tool)))
	}
	s.env = []string{"PATH=" + bin, "HOME=/nonexistent"}
	for _, verb := range []string{"demo", "test", "start", "stop", "restart", "status", "logs -f", "help"} {
		cmd := s.command(strings.Fields(verb)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := cmd.CombinedOutput()
		code, said := cmd.ProcessState.ExitCode(), strings.TrimSpace(string(out))
		if verb == "help" {
			if code != 0 || !strings.Contains(said, "./reqpm.sh demo") {
				t.Errorf("help ended with %d:\n%s", code, said)
			}
			continue
		}
		if code != 4 || strings.Contains(said, "\n") || !strings.Contains(said, "run it as root, or install sudo") {
			t.Errorf("%s ended with %d:\n%s", verb, code, said)
		}
	}
}

// Processes of their own on PostgreSQL: each is started, looked at and stopped alone, and all without a name.
func TestScriptServices(t *testing.T) {
	s := newScript(t, "REQPM_DATABASE="+storetest.Postgres(t))
	pids := map[string]int{}
	for _, name := range []string{"web", "worker", "scheduler"} {
		pids[name] = s.pid(s.run(0, "start "+name+" -- --min-free 0", name+" runs, pid"))
	}
	s.run(0, "status", "web: running", ", ready, http://127.0.0.1:", "worker: running", "scheduler: running", ", started")
	s.run(4, "start all", "runs on its own: stop it first")
	s.run(0, "start", "web runs already", "worker runs already", "scheduler runs already")

	s.kill(pids["worker"])
	s.run(3, "status", "web: running", "worker: not running (it ended without being stopped", "scheduler: running")
	s.run(3, "status worker", "worker: not running")
	s.run(0, "status web", fmt.Sprintf("web: running, pid %d", pids["web"]))
	pids["worker"] = s.pid(s.run(0, "start worker", "worker runs, pid"))
	restarted := s.run(0, "restart worker", "worker has stopped", "worker runs, pid")
	pids["worker"] = s.pid(restarted[strings.Index(restarted, "worker runs"):])
	s.run(0, "status", fmt.Sprintf("web: running, pid %d", pids["web"]), fmt.Sprintf("worker: running, pid %d", pids["worker"]), fmt.Sprintf("scheduler: running, pid %d", pids["scheduler"]))
	s.run(0, "logs worker", "level=")
	s.run(0, "stop", "web has stopped", "worker has stopped", "scheduler has stopped")
	for _, pid := range pids {
		s.gone(pid)
	}
	s.run(3, "status", "all: not running")
}
