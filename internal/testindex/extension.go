package testindex

import (
	"fmt"
	"strings"
)

// Extension is a package whose function version() is a C expression of a library's. The header that it needs
// is hidden from whoever reads the source: that something is missing is found out by the compiler.
func Extension(name, header, library, expression string) Package {
	p := Package{Name: name, Version: "1.0", Body: "from ._ext import version\n"}
	p.Add = map[string]string{
		"pyproject.toml":     "[build-system]\nrequires = []\nbuild-backend = \"compiled\"\nbackend-path = [\"_build\"]\n",
		p.Stem() + "/_ext.c": fmt.Sprintf(extension, header, expression),
		"_build/compiled.py": strings.NewReplacer("STEM", p.Stem(), "LIBRARY", library).Replace(compiled),
	}
	return p
}

const extension = `#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define HEADER <%s>
#include HEADER
static PyObject *version(PyObject *self, PyObject *unused) { return PyUnicode_FromString(%s); }
static PyMethodDef methods[] = {{"version", version, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_ext", NULL, -1, methods};
PyMODINIT_FUNC PyInit__ext(void) { return PyModule_Create(&module); }
`

const compiled = `import os, subprocess, sys, sysconfig
import testbackend
from testbackend import get_requires_for_build_wheel, prepare_metadata_for_build_wheel

TAG = "cp%d%d-cp%d%d-linux_%s" % (sys.version_info[:2] * 2 + (os.uname().machine,))
texts = testbackend._texts
testbackend._texts = lambda: {k: v.replace("Purelib: true\nTag: py3-none-any", "Purelib: false\nTag: " + TAG) for k, v in texts().items()}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    out = "STEM/_ext" + sysconfig.get_config_var("EXT_SUFFIX")
    subprocess.run(["gcc", "-g", "-O2", "-shared", "-fPIC", "-I" + sysconfig.get_path("include"), "STEM/_ext.c", "-o", out, "-lLIBRARY"], check=True)
    testbackend.P["files"].append(out)
    pure = testbackend.build_wheel(wheel_directory)
    name = pure.replace("py3-none-any", TAG)
    os.rename(os.path.join(wheel_directory, pure), os.path.join(wheel_directory, name))
    return name
`
