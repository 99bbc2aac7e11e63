package chroot

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
)

// The build user. The id is above what distributions hand to people and services, so
// that no user of the host can signal or read what a build does.
const (
	buildUser = "reqpm-build"
	buildUID  = 59876
	buildHome = "/build"
)

// sandboxed describes one command in bubblewrap.
type sandboxed struct {
	args   []string
	dir    string
	env    []string // beyond the fixed ones
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// buildEnv is the whole environment of a build: nothing of ours leaks in.
func buildEnv(dir string) []string {
	return append([]string{
		"PATH=/usr/bin:/usr/sbin:/bin:/sbin", "HOME=" + buildHome, "USER=" + buildUser, "LOGNAME=" + buildUser,
		"SHELL=/bin/sh", "TERM=dumb", "PWD=" + dir,
	}, builder.ReproducibleEnv()...)
}

// bwrap starts c in the merged root as the build user: no network but loopback, no
// capability, own PIDs, /proc, /dev and /tmp. bubblewrap itself runs as that user too
// (in a user namespace of its own), so nothing inside is root's on the outside. Where
// users may not make namespaces, root's bubblewrap gives everything away but the right
// to become that user, and setpriv does.
func (w *worker) bwrap(ctx context.Context, c sandboxed) *exec.Cmd {
	if c.dir == "" {
		c.dir = buildHome
	}
	id := strconv.Itoa(buildUID)
	args := []string{"--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
		"--die-with-parent", "--new-session", "--clearenv", "--hostname", "reqpm"}
	if w.NoUserNS {
		args = append(args, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
		c.args = append([]string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--"}, c.args...)
	} else {
		args = append(args, "--unshare-user", "--uid", id, "--gid", id)
	}
	args = append(args, "--bind", w.at, "/", "--dev", "/dev", "--proc", "/proc", "--perms", "1777", "--tmpfs", "/tmp",
		"--perms", "1777", "--tmpfs", "/dev/shm", "--chdir", c.dir)
	for _, kv := range append(buildEnv(c.dir), c.env...) {
		k, v, _ := strings.Cut(kv, "=")
		args = append(args, "--setenv", k, v)
	}
	args = append(append(args, "--"), c.args...)
	cmd := exec.CommandContext(ctx, "bwrap", args...)
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, c.stdout, c.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if !w.NoUserNS {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: buildUID, Gid: buildUID}
	}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// userNamespaces tries whether the build user can make a sandbox of its own: kernels and
// AppArmor profiles (Ubuntu 24.04) may forbid it.
func userNamespaces(ctx context.Context) bool {
	cmd := exec.CommandContext(ctx, "bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
		"--proc", "/proc", "--dev", "/dev", "/usr/bin/true")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: buildUID, Gid: buildUID}}
	return cmd.Run() == nil
}

// output runs c and returns its standard output (at most 16 MB); a non-zero end is an
// *builder.ExitError with the last of its standard error.
func (w *worker) output(ctx context.Context, c sandboxed) (string, error) {
	var out, errs rpmlog.Tail
	out.Max, errs.Max = 16<<20, 4<<10
	c.stdout, c.stderr = &out, &errs
	if err := builder.AsExit(w.bwrap(ctx, c).Run(), errs.String()); err != nil {
		return "", fmt.Errorf("%s: %w", c.args[0], err)
	}
	return out.String(), nil
}

// under joins a path inside the root to where the root is. Only for names we chose:
// it does not guard against symlinks made by a build.
func (w *worker) under(elem ...string) string {
	return filepath.Join(append([]string{w.at}, elem...)...)
}
