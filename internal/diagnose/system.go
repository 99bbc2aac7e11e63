package diagnose

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// oneJob makes a build compile one file at a time, by the variables of the tools that ask.
var oneJob = []Change{{SetEnv, "CMAKE_BUILD_PARALLEL_LEVEL=1"}, {SetEnv, "MAKEFLAGS=-j1"}, {SetEnv, "MAX_JOBS=1"}, {SetEnv, "CARGO_BUILD_JOBS=1"},
	{SetEnv, "NPY_NUM_BUILD_JOBS=1"}, {SetEnv, "SETUPTOOLS_EXT_PARALLEL=0"}}

func outOfMemory([]string, Facts) Finding {
	return Finding{Cause: OutOfMemory, Title: "a compiler was killed for want of memory", sure: 90, Safe: true, Changes: oneJob,
		Advice: []string{"fewer builds at once (--slots 1), or a machine with more memory"}}
}

func network(m []string, _ Facts) Finding {
	return Finding{Cause: Network, Title: "the build wants to fetch something, and builds have no network: " + shown(strings.TrimSpace(m[0])), sure: 78,
		Advice: []string{"what it fetches as a patch or a build requirement, or a setting that makes it use the system's library ([config-settings], [env])"}}
}

func missingRequirement(what string) Finding {
	return Finding{Cause: MissingRequirement, Title: "nobody provides the build requirement " + shown(what), sure: 90,
		Advice: []string{"drop-build-requires = [\"NAME\"] in overrides/NAME.toml where it is not truly needed; else the repository that has it, in the target"}}
}

func requirementRule(m []string, _ Facts) Finding { return missingRequirement(firstGroup(m)) }

// simple makes a rule's see of a finding that is always the same.
func simple(cause Cause, sure int, title string, advice ...string) func([]string, Facts) Finding {
	return func(m []string, _ Facts) Finding {
		text := title
		if len(m) > 1 && firstGroup(m) != "" && strings.Contains(title, "%s") {
			text = strings.Replace(title, "%s", shown(firstGroup(m)), 1)
		}
		return Finding{Cause: cause, Title: strings.TrimSuffix(text, " (%s)"), sure: sure, Advice: advice}
	}
}

