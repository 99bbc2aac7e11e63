// Package eldistro proves that the test distribution does what EL does for the builder:
// dnf makes a base root of it, rpmbuild builds there as a plain user without a network,
// asks for more BuildRequires while it builds, and what comes out installs elsewhere.
package eldistro

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/chroot"
	"reqpm/internal/repo"
	"reqpm/internal/target"
)

func TestMain(m *testing.M) {
	chroot.Init()
	os.Exit(m.Run())
}

// distro is the directory make.sh filled.
func distro(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("REQPM_ELDISTRO")
	if dir == "" {
		t.Skip("REQPM_ELDISTRO does not name a directory made by test/eldistro/make.sh")
	}
	return dir
}

func openBase(t *testing.T) (builder.Base, string) {
	t.Helper()
	dir := distro(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root: build roots are mounted")
	}
	targets, err := target.Load(filepath.Join(dir, "target.toml"))
	if err != nil {
		t.Fatal(err)
	}
	tgt, err := target.Lookup("eldistro", targets...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := chroot.New(chroot.Config{StateDir: t.TempDir(), Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	base, err := b.Open(t.Context(), tgt, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := base.Close(); err != nil {
			t.Error(err)
		}
	})
	return base, dir
}

func TestRepositoryIsClosed(t *testing.T) {
	dir := distro(t)
	if _, err := exec.LookPath("dnf"); err != nil {
		t.Skip("dnf is not installed")
	}
	conf := filepath.Join(t.TempDir(), "dnf.conf")
	text := "[main]\nreposdir=/nonexistent\ncachedir=" + t.TempDir() + "\n[eldistro]\nname=x\nbaseurl=file://" + dir + "\ngpgcheck=0\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("dnf", "--config", conf, "--releasever=9", "--forcearch=x86_64", "repoclosure").CombinedOutput()
	if err != nil || strings.Contains(string(out), "unresolved") {
		t.Errorf("%v\n%s", err, out)
	}
}

// archive makes a .tar.gz with one top directory.
func archive(t *testing.T, path, top string, files map[string]string) {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zip)
	for name, text := range files {
		if err := tw.WriteHeader(&tar.Header{Name: top + "/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func build(t *testing.T, base builder.Base, name, spec string, files map[string]string) builder.Result {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, name+"-1.0.tar.gz")
	archive(t, source, name+"-1.0", files)
	path := filepath.Join(dir, name+".spec")
	if err := os.WriteFile(path, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := base.Build(t.Context(), builder.Job{Name: name, Spec: path, Sources: []string{source}, ResultDir: filepath.Join(dir, "result")})
	if err != nil {
		for _, log := range res.Logs {
			text, _ := os.ReadFile(log)
			t.Logf("%s:\n%s", log, text)
		}
		t.Fatal(err)
	}
	return res
}

// query asks an RPM file, on the host.
func query(t *testing.T, file string, args ...string) []string {
	t.Helper()
	out, err := exec.Command("rpm", append(append([]string{"-qp"}, args...), file)...).Output()
	if err != nil {
		t.Fatalf("rpm -qp %v %s: %v", args, file, err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

func find(t *testing.T, res builder.Result, prefix string) string {
	t.Helper()
	for _, path := range res.RPMs {
		if strings.HasPrefix(filepath.Base(path), prefix) {
			return path
		}
	}
	t.Fatalf("no %s* among %v", prefix, res.RPMs)
	return ""
}

func wantAll(t *testing.T, what string, have []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(have, w) {
			t.Errorf("%s lacks %q: %q", what, w, have)
		}
	}
}

const cSpec = `Name: hello-c
Version: 1.0
Release: 1%{?dist}
Summary: Hello
License: MIT
Source0: hello-c-1.0.tar.gz
BuildRequires: gcc make
%description
Hello.
%prep
%autosetup
%build
%set_build_flags
%make_build
test "$(id -u)" != 0
%install
install -D hello %{buildroot}%{_bindir}/hello-c
%files
%{_bindir}/hello-c
`

// pureSpec is the body ReqPM writes for EL9 and EL10.
const pureSpec = `Name: python3-eld-pure
Version: 1.0
Release: 1%{?dist}
Summary: Pure
License: MIT
Source0: eld_pure-1.0.tar.gz
BuildArch: noarch
BuildRequires: python%{python3_pkgversion}-devel
BuildRequires: pyproject-rpm-macros
%description
Pure.
%prep
%autosetup -p1 -n eld_pure-1.0
%generate_buildrequires
%pyproject_buildrequires -R
%build
%pyproject_wheel
%install
%pyproject_install
%pyproject_save_files '*' +auto
%check
%pyproject_check_import -t
%files -f %{pyproject_files}
`

var pureFiles = map[string]string{
	"pyproject.toml":           "[build-system]\nrequires = ['setuptools>=61,<100', 'wheel!=0.1']\nbuild-backend = 'setuptools.build_meta'\n[project]\nname = 'eld.pure'\nversion = '1.0.0'\ndependencies = ['packaging>=20.0', 'tomli; python_version<\"3.9\"']\n[project.scripts]\neld-pure = 'eld_pure:main'\n[tool.setuptools]\npackages = ['eld_pure']\n",
	"LICENSE":                  "MIT\n",
	"eld_pure/__init__.py":     "def main():\n    import packaging\n    print('pure', packaging.__name__)\n",
	"eld_pure/data [odd] é.py": "",
}

const extSpec = `Name: python3-eld-ext
Version: 1.0
Release: 1%{?dist}
Summary: Extension
License: MIT
Source0: eld_ext-1.0.tar.gz
BuildRequires: python%{python3_pkgversion}-devel gcc
BuildRequires: pyproject-rpm-macros
%description
Extension.
%prep
%autosetup -p1 -n eld_ext-1.0
%generate_buildrequires
%pyproject_buildrequires
%build
%pyproject_wheel
%install
%pyproject_install
%pyproject_save_files eld_ext
%check
%pyproject_check_import
%files -f %{pyproject_files}
`

var extFiles = map[string]string{
	"setup.py":  "from setuptools import setup, Extension\nsetup(name='eld-ext', version='1.0', ext_modules=[Extension('eld_ext', ['eld_ext.c'])])\n",
	"eld_ext.c": "#include <Python.h>\nstatic struct PyModuleDef m = {PyModuleDef_HEAD_INIT, \"eld_ext\"};\nPyMODINIT_FUNC PyInit_eld_ext(void) { return PyModule_Create(&m); }\n",
}

func TestDistribution(t *testing.T) {
	base, _ := openBase(t)
	c := build(t, base, "hello-c", cSpec, map[string]string{"Makefile": "hello: hello.c\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<\n", "hello.c": "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n"})
	hello := find(t, c, "hello-c-1.0-1.eld.x86_64.rpm")
	wantAll(t, "requires of hello-c", query(t, hello, "--requires"), "libc.so.6(GLIBC_2.2.5)(64bit)", "rtld(GNU_HASH)")
	find(t, c, "hello-c-debuginfo-")

	pure := build(t, base, "eld_pure", pureSpec, pureFiles)
	rpm := find(t, pure, "python3-eld-pure-1.0-1.eld.noarch.rpm")
	wantAll(t, "provides", query(t, rpm, "--provides"), "python3dist(eld-pure) = 1", "python3.11dist(eld-pure) = 1")
	wantAll(t, "requires", query(t, rpm, "--requires"), "python(abi) = 3.11", "python3.11dist(packaging) >= 20", "/usr/bin/python3")
	site := "/usr/lib/python3.11/site-packages/"
	wantAll(t, "files", query(t, rpm, "--list"), "/usr/bin/eld-pure", site+"eld_pure/__init__.py", site+"eld_pure/__pycache__/__init__.cpython-311.pyc", site+"eld_pure/__pycache__/__init__.cpython-311.opt-1.pyc",
		site+"eld.pure-1.0.0.dist-info/METADATA", site+"eld.pure-1.0.0.dist-info/LICENSE")
	wantAll(t, "licences", query(t, rpm, "--licensefiles"), site+"eld.pure-1.0.0.dist-info/LICENSE")
	for _, f := range query(t, rpm, "--list") {
		if strings.HasSuffix(f, "/RECORD") || strings.HasSuffix(f, "direct_url.json") {
			t.Errorf("holds %s", f)
		}
	}
	wantAll(t, "requires of the source RPM", query(t, pure.SRPM, "--requires"), "python3dist(pip) >= 19", "(python3dist(setuptools) < 100~~ with python3dist(setuptools) >= 61)")

	ext := build(t, base, "eld_ext", extSpec, extFiles)
	so := find(t, ext, "python3-eld-ext-1.0-1.eld.x86_64.rpm")
	wantAll(t, "files", query(t, so, "--list"), "/usr/lib64/python3.11/site-packages/eld_ext.cpython-311-x86_64-linux-gnu.so")
	install(t, base, []string{hello, rpm, so})
}

// install publishes and installs into a fresh root, the distribution's packages beside ours.
func install(t *testing.T, base builder.Base, rpms []string) {
	key, err := repo.OpenKey(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	snap, err := repo.Publish(t.Context(), repo.PublishRequest{Root: t.TempDir(), RPMs: rpms, Key: key, ID: "reqpm-eld", Name: "ELD"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	res, err := base.Verify(t.Context(), builder.Verification{
		RepoFile: snap.RepoFile, Install: []string{"hello-c", "python3dist(eld-pure)", "python3-eld-ext"}, Log: filepath.Join(t.TempDir(), "verify.log"),
		Script: []string{"/bin/sh", "-c", "hello-c && eld-pure && head -1 /usr/bin/eld-pure && /usr/bin/python3 -c 'import eld_ext; print(eld_ext.__file__)'"}, Stdout: &out,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	want := "hello\npure packaging\n#!/usr/bin/python3 -s\n/usr/lib64/python3.11/site-packages/eld_ext.cpython-311-x86_64-linux-gnu.so\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
	if len(res.Installed) < 3 {
		t.Errorf("installed %v", res.Installed)
	}
}
