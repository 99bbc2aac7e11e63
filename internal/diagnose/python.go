package diagnose

import (
	"regexp"
	"strings"
)

// tool makes a rule's see of one constraint.
func tool(cause Cause, title, name, specifier string, sure int) func([]string, Facts) Finding {
	return func(_ []string, f Facts) Finding { return constrain(f, cause, title, name, specifier, sure) }
}

// oldSetuptools is tool for an older setuptools that Python 3.12 does not run any more.
func oldSetuptools(title, specifier string) func([]string, Facts) Finding {
	return func(_ []string, f Facts) Finding {
		x := constrain(f, ToolTooNew, title, "setuptools", specifier, 88)
		if pythonAtLeast(f, "3.12") {
			x.Changes, x.Safe = nil, false
			x.Advice = newerVersion(f, "a target with Python 3.11 or older: setuptools before 66 does not run on "+f.Python)
		}
		return x
	}
}

func pythonTooNew(m []string, f Facts) Finding {
	return Finding{Cause: PythonTooNew, Title: "the package is for an older Python: " + shown(strings.TrimSpace(m[0])), sure: 85, Advice: newerVersion(f, "a target with an older Python")}
}

func pythonTooOld(m []string, f Facts) Finding {
	return Finding{Cause: PythonTooOld, Title: "the package is for a newer Python: " + shown(strings.TrimSpace(m[0])), sure: 80, Advice: olderVersion(f, "a target with a newer Python, such as el9-py312")}
}

func pythonTwo(_ []string, f Facts) Finding {
	return Finding{Cause: PythonTwo, Title: "the package's own scripts are written for Python 2", sure: 82, Advice: newerVersion(f, "nothing else: a package for Python 2 cannot be built")}
}

func noVersion(m []string, f Facts) Finding {
	x := Finding{Cause: NoVersion, Title: "the version is taken from version control, which a source distribution does not have", sure: 90}
	if f.Version == "" {
		x.Advice = []string{"[env] SETUPTOOLS_SCM_PRETEND_VERSION = \"VERSION\" in overrides/NAME.toml"}
		return x
	}
	x.Safe = true
	if f.Name != "" {
		suffix := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(f.Name))
		x.Changes = append(x.Changes, Change{SetEnv, "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_" + suffix + "=" + f.Version})
	}
	x.Changes = append(x.Changes, Change{SetEnv, "SETUPTOOLS_SCM_PRETEND_VERSION=" + f.Version}, Change{SetEnv, "PBR_VERSION=" + f.Version})
	return x
}

// scriptError is a syntax error; of Python 2's print statement there are many forms.
func scriptError(m []string, f Facts) Finding {
	if strings.Contains(m[0], "print") || strings.Contains(m[0], "multiple exception types") || strings.Contains(m[0], "leading zeros") {
		return pythonTwo(m, f)
	}
	return Finding{}
}

func wrongName(m []string, f Facts) Finding {
	x := constrain(f, MetadataTooNew, "the build backend does not know the project's metadata: it made "+shown(m[0]), "setuptools", ">=61", 85)
	x.Cause = WrongName
	return x
}

// expectedWheel is what ReqPM's driver says of a wheel that is another than the one planned.
func expectedWheel(m []string, f Facts) Finding {
	return Finding{Cause: WrongName, Title: "the wheel that was built is not the one that was meant: " + shown(m[1]), sure: 80,
		Advice: []string{"the version in the sources differs from the index's: a patch, or another version of the package"}}
}

func license639(m []string, f Facts) Finding {
	x := constrain(f, MetadataTooNew, "the licence is written in the form of PEP 639, which needs setuptools 77", "setuptools", ">=77.0.3", 88)
	x.Advice = append(x.Advice, "a patch of pyproject.toml: license = {text = \"…\"}")
	return x
}

func missingSource(m []string, f Facts) Finding {
	return Finding{Cause: MissingFile, Title: "the file " + shown(m[1]) + " is not in the source distribution", sure: 75, Advice: newerVersion(f, "a patch that adds the file or does without it")}
}

