package reqfile

import (
	"context"
	"strings"
	"testing"
)

const setupCfgText = `[metadata]
name = my-app
version = attr: my_app.__version__

[options]
python_requires = >=3.9
packages = find:
install_requires =
    requests>=2.31
    # a comment
    tomli; python_version < "3.11"
    tool @ git+https://git.example.org/tool.git@v1

    six

[options.extras_require]
fast = uvloop; hiredis
Docs_x =
    sphinx>=5
    my-app[fast]

[flake8]
max-line-length = 100
`

func TestSetupCfg(t *testing.T) {
	set, err := Read(context.Background(), Request{FS: files("setup.cfg", setupCfgText), Files: []string{"setup.cfg"}, Extras: []string{"docs-x"}})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "9 requests>=2.31", `11 tomli; python_version < "3.11"`,
		"12 tool <git+https://git.example.org/tool.git@v1", "14 six", "19 sphinx>=5", "17 uvloop", "17 hiredis")
	p := set.Project
	if p.Name != "my-app" || p.Version != "" || p.RequiresPython != ">=3.9" || strings.Join(p.Extras, " ") != "fast docs-x" || p.Position.Line != 1 {
		t.Errorf("%+v", p)
	}

	set, err = read(t, files("setup.cfg", "[options]\ninstall_requires = file: reqs/base.txt, more.txt\n", "reqs/base.txt", "six\n", "more.txt", "\nidna\n"), "setup.cfg")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "reqs/base.txt:1 six", "more.txt:2 idna")

	for text, says := range map[string]string{
		"[flake8]\nx=1\n": "neither [options]",
		"[options]\ninstall_requires =\n  six\n  foo=1\n":        "setup.cfg:4:",
		"[options]\npython_requires = 3\n":                       "setup.cfg:2:",
		"[options]\ninstall_requires = file: ../x.txt\n":         "outside",
		"[options]\ninstall_requires =\n  a @ ssh://x.example\n": "git+ssh",
	} {
		_, err := read(t, files("setup.cfg", text), "setup.cfg")
		wantError(t, err, nil, says)
	}
	_, err = Read(context.Background(), Request{FS: files("setup.cfg", setupCfgText), Files: []string{"setup.cfg"}, Extras: []string{"slow"}})
	wantError(t, err, nil, "setup.cfg:16:", "known are fast, docs_x")
}

func TestSetupPy(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		want   []string
		python string
		warns  string
	}{
		"literal": {"from setuptools import setup\nsetup(\n    name='x',\n    install_requires=[\n        'six>=1',  # why\n        \"idna\" '<4',\n        r'''attrs''',\n    ],\n    python_requires='>=3.8',\n)\n",
			[]string{"5 six>=1", "6 idna<4", "7 attrs"}, ">=3.8", ""},
		"names": {"import setuptools\nREQ: list[str] = ['six']\nMORE = (\n 'idna',\n)\nPY = '>=' + '3.9'\nif __name__ == '__main__':\n    setuptools.setup(install_requires=REQ + list_of if False else None)\n", nil, "", "install_requires is computed"},
		"names joined": {"REQ = ['six']\nMORE = REQ + [\n 'idna',\n *REQ]\nPY = '>=' + '3.9'\nif True:\n    setup(install_requires=MORE, python_requires=PY)\n",
			[]string{"1 six", "3 idna", "1 six"}, ">=3.9", ""},
		"text":               {"setup(install_requires='''\n    six\n    # no\n    idna>=1\n''')", []string{"1 six", "1 idna>=1"}, "", ""},
		"keywords":           {"args = dict(name='x', install_requires=['six'])\nsetup(**args)\n", []string{"1 six"}, "", ""},
		"dict":               {"setup(**{'install_requires': ['six'], 'python_requires': '>=3.7'})\n", []string{"1 six"}, ">=3.7", ""},
		"requirements":       {"with open('requirements.txt') as f:\n    required = f.read().splitlines()\nsetup(\n name='x', install_requires=required)\n", nil, "", `setup.py:4: install_requires is computed (it reads "requirements.txt": -r requirements.txt names it); its build backend must be asked`},
		"appended":           {"req = ['six']\nif sys.platform == 'win32':\n    req.append('x')\nsetup(install_requires=req)\n", nil, "", "setup.py:4: install_requires is computed;"},
		"added":              {"req = ['six']\nreq += ['x']\nsetup(install_requires=req)\n", nil, "", "computed"},
		"twice":              {"req = ['six']\nif x:\n    req = []\nsetup(install_requires=req)\n", nil, "", "computed"},
		"item set":           {"kw = {'install_requires': ['six']}\nkw['install_requires'] = f()\nsetup(**kw)\n", nil, "", "computed"},
		"a call":             {"setup(name='x', install_requires=read('x', ['six']), zip_safe=False)\n", nil, "", "computed"},
		"formatted":          {"setup(install_requires=['six>=%s' % v])\n", nil, "", "computed"},
		"f-string":           {"setup(install_requires=[f'six>={v}'])\n", nil, "", "computed"},
		"comprehended":       {"setup(install_requires=[x for x in y])\n", nil, "", "computed"},
		"not strings":        {"setup(install_requires=['six', ['idna']])\n", nil, "", "computed"},
		"no call":            {"from distutils.core import run\nrun()\n", nil, "", "no call of setup()"},
		"def":                {"def setup(install_requires=['no']):\n    pass\nnot_setuptools.setup(install_requires=['no'])\nsetup(install_requires=['six'])\n", []string{"4 six"}, "", ""},
		"nothing":            {"setup(name='x', version='1')\n", nil, "", ""},
		"unclosed":           {"setup(install_requires=['six'", nil, "", "computed"},
		"bad string":         {"x = 'abc\nsetup(install_requires=['six'])\n", []string{"2 six"}, "", ""},
		"continued":          {"req = \\\n  ['six']\nsetup(install_requires=req)", []string{"2 six"}, "", ""},
		"escapes":            {"setup(install_requires=['six;python_version<\\'3\\'', 'idna\\x20'])", nil, "", "computed"},
		"none":               {"setup(install_requires=None)", nil, "", "computed"},
		"tuple":              {"setup(install_requires=('six', 'idna',))", []string{"1 six", "1 idna"}, "", ""},
		"one in parentheses": {"setup(install_requires=('six'))", []string{"1 six"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := read(t, files("setup.py", c.text), "setup.py")
			if err != nil {
				t.Fatal(err)
			}
			wantList(t, asked(set.Requirements), c.want...)
			warned := strings.Join(set.Warnings, "\n")
			if !strings.Contains(warned, c.warns) || (c.warns == "") != (warned == "") {
				t.Errorf("warnings %q", warned)
			}
			if set.Project != nil && set.Project.RequiresPython != c.python {
				t.Errorf("python %q", set.Project.RequiresPython)
			}
		})
	}
}

