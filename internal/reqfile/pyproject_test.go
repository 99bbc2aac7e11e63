package reqfile

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pyprojectText = `# a comment first
[build-system]
requires = ["setuptools>=61"]

[project]
name = "My.Project"
version = "1.4"
requires-python = ">=3.9, <4"
dependencies = [
    "requests >= 2.31",
    # "commented==1",
    'tomli; python_version < "3.11"',
    "tool[x] @ git+https://git.example.org/tool.git@v1", "six",
    """attrs""",
    "my_project[Fast_IO]; os_name == 'posix'",
]

[project.optional-dependencies]
fast-io = [
  "uvloop"
]
"Docs" = ["sphinx"]
all = ["my-project[fast-io,docs]", "extra-thing"]
loop = ["my-project[loop]"]

[dependency-groups]
test = ["pytest", {include-group = "Lint_Tools"}]
lint-tools = [
  "ruff",
]
`

func TestPyproject(t *testing.T) {
	set, err := Read(context.Background(), Request{
		FS:     files("sub/pyproject.toml", pyprojectText, "sub/setup.py", ""),
		Files:  []string{"sub/pyproject.toml"},
		Extras: []string{"ALL", "loop"},
		Groups: []string{"test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements),
		"sub/pyproject.toml:10 requests >= 2.31",
		`sub/pyproject.toml:12 tomli; python_version < "3.11"`,
		"sub/pyproject.toml:13 tool[x] @ git+https://git.example.org/tool.git@v1",
		"sub/pyproject.toml:13 six",
		"sub/pyproject.toml:14 attrs",
		"sub/pyproject.toml:20 uvloop", // through the project's own [fast-io], with its marker
		"sub/pyproject.toml:22 sphinx",
		"sub/pyproject.toml:20 uvloop",
		"sub/pyproject.toml:23 extra-thing",
		"sub/pyproject.toml:27 pytest",
		"sub/pyproject.toml:29 ruff",
	)
	if m := set.Requirements[5].Marker; m == nil || m.String() != `os_name == "posix"` {
		t.Errorf("marker of uvloop: %v", m)
	}
	if m := set.Requirements[7].Marker; m != nil {
		t.Errorf("marker of the second uvloop: %v", m)
	}
	if q := set.Requirements[2]; q.VCS != "git+https://git.example.org/tool.git@v1" {
		t.Errorf("VCS %q", q.VCS)
	}
	want := &Project{
		Name: "My.Project", Version: "1.4", RequiresPython: ">=3.9, <4",
		Extras: []string{"fast-io", "docs", "all", "loop"}, Groups: []string{"test", "lint-tools"},
		HasBuildSystem: true, Position: Position{"sub/pyproject.toml", 5},
	}
	if diff := cmp.Diff(want, set.Project); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if set.Warnings != nil {
		t.Errorf("warnings %v", set.Warnings)
	}
}

// Lines must be right in every way TOML lets one write a list.
func TestPyprojectLines(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"dotted keys":     {"project.name = 'x'\n\nproject.dependencies = [\n'six']", []string{"p:4 six"}},
		"inline table":    {"\nproject = {name = 'x', dependencies = [\n\n'six']}", []string{"p:4 six"}},
		"CRLF":            {"[project]\r\nname='x'\r\ndependencies = [\r\n 'six',\r\n 'attrs']\r\n", []string{"p:4 six", "p:5 attrs"}},
		"BOM":             {"\ufeff[project]\nname='x'\ndependencies = ['six']", []string{"p:3 six"}},
		"same text":       {"[project]\nname='x'\ndescription='six'\ndependencies = [\n 'six',\n\n 'six']", []string{"p:5 six", "p:7 six"}},
		"escapes":         {"[project]\nname='x'\ndependencies = [\n\n \"s\\u0069x\"]", []string{"p:5 six"}},
		"array of tables": {"[[tool.x]]\na=1\n[[tool.x]]\nb=['six']\n[project]\nname='x'\ndependencies=['six']", []string{"p:7 six"}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := read(t, files("pyproject.toml", c.text), "pyproject.toml")
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, s := range list(set.Requirements) {
				all = append(all, strings.Replace(s, "pyproject.toml", "p", 1))
			}
			wantList(t, all, c.want...)
		})
	}
}

