package chroot

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/target"
)

func TestMain(m *testing.M) {
	Init()
	if os.Getenv(victim) != "" {
		beVictim()
	}
	os.Exit(m.Run())
}

// hostTarget is target local of this machine.
func hostTarget(t testing.TB) target.Target {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: build roots are mounted")
	}
	if err := usable(target.Host); err != nil {
		t.Skip(err)
	}
	tgt, err := thisMachine()
	if err != nil {
		t.Skip("needs /usr/bin/python3: ", err)
	}
	return tgt
}

func victimTarget() target.Target {
	tgt, _ := thisMachine()
	return tgt
}

func thisMachine() (target.Target, error) {
	out, err := exec.Command("/usr/bin/python3", "-c", "import platform,sys;print(platform.python_version(), '%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		return target.Target{}, err
	}
	f := strings.Fields(string(out))
	return target.Target{Name: "local", Kind: target.Host, Arch: "x86_64", Python: target.Python{
		Version: f[0], Prefix: "python3-", Executable: "/usr/bin/python" + f[1], PkgVersion: "3", Default: true,
		Sitelib: "/usr/lib/python" + f[1] + "/site-packages", Sitearch: "/usr/lib64/python" + f[1] + "/site-packages",
	}}, nil
}

// open opens the base of this machine in a state directory of the test's own.
func open(t testing.TB) *Base {
	t.Helper()
	tgt := hostTarget(t)
	state := os.Getenv(inContainer)
	if state == "" {
		state = t.TempDir()
	}
	b, err := New(Config{StateDir: state, Slots: 2, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	base, err := b.OpenBase(t.Context(), tgt, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// tarball packs files (name, text) as name.tar.gz into a directory and returns its path.
func tarball(t testing.TB, name string, files ...string) string {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: name + "/" + files[i], Mode: 0o644, Size: int64(len(files[i+1])), ModTime: time.Unix(1_600_000_000, 0)}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".tar.gz")
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const helloC = `#include <Python.h>
static PyObject *answer(PyObject *s, PyObject *a) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "_hello", 0, -1, methods};
PyMODINIT_FUNC PyInit__hello(void) { return PyModule_Create(&def); }
`

// helloJob is the job of testdata/hello.spec.
func helloJob(t testing.TB) builder.Job {
	t.Helper()
	src := tarball(t, "hello-1.2", "hello.py", "from . import _hello\ndef greet():\n    return _hello.answer()\n", "_hello.c", helloC,
		"METADATA", "Metadata-Version: 2.1\nName: Hello.World\nVersion: 1.2.0\nRequires-Dist: other_thing[fast] >= 2.0\nRequires-Dist: never; python_version < '3'\n")
	return builder.Job{Name: "hello 1.2", Spec: "testdata/hello.spec", Sources: []string{src}, ResultDir: filepath.Join(t.TempDir(), "out")}
}

// asBuildError is err as the *builder.BuildError it must be.
func asBuildError(t testing.TB, err error) *builder.BuildError {
	t.Helper()
	var be *builder.BuildError
	if !errors.As(err, &be) {
		t.Fatalf("error %v; want a *BuildError", err)
	}
	return be
}
