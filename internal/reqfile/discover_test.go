package reqfile

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// say is one candidate on one line.
func say(c Candidate) string {
	mark := "-"
	if c.Chosen {
		mark = "+"
	}
	return fmt.Sprintf("%s %s %d %s", mark, c.Path, c.Count, c.Why)
}

func TestDiscoverChooses(t *testing.T) {
	const project = "[project]\nname='x'\ndependencies=['six']\n"
	for name, c := range map[string]struct {
		fsys   fstest.MapFS
		chosen string
		why    string
	}{
		"top file":             {files("requirements.txt", "six\n", "pyproject.toml", project, "requirements/base.txt", "six"), "requirements.txt", "top folder"},
		"compiled":             {files("requirements.in", "six\n", "requirements.txt", "six==1\n"), "requirements.txt", "top folder"},
		"only .in":             {files("requirements.in", "six\n", "requirements-dev.txt", "pytest"), "requirements.in", "top folder"},
		"base":                 {files("requirements/base.txt", "six\n", "requirements/dev.txt", "-r base.txt\npytest", "pyproject.toml", project), "requirements/base.txt", "usual name"},
		"prod includes base":   {files("requirements/base.txt", "six\n", "requirements/prod.txt", "-r base.txt\ngunicorn"), "requirements/prod.txt", "include base.txt"},
		"base beside prod":     {files("requirements/base.txt", "six\n", "requirements/prod.txt", "gunicorn"), "requirements/base.txt", "usual name"},
		"production":           {files("requirements/production.txt", "six\n", "requirements/test.txt", "pytest"), "requirements/production.txt", "usual name"},
		"folder, .in":          {files("requirements/main.in", "six\n"), "requirements/main.in", "usual name"},
		"pyproject":            {files("pyproject.toml", project, "dev-requirements.txt", "pytest\n"), "pyproject.toml", "[project]"},
		"empty file":           {files("requirements.txt", "# see pyproject\n", "pyproject.toml", project), "pyproject.toml", "[project]"},
		"dynamic":              {files("pyproject.toml", "[project]\nname='x'\ndynamic=['dependencies']\n"), "pyproject.toml", "[project]"},
		"the only one":         {files("backend/requirements.txt", "six\n", "backend/requirements-test.txt", "pytest"), "backend/requirements.txt", "only"},
		"named for production": {files("requirements-prod.txt", "six\n", "requirements-other.txt", "six\n"), "requirements-prod.txt", "production"},
		"two below":            {files("a/requirements.txt", "six\n", "b/requirements.txt", "six\n"), "", ""},
		"dev only":             {files("requirements-dev.txt", "six\n", "docs/requirements.txt", "sphinx\n"), "", ""},
		"poetry":               {files("pyproject.toml", "[tool.poetry]\nname='x'\n", "poetry.lock", ""), "pyproject.toml", "top folder's pyproject.toml"},
		"Pipfile":              {files("Pipfile", "[packages]\nsix='*'\n", "setup.py", "setup()"), "Pipfile", "top folder"},
		"a lock alone":         {files("pylock.toml", "lock-version='1.0'\n", "setup.cfg", "[options]\n"), "pylock.toml", "top folder"},
		"setuptools":           {files("pyproject.toml", "[tool.black]\n", "setup.py", "setup(install_requires=['six'])"), "pyproject.toml", "top folder"},
		"setup.cfg":            {files("setup.cfg", "[options]\ninstall_requires=six\n", "tox.ini", ""), "setup.cfg", "top folder"},
		"conda":                {files("environment.yml", "dependencies:\n- pip:\n  - six\n"), "environment.yml", "only"},
		"one project below":    {files("backend/pyproject.toml", project, "backend/setup.py", "", "docs/pyproject.toml", project), "backend/pyproject.toml", "only project"},
		"two projects below":   {files("a/pyproject.toml", project, "b/pyproject.toml", project), "", ""},
		"wrong, but shown":     {files("requirements.txt", "six=1\n", "pyproject.toml", project), "requirements.txt", "top folder"},
		"nothing":              {files("README.md", "requirements"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Discover(c.fsys)
			if err != nil {
				t.Fatal(err)
			}
			var chosen []string
			for _, g := range got {
				if g.Chosen {
					chosen = append(chosen, g.Path)
					if !strings.Contains(g.Why, c.why) {
						t.Errorf("%s: %s, want something with %q", g.Path, g.Why, c.why)
					}
				}
				if g.Why == "" {
					t.Errorf("%s: no reason", g.Path)
				}
			}
			if strings.Join(chosen, " ") != c.chosen {
				t.Errorf("chosen %v, want %q", chosen, c.chosen)
			}
			if len(chosen) > 0 && !got[0].Chosen {
				t.Error("the chosen one is not first")
			}
		})
	}
}

