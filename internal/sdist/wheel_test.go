package sdist

import (
	"archive/tar"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadWheel(t *testing.T) {
	info, err := ReadWheel(makeWheel(t, "foo-1.0-py3-none-any.whl", true, everything))
	if err != nil {
		t.Fatal(err)
	}
	if info.Metadata.Name != "foo" || info.Metadata.Version.String() != "1.0" || !info.Pure || info.Native || info.DistInfo != "foo-1.0.dist-info" {
		t.Errorf("%+v", info)
	}
	for what, lists := range map[string][2][]string{
		"tags":      {info.Tags, {"py3-none-any"}},
		"top level": {info.TopLevel, {"docs", "foo", "late", "ns", "py2", "single", "tests"}},
		"imports":   {info.Imports, {"docs.conf", "foo", "late", "ns.part", "py2", "single", "tests"}},
		"scripts":   {info.Scripts, {"Foo-2", "env", "foo", "run it", "sh"}},
	} {
		if diff := cmp.Diff(lists[1], lists[0]); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	native, err := ReadWheel(makeWheel(t, "foo-1.0-cp311-cp311-linux_x86_64.whl", false, []entry{{name: "foo/_c.cpython-311-x86_64-linux-gnu.so", body: elf}}))
	if err != nil || !native.Native || native.Pure {
		t.Errorf("%+v, %v", native, err)
	}
}

func TestReadWheelNamesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		entries []entry
		want    string
	}{
		"no metadata":    {[]entry{{name: "foo/x.py"}}, "METADATA"},
		"two dist-infos": {[]entry{{name: "a-1.dist-info/WHEEL"}, {name: "b-1.dist-info/METADATA"}}, "two .dist-info"},
		"bad metadata":   {[]entry{{name: "a-1.dist-info/WHEEL"}, {name: "a-1.dist-info/METADATA", body: "\n"}}, "METADATA"},
		"link":           {[]entry{{name: "foo", typ: tar.TypeSymlink, link: "bar/x"}}, "link"},
	} {
		_, err := ReadWheel(writeArchive(t, "foo-1.0-py3-none-any.whl", zipBytes(t, c.entries)))
		if _, ok := errors.AsType[*ArchiveError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnpackWheelMakesAUsableDirectory(t *testing.T) {
	d := anyPython(t)
	site := t.TempDir()
	wheel := makeWheel(t, "foo-1.0-py3-none-any.whl", true, []entry{
		{name: "foo/__init__.py", body: "def go():\n    print('it works')\n"},
		{name: "foo-1.0.data/platlib/plat.py", body: "import foo; foo.go()\n"},
		{name: "foo-1.0.data/scripts/script", body: "#!python\nimport plat\n"},
		{name: "foo-1.0.data/data/bin/tool", body: "#!/bin/sh\n", mode: 0o755},
		{name: "foo-1.0.dist-info/entry_points.txt", body: "[console_scripts]\nfoo-go = foo:go\nbroken\n../evil = foo:go\n"},
	})
	for range 2 { // again over itself: several wheels share a directory
		if err := UnpackWheel(t.Context(), wheel, site, d.python); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"foo-go", "script"} {
		cmd := exec.Command(filepath.Join(site, "bin", command))
		cmd.Env = append(os.Environ(), "PYTHONPATH="+site)
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "it works\n" {
			t.Errorf("%s: %q, %v", command, out, err)
		}
	}
	if info, err := os.Stat(filepath.Join(site, "bin/tool")); err != nil || info.Mode() != 0o755 {
		t.Errorf("bin/tool: %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(site, "foo-1.0.dist-info/METADATA")); err != nil {
		t.Error(err)
	}
}

func TestUnpackWheelRefuses(t *testing.T) {
	for want, e := range map[string]entry{
		"leaves the tree":  {name: "../evil"},
		"absolute":         {name: "/evil"},
		"link":             {name: "foo/l", typ: tar.TypeSymlink, link: "x"},
		"unknown place":    {name: "foo-1.0.data/home/x"},
		"has no .dist-inf": {name: "foo/x.py"},
	} {
		outer := t.TempDir()
		err := UnpackWheel(t.Context(), writeArchive(t, "foo-1.0-py3-none-any.whl", zipBytes(t, []entry{e})), filepath.Join(outer, "site"), "")
		if _, ok := errors.AsType[*ArchiveError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
		if _, err := os.Lstat(filepath.Join(outer, "evil")); err == nil {
			t.Errorf("%q: wrote outside", want)
		}
	}
}