func pythonRules() []rule {
	return []rule{
		// setuptools, by what its change log says went away.
		{[]string{"use_2to3 is invalid"}, regexp.MustCompile(`use_2to3 is invalid`), oldSetuptools("the package wants use_2to3, which setuptools 58 and later do not have", "<58")},
		{[]string{"cannot import name 'feature'"}, regexp.MustCompile(`cannot import name 'Feature' from 'setuptools'`), oldSetuptools("the package wants setuptools.Feature, which setuptools 46 and later do not have", "<46")},
		{[]string{"no attribute 'feature'"}, regexp.MustCompile(`module 'setuptools' has no attribute 'Feature'`), oldSetuptools("the package wants setuptools.Feature, which setuptools 46 and later do not have", "<46")},
		{[]string{"dash-separated"}, regexp.MustCompile(`Invalid dash-separated key|Usage of dash-separated '[^']+' will not be supported.*\bError|InvalidConfigError: Invalid dash`), tool(ToolTooNew, "setup.cfg has keys with dashes, which setuptools 78 and later refuse", "setuptools", "<78", 88)},
		{[]string{"uppercase key"}, regexp.MustCompile(`Invalid uppercase key`), tool(ToolTooNew, "setup.cfg has keys in upper case, which setuptools 78 and later refuse", "setuptools", "<78", 88)},
		{[]string{"impimporter"}, regexp.MustCompile(`module 'pkgutil' has no attribute 'ImpImporter'`), tool(ToolTooOld, "setuptools is too old for Python 3.12", "setuptools", ">=66.1", 90)},
		{[]string{"keyerror: 'entry_points'"}, regexp.MustCompile(`KeyError: 'entry_points'`), tool(ToolTooOld, "setuptools is too old for this Python", "setuptools", ">=60", 80)},
		{[]string{"no attribute 'fetch_build_eggs'", "no attribute 'install_layout'"}, regexp.MustCompile(`has no attribute '(?:fetch_build_eggs|install_layout)'`), tool(ToolTooNew, "the package reaches into setuptools, which is newer than it knows", "setuptools", "<69", 60)},
		{[]string{"cannot import name"}, regexp.MustCompile(`cannot import name '(\w+)' from '(setuptools[\w.]*|wheel[\w.]*)'`), tooNewTool},
		{[]string{"canonicalize_version() got an unexpected"}, regexp.MustCompile(`canonicalize_version\(\) got an unexpected keyword argument 'strip_trailing_zero'`), tool(ToolTooOld, "the build root's packaging is too old for its setuptools", "packaging", ">=24", 90)},
		{[]string{"invalidversion", "invalid version:"}, regexp.MustCompile(`(?:InvalidVersion: )?Invalid version: '([^']*)'`), invalidVersion},
		{[]string{"setup command:"}, regexp.MustCompile(`error in .{1,100} setup command: .*(?:must be a string or (?:iterable|list of strings)|Expected|Parse error|Invalid requirement|requirements must not|invalid.*specifier).*`), oldSetuptools("setup.py has requirements that setuptools 66 and later refuse", "<66")},
		{[]string{"project.license"}, regexp.MustCompile("[`']?project\\.license[`']? must be valid exactly by one definition|configuration error: `?project\\.license"), license639},
		{[]string{"must not contain"}, regexp.MustCompile(`must not contain \{?'(license-files|import-names|import-namespaces)'`), license639},
		{[]string{"license classifiers have been superseded"}, regexp.MustCompile(`InvalidConfigError: License classifiers have been superseded by license expressions`), tool(ToolTooNew, "the package has both a licence expression and licence classifiers, which setuptools 77 and later refuse", "setuptools", "<77", 70)},
		{[]string{"configuration error:", "invalid pyproject.toml config"}, regexp.MustCompile("invalid pyproject\\.toml config(?:uration)?: `?([\\w.-]+)`?"), badConfig},
		{[]string{"unknown-0.0.0", "unknown 0.0.0"}, regexp.MustCompile(`(?i)\bUNKNOWN[- ]0\.0\.0\b`), wrongName},
		{[]string{"too old for this pyproject.toml"}, regexp.MustCompile(`the backend did not read the project's metadata`), wrongName},
		{[]string{"expected"}, regexp.MustCompile(`reqpm_pep517: (the wheel is .{1,150} expected.*|.{1,150}, not .{1,80} as expected.*)`), expectedWheel},

		// Other backends.
		{[]string{"required in package mode", "are required in package"}, regexp.MustCompile(`The fields \[.*\] are required in package mode`), tool(MetadataTooNew, "the metadata is in [project], which needs poetry-core 2", "poetry-core", ">=2", 88)},
		{[]string{"license field should be"}, regexp.MustCompile(`license field should be .{0,40}, not`), tool(MetadataTooNew, "the licence is written in the form of PEP 639, which needs flit-core 3.11", "flit-core", ">=3.11", 88)},
		{[]string{"field `project.license` must be a table", "unexpected names under [project]"}, regexp.MustCompile("Field `project\\.license` must be a table|Unexpected names under \\[project\\]"), metadataTooNew},
		{[]string{"unknown classifier"}, regexp.MustCompile(`Unknown classifier(?: in field)?`), func([]string, Facts) Finding {
			return Finding{Cause: MetadataTooNew, Title: "a classifier is newer than the build root's list of them", sure: 88, Safe: true,
				Changes: []Change{{SetEnv, "HATCH_METADATA_CLASSIFIERS_NO_VERIFY=1"}}, Advice: []string{"a newer trove-classifiers, or a patch that leaves the classifier out"}}
		}},
		{[]string{"readme file does not exist", "readme"}, regexp.MustCompile(`Readme file does not exist: (\S+)`), missingSource},
		{[]string{"no such file or directory"}, regexp.MustCompile(`FileNotFoundError: \[Errno 2\] No such file or directory: '([^']*(?:/[^']*|\.(?:txt|md|rst|in|cfg|toml|json|ya?ml|ini|py|c|h)))'`), missingSource},
		{[]string{"which files to ship"}, regexp.MustCompile(`Unable to determine which files to ship inside the wheel`), func(_ []string, f Facts) Finding {
			return Finding{Cause: MissingFile, Title: "hatchling does not know which files belong into the wheel", sure: 85, Advice: newerVersion(f, "a patch: [tool.hatch.build.targets.wheel] packages = [\"…\"]")}
		}},
		{[]string{"meson version is"}, regexp.MustCompile(`Meson version is [\d.]+ but project requires *>=? *([\d.]+)`), atLeast("meson")},
		{[]string{"is required.  you are running", "is required. you are running"}, regexp.MustCompile(`CMake ([\d.]+) or higher is required\.\s+You are running`), atLeast("cmake")},
		{[]string{"compatibility with cmake <"}, regexp.MustCompile(`Compatibility with CMake < 3\.5 has been removed`), func([]string, Facts) Finding {
			return Finding{Cause: ToolTooNew, Title: "the package is for a CMake before 3.5, which CMake 4 does not stand in for by itself", sure: 92, Safe: true,
				Changes: []Change{{SetEnv, "CMAKE_POLICY_VERSION_MINIMUM=3.5"}}}
		}},
		{[]string{"cython.compiler.errors", "error compiling cython file"}, regexp.MustCompile(`Cython\.Compiler\.Errors\.\w+|Error compiling Cython file`), tool(ToolTooNew, "Cython cannot read the package's sources, which are for an older one", "cython", "<3", 82)},
		{[]string{"numpy"}, regexp.MustCompile("(?i)(?:module 'numpy' has no attribute '(?:int|float|bool|object|product|cumproduct|in1d|NaN|Inf)'|`np\\.\\w+` was removed in the NumPy 2\\.0 release|A module that was compiled using NumPy 1\\.x cannot be run in|‘PyArray_Descr’.*has no member named ‘(?:subarray|elsize|fields|names)’)"), tool(ToolTooNew, "the package is for numpy 1", "numpy", "<2", 82)},

		// Versions from version control.
		{[]string{"unable to detect version", "versioning for this project requires", "error getting the version from source", "not a git repository", "no version found", "dunamai"},
			regexp.MustCompile("setuptools-scm was unable to detect version|Versioning for this project requires either an sdist tarball|Error getting the version from source `vcs`|fatal: not a git repository|Unable to determine version|This does not appear to be a Git project"), noVersion},

		// Python itself.
		{[]string{"safeconfigparser", "getargspec", "gcd'", "readfp", "makesuite", "has no attribute 'str'", "has no attribute 'num'"},
			regexp.MustCompile(`has no attribute '(?:SafeConfigParser|getargspec|gcd|readfp|makeSuite|Str|Num|NameConstant)'`), pythonTooNew},
		{[]string{"cannot import name"}, regexp.MustCompile(`cannot import name '(?:Mapping|MutableMapping|Iterable|Callable|Sequence|MutableSet|Hashable|OrderedDict)' from '(?:collections|typing)'`), pythonTooNew},
		{[]string{"has no attribute"}, regexp.MustCompile(`module 'collections' has no attribute '\w+'`), pythonTooNew},
		{[]string{"open() got an unexpected", "invalid mode: 'ru'", "invalid mode: 'u'"}, regexp.MustCompile(`ValueError: invalid mode: '[rR]?U[rR]?'`), pythonTooNew},
		{[]string{"syntaxerror: missing parentheses", "syntaxerror: multiple exception", "syntaxerror: leading zeros", "syntaxerror: invalid syntax"}, regexp.MustCompile(`SyntaxError: (?:Missing parentheses in call to 'print'|multiple exception types must be parenthesized|leading zeros in decimal).*`), scriptError},
		{[]string{"requires a different python", "requires python", "python version", "requires-python"}, regexp.MustCompile(`requires a different Python: .{1,100}|(?i)(?:this package|\w+) requires Python (?:version )?(?:>=? ?)?3\.\d+(?: or (?:newer|later|higher|above))?.{0,60}`), pythonTooOld},
		{[]string{"unicodedecodeerror"}, regexp.MustCompile(`UnicodeDecodeError: 'ascii' codec can't decode`), func([]string, Facts) Finding {
			return Finding{Cause: Encoding, Title: "the build reads UTF-8 as ASCII", sure: 85, Safe: true, Changes: []Change{{SetEnv, "LC_ALL=C.UTF-8"}, {SetEnv, "PYTHONUTF8=1"}}}
		}},
	}
}