func TestDiscoverTellsEverything(t *testing.T) {
	fsys := files(
		"requirements.txt", "-r reqs/runtime.txt\n-c constraints.txt\n-r https://example.org/x.txt\nsix\n",
		"reqs/runtime.txt", "attrs\nidna\n",
		"reqs/lint.txt", "ruff\n",
		"reqs/extra.txt", "uvloop\n",
		"constraints.txt", "six<2\n",
		"test-constraints.txt", "six<2\n",
		"requirements-dev.txt", "pytest\nbad=1\n",
		"pyproject.toml", "[tool.black]\n",
		"setup.py", "", "setup.cfg", "", "Pipfile", "", "poetry.lock", "metadata.lock-version='2.1'", "uv.lock", "version=1", "environment.yml", "dependencies: []",
		"docs/requirements.txt", "sphinx\n", "tests/reqs.txt", "pytest\n", "examples/a/requirements.txt", "six\n",
		"plugin/pyproject.toml", "[project]\nname='p'\n",
		".github/requirements.txt", "x\n", "node_modules/m/requirements.txt", "x\n", "myenv/pyvenv.cfg", "",
		"myenv/requirements.txt", "x\n", "venv/requirements.txt", "x\n",
		"a/b/c/d/requirements.txt", "deep\n", "a/b/c/d/e/requirements.txt", "too deep\n",
		"notes.txt", "not one\n",
	)
	got, err := Discover(fsys)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range got {
		lines = append(lines, say(c))
	}
	wantList(t, lines,
		"+ requirements.txt 3 chosen: the top folder's requirements.txt",
		"- Pipfile 0 ignored: requirements.txt is read instead",
		"- constraints.txt 1 read along with requirements.txt",
		"- environment.yml 0 ignored: Conda's own packages only",
		"- poetry.lock 0 ignored: belongs to pyproject.toml, which is not read",
		"- pyproject.toml 0 ignored: requirements.txt goes before [project] dependencies",
		"- requirements-dev.txt 1 ignored: for development only",
		"- setup.cfg 0 ignored: settings of tools only",
		"- setup.py 0 ignored: it calls no setup()",
		"- test-constraints.txt 1 ignored: constraints only restrict versions; name it as a constraint file to use it",
		"- uv.lock 0 ignored: belongs to pyproject.toml, which is not read",
		"- docs/requirements.txt 1 ignored: belongs to documentation",
		"- plugin/pyproject.toml 0 ignored: a project of its own below the top folder",
		"- reqs/extra.txt 1 ignored: requirements.txt is read instead",
		"- reqs/lint.txt 1 ignored: for checking the code only",
		"- reqs/runtime.txt 2 read along with requirements.txt",
		"- tests/reqs.txt 1 ignored: belongs to tests",
		"- examples/a/requirements.txt 1 ignored: belongs to examples",
		"- a/b/c/d/requirements.txt 1 ignored: requirements.txt is read instead",
	)
	for _, c := range got {
		if (c.Error != "") != (c.Path == "requirements-dev.txt") {
			t.Errorf("%s: error %q", c.Path, c.Error)
		}
	}
	again, err := Discover(fsys)
	if diff := cmp.Diff(got, again); err != nil || diff != "" {
		t.Errorf("a second look differs: %v\n%s", err, diff)
	}
}

func TestDiscoverIsBounded(t *testing.T) {
	fsys := files("requirements.txt", "six\n")
	for i := range 700 {
		fsys[fmt.Sprintf("p%03d/requirements.txt", i)] = &fstest.MapFile{Data: []byte("six\n")}
	}
	got, err := Discover(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != maxCandidates || !got[0].Chosen || got[0].Path != "requirements.txt" {
		t.Errorf("%d candidates, first %+v", len(got), got[0])
	}
}
