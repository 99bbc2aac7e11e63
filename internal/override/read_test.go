package override

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/pep440"
)

func tree(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fsys
}

const aPatch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"

var wholeProject = []string{
	"reqpm.toml", `
[package."*"]
env = { LANG = "C.UTF-8" }

[package.Zope_Interface]
version = ">=5,<6"

[target.el8.package.lxml]
build-requires = ["rpm:libxslt-devel"]

[targets.mine]
base = "el9"
`,
	"overrides/lxml.toml", `version = "<6"
build-requires = [
  "cython<3",
  "rpm:libxml2-devel >= 2.9",
]
drop-build-requires = ["wheel"]
requires = ["rpm:libxslt"]
drop-requires = ["html5lib"]
wheel = false
allow-pure = true
memory = "4GiB"

[env]
WITH_XMLSEC = "1"

[config-settings]
setup-args = ["-Dblas=openblas", "-Dx=y z"]
--build-option = "--fast"

[bconds]
bootstrap = true

[checks]
import = false
modules = ["lxml.etree"]
commands = ["$PYTHON -m lxml.selftest"]

[[patches]]
file = "fixes/a.patch"

[[patches]]
file = "fixes/b.patch"
strip = 0
versions = ">=5,<5.3"

[target.el8.env]
WITH_XMLSEC = "0"
`,
	"overrides/fixes/a.patch", aPatch, "overrides/fixes/b.patch", aPatch,
	"overrides/own.toml", "spec = 'own.spec'\n", "overrides/own.spec", "Name: own\n",
}

func lines(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s %s: %s\n", e.Position, e.Key, e.Text)
	}
	return b.String()
}

func TestReadAProject(t *testing.T) {
	got, err := Read(Source{FS: tree(wholeProject...)})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := pep440.Parse("5.2")
	e := got.Set.For("lxml", v, "el8")
	want := `overrides/lxml.toml:1 version: <6
overrides/lxml.toml:3 build-requires: cython<3
overrides/lxml.toml:4 build-requires: rpm:libxml2-devel >= 2.9
reqpm.toml:9 build-requires: rpm:libxslt-devel
overrides/lxml.toml:6 drop-build-requires: wheel
overrides/lxml.toml:7 requires: rpm:libxslt
overrides/lxml.toml:8 drop-requires: html5lib
reqpm.toml:3 env.LANG: C.UTF-8
overrides/lxml.toml:37 env.WITH_XMLSEC: 0
overrides/lxml.toml:28 patches: fixes/a.patch
overrides/lxml.toml:31 patches: fixes/b.patch
overrides/lxml.toml:18 config-settings.--build-option: --fast
overrides/lxml.toml:17 config-settings.setup-args: -Dblas=openblas -Dx=y z
overrides/lxml.toml:21 bconds.bootstrap: true
overrides/lxml.toml:9 wheel: false
overrides/lxml.toml:10 allow-pure: true
overrides/lxml.toml:24 checks.import: false
overrides/lxml.toml:25 checks.modules: lxml.etree
overrides/lxml.toml:26 checks.commands: $PYTHON -m lxml.selftest
overrides/lxml.toml:11 memory: 4GiB
`
	if d := cmp.Diff(want, lines(e.Entries())); d != "" {
		t.Error(d)
	}
	if e.Patches[1].Strip != 0 || e.Patches[0].Strip != 1 || string(e.Patches[0].Text) != aPatch || len(e.Patches[0].SHA256) != 64 {
		t.Errorf("patches: %+v", e.Patches)
	}
	zope := got.Set.For("zope-interface", v, "el8")
	if got := lines(zope.Entries()); got != "reqpm.toml:6 version: <6,>=5\nreqpm.toml:3 env.LANG: C.UTF-8\n" {
		t.Errorf("zope: %s", got)
	}
	own := got.Set.For("own", v, "el8")
	if own.Spec == nil || string(own.Spec.Text) != "Name: own\n" {
		t.Errorf("own: %+v", own.Spec)
	}
	if want := "\n\n\n\n\n\n\n\n\n\n[targets.mine]\nbase = \"el9\"\n"; string(got.Targets) != want || got.TargetsFile != "reqpm.toml" {
		t.Errorf("targets of %s: %q", got.TargetsFile, got.Targets)
	}
}

