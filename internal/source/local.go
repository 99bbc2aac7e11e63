package source

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// fetchLocal takes a local path: a commit of it when it is a repository and a ref is asked
// for or nothing is changed; the files as they are otherwise.
func (g *git) fetchLocal(ctx context.Context, req Request) (Checkout, error) {
	if isBare(g.loc.path) {
		return g.fetchRemote(ctx, req)
	}
	top, prefix, err := g.workTree(ctx)
	if err != nil {
		return Checkout{}, err
	}
	if top == "" {
		if req.Ref != "" {
			return Checkout{}, fmt.Errorf("%w: ref %s asked for, but %s is no git repository", ErrNotFound, req.Ref, g.loc.path)
		}
		return g.copyPlain(ctx, req)
	}
	if prefix != "" {
		if req.Ref != "" {
			return Checkout{}, &URLError{URL: g.loc.path, Reason: fmt.Sprintf("it lies inside the repository %s; a ref can only be asked of the repository itself", top)}
		}
		return g.copyWorkTree(ctx, req, true)
	}
	if req.Ref != "" {
		return g.fetchRemote(ctx, req)
	}
	status, err := g.inTree(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=all")
	if err != nil {
		return Checkout{}, err
	}
	head, _ := g.inTree(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if len(status) == 0 && len(head) > 0 {
		return g.fetchRemote(ctx, req)
	}
	return g.copyWorkTree(ctx, req, len(status) == 0)
}

// isBare tells a bare repository, or a .git directory, by what git itself looks for.
func isBare(dir string) bool {
	if info, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil || !info.Mode().IsRegular() {
		return false
	}
	for _, name := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// inTree runs git in the directory given. Hooks and the file system monitor of its
// configuration are off; git's own check that the repository is the user's stays on.
func (g *git) inTree(ctx context.Context, args ...string) ([]byte, error) {
	return g.run(ctx, append([]string{"-C", g.loc.path}, args...)...)
}

// workTree finds the top directory of the repository the path lies in, and the path's
// place in it; "" when it lies in none.
func (g *git) workTree(ctx context.Context) (top, prefix string, err error) {
	out, err := g.inTree(ctx, "rev-parse", "--show-toplevel", "--show-prefix")
	if err != nil {
		if strings.Contains(err.Error(), "not a git repository") {
			return "", "", nil
		}
		if strings.Contains(err.Error(), "dubious ownership") {
			return "", "", &URLError{URL: g.loc.path, Reason: "the repository belongs to another user; if you trust it: git config --global --add safe.directory " + shellQuote(g.loc.path)}
		}
		return "", "", err
	}
	lines := strings.SplitN(strings.TrimRight(string(out), "\n"), "\n", 2)
	if len(lines) == 2 {
		prefix = lines[1]
	}
	// A directory that its repository ignores is a project of its own: a clone in build/, a test's folder.
	if prefix != "" {
		if _, err := g.inTree(ctx, "check-ignore", "--quiet", "--", "."); err == nil {
			return "", "", nil
		}
		if files, err := g.inTree(ctx, "ls-files", "-z", "--", "."); err == nil && len(files) == 0 {
			return "", "", nil
		}
	}
	return lines[0], prefix, nil
}

// copyWorkTree copies what is tracked and what is new and not ignored.
func (g *git) copyWorkTree(ctx context.Context, req Request, clean bool) (Checkout, error) {
	out, err := g.inTree(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	if err != nil {
		return Checkout{}, err
	}
	var names []string
	for name := range bytes.SplitSeq(out, []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	c := Checkout{URL: g.loc.canonical}
	if head, err := g.inTree(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"); err == nil {
		c.Commit = strings.TrimSpace(string(head))
		if branch, err := g.inTree(ctx, "symbolic-ref", "--quiet", "--short", "HEAD"); err == nil {
			c.Ref = strings.TrimSpace(string(branch))
		}
		if name, err := g.inTree(ctx, "describe", "--tags"); err == nil {
			c.Describe = strings.TrimSpace(string(name))
		}
		if clean { // a folder of a repository: only changes in it count
			status, err := g.inTree(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=all", "--", ".")
			clean = err == nil && len(status) == 0
		}
		if !clean {
			c.Commit += "-dirty"
			c.Warnings = append(c.Warnings, "the work tree has changes that are not committed; they are taken as they are")
		}
	}
	return g.copyNames(ctx, req, names, c)
}

// copyPlain copies a directory that is no repository, without what is never source.
func (g *git) copyPlain(ctx context.Context, req Request) (Checkout, error) {
	root, err := os.OpenRoot(g.loc.path)
	if err != nil {
		return Checkout{}, err
	}
	defer root.Close()
	skip := skipped(g.loc.path, req)
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (slices.Contains(skip, name) || neverSource(root, name)) {
				return fs.SkipDir
			}
			return nil
		}
		if names = append(names, name); len(names) > maxTreeFiles {
			return tooLarge()
		}
		return nil
	})
	if err != nil {
		return Checkout{}, err
	}
	return g.copyNames(ctx, req, names, Checkout{URL: g.loc.canonical})
}

// skipped lists what is left out of the tree at root, as slash paths relative to it.
func skipped(root string, req Request) []string {
	var list []string
	for _, dir := range []string{req.Dir, req.Skip} {
		if rel, err := filepath.Rel(root, dir); dir != "" && err == nil && filepath.IsLocal(rel) && rel != "." {
			list = append(list, filepath.ToSlash(rel))
		}
	}
	return list
}

// neverSource: version control's own files, byte code, virtual environments.
func neverSource(root *os.Root, dir string) bool {
	switch path.Base(dir) {
	case ".git", ".hg", ".svn", "__pycache__", ".tox", ".nox":
		return true
	}
	_, err := root.Lstat(path.Join(dir, "pyvenv.cfg"))
	return err == nil
}

// copyNames makes the checkout. Its place is named by its contents: a work tree has no id.
func (g *git) copyNames(ctx context.Context, req Request, names []string, c Checkout) (Checkout, error) {
	root, err := os.OpenRoot(g.loc.path)
	if err != nil {
		return Checkout{}, err
	}
	defer root.Close()
	for _, dir := range skipped(g.loc.path, req) {
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, dir+"/") })
	}
	slices.Sort(names)
	tree := filepath.Join(g.tmp, "tree")
	if err := copyFiles(ctx, root, names, tree, &c); err != nil {
		return Checkout{}, err
	}
	sum, err := treeDigest(ctx, tree)
	if err != nil {
		return Checkout{}, err
	}
	if c.Commit == "" {
		c.Commit = "tree-" + sum[:16]
	}
	dir := g.checkoutDir(req.Dir, strings.TrimSuffix(c.Commit, "-dirty")+"-"+sum[:16])
	if have, ok := reuse(ctx, dir); ok {
		have.Ref, have.Commit, have.Warnings = c.Ref, c.Commit, c.Warnings
		return have, nil
	}
	return c.keep(ctx, tree, dir)
}
