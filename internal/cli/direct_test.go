package cli_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/testindex"
)

// writeTree puts the source tree of a package into a folder.
func writeTree(t *testing.T, dir string, p testindex.Package) {
	t.Helper()
	for name, text := range p.Tree() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (m machine) git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, m.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// testDirect: a folder of the project, a folder of a Git repository at a tag, and an archive by
// its address are built like any package, and what they need comes from the index.
func testDirect(t *testing.T, m machine) {
	index := serve(t,
		testindex.Package{Name: "needed", Version: "2.0"},
		testindex.Package{Name: "fromgit", Version: "9.0"}) // newer, and not what was asked for
	dir := folder(t)
	writeTree(t, filepath.Join(dir, "libs", "beside"), testindex.Package{Name: "beside", Version: "0.1", Requires: []string{"needed"}, Dynamic: true})
	repository := filepath.Join(t.TempDir(), "lib")
	writeTree(t, filepath.Join(repository, "python"), testindex.Package{Name: "fromgit", Version: "1.5", Dynamic: true})
	m.git(t, repository, "init", "-q")
	m.git(t, repository, "add", "-A")
	m.git(t, repository, "commit", "-qm", "one")
	m.git(t, repository, "tag", "v1.5")
	archive, data, err := testindex.Package{Name: "packed", Version: "3.1"}.Sdist()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, archive), data, 0o644); err != nil {
		t.Fatal(err)
	}
	lines := []string{
		"./libs/beside",
		"fromgit @ git+file://" + repository + "@v1.5#subdirectory=python",
		fmt.Sprintf("./%s --hash=sha256:%x", archive, sha256.Sum256(data)),
	}
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := m.run(t, 0, "build", dir, "-i", index, "--allow-source", "local", "--json")
	equal(t, "built", "beside 0.1, fromgit 1.5, needed 2.0, packed 3.1", names(slices.Concat(c.summary.Built, c.summary.Reused)))
	c.proven(t, "beside", "fromgit", "needed", "packed")
}