func TestReadNothing(t *testing.T) {
	got, err := Read(Source{FS: fstest.MapFS{}})
	if err != nil || len(got.Set.Layers()) != 0 || Exists(fstest.MapFS{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEveryMistakeIsToldWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"syntax":               {"\nversion = \n", "o/a.toml:2: invalid TOML: toml: unexpected character U+000A at start of value"},
		"unknown key":          {"wheel = true\nbuild_requires = []\n", `o/a.toml:2: unknown key build_requires; did you mean "build-requires"?`},
		"far from all keys":    {"colour = 'red'\n", "o/a.toml:1: unknown key colour; known are allow-pure, bconds, build-requires, checks"},
		"nested key":           {"[checks]\nmodule = []", `o/a.toml:2: unknown key checks.module; did you mean "modules"?`},
		"patch key":            {"[[patches]]\nfile = 'p.patch'\nstripp = 1", `o/a.toml:3: unknown key patches.stripp; did you mean "strip"?`},
		"target key":           {"[target.el8]\n\nwhel = true", `o/a.toml:3: unknown key whel; did you mean "wheel"?`},
		"version":              {"version = '1.2'", `o/a.toml:1: version: "1.2" is a version: write "==1.2"`},
		"specifier":            {"version = '>='", "o/a.toml:1: version: "},
		"type":                 {"version = 1", `o/a.toml:1: version: must be a string: write "1"`},
		"list":                 {"requires = 'a'", "o/a.toml:1: requires: must be a list of strings"},
		"devel":                {"build-requires = ['cython',\n'libxml2-devel']", `o/a.toml:2: build-requires: "libxml2-devel" looks like an RPM: write "rpm:libxml2-devel", or "py:libxml2-devel" if a Python project is meant`},
		"drop with version":    {"drop-requires = ['a<2']", `o/a.toml:1: drop-requires: "a<2": what is dropped is named alone, without version or extras`},
		"env name":             {"[env]\n'A B' = 'x'", `o/a.toml:2: env: "A B" cannot be a name here`},
		"env newline":          {"[env]\nA = \"x\\n%prep\"", `o/a.toml:2: env.A: "x\n%prep" holds a line break or another character that is not printable`},
		"env number":           {"[env]\nA = 1", `o/a.toml:2: env.A: must be a string: write "1"`},
		"env of rpm":           {"[env]\nRPM_BUILD_ROOT = '/'", "o/a.toml:2: env.RPM_BUILD_ROOT: is rpm's own"},
		"bidi":                 {"[env]\nA = \"x\u202ey\"", "o/a.toml:2: env.A: "},
		"bcond":                {"[bconds]\nx = 'yes'", "o/a.toml:2: bconds.x: must be true or false"},
		"setting":              {"[config-settings]\n'a=b' = 'c'", `o/a.toml:2: config-settings: "a=b" cannot be a name here`},
		"section":              {"[checks]\ncommands = ['true', ' %files']", `o/a.toml:2: checks.commands: " %files" begins with %, as rpm's own lines do`},
		"continued":            {"[checks]\ncommands = ['true \\']", `ends with \, which would take the next line in`},
		"module":               {"[checks]\nmodules = ['os; import x']", `o/a.toml:2: checks.modules: "os; import x" is no name of a module`},
		"memory":               {"memory = 'much'", `o/a.toml:1: memory: "much" is no size such as "4GiB" or "512MiB"`},
		"patch missing":        {"[[patches]]\nfile = 'q.patch'", "o/a.toml:2: patches.file: there is no file o/q.patch"},
		"patch outside":        {"[[patches]]\nfile = '../../etc/passwd'", `o/a.toml:2: patches.file: "../../etc/passwd" leads out of the folder of reqpm.toml`},
		"patch absolute":       {"patches = ['/etc/passwd']", "leads out of"},
		"patch name":           {"[[patches]]\nfile = '%{x}.patch'", `o/a.toml:2: patches.file: "%{x}.patch": a file that goes into a source package is called`},
		"patch twice":          {"patches = ['p.patch', 'p.patch']", "two patches are called p.patch"},
		"patch range":          {"[[patches]]\nfile = 'p.patch'\nversions = '5'", `o/a.toml:3: patches.versions: "5" is a version: write "==5"`},
		"patch without file":   {"[[patches]]\nstrip = 1", "o/a.toml:1: patches: a patch needs a file"},
		"patch strip":          {"[[patches]]\nfile = 'p.patch'\nstrip = -1", "o/a.toml:3: patches.strip: must be a number of folders"},
		"spec":                 {"spec = 'p.patch'", "o/a.toml:1: spec: p.patch is not called NAME.spec"},
		"target name":          {"[target.'EL 8']\nwheel = true", `"EL 8" is no name of a target`},
		"target is no table":   {"target = 'el8'", "o/a.toml:1: target: must be tables: [target.NAME]"},
		"a table that is none": {"checks = true", "o/a.toml:1: checks: must be a table: [checks]"},
	} {
		fsys := tree("overrides/a.toml", c.text, "overrides/p.patch", aPatch)
		got, err := Read(Source{FS: fsys})
		if err == nil || len(got.Problems) != 1 || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, "o/", "overrides/")) {
			t.Errorf("%s: %v\nwant %s", name, got.Problems, c.want)
		}
	}
}

