package reqfile

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// pinList is "line name version ; marker #hashes <origin" of every pin of a lock.
func pinList(l Lock) []string {
	var all []string
	for _, p := range l.Pins {
		s := fmt.Sprintf("%d %s %s", p.Line, p.Name, p.Version)
		if p.Marker != nil {
			s += " ; " + p.Marker.String()
		}
		if len(p.Hashes) > 0 {
			s += fmt.Sprintf(" #%d", len(p.Hashes))
		}
		if p.Index != "" {
			s += " @" + p.Index
		}
		if d := p.Direct; d != nil {
			s += " <" + d.VCS + d.Path
			if d.VCS == "" {
				s += d.URL
			}
			if d.Subdirectory != "" {
				s += "#" + d.Subdirectory
			}
		}
		all = append(all, s)
	}
	return all
}

// asked is "line normal form <origin" of every requirement.
func asked(reqs []Requirement) []string {
	var all []string
	for _, q := range reqs {
		r := q.Requirement
		r.URL = ""
		s := fmt.Sprintf("%d %s", q.Line, r.String())
		if q.Index != "" {
			s += " @" + q.Index
		}
		switch {
		case q.VCS != "":
			s += " <" + q.VCS
		case q.Direct():
			s += " <" + q.Path + q.URL
		}
		if q.Subdirectory != "" {
			s += "#" + q.Subdirectory
		}
		if q.Editable {
			s += " editable"
		}
		all = append(all, s)
	}
	return all
}

