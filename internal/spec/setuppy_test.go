package spec

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/metadata"
	"reqpm/internal/sdist"
	"reqpm/internal/target"
)

// What setup.py builds on EL7 is built here with this machine's Python, where it still has
// distutils.
func TestBuildSetupPy(t *testing.T) {
	rpmbuild, err := exec.LookPath("rpmbuild")
	if err != nil {
		t.Skip("rpmbuild is not installed")
	}
	tt, err := target.Local(t.Context())
	if err != nil || tt.Kind != target.Host {
		t.Skip("this host is not built on as it is: ", err)
	}
	if exec.Command(tt.Python.Executable, "-c", "import distutils.core").Run() != nil {
		t.Skip("this machine's Python has no distutils")
	}
	tt.RPM.GeneratesRequires, tt.RPM.Style = false, target.StyleSetupPy
	out, err := Write(Input{
		Target:     tt,
		Facts:      sdist.Facts{Archive: "old-1.0.tar.gz", TopDir: "old-1.0", HasSetupPy: true, LicenseFiles: []string{"LICENSE", "a b"}},
		License:    "MIT",
		Metadata:   metadata.Metadata{Name: "old", Version: pyVersion(t, "1.0"), Summary: "old"},
		Env:        []string{"SETUPTOOLS_USE_DISTUTILS=stdlib"},
		UploadTime: uploaded,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "a b") || !slices.Equal(out.Sources, []string{"old-1.0.tar.gz"}) {
		t.Errorf("warnings %q, sources %q", out.Warnings, out.Sources)
	}
	top := t.TempDir()
	if err := os.MkdirAll(filepath.Join(top, "SOURCES"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeTar(t, filepath.Join(top, "SOURCES", "old-1.0.tar.gz"), "old-1.0/", map[string]string{
		"setup.cfg": "[install]\ninstall_layout = unix\n", // Debian's own would be /usr/local
		"setup.py": "from distutils.core import setup\nsetup(name='old', version='1.0', packages=['old', 'old.sub', 'tests'], py_modules=['single'],\n" +
			"    scripts=['old-tool'], data_files=[('share/man/man1', ['old.1']), ('share/old file', ['data.txt'])])\n",
		"old/__init__.py": "x = 1\n", "old/sub/__init__.py": "", "tests/__init__.py": "", "single.py": "y = 1\n",
		"old-tool": "#!/usr/bin/python3\nprint(1)\n", "old.1": ".TH OLD 1\n", "data.txt": "data\n", "LICENSE": mitText,
	})
	file := filepath.Join(top, out.FileName)
	if err := os.WriteFile(file, []byte(out.Text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), rpmbuild, "-bb", "--nodeps", "--define", "_topdir "+top, "--define", "_tmppath "+top, file)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + top, "LC_ALL=C.UTF-8"}
	log, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("rpmbuild: %v\n%s\n%s", err, log, out.Text)
	}
	text, err := exec.Command("rpm", "-qpl", filepath.Join(top, "RPMS", "noarch", out.Name+"-1.0-1.noarch.rpm")).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, want := range []string{
		"/usr/bin/old-tool", "LIB/old", "LIB/old/__init__.py", "LIB/old/sub", "LIB/old/__pycache__", "LIB/single.py", "/usr/share/old file/data.txt",
	} {
		if want = strings.Replace(want, "LIB", tt.Python.Sitelib, 1); !slices.Contains(files, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	for _, part := range []string{"/share/man/man1/old.1", "/old-1.0", "/__pycache__/single", "/LICENSE"} { // compressed or not, an egg-info
		if !slices.ContainsFunc(files, func(f string) bool { return strings.Contains(f, part) }) {
			t.Errorf("nothing like %s in\n%s", part, text)
		}
	}
	for _, f := range files {
		if f == tt.Python.Sitelib || f == tt.Python.Sitelib+"/__pycache__" || f == "/usr/bin" || strings.Contains(f, "/tests") {
			t.Errorf("%s is not this package's", f)
		}
	}
}

func TestSetupPyOnlyWhereItSaysMore(t *testing.T) {
	base := samples(t)["native"]
	base.Target = shipped(t, "el7")
	for name, tt := range map[string]struct {
		facts sdist.Facts
		wheel bool
		want  bool
	}{
		"setup.py only":         {sdist.Facts{HasSetupPy: true, Backend: "setuptools.build_meta:__legacy__"}, false, true},
		"setuptools stated":     {sdist.Facts{HasSetupPy: true, HasBuildSystem: true, Backend: "setuptools.build_meta"}, false, true},
		"[project]":             {sdist.Facts{HasSetupPy: true, ProjectTable: true, Backend: "setuptools.build_meta"}, false, false},
		"flit with a setup.py":  {sdist.Facts{HasSetupPy: true, Backend: "flit_core.buildapi"}, false, false},
		"no setup.py":           {sdist.Facts{Backend: "setuptools.build_meta"}, false, false},
		"a wheel needs nothing": {sdist.Facts{HasSetupPy: true}, true, false},
	} {
		in := base
		tt.facts.Archive, tt.facts.TopDir, in.Wheel = "cext-3.0.2.tar.gz", "cext-3.0.2", tt.wheel
		in.Facts = tt.facts
		out, err := Write(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.Text, "setup.py install"); got != tt.want {
			t.Errorf("%s: setup.py %v", name, got)
		}
		if got := strings.Contains(out.Text, "\nBuildRequires:  python%{python3_pkgversion}-setuptools\n"); got != tt.want {
			t.Errorf("%s: the release's setuptools %v", name, got)
		}
	}
}

func TestEL7SaysByConflictsWhatRequirementsCannot(t *testing.T) {
	in := samples(t)["extras"]
	in.Target = shipped(t, "el7")
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.Text, "\nConflicts:      python3.6dist(pysocks) = 1.5.7\n") {
		t.Errorf("no conflict in\n%s", out.Text)
	}
	in.Target = shipped(t, "el8")
	if out, err = Write(in); err != nil || strings.Contains(out.Text, "Conflicts:") {
		t.Errorf("%v: a conflict where rpm knows rich dependencies\n%s", err, out.Text)
	}
}

func TestTargetsOwnMacros(t *testing.T) {
	in := samples(t)["flit"]
	in.Target = shipped(t, "el9")
	in.Target.Macros = map[string]string{"vendor": "Example %{?dist}", "_smp_build_ncpus": "4"}
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.Text, "%global _smp_build_ncpus 4\n%global vendor Example %{?dist}\n") {
		t.Errorf("no macros in\n%s", out.Text)
	}
	parses(t, out.Text)
}
