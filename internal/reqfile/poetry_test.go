package reqfile

import (
	"context"
	"strings"
	"testing"
)

// TestPoetryConstraints holds Poetry's constraints against PEP 440. The pairs were
// compared with poetry-core: both accept the same versions.
func TestPoetryConstraints(t *testing.T) {
	for constraint, want := range map[string]string{
		"*": "", "^1.2.3": ">=1.2.3,<2.0", "^1.2": ">=1.2,<2.0", "^1": ">=1,<2", "^0.2.3": ">=0.2.3,<0.3", "^0.0.3": ">=0.0.3,<0.0.4", "^0.0": ">=0.0,<0.1", "^0": ">=0,<1",
		"~1.2.3": ">=1.2.3,<1.3", "~1.2": ">=1.2,<1.3", "~1": ">=1,<2", "~=1.4.2": "~=1.4.2", "1.2.3": "==1.2.3", "=1.2": "==1.2", "1.2.*": "==1.2.*", "2.x": "==2.*", "!=1.5.*": "!=1.5.*",
		">=1.0,<2.0": ">=1.0,<2.0", ">= 1.0 < 2.0": ">=1.0,<2.0", "^1.0, !=1.5": ">=1.0,<2.0,!=1.5", "^1!1.2": ">=1!1.2,<1!2.0", "^9.9": ">=9.9,<10.0", "^1.2 || ^2.0": ">=1.2,<3.0",
		"<2 || >=3": "!=2.*", "1.* || 4.*": ">=1.dev0,!=2.*,!=3.*,<5", "^1.0|>=1.5": ">=1.0", "v1.2": "==1.2", "* || ^1": "",
	} {
		got, err := poetrySpecifier(constraint)
		if err != nil || got != want {
			t.Errorf("%q: %q, want %q (%v)", constraint, got, want, err)
		}
	}
	for _, wrong := range []string{"", "1.0,|", "=>1", "^", "one", "^1.0 || ", "<=1.5 || >=1.7", "!=1 || 2.*", "~2.7 || ^3.5", "><1", "^*.1"} {
		if got, err := poetrySpecifier(wrong); err == nil {
			t.Errorf("%q was read as %q", wrong, got)
		}
	}
	for python, want := range map[string]string{
		"^3.8": `python_version >= "3.8" and python_version < "4.0"`, "~2.7 || ^3.6": `python_version >= "2.7" and python_version < "2.8" or python_version >= "3.6" and python_version < "4.0"`,
		">=3.8.1": `python_full_version >= "3.8.1"`, "<=3.8": `python_full_version <= "3.8.0"`, "3.9.*": `python_version == "3.9"`, "*": "", "3": `python_version == "3.*"`,
	} {
		if got, err := poetryPythonMarker(python); err != nil || got != want {
			t.Errorf("%q: %q, want %q (%v)", python, got, want, err)
		}
	}
}

const poetryText = `[tool.poetry]
name = "My_App"
version = "1.0"

[tool.poetry.dependencies]
python = "^3.9"
requests = "^2.31"
tomli = { version = "^2.0", python = "<3.11" }
uvloop = { version = "~0.19", optional = true, markers = "sys_platform != 'win32'" }
pydantic = {extras = ["email", "dotenv"], version = "*", allow-prereleases = true}
numpy = [
  { version = "^1.26", python = "<3.12" },
  { version = "^2.0", python = ">=3.12", platform = "linux" },
]
tool = { git = "https://git.example.org/tool.git", tag = "v2", subdirectory = "py" }
ssh = { git = "git@git.example.org:group/ssh.git", branch = "main", extras = ["x"] }
archive = { url = "https://files.example.org/archive-1.0.tar.gz" }
lib = { path = "libs/lib", develop = true }
house = { version = ">=1", source = "private" }

[tool.poetry.extras]
fast = ["uvloop"]

[tool.poetry.dev-dependencies]
black = "*"

[tool.poetry.group.test]
optional = true
include-groups = ["lint"]

[tool.poetry.group.test.dependencies]
pytest = "8.*"

[tool.poetry.group.lint.dependencies]
ruff = ">=0.4"

[[tool.poetry.source]]
name = "PyPI"
priority = "primary"

[[tool.poetry.source]]
name = "private"
url = "https://${TOKEN}@index.example.org/simple"
priority = "explicit"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
`