func hash(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

var uvLockText = `version = 1
revision = 3
requires-python = ">=3.9"
resolution-markers = ["python_full_version >= '3.11'", "python_full_version < '3.11'"]

[[package]]
name = "app"
version = "1.0"
source = { virtual = "." }
dependencies = [{ name = "six" }]

[package.metadata]
requires-dist = [
    { name = "six", specifier = ">=1.16" },
    { name = "numpy", marker = "extra == 'fast' and os_name == 'posix'", specifier = ">=2" },
    { name = "tool", extras = ["x"], git = "https://git.example.org/tool.git?subdirectory=py&rev=v2" },
    { name = "lib", editable = "libs/lib" },
    { name = "torch", specifier = ">=2", index = "https://index.example.org/cpu" },
]
provides-extras = ["fast"]

[package.metadata.requires-dev]
dev = [{ name = "pytest", specifier = ">=8" }]

[[package]]
name = "numpy"
version = "2.0.2"
source = { registry = "https://index.example.org/simple" }
resolution-markers = ["python_full_version < '3.11'"]
sdist = { url = "https://files.example.org/numpy-2.0.2.tar.gz", hash = "` + hash("a") + `", size = 1 }
wheels = [
    { url = "https://files.example.org/numpy-2.0.2-cp39-cp39-linux.whl", hash = "` + hash("b") + `", size = 1 },
    { url = "https://files.example.org/numpy-2.0.2-cp39-cp39-win.whl", hash = "` + hash("b") + `", size = 1 },
]

[[package]]
name = "numpy"
version = "2.3.0"
source = { registry = "https://index.example.org/simple" }
resolution-markers = [
    "python_full_version >= '3.12' and sys_platform == 'linux'",
    "extra == 'extra-3-app-fast' and extra != 'group-3-app-dev'",
]

[[package]]
name = "lib"
source = { editable = "libs/lib" }

[[package]]
name = "tool"
version = "2.0"
source = { git = "https://git.example.org/tool.git?subdirectory=py&rev=v2#0123456789abcdef0123456789abcdef01234567" }

[[package]]
name = "local"
version = "3"
source = { path = "wheels/local-3.tar.gz" }
sdist = { hash = "` + hash("c") + `" }

[[package]]
name = "archive"
version = "4"
source = { url = "https://files.example.org/archive-4.zip", subdirectory = "src" }
sdist = { hash = "` + hash("d") + `" }
`

func TestUVLock(t *testing.T) {
	const project = "[project]\nname='app'\nversion='1.0'\ndependencies=['six>=1.16']\n"
	fsys := files("pyproject.toml", project, "uv.lock", uvLockText)
	for _, name := range []string{"pyproject.toml", "uv.lock"} { // naming either reads both
		set, err := read(t, fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, list(set.Requirements), "pyproject.toml:4 six>=1.16")
		if len(set.Locks) != 1 {
			t.Fatalf("%s: %d locks", name, len(set.Locks))
		}
		l := set.Locks[0]
		wantList(t, pinList(l),
			"7 app 1.0 <.",
			`26 numpy 2.0.2 ; python_full_version < "3.11" #2 @https://index.example.org/simple`,
			`37 numpy 2.3.0 ; python_full_version >= "3.12" and sys_platform == "linux" @https://index.example.org/simple`,
			"46 lib  <libs/lib",
			"50 tool 2.0 <git+https://git.example.org/tool.git@0123456789abcdef0123456789abcdef01234567#py",
			"55 local 3 #1 <wheels/local-3.tar.gz",
			"61 archive 4 #1 <https://files.example.org/archive-4.zip#src",
		)
		if l.File != "uv.lock" || l.Format != "uv" || l.RequiresPython != ">=3.9" || !l.Complete {
			t.Errorf("%+v", l)
		}
	}
}

// TestUVLockAlone takes the requirements out of the lock's root package.
func TestUVLockAlone(t *testing.T) {
	set, err := Read(context.Background(), Request{
		FS: files("uv.lock", uvLockText), Files: []string{"uv.lock"}, Extras: []string{"Fast"}, Groups: []string{"dev"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements),
		"14 six>=1.16",
		`15 numpy>=2; os_name == "posix"`,
		"16 tool[x] <git+https://git.example.org/tool.git#py",
		"17 lib <libs/lib editable",
		"18 torch>=2 @https://index.example.org/cpu",
		"23 pytest>=8",
	)
	if p := set.Project; p == nil || p.Name != "app" || p.RequiresPython != ">=3.9" || p.Extras[0] != "fast" || p.Groups[0] != "dev" {
		t.Errorf("project %+v", p)
	}
	// The fork for fast without dev is not the one: both are wanted.
	wantList(t, pinList(set.Locks[0])[2:3], `37 numpy 2.3.0 ; python_full_version >= "3.12" and sys_platform == "linux" @https://index.example.org/simple`)

	set, err = Read(context.Background(), Request{FS: files("uv.lock", uvLockText), Files: []string{"uv.lock"}, Extras: []string{"fast"}})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, pinList(set.Locks[0])[2:3], `37 numpy 2.3.0 @https://index.example.org/simple`)
	_, err = Read(context.Background(), Request{FS: files("uv.lock", uvLockText), Files: []string{"uv.lock"}, Extras: []string{"slow"}})
	wantError(t, err, nil, "uv.lock:7:", `"slow": unknown extra; known are fast`)
}

var poetryLockText = `[[package]]
name = "Six"
version = "1.16.0"
description = "compat"
optional = false
python-versions = "*"
groups = ["main", "dev"]
files = [
    {file = "six-1.16.0-py2.py3-none-any.whl", hash = "` + hash("a") + `"},
    {file = "six-1.16.0.tar.gz", hash = "` + hash("b") + `"},
]

[[package]]
name = "tomli"
version = "2.0.1"
optional = false
groups = ["main", "dev"]
markers = {main = "python_version < \"3.11\"", dev = "python_full_version <= \"3.11.0a6\""}
files = []

[[package]]
name = "uvloop"
version = "0.19"
optional = true
groups = ["main"]
markers = "extra == \"fast\" and sys_platform != \"win32\""
files = []

[[package]]
name = "pytest"
version = "8.0"
optional = false
groups = ["dev"]
files = []

[[package]]
name = "demo"
version = "0.1.2"
optional = false
groups = ["main"]
files = []
develop = false

[package.source]
type = "git"
url = "https://git.example.org/demo/demo.git"
reference = "main"
resolved_reference = "9cf87a285a2d3fbb0b9fa621997b3acc3631ed24"
subdirectory = "pkg"

[[package]]
name = "private"
version = "1"
optional = false
groups = ["main"]
files = []

[package.source]
type = "legacy"
url = "https://index.example.org/simple"
reference = "house"

[extras]
fast = ["uvloop"]

[metadata]
lock-version = "2.1"
python-versions = "^3.9"
content-hash = "abc"
`

func TestPoetryLock(t *testing.T) {
	project := "[tool.poetry]\nname='x'\n[tool.poetry.dependencies]\npython='^3.9'\nsix='^1.16'\n"
	set, err := read(t, files("pyproject.toml", project, "poetry.lock", poetryLockText), "pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "5 six<2.0,>=1.16")
	l := set.Locks[0]
	wantList(t, pinList(l),
		"2 six 1.16.0 #2",
		`14 tomli 2.0.1 ; python_version < "3.11"`,
		"30 pytest 8.0",
		"37 demo 0.1.2 <git+https://git.example.org/demo/demo.git@9cf87a285a2d3fbb0b9fa621997b3acc3631ed24#pkg",
		"52 private 1 @house",
	)
	if l.Format != "poetry" || l.RequiresPython != ">=3.9,<4.0" {
		t.Errorf("%+v", l)
	}

	// Without a project every package is a requirement; development ones only when wanted.
	alone := files("poetry.lock", poetryLockText)
	if set, err = read(t, alone, "poetry.lock"); err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "2 six==1.16.0", `14 tomli==2.0.1; python_version < "3.11"`,
		"37 demo <git+https://git.example.org/demo/demo.git@9cf87a285a2d3fbb0b9fa621997b3acc3631ed24#pkg", "52 private==1 @https://index.example.org/simple")
	if len(set.Requirements[0].Hashes) != 2 {
		t.Error("the hashes are gone")
	}
	set, err = Read(context.Background(), Request{FS: alone, Files: []string{"poetry.lock"}, Groups: []string{"dev"}})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements)[1:3], `14 tomli==2.0.1; python_version < "3.11" or python_full_version <= "3.11.0a6"`, "30 pytest==8.0")
}

