package sdist

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// backendSource is a PEP 517 backend of the tree's own, so that no test needs a
// package: it packs what lies in files/ into a wheel, path by path.
const backendSource = `
import os, sys, zipfile
print("noise of the backend")
os.system("echo noise of a compiler")

NAME, VERSION, PURE = "Foo.Bar", "1.0rc1", os.environ.get("FOO_PLATLIB") is None

def get_requires_for_build_wheel(config_settings=None):
    print("more noise")
    if os.environ.get("FOO_FAIL"):
        raise RuntimeError("the hook broke")
    if config_settings:
        return ["asked-for-" + config_settings["tool"]]
    return ["other>=2", "linter; extra == 'all'", "not-here; python_version < '3'"]

def metadata():
    return ("Metadata-Version: 2.1\nName: %s\nVersion: %s\nRequires-Dist: run>=1,<2\nRequires-Dist: docs; extra == 'doc'\n"
            "Provides-Extra: doc\n\n" % (NAME, VERSION))

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "foo_bar-1.0rc1-py3-none-any.whl"
    info = "foo_bar-1.0rc1.dist-info/"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for place, dirs, names in os.walk("files"):
            for file in names:
                path = os.path.join(place, file)
                wheel.write(path, os.path.relpath(path, "files"))
        wheel.writestr(info + "METADATA", metadata())
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: %s\nTag: py3-none-any\n" % str(PURE).lower())
        wheel.writestr(info + "direct_url.json", "{}")
        wheel.writestr(info + "RECORD", "")
    return name
`

var ownProject = files{
	"pyproject.toml":     "# a comment with [brackets]\n[project]\nname = 'foo'\n[build-system]\nrequires = [\n  \"one >=1,!=1.5\", # why ['not']\n  'two[x]; python_version >= \"3\"',\n  'three; sys_platform == \"win32\"',\n]\nbuild-backend = \"own\"\nbackend-path = ['in tree']\n[tool.x]\ny = ['build-system']\n",
	"in tree/own.py":     backendSource,
	"LICENSE":            "MIT",
	"files/foo/a.py":     "x = 1\n",
	"files/foo_data.txt": "x",
}

// pythons are the interpreters to test with: the one on PATH, the system's, and every
// version that has its own name.
func pythons(t *testing.T) map[string]string {
	t.Helper()
	named := findPythons()
	if len(named) == 0 {
		t.Skip("no python3 here")
	}
	return named
}

// findPythons looks once for all tests, and takes the interpreter itself where PATH has a version
// manager's stand-in, which starts some seventy processes before it.
var findPythons = sync.OnceValue(func() map[string]string {
	named, seen := map[string]string{}, map[string]bool{}
	for _, name := range []string{"python3", "/usr/bin/python3", "python3.6", "python3.8", "python3.9", "python3.12", "python3.13", "python3.14"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		// A stand-in may be on PATH and still refuse to run.
		out, err := exec.Command(path, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.executable)").Output()
		version, executable, found := strings.Cut(strings.TrimSpace(string(out)), " ")
		if err != nil || !found || seen[executable] {
			continue
		}
		seen[executable] = true
		named[version+" "+name] = executable
	}
	return named
})

// onEveryPython runs a test once for each interpreter, each on a fresh tree.
func onEveryPython(t *testing.T, tree files, test func(t *testing.T, d driverRun)) {
	for name, python := range pythons(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := writeTree(t, t.TempDir(), files{DriverName: string(Driver())})
			test(t, driverRun{t: t, python: python, script: filepath.Join(script, DriverName), dir: writeTree(t, t.TempDir(), tree)})
		})
	}
}

type driverRun struct {
	t                   *testing.T
	python, script, dir string
	env                 []string
}