func TestDynamicDependencies(t *testing.T) {
	set, err := Read(context.Background(), Request{
		FS: files(
			"app/pyproject.toml", "[project]\nname='x'\ndynamic=['dependencies', 'optional-dependencies']\n"+
				"[tool.setuptools.dynamic]\ndependencies = {file = ['reqs/base.txt', 'more.txt']}\n"+
				"optional-dependencies.Fast = {file = 'fast.txt'}\noptional-dependencies.other = {file = ['no.txt']}\n",
			"app/reqs/base.txt", "six\n", "app/more.txt", "attrs\n", "app/fast.txt", "uvloop\n"),
		Files:  []string{"app/pyproject.toml"},
		Extras: []string{"fast"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "app/reqs/base.txt:1 six", "app/more.txt:1 attrs", "app/fast.txt:1 uvloop")
	wantList(t, set.Files, "app/pyproject.toml", "app/reqs/base.txt", "app/more.txt", "app/fast.txt")
	wantList(t, set.Project.Extras, "fast", "other")

	_, err = read(t, files("pyproject.toml", "[project]\nname='x'\ndynamic=['dependencies']\n[tool.setuptools.dynamic]\ndependencies.file=[\n'../r.txt',\n'missing.txt']\n"), "pyproject.toml")
	wantError(t, err, ErrOutside, "pyproject.toml:6:")
	wantError(t, err, fs.ErrNotExist, "pyproject.toml:7:", "missing.txt")

	set, err = read(t, files("pyproject.toml", "[project]\nname='x'\ndynamic=['dependencies']\n"), "pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, set.Warnings, "pyproject.toml:3: the dependencies are dynamic: only its build backend can tell them")
}

func TestPyprojectErrors(t *testing.T) {
	const head = "[project]\nname = 'x'\n"
	for name, c := range map[string]struct {
		text string
		is   error
		says []string
	}{
		"syntax":          {"[project]\nname = \n", nil, []string{"pyproject.toml:2:", "invalid TOML"}},
		"duplicate key":   {head + "name = 'y'\n", nil, []string{"pyproject.toml:3:"}},
		"requirement":     {head + "dependencies = [\n'six',\n'foo=1']", nil, []string{"pyproject.toml:5: ", `"foo=1"`, "did you mean =="}},
		"path":            {head + "dependencies = [\n'./lib']", nil, []string{"pyproject.toml:4:"}},
		"not a list":      {head + "dependencies = 'six'", nil, []string{"pyproject.toml:3:", "array"}},
		"not strings":     {head + "dependencies = ['six', 1]", nil, []string{"pyproject.toml:3:", "strings"}},
		"poetry":          {"[tool.poetry]\nname='x'\n[tool.poetry.dependencies]\nsix='=>1'", nil, []string{"pyproject.toml:4:", "six", "=>"}},
		"no project":      {"[tool.black]\n", nil, []string{"no [project]"}},
		"requires-python": {head + "requires-python = '>>3'", nil, []string{"pyproject.toml:3:", ">>3"}},
		"name":            {"[project]\nname = 'x y'", nil, []string{"pyproject.toml:2:", "name"}},
		"number as name":  {"[project]\nname = 1", nil, []string{"pyproject.toml:2:", "string"}},
		"extra":           {head + "[project.optional-dependencies]\na=[]\nb=[]", nil, []string{"pyproject.toml:3:", `"fast": unknown extra; known are a, b`}},
		"no extras":       {head, nil, []string{"unknown extra; there are none"}},
		"own extra":       {head + "dependencies = [\n'x[nope]']\noptional-dependencies.fast=[]", nil, []string{"pyproject.toml:4:", `no extra "nope"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(context.Background(), Request{FS: files("pyproject.toml", c.text), Files: []string{"pyproject.toml"}, Extras: []string{"fast"}})
			wantError(t, err, c.is, c.says...)
		})
	}
	_, err := Read(context.Background(), Request{FS: files("a.txt", "six"), Files: []string{"a.txt"}, Extras: []string{"fast"}})
	wantError(t, err, nil, "fast", "no pyproject.toml")
	_, err = Read(context.Background(), Request{
		FS:     files("pyproject.toml", head+"[dependency-groups]\na=[{include-group='b'}]\nc=['six', 1]\n"),
		Files:  []string{"pyproject.toml"},
		Groups: []string{"a", "c", "d"},
	})
	wantError(t, err, nil, "pyproject.toml:4:", "no such dependency group", "pyproject.toml:5:", `"d": unknown dependency group; known are a, c`)
}

// A file without [project] is of use when only a dependency group is wanted.
func TestGroupWithoutProject(t *testing.T) {
	set, err := Read(context.Background(), Request{
		FS:     files("pyproject.toml", "[dependency-groups]\nprod=[\n'six',\n'attrs']\n"),
		Files:  []string{"pyproject.toml"},
		Groups: []string{"PROD"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "pyproject.toml:3 six", "pyproject.toml:4 attrs")
}

// TestProjectRoot reads the words that PDM and Hatch have for the project's folder.
func TestProjectRoot(t *testing.T) {
	set, err := read(t, files("a/pyproject.toml", "[project]\nname='x'\ndependencies=['p @ file:///${PROJECT_ROOT}/p', 'h @ {root:uri}/../h']\n", "a/p/setup.py", "", "h/setup.py", ""), "a/pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := set.Requirements[0].Path, set.Requirements[1].Path; a != "a/p" || b != "h" {
		t.Errorf("%q %q", a, b)
	}
}