// TestOldPoetryLock has the hashes apart from the packages.
func TestOldPoetryLock(t *testing.T) {
	text := "[[package]]\nname = \"six\"\nversion = \"1.16.0\"\ncategory = \"main\"\noptional = false\npython-versions = \"*\"\n\n" +
		"[[package]]\nname = \"pytest\"\nversion = \"7\"\ncategory = \"dev\"\noptional = false\npython-versions = \"*\"\n\n" +
		"[metadata]\nlock-version = \"1.1\"\npython-versions = \"~2.7 || ^3.5\"\ncontent-hash = \"x\"\n\n[metadata.files]\nsix = [\n  {file = \"six.whl\", hash = \"" + hash("a") + "\"},\n]\n"
	set, err := read(t, files("poetry.lock", text), "poetry.lock")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "2 six==1.16.0")
	wantList(t, pinList(set.Locks[0]), "2 six 1.16.0 #1", "9 pytest 7")
	if p := set.Locks[0].RequiresPython; p != ">=2.7,!=3.0.*,!=3.1.*,!=3.2.*,!=3.3.*,!=3.4.*,<4.0" {
		t.Errorf("requires-python %q", p)
	}
}

func TestPDMLock(t *testing.T) {
	text := `[metadata]
groups = ["default", "test"]
strategy = ["inherit_metadata"]
lock_version = "4.5.0"

[[metadata.targets]]
requires_python = ">=3.9"

[[package]]
name = "coverage"
version = "7.5"
groups = ["test"]
files = [{file = "coverage-7.5.tar.gz", hash = "` + hash("a") + `"}]

[[package]]
name = "coverage"
version = "7.5"
extras = ["toml"]
groups = ["test"]
files = [{file = "coverage-7.5.tar.gz", hash = "` + hash("a") + `"}]

[[package]]
name = "tomli"
version = "2.0.1"
groups = ["default"]
marker = "python_version < \"3.11\""

[[package]]
name = "demo"
version = "0.1"
git = "https://git.example.org/demo.git"
ref = "main"
revision = "0123456789abcdef0123456789abcdef01234567"

[[package]]
name = "mine"
version = "0.1"
path = "./libs/mine"
editable = true
`
	set, err := Read(context.Background(), Request{FS: files("pdm.lock", text), Files: []string{"pdm.lock"}, Groups: []string{"test"}})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, pinList(set.Locks[0]), "10 coverage 7.5 #1", `23 tomli 2.0.1 ; python_version < "3.11"`,
		"29 demo 0.1 <git+https://git.example.org/demo.git@0123456789abcdef0123456789abcdef01234567", "36 mine 0.1 <libs/mine")
	wantList(t, asked(set.Requirements), "10 coverage==7.5", "16 coverage[toml]==7.5", `23 tomli==2.0.1; python_version < "3.11"`,
		"29 demo <git+https://git.example.org/demo.git@0123456789abcdef0123456789abcdef01234567", "36 mine <libs/mine editable")
	if p := set.Locks[0].RequiresPython; p != ">=3.9" {
		t.Errorf("requires-python %q", p)
	}
}

