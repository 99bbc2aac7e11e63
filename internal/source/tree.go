package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bounds of one tree. A tiny pack can unfold into billions of files.
const (
	maxTreeFiles = 300_000
	maxTreeBytes = 8 << 30
)

// treeEntry is one line of git ls-tree.
type treeEntry struct {
	mode string
	size int64
	path string
}

// extract writes the tree of commit, with links only where they stay inside.
func (g *git) extract(ctx context.Context, commit, tree string, c *Checkout) error {
	entries, err := g.listTree(ctx, commit)
	if err != nil {
		return err
	}
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	g.tree = tree
	_, err = g.run(ctx, "checkout", "--quiet", "--force", "--detach", commit)
	g.tree = ""
	if err != nil {
		return fmt.Errorf("write the files of commit %s: %w", commit, err)
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	var links []string
	for _, e := range entries {
		switch e.mode {
		case "120000":
			links = append(links, e.path)
		case "160000":
			c.Warnings = append(c.Warnings, fmt.Sprintf("submodule %s is not fetched", e.path))
		}
	}
	if err := placeLinks(root, links, c); err != nil {
		return err
	}
	return finish(ctx, root, c)
}

// listTree reads the names first, so that a tree too large is never written.
func (g *git) listTree(ctx context.Context, commit string) ([]treeEntry, error) {
	out, err := g.run(ctx, "ls-tree", "-r", "-l", "-z", "--full-tree", commit)
	if err != nil {
		return nil, err
	}
	var entries []treeEntry
	var total int64
	for line := range bytes.SplitSeq(out, []byte{0}) {
		if len(line) == 0 {
			continue
		}
		meta, name, ok := strings.Cut(string(line), "\t")
		fields := strings.Fields(meta)
		if !ok || len(fields) != 4 {
			return nil, fmt.Errorf("git ls-tree printed %.100q", line)
		}
		size, _ := strconv.ParseInt(fields[3], 10, 64) // "-" for a submodule
		total += size
		entries = append(entries, treeEntry{fields[0], size, name})
		if len(entries) > maxTreeFiles || total > maxTreeBytes {
			return nil, tooLarge()
		}
	}
	return entries, nil
}

func tooLarge() error {
	return fmt.Errorf("the tree has more than %d files or %d GiB; that is no source of a Python project", maxTreeFiles, maxTreeBytes>>30)
}

// placeLinks turns the plain files that git wrote for links (core.symlinks=false) into
// links, but for those that lead out.
func placeLinks(root *os.Root, links []string, c *Checkout) error {
	targets := map[string]string{}
	for _, name := range links {
		data, err := root.ReadFile(name)
		if err != nil {
			return err
		}
		targets[name] = string(data)
	}
	for _, name := range links {
		if err := root.Remove(name); err != nil {
			return err
		}
		if !inside(name, targets[name]) {
			continue
		}
		if err := root.Symlink(targets[name], name); err != nil {
			return err
		}
	}
	return refuseOutside(root, links, targets, c)
}

// inside is the cheap half of the check: absolute targets and ones with too many "..".
func inside(name, target string) bool {
	return target != "" && len(target) < 4096 && !strings.HasPrefix(target, "/") && filepath.IsLocal(path.Join(path.Dir(name), target))
}

// refuseOutside is the sure half: links through links. os.Root follows them as the kernel
// would, and says when one leads out. Taking one away can only close ways.
func refuseOutside(root *os.Root, links []string, targets map[string]string, c *Checkout) error {
	for _, name := range links {
		_, err := root.Lstat(name)
		gone := errors.Is(err, fs.ErrNotExist)
		if !gone {
			_, err = root.Stat(name)
			if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
				continue
			}
			if err := root.Remove(name); err != nil {
				return err
			}
		}
		c.Warnings = append(c.Warnings, fmt.Sprintf("link %s leads out of the tree (to %.200q) and is left out", name, targets[name]))
	}
	return nil
}

// finish gives all files the modes that every builder can read, whatever the umask, and
// adds the warnings that the files themselves tell.
func finish(ctx context.Context, root *os.Root, c *Checkout) error {
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if d.IsDir() || info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		if info.Mode().Perm() == mode {
			return nil
		}
		return root.Chmod(name, mode)
	})
	if err != nil {
		return err
	}
	if data, err := root.ReadFile(".gitattributes"); err == nil && bytes.Contains(data, []byte("filter=lfs")) {
		c.Warnings = append(c.Warnings, "files kept in Git LFS are not fetched: their pointers stand in their place")
	}
	if _, err := root.Stat(".gitmodules"); err == nil && len(c.Warnings) == 0 {
		c.Warnings = append(c.Warnings, "submodules are not fetched")
	}
	return nil
}

// treeDigest is a digest of all names, kinds and contents under dir.
func treeDigest(ctx context.Context, dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	h := sha256.New()
	err = walkTree(ctx, root, func(name string, info fs.FileInfo) error {
		switch {
		case info.IsDir():
			fmt.Fprintf(h, "d %q\n", name)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := root.Readlink(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "l %q %q\n", name, target)
		default:
			f, err := root.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			sum := sha256.New()
			if _, err := io.Copy(sum, f); err != nil {
				return err
			}
			fmt.Fprintf(h, "f %q %t %x\n", name, info.Mode()&0o100 != 0, sum.Sum(nil))
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// walkTree visits everything under root but root itself, in the order of names.
func walkTree(ctx context.Context, root *os.Root, visit func(name string, info fs.FileInfo) error) error {
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		return visit(name, info)
	})
}

// copier copies files of a local directory.
type copier struct {
	from, to *os.Root
	files    int
	bytes    int64
	newest   time.Time
	links    []string
	targets  map[string]string
	c        *Checkout
}

// copyFiles copies names (slash-separated, inside from) to the new directory to.
func copyFiles(ctx context.Context, from *os.Root, names []string, to string, c *Checkout) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	dst, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	cp := &copier{from: from, to: dst, targets: map[string]string{}, c: c}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := cp.one(name); err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	if err := refuseOutside(dst, cp.links, cp.targets, c); err != nil {
		return err
	}
	c.CommitTime = cp.newest.UTC().Truncate(time.Second)
	return finish(ctx, dst, c)
}

func (cp *copier) one(name string) error {
	info, err := cp.from.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // tracked and deleted
	}
	if err != nil {
		return err
	}
	if dir := path.Dir(name); dir != "." {
		if err := cp.to.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if cp.files++; cp.files > maxTreeFiles {
		return tooLarge()
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return cp.to.MkdirAll(name, 0o755)
	case mode.IsRegular():
		if info.ModTime().After(cp.newest) {
			cp.newest = info.ModTime()
		}
		return cp.file(name, mode)
	case mode&fs.ModeSymlink != 0:
		target, err := cp.from.Readlink(name)
		if err != nil {
			return err
		}
		cp.links, cp.targets[name] = append(cp.links, name), target
		if !inside(name, target) {
			return nil // refuseOutside tells
		}
		return cp.to.Symlink(target, name)
	}
	cp.c.Warnings = append(cp.c.Warnings, name+" is neither a file nor a directory nor a link and is left out")
	return nil
}

func (cp *copier) file(name string, mode fs.FileMode) error {
	// It was a plain file a moment ago; NONBLOCK and NOFOLLOW in case it is not any more.
	in, err := cp.from.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	perm := fs.FileMode(0o644)
	if mode&0o100 != 0 {
		perm = 0o755
	}
	out, err := cp.to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, maxTreeBytes-cp.bytes+1))
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if cp.bytes += n; err == nil && cp.bytes > maxTreeBytes {
		err = tooLarge()
	}
	return err
}
