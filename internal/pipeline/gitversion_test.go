package pipeline

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/pep440"
)

func TestVersionFiles(t *testing.T) {
	const asksGit = "git_refnames = \"$Format:%d$\"\n"
	for name, c := range map[string]struct {
		tree map[string]string
		want []string // paths of files written
	}{
		"nothing to tell":   {map[string]string{"pyproject.toml": "[build-system]\nrequires = [\"setuptools-scm\"]\n"}, nil},
		"versioningit":      {map[string]string{"pyproject.toml": "[build-system]\nrequires = [\"hatchling\", \"versioningit~=3.0\"]\n"}, []string{"PKG-INFO"}},
		"it is an sdist":    {map[string]string{"PKG-INFO": "", "pyproject.toml": "[build-system]\nrequires = [\"versioningit\"]\n"}, nil},
		"git versioning":    {map[string]string{"pyproject.toml": "[build-system]\nrequires = [\"setuptools\", \"setuptools_git_versioning>=2\"]\n"}, []string{"PKG-INFO"}},
		"versioneer":        {map[string]string{"setup.cfg": "[a]\nversionfile_source = no\n[versioneer]\nVCS = git\nversionfile_source = src/a/_version.py\n", "src/a/_version.py": asksGit}, []string{"src/a/_version.py"}},
		"versioneer's toml": {map[string]string{"pyproject.toml": "[tool.versioneer]\nversionfile_source = \"a/_version.py\"\n", "a/_version.py": asksGit}, []string{"a/_version.py"}},
		"says it already":   {map[string]string{"pyproject.toml": "[tool.versioneer]\nversionfile_source = \"a/_version.py\"\n", "a/_version.py": "x"}, nil},
		"leaves the tree":   {map[string]string{"pyproject.toml": "[tool.versioneer]\nversionfile_source = \"../_version.py\"\n"}, nil},
		"broken":            {map[string]string{"pyproject.toml": "["}, nil},
	} {
		dir := t.TempDir()
		for file, text := range c.tree {
			full := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		v, _ := pep440.Parse("1.2.post3")
		files, err := versionFiles(dir, "a", v)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for file, text := range files {
			got = append(got, file)
			if !strings.Contains(string(text), "1.2.post3") {
				t.Errorf("%s: %s does not say the version:\n%s", name, file, text)
			}
			if python, err := exec.LookPath("python3"); err == nil && strings.HasSuffix(file, ".py") {
				out, err := exec.Command(python, "-c", string(text)+"\nprint(get_versions()['version'])").CombinedOutput()
				if err != nil || string(out) != "1.2.post3\n" {
					t.Errorf("%s: %v: %s", name, err, out)
				}
			}
		}
		want(t, name, c.want, got)
	}
}