var pylockText = `lock-version = "1.0"
created-by = "by hand"
requires-python = ">=3.12"
extras = ["fast"]
dependency-groups = ["dev", "docs"]
default-groups = ["docs"]

[[packages]]
name = "attrs"
version = "25.1.0"
requires-python = ">=3.8"
index = "https://index.example.org/simple"
sdist = {name = "attrs-25.1.0.tar.gz", hashes = {sha256 = "` + strings.Repeat("A", 64) + `", md5 = "x"}}
[[packages.wheels]]
name = "attrs-25.1.0-py3-none-any.whl"
url = "https://files.example.org/attrs-25.1.0-py3-none-any.whl"
hashes = {sha256 = "` + strings.Repeat("b", 64) + `"}

[[packages]]
name = "uvloop"
version = "0.21"
marker = "'fast' in extras and sys_platform == 'linux'"

[[packages]]
name = "pytest"
version = "8"
marker = "'dev' in dependency_groups"

[[packages]]
name = "sphinx"
version = "8"
marker = "'docs' in dependency_groups"

[[packages]]
name = "tool"
vcs = {type = "git", url = "https://git.example.org/tool.git", requested-revision = "main", commit-id = "0123456789abcdef0123456789abcdef01234567", subdirectory = "py"}

[[packages]]
name = "archive"
version = "1"
archive = {url = "https://files.example.org/archive-1.zip", hashes = {sha256 = "` + strings.Repeat("c", 64) + `"}}

[[packages]]
name = "lib"
directory = {path = "libs/lib", editable = true}
`

func TestPylock(t *testing.T) {
	set, err := Read(context.Background(), Request{FS: files("pylock.prod.toml", pylockText), Files: []string{"pylock.prod.toml"}, Extras: []string{"fast"}})
	if err != nil {
		t.Fatal(err)
	}
	pins := []string{
		"9 attrs 25.1.0 #2 @https://index.example.org/simple",
		`20 uvloop 0.21 ; sys_platform == "linux"`,
		"30 sphinx 8",
		"35 tool  <git+https://git.example.org/tool.git@0123456789abcdef0123456789abcdef01234567#py",
		"39 archive 1 #1 <https://files.example.org/archive-1.zip",
		"44 lib  <libs/lib",
	}
	wantList(t, pinList(set.Locks[0]), pins...)
	wantList(t, asked(set.Requirements), "9 attrs==25.1.0 @https://index.example.org/simple", `20 uvloop==0.21; sys_platform == "linux"`, "30 sphinx==8",
		"35 tool <git+https://git.example.org/tool.git@0123456789abcdef0123456789abcdef01234567#py",
		"39 archive <https://files.example.org/archive-1.zip", "44 lib <libs/lib editable")
	if l := set.Locks[0]; l.RequiresPython != ">=3.12" || l.Format != "pylock" || set.Requirements[0].Hashes[0] != hash("a") {
		t.Errorf("%+v", l)
	}

	// Beside a project it gives pins; without the extra there is no uvloop.
	set, err = read(t, files("pyproject.toml", "[project]\nname='x'\ndependencies=['attrs']\n", "pylock.toml", pylockText), "pyproject.toml")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "3 attrs")
	wantList(t, pinList(set.Locks[0]), append(pins[:1:1], pins[2:]...)...)
}

func TestPipfileLock(t *testing.T) {
	lock := `{
    "_meta": {
        "hash": {"sha256": "x"},
        "pipfile-spec": 6,
        "requires": {"python_version": "3.11"},
        "sources": [{"name": "house", "url": "https://index.example.org/simple", "verify_ssl": true}]
    },
    "default": {
        "requests": {
            "extras": ["socks"],
            "hashes": ["` + hash("a") + `", "` + hash("b") + `"],
            "index": "house",
            "markers": "python_version >= '3.7'",
            "version": "==2.31.0"
        },
        "demo": {"git": "https://git.example.org/demo.git", "ref": "0123456789abcdef0123456789abcdef01234567"}
    },
    "develop": {
        "pytest": {"version": "==8.0", "markers": "os_name == 'posix'"},
        "requests": {"version": "==2.30.0"}
    }
}`
	set, err := read(t, files("Pipfile", "[packages]\nrequests='*'\n", "Pipfile.lock", lock), "Pipfile")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "2 requests")
	demo := "16 demo  <git+https://git.example.org/demo.git@0123456789abcdef0123456789abcdef01234567"
	wantList(t, pinList(set.Locks[0]), `9 requests 2.31.0 ; python_version >= "3.7" #2 @house`, demo)
	if p := set.Locks[0].RequiresPython; p != "==3.11.*" {
		t.Errorf("requires-python %q", p)
	}

	set, err = Read(context.Background(), Request{FS: files("Pipfile.lock", lock), Files: []string{"Pipfile.lock"}, Groups: []string{"dev"}})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), `9 requests[socks]==2.31.0; python_version >= "3.7" @house`,
		"16 demo <git+https://git.example.org/demo.git@0123456789abcdef0123456789abcdef01234567", `19 pytest==8.0; os_name == "posix"`)
	wantList(t, set.Warnings, "Pipfile.lock:20: requests==2.30.0 is left out: another section has ==2.31.0, which goes before it")
	if i := set.Options.Indexes; len(i) != 1 || i[0].Name != "house" || !i[0].Default || i[0].Line != 6 {
		t.Errorf("indexes %+v", i)
	}
}

