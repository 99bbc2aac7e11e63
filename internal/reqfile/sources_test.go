package reqfile

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

const uvText = `[project]
name = "app"
dependencies = [
    "Tool_A>=1", "lib", "torch>=2", "wheel-thing", "plain",
    "six; python_version < '3.12'",
]

[project.optional-dependencies]
cpu = ["torch>=2"]

[dependency-groups]
dev = ["plain"]

[tool.uv]
constraint-dependencies = ["idna<4"]
override-dependencies = [
    "numpy==2.0",
    "werkzeug>=3 ; os_name == 'posix'",
]
build-constraint-dependencies = ["setuptools<80"]
dev-dependencies = ["pytest"]
prerelease = "allow"

[tool.uv.sources]
tool-a = { git = "https://git.example.org/tool.git", rev = "abc", subdirectory = "py" }
lib = { path = "libs/lib", editable = true }
torch = [
    { index = "cpu", marker = "sys_platform == 'linux'" },
    { index = "gpu", extra = "gpu" },
]
wheel-thing = { url = "https://files.example.org/wheel_thing-1-py3-none-any.whl", marker = "platform_machine == 'x86_64'" }
plain = { index = "house", group = "dev" }
six = [{ url = "https://files.example.org/six-1.tar.gz", marker = "python_version >= '3.10'" }]

[[tool.uv.index]]
name = "cpu"
url = "https://index.example.org/cpu"
explicit = true

[[tool.uv.index]]
name = "house"
url = "https://index.example.org/simple"
default = true
`

func TestUVSources(t *testing.T) {
	set, err := Read(context.Background(), Request{
		FS: files("sub/pyproject.toml", uvText, "sub/libs/lib/setup.py", ""), Files: []string{"sub/pyproject.toml"}, Groups: []string{"dev"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements),
		"4 Tool_A <git+https://git.example.org/tool.git@abc#py",
		"4 lib <sub/libs/lib editable",
		`4 torch>=2; sys_platform == "linux" @cpu`,
		`4 torch>=2; sys_platform != "linux"`, // what the source leaves over
		`4 wheel-thing; platform_machine == "x86_64" <https://files.example.org/wheel_thing-1-py3-none-any.whl`,
		`4 wheel-thing; platform_machine != "x86_64"`,
		"4 plain", // its source is for the group only
		`5 six; python_version < "3.12" and python_version >= "3.10" <https://files.example.org/six-1.tar.gz`,
		`5 six; python_version < "3.12" and python_version < "3.10"`,
		"12 plain @house",
		"21 pytest",
	)
	wantList(t, asked(set.Constraints), "15 idna<4")
	wantList(t, asked(set.Overrides), "17 numpy==2.0", `18 werkzeug>=3; os_name == "posix"`)
	wantList(t, asked(set.BuildConstraints), "20 setuptools<80")
	if !set.Options.Pre {
		t.Error("prerelease = allow is not heard")
	}
	var indexes []string
	for _, i := range set.Options.Indexes {
		indexes = append(indexes, fmt.Sprintln(i.Line, i.Name, i.URL, i.Explicit, i.Default))
	}
	wantList(t, indexes, "37 cpu https://index.example.org/cpu true false\n", "42 house https://index.example.org/simple false true\n")
}

// TestPoetryBesideProject: since Poetry 2 [project] asks, and [tool.poetry] says where
// from.
func TestPoetryBesideProject(t *testing.T) {
	text := "[project]\nname='x'\ndependencies=['six>=1', 'demo', 'house>=2']\n[tool.poetry.dependencies]\nsix='^1'\n" +
		"demo={git='https://git.example.org/demo.git'}\nhouse={source='private'}\n[[tool.poetry.source]]\nname='private'\nurl='https://index.example.org'\npriority='supplemental'\n" +
		"[tool.poetry.group.dev.dependencies]\npytest='*'\n"
	set, err := Read(context.Background(), Request{FS: files("pyproject.toml", text), Files: []string{"pyproject.toml"}, Groups: []string{"dev"}})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "3 six>=1", "3 demo <git+https://git.example.org/demo.git", "3 house>=2 @private", "13 pytest")
	if i := set.Options.Indexes; len(i) != 1 || i[0].Default || i[0].Explicit {
		t.Errorf("%+v", i)
	}
}

func TestPDMSources(t *testing.T) {
	text := "[project]\nname='x'\ndependencies=['six']\n[tool.pdm.dev-dependencies]\ntest=['pytest']\n" +
		"[[tool.pdm.source]]\nname='pypi'\nurl='https://index.example.org/simple'\n[[tool.pdm.source]]\nname='more'\nurl='https://more.example.org'\n" +
		"[[tool.pdm.source]]\nname='links'\ntype='find_links'\nurl='https://links.example.org'\n"
	set, err := Read(context.Background(), Request{FS: files("pyproject.toml", text), Files: []string{"pyproject.toml"}, Groups: []string{"test"}})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "3 six", "5 pytest")
	if i := set.Options.Indexes; len(i) != 2 || !i[0].Default || i[1].Default || i[1].Explicit {
		t.Errorf("%+v", i)
	}
	wantList(t, set.Options.FindLinks, "https://links.example.org")
}