// run returns stdout and stderr, failing the test unless the exit status is want.
func (d driverRun) run(want int, args ...string) (string, string) {
	d.t.Helper()
	cmd := exec.Command(d.python, append([]string{"-s", d.script}, args...)...)
	cmd.Dir, cmd.Env = d.dir, append(os.Environ(), append([]string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="}, d.env...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		d.t.Fatalf("%q: exit status %d, want %d\n%s%s", args, got, want, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

func (d driverRun) json(into any, args ...string) {
	d.t.Helper()
	stdout, _ := d.run(0, args...)
	if err := json.Unmarshal([]byte(stdout), into); err != nil {
		d.t.Fatalf("%q: %v in %q", args, err, stdout)
	}
}

func TestDriverRequires(t *testing.T) {
	onEveryPython(t, ownProject, func(t *testing.T, d driverRun) {
		var got struct{ Requires, Hook []string }
		d.json(&got, "requires")
		want := []string{"one >=1,!=1.5", `two[x]; python_version >= "3"`, `three; sys_platform == "win32"`}
		if diff := cmp.Diff(want, got.Requires); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"other>=2", "linter; extra == 'all'", "not-here; python_version < '3'"}, got.Hook); diff != "" {
			t.Error(diff)
		}
		d.json(&got, "requires", "-C", "tool=x")
		if diff := cmp.Diff([]string{"asked-for-x"}, got.Hook); diff != "" {
			t.Error(diff)
		}
		d.env = []string{"FOO_FAIL=1"}
		if stdout, stderr := d.run(1, "requires"); stdout != "" || !strings.Contains(stderr, "the hook broke") {
			t.Errorf("stdout %q, stderr %q", stdout, stderr)
		}
	})
}

func TestDriverReadsBuildSystemWithoutTOMLReader(t *testing.T) {
	code := "import sys, json; sys.path.insert(0, sys.argv[1]); import reqpm_pep517 as d; print(json.dumps(d.read_build_system(sys.stdin.read())))"
	for _, c := range []struct{ toml, want string }{
		{ownProject["pyproject.toml"], `{"backend-path": ["in tree"], "build-backend": "own", "requires": ["one >=1,!=1.5", "two[x]; python_version >= \"3\"", "three; sys_platform == \"win32\""]}`},
		{"[build-system]\nrequires=[]\n[project]\nbuild-backend='no'", `{"requires": []}`},
		{"[build-system] # c\nrequires = [ 'a#b' , # c\n\n\"c\\u0041\" ]", `{"requires": ["a#b", "cA"]}`},
		{"[build-system]\nrequires = [\n'x',\n['y'],\n]", ""},
		{"[build-system]\nrequires = 3", ""},
	} {
		onEveryPython(t, nil, func(t *testing.T, d driverRun) {
			cmd := exec.Command(d.python, "-c", code, filepath.Dir(d.script))
			cmd.Stdin = strings.NewReader(c.toml)
			out, err := cmd.Output()
			if (err != nil) != (c.want == "") {
				t.Fatalf("%v: %s", err, out)
			}
			if c.want == "" {
				return
			}
			var got, want any
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDriverMetadataAndWheel(t *testing.T) {
	onEveryPython(t, ownProject, func(t *testing.T, d driverRun) {
		out := t.TempDir()
		d.run(0, "metadata", out)
		if data, err := os.ReadFile(filepath.Join(out, "METADATA")); err != nil || !strings.Contains(string(data), "Name: Foo.Bar\n") {
			t.Errorf("%v: %s", err, data)
		}
		stdout, _ := d.run(0, "wheel", out, "--expect", "foo_bar", "1.0.0c1")
		if stdout != "foo_bar-1.0rc1-py3-none-any.whl\n" {
			t.Errorf("printed %q", stdout)
		}
		for _, wrong := range [][]string{{"foo-bar", "1.0"}, {"foo", "1.0rc1"}, {"foo-bar", "1.0rc1+x"}} {
			if _, stderr := d.run(1, "wheel", out, "--expect", wrong[0], wrong[1]); !strings.Contains(stderr, "is Foo.Bar 1.0rc1, wanted "+wrong[0]) {
				t.Errorf("%v: %s", wrong, stderr)
			}
		}
	})
}

func TestDriverSaysWhatIsWrongWithTheBackend(t *testing.T) {
	onEveryPython(t, files{"pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='not_there'\n", "not_there.py": ""}, func(t *testing.T, d driverRun) {
		if _, stderr := d.run(1, "requires"); !strings.Contains(stderr, "backend not_there cannot be imported") {
			t.Error(stderr)
		}
	})
	onEveryPython(t, files{"pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='x'\nbackend-path=['..']"}, func(t *testing.T, d driverRun) {
		if _, stderr := d.run(1, "requires"); !strings.Contains(stderr, "leaves the source tree") {
			t.Error(stderr)
		}
	})
}

func TestDriverBuildRequires(t *testing.T) {
	tree := files{}
	for name, body := range ownProject {
		tree[name] = body
	}
	onEveryPython(t, tree, func(t *testing.T, d driverRun) {
		minor, err := exec.Command(d.python, "-c", "import sys; print('%d.%d' % sys.version_info[:2], end='')").Output()
		if err != nil {
			t.Fatal(err)
		}
		// What is declared is not installed: the backend is asked in a later round only.
		want := "(P(one) < 1.5 or P(one) > 1.5) with P(one) >= 1"
		want = fmt.Sprintf("(%s)\nP(two)\n", want)
		if v := strings.Split(string(minor), "."); v[1] < "8" && len(v[1]) == 1 {
			want = fmt.Sprintf("%sP(other) >= 2\n", strings.TrimSuffix(want, "P(two)\n")) + "P(two)\n"
		}
		stdout, _ := d.run(0, "buildrequires", "--dist-prefix", "P")
		if diff := cmp.Diff(want, stdout); diff != "" {
			t.Error(diff)
		}
		stdout, _ = d.run(0, "buildrequires", "--skip", "One", "--skip", "two", "--skip", "other")
		if stdout != "" {
			t.Errorf("all skipped, and yet %q", stdout)
		}
		stdout, _ = d.run(0, "buildrequires", "--skip", "one", "--skip", "two")
		if want := "python" + string(minor) + "dist(other) >= 2\n"; stdout != want {
			t.Errorf("%q, want %q", stdout, want)
		}
		stdout, _ = d.run(0, "buildrequires", "--skip", "one", "--skip", "two", "--skip", "other", "--runtime", "--extra", "Doc", "--dist-prefix", "P")
		if diff := cmp.Diff("(P(run) < 2~~ with P(run) >= 1)\nP(docs)\n", stdout); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDriverConvertsToRPM(t *testing.T) {
	code := "import sys; sys.path.insert(0, sys.argv[1]); import reqpm_pep517 as d; print(d.Requirement(sys.argv[2]).rpm('P'), end='')"
	d := anyPython(t)
	for in, want := range map[string]string{
		"A.b_c":        "P(a-b-c)",
		"n==1.2.0":     "P(n) = 1.2",
		"n===1.2":      "P(n) = 1.2",
		"n==1.2.*":     "(P(n) < 1.3~~ with P(n) >= 1.2)",
		"n!=1.2.*":     "(P(n) < 1.2~~ or P(n) >= 1.3)",
		"n!=1.2":       "(P(n) < 1.2 or P(n) > 1.2)",
		"n~=1.4.2":     "(P(n) < 1.5~~ with P(n) >= 1.4.2)",
		"n ~= 1!2.0":   "(P(n) < 1:3~~ with P(n) >= 1:2)",
		"n>1.2":        "P(n) > 1.2.0",
		"n<2":          "P(n) < 2~~",
		"n<2rc1":       "P(n) < 2~rc1",
		"n (>=1,<2)":   "(P(n) < 2~~ with P(n) >= 1)",
		"n<=1.0.post1": "P(n) <= 1^post1",
		"n>=1.0.dev3":  "P(n) >= 1~~dev3",
		"n @ https://example.org/n.zip ; os_name == 'posix'": "P(n)",
	} {
		out, err := exec.Command(d.python, "-c", code, filepath.Dir(d.script), in).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s: %q, want %q (%v)", in, out, want, err)
		}
	}
}

func TestDriverComparesVersionsAndMarkers(t *testing.T) {
	d := anyPython(t)
	code := "import sys; sys.path.insert(0, sys.argv[1]); import reqpm_pep517 as d\n" +
		"for line in sys.stdin.read().splitlines():\n    print(line.split('|')[0], eval(line.split('|')[1]), sep='|')\n"
	cases := []string{
		"True|d.compare('1.0', '==', '1')", "True|d.compare('1.0rc1', '<', '1.0.1')", "False|d.compare('1.0rc1', '<', '1.0')",
		"False|d.compare('1.0.post1', '>', '1.0')", "True|d.compare('1.1', '>', '1.0.post1')", "True|d.compare('1.0+x', '==', '1.0')",
		"True|d.compare('1.4.9', '~=', '1.4.2')", "False|d.compare('1.5', '~=', '1.4.2')", "True|d.compare('1.5.1', '==', '1.5.*')",
		"False|d.compare('1.5', '!=', '1.5.*')", "True|d.compare('1.0.dev1', '<', '1.0a1')", "True|d.compare('2!1', '>', '9')",
		"True|d.Marker(\"python_version >= '3.6'\").result", "False|d.Marker(\"python_version < '3' and os_name == 'posix'\").result",
		"True|d.Marker(\"(python_version<'3' or os_name=='posix') and 'linux' in sys_platform\").result",
		"True|d.Marker(\"extra == 'A_b'\", 'a-b').result", "False|d.Marker(\"extra == 'a'\").result", "True|d.Marker(\"platform_release not in 'zzz'\").result",
		"True|d.Marker(\"'3.' in python_full_version\").result",
	}
	cmd := exec.Command(d.python, "-c", code, filepath.Dir(d.script))
	cmd.Stdin = strings.NewReader(strings.Join(cases, "\n"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(cases) {
		t.Fatalf("%d answers to %d questions", len(lines), len(cases))
	}
	for i, line := range lines {
		if want, got, _ := strings.Cut(line, "|"); want != got {
			t.Errorf("%s is %s", cases[i], got)
		}
	}
}

func TestDriverCheckImport(t *testing.T) {
	onEveryPython(t, files{"lib/good.py": "import sys\nprint('noise')", "lib/bad.py": "raise OSError('no display')"}, func(t *testing.T, d driverRun) {
		d.env = []string{"PYTHONPATH=" + filepath.Join(d.dir, "lib")}
		var got struct {
			Imported []string
			Failed   map[string]string
		}
		d.json(&got, "check-import", "good", "bad", "none_such")
		if !slices.Equal(got.Imported, []string{"good"}) || got.Failed["bad"] != "OSError: no display" || !strings.Contains(got.Failed["none_such"], "No module named") {
			t.Errorf("%+v", got)
		}
		d.run(1, "check-import", "--strict", "bad")
		d.run(0, "check-import", "--strict", "good")
	})
}

// anyPython is the first interpreter, for what does not depend on the version.
func anyPython(t *testing.T) driverRun {
	t.Helper()
	all := pythons(t)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	script := writeTree(t, t.TempDir(), files{DriverName: string(Driver())})
	return driverRun{t: t, python: all[names[0]], script: filepath.Join(script, DriverName), dir: t.TempDir()}
}

// makeWheel writes a wheel with the given members beside METADATA and WHEEL.
func makeWheel(t testing.TB, name string, pure bool, members []entry) string {
	t.Helper()
	parts := strings.Split(name, "-")
	info := parts[0] + "-" + parts[1] + ".dist-info/"
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	all := append(slices.Clone(members),
		entry{name: info + "METADATA", body: "Metadata-Version: 2.1\nName: " + parts[0] + "\nVersion: " + parts[1] + "\n\n"},
		entry{name: info + "WHEEL", body: fmt.Sprintf("Wheel-Version: 1.0\nRoot-Is-Purelib: %v\nTag: py3-none-any\n", pure)},
		entry{name: info + "RECORD"})
	for _, e := range all {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: time.Unix(1700000000, 0)}
		mode := os.FileMode(0o644)
		if e.mode != 0 {
			mode = os.FileMode(e.mode)
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return writeArchive(t, name, b.Bytes())
}
