package reqfile

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestConda(t *testing.T) {
	text := "# env\nname: x\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11 # the one\n  - 'numpy>=1.26'\n  - pip\n  - pip:\n    - requests>=2.31  # why\n    - \"tomli ; python_version < '3.11'\"\n    - -r reqs.txt\n    - -e .\n  - scipy\nvariables:\n  A: b\n"
	set, err := read(t, files("env/environment.yml", text, "env/reqs.txt", "six\n", "setup.py", ""), "env/environment.yml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "env/environment.yml:10 requests>=2.31", "env/environment.yml:11 tomli ; python_version < '3.11'", "env/reqs.txt:1 six", "env/environment.yml:13 .")
	wantList(t, set.Warnings, "env/environment.yml:5: Conda's own packages are not read: python=3.11, numpy>=1.26, pip, scipy; list what the project needs of them as requirements")

	// Lists may stand below their key.
	set, err = read(t, files("environment.yaml", "dependencies:\n- pip:\n  - six\n  - idna\n- python\n"), "environment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "environment.yaml:3 six", "environment.yaml:4 idna")

	for text, says := range map[string]string{
		"name: x\n":                              "no Conda environment",
		"dependencies: [a, b]\n":                 "environment.yml:1:",
		"dependencies:\n  - pip: [six]\n":        "environment.yml:2:",
		"dependencies:\n\t- pip\n":               "tabs",
		"dependencies:\n  - pip:\n    - *anchor": "plain and quoted",
		"dependencies:\n  - pip:\n    - six=1\n": "environment.yml:3:",
		"dependencies:\n  pip:\n  - six\n":       "environment.yml:2:",
	} {
		_, err := read(t, files("environment.yml", text), "environment.yml")
		wantError(t, err, nil, says)
	}
}

func envs(t *testing.T, list []string, nameAndText ...string) (Set, error) {
	t.Helper()
	return Read(context.Background(), Request{FS: files(nameAndText...), Envs: list})
}

const toxText = `[tox]
envlist = py{39,311}-django{42,50}, lint

[testenv]
deps =
    -r{toxinidir}/reqs.txt
    pytest>=8  # tests
    django42: Django>=4.2,<5
    django50,django51: Django>=5
    !py39: tomli
    {env:EXTRA_DEP:x}
extras = fast

[testenv:lint]
deps = {[base]deps}
    ruff
dependency_groups =
    lint

[base]
deps =
    black
`

func TestTox(t *testing.T) {
	set, err := envs(t, []string{"tox:py311-django50"}, "tox.ini", toxText, "reqs.txt", "six\n")
	wantError(t, err, nil, "fast", "no pyproject.toml") // the environment asks for the project's extra
	wantList(t, list(set.Requirements), "reqs.txt:1 six", "tox.ini:7 pytest>=8", "tox.ini:9 Django>=5", "tox.ini:10 tomli")
	wantList(t, set.Warnings, `tox.ini:11: "{env:EXTRA_DEP:x}" is left out: it depends on how tox is called`)

	set, err = Read(context.Background(), Request{
		FS:    files("sub/tox.ini", toxText, "sub/pyproject.toml", "[project]\nname='x'\ndependencies=['idna']\n[dependency-groups]\nlint=['mypy']\n"),
		Files: []string{"sub/pyproject.toml"}, Envs: []string{"tox:lint"},
	})
	wantError(t, err, nil, "fast") // [testenv]'s extras hold for it, too
	wantList(t, list(set.Requirements), "sub/pyproject.toml:3 idna", "sub/pyproject.toml:5 mypy", "sub/tox.ini:22 black", "sub/tox.ini:16 ruff")

	// What it asks of the project is read from the pyproject.toml beside.
	set, err = envs(t, []string{"tox:lint"}, "tox.ini", toxText, "pyproject.toml", "[project]\nname='x'\noptional-dependencies.fast=['uvloop']\n[dependency-groups]\nlint=['mypy']\n")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "pyproject.toml:3 uvloop", "pyproject.toml:5 mypy", "tox.ini:22 black", "tox.ini:16 ruff")

	_, err = envs(t, []string{"tox:docs"}, "tox.ini", toxText, "reqs.txt", "")
	wantError(t, err, nil, "tox.ini", "unknown environment", "lint", "py39-django42")
	_, err = envs(t, []string{"tox:a"}, "tox.ini", "[testenv:a]\ndeps={[b]deps}\n[b]\ndeps={[b]deps}\n")
	wantError(t, err, ErrLoop, "tox.ini:4:")
	_, err = envs(t, []string{"tox:a"}, "tox.ini", "[testenv:a]\ndeps={[b]deps}\n")
	wantError(t, err, nil, "tox.ini:2:", "[b]")
}

func TestToxElsewhere(t *testing.T) {
	for name, nameAndText := range map[string][]string{
		"setup.cfg": {"setup.cfg", "[metadata]\nname=x\n[tox:tox]\n[testenv:unit]\ndeps=\n  six\n"},
		"legacy":    {"pyproject.toml", "[tool.tox]\nlegacy_tox_ini = '''\n[testenv:unit]\ndeps =\n  six\n'''\n"},
		"TOML":      {"pyproject.toml", "[tool.tox]\nenv_list=['unit']\n[tool.tox.env_run_base]\ndeps=['no']\n[tool.tox.env.unit]\ndeps=[\n'six']\n"},
		"tox.toml":  {"tox.toml", "[env_run_base]\ndeps=['no']\n\n\n[env.unit]\ndeps=['six']\n"},
		"base":      {"pyproject.toml", "[tool.tox]\nenv_list=['unit']\n[tool.tox.env_run_base]\n\n\ndeps=['six']\n"},
	} {
		set, err := envs(t, []string{"tox:unit"}, nameAndText...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := list(set.Requirements)
		if len(got) != 1 || !strings.HasSuffix(got[0], ":6 six") && name != "legacy" && name != "TOML" || !strings.HasSuffix(got[0], " six") {
			t.Errorf("%s: %v", name, got)
		}
		wantList(t, set.Files, nameAndText[0])
	}
}

func TestHatch(t *testing.T) {
	const text = `[project]
name = "x"
dependencies = ["idna"]
optional-dependencies.fast = ["uvloop"]

[tool.hatch.envs.default]
dependencies = [
    "pytest",
]
features = ["fast"]

[tool.hatch.envs.test]
extra-dependencies = ["coverage"]
[[tool.hatch.envs.test.matrix]]
python = ["3.11", "3.12"]

[tool.hatch.envs.lint]
detached = true
extra-dependencies = ["ruff"]

[tool.hatch.envs.types]
template = "lint"
dependencies = ["mypy"]
`
	for env, want := range map[string][]string{
		"default":     {"3 idna", "4 uvloop", "8 pytest"},
		"test.py3.11": {"3 idna", "4 uvloop", "8 pytest", "13 coverage"},
		"lint":        {"3 idna", "19 ruff"},
		"types":       {"3 idna", "23 mypy", "19 ruff"},
	} {
		set, err := Read(context.Background(), Request{FS: files("pyproject.toml", text), Files: []string{"pyproject.toml"}, Envs: []string{"hatch:" + env}})
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, asked(set.Requirements), want...)
	}
	set, err := envs(t, []string{"hatch:a"}, "hatch.toml", "[envs.a]\ndependencies=['six']\n")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "hatch.toml:2 six")
}

func TestEnvErrors(t *testing.T) {
	for env, says := range map[string]string{
		"tox": "TOOL:NAME", "nox:x": "known are tox and hatch", "tox:x": "no configuration", "hatch:x": "no configuration", "hatch:": "TOOL:NAME",
	} {
		_, err := envs(t, []string{env}, "README", "")
		wantError(t, err, nil, env, says)
	}
	_, err := envs(t, []string{"hatch:b"}, "hatch.toml", "[envs.a]\n")
	wantError(t, err, nil, "known are a")
	_, err = envs(t, []string{"tox:a"}, "tox.ini", "[testenv:a]\ndeps = -r ../x.txt\n")
	if !errors.Is(err, ErrOutside) {
		t.Error(err)
	}
}