func TestSetupPyExtras(t *testing.T) {
	text := "extras = {\n 'fast': ['uvloop'],\n 'docs': 'sphinx',\n ':python_version<\"3.11\"': ['tomli'],\n 'fast:os_name==\"nt\"': ['colorama'],\n 'dyn': x(),\n}\n"
	lit := strings.Replace(text, " 'dyn': x(),\n", "", 1)
	set, err := Read(context.Background(), Request{FS: files("setup.py", lit+"setup(name='x', version='2', install_requires=['six'], extras_require=extras)"), Files: []string{"setup.py"}, Extras: []string{"Fast"}})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "7 six", `4 tomli; python_version < "3.11"`, "2 uvloop", `5 colorama; os_name == "nt"`)
	if p := set.Project; p.Name != "x" || p.Version != "2" || p.Extras[0] != "fast" {
		t.Errorf("%+v", p)
	}
	set, err = Read(context.Background(), Request{FS: files("setup.py", text+"setup(extras_require=extras)"), Files: []string{"setup.py"}, Extras: []string{"fast"}})
	if err != nil {
		t.Fatal(err) // what is computed may have the extra
	}
	wantList(t, set.Warnings, "setup.py:8: extras_require is computed; its build backend must be asked")
}

// TestSetuptoolsTogether: setup.py says what it says, setup.cfg the rest; a
// pyproject.toml without [project] leads to them.
func TestSetuptoolsTogether(t *testing.T) {
	fsys := files("a/pyproject.toml", "[build-system]\nrequires=['setuptools']\n", "a/setup.py", "from setuptools import setup\nsetup()\n", "a/setup.cfg", "[options]\ninstall_requires=\n six\n")
	for _, name := range []string{"a/pyproject.toml", "a/setup.py", "a/setup.cfg"} {
		set, err := read(t, fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, list(set.Requirements), "a/setup.cfg:3 six")
	}
	set, err := read(t, files("pyproject.toml", "[project]\nname='x'\ndynamic=['dependencies']\n", "setup.py", "setup(install_requires=['six'])"), "pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "setup.py:1 six")
	set, err = read(t, files("pyproject.toml", "[project]\nname='x'\ndynamic=['dependencies']\n[tool.hatch.metadata.hooks.requirements_txt]\nfiles=['r.txt']\n", "r.txt", "six"), "pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "r.txt:1 six")
	if _, err = read(t, files("setup.py", "setup()", "setup.cfg", "[flake8]\n"), "setup.py"); err != nil {
		t.Error(err)
	}
}

// TestSelfDependency: a project that names itself, and extras that name each other.
func TestSelfDependency(t *testing.T) {
	for name, text := range map[string]string{
		"setup.py":       "setup(name='My.App', install_requires=['my_app', 'six'], extras_require={'a': ['my-app[b]', 'idna'], 'b': ['MY-APP[a]', 'attrs']})",
		"setup.cfg":      "[metadata]\nname=my_app\n[options]\ninstall_requires =\n  My.App\n  six\n[options.extras_require]\na =\n  my-app[b]\n  idna\nb =\n  MY-APP[a]\n  attrs\n",
		"pyproject.toml": "[project]\nname='my_app'\ndependencies=['My.App', 'six']\n[project.optional-dependencies]\na=['my-app[b]', 'idna']\nb=['MY-APP[a]', 'attrs']\n",
	} {
		set, err := Read(context.Background(), Request{FS: files(name, text), Files: []string{name}, Extras: []string{"A"}})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, q := range set.Requirements {
			names = append(names, q.Key())
		}
		wantList(t, names, "six", "attrs", "idna")
	}
	_, err := Read(context.Background(), Request{FS: files("setup.cfg", "[metadata]\nname=x\n[options.extras_require]\na =\n  x[nope]\n"), Files: []string{"setup.cfg"}, Extras: []string{"a"}})
	wantError(t, err, nil, "setup.cfg:5:", `no extra "nope"`)
}
