package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"reqpm/internal/builder"
)

// maxSocketDir is how long a GNUPGHOME may be: the agent's longest socket name is
// "/S.gpg-agent.browser" and sockaddr_un holds 107 bytes.
const maxSocketDir = 80

// signRPMs signs the files in dir, in place. The private key lives in a directory of mode
// 0700 for that long. gpg-agent runs as the parent of rpmsign ("--daemon PROGRAM"), so
// it ends with it, also when this process is killed.
func signRPMs(ctx context.Context, stateTmp, dir string, names []string, k *Key) error {
	for _, tool := range []string{"rpmsign", "gpg", "gpg-agent", "gpgconf"} {
		if err := needTool(tool); err != nil {
			return err
		}
	}
	home, done, err := gnupgHome(stateTmp)
	if err != nil {
		return err
	}
	defer done()
	private := filepath.Join(home, "key.asc")
	if err := os.WriteFile(private, k.private, 0o600); err != nil {
		return err
	}
	// The agent must be gone before its directory is; when it ended with rpmsign, as it
	// should, this finds none.
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = run(stop, home, gnupgEnv(home), nil, "gpgconf", "--homedir", home, "--kill", "all")
	}()
	var list strings.Builder
	for _, name := range names {
		list.WriteString("./" + name + "\x00")
	}
	// Arguments of sh: 1 GNUPGHOME, 2 fingerprint, 3 how many rpmsign at once.
	const script = `gpg --homedir "$1" --batch --quiet --no-tty --import "$1/key.asc" || exit 1
rm -f "$1/key.asc"
exec xargs -0 -P "$3" -n 32 rpmsign --define "_gpg_path $1" --define "_gpg_name $2" --define "__gpg $4" \
  --define "_gpg_digest_algo sha512" --define "_openpgp_sign gpg" \
  --define "_gpg_sign_cmd_extra_args --batch --no-tty --pinentry-mode loopback" --addsign`
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		return err
	}
	// With a log file the agent lets go of our pipe.
	err = run(ctx, dir, gnupgEnv(home), strings.NewReader(list.String()),
		"gpg-agent", "--homedir", home, "--log-file", filepath.Join(home, "log"), "--daemon", "--",
		"/bin/sh", "-c", script, "sh", home, k.Fingerprint(), fmt.Sprint(min(runtime.NumCPU(), 8)), gpg)
	if err != nil {
		return fmt.Errorf("sign %d packages with key %s: %w", len(names), k.ID(), err)
	}
	for _, name := range names {
		if err := checkSigned(filepath.Join(dir, name), k); err != nil {
			return fmt.Errorf("sign %s with key %s: %w", name, k.ID(), err)
		}
	}
	return nil
}

// gnupgHome makes a private directory in tmp, where a later publication finds it when this
// process is killed: it holds the private key. Where the agent's sockets do not fit there, or
// rpm cannot be given such a path, the name used is that of a link elsewhere.
func gnupgHome(tmp string) (home string, remove func(), err error) {
	fail := func(err error) (string, func(), error) {
		return "", nil, fmt.Errorf("make a private directory for gpg: %w", err)
	}
	if tmp, err = filepath.Abs(tmp); err != nil {
		return fail(err)
	}
	dir, err := os.MkdirTemp(tmp, tmpPrefix+"g*")
	if err != nil {
		return fail(err)
	}
	remove = func() { removeHome(dir) }
	// rpm's macro language reads % and splits at spaces.
	if len(dir) <= maxSocketDir && !strings.ContainsAny(dir, "%{}()\\\"'$`~ \t\n") {
		return dir, remove, nil
	}
	for range 100 {
		link := filepath.Join(os.TempDir(), fmt.Sprintf("reqpm-g%08x", rand.Uint32()))
		if err = os.Symlink(dir, link); err == nil {
			return link, func() { os.Remove(link); removeHome(dir) }, nil
		}
		if !errors.Is(err, os.ErrExist) {
			break
		}
	}
	remove()
	return fail(err)
}

// removeHome removes an agent's directory. An agent that was told to end still tidies up in
// there for a moment, and a directory that changes under RemoveAll stays.
func removeHome(home string) {
	for range 100 {
		if os.RemoveAll(home) == nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

// gnupgEnv keeps the caller's own macros, keyrings and locale out.
func gnupgEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GNUPGHOME=" + home, "LC_ALL=C.UTF-8"}
}

// installHint maps a program to its package on Debian and on Fedora and EL.
var installHint = map[string][2]string{
	"createrepo_c": {"createrepo-c", "createrepo_c"},
	"rpmsign":      {"rpm", "rpm-sign"},
	"gpg":          {"gnupg", "gnupg2"},
	"gpg-agent":    {"gpg-agent", "gnupg2"},
	"gpgconf":      {"gpgconf", "gnupg2"},
}

func needTool(name string) error {
	if _, err := exec.LookPath(name); err == nil {
		return nil
	}
	hint, manager := installHint[name][0], "apt-get"
	if _, err := exec.LookPath("apt-get"); err != nil {
		hint, manager = installHint[name][1], "dnf"
	}
	return fmt.Errorf("%w: %s is needed to publish; install it with: sudo %s install %s", builder.ErrMissingTool, name, manager, hint)
}

// maxToolOutput bounds what is kept of a program's messages, bytes.
const maxToolOutput = 16 << 10

// run runs one program to its end in a process group of its own; cancelling ctx, or the death
// of this process, ends it.
func run(ctx context.Context, dir string, env []string, stdin *strings.Reader, argv ...string) error {
	// Pdeathsig fires when the thread that forked ends, so that thread is kept.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, env
	if stdin != nil {
		cmd.Stdin = stdin
	}
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", filepath.Base(argv[0]), context.Cause(ctx))
	}
	if errors.Is(err, exec.ErrWaitDelay) { // a daemon kept our pipe; the program itself ended well
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, out.lines())
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*maxToolOutput {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-maxToolOutput:]...)
	}
	return len(p), nil
}

// lines is the last few lines on one line, for an error.
func (t *tail) lines() string {
	lines := strings.Split(strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, []byte("?")))), "\n")
	if len(lines) > 6 {
		lines = lines[len(lines)-6:]
	}
	return strings.Join(lines, "; ")
}
