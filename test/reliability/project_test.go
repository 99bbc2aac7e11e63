package reliability

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"reqpm/internal/testindex"
)

var uploaded = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// packages are what the project needs: two layers of build tools, packages that need each
// other, one that must be asked for its dependencies, one that fits no pattern.
func packages() []testindex.Package {
	list := []testindex.Package{
		{Name: "tool-base", Version: "1.0"},
		{Name: "tool-top", Version: "2.1", BuildRequires: []string{"tool-base"}, Imports: []string{"tool_base"}},
		{Name: "lib-a", Version: "1.4", BuildRequires: []string{"tool-top>=2"}, Imports: []string{"tool_top"}},
		{Name: "lib-b", Version: "0.3", BuildRequires: []string{"tool-top"}, HookRequires: []string{"tool-base"}, Imports: []string{"tool_base"}, Requires: []string{"lib-a>=1"}},
		{Name: "lib-c", Version: "7", BuildRequires: []string{"tool-base"}, Dynamic: true, Requires: []string{"lib-a"}},
		{Name: "lone", Version: "1.0", Scripts: []string{"lone = lone:main"}, Seconds: 1},
		{Name: "core", Version: "3.2", BuildRequires: []string{"tool-top"}, Requires: []string{"lib-b", "lib-c", "quick>=1"}, Seconds: 0.5},
	}
	for i := range list {
		list[i].Uploaded = uploaded
	}
	return list
}

// expected are the builds of the project: the packages, the one in C, and the project.
const expected = 9

//go:embed testdata/cbackend.py
var cBackend string

//go:embed testdata/quick.c
var cSource string

// quick is an sdist whose backend, in its own tree, calls the C compiler.
func quick(t *testing.T) (name string, data []byte) {
	t.Helper()
	tree := map[string]string{
		"PKG-INFO":           "Metadata-Version: 2.2\nName: quick\nVersion: 1.5\nSummary: A little C\nLicense: MIT\n",
		"LICENSE":            "MIT License\n",
		"pyproject.toml":     "[build-system]\nrequires = [\"tool-top\"]\nbuild-backend = \"cbackend\"\nbackend-path = [\"_build\"]\n",
		"_build/cbackend.py": cBackend,
		"quick/__init__.py":  "from ._quick import answer\n",
		"quick/_quick.c":     cSource,
		"quick/not_in_wheel": "left out\n",
	}
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	w := tar.NewWriter(gz)
	for _, file := range slices.Sorted(maps.Keys(tree)) {
		must(t, w.WriteHeader(&tar.Header{Name: "quick-1.5/" + file, Mode: 0o644, Size: int64(len(tree[file])), ModTime: uploaded}))
		_, err := w.Write([]byte(tree[file]))
		must(t, err)
	}
	must(t, w.Close())
	must(t, gz.Close())
	return "quick-1.5.tar.gz", buf.Bytes()
}

// writeProject makes the Git repository that is built: a package itself, with a requirement file.
func writeProject(t *testing.T, dir string) {
	t.Helper()
	tree := testindex.Package{Name: "demo-app", Version: "0.9", Requires: []string{"core"}, BuildRequires: []string{"tool-top"}, Summary: "The project"}.Tree()
	tree["requirements.txt"] = "core>=3\nlone==1.0\n"
	for name, text := range tree {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-q", "-m", "The project"}} {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=T", "-c", "user.email=t@example.org"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_COMMITTER_DATE=2024-06-01T00:00:00Z", "GIT_AUTHOR_DATE=2024-06-01T00:00:00Z")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