func systemRules() []rule {
	return []rule{
		{[]string{"killed", "virtual memory exhausted", "cannot allocate memory", "memoryerror", "out of memory", "sigkill"},
			regexp.MustCompile(`(?i)fatal error: Killed signal terminated program|virtual memory exhausted|Cannot allocate memory|^MemoryError|rustc.*signal: 9, SIGKILL|c\+\+: internal compiler error: Killed|out of memory allocating|\bKilled\b.*(?:cc1plus|cc1|rustc|ld)\b`), outOfMemory},
		{[]string{"no space left on device", "disk quota exceeded"}, regexp.MustCompile(`No space left on device|Disk quota exceeded`), simple(DiskFull, 97, "the disk is full", "reqpm clean, or a state directory on a larger disk (--state)")},
		{[]string{"could not resolve host", "temporary failure in name resolution", "name or service not known", "network is unreachable", "failed to establish a new connection", "urlopen error", "download error on", "getaddrinfo", "nodename nor servname"},
			regexp.MustCompile(`(?i)Could not resolve host.{0,100}|Temporary failure in name resolution|Name or service not known|Network is unreachable|Failed to establish a new connection|urlopen error.{0,80}|Download error on .{1,150}|getaddrinfo .{0,80}`), network},
		{[]string{"failed to get `", "failed to download from", "unable to update registry"}, regexp.MustCompile("failed to get `[\\w-]+` as a dependency.*|failed to download from.*|Unable to update registry.*"), cargoNetwork},
		{[]string{"rpmbuild_timeout", "timed out", "timeout"}, regexp.MustCompile(`(?:commandTimeoutExpired|Timeout\(\d+\) expired|error: not done after|error: no output for .*)`), simple(Timeout, 92, "the build was not done in time", "--timeout and --idle-timeout give builds more time")},

		{[]string{"no index has"}, regexp.MustCompile(`no index has (?:a package named )?([A-Za-z0-9][\w.-]*)`), func(m []string, _ Facts) Finding { return NoIndexHas(m[1], m[1]) }},

		// dnf and mock.
		{[]string{"no matching package to install"}, regexp.MustCompile(`No matching package to install: '([^']+)'`), requirementRule},
		{[]string{"nothing provides"}, regexp.MustCompile(`nothing provides (\S+(?: [<>=]+ \S+)?)(?: needed by .*)?`), requirementRule},
		{[]string{"no match for argument"}, regexp.MustCompile(`No match for argument: (.+)`), requirementRule},
		{[]string{"is needed by"}, regexp.MustCompile(`^\s+(\S.{0,150}?) is needed by \S+`), requirementRule},
		{[]string{"cannot install both", "conflicting requests", "package conflicts"}, regexp.MustCompile(`cannot install both .*|- conflicting requests|conflicts with \S+ provided by \S+`), simple(RootConflict, 70, "what the build needs cannot be installed together")},
		{[]string{"failed to download metadata", "errors during downloading metadata", "cannot prepare internal mirrorlist", "curl error", "gpg check failed", "all mirrors were tried"},
			regexp.MustCompile(`Failed to download metadata for repo.*|Errors during downloading metadata.*|Cannot prepare internal mirrorlist.*|Curl error \(\d+\).*|GPG check FAILED|All mirrors were tried`), simple(Repositories, 88, "the target's repositories do not answer, or not as they should", "reqpm targets check, and the same command again")},

		// rpm.
		{[]string{"hunk #", "patch does not apply", "malformed patch", "reversed (or previously applied)"}, regexp.MustCompile(`Hunk #\d+ FAILED|patch does not apply|malformed patch at|Reversed \(or previously applied\) patch detected`), simple(PatchFailed, 90, "a patch does not fit the sources", "a range of versions for the patch: versions = \"…\" in overrides/NAME.toml")},
		{[]string{"installed (but unpackaged) file(s) found"}, regexp.MustCompile(`Installed \(but unpackaged\) file\(s\) found`), simple(UnpackagedFiles, 92, "the build installed files that its spec does not list")},
		{[]string{"file not found", "directory not found", "file not found by glob"}, regexp.MustCompile(`(?:error: )?(?:File|Directory) not found(?: by glob)?: (\S+)`), simple(MissingFiles, 85, "the spec lists files that the build did not install (%s)")},
		{[]string{"empty %files file"}, regexp.MustCompile(`Empty %files file .*debug(?:source)?files\.list`), simple(EmptyDebug, 92, "what the package compiles carries no debug information")},
		{[]string{"arch dependent binaries in noarch", "the package is noarch, but its wheel"}, regexp.MustCompile(`Arch dependent binaries in noarch package|the package is noarch, but its wheel holds compiled files`), simple(NotNoarch, 92, "the package has compiled parts: it is not noarch")},
		{[]string{"ambiguous python shebang"}, regexp.MustCompile(`ambiguous python shebang in (\S+?):?(?: |$)`), simple(Shebang, 90, "a script does not say which Python it is for (%s)")},
		{[]string{"found '", "aborting"}, regexp.MustCompile(`Found '[^']*' in installed files; aborting`), simple(BuildPath, 90, "installed files hold the path of the build root")},
		{[]string{"invalid runpath", "invalid rpath", "an rpath"}, regexp.MustCompile(`(?:contains an? |')(?:invalid (?:runpath|rpath)|insecure r(?:un)?path)`), simple(RunPath, 88, "a compiled file looks for libraries where there may be none")},
		{[]string{"error compiling", "brp-python-bytecompile", "*** error"}, regexp.MustCompile(`brp-python-bytecompile.*(?:error|failed)|(?i)error: Bad exit status.*brp-python`), func([]string, Facts) Finding {
			return Finding{Cause: ByteCompile, Title: "a file cannot be compiled to byte code: it is written for another Python, or a template", sure: 75,
				Changes: []Change{{DefineMacro, "_python_bytecompile_errors_terminate_build 0"}}}
		}},
		{[]string{"rich dependencies", "dependency tokens must begin", "unknown tag:", "illegal char", "parse error in expression", "unclosed %if", "%changelog entries must"},
			regexp.MustCompile(`Dependency tokens must begin with alpha-numeric|error: line \d+: .*|Illegal char.* in|parse error in expression|Unclosed %if`), simple(BadSpec, 85, "rpm cannot read the spec")},
		{[]string{"bad file: ", "bad source: ", "cd: "}, regexp.MustCompile(`(?:cd: (?:can't cd to )?([\w.+-]+)(?::)? ?(?:No such file or directory)?$|Bad (?:file|source): .*No such file)`), simple(MissingFile, 65, "the archive has another folder than the spec says")},

		// Checks and tests.
		{[]string{"cannot import "}, regexp.MustCompile(`^cannot import ([\w.]+): `), importCheck},
		{[]string{"check import:", "import check"}, regexp.MustCompile(`[Cc]heck import: ([\w.]+)`), importLine},
		{[]string{" failed", "failed ("}, regexp.MustCompile(`^=+ .*\b\d+ (?:failed|errors?)\b.* in [\d.:]+|^FAILED \((?:failures|errors)=\d+`), testsFailed},

		// Compilers.
		{[]string{"error:"}, regexp.MustCompile(`^[\w./+-]+\.(?:c|cc|cpp|cxx|h|hpp|pyx):\d+(?::\d+)?: (?:fatal )?error: (.+)`), compileError},
		{[]string{"undefined reference to"}, regexp.MustCompile("undefined reference to [`']([^'`]+)'"), simple(CompileError, 70, "the linker does not find %s")},
		{[]string{"inaccessible plugin"}, regexp.MustCompile(`inaccessible plugin file .*annobin`), simple(CompileError, 85, "gcc's annobin plug-in is missing or another gcc's", "[env] of the package, or the target's base root: annobin")},
	}
}