func TestLockErrors(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		is         error
		says       []string
	}{
		"uv version":       {"uv.lock", "# x\nversion = 2\n", ErrFormat, []string{"uv.lock:2:", "version 2", "known is 1"}},
		"no uv version":    {"uv.lock", "", ErrFormat, []string{"(none)"}},
		"uv without root":  {"uv.lock", "version = 1\n[[package]]\nname='a'\nversion='1'\nsource={registry='https://x.example'}\n", nil, []string{"names no project"}},
		"another tool's":   {"Cargo.lock", "version = 4\n", ErrFormat, []string{"Cargo.lock:", "known locks are uv.lock"}},
		"poetry folder":    {"poetry.lock", "[[package]]\nname = 'a'\nversion = '1'\n[package.source]\ntype = 'git'\nurl = 'https://git.example.org/a.git'\nresolved_reference = '0123456789abcdef0123456789abcdef01234567'\nsubdirectory = '../../etc'\n[metadata]\nlock-version = '2.1'\n", ErrOutside, []string{"poetry.lock:8:", "../../etc"}},
		"poetry version":   {"poetry.lock", "[metadata]\nlock-version = '3.0'\n", ErrFormat, []string{"poetry.lock:2:", "3.0"}},
		"pdm version":      {"pdm.lock", "[metadata]\nlock_version = '5.0'\n", ErrFormat, []string{"pdm.lock:2:", "5.0"}},
		"pylock version":   {"pylock.toml", "lock-version = '2.0'\n", ErrFormat, []string{"pylock.toml:1:", "2.0"}},
		"pipenv version":   {"Pipfile.lock", "{\n\"_meta\":\n{\"pipfile-spec\": 7}}", ErrFormat, []string{"Pipfile.lock:3:", "7"}},
		"JSON":             {"Pipfile.lock", "{\n\"_meta\": {,\n}}", nil, []string{"Pipfile.lock:2:", "invalid JSON"}},
		"JSON, two values": {"Pipfile.lock", "{} {}", nil, []string{"invalid JSON", "more behind its end"}},
		"deep JSON":        {"Pipfile.lock", strings.Repeat(`{"a":`, 1000), ErrTooLarge, nil},
		"TOML":             {"uv.lock", "version = 1\n[[package]\n", nil, []string{"uv.lock:2:", "invalid TOML"}},
		"name":             {"pylock.toml", "lock-version='1.0'\n[[packages]]\nname='a b'\nversion='1'\n", nil, []string{"pylock.toml:3:", "not a valid package name"}},
		"version":          {"pylock.toml", "lock-version='1.0'\n[[packages]]\nname='a'\nversion='one'\n", nil, []string{"pylock.toml:3:", "one"}},
		"no version":       {"pylock.toml", "lock-version='1.0'\n[[packages]]\nname='a'\n", nil, []string{"pylock.toml:3:", "no version"}},
		"marker":           {"pylock.toml", "lock-version='1.0'\n[[packages]]\nname='a'\nversion='1'\nmarker='python'\n", nil, []string{"pylock.toml:5:", "marker"}},
		"requires-python":  {"pylock.toml", "lock-version='1.0'\nrequires-python='3'\n", nil, []string{"pylock.toml:2:"}},
		"types":            {"pylock.toml", "lock-version='1.0'\npackages=1\n", nil, []string{"pylock.toml:2:", "array of tables"}},
		"hg":               {"pylock.toml", "lock-version='1.0'\n[[packages]]\nname='a'\nvcs={type='hg',url='https://x.example/a'}\n", nil, []string{"hg"}},
		"subdirectory":     {"pylock.toml", "lock-version='1.0'\n[[packages]]\nname='a'\narchive={url='https://x.example/a.zip',subdirectory='../../etc'}\n", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := read(t, files(c.file, c.text), c.file)
			if name == "subdirectory" { // left out, and the lock no longer whole
				if err != nil || set.Locks[0].Complete || len(set.Warnings) != 1 || !strings.Contains(set.Warnings[0], "outside") {
					t.Errorf("%v %+v", err, set)
				}
				return
			}
			wantError(t, err, c.is, c.says...)
		})
	}
}

