package cli_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/testindex"
)

// repaired are the changes that built packages needed, as "NAME: DO VALUE".
func (c command) repaired(t *testing.T) string {
	t.Helper()
	var summary struct {
		Built []struct {
			Name    string `json:"name"`
			Repairs []struct {
				Changes []struct{ Do, Value string } `json:"changes"`
			} `json:"repairs"`
		} `json:"built"`
	}
	text := strings.TrimSpace(c.stdout)
	if err := json.Unmarshal([]byte(text[strings.LastIndexByte(text, '\n')+1:]), &summary); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, p := range summary.Built {
		for _, r := range p.Repairs {
			for _, change := range r.Changes {
				list = append(list, p.Name+": "+change.Do+" "+change.Value)
			}
		}
	}
	return strings.Join(list, ", ")
}

// retried tells whether the events say that a package is tried again.
func (c command) retried(name string) bool {
	for s := bufio.NewScanner(strings.NewReader(c.stdout)); s.Scan(); {
		var e struct{ Event, Name, State string }
		if json.Unmarshal(s.Bytes(), &e) == nil && e.State == "retrying" && e.Name == name {
			return true
		}
	}
	return false
}

// A real build that imports what nobody asked for fails, and is built with it; what was learned holds from then on.
func TestMissingModuleIsRepaired(t *testing.T) {
	if os.Getenv("REQPM_E2E") == "" {
		t.Skip("builds packages; set REQPM_E2E=1")
	}
	m := newMachine(t)
	index := serve(t, testindex.Package{Name: "hasty", Version: "1.0", Imports: []string{"numpy"}},
		testindex.Package{Name: "numpy", Version: "2.0", Files: "both", BuildRequires: []string{"num-tool"}}, testindex.Package{Name: "num-tool", Version: "1.0", Files: "both"})
	dir := folder(t, "hasty")
	c := m.run(t, 1, "build", dir, "-i", index, "--name", "hasty", "--json", "--no-proof", "--no-repair")
	equal(t, "failed with --no-repair", "hasty 1.0", names(c.summary.Failed))
	equal(t, "its cause", "missing-module", c.summary.Failed[0].Cause)

	c = m.run(t, 0, "build", dir, "-i", index, "--name", "hasty", "--json")
	equal(t, "built", "hasty 1.0, num-tool 1.0, numpy 2.0", names(c.summary.Built))
	equal(t, "repaired", "hasty: add-build-requirement numpy", c.repaired(t))
	c.proven(t, "hasty")
	if !c.retried("hasty") {
		t.Errorf("no event says that it is tried again:\n%s", c.stdout)
	}
	if slices.ContainsFunc(c.summary.Proof.Installed, func(nevra string) bool { return strings.Contains(nevra, "numpy") }) {
		t.Errorf("a build requirement was installed: %v", c.summary.Proof.Installed)
	}
	kept, err := os.ReadFile(filepath.Join(m.state, "learned", "overrides", "hasty.toml"))
	if err != nil || !strings.Contains(string(kept), `build-requires = ["numpy"]`) {
		t.Errorf("learned: %s, %v", kept, err)
	}
	c = m.run(t, 0, "build", dir, "-i", index, "--name", "hasty", "--json", "--refresh", "--no-proof")
	if c.retried("hasty") {
		t.Error("what was learned is forgotten")
	}
}

// sodium is an extension whose source hides the header it needs from whoever reads it; only the compiler finds out.
func sodium() testindex.Package {
	return testindex.Package{Name: "salty", Version: "1.0", Body: "from ._salty import version\n", Add: map[string]string{
		"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = \"compiled\"\nbackend-path = [\"_build\"]\n",
		"salty/_salty.c": `#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define SODIUM <sodium.h>
#include SODIUM
static PyObject *version(PyObject *self, PyObject *unused) { return PyUnicode_FromString(sodium_version_string()); }
static PyMethodDef methods[] = {{"version", version, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_salty", NULL, -1, methods};
PyMODINIT_FUNC PyInit__salty(void) { return PyModule_Create(&module); }
`,
		"_build/compiled.py": `import os, subprocess, sys, sysconfig
import testbackend
from testbackend import get_requires_for_build_wheel, prepare_metadata_for_build_wheel

TAG = "cp%d%d-cp%d%d-linux_%s" % (sys.version_info[:2] * 2 + (os.uname().machine,))
texts = testbackend._texts
testbackend._texts = lambda: {k: v.replace("Purelib: true\nTag: py3-none-any", "Purelib: false\nTag: " + TAG) for k, v in texts().items()}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    out = "salty/_salty" + sysconfig.get_config_var("EXT_SUFFIX")
    subprocess.run(["gcc", "-g", "-O2", "-shared", "-fPIC", "-I" + sysconfig.get_path("include"), "salty/_salty.c", "-o", out, "-lsodium"], check=True)
    testbackend.P["files"].append(out)
    pure = testbackend.build_wheel(wheel_directory)
    name = pure.replace("py3-none-any", TAG)
    os.rename(os.path.join(wheel_directory, pure), os.path.join(wheel_directory, name))
    return name
`}}
}

// A compiler that does not find a header fails the build; apt brings what has it, for this build alone.
func TestMissingHeaderIsRepaired(t *testing.T) {
	if os.Getenv("REQPM_E2E") == "" || os.Getenv("REQPM_NETWORK") == "" {
		t.Skip("builds a package with one of the distribution: set REQPM_E2E=1 and REQPM_NETWORK=1")
	}
	m := newMachine(t)
	if _, err := os.Stat("/usr/bin/apt-get"); err != nil {
		t.Skip("needs apt")
	}
	const header = "/usr/include/sodium.h"
	if _, err := os.Stat(header); err == nil {
		t.Skip("libsodium-dev is installed: nothing is missing")
	}
	c := m.run(t, 0, "build", folder(t, "salty"), "-i", serve(t, sodium()), "--name", "salty", "--json", "--target", "local",
		"--proof-command", `python3 -c 'import salty, re, sys; sys.exit(not re.match("1[.]", salty.version()))'`)
	equal(t, "built", "salty 1.0", names(c.summary.Built))
	equal(t, "repaired", "salty: native-need header:sodium.h", c.repaired(t))
	c.proven(t, "salty")
	if _, err := os.Stat(header); err == nil {
		t.Error("the header is on the machine now")
	}
	kept, err := os.ReadFile(filepath.Join(m.state, "learned", "overrides", "salty.toml"))
	if err != nil || !strings.Contains(string(kept), `rpm:pkgconfig(libsodium)`) {
		t.Errorf("learned: %s, %v", kept, err)
	}
}
