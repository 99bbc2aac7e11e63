package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"reqpm/internal/builder"
	"reqpm/internal/proc"
	"reqpm/internal/secret"
)

// maxOutput bounds what one git command may answer, bytes. The refs of a repository with
// 500,000 of them take 40 MB.
const maxOutput = 128 << 20

// git runs git for one location. Its private directory holds the helper that gives
// the token, and the repository being fetched.
type git struct {
	loc      location
	tmp      string // 0700, removed by close
	env      []string
	secret   string        // cut out of every message
	held     secret.Secret // that is sent to the location's server; zero: none
	memory   []*os.File    // what of it git is shown, see inMemory
	loopback bool          // private addresses are allowed, in redirections too
	repo     string        // the repository commands work on; "" before init
	tree     string        // its work tree, when the command needs one
}

// askpass answers git's questions from a file; nothing secret is in the script, in an
// argument or in the environment.
const askpass = `#!/bin/sh
case "$1" in
Username*) printf '%s\n' "$REQPM_GIT_USERNAME" ;;
Password*) head -n 1 <"$REQPM_GIT_TOKEN_FILE" | tr -d '\r\n' ; echo ;;
esac
`

func newGit(loc location, req Request) (*git, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("%w: git is needed to fetch sources; install it with: sudo apt-get install git (or: sudo dnf install git-core)", builder.ErrMissingTool)
	}
	if err := os.MkdirAll(req.Dir, 0o755); err != nil {
		return nil, err
	}
	sweep(req.Dir, time.Now())
	tmp, err := os.MkdirTemp(cmp.Or(req.Tmp, req.Dir), tmpPrefix) // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make a private directory for git: %w", err)
	}
	g := &git{loc: loc, tmp: tmp, loopback: req.Allow.Loopback}
	kind := secret.GitToken
	if loc.scheme == "ssh" {
		kind = secret.SSHKey
	}
	if held, ok := secret.For(req.Secrets, kind, loc.canonical); ok && !loc.local {
		g.held = held
	}
	if err := g.prepare(req); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *git) close() {
	for _, f := range g.memory {
		f.Close()
	}
	os.RemoveAll(g.tmp)
}

// inMemory has a text in memory, on no disk, and gives the path by which programs of the same user read it while
// this one lives (memfd_create(2), proc(5)): whatever ends this process, nothing is left.
func (g *git) inMemory(name, text string) (path string, err error) {
	fd, err := unix.MemfdCreate("reqpm-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("keep a secret in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	g.memory = append(g.memory, f)
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o600)); err != nil { // ssh takes no key that others may read
		return "", fmt.Errorf("keep a secret in memory: %w", err)
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), nil
}

// tmpPrefix marks directories that only live as long as one call.
const tmpPrefix = ".tmp-git-"

