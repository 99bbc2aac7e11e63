package mock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/proc"
)

// prelude makes the place that Mock works in, below $AT, a file system of its own that Mock's
// account can reach wherever the state directory is: base/ (Mock's roots and caches, for this
// call alone), and what the call binds there. The shell is the first process of its PID
// namespace: with it everything ends.
//
// "volatile" spares every fsync of what is thrown away; kernels before 5.10 do not know it. Where
// the temporary directory cannot carry an upper layer (it is itself on an overlay), the layer is in
// memory.
const prelude = `set -eu
umask 022
mount --make-rprivate /
mount -t proc -o nosuid,nodev,noexec proc /proc 2>/dev/null || :
mount -t tmpfs -o mode=755 reqpm "$AT"
mkdir "$AT/base"
lay() { mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work$3" "$AT/base" 2>/dev/null; }
if [ -z "$LOWER" ]; then
	mount --bind "$UPPER" "$AT/base"
else
	mkdir "$UPPER/up" "$UPPER/work" "$AT/memory" "$AT/memory/up" "$AT/memory/work"
	lay "$LOWER" "$UPPER" ,volatile || lay "$LOWER" "$UPPER" "" || lay "$LOWER" "$AT/memory" "" || {
		echo "cannot lay an overlay over $LOWER" >&2
		exit 1
	}
fi
loopback='ip link set lo up 2>/dev/null || /usr/bin/python3 -c "import fcntl, socket, struct
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, struct.pack(\"16sh14x\", b\"lo\", 0x41))" || :'
[ -n "$NETWORK" ] || eval "$loopback"
flags="-r $AT/call/reqpm.cfg --no-clean --no-cleanup-after --resultdir $AT/result"
mock() { "$MOCK" $flags "$@"; }
offline() {
	if [ -n "$NETWORK" ]; then
		unshare --net -- /bin/sh -c "$loopback"'; exec "$@"' sh "$MOCK" $flags "$@"
	else
		mock "$@"
	fi
}
# The repository of RPMs built earlier is read as Mock's account: they may be anybody's work. EL 7 and
# early EL 8 do not understand what newer createrepo_c compresses with by default.
own_repository() {
	[ -d "$AT/repo" ] || return 0
	setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --clear-groups --inh-caps=-all --no-new-privs -- \
		createrepo_c --quiet --no-database --simple-md-filenames --general-compress-type=gz --workers=1 "$AT/repo"
}
`

// call is one script in namespaces of its own. In it, mock and offline call Mock, with the
// network that the target's repositories need and without any; $1… are args.
type call struct {
	temp    *scratch.Temp
	at      string // mount point
	lower   string // overlay over this; "": work in upper itself
	upper   string
	result  string // directory Mock writes logs and packages to
	binds   []bind
	network bool
	script  string
	args    []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
}

// bind shows a host directory at a name below the mount point.
type bind struct {
	host, name string
	write      bool
}

// mountPoints are directories that every system has, and that seldom hold something.
var mountPoints = []string{"/mnt", "/media", "/srv", "/opt"}

// mountPoint chooses one that hides nothing of what is used.
func mountPoint(used ...string) (string, error) {
next:
	for _, dir := range mountPoints {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			continue
		}
		for _, p := range used {
			if strings.HasPrefix(p+"/", dir+"/") {
				continue next
			}
		}
		return dir, nil
	}
	return "", errors.New("no free mount point: one of /mnt, /media, /srv, /opt must exist and hold nothing this build uses")
}

// run runs c and waits until every process of it is gone. A script that ends non-zero is a
// *builder.ExitError with the end of its standard error.
func (m Mock) run(ctx context.Context, c call) error {
	for _, d := range []string{c.upper, c.result} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("start Mock: %w", err)
		}
	}
	if err := os.Chown(c.result, m.UID, m.GID); err != nil {
		return fmt.Errorf("start Mock: %w", err)
	}
	script := prelude
	for _, b := range append(c.binds, bind{c.result, "result", true}) {
		at := `"$AT"/` + b.name
		script += "mkdir " + at + "\nmount --bind " + quote(b.host) + " " + at + "\n"
		if !b.write {
			script += "mount -o remount,bind,ro,nosuid,nodev " + at + "\n"
		}
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", script + c.script, "sh"}, c.args...)...)
	network := ""
	if c.network {
		network = "1"
	}
	cmd.Env = append(proc.Env(), "AT="+c.at, "LOWER="+c.lower, "UPPER="+c.upper, "NETWORK="+network, "MOCK="+m.Program,
		"SUDO_UID="+strconv.Itoa(m.UID), "SUDO_GID="+strconv.Itoa(m.GID), "SUDO_USER="+m.User)
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout = c.stdin, c.stdout
	errs := &rpmlog.Tail{Max: 4 << 10}
	cmd.Stderr = io.Writer(errs)
	if c.stderr != nil {
		cmd.Stderr = io.MultiWriter(errs, c.stderr)
	}
	cmd.ExtraFiles = []*os.File{c.temp.Lock} // held as long as the shell lives
	cmd.WaitDelay = 10 * time.Second
	waited, err := proc.Start(cmd, c.network)
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: no right to make namespaces and mounts here; in a container, run it with: --privileged (docker, podman)", builder.ErrMissingTool)
	}
	if err != nil {
		return fmt.Errorf("start Mock: %w", err)
	}
	err = <-waited
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return builder.AsExit(err, errs.String())
}

// quote makes one word of the shell of s.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// directories makes the directories of names below the temporary directory of an operation.
func directories(temp *scratch.Temp, names ...string) (map[string]string, error) {
	paths := map[string]string{}
	for _, n := range names {
		paths[n] = filepath.Join(temp.Path, n)
		if err := os.Mkdir(paths[n], 0o755); err != nil {
			return nil, err
		}
	}
	return paths, nil
}