func cargoNetwork(m []string, _ Facts) Finding {
	return Finding{Cause: Network, Title: "Cargo wants to fetch crates, and builds have no network", sure: 86,
		Advice: []string{"a source distribution with a Cargo.lock, whose crates ReqPM fetches beforehand"}}
}

func importCheck(m []string, _ Facts) Finding {
	x := Finding{Cause: ImportCheck, Title: "the module " + shown(m[1]) + " cannot be imported: it may need a display, or something optional", sure: 75,
		Changes: []Change{{SkipImport, m[1]}}}
	return x
}

func importLine(m []string, f Facts) Finding {
	x := importCheck(m, f)
	x.sure = 40 // %pyproject_check_import names every module, good ones too
	if f.Phase == "check" {
		x.sure = 55
	}
	return x
}

func testsFailed(m []string, f Facts) Finding {
	x := Finding{Cause: Tests, Title: "the package's tests fail: " + shown(strings.Trim(m[0], "= ")), sure: 85, Changes: []Change{{Do: SkipTests}}}
	if f.Phase != "" && f.Phase != "check" {
		x.sure = 40
	}
	return x
}

func compileError(m []string, f Facts) Finding {
	what := m[1]
	if strings.HasSuffix(what, "No such file or directory") || strings.HasSuffix(what, "file not found") {
		return Finding{} // a header; another rule has it
	}
	x := Finding{Cause: CompileError, Title: "the compiler refuses the sources: " + shown(what), sure: 60, Advice: newerVersion(f)}
	if strings.Contains(what, "-Wimplicit-function-declaration") || strings.Contains(what, "-Wincompatible-pointer-types") || strings.Contains(what, "-Wint-conversion") || strings.Contains(what, "-Wimplicit-int") {
		x.Title = "the sources are C that gcc 14 and later refuse: " + shown(what)
		x.Advice = newerVersion(f, "[env] CFLAGS = \"-O2 -g -fpermissive\" in overrides/NAME.toml")
		x.sure = 75
	}
	return x
}

// allRules are the rules in the order they are tried; all that match count. They do not change.
var allRules = sync.OnceValue(func() []rule {
	return slices.Concat(nativeRules(), moduleRules(), pythonRules(), systemRules())
})
