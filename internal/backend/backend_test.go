package backend

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

func version(t *testing.T, text string) pep440.Version {
	t.Helper()
	v, err := pep440.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func requirements(t *testing.T, texts ...string) []pep508.Requirement {
	t.Helper()
	var list []pep508.Requirement
	for _, text := range texts {
		r, err := pep508.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// write puts a tree on disk and says what Fit is told of it.
func write(t *testing.T, files map[string]string) (string, Tree) {
	t.Helper()
	dir := t.TempDir()
	var tree Tree
	for name, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		tree.Files = append(tree.Files, name)
		switch name {
		case "pyproject.toml":
			tree.Pyproject = []byte(text)
		case "setup.cfg":
			tree.SetupCfg = []byte(text)
		case "setup.py":
			tree.SetupPy = []byte(text)
		}
	}
	slices.Sort(tree.Files)
	return dir, tree
}

// applied runs patch on a tree the way %autosetup does, and holds every file against what the patch
// says it becomes.
func applied(t *testing.T, dir string, p *Patch) {
	t.Helper()
	program, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("patch is not installed")
	}
	cmd := exec.CommandContext(t.Context(), program, "-p1", "-s", "--fuzz=0", "--no-backup-if-mismatch", "-f")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(string(p.Diff))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("patch: %v\n%s\n%s", err, out, p.Diff)
	}
	for name, want := range p.Files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil {
			t.Errorf("%s after the patch (-meant +is): %s %v", name, diff, err)
		}
	}
}

// The ways in which people write the two fields of PEP 639, the four that defeat a sed script among them.
var writings = map[string]string{
	"plain":            "license = \"MIT\"\nlicense-files = [\"LICENSE\"]\n",
	"single quotes":    "license = 'MIT'\nlicense-files = ['LICENSE']\n",
	"no spaces":        "license=\"MIT\"\nlicense-files=[\"LICENSE\"]\n",
	"comment":          "license = \"MIT\" # not \"BSD\"\nlicense-files = [\"LICENSE\"] # one \"only\" [\n",
	"several lines":    "license-files = [\n  # all of them\n  \"LICENSE\", # \"this\"\n]\nlicense = \"MIT\"\n",
	"dotted":           "license-files = [\"LICENSE\"]\n\"license\" = \"MIT\"\n",
	"windows":          "license = \"MIT\"\r\nlicense-files = [\"LICENSE\"]\r\n",
	"multi-line quote": "description = \"\"\"\nlicense = \"BSD\"\n[tool.x]\n\"\"\"\nlicense = \"\"\"MIT\"\"\"\nlicense-files = [\"LICENSE\"]\n",
}

func TestPEP639OnOldBackends(t *testing.T) {
	for _, project := range []struct {
		name, version string
		license       any
		files         any
	}{
		{"setuptools", "69.0.3", map[string]any{"text": "MIT"}, nil},
		{"setuptools", "77.0.3", "MIT", []any{"LICENSE"}},
		{"flit-core", "3.9.0", map[string]any{"text": "MIT"}, []any{"LICENSE"}},
		{"hatchling", "1.21.1", "MIT", map[string]any{"globs": []any{"LICENSE"}}},
		{"pdm-backend", "2.3.3", map[string]any{"text": "MIT"}, map[string]any{"globs": []any{"LICENSE"}}},
	} {
		for name, text := range writings {
			head := "# by hand\n[build-system]\nrequires = [\"x\"]\n\n[project]\nname = \"a\"\nversion = \"1\" # \"license = 'x'\"\n"
			tail := "\n[tool.other]\nlicense = \"kept\" # this, too\nlicense-files = [\"kept\"]"
			dir, tree := write(t, map[string]string{"LICENSE": "", "pyproject.toml": head + text + tail})
			p, err := Fit(tree, project.name, version(t, project.version), nil)
			if err != nil {
				t.Errorf("%s, %s: %v", project.name, name, err)
				continue
			}
			after := tree.Pyproject
			if p != nil {
				after = p.Files["pyproject.toml"]
				applied(t, dir, p)
			}
			var doc map[string]any
			if err := toml.Unmarshal(after, &doc); err != nil {
				t.Fatal(err)
			}
			own := doc["project"].(map[string]any)
			if diff := cmp.Diff([]any{project.license, project.files}, []any{own["license"], own["license-files"]}); diff != "" {
				t.Errorf("%s %s, %s: %s", project.name, project.version, name, diff)
			}
			if !strings.HasPrefix(string(after), head) || !strings.HasSuffix(string(after), tail) {
				t.Errorf("%s, %s: more was changed:\n%s", project.name, name, after)
			}
			again, _ := Fit(tree, project.name, version(t, project.version), nil)
			if p != nil && string(again.Diff) != string(p.Diff) {
				t.Error("the same tree gives another patch")
			}
		}
	}
}

