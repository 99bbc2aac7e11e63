package chroot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"reqpm/internal/target"
)

// layer is a directory with two parts: root/ and, for targets made from the host's own
// /usr, usr/. A second overlay is needed there because overlayfs refuses layers that
// lie inside one another, as anything on the host lies inside "/".
type layer struct{ dir string }

func (l layer) root() string { return filepath.Join(l.dir, "root") }
func (l layer) usr() string  { return filepath.Join(l.dir, "usr") }

// makeLayer makes an empty layer.
func makeLayer(dir string) (layer, error) {
	l := layer{dir}
	for _, d := range []string{l.root(), l.usr()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return l, fmt.Errorf("make layer: %w", err)
		}
	}
	return l, nil
}

// privateMounts cuts the child's mounts off from the host's, gives it a /proc of its own
// PID namespace and a place for merged roots that an unprivileged user can reach
// (the state directory may be below a directory of mode 0700).
func (w *worker) privateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// Refused in containers that hide parts of /proc; the old one serves there.
	_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	for _, dir := range []string{"/mnt", "/media", "/srv", "/opt"} {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() || w.holds(dir) {
			continue
		}
		if err := unix.Mount("reqpm", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
		}
		w.at = filepath.Join(dir, "root")
		if err := os.Mkdir(w.at, 0o755); err != nil {
			return err
		}
		return w.chooseScratch(filepath.Join(dir, "upper"))
	}
	return errors.New("no free mount point: one of /mnt, /media, /srv, /opt must exist and hold nothing this build uses")
}

// chooseScratch decides where upper layers go: the temporary directory where its file
// system can carry them, else memory. In containers it often cannot, being an overlay itself.
func (w *worker) chooseScratch(memory string) error {
	w.scratch = w.Temp
	if upperAllowed(w.Temp) {
		return nil
	}
	w.scratch, w.inMemory = memory, true
	return os.Mkdir(memory, 0o700)
}

// upperAllowed tries whether dir can hold the upper layer of an overlay. The caller's
// mounts must be private already.
func upperAllowed(dir string) bool {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil {
		switch fs.Type {
		case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
			return true
		case unix.OVERLAYFS_SUPER_MAGIC:
			return false
		}
	}
	try := filepath.Join(dir, "try")
	defer os.RemoveAll(try)
	at, lower, upper := filepath.Join(try, "at"), filepath.Join(try, "lower"), filepath.Join(try, "upper")
	for _, d := range []string{at, lower, upper} {
		if os.MkdirAll(d, 0o755) != nil {
			return false
		}
	}
	if overlay(at, upper, filepath.Join(try, "work"), []string{lower}) != nil {
		return false
	}
	return unix.Unmount(at, 0) == nil
}

// holds tells whether a path this order uses lies below dir.
func (w *worker) holds(dir string) bool {
	for _, p := range append([]string{w.State, w.Temp, w.Base}, w.Avoid...) {
		if strings.HasPrefix(p+"/", dir+"/") {
			return true
		}
	}
	return false
}

// mount lays lowers (topmost first) and a fresh upper layer over the base, at w.at.
// work is a directory for overlayfs on the upper's file system.
func (w *worker) mount(upper layer, work string, lowers ...layer) error {
	roots := make([]string, 0, len(lowers)+1)
	usrs := make([]string, 0, len(lowers)+2)
	for _, l := range append(lowers, layer{w.Base}) {
		roots = append(roots, l.root())
		usrs = append(usrs, l.usr())
	}
	if err := overlay(w.at, upper.root(), filepath.Join(work, "root"), roots); err != nil {
		return err
	}
	if w.Target.Kind != target.Host {
		return nil
	}
	masks, err := w.masks()
	if err != nil {
		return err
	}
	return overlay(filepath.Join(w.at, "usr"), upper.usr(), filepath.Join(work, "usr"), append(usrs, masks, "/usr"))
}

// unmount takes the merged root away again.
func (w *worker) unmount() error {
	for {
		err := unix.Unmount(filepath.Join(w.at, "usr"), 0)
		if err != nil {
			break
		}
	}
	if err := unix.Unmount(w.at, 0); err != nil {
		return fmt.Errorf("unmount build root: %w", err)
	}
	return nil
}

// overlay mounts one overlay. "volatile" spares every fsync of a root that is thrown
// away; kernels before 5.10 do not know it.
func overlay(at, upper, work string, lower []string) error {
	if err := os.MkdirAll(work, 0o700); err != nil {
		return fmt.Errorf("make overlay work directory: %w", err)
	}
	opts := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + upper + ",workdir=" + work
	err := unix.Mount("overlay", at, "overlay", 0, opts+",volatile")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("overlay", at, "overlay", 0, opts)
	}
	if err != nil {
		return fmt.Errorf("mount overlay on %s (%s): %w", at, opts, err)
	}
	return nil
}
