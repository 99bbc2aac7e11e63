package chroot

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/dnf"
	"reqpm/internal/proc"
	"reqpm/internal/target"
)

// insideRoot is where dnf's own sandbox sees the root it installs into.
const insideRoot = "/reqpm/root"

// toolSandbox is the host's tools without the host: /usr and a few files of /etc to
// read, nothing else but what is bound. dnf runs in it as root with only the
// capabilities it needs to own files, so a scriptlet that breaks out of rpm's chroot finds
// neither the host's files nor the right to mount.
func (w *worker) toolSandbox(ctx context.Context, asRoot bool, binds [][]string, env []string, args ...string) *exec.Cmd {
	a := []string{"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session", "--clearenv"}
	if !w.Network {
		a = append(a, "--unshare-net")
	}
	a = append(a, "--ro-bind", "/usr", "/usr")
	for _, d := range []string{"/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"} {
		if dst, err := os.Readlink(d); err == nil {
			a = append(a, "--symlink", dst, d)
		} else if scratch.Exists(d) {
			a = append(a, "--ro-bind", d, d)
		}
	}
	for _, f := range []string{"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "nsswitch.conf", "passwd", "group", "hosts",
		"resolv.conf", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "pki", "crypto-policies", "python3", "python3.11", "python3.12", "python3.13", "localtime"} {
		a = append(a, "--ro-bind-try", "/etc/"+f, "/etc/"+f)
	}
	a = append(a, "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--dir", "/var/tmp", "--dir", "/run", "--dir", "/reqpm")
	for _, b := range binds {
		a = append(a, b...)
	}
	if asRoot {
		a = append(a, "--cap-drop", "ALL")
		for _, c := range []string{"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "SETUID", "SETGID", "SETFCAP", "SYS_CHROOT", "MKNOD"} {
			a = append(a, "--cap-add", "CAP_"+c)
		}
	} else if w.NoUserNS {
		a = append(a, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
		id := strconv.Itoa(buildUID)
		args = append([]string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--"}, args...)
	} else {
		a = append(a, "--unshare-user")
	}
	for _, kv := range append(proc.Env(), env...) {
		k, v, _ := strings.Cut(kv, "=")
		a = append(a, "--setenv", k, v)
	}
	cmd := exec.CommandContext(ctx, "bwrap", append(append(a, "--"), args...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if !asRoot && !w.NoUserNS {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: buildUID, Gid: buildUID}
	}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// transaction is one call of dnf on the merged root.
type transaction struct {
	repos   []target.Repo
	ownRepo string   // directory of a repository that wins over repos; "" for none
	files   []string // .repo files taken as they are, instead of repos
	args    []string // after the options: "install", "x"
	log     io.Writer
}

// dnf runs one transaction on w.at. A dependency nobody provides is a *builder.BuildError
// with CauseDeps; everything else that fails is CauseInfra.
func (w *worker) dnf(ctx context.Context, t transaction) error {
	dir, err := os.MkdirTemp(w.Temp, "dnf-")
	if err != nil {
		return fmt.Errorf("dnf: %w", err)
	}
	binds, err := w.dnfFiles(dir, t)
	if err != nil {
		return fmt.Errorf("dnf: %w", err)
	}
	args := append([]string{"dnf"}, dnf.Options("/reqpm/dnf", insideRoot, w.Target)...)
	args = append(args, "--disableplugin=*", "--enableplugin=builddep")
	args = append(args, t.args...)
	fmt.Fprintf(t.log, "$ %s\n", strings.Join(args, " "))
	var last rpmlog.Tail
	last.Max = 64 << 10
	cmd := w.toolSandbox(ctx, true, binds, []string{"HOME=/reqpm/dnf/home"}, args...)
	cmd.Stdout = io.MultiWriter(t.log, &last)
	cmd.Stderr = cmd.Stdout
	err = builder.AsExit(cmd.Run(), last.String())
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return rpmlog.DNFError(err, last.String())
	}
	return nil
}

// dnfFiles writes dnf's configuration into dir and returns what its sandbox must show.
func (w *worker) dnfFiles(dir string, t transaction) ([][]string, error) {
	repos := dnf.Repos(t.repos)
	binds := [][]string{{"--bind", dir, "/reqpm/dnf"}, {"--dev-bind", w.at, insideRoot},
		{"--dev", insideRoot + "/dev"}, {"--proc", insideRoot + "/proc"}}
	if t.ownRepo != "" {
		repos["reqpm-own"] = "[reqpm-own]\nname=reqpm-own\nbaseurl=file:///reqpm/own\ngpgcheck=0\nrepo_gpgcheck=0\npriority=1\nmodule_hotfixes=1\nmetadata_expire=0\n"
		binds = append(binds, []string{"--ro-bind", t.ownRepo, "/reqpm/own"})
	}
	for i, f := range t.files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		repos[fmt.Sprintf("given-%d", i)] = string(text)
	}
	for _, text := range repos {
		for _, p := range fileURLs(text) {
			binds = append(binds, []string{"--ro-bind-try", p, p})
		}
	}
	return binds, dnf.Write(dir, "/reqpm/dnf", repos)
}

var fileURL = regexp.MustCompile(`file://(/[^\s,]+)`)

// fileURLs are the host paths a .repo file points at.
func fileURLs(text string) []string {
	var paths []string
	for _, m := range fileURL.FindAllStringSubmatch(text, -1) {
		path, _, _ := strings.Cut(m[1], "$") // a variable of dnf: all of the directory above it
		if path != m[1] {
			path = filepath.Dir(path + "x")
		}
		p := filepath.Clean(path)
		if p != "/" && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths
}

// installed lists the NEVRAs in the merged root, sorted, keys left out.
func (w *worker) installed(ctx context.Context) ([]string, error) {
	var out, errs rpmlog.Tail
	out.Max, errs.Max = 4<<20, 4<<10
	cmd := w.toolSandbox(ctx, true, [][]string{{"--bind", w.at, insideRoot}}, nil,
		"rpm", "--root", insideRoot, "--define", "_dbpath /var/lib/rpm", "-qa", "--qf", `%{NEVRA}\n`)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := builder.AsExit(cmd.Run(), errs.String()); err != nil {
		return nil, fmt.Errorf("list installed packages: %w", err)
	}
	var list []string
	for l := range strings.Lines(out.String()) {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "gpg-pubkey-") {
			list = append(list, l)
		}
	}
	slices.Sort(list)
	return list, nil
}