// TestScriptLock: uv locks a script with its inline requirements.
func TestScriptLock(t *testing.T) {
	text := "version = 1\nrequires-python = '>=3.12'\n[manifest]\nrequirements = [\n  { name = 'six', specifier = '>=1' },\n]\n[[package]]\nname='six'\nversion='1.17'\nsource={registry='https://index.example.org'}\n"
	set, err := read(t, files("tools/x.py.lock", text, "tools/pyproject.toml", "[project]\nname='no'\n"), "tools/x.py.lock")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, asked(set.Requirements), "5 six>=1")
	wantList(t, pinList(set.Locks[0]), "8 six 1.17 @https://index.example.org")
}

// TestLockOutsideOfTheProject: a package in a folder beyond the root is not read.
func TestLockOutsideOfTheProject(t *testing.T) {
	text := "version = 1\nrequires-python='>=3.9'\n[[package]]\nname='app'\nversion='1'\nsource={virtual='.'}\n[[package]]\nname='up'\nversion='1'\nsource={directory='../up'}\n"
	set, err := read(t, files("uv.lock", text), "uv.lock")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, pinList(set.Locks[0]), "4 app 1 <.")
	if set.Locks[0].Complete || len(set.Warnings) != 1 || !strings.HasPrefix(set.Warnings[0], "uv.lock:8: up is left out") {
		t.Errorf("%+v", set)
	}
}

// TestWhichLockBelongs: the tool that is configured decides, a lock somebody names
// goes before it.
func TestWhichLockBelongs(t *testing.T) {
	fsys := files("pyproject.toml", "[project]\nname='app'\n[tool.pdm]\n", "uv.lock", uvLockText, "poetry.lock", poetryLockText,
		"pdm.lock", "[metadata]\nlock_version='4.5'\n", "pylock.toml", pylockText)
	for named, want := range map[string]string{"pyproject.toml": "pdm.lock", "poetry.lock": "poetry.lock", "uv.lock": "uv.lock"} {
		set, err := read(t, fsys, named)
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Locks) != 1 || set.Locks[0].File != want {
			t.Errorf("%s: %d locks, first %+v", named, len(set.Locks), set.Locks)
		}
	}
	cs, err := Discover(fsys)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range cs {
		lines = append(lines, say(c))
	}
	wantList(t, lines, "+ pyproject.toml 0 chosen: [project] of the top folder's pyproject.toml", "- pdm.lock 0 read along with pyproject.toml",
		"- poetry.lock 5 ignored: pdm.lock is the project's lock", "- pylock.toml 5 ignored: pdm.lock is the project's lock", "- uv.lock 7 ignored: pdm.lock is the project's lock")
}

// BenchmarkUVLock reads a lock of 1,000 packages with 20 files each.
func BenchmarkUVLock(b *testing.B) {
	var text strings.Builder
	text.WriteString("version = 1\nrequires-python = \">=3.9\"\n[[package]]\nname = \"app\"\nsource = { virtual = \".\" }\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "\n[[package]]\nname = \"package-%d\"\nversion = \"1.%d\"\nsource = { registry = \"https://index.example.org/simple\" }\nwheels = [\n", i, i)
		for j := range 20 {
			fmt.Fprintf(&text, "    { url = \"https://files.example.org/package_%d-1.%d-cp3%d-cp3%d-linux_x86_64.whl\", hash = \"sha256:%064x\", size = 1 },\n", i, i, j, j, i*20+j)
		}
		text.WriteString("]\n")
	}
	fsys := files("uv.lock", text.String())
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		set, err := Read(context.Background(), Request{FS: fsys, Files: []string{"uv.lock"}})
		if err != nil || len(set.Locks[0].Pins) != 1001 {
			b.Fatal(err)
		}
	}
}