// sweep removes what a killed process left more than a day ago; no fetch takes that long.
func sweep(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), tmpPrefix) && now.Sub(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// prepare writes the environment: this process's own is not passed on, but for proxies,
// certificates and the ssh agent.
func (g *git) prepare(req Request) error {
	config := filepath.Join(g.tmp, "config")
	if err := os.WriteFile(config, []byte(userChoices(g.loc)), 0o600); err != nil {
		return err
	}
	g.env = []string{
		"HOME=" + g.tmp, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + config, "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=" + g.loc.scheme, "GIT_LFS_SKIP_SMUDGE=1", "GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_ASKPASS=", "SSH_ASKPASS=", "GCM_INTERACTIVE=never",
	}
	for _, name := range []string{"PATH", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSH_AUTH_SOCK", "SUDO_UID"} {
		if v, ok := os.LookupEnv(name); ok {
			g.env = append(g.env, name+"="+v)
		}
	}
	if g.loc.scheme == "ssh" {
		ssh, err := g.sshCommand(req)
		if err != nil {
			return err
		}
		g.env = append(g.env, "GIT_SSH_COMMAND="+ssh)
	}
	switch {
	case g.loc.local || g.loc.scheme == "ssh":
		return nil
	case g.held.ID != "":
		g.secret = g.held.Reveal()
		file, err := g.inMemory("token", g.secret+"\n")
		if err != nil {
			return err
		}
		return g.askpass(file, g.held.Username)
	case req.TokenFile != "":
		return g.prepareToken(req)
	}
	return nil
}

func (g *git) prepareToken(req Request) error {
	file, err := filepath.Abs(req.TokenFile)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read token file: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if g.secret = strings.TrimSpace(line); g.secret == "" || len(g.secret) > 10_000 {
		return fmt.Errorf("token file %s: its first line is not a token", file)
	}
	return g.askpass(file, req.Username)
}

// askpass has git ask a script, which reads the token of a file.
func (g *git) askpass(file, user string) error {
	script := filepath.Join(g.tmp, "askpass")
	if err := os.WriteFile(script, []byte(askpass), 0o700); err != nil {
		return err
	}
	g.env = append(g.env, "GIT_ASKPASS="+script, "REQPM_GIT_TOKEN_FILE="+file, "REQPM_GIT_USERNAME="+cmp.Or(user, "x-access-token"))
	return nil
}

// sshCommand is what git hands to sh: paths are quoted for it.
func (g *git) sshCommand(req Request) (string, error) {
	cmd := "ssh -F /dev/null -oBatchMode=yes -oConnectTimeout=20" +
		" -oServerAliveInterval=20 -oServerAliveCountMax=3 -oForwardAgent=no -oClearAllForwardings=yes"
	if g.held.ID != "" {
		known := filepath.Join(g.tmp, "known_hosts")
		if err := os.WriteFile(known, []byte(g.held.KnownHosts+"\n"), 0o600); err != nil {
			return "", err
		}
		key, err := g.inMemory("key", g.held.Reveal())
		if err != nil {
			return "", err
		}
		return cmd + " -oStrictHostKeyChecking=yes -oGlobalKnownHostsFile=/dev/null -oUserKnownHostsFile=" + quoteSSHOption(known) +
			" -oIdentitiesOnly=yes -oIdentityAgent=none -oUpdateHostKeys=no -i " + shellQuote(key), nil
	}
	cmd += " -oStrictHostKeyChecking=accept-new -oUserKnownHostsFile=" + quoteSSHOption(filepath.Join(req.Dir, "known_hosts"))
	if req.SSHKey != "" {
		key, err := filepath.Abs(req.SSHKey)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(key); err != nil {
			return "", fmt.Errorf("ssh key: %w", err)
		}
		cmd += " -oIdentitiesOnly=yes -i " + shellQuote(key)
	}
	return cmd, nil
}

// quoteSSHOption quotes a path for ssh's option parser (double quotes, %% for %) and then for sh.
func quoteSSHOption(path string) string {
	return shellQuote(`"` + strings.ReplaceAll(path, "%", "%%") + `"`)
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// userChoices carries over two things the user told git about local repositories, and
// only those: which ones to trust (git refuses repositories of other users otherwise) and
// which files never to look at.
func userChoices(loc location) string {
	if !loc.local {
		return ""
	}
	ask := func(args ...string) []string {
		out, err := exec.Command("git", append([]string{"config", "--global"}, args...)...).Output()
		if err != nil {
			return nil
		}
		return strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	}
	var b strings.Builder
	for _, dir := range ask("--get-all", "safe.directory") {
		fmt.Fprintf(&b, "[safe]\n\tdirectory = %s\n", configQuote(dir))
	}
	ignore := ""
	if set := ask("--type=path", "--get", "core.excludesFile"); len(set) == 1 {
		ignore = set[0]
	} else if dir, err := os.UserConfigDir(); err == nil {
		ignore = filepath.Join(dir, "git", "ignore")
	}
	if ignore != "" {
		fmt.Fprintf(&b, "[core]\n\texcludesFile = %s\n", configQuote(ignore))
	}
	return b.String()
}

// configQuote quotes a value of a git configuration file.
func configQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// options go before every command.
var options = []string{
	"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.symlinks=false", "-c", "core.autocrlf=false",
	"-c", "core.attributesFile=/dev/null", "-c", "protocol.version=2", "-c", "transfer.fsckObjects=true",
	"-c", "credential.helper=", "-c", "http.followRedirects=false", "-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60",
	"-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
	"-c", "advice.detachedHead=false", "-c", "init.defaultBranch=main", "-c", "core.protectNTFS=true", "-c", "log.showSignature=false",
	// Old, harmless damage in the history of well-known projects; everything else fsck finds is refused.
	"-c", "fetch.fsck.badTimezone=ignore", "-c", "fetch.fsck.zeroPaddedFilemode=ignore", "-c", "fetch.fsck.missingSpaceBeforeDate=ignore",
	"-c", "fetch.fsck.missingTaggerEntry=ignore", "-c", "fetch.fsck.badDateOverflow=ignore", "-c", "fetch.fsck.badTagName=ignore",
}

// run runs one git command and returns what it printed. The process group ends with ctx
// and with this process.
func (g *git) run(ctx context.Context, args ...string) ([]byte, error) {
	// Pdeathsig fires when the thread that forked ends, so that thread is kept.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	argv := append([]string{}, options...)
	if g.repo != "" {
		argv = append(argv, "--git-dir="+g.repo)
	}
	if g.tree != "" {
		argv = append(argv, "--work-tree="+g.tree)
	}
	cmd := exec.CommandContext(ctx, "git", append(argv, args...)...)
	cmd.Dir, cmd.Env = g.tmp, g.env
	stdout, stderr := &proc.Head{Max: maxOutput}, &proc.Head{Max: 256 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
	}
	if stdout.Cut() {
		return nil, fmt.Errorf("git %s: answered more than %d bytes", args[0], maxOutput)
	}
	if err != nil {
		return nil, g.explain(args[0], stderr.String(), err)
	}
	return stdout.Bytes(), nil
}

// gitError is a git command that failed.
type gitError struct {
	line string
	kind error // ErrNetwork, ErrNotFound, ErrAuth or nil
	err  error
}

func (e *gitError) Error() string {
	if e.kind == nil {
		return "git: " + e.line
	}
	return fmt.Sprintf("%v: git: %s", e.kind, e.line)
}

func (e *gitError) Unwrap() []error {
	switch {
	case e.kind == nil:
		return []error{e.err}
	case errors.Is(e.kind, ErrAuth): // a server that answers "no" is a trouble of the network to callers that know no more
		return []error{ErrAuth, ErrNetwork, e.err}
	}
	return []error{e.kind, e.err}
}

// What git says, in the C locale, and what it means.
var causes = []struct {
	pattern *regexp.Regexp
	kind    error
}{
	{regexp.MustCompile(`(?i)could not read (Username|Password)|Authentication failed|Permission denied|HTTP 40[13]|error: 40[13]|Host key verification failed|terminal prompts disabled`), ErrAuth},
	{regexp.MustCompile(`(?i)repository '?.*'? ?not found|does not appear to be a git repository|error: 404|not a git repository`), ErrNotFound},
	{regexp.MustCompile(`(?i)could not resolve|unable to access|connection (refused|reset|closed|timed out)|timed out|early EOF|hung up|unexpected disconnect|failed to connect|network is unreachable|no route to host|SSL|certificate|could not read from remote|RPC failed|error: 5\d\d|proxy`), ErrNetwork},
}

func (g *git) explain(command, stderr string, err error) error {
	line := g.lastUsefulLine(stderr)
	if line == "" {
		line = command + ": " + err.Error()
	}
	for _, c := range causes {
		if c.pattern.MatchString(stderr) {
			return &gitError{line, c.kind, err}
		}
	}
	return &gitError{line, nil, err}
}

var noise = regexp.MustCompile(`^(hint:|warning:|Cloning into|From |remote: (Enumerating|Counting|Compressing|Total)|and the repository exists|Please make sure|$)`)

// lastUsefulLine finds the line that tells, fit to be shown: no secrets, no control
// characters (a server chooses part of the text).
func (g *git) lastUsefulLine(stderr string) string {
	var best string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == 0xfffd {
				return ' '
			}
			return r
		}, line))
		if noise.MatchString(line) {
			continue
		}
		if strings.HasPrefix(line, "fatal:") && strings.Contains(line, "Could not read from remote") && best != "" {
			continue // the line before says why
		}
		best = line
	}
	if g.secret != "" {
		best = strings.ReplaceAll(best, g.secret, "***")
	}
	if len(best) > 500 {
		best = best[:500]
	}
	return withoutUserinfo(strings.TrimPrefix(best, "fatal: "))
}
