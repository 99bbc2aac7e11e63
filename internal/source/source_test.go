package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
}

// repo is a repository made for a test.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) repo {
	t.Helper()
	needGit(t)
	r := repo{t, t.TempDir()}
	r.git("init", "-q", "-b", "trunk")
	return r
}

func (r repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2024-05-06T07:08:09Z", "GIT_COMMITTER_DATE=2024-05-06T07:08:09Z", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r repo) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r repo) commit(name, text string) string {
	r.t.Helper()
	r.write(name, text)
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "change "+name)
	return r.git("rev-parse", "HEAD")
}

func (r repo) request(t *testing.T, ref string) Request {
	return Request{URL: r.dir, Ref: ref, Dir: filepath.Join(t.TempDir(), "state"), Allow: Policy{Local: true}}
}

func mustFetch(t *testing.T, req Request) Checkout {
	t.Helper()
	c, err := Fetch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, c Checkout, name string) string {
	t.Helper()
	fsys, err := c.FS()
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return "<" + err.Error() + ">"
	}
	return string(data)
}

func TestEveryKindOfRef(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "one")
	r.git("tag", "-a", "-m", "x", "v1.0")
	second := r.commit("a", "two")
	r.git("checkout", "-q", "-b", "feature/x", first)
	side := r.commit("a", "side")
	r.git("checkout", "-q", "trunk")
	third := r.commit("a", "three")
	for _, c := range []struct{ ref, commit, name, text, describe string }{
		{"", third, "trunk", "three", "v1.0-2-g" + third[:7]},
		{"trunk", third, "trunk", "three", "v1.0-2-g" + third[:7]},
		{"refs/heads/trunk", third, "trunk", "three", "v1.0-2-g" + third[:7]},
		{"v1.0", first, "v1.0", "one", "v1.0"},
		{"feature/x", side, "feature/x", "side", "v1.0-1-g" + side[:7]},
		{second, second, second, "two", "v1.0-1-g" + second[:7]},
		{second[:9], second, second[:9], "two", "v1.0-1-g" + second[:7]},
		{strings.ToUpper(third[:12]), third, strings.ToUpper(third[:12]), "three", "v1.0-2-g" + third[:7]},
	} {
		got := mustFetch(t, r.request(t, c.ref))
		if got.Commit != c.commit || got.Ref != c.name || read(t, got, "a") != c.text || got.Describe != c.describe {
			t.Errorf("%q: got commit %s ref %s text %q describe %q; want %+v", c.ref, got.Commit, got.Ref, read(t, got, "a"), got.Describe, c)
		}
		if want := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC); !got.CommitTime.Equal(want) {
			t.Errorf("%q: time %v", c.ref, got.CommitTime)
		}
		if _, err := os.Stat(filepath.Join(got.Dir, ".git")); err == nil {
			t.Errorf("%q: the checkout holds .git", c.ref)
		}
	}
}

func TestUnknownRefNamesNearOnes(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "one")
	for _, tag := range []string{"v2.1.0", "v2.10", "v1.9", "release-3"} {
		r.git("tag", tag)
	}
	for ref, want := range map[string]string{
		"v2.1":     "no branch, tag or commit v2.1; did you mean v2.1.0, v2.10",
		"2.10":     "did you mean v2.10",
		"trnuk":    "did you mean trunk?",
		"zzzzzzzz": "no branch, tag or commit zzzzzzzz",
		"deadbeef": "no branch, tag or commit deadbeef",
		"0123456789012345678901234567890123456789": "no branch, tag or commit 0123456789",
	} {
		c, err := Fetch(t.Context(), r.request(t, ref))
		if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v; want %q", ref, c, err, want)
		}
	}
}

func TestBranchNamedLikeACommitIDIsNotTaken(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "good")
	r.commit("a", "evil")
	r.git("update-ref", "refs/heads/"+first, "HEAD")
	got := mustFetch(t, r.request(t, first))
	if got.Commit != first || read(t, got, "a") != "good" {
		t.Errorf("got %s with %q", got.Commit, read(t, got, "a"))
	}
}

func TestRefs(t *testing.T) {
	r := newRepo(t)
	c := r.commit("a", "one")
	r.git("tag", "-a", "-m", "x", "v1")
	r.git("branch", "other")
	refs, err := Refs(t.Context(), Request{URL: r.dir, Allow: Policy{Local: true}})
	want := []Ref{{"other", "branch", c, false}, {"trunk", "branch", c, true}, {"v1", "tag", c, false}}
	if err != nil || !slices.Equal(refs, want) {
		t.Errorf("got %v, %v; want %v", refs, err, want)
	}
}

func TestCheckoutIsReusedWhileIntact(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "one")
	req := r.request(t, "")
	first := mustFetch(t, req)
	marker := filepath.Join(first.Dir, "a")
	before, err := os.Stat(marker)
	if err != nil {
		t.Fatal(err)
	}
	second := mustFetch(t, req)
	after, err := os.Stat(marker)
	if err != nil || second.Dir != first.Dir || !os.SameFile(before, after) {
		t.Errorf("not reused: %s %s %v", first.Dir, second.Dir, err)
	}
	if err := os.WriteFile(marker, []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if third := mustFetch(t, req); read(t, third, "a") != "one" {
		t.Error("a changed checkout was reused")
	}
}