func TestSourceErrors(t *testing.T) {
	for source, says := range map[string]string{
		"{ workspace = true }":           "part of no workspace",
		"{ path = '../up' }":             "outside",
		"{ }":                            "names none of",
		"'x'":                            "must be a table",
		"{ git = 'file' }":               "no repository address",
		"{ index = 'x', marker = 'os' }": "marker",
		"{ index = 'x', marker = 'os_name ~= \"2\"' }": "has no opposite",
	} {
		_, err := read(t, files("pyproject.toml", "[project]\nname='x'\ndependencies=['six']\n[tool.uv.sources]\nsix="+source), "pyproject.toml")
		wantError(t, err, nil, "pyproject.toml:", says)
	}
}

// monorepo is a workspace: api needs core, core needs util, web is excluded.
func monorepo(root string) []string {
	return []string{
		"pyproject.toml", root + "[tool.uv.workspace]\nmembers = ['libs/*', 'services/**/api']\nexclude = ['libs/web']\n" +
			"[tool.uv.sources]\ncore = {workspace=true}\nutil = {workspace=true}\n[tool.uv]\noverride-dependencies = ['idna==3']\n" +
			"[[tool.uv.index]]\nname='house'\nurl='https://index.example.org'\n",
		"libs/core/pyproject.toml", "[project]\nname='core'\nversion='1'\ndependencies=[\n'util', 'six']\n",
		"libs/util/pyproject.toml", "[project]\nname='util'\nversion='1'\n",
		"libs/web/pyproject.toml", "[project]\nname='web'\nversion='1'\n",
		"libs/README.md", "",
		"services/a/b/api/pyproject.toml", "[project]\nname='api'\nversion='1'\ndependencies=[\n'Core[fast]>=1', 'flask', 'web']\n",
		"uv.lock", "version = 1\nrequires-python = '>=3.9'\n[manifest]\nmembers = ['core', 'util', 'api']\n" +
			"[[package]]\nname='six'\nversion='1.16'\nsource={registry='https://index.example.org'}\n" +
			"[[package]]\nname='core'\nversion='1'\nsource={editable='libs/core'}\n[package.metadata]\nrequires-dist=[{name='six'}]\n",
	}
}

func TestWorkspaceMember(t *testing.T) {
	set, err := read(t, files(monorepo("")...), "services/a/b/api/pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "5 Core[fast] <libs/core", "5 flask", "5 web")
	// core's metadata will say "util" and no more: it is the workspace's.
	wantList(t, asked(set.Constraints), "5 util <libs/util")
	wantList(t, asked(set.Overrides), "8 idna==3")
	if len(set.Locks) != 1 || set.Locks[0].File != "uv.lock" || len(set.Options.Indexes) != 1 || set.Project.Name != "api" {
		t.Errorf("%+v", set)
	}
	wantList(t, pinList(set.Locks[0]), "6 six 1.16 @https://index.example.org", "10 core 1 <libs/core")
}

// TestWorkspaceRoot: one without a project of its own asks for its members.
func TestWorkspaceRoot(t *testing.T) {
	set, err := read(t, files(monorepo("")...), "pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "2 core <libs/core", "2 util <libs/util", "2 api <services/a/b/api")
	set, err = read(t, files(monorepo("[project]\nname='top'\ndependencies=['api']\n")...), "pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "3 api") // no source says that it is the member
	cs, err := Discover(files(monorepo("[project]\nname='top'\n")...))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, c := range cs {
		found = append(found, c.Path+" "+c.Project)
	}
	wantList(t, found, "pyproject.toml top", "uv.lock ", "libs/core/pyproject.toml core", "libs/util/pyproject.toml util", "libs/web/pyproject.toml web",
		"services/a/b/api/pyproject.toml api")
}

func TestWorkspaceLockAlone(t *testing.T) {
	all := monorepo("")
	set, err := read(t, files(all[len(all)-2:]...), "uv.lock")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "14 six")
}

func TestWorkspaceOutside(t *testing.T) {
	_, err := read(t, files("a/pyproject.toml", "[tool.uv.workspace]\nmembers=['../../x/*']\n"), "a/pyproject.toml")
	wantError(t, err, ErrOutside, "a/pyproject.toml:2:")
}

func TestMatchGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"libs/*", "libs/a", true}, {"libs/*", "libs/a/b", false}, {"libs/**", "libs/a/b", true}, {"**/b", "b", true}, {"**/b", "a/c/b", true},
		{"l[ij]bs/?", "libs/a", true}, {"libs", "libs", true}, {"[", "[", false}, {strings.Repeat("**/", 9) + "x", "x", false},
	} {
		if got := matchGlob(c.pattern, c.name); got != c.want {
			t.Errorf("%s %s: %v", c.pattern, c.name, got)
		}
	}
}
