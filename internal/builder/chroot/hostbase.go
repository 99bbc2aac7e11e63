package chroot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reqpm/internal/builder/scratch"
	"reqpm/internal/filelock"
	"reqpm/internal/target"
)

// hostFormat changes when this file's or hostrpm.go's idea of a base changes.
const hostFormat = 3

// etcKept is what of the host's /etc a build may read. Everything else, above all keys,
// passwords and the tools' own configuration (pip, dnf, git, npm), stays out.
var etcKept = []string{
	"alternatives", "debian_version", "dpkg/origins", "fonts", "host.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
	"localtime", "login.defs", "lsb-release", "magic", "magic.mime", "mime.types", "networks", "os-release", "perl",
	"protocols", "python3", "rpc", "services", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone", "xml", "sgml",
}

// openHost makes or finds the base made from this machine's own /usr.
func (b *Builder) openHost(ctx context.Context, t target.Target, report func(string)) (*Base, error) {
	id, err := hostID(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("identify this machine's packages: %w", err)
	}
	return b.openBase(ctx, t, id, report, func(dir string) error {
		return hostSkeleton(layer{dir}, t)
	})
}

// hostID digests what the base is made of: the host's packages, its Python and rpm, and our own format.
func hostID(ctx context.Context, t target.Target) (string, error) {
	h := sha256.New()
	text, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "host %d %s\n", hostFormat, text)
	status, err := os.ReadFile("/var/lib/dpkg/status")
	if errors.Is(err, fs.ErrNotExist) { // not Debian: rpm's own list
		status, err = exec.CommandContext(ctx, "rpm", "-qa", "--qf", "%{NEVRA} %{SHA256HEADER}\n").Output()
	}
	if err != nil {
		return "", err
	}
	h.Write(status)
	for _, args := range [][]string{{"rpm", "--version"}, {t.Python.Executable, "-V"}} {
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
		if err != nil {
			return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
		h.Write(out)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// openBase finds the base root id of t or has fill make its skeleton and the child do the rest.
func (b *Builder) openBase(ctx context.Context, t target.Target, id string, report func(string), fill func(dir string) error) (*Base, error) {
	dir := filepath.Join(b.state.Roots(), t.Name+"-"+id[:16])
	lock, err := filelock.Wait(ctx, dir+".lock")
	if err != nil {
		return nil, fmt.Errorf("base root of %s: %w", t.Name, err)
	}
	defer lock.Close()
	if base, err := b.hold(dir); err == nil {
		return base, nil
	}
	report(fmt.Sprintf("making the base root of %s", t.Name))
	start := time.Now()
	temp, err := b.state.NewTemp("base")
	if err != nil {
		return nil, err
	}
	err = b.makeBase(ctx, t, id, temp, report, fill)
	if err == nil && scratch.Exists(dir) { // damaged, or hold would have taken it
		err = os.Rename(dir, filepath.Join(temp.Path, "damaged"))
	}
	if err == nil {
		err = os.Rename(filepath.Join(temp.Path, "base"), dir)
	}
	if err := errors.Join(err, temp.Remove()); err != nil {
		return nil, fmt.Errorf("make base root of %s: %w", t.Name, err)
	}
	report(fmt.Sprintf("base root of %s made in %.1f s", t.Name, time.Since(start).Seconds()))
	return b.hold(dir)
}

func (b *Builder) makeBase(ctx context.Context, t target.Target, id string, temp *scratch.Temp, report func(string), fill func(string) error) error {
	l, err := makeLayer(filepath.Join(temp.Path, "base"))
	if err != nil {
		return err
	}
	if err := fill(l.dir); err != nil {
		return err
	}
	o := order{Base: l.dir, BaseID: id, Target: t, Make: &makeOrder{Log: filepath.Join(l.dir, "base.log")}}
	for _, repo := range t.Repos {
		o.needs(append(slices.Clone(repo.BaseURL), repo.Mirrorlist, repo.Metalink)...)
		o.needs(repo.GPGKey...)
	}
	out, err := b.spawn(ctx, temp, o, streams{}, func(e event) {
		if e.Note != "" {
			report(e.Note)
		}
	})
	if err == nil {
		err = out.failure()
	}
	return err
}

// hostSkeleton writes what a build sees besides the host's /usr, and what hides parts of that.
func hostSkeleton(l layer, t target.Target) error {
	if err := rootSkeleton(l.root()); err != nil {
		return err
	}
	for _, name := range etcKept {
		if err := copyEtc(name, filepath.Join(l.root(), "etc", name)); err != nil {
			return err
		}
	}
	for _, d := range []string{"bin", "lib", "include", "share", "sbin"} {
		if err := os.MkdirAll(filepath.Join(l.usr(), "local", d), 0o755); err != nil {
			return err
		}
	}
	if err := write(filepath.Join(l.usr(), "lib/python3/dist-packages", pthName), pth(t)); err != nil {
		return err
	}
	if err := writeMasks(l.dir, t); err != nil {
		return err
	}
	return rpmParts(l, t)
}

// rootSkeleton makes the directories, links and accounts of an empty root.
func rootSkeleton(root string) error {
	for _, d := range []string{"bin", "sbin", "lib", "lib64", "lib32", "libx32"} {
		dst, err := os.Readlink("/" + d)
		if err != nil {
			if scratch.Exists("/" + d) {
				return fmt.Errorf("/%s is not a link into /usr: only systems with a merged /usr can be their own base", d)
			}
			continue
		}
		if err := os.Symlink(strings.TrimPrefix(dst, "/"), filepath.Join(root, d)); err != nil {
			return err
		}
	}
	for _, d := range []string{"dev", "proc", "sys", "run", "usr", "etc/rpm", "etc/ssl", "etc/dpkg", "home", "mnt", "opt", "srv",
		"var/cache", "var/lib/rpm", "var/log", "var/spool", "build"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	for d, mode := range map[string]os.FileMode{"tmp": 0o777 | os.ModeSticky, "var/tmp": 0o777 | os.ModeSticky, "root": 0o700} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(root, d), mode); err != nil {
			return err
		}
	}
	if err := os.Chown(filepath.Join(root, "build"), buildUID, buildUID); err != nil {
		return err
	}
	if err := os.Symlink("../run", filepath.Join(root, "var/run")); err != nil {
		return err
	}
	files := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" + passwdLine,
		"etc/group":  "root:x:0:\ntty:x:5:\nmail:x:8:\nnogroup:x:65534:\n" + groupLine,
		"etc/hosts":  "127.0.0.1 localhost\n::1 localhost\n", "etc/resolv.conf": "", "etc/hostname": "reqpm\n", "etc/fstab": "",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
		"etc/shells":        "/bin/sh\n",
	}
	for name, text := range files {
		if err := write(filepath.Join(root, name), text); err != nil {
			return err
		}
	}
	return nil
}

var (
	passwdLine = fmt.Sprintf("%s:x:%d:%d:builds packages:%s:/bin/sh\n", buildUser, buildUID, buildUID, buildHome)
	groupLine  = fmt.Sprintf("%s:x:%d:\n", buildUser, buildUID)
)

// write writes one file, making its directory.
func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// copyEtc copies what others may read below /etc/name; what is missing is left out.
func copyEtc(name, dst string) error {
	src := filepath.Join("/etc", name)
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		to := filepath.Join(dst, strings.TrimPrefix(path, src))
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && info.Mode().Perm()&0o005 != 0o005:
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.Symlink(link, to))
		case d.Type().IsRegular() && info.Mode().Perm()&0o004 != 0:
			return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), scratch.CopyFile(path, to, info.Mode().Perm()&0o755, -1, info.ModTime()))
		}
		return nil
	})
}
