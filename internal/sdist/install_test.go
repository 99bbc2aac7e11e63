package sdist

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const elf = "\x7fELF rest"

// everything is a wheel's content with one of each thing that has a rule of its own.
var everything = []entry{
	{name: "foo/__init__.py", body: "x = 1\n"},
	{name: "foo/data/100% [a] file.txt", body: "x"},
	{name: "single.py", body: "y = 2\n"},
	{name: "py2.py", body: "print 'old'\n"},
	{name: "ns/part/__init__.py", body: ""},
	{name: "tests/__init__.py", body: ""},
	{name: "docs/conf.py", body: ""},
	{name: "foo/tests/__init__.py", body: ""},
	{name: "foo-1.0.data/scripts/run it", body: "#!python\nprint(1)\n"},
	{name: "foo-1.0.data/scripts/env", body: "#!/usr/bin/env python3\n"},
	{name: "foo-1.0.data/scripts/sh", body: "#!/bin/sh\n"},
	{name: "foo-1.0.data/data/share/man/man1/foo.1", body: ".TH"},
	{name: "foo-1.0.data/data/share/foo/sub/100%.txt", body: "x"},
	{name: "foo-1.0.data/data/etc/foo.conf", body: "x"},
	{name: "foo-1.0.data/headers/foo.h", body: "x"},
	{name: "foo-1.0.data/purelib/late.py", body: ""},
	{name: "foo-1.0.dist-info/entry_points.txt", body: "[console_scripts]\nfoo = foo.cli:main.run [x]\nFoo-2=foo:go\n[other]\nx=y\n"},
	{name: "foo-1.0.dist-info/licenses/LICENSE", body: "MIT"},
	{name: "foo-1.0.dist-info/direct_url.json", body: "{}"},
	{name: "foo-1.0.dist-info/REQUESTED"},
}

type installFacts struct {
	Purelib                                   bool
	Elf, Top_level, Imports, Scripts, Dropped []string
}

// install runs the driver's install and returns its facts, list lines and build root.
func (d driverRun) install(wheel string, args ...string) (installFacts, []string, string) {
	d.t.Helper()
	root := filepath.Join(d.t.TempDir(), "root")
	list := filepath.Join(d.t.TempDir(), "files")
	var f installFacts
	d.json(&f, append([]string{"install", wheel, "--root", root, "--python", "/usr/bin/python3.99",
		"--sitelib", "/usr/lib/python3.99/site-packages", "--sitearch", "/usr/lib64/python3.99/site-packages", "--files", list}, args...)...)
	data, err := os.ReadFile(list)
	if err != nil {
		d.t.Fatal(err)
	}
	return f, strings.Split(strings.TrimSpace(string(data)), "\n"), root
}

func TestDriverInstall(t *testing.T) {
	wheel := makeWheel(t, "foo-1.0-py3-none-any.whl", true, everything)
	onEveryPython(t, files{"LICENSE": "unused, the wheel has one"}, func(t *testing.T, d driverRun) {
		d.env = []string{"SOURCE_DATE_EPOCH=1000000000"}
		f, list, root := d.install(wheel, "--license-dir", "/usr/share/licenses/foo", "--noarch")
		site := "/usr/lib/python3.99/site-packages/"
		want := installFacts{Purelib: true, Elf: []string{}, Top_level: []string{"foo", "late", "ns", "py2", "single"},
			Imports: []string{"foo", "late", "ns.part", "py2", "single"}, Scripts: []string{"Foo-2", "env", "foo", "run it", "sh"},
			Dropped: []string{"docs/conf.py", "tests/__init__.py"}}
		if diff := cmp.Diff(want, f); diff != "" {
			t.Error(diff)
		}
		wantList := []string{
			`"/usr/bin/Foo-2"`, `"/usr/bin/env"`, `"/usr/bin/foo"`, `"/usr/bin/run it"`, `"/usr/bin/sh"`, `"/usr/etc/foo.conf"`,
			`"/usr/include/python3.99/foo"`, `"` + site + `__pycache__/late.*.pyc"`, `"` + site + `__pycache__/single.*.pyc"`, `"` + site + `foo"`,
			`%dir "` + site + `foo-1.0.dist-info"`, `"` + site + `foo-1.0.dist-info/INSTALLER"`, `"` + site + `foo-1.0.dist-info/METADATA"`,
			`"` + site + `foo-1.0.dist-info/WHEEL"`, `"` + site + `foo-1.0.dist-info/entry_points.txt"`, `%dir "` + site + `foo-1.0.dist-info/licenses"`,
			`%license "` + site + `foo-1.0.dist-info/licenses/LICENSE"`, `"` + site + `late.py"`, `"` + site + `ns"`, `"` + site + `py2.py"`, `"` + site + `single.py"`,
			`%dir "/usr/share/foo"`, `%dir "/usr/share/foo/sub"`, `"/usr/share/foo/sub/100?.txt"`, `"/usr/share/man/man1/foo.1*"`,
		}
		if diff := cmp.Diff(wantList, list); diff != "" {
			t.Error(diff)
		}
		for file, first := range map[string]string{"run it": "#!/usr/bin/python3.99\n", "env": "#!/usr/bin/python3.99\n", "sh": "#!/bin/sh\n", "foo": "#!/usr/bin/python3.99\n"} {
			data, err := os.ReadFile(filepath.Join(root, "usr/bin", file))
			if err != nil || !strings.HasPrefix(string(data), first) {
				t.Errorf("%s begins with %.30q, %v", file, data, err)
			}
			if info, err := os.Stat(filepath.Join(root, "usr/bin", file)); err != nil || info.Mode() != 0o755 {
				t.Errorf("%s: %v %v", file, info, err)
			}
		}
		data, err := os.ReadFile(filepath.Join(root, "usr/bin/foo"))
		if err != nil || !strings.Contains(string(data), "from foo.cli import main\n") || !strings.Contains(string(data), "sys.exit(main.run())") {
			t.Errorf("entry point: %s, %v", data, err)
		}
		if data, err := os.ReadFile(filepath.Join(root, site, "foo-1.0.dist-info/INSTALLER")); string(data) != "rpm\n" {
			t.Errorf("INSTALLER: %q, %v", data, err)
		}
		info, err := os.Stat(filepath.Join(root, site, "single.py"))
		if err != nil || info.ModTime().Unix() != 1000000000 {
			t.Errorf("SOURCE_DATE_EPOCH is not kept: %v, %v", info.ModTime(), err)
		}
		coverage(t, root, list)
	})
}