func TestTwoProjectsNeverShareACheckout(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "one")
	copied := filepath.Join(t.TempDir(), "copy")
	r.git("clone", "-q", r.dir, copied)
	req := r.request(t, "")
	a := mustFetch(t, req)
	req.URL = copied
	if b := mustFetch(t, req); a.Commit != b.Commit || a.Dir == b.Dir {
		t.Errorf("%s and %s", a.Dir, b.Dir)
	}
}

func TestRacingFetches(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "one")
	req := r.request(t, "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := Fetch(context.Background(), req)
			if err != nil || read(t, c, "a") != "one" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(req.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestLocalPathsInTheWild(t *testing.T) {
	r := newRepo(t)
	commit := r.commit("a", "one")
	odd := filepath.Join(t.TempDir(), "a b%20c'é")
	r.git("clone", "-q", "--bare", r.dir, odd)
	for _, path := range []string{odd, r.dir + "/.git", "file://" + r.dir} {
		req := r.request(t, "")
		req.URL = path
		if got := mustFetch(t, req); got.Commit != commit || read(t, got, "a") != "one" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestDirtyWorkTreeIsTakenAsItIs(t *testing.T) {
	r := newRepo(t)
	r.write(".gitignore", "ignored\n")
	r.commit("sub/a", "one")
	r.commit("gone", "x")
	head := r.git("rev-parse", "HEAD")
	r.write("sub/a", "changed")
	r.write("new", "new")
	r.write("ignored", "secret")
	if err := os.Remove(filepath.Join(r.dir, "gone")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(r.dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("sub/a", filepath.Join(r.dir, "in")); err != nil {
		t.Fatal(err)
	}
	req := r.request(t, "")
	got := mustFetch(t, req)
	if got.Commit != head+"-dirty" || got.Ref != "trunk" {
		t.Errorf("commit %s ref %s", got.Commit, got.Ref)
	}
	for name, want := range map[string]string{"sub/a": "changed", "new": "new", "in": "changed"} {
		if read(t, got, name) != want {
			t.Errorf("%s is %q", name, read(t, got, name))
		}
	}
	for _, name := range []string{"ignored", "gone", "out", ".git"} {
		if _, err := os.Lstat(filepath.Join(got.Dir, name)); err == nil {
			t.Errorf("%s was copied", name)
		}
	}
	if !strings.Contains(strings.Join(got.Warnings, "\n"), "link out leads out of the tree") {
		t.Errorf("warnings %q", got.Warnings)
	}
	// Another change is another checkout; a ref asked for is the commit, not the work tree.
	r.write("new", "newer")
	if again := mustFetch(t, req); again.Dir == got.Dir || read(t, again, "new") != "newer" || read(t, got, "new") != "new" {
		t.Error("the old copy was used or changed")
	}
	req.Ref = "trunk"
	if clean := mustFetch(t, req); clean.Commit != head || read(t, clean, "sub/a") != "one" {
		t.Errorf("got %s %q", clean.Commit, read(t, clean, "sub/a"))
	}
}

func TestFolderInsideARepository(t *testing.T) {
	r := newRepo(t)
	head := r.commit("app/setup.py", "x")
	r.write("other", "changed elsewhere")
	req := r.request(t, "")
	req.URL = filepath.Join(r.dir, "app")
	got := mustFetch(t, req)
	if got.Commit != head || read(t, got, "setup.py") != "x" {
		t.Errorf("%+v", got)
	}
	r.write("app/setup.py", "y")
	if got := mustFetch(t, req); got.Commit != head+"-dirty" || read(t, got, "setup.py") != "y" {
		t.Errorf("%+v", got)
	}
}

func TestPlainDirectory(t *testing.T) {
	needGit(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"setup.py": "x", "venv/pyvenv.cfg": "x", "venv/bin/python": "x", "pkg/__pycache__/a.pyc": "x", "pkg/a.py": "y", "state/old": "z"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	req := Request{URL: dir, Dir: filepath.Join(dir, "state"), Allow: Policy{Local: true}}
	got := mustFetch(t, req)
	var names []string
	fsys, err := got.FS()
	if err != nil {
		t.Fatal(err)
	}
	_ = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			names = append(names, name)
		}
		return nil
	})
	if !slices.Equal(names, []string{"pkg/a.py", "setup.py"}) || !strings.HasPrefix(got.Commit, "tree-") {
		t.Errorf("%v, %s", names, got.Commit)
	}
	if again := mustFetch(t, req); again.Commit != got.Commit || again.Dir != got.Dir {
		t.Error("the same files are another commit")
	}
	req.Ref = "v1"
	if _, err := Fetch(t.Context(), req); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestLinksOfARepository: git knows no bounds for links, so links through links lead out
// though each of them looks harmless.
func TestLinksOfARepository(t *testing.T) {
	r := newRepo(t)
	r.write("docs/README", "readme")
	r.write("a/b/keep", "")
	r.write("c/keep", "")
	for name, target := range map[string]string{
		"README": "docs/README", "abs": "/etc/passwd", "up": "../../etc/passwd", "dangling": "nowhere",
		"a/b/deep": "../../c", "a/b/trick": "deep/../../etc/passwd", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "links")
	got := mustFetch(t, r.request(t, ""))
	if read(t, got, "README") != "readme" {
		t.Errorf("README is %q", read(t, got, "README"))
	}
	for _, name := range []string{"abs", "up", "a/b/trick"} {
		if _, err := os.Lstat(filepath.Join(got.Dir, name)); err == nil {
			t.Errorf("%s is there", name)
		}
		if !strings.Contains(strings.Join(got.Warnings, "\n"), "link "+name+" leads out") {
			t.Errorf("no warning of %s in %q", name, got.Warnings)
		}
	}
	for _, name := range []string{"dangling", "a/b/deep"} {
		if _, err := os.Lstat(filepath.Join(got.Dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestFilesComeOutByteForByte(t *testing.T) {
	r := newRepo(t)
	r.write(".gitattributes", "*.txt text eol=crlf\n*.bin filter=lfs\n*.id ident\n")
	r.write("a.txt", "one\ntwo\n")
	r.write("x.id", "$Id$\n")
	r.write("run", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(r.dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.commit("b.bin", "version https://example.org/spec\n")
	got := mustFetch(t, r.request(t, "trunk"))
	if read(t, got, "a.txt") != "one\ntwo\n" || read(t, got, "x.id") != "$Id$\n" {
		t.Errorf("changed: %q %q", read(t, got, "a.txt"), read(t, got, "x.id"))
	}
	info, err := os.Stat(filepath.Join(got.Dir, "run"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("run has mode %v, %v", info.Mode(), err)
	}
	if !strings.Contains(strings.Join(got.Warnings, "\n"), "LFS") {
		t.Errorf("warnings %q", got.Warnings)
	}
}

func TestSubmodulesAreNotFetched(t *testing.T) {
	sub := newRepo(t)
	sub.commit("s", "s")
	r := newRepo(t)
	r.commit("a", "a")
	r.git("submodule", "--quiet", "add", sub.dir, "vendored")
	r.git("commit", "-q", "-m", "sub")
	got := mustFetch(t, r.request(t, ""))
	if !strings.Contains(strings.Join(got.Warnings, "\n"), "submodule vendored is not fetched") {
		t.Errorf("warnings %q", got.Warnings)
	}
	if _, err := os.Stat(filepath.Join(got.Dir, "vendored", "s")); err == nil {
		t.Error("it was fetched")
	}
}

// TestHooksOfTheWorldDoNotRun: a user's own configuration with a hook and a program for
// every file must not be read, nor the environment's.
func TestUserConfigurationIsNotRead(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "one")
	home := t.TempDir()
	ran := filepath.Join(home, "ran")
	hooks := filepath.Join(home, "hooks")
	if err := os.Mkdir(hooks, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\ntouch " + ran + "\n"
	for _, name := range []string{"post-checkout", "reference-transaction"} {
		if err := os.WriteFile(filepath.Join(hooks, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf("[core]\n\thooksPath = %s\n\tfsmonitor = %s/post-checkout\n[url \"file:///nonexistent\"]\n\tinsteadOf = file://\n", hooks, hooks)
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
	t.Setenv("GIT_CONFIG_VALUE_0", hooks)
	t.Setenv("GIT_DIR", "/nonexistent")
	got := mustFetch(t, r.request(t, ""))
	if read(t, got, "a") != "one" {
		t.Error("not fetched")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a hook ran")
	}
}

func TestSourceTarIsTheSameEachTime(t *testing.T) {
	r := newRepo(t)
	r.write("b/run", "x")
	if err := os.Chmod(filepath.Join(r.dir, "b/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b/run", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.commit("a", "one")
	var sums []string
	var data []byte
	for range 2 {
		c := mustFetch(t, r.request(t, "trunk"))
		out := filepath.Join(t.TempDir(), "x.tar.gz")
		sum, err := SourceTar(t.Context(), c, "my-project", "1.0", out)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
		if data, err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("sums %v", sums)
	}
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for tr := tar.NewReader(zip); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %o %s", h.Name, h.Mode, h.Linkname))
		if h.ModTime.Unix() != 1714979289 || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%+v", h)
		}
	}
	want := []string{"my-project-1.0/ 755 ", "my-project-1.0/a 644 ", "my-project-1.0/b/ 755 ", "my-project-1.0/b/run 755 ", "my-project-1.0/link 777 b/run"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q", lines)
	}
	if _, err := SourceTar(t.Context(), Checkout{Dir: r.dir}, "../x", "1", filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("accepts a name with a slash")
	}
}
