package spec

import (
	"archive/tar"
	"compress/gzip"
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

// backend is a PEP 517 backend that lies in the source tree and needs nothing.
const backend = `
import os, zipfile
def build_wheel(outdir, config_settings=None, metadata_directory=None):
    assert os.environ["SETUPTOOLS_SCM_PRETEND_VERSION"] == "1.0.post1"
    name = "demo_pkg-1.0.post1-py3-none-any.whl"
    info = "demo_pkg-1.0.post1.dist-info/"
    files = {
        "demo_pkg/__init__.py": "x = 1\n",
        "demo_top.py": "y = 2\n",
        info + "METADATA": "Metadata-Version: 2.1\nName: demo.pkg\nVersion: 1.0.post1\nProvides-Extra: fast\n",
        info + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        info + "entry_points.txt": "[console_scripts]\ndemo = demo_top:main\n",
    }
    with zipfile.ZipFile(os.path.join(outdir, name), "w") as z:
        for path, text in files.items():
            z.writestr(path, text)
        z.writestr(info + "RECORD", "".join("%s,,\n" % p for p in list(files) + [info + "RECORD"]))
    return name
`

// TestBuild builds the driver style for real, where rpmbuild and the system Python are.
func TestBuild(t *testing.T) {
	rpmbuild, err := exec.LookPath("rpmbuild")
	if err != nil {
		t.Skip("rpmbuild is not installed")
	}
	tt, err := target.Local(t.Context())
	if err != nil || tt.Kind != target.Host {
		t.Skip("this host is not built on as it is: ", err)
	}
	tt.RPM.GeneratesRequires = false
	out, err := Write(Input{
		Target:     tt,
		Facts:      sdist.Facts{Archive: "demo_pkg-1.0.post1.tar.gz", TopDir: "demo_pkg-1.0.post1"},
		License:    "MIT",
		Env:        sdist.SCMEnv("1.0.post1"),
		Extras:     []Extra{{Name: "fast", Requires: reqs(t, "speedups>=2,<3")}},
		Metadata:   metadata.Metadata{Name: "demo.pkg", Version: pyVersion(t, "1.0.post1"), Summary: "100% %(touch /x) demo", RequiresDist: reqs(t, "Six!=1.4.*")},
		UploadTime: uploaded,
	})
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	sources := filepath.Join(top, "SOURCES")
	if err := os.MkdirAll(sources, 0o755); err != nil {
		t.Fatal(err)
	}
	writeTar(t, filepath.Join(sources, out.Sources[0]), "demo_pkg-1.0.post1/", map[string]string{
		"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
		"backend.py":     backend,
		"LICENSE":        mitText,
	})
	for name, data := range map[string][]byte{filepath.Join(sources, sdist.DriverName): sdist.Driver(), filepath.Join(top, out.FileName): []byte(out.Text)} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), rpmbuild, "-bb", "--nodeps", "--define", "_topdir "+top, "--define", "_tmppath "+top, filepath.Join(top, out.FileName))
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + top, "LC_ALL=C.UTF-8"}
	log, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("rpmbuild: %v\n%s\n%s", err, log, out.Text)
	}
	if strings.Contains(string(log), "Traceback") {
		t.Errorf("a generator fell over:\n%s", log)
	}
	dist := "python" + tt.Python.Minor() + "dist"
	query := func(name, what string) []string {
		t.Helper()
		files, _ := filepath.Glob(filepath.Join(top, "RPMS", "noarch", name+"-1.0^post1-1*.noarch.rpm"))
		if len(files) != 1 {
			t.Fatalf("%s was not built:\n%s", name, log)
		}
		text, err := exec.Command("rpm", "-qp", what, files[0]).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	for _, check := range []struct{ name, what, want string }{
		{out.Name, "--provides", dist + "(demo-pkg) = 1^post1"},
		{out.Name, "--provides", dist + "(demo.pkg) = 1^post1"},
		{out.Name, "--requires", "python(abi) = " + tt.Python.Minor()},
		{out.Name, "--requires", "(" + dist + "(six) < 1.4~~ or " + dist + "(six) >= 1.5~~)"},
		{out.Name, "--list", "/usr/bin/demo"},
		{out.Name, "--list", tt.Python.Sitelib + "/demo_top.py"},
		{out.Name, "--list", tt.Python.Sitelib + "/demo_pkg-1.0.post1.dist-info"},
		{out.Name, "--licensefiles", "/usr/share/licenses/" + out.Name + "/LICENSE"},
		{out.Name + "+fast", "--provides", dist + "(demo-pkg[fast]) = 1^post1"},
		{out.Name + "+fast", "--requires", out.Name + " = 1.0^post1-1"},
		{out.Name + "+fast", "--requires", "(" + dist + "(speedups) >= 2 with " + dist + "(speedups) < 3~~)"},
	} {
		if got := query(check.name, check.what); !slices.Contains(got, check.want) {
			t.Errorf("%s %s: %q, want %q among them", check.name, check.what, got, check.want)
		}
	}
	if got := query(out.Name, "--info"); !slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, ": 100% %(touch /x) demo") }) {
		t.Errorf("the summary is not literal: %q", got)
	}
}

func writeTar(t *testing.T, path, top string, files map[string]string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: top + name, Mode: 0o644, Size: int64(len(text)), ModTime: uploaded}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}
