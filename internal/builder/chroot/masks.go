package chroot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"reqpm/internal/builder/scratch"
	"reqpm/internal/target"
)

// hidden is what of the host's /usr a build must not see. It is kept as a list and laid
// out afresh for every root, in memory: the marks overlayfs wants cannot be made on
// every file system a state directory may be on.
type hidden struct {
	Dirs  []string `json:"dirs"`  // shown empty
	Files []string `json:"files"` // not shown at all
}

const masksFile = "masks.json"

// writeMasks decides what is hidden. What the host's administrator or Debian installed
// for Python is not the build's: an undeclared import would build here and nowhere else.
func writeMasks(base string, t target.Target) error {
	minor := pythonMinor(t)
	var h hidden
	for _, d := range []string{"local", "lib/python3/dist-packages", "lib/python" + minor + "/dist-packages",
		"lib/python" + minor + "/site-packages", "lib64/python" + minor + "/site-packages"} {
		if scratch.Exists(filepath.Join("/usr", d)) {
			h.Dirs = append(h.Dirs, d)
		}
	}
	var err error
	if h.Files, err = brokenPrograms("/usr"); err != nil {
		return fmt.Errorf("look for programs to hide: %w", err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(base, masksFile), text, 0o644)
}

// masks lays out what hides parts of the host's /usr and returns the directory.
func (w *worker) masks() (string, error) {
	dir := filepath.Join(filepath.Dir(w.at), "masks")
	if scratch.Exists(dir) {
		return dir, nil
	}
	text, err := os.ReadFile(filepath.Join(w.Base, masksFile))
	if err != nil {
		return "", fmt.Errorf("hide the host's Python packages: %w", err)
	}
	var h hidden
	if err := json.Unmarshal(text, &h); err != nil {
		return "", fmt.Errorf("hide the host's Python packages: %w", err)
	}
	for _, d := range h.Dirs {
		path := filepath.Join(dir, d)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return "", fmt.Errorf("hide /usr/%s: %w", d, err)
		}
		if err := unix.Setxattr(path, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
			return "", fmt.Errorf("hide /usr/%s: %w", d, err)
		}
	}
	for _, f := range h.Files {
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", fmt.Errorf("hide /usr/%s: %w", f, err)
		}
		// A character device 0/0 is overlayfs' whiteout.
		if err := unix.Mknod(path, unix.S_IFCHR, 0); err != nil {
			return "", fmt.Errorf("hide /usr/%s: %w", f, err)
		}
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// brokenPrograms lists programs written in Python that need what is masked: found but
// broken is worse than missing, for builds look for meson, cython and the like by name.
func brokenPrograms(usr string) ([]string, error) {
	modules := map[string]bool{}
	entries, _ := os.ReadDir(filepath.Join(usr, "lib/python3/dist-packages")) // no such directory: nothing masked
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		modules[name] = true
	}
	progs, err := os.ReadDir(filepath.Join(usr, "bin"))
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range progs {
		path := filepath.Join(usr, "bin", e.Name())
		if real, err := filepath.EvalSymlinks(path); err == nil && importsMasked(real, modules) {
			list = append(list, "bin/"+e.Name())
		}
	}
	return list, nil
}

var importLine = regexp.MustCompile(`^\s*(?:from|import)\s+([A-Za-z_][A-Za-z0-9_]*)`)

// importsMasked tells whether path is a Python script that imports one of modules.
func importsMasked(path string, modules map[string]bool) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 2))
	if err != nil || string(head) != "#!" {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return false
	}
	sc := bufio.NewScanner(bytes.NewReader(text))
	if !sc.Scan() || !strings.Contains(sc.Text(), "python") {
		return false
	}
	for sc.Scan() {
		if m := importLine.FindStringSubmatch(sc.Text()); m != nil && modules[m[1]] {
			return true
		}
	}
	return false
}
