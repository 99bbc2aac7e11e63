package index

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFilename(t *testing.T) {
	wheel := func(py, abi, plat []string) WheelTags { return WheelTags{py, abi, plat} }
	one := func(s string) []string { return []string{s} }
	for _, c := range []struct {
		file, project string
		version       string // "" means it is no file of the project
		kind          Kind
		build         string
		tags          WheelTags
	}{
		{file: "foo-1.0.tar.gz", project: "foo", version: "1.0", kind: SDist},
		{file: "foo-1.0.zip", project: "foo", version: "1.0", kind: SDist},
		{file: "foo-1.0.tar.bz2", project: "foo", version: "1.0", kind: SDist},
		{file: "foo-1.0.tgz", project: "foo", version: "1.0", kind: SDist},
		{file: "foo-1.0.tar.xz", project: "foo", version: "1.0", kind: SDist},
		{file: "foo_bar-1.0.tar.gz", project: "foo-bar", version: "1.0", kind: SDist},
		{file: "foo-bar-1.0.tar.gz", project: "Foo.Bar", version: "1.0", kind: SDist},
		{file: "zope.interface-5.4.0.tar.gz", project: "zope-interface", version: "5.4.0", kind: SDist},
		{file: "Zope.Interface-5.4.0.tar.gz", project: "zope.interface", version: "5.4.0", kind: SDist},
		{file: "foo-1.0-rc.1.tar.gz", project: "foo", version: "1.0rc1", kind: SDist},
		{file: "foo-1.0-1.tar.gz", project: "foo", version: "1.0.post1", kind: SDist},
		{file: "foo-1.0+local.1.tar.gz", project: "foo", version: "1.0+local.1", kind: SDist},
		{file: "backports.ssl_match_hostname-3.5.0.1.tar.gz", project: "backports-ssl-match-hostname", version: "3.5.0.1", kind: SDist},
		{file: "foo-1!2.0.tar.gz", project: "foo", version: "1!2.0", kind: SDist},
		// Another project's, or not a version.
		{file: "foo-bar-1.0.tar.gz", project: "foo"},
		{file: "foobar-1.0.tar.gz", project: "foo"},
		{file: "foo-1.0.tar.gz", project: "foo-1-0"},
		{file: "foo-latest.tar.gz", project: "foo"},
		{file: "foo-1.0.linux-x86_64.tar.gz", project: "foo"},
		{file: "foo-1.0.tar", project: "foo"},
		{file: "foo-1.0-py2.7.egg", project: "foo"},
		{file: "foo-1.0.win32.exe", project: "foo"},
		{file: "foo-.tar.gz", project: "foo"},
		{file: "-1.0.tar.gz", project: ""},
		{file: "../foo-1.0.tar.gz", project: "foo"},
		{file: "foo-1.0\n.tar.gz", project: "foo"},
		{file: "", project: "foo"},

		{file: "foo-1.0-py3-none-any.whl", project: "foo", version: "1.0", kind: Wheel, tags: wheel(one("py3"), one("none"), one("any"))},
		{file: "foo-1.0-py2.py3-none-any.whl", project: "foo", version: "1.0", kind: Wheel, tags: wheel([]string{"py2", "py3"}, one("none"), one("any"))},
		{
			file: "foo_bar-1.0-2a-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", project: "foo-bar", version: "1.0", kind: Wheel, build: "2a",
			tags: wheel(one("cp311"), one("abi3"), []string{"manylinux_2_17_x86_64", "manylinux2014_x86_64"}),
		},
		{file: "foo-1.0+cu118-cp311-cp311-linux_x86_64.whl", project: "foo", version: "1.0+cu118", kind: Wheel, tags: wheel(one("cp311"), one("cp311"), one("linux_x86_64"))},
		{file: "Foo-1.0-py3-none-any.whl", project: "foo", version: "1.0", kind: Wheel, tags: wheel(one("py3"), one("none"), one("any"))},
		{file: "foo-1.0-build-py3-none-any.whl", project: "foo"},
		{file: "foo-1.0--py3-none-any.whl", project: "foo"},
		{file: "foo-1.0-py3-none.whl", project: "foo"},
		{file: "foo-1.0-py3..py2-none-any.whl", project: "foo"},
		{file: "foo-abc-py3-none-any.whl", project: "foo"},
		{file: "bar-1.0-py3-none-any.whl", project: "foo"},
		{file: "foo__bar-1.0-py3-none-any.whl", project: "foo-bar"},
	} {
		d, ok := ParseFilename(c.file, c.project)
		if ok != (c.version != "") {
			t.Errorf("%q of %q: recognised is %v", c.file, c.project, ok)
			continue
		}
		if !ok {
			continue
		}
		if d.Version.String() != c.version || d.Kind != c.kind || d.Build != c.build {
			t.Errorf("%q: got %s %s build %q, want %s %s build %q", c.file, d.Version, d.Kind, d.Build, c.version, c.kind, c.build)
		}
		if diff := cmp.Diff(c.tags, d.Wheel); diff != "" {
			t.Errorf("%q: tags (-want +got)\n%s", c.file, diff)
		}
	}
}

func FuzzFilename(f *testing.F) {
	f.Add("foo-bar-1.0.tar.gz", "foo-bar")
	f.Add("foo-1.0-1-py2.py3-none-any.whl", "foo")
	f.Add("foo-1.0-1.zip", "FOO")
	f.Fuzz(func(t *testing.T, file, project string) {
		d, ok := ParseFilename(file, project)
		if !ok {
			return
		}
		if d.Version.IsZero() || !safeFilename(file) || !isDistribution(file) {
			t.Fatalf("%q: accepted with version %q", file, d.Version)
		}
		if (d.Kind == Wheel) != (len(d.Wheel.Python)*len(d.Wheel.ABI)*len(d.Wheel.Platform) > 0) {
			t.Fatalf("%q: kind %s with tags %v", file, d.Kind, d.Wheel)
		}
	})
}
