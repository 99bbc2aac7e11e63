package sdist

import (
	"slices"
	"testing"
)

func TestExternal(t *testing.T) {
	tree := files{
		"pyproject.toml": "[build-system]\nrequires=['setuptools']\nbuild-backend='setuptools.build_meta'\n",
		"setup.py": `
from setuptools import Extension, setup
import subprocess
flags = subprocess.check_output(["pkg-config", "--libs", "libzmq"])
pg = "pg_config"
setup(ext_modules=[Extension("a", ["a.c"], libraries=["xml2", "m"], extra_link_args=["-lsodium"])])
`,
		"a.c":                  "#include <zmq.h>\n  #  include \"libxml/tree.h\"\n#include \"own.h\"\n#include <bundled/deep.h>\n// #include <not.h>\n",
		"own.h":                "#include <openssl/ssl.h>\n",
		"third/bundled/deep.h": "",
		"b.pyx":                "cdef extern from \"yaml.h\":\n    pass\ncdef extern from '<ldap.h>' nogil:\n    pass\n",
		"tests/t.c":            "#include <tests_only.h>\n",
		"CMakeLists.txt":       "find_package(ZeroMQ REQUIRED)\npkg_check_modules(LIBS REQUIRED libfoo>=1.2 \"libbar\")\n",
		"meson.build":          "dep = dependency('libcares', version: '>=1')\n",
		"wrapper.i":            "%module x\n",
	}
	e := readTree(t, tree).External
	for name, c := range map[string]struct{ got, want []string }{
		"headers":    {e.Headers, []string{"ldap.h", "libxml/tree.h", "openssl/ssl.h", "yaml.h", "zmq.h"}},
		"cmake":      {e.CMake, []string{"ZeroMQ"}},
		"libraries":  {e.Libraries, []string{"m", "sodium", "xml2"}},
		"programs":   {e.Programs, []string{"pg_config"}},
		"pkgconfigs": {e.PkgConfigs, []string{"libbar", "libcares", "libfoo", "libzmq"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: got %q, want %q", name, c.got, c.want)
		}
	}
	if !e.SWIG {
		t.Error("the SWIG interface file was not seen")
	}
}
