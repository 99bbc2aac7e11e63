package chroot

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/conformance"
)

// madeDebs makes the packages of a library as Debian parts them: the library, and its header,
// link and pkg-config file. The latter's postinst has an alternative.
func madeDebs(t *testing.T) (lib, dev string) {
	t.Helper()
	for _, tool := range []string{"dpkg-deb", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs ", tool)
		}
	}
	dir := t.TempDir()
	put := func(path, text string, mode os.FileMode) {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	control := func(name string) string {
		return "Package: " + name + "\nVersion: 1:2.0-3+b1\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\nDescription: test\n"
	}
	put("x.c", "int reqpm_answer(void) { return 42; }\n", 0o644)
	put("lib/DEBIAN/control", control("libreqpmtest1"), 0o644)
	put("dev/DEBIAN/control", control("libreqpmtest-dev"), 0o644)
	put("dev/DEBIAN/postinst", "#!/bin/sh\nset -e\ntouch /etc/ran\nupdate-alternatives --install /usr/include/reqpm-alternative.h \\\n    reqpm-alternative.h /usr/include/reqpmtest.h 10\n", 0o755)
	put("dev/usr/include/reqpmtest.h", "int reqpm_answer(void);\n", 0o644)
	put("dev/usr/lib/x86_64-linux-gnu/pkgconfig/reqpmtest.pc", "Name: reqpmtest\nDescription: x\nVersion: 2.0\nLibs: -lreqpmtest\n", 0o644)
	// As packages from before the merged /usr have it.
	if err := os.MkdirAll(filepath.Join(dir, "lib/lib/x86_64-linux-gnu"), 0o755); err != nil {
		t.Fatal(err)
	}
	conformance.Sh(t, nil, "gcc", "-shared", "-fPIC", "-Wl,-soname,libreqpmtest.so.1", "-o", filepath.Join(dir, "lib/lib/x86_64-linux-gnu/libreqpmtest.so.1"), filepath.Join(dir, "x.c"))
	if err := os.Symlink("/lib/x86_64-linux-gnu/libreqpmtest.so.1", filepath.Join(dir, "dev/usr/lib/x86_64-linux-gnu/libreqpmtest.so")); err != nil {
		t.Fatal(err)
	}
	lib, dev = filepath.Join(dir, "lib.deb"), filepath.Join(dir, "dev.deb")
	conformance.Sh(t, nil, "dpkg-deb", "--build", filepath.Join(dir, "lib"), lib)
	conformance.Sh(t, nil, "dpkg-deb", "--build", filepath.Join(dir, "dev"), dev)
	return lib, dev
}

const linkedSpec = `Name: linked
Version: 1
Release: 1
Summary: Links a library that the machine has not
License: MIT
BuildRequires: pkgconfig(reqpmtest) >= 2
%description
x
%build
printf '#include <reqpm-alternative.h>\nint main(void) { return reqpm_answer() == 42 ? 0 : 1; }\n' > linked.c
gcc -o linked linked.c -lreqpmtest
./linked
test ! -e /etc/ran
%install
install -D linked %{buildroot}/usr/bin/linked
%files
/usr/bin/linked
`

func TestPackagesOfTheDistribution(t *testing.T) {
	base := open(t)
	lib, dev := madeDebs(t)
	spec := filepath.Join(t.TempDir(), "linked.spec")
	if err := os.WriteFile(spec, []byte(linkedSpec), 0o644); err != nil {
		t.Fatal(err)
	}
	job := builder.Job{Name: "linked 1", Spec: spec, ResultDir: filepath.Join(t.TempDir(), "without")}
	if _, err := base.Build(t.Context(), job); asBuildError(t, err).Cause != builder.CauseDeps {
		t.Fatalf("without the packages: %v", err)
	}
	job.Debs, job.ResultDir = []string{lib, dev}, filepath.Join(t.TempDir(), "with")
	res, err := base.Build(t.Context(), job)
	if err != nil {
		text, _ := os.ReadFile(res.Logs["build.log"])
		t.Fatalf("%v\n%s", err, text)
	}
	if !slices.ContainsFunc(res.Manifest, func(s string) bool { return strings.HasPrefix(s, "reqpm-deb-libreqpmtest-dev-1:2.0-3+b1") }) {
		t.Errorf("the build root has %q", res.Manifest)
	}
	if _, err := os.Stat("/usr/include/reqpmtest.h"); err == nil {
		t.Error("the machine got a file of the package")
	}

	standIns, err := base.DebRPMs(t.Context(), []string{lib})
	if err != nil || len(standIns) != 1 {
		t.Fatalf("stand-ins %q, %v", standIns, err)
	}

	// The library's package is not on the machine, nor is it in the root of a proof without Debs.
	repo := conformance.Publish(t, append(res.RPMs, append(standIns, base.HostRPM())...)...)
	v := builder.Verification{RepoFile: repo, Install: []string{"linked"}, Script: []string{"/usr/bin/linked"}, Debs: []string{lib}, Log: filepath.Join(t.TempDir(), "with.log")}
	proof, err := base.Verify(t.Context(), v)
	if err != nil {
		text, _ := os.ReadFile(v.Log)
		t.Fatalf("with the library: %v\n%s", err, text)
	}
	for _, want := range []string{"linked-1-1.", "reqpm-deb-libreqpmtest1-"} {
		if !slices.ContainsFunc(proof.Installed, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("the proof installed %q; want %s…", proof.Installed, want)
		}
	}
	v.Debs, v.Log = nil, filepath.Join(t.TempDir(), "without.log")
	_, err = base.Verify(t.Context(), v)
	text, _ := os.ReadFile(v.Log)
	if err == nil || !strings.Contains(string(text), "apt-get install libreqpmtest1") {
		t.Errorf("without the library: %v; want the command that brings it\n%s", err, text)
	}
	if _, err := os.Stat("/usr/lib/x86_64-linux-gnu/libreqpmtest.so.1"); err == nil {
		t.Error("the machine got the library")
	}
}