func TestMistakesInReqpmToml(t *testing.T) {
	for name, c := range map[string]struct {
		user bool
		text string
		want []string
	}{
		"unknown table":      {false, "[packages.a]\nwheel = true", []string{`reqpm.toml:1: unknown key packages; did you mean "package"?`}},
		"two spellings":      {false, "[package.a_b]\nwheel = true\n[package.a-b]\nwheel = true", []string{`reqpm.toml:3: package: "a_b" and "a-b" are the same package`}},
		"no name":            {false, "[package.'a b']\nwheel = true", []string{`reqpm.toml:1: package: "a b" is no name of a package`}},
		"all packages":       {false, "[package.'*']\nversion = '<2'", []string{`reqpm.toml:2: version: cannot be said of all packages`}},
		"several":            {false, "[package.a]\nx = 1\n[target.el8]\ny = 2\n[target.el8.package.b]\nwheel = 3", []string{"reqpm.toml:2: unknown key x", "reqpm.toml:4: unknown key target.el8.y", "reqpm.toml:6: wheel: must be true or false"}},
		"index of a project": {false, "[index]\nurl = 'x'", []string{"reqpm.toml:1: warning: [index] is not read from a project"}},
		"index of the user":  {true, "[index]\nurl = 'x'", nil},
	} {
		got, _ := Read(Source{FS: tree("reqpm.toml", c.text), User: c.user})
		var said []string
		for _, p := range got.Problems {
			said = append(said, p.String())
		}
		ok := len(said) == len(c.want)
		for i := range c.want {
			ok = ok && strings.Contains(said[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %q, want %q", name, said, c.want)
		}
	}
}

func TestTwoFilesOfOnePackage(t *testing.T) {
	_, err := Read(Source{FS: tree("overrides/a-b.toml", "wheel = true", "overrides/A_b.toml", "wheel = true", "overrides/a b.toml", "")})
	if err == nil || !strings.Contains(err.Error(), "overrides/a-b.toml: overrides/A_b.toml is about a-b, too") || !strings.Contains(err.Error(), `"a b" is no name of a package`) {
		t.Error(err)
	}
}

func TestSpecOfYourOwnAndWhatItTakesNoNoticeOf(t *testing.T) {
	got, err := Read(Source{FS: tree("overrides/a.toml", "spec = 'a.spec'\n[env]\nA = 'b'\n", "overrides/a.spec", "Name: a\n")})
	if err != nil || len(got.Problems) != 1 || got.Problems[0].Severity != Warning || got.Problems[0].Line != 2 {
		t.Errorf("%v, %v", got.Problems, err)
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	fsys := tree(wholeProject...)
	whole, err := Read(Source{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	var layers []Layer
	for _, l := range whole.Set.Layers() {
		if l.Package == "lxml" && l.Place == ProjectFile {
			layers = append(layers, l)
		}
	}
	text := Write("Learned from a build log.\nKeep it.", layers...)
	if !strings.HasPrefix(string(text), "# Learned from a build log.\n# Keep it.\n") {
		t.Errorf("no comment at the top of\n%s", text)
	}
	fsys["overrides/lxml.toml"] = &fstest.MapFile{Data: text, Mode: fs.ModePerm}
	again, err := Read(Source{FS: fsys})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	v, _ := pep440.Parse("5.2")
	for _, target := range []string{"el8", "el9"} {
		said := func(r Result) string {
			var b strings.Builder
			e := r.Set.For("lxml", v, target)
			for _, entry := range e.Entries() {
				fmt.Fprintln(&b, entry.Key, entry.Text)
			}
			return b.String()
		}
		if d := cmp.Diff(said(whole), said(again)); d != "" {
			t.Errorf("%s: %s\n%s", target, d, text)
		}
	}
	if second := Write("Learned from a build log.\nKeep it.", layers...); string(second) != string(text) {
		t.Error("written twice, two texts")
	}
}

func FuzzRead(f *testing.F) {
	for i := 0; i+1 < len(wholeProject); i += 2 {
		f.Add(wholeProject[i+1])
	}
	f.Add("patches = [1]\n[target]\nel8 = 1\n[[env]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Read(Source{FS: tree("reqpm.toml", text, "overrides/lxml.toml", text)})
		if (err != nil) != (got.Problems.Errors() > 0) {
			t.Fatalf("%v, but %v", err, got.Problems)
		}
		e := got.Set.For("lxml", pep440.Version{}, "el8")
		for _, entry := range e.Entries() {
			if strings.ContainsAny(entry.Text, "\n\r\x00") {
				t.Fatalf("%s holds a line break: %q", entry.Key, entry.Text)
			}
		}
	})
}