func TestPoetry(t *testing.T) {
	set, err := Read(context.Background(), Request{
		FS:    files("pyproject.toml", poetryText, "libs/lib/pyproject.toml", "[tool.poetry]\nname='lib'\n"),
		Files: []string{"pyproject.toml"}, Extras: []string{"FAST"}, Groups: []string{"test", "dev"},
		Getenv: func(string) (string, bool) { return "t0ken", true },
	})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements),
		"7 requests<3.0,>=2.31",
		`8 tomli<3.0,>=2.0; python_version < "3.11"`,
		`9 uvloop<0.20,>=0.19; sys_platform != "win32"`,
		"10 pydantic[dotenv,email]>=0.dev0",
		`12 numpy<2.0,>=1.26; python_version < "3.12"`,
		`13 numpy<3.0,>=2.0; python_version >= "3.12" and sys_platform == "linux"`,
		"15 tool <git+https://git.example.org/tool.git@v2#py",
		"16 ssh[x] <git+ssh://git@git.example.org/group/ssh.git@main",
		"17 archive <https://files.example.org/archive-1.0.tar.gz",
		"18 lib <libs/lib editable",
		"19 house>=1 @private",
		"32 pytest==8.*", "35 ruff>=0.4", "25 black",
	)
	if !set.Requirements[3].Specifiers.NamesPrerelease() {
		t.Error("pydantic's pre-releases are not allowed")
	}
	if q := set.Requirements[1]; q.Text != `tomli = {version = "^2.0", python = "<3.11"}` {
		t.Errorf("text %q", q.Text)
	}
	p := set.Project
	if p.Name != "My_App" || p.RequiresPython != ">=3.9,<4.0" || strings.Join(p.Extras, " ") != "fast" || strings.Join(p.Groups, " ") != "test lint dev" || !p.HasBuildSystem {
		t.Errorf("project %+v", p)
	}
	indexes := set.Options.Indexes
	if len(indexes) != 2 || indexes[0].URL != "" || !indexes[0].Default || indexes[1].URL != "https://t0ken@index.example.org/simple" || !indexes[1].Explicit || indexes[1].Line != 43 {
		t.Errorf("indexes %+v", indexes)
	}

	set, err = read(t, files("pyproject.toml", strings.Replace(poetryText, "lib = {", "# lib = {", 1)), "pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range set.Requirements {
		if q.Name == "uvloop" || q.Name == "pytest" {
			t.Errorf("%s was not asked for", q.Name)
		}
	}
	wantList(t, set.Warnings, "pyproject.toml:43: the environment variable TOKEN is not set; ${TOKEN} stays as it is")
}

func TestPoetryErrors(t *testing.T) {
	const head = "[tool.poetry]\nname='x'\n[tool.poetry.dependencies]\n"
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"constraint":    {"six = '=>1'", []string{"pyproject.toml:4:", "six", "unknown operator"}},
		"number":        {"six = 1", []string{"pyproject.toml:4:", "constraint or a table"}},
		"in a list":     {"six = [\n{version='^1'},\n{version='one'}]", []string{"pyproject.toml:6:"}},
		"outside":       {"six = {path = '../six'}", []string{"pyproject.toml:4:", "outside"}},
		"missing":       {"six = {path = 'six'}", []string{"pyproject.toml:4:", "does not exist"}},
		"git":           {"six = {git = 'x'}", []string{"pyproject.toml:4:", "no repository address"}},
		"ref":           {"six = {git = 'https://x.example/y', rev = '--upload-pack=x'}", []string{"no usable name"}},
		"subdirectory":  {"six = {git = 'https://x.example/y', subdirectory = '../z'}", []string{"outside"}},
		"python":        {"python = '3.9,one'", []string{"pyproject.toml:4:"}},
		"extra of none": {"[tool.poetry.extras]\nfast=['six']", []string{"pyproject.toml:5:", "no dependency"}},
		"marker":        {"six = {version='*', markers='os'}", []string{"pyproject.toml:4:"}},
		"type":          {"six = {version=1}", []string{"pyproject.toml:4:", "must be a string"}},
	} {
		t.Run(name, func(t *testing.T) {
			extras := []string{}
			if strings.Contains(c.text, "extras]") {
				extras = append(extras, "fast")
			}
			_, err := Read(context.Background(), Request{FS: files("pyproject.toml", head+c.text), Files: []string{"pyproject.toml"}, Extras: extras})
			wantError(t, err, nil, c.says...)
		})
	}
}