// coverage checks that the list holds every file of the build root once, the way
// rpm reads it: a directory stands for what is below, but for %dir.
func coverage(t *testing.T, root string, list []string) {
	t.Helper()
	owned := map[string]int{}
	line := regexp.MustCompile(`^(%dir |%license )?"(.*)"$`)
	for _, l := range list {
		parts := line.FindStringSubmatch(l)
		if parts == nil {
			t.Errorf("not a line of a files list: %q", l)
			continue
		}
		found, err := filepath.Glob(root + parts[2])
		if err != nil || len(found) == 0 {
			t.Errorf("%q matches nothing", l)
		}
		for _, name := range found {
			if parts[1] == "%dir " {
				owned[name]++
				continue
			}
			if err := filepath.Walk(name, func(p string, _ os.FileInfo, err error) error { owned[p]++; return err }); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, times := range owned {
		if times > 1 {
			t.Errorf("listed %d times: %s", times, name)
		}
	}
	err := filepath.Walk(root, func(p string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && owned[p] == 0 {
			t.Errorf("installed, but not listed: %s", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDriverInstallsPlatformWheels(t *testing.T) {
	d := anyPython(t)
	so := []entry{{name: "foo/_c.cpython-399-x86_64-linux-gnu.so", body: elf, mode: 0o755}, {name: "_top.abi3.so", body: elf}}
	wheel := makeWheel(t, "foo-1.0-cp399-cp399-linux_x86_64.whl", false, so)
	f, list, root := d.install(wheel)
	arch := "/usr/lib64/python3.99/site-packages/"
	if diff := cmp.Diff([]string{arch + "_top.abi3.so", arch + "foo/_c.cpython-399-x86_64-linux-gnu.so"}, f.Elf); diff != "" {
		t.Error(diff)
	}
	if f.Purelib || !slices.Equal(f.Top_level, []string{"_top", "foo"}) {
		t.Errorf("%+v", f)
	}
	coverage(t, root, list)
	if info, err := os.Stat(filepath.Join(root, arch, "_top.abi3.so")); err != nil || info.Mode() != 0o755 {
		t.Errorf("rpm would not strip it: %v, %v", info, err)
	}
	if _, stderr := d.run(1, "install", wheel, "--root", t.TempDir(), "--noarch"); !strings.Contains(stderr, "noarch") {
		t.Error(stderr)
	}
	// A platform wheel without compiled files goes where noarch packages may own files.
	_, list, root = d.install(makeWheel(t, "foo-1.0-py3-none-any.whl", false, []entry{{name: "foo/__init__.py"}}), "--noarch")
	if !slices.Contains(list, `"/usr/lib/python3.99/site-packages/foo"`) {
		t.Errorf("%q", list)
	}
	coverage(t, root, list)
}

func TestDriverTakesLicencesOfTheTree(t *testing.T) {
	d := anyPython(t)
	writeTree(t, d.dir, files{"LICENSE": "MIT", "COPYING.lib": "x", "licenses/x": "x"})
	_, list, root := d.install(makeWheel(t, "foo-1.0-py3-none-any.whl", true, nil), "--license-dir", "/usr/share/licenses/python3-foo")
	for _, want := range []string{`%dir "/usr/share/licenses/python3-foo"`, `%license "/usr/share/licenses/python3-foo/LICENSE"`, `%license "/usr/share/licenses/python3-foo/COPYING.lib"`} {
		if !slices.Contains(list, want) {
			t.Errorf("%s is not in %q", want, list)
		}
	}
	coverage(t, root, list)
}

func TestDriverKeepsTheProjectsOwnTests(t *testing.T) {
	d := anyPython(t)
	for name, members := range map[string][]entry{
		"tests-1.0-py3-none-any.whl": {{name: "tests/__init__.py"}, {name: "other.py"}},
		"foo-1.0-py3-none-any.whl":   {{name: "examples/__init__.py"}},
	} {
		if f, _, _ := d.install(makeWheel(t, name, true, members)); len(f.Dropped) > 0 {
			t.Errorf("%s: dropped %q", name, f.Dropped)
		}
	}
}

func TestDriverRefusesHostileWheels(t *testing.T) {
	d := anyPython(t)
	for _, member := range []entry{
		{name: "../evil"}, {name: "/evil"}, {name: "foo/../../evil"}, {name: "foo-1.0.data/scripts/../../../evil"},
		{name: "foo-1.0.data/elsewhere/x"}, {name: "a\nb"},
		{name: "foo-1.0.dist-info/entry_points.txt", body: "[console_scripts]\n../../evil = foo:bar\n"},
		{name: "foo-1.0.dist-info/entry_points.txt", body: "[console_scripts]\nevil = os:system('x')\n"},
	} {
		root := filepath.Join(t.TempDir(), "a", "root")
		d.run(1, "install", makeWheel(t, "foo-1.0-py3-none-any.whl", true, []entry{member}), "--root", root)
		if found, _ := filepath.Glob(filepath.Dir(filepath.Dir(root)) + "/*evil*"); len(found) > 0 {
			t.Errorf("%q: wrote %q", member.name, found)
		}
	}
}

// rpm itself reads the list: every file once, licences marked, and the dist-info
// directory there for the generator of python3dist() provides.
func TestRPMAcceptsTheList(t *testing.T) {
	rpmbuild, err := exec.LookPath("rpmbuild")
	if err != nil {
		t.Skip("no rpmbuild here")
	}
	d := anyPython(t)
	top := t.TempDir()
	minor, err := exec.Command(d.python, "-c", "import sys; print('%d.%d' % sys.version_info[:2], end='')").Output()
	if err != nil {
		t.Fatal(err)
	}
	wheel := makeWheel(t, "foo-1.0-py3-none-any.whl", true, everything)
	spec := filepath.Join(top, "foo.spec")
	text := `Name: python3-foo
Version: 1.0
Release: 1
Summary: x
License: MIT
BuildArch: noarch
%description
x
%prep
%build
%install
"` + d.python + `" -s "` + d.script + `" install "` + wheel + `" --root %{buildroot} --python /usr/bin/python3 --sitelib /usr/lib/python` + string(minor) + `/site-packages --files files.list --noarch
%files -f files.list
`
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New("rpmbuild has not ended in five minutes"))
	defer cancel()
	cmd := exec.CommandContext(ctx, rpmbuild, "-bb", "--define", "_topdir "+top, "--define", "_dbpath "+filepath.Join(top, "db"), spec)
	cmd.Dir = top
	// What it started ends with it, and does not hold our pipe open.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v, %v\n%s", err, context.Cause(ctx), out)
	}
	for _, complaint := range []string{"listed twice", "File not found", "(but unpackaged)"} {
		if strings.Contains(string(out), complaint) {
			t.Errorf("rpmbuild says %q:\n%s", complaint, out)
		}
	}
	built, err := filepath.Glob(filepath.Join(top, "RPMS/noarch/*.rpm"))
	if err != nil || len(built) != 1 {
		t.Fatalf("%v %v\n%s", built, err, out)
	}
	query := func(args ...string) string {
		out, err := exec.Command("rpm", append([]string{"--define", "_dbpath " + filepath.Join(top, "db"), "-qp"}, append(args, built[0])...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("rpm %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	listed, site := query("-l"), "/usr/lib/python"+string(minor)+"/site-packages/"
	for _, want := range []string{site + "foo-1.0.dist-info\n", site + "foo/data/100% [a] file.txt\n", "/usr/share/foo/sub/100%.txt\n", "/usr/share/man/man1/foo.1", "/usr/bin/run it\n", "/__pycache__/single."} {
		if !strings.Contains(listed, want) {
			t.Errorf("%q is not in the package:\n%s", want, listed)
		}
	}
	if licences := query("-L"); licences != site+"foo-1.0.dist-info/licenses/LICENSE\n" {
		t.Errorf("licences: %q", licences)
	}
	if _, err := os.Stat("/usr/lib/rpm/fileattrs/pythondist.attr"); err != nil {
		t.Skip("rpm here has no python dist generator")
	}
	if provides := query("--provides"); !strings.Contains(provides, "python"+string(minor)+"dist(foo) = 1") {
		t.Errorf("provides:\n%s", provides)
	}
}