func tooNewTool(m []string, f Facts) Finding {
	name, _, _ := strings.Cut(m[2], ".")
	x := Finding{Cause: ToolTooNew, Title: "the build wants " + shown(m[1]) + " of " + name + ", which this version does not have", sure: 65}
	if has := f.Tools[name]; has != "" {
		x.Advice = []string{"an older one: build-requires = [\"" + name + "<" + clean(has) + "\"] in overrides/NAME.toml"}
	}
	return x
}

// invalidVersion is a version that PEP 440 has no reading of; setuptools 66 began to refuse them.
func invalidVersion(m []string, f Facts) Finding {
	x := oldSetuptools("a version is none in the sense of PEP 440, and setuptools 66 and later refuse it: "+shown(m[1]), "<66")(m, f)
	x.Cause = BadVersion
	x.sure = 75
	return x
}

func badConfig(m []string, f Facts) Finding {
	if strings.HasPrefix(m[1], "project.license") {
		return license639(m, f)
	}
	x := constrain(f, MetadataTooNew, "setuptools refuses "+shown(m[1])+" of pyproject.toml", "setuptools", ">=77.0.3", 70)
	return x
}

func metadataTooNew(m []string, f Facts) Finding {
	if strings.Contains(m[0], "table") {
		return constrain(f, MetadataTooNew, "the licence is written in the form of PEP 639, which needs hatchling 1.26", "hatchling", ">=1.26", 85)
	}
	return constrain(f, MetadataTooNew, "[project] has keys that this flit-core does not know", "flit-core", ">=3.12", 85)
}

// atLeast asks for a newer build tool; the distribution's comes first where it has one.
func atLeast(name string) func([]string, Facts) Finding {
	return func(m []string, f Facts) Finding {
		return constrain(f, ToolTooOld, "the package needs "+name+" "+shown(m[1])+" or later", name, ">="+strings.TrimRight(m[1], "."), 85)
	}
}
