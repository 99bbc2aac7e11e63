package diagnose

import (
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// buildModules are modules that setup scripts and backends import, and the project each comes from.
// Only these, and what a package itself requires, are added without a question: a module's
// name is no proof of whose project has it.
var buildModules = map[string]string{
	"setuptools": "setuptools", "wheel": "wheel", "cython": "cython", "numpy": "numpy", "cffi": "cffi", "pybind11": "pybind11",
	"nanobind": "nanobind", "setuptools_scm": "setuptools-scm", "vcs_versioning": "vcs-versioning", "setuptools_rust": "setuptools-rust",
	"setuptools_git_versioning": "setuptools-git-versioning", "setuptools_git": "setuptools-git", "pbr": "pbr", "versioneer": "versioneer",
	"flit_core": "flit-core", "flit": "flit", "poetry": "poetry-core", "hatchling": "hatchling", "hatch_vcs": "hatch-vcs",
	"hatch_fancy_pypi_readme": "hatch-fancy-pypi-readme", "hatch_jupyter_builder": "hatch-jupyter-builder",
	"hatch_nodejs_version": "hatch-nodejs-version", "hatch_requirements_txt": "hatch-requirements-txt", "pdm": "pdm-backend",
	"mesonpy": "meson-python", "mesonbuild": "meson", "skbuild": "scikit-build", "scikit_build_core": "scikit-build-core", "maturin": "maturin",
	"uv_build": "uv-build", "sipbuild": "sip", "pyqtbuild": "pyqt-builder", "jupyter_packaging": "jupyter-packaging",
	"expandvars": "expandvars", "packaging": "packaging", "six": "six", "jinja2": "jinja2", "mako": "mako", "ply": "ply", "pkgconfig": "pkgconfig",
	"yaml": "pyyaml", "toml": "toml", "tomli": "tomli", "attr": "attrs", "pytest_runner": "pytest-runner", "calver": "calver", "incremental": "incremental",
	"pycparser": "pycparser", "extension_helpers": "extension-helpers", "oldest_supported_numpy": "oldest-supported-numpy", "pythran": "pythran",
	"mypy": "mypy", "mypyc": "mypy", "typing_extensions": "typing-extensions", "babel": "babel", "docutils": "docutils", "sphinx": "sphinx", "mistune": "mistune", "certifi": "certifi",
	"requests": "requests", "psutil": "psutil", "lxml": "lxml", "pil": "pillow", "dateutil": "python-dateutil", "markdown": "markdown",
	"setupmeta": "setupmeta", "dunamai": "dunamai", "versioningit": "versioningit", "poetry_dynamic_versioning": "poetry-dynamic-versioning", "py_cpuinfo": "py-cpuinfo", "cpuinfo": "py-cpuinfo", "cppy": "cppy", "semantic_version": "semantic-version", "editables": "editables", "pathspec": "pathspec", "pluggy": "pluggy", "trove_classifiers": "trove-classifiers", "importlib_metadata": "importlib-metadata", "importlib_resources": "importlib-resources",
}

// goneModules left Python's own library, and the version that was without them first.
var goneModules = map[string]string{
	"distutils": "3.12", "imp": "3.12", "asynchat": "3.12", "asyncore": "3.12", "smtpd": "3.12", "lib2to3": "3.13", "cgi": "3.13", "cgitb": "3.13",
	"pipes": "3.13", "telnetlib": "3.13", "crypt": "3.13", "imghdr": "3.13", "nntplib": "3.13", "sndhdr": "3.13", "uu": "3.13", "xdrlib": "3.13", "audioop": "3.13", "chunk": "3.13",
}

// twoModules exist for Python 2 only.
var twoModules = []string{"ConfigParser", "StringIO", "cStringIO", "urllib2", "urlparse", "httplib", "Queue", "commands", "__builtin__", "cPickle", "HTMLParser", "SocketServer", "Tkinter", "xmlrpclib"}

func missingModule(m []string, f Facts) Finding {
	module := firstGroup(m)
	top, below, _ := strings.Cut(module, ".")
	x := Finding{Cause: MissingModule, Title: "the build imports " + shown(module) + ", which is not in its build root", sure: 80}
	if f.Phase == "check" {
		x.Title = "a test or check imports " + shown(module) + ", which is not in the build root"
	}
	switch {
	case top == "pkg_resources":
		return constrain(f, ToolTooNew, "the build imports pkg_resources, which setuptools 82 and later do not have", "setuptools", "<82", 92)
	case module == "setuptools.extern" || strings.HasPrefix(module, "setuptools.extern."):
		return constrain(f, ToolTooNew, "the build imports setuptools.extern, which setuptools 71 and later do not have", "setuptools", "<71", 90)
	case module == "setuptools.command.test":
		return constrain(f, ToolTooNew, "the build imports setuptools.command.test, which setuptools 72 and later do not have", "setuptools", "<72", 90)
	case module == "setuptools._distutils.msvccompiler" || module == "distutils.msvccompiler" || below == "msvccompiler":
		return constrain(f, ToolTooNew, "the build imports distutils.msvccompiler, which setuptools 74 and later do not have", "setuptools", "<74", 88)
	case module == "setuptools.command.bdist_wininst" || module == "distutils.command.bdist_wininst":
		return constrain(f, ToolTooNew, "the build imports bdist_wininst, which newer setuptools do not have", "setuptools", "<60", 80)
	case module == "numpy.distutils" || strings.HasPrefix(module, "numpy.distutils."):
		x.Cause, x.Title, x.sure = PythonTooNew, "the build uses numpy.distutils, which numpy for Python 3.12 and later does not have", 90
		x.Advice = newerVersion(f, "a target with Python 3.11 or older, and --build-constraint 'numpy<2' --build-constraint 'setuptools<60'")
		return x
	case top == "distutils":
		x.Title = "the build imports distutils, which left Python with 3.12; setuptools brings one"
		x.Changes, x.Safe, x.sure = []Change{{AddRequirement, "setuptools"}}, true, 88
		return x
	case goneModules[top] != "":
		x.Cause, x.Title, x.sure = PythonTooNew, "the build imports "+top+", which left Python with "+goneModules[top], 90
		x.Advice = newerVersion(f, "a target with an older Python")
		return x
	case slices.Contains(twoModules, top):
		x.Cause, x.Title, x.sure = PythonTwo, "the build imports "+top+", which only Python 2 had", 88
		x.Advice = newerVersion(f, "nothing else: a package for Python 2 cannot be built")
		return x
	case pep508.NormalizeName(top) == pep508.NormalizeName(f.Name) && f.Name != "":
		x.Title = "the build imports the package itself, as " + shown(module) + ", before it is built"
		x.Advice = []string{"an environment with PYTHONPATH set to the sources: [env] PYTHONPATH = \".\" in overrides/" + f.Name + ".toml"}
		x.Changes, x.Safe = []Change{{SetEnv, "PYTHONPATH=."}}, true
		if strings.HasPrefix(top, "_") {
			x.Changes, x.Safe = nil, false
		}
		return x
	}
	project, known := moduleProject(top, f)
	x.Changes, x.Safe = []Change{{AddRequirement, project}}, known
	if !known {
		x.sure = 70
		x.Advice = []string{"build-requires = [\"" + clean(project) + "\"] in overrides/NAME.toml, if that project is the one that has " + clean(top)}
	}
	return x
}

// moduleProject is the project that a module is from, and whether that is known.
func moduleProject(top string, f Facts) (string, bool) {
	if project := buildModules[strings.ToLower(top)]; project != "" {
		return project, true
	}
	name := pep508.NormalizeName(top)
	for _, known := range f.Known {
		if pep508.NormalizeName(known) == name {
			return name, true
		}
	}
	return name, false
}

// hookProjects are projects with plug-ins of hatchling, by what their plug-ins are called.
var hookProjects = map[string]string{
	"vcs": "hatch-vcs", "fancy-pypi-readme": "hatch-fancy-pypi-readme", "nodejs": "hatch-nodejs-version", "jupyter-builder": "hatch-jupyter-builder",
	"requirements_txt": "hatch-requirements-txt", "mypyc": "hatch-mypyc", "cython": "hatch-cython", "uv-dynamic-versioning": "uv-dynamic-versioning", "docstring-description": "hatch-docstring-description", "docker": "hatch-docker",
}

// unknownPlugin is hatchling without one of its plug-ins.
func unknownPlugin(m []string, _ Facts) Finding {
	kind, name := m[1], m[2]
	x := Finding{Cause: UnknownHook, Title: "hatchling has no " + kind + " " + shown(name) + " in this build root", sure: 92}
	if project := hookProjects[name]; project != "" {
		x.Changes, x.Safe = []Change{{AddRequirement, project}}, true
	} else if kind == "build hook" {
		x.Changes, x.Safe = []Change{{DropHook, name}}, true
	}
	return x
}

// constrain is a finding that another version of a build tool mends. It is no use where the
// build root has such a version already.
func constrain(f Facts, cause Cause, title, tool, specifier string, sure int) Finding {
	x := Finding{Cause: cause, Title: title, sure: sure, Changes: []Change{{Constrain, tool + specifier}}, Safe: true}
	if f.Name == tool {
		return Finding{}
	}
	if has, ok := f.Tools[tool]; ok && fits(specifier, has) {
		x.Changes, x.Safe, x.sure = nil, false, sure-30
		x.Advice = []string{"the build root has " + tool + " " + clean(has) + ", which should have done"}
	}
	return x
}

func fits(specifier, version string) bool {
	s, err1 := pep440.ParseSpecifiers(specifier)
	v, err2 := pep440.Parse(version)
	return err1 == nil && err2 == nil && s.Contains(v)
}

// pythonAtLeast tells whether the build's Python is known and not older than minor.
func pythonAtLeast(f Facts, minor string) bool { return f.Python != "" && fits(">="+minor, f.Python) }

// newerVersion is what a person can do about a version that cannot be built as it is.
func newerVersion(f Facts, other ...string) []string {
	if f.Name == "" {
		return append([]string{"a newer version of the package"}, other...)
	}
	return append([]string{"a newer version: --constrain '" + f.Name + ">" + orDefault(f.Version, "VERSION") + "'"}, other...)
}

func olderVersion(f Facts, other ...string) []string {
	if f.Name == "" {
		return append([]string{"an older version of the package"}, other...)
	}
	return append([]string{"an older version: --constrain '" + f.Name + "<" + orDefault(f.Version, "VERSION") + "'"}, other...)
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func moduleRules() []rule {
	return []rule{
		{[]string{"no module named"}, regexp.MustCompile(`(?:ModuleNotFoundError|ImportError): No module named '?([A-Za-z_][\w.]*)'?`), missingModule},
		{[]string{"no module named"}, regexp.MustCompile(`/python[\d.]*: No module named ([A-Za-z_][\w.]*)`), missingModule},
		{[]string{"unknown build hook", "unknown metadata hook", "unknown version source", "unknown version scheme", "unknown builder"},
			regexp.MustCompile(`Unknown (build hook|metadata hook|version source|version scheme|builder): ([\w.-]+)`), unknownPlugin},
		{[]string{"invalid command 'bdist_wheel'"}, regexp.MustCompile(`invalid command 'bdist_wheel'`), func([]string, Facts) Finding {
			return Finding{Cause: MissingModule, Title: "setuptools is too old to make wheels without the project wheel", sure: 92, Safe: true, Changes: []Change{{AddRequirement, "wheel"}}}
		}},
		{[]string{"requirement.parse("}, regexp.MustCompile(`(?:Could not find suitable distribution for|distutils\.errors\.DistutilsError:.*) ?Requirement\.parse\('([^']+)'\)`), setupRequires},
		{[]string{"no local packages or working download links"}, regexp.MustCompile(`No local packages or working download links found for ([A-Za-z0-9][\w.\-\[\]<>=!~,]*)`), setupRequires},
		{[]string{"distributionnotfound"}, regexp.MustCompile(`DistributionNotFound: The '([^']+)' distribution was not found`), setupRequires},
		{[]string{"requirement that satisfies", "could not find a version that satisfies"}, regexp.MustCompile(`Could not find a version that satisfies the requirement ([A-Za-z0-9][\w.\-\[\]<>=!~,]*)`), setupRequires},
	}
}

// setupRequires is a setup_requires that nobody asked for in time: setup.py wants to fetch it.
func setupRequires(m []string, _ Facts) Finding {
	text := strings.TrimSpace(m[1])
	x := Finding{Cause: MissingModule, Title: "setup.py wants to fetch " + shown(text) + " while it runs", sure: 88}
	if r, err := pep508.Parse(text); err == nil && r.URL == "" {
		r.Marker = nil
		x.Changes, x.Safe = []Change{{AddRequirement, r.String()}}, buildModules[strings.ReplaceAll(r.Key(), "-", "_")] != ""
	}
	return x
}