// Unusual licence files move to where old setuptools reads them.
func TestLicenceFilesAreKept(t *testing.T) {
	const text = "[project]\nname = \"a\"\nlicense-files = [\"legal/*.txt\"]\n\n[tool.setuptools]\nzip-safe = false\n"
	dir, tree := write(t, map[string]string{"legal/a.txt": "", "pyproject.toml": text})
	p, err := Fit(tree, "setuptools", version(t, "69"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "[project]\nname = \"a\"\n\n[tool.setuptools]\nlicense-files = [\"legal/*.txt\"]\nzip-safe = false\n"
	if diff := cmp.Diff(want, string(p.Files["pyproject.toml"])); diff != "" {
		t.Error(diff)
	}
	applied(t, dir, p)
}

func TestWhatCannotBePatched(t *testing.T) {
	for name, c := range map[string]struct{ project, version, text, why string }{
		"inline table":       {"setuptools", "69", "project = {name = \"a\", license = \"MIT\"}\n", "project.license"},
		"poetry":             {"poetry-core", "1.9.1", "[project]\nname = \"a\"\n", "no patch is known"},
		"dynamic from files": {"setuptools", "59.6.0", "[project]\nname = \"a\"\nversion = \"1\"\ndynamic = [\"dependencies\"]\n[tool.setuptools.dynamic]\ndependencies = {file = [\"r.txt\"]}\n", "dependencies"},
		"interpolation":      {"setuptools", "59.6.0", "[project]\nname = \"a\"\nversion = \"1\"\ndescription = \"100%(x)s\"\n", "description"},
		"second line":        {"setuptools", "59.6.0", "[project]\nname = \"a\"\nversion = \"1\"\ndescription = \"a\\n[options]\"\n", "description"},
	} {
		_, tree := write(t, map[string]string{"pyproject.toml": c.text, "a/__init__.py": ""})
		p, err := Fit(tree, c.project, version(t, c.version), nil)
		tooOld, ok := errors.AsType[*TooOldError](err)
		if !ok || p != nil || !strings.Contains(err.Error(), c.why) || !strings.Contains(tooOld.Error(), c.project) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestLoosen(t *testing.T) {
	all := []Feature{ProjectTable, LicenseExpression, LicenseFiles}
	for _, c := range []struct {
		project  string
		requires string
		uses     []Feature
		want     string // "": not loosened
	}{
		{"setuptools", "setuptools>=77", all, "setuptools"},
		{"setuptools", "setuptools>=77.0.3", all, "setuptools"},
		{"setuptools", "setuptools[toml]>=61,!=70,<90; python_version > \"3\"", all[:1], "setuptools[toml]!=70,<90; python_version > \"3\""},
		{"setuptools", "setuptools>=64", nil, "setuptools"}, // editable installs
		{"setuptools", "setuptools>=77", all[:1], ""},       // nobody knows why
		{"setuptools", "setuptools>=80", all, ""},
		{"setuptools", "setuptools==77", all, ""},
		{"setuptools", "wheel>=1", all, ""},
		{"flit-core", "flit_core >=3.11,<4", all, "flit_core<4"},
		{"maturin", "maturin>=1", all, ""},
	} {
		loose, ok := Loosen(c.project, requirements(t, c.requires), c.uses)
		if !ok {
			loose = requirements(t, "none")
		}
		want := requirements(t, or(c.want, "none"))
		if loose[0].String() != want[0].String() {
			t.Errorf("%s: %s, not %s", c.requires, loose[0], want[0])
		}
	}
	// What was loosened is declared so.
	dir, tree := write(t, map[string]string{"pyproject.toml": "[build-system]\nrequires = [ # tools\n  'setuptools>=77', # new\n  \"cffi\" ]\n[project]\nname = \"a\"\nlicense = \"MIT\"\n"})
	p, err := Fit(tree, "setuptools", version(t, "70"), requirements(t, "setuptools", "cffi"))
	if err != nil {
		t.Fatal(err)
	}
	want := "[build-system]\nrequires = [ # tools\n  \"setuptools\", # new\n  \"cffi\" ]\n[project]\nname = \"a\"\nlicense = {text = \"MIT\"}\n"
	if diff := cmp.Diff(want, string(p.Files["pyproject.toml"])); diff != "" {
		t.Error(diff)
	}
	applied(t, dir, p)
}

const rich = `[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "my.pkg"
version = "1.2.3"
description = "Says hello"
readme = "README.md"
requires-python = ">=3.6"
license = {text = "MIT"}
authors = [{name = "A B", email = "ab@example.org"}, {name = "C D"}]
keywords = ["x", "y"]
classifiers = ["Programming Language :: Python :: 3"]
dependencies = ["six>=1.10", "tomli; sys_platform == \"win32\""]

[project.urls]
Home = "https://example.org/?a=b#c"

[project.optional-dependencies]
fast = ["cffi"]

[project.scripts]
hello = "my_pkg.cli:main"

[project.entry-points."my.group"]
one = "my_pkg:one"
`

const richCfg = `[metadata]
name = my.pkg
version = 1.2.3
description = Says hello
long_description = file: README.md
long_description_content_type = text/markdown
license = MIT
author = C D
author_email = A B <ab@example.org>
keywords = x, y
classifiers =
    Programming Language :: Python :: 3
project_urls =
    Home = https://example.org/?a=b#c

[options]
python_requires = >=3.6
install_requires =
    six>=1.10
    tomli; sys_platform == "win32"
include_package_data = True
packages =
    my_pkg
    my_pkg.sub
package_dir =
    = src

[options.extras_require]
fast =
    cffi

[options.entry_points]
console_scripts =
    hello = my_pkg.cli:main
my.group =
    one = my_pkg:one
`

func richTree() map[string]string {
	return map[string]string{"pyproject.toml": rich, "README.md": "# hi\n", "LICENSE": "MIT License\n", "src/my_pkg/__init__.py": "one = 1\n",
		"src/my_pkg/cli.py": "def main(): print('hello')\n", "src/my_pkg/sub/__init__.py": "", "tests/test_a.py": ""}
}

func TestSetupCfg(t *testing.T) {
	dir, tree := write(t, richTree())
	p, err := Fit(tree, "setuptools", version(t, "59.6.0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(richCfg, string(p.Files["setup.cfg"])); diff != "" {
		t.Error(diff)
	}
	if string(p.Files["setup.py"]) != stub || len(p.Files) != 2 {
		t.Errorf("files: %v", p.Files)
	}
	applied(t, dir, p)
}

// Packages are found where setuptools 61 finds them.
func TestDiscovery(t *testing.T) {
	for name, c := range map[string]struct {
		tool  string
		files []string
		want  string // "": an error
	}{
		"flat":        {"", []string{"a/__init__.py", "a/b/data.txt", "tests/x.py", "docs/conf.py", "setup.cfg.in"}, "packages =\n    a\n    a.b\n"},
		"two tops":    {"", []string{"a/__init__.py", "b/__init__.py"}, ""},
		"one module":  {"", []string{"a.py", "conftest.py", "noxfile.py"}, "py_modules =\n    a\n"},
		"two modules": {"", []string{"a.py", "b.py"}, ""},
		"src":         {"", []string{"src/a/__init__.py", "src/b.py", "c/__init__.py"}, "packages =\n    a\npy_modules =\n    b\npackage_dir =\n    = src\n"},
		"list":        {"packages = [\"a\", \"c\"]\n", []string{"a/__init__.py", "c/x.py"}, "packages =\n    a\n    c\n"},
		"find": {"[tool.setuptools.packages.find]\nwhere = [\"lib\"]\ninclude = [\"a*\"]\nexclude = [\"a.t*\"]\nnamespaces = false\n",
			[]string{"lib/a/__init__.py", "lib/a/t/__init__.py", "lib/a/n/x.py", "lib/b/__init__.py"}, "packages =\n    a\npackage_dir =\n    = lib\n"},
		"extension":  {"[[tool.setuptools.ext-modules]]\nname = \"x\"\n", []string{"a/__init__.py"}, ""},
		"data files": {"[tool.setuptools.package-data]\na = [\"*.txt\"]\n", []string{"a/__init__.py"}, "packages =\n    a\n\n[options.package_data]\na =\n    *.txt\n"},
	} {
		files := map[string]string{"pyproject.toml": "[project]\nname = \"a\"\nversion = \"1\"\n[tool.setuptools]\n" + c.tool}
		for _, f := range c.files {
			files[f] = ""
		}
		_, tree := write(t, files)
		p, err := Fit(tree, "setuptools", version(t, "59.6.0"), nil)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: no error, but\n%s", name, p.Diff)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if _, got, _ := strings.Cut(string(p.Files["setup.cfg"]), "include_package_data = True\n"); got != c.want {
			t.Errorf("%s: %s", name, cmp.Diff(c.want, got))
		}
	}
}

const uvProject = "[build-system]\nrequires = [\"uv_build>=0.9,<0.10\"]\nbuild-backend = \"uv_build\"\n\n[project]\nname = \"My-pkg\"\nversion = \"1.2.3\"\n"

func TestSwitchToFlit(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		files []string
		want  string // the error, "" for none
	}{
		"src":         {"", []string{"src/my_pkg/__init__.py"}, ""},
		"flat":        {"[tool.uv.build-backend]\nmodule-root = \"\"\nmodule-name = \"other\"\n", []string{"other/__init__.py"}, ""},
		"namespace":   {"[tool.uv.build-backend]\nnamespace = true\n", []string{"src/my_pkg/x.py"}, "namespace"},
		"data":        {"[tool.uv.build-backend.data]\nscripts = \"bin\"\n", []string{"src/my_pkg/__init__.py"}, "data"},
		"not there":   {"", []string{"my_pkg/__init__.py"}, "src/my_pkg/__init__.py"},
		"both places": {"", []string{"src/my_pkg/__init__.py", "my_pkg/__init__.py"}, "my_pkg"},
		"new field":   {"import-names = [\"x\"]\n", []string{"src/my_pkg/__init__.py"}, "import-names"},
	} {
		files := map[string]string{"pyproject.toml": uvProject + c.text}
		for _, f := range c.files {
			files[f] = ""
		}
		dir, tree := write(t, files)
		p, err := SwitchToFlit(tree)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		applied(t, dir, p)
	}
}

// A patch is what diff would write: patch(1) takes it, whatever lines change.
func FuzzDiff(f *testing.F) {
	f.Add("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", "a\nB\nc\nd\ne\nf\ng\nh\ni\nJ")
	f.Add("", "a")
	f.Add("a", "")
	f.Fuzz(func(t *testing.T, old, new string) {
		if strings.Contains(old+new, "\x00") || old == "" || new == "" {
			t.Skip()
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
		if d := diff("f", []byte(old), false, []byte(new)); d != "" {
			applied(t, dir, &Patch{Diff: []byte(d), Files: map[string][]byte{"f": []byte(new)}})
		} else if old != new {
			t.Error("no patch")
		}
	})
}
