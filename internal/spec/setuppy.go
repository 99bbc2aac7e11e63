package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"reqpm/internal/pep508"
	"reqpm/internal/target"
)

// usesSetupPy tells whether the package is built by its setup.py, without PEP 517: only on
// releases whose tools are older than that, only where setuptools is what builds it, and only
// where setup.py knows more than pyproject.toml (setuptools reads [project] from 61 on, which needs
// Python 3.7).
func (p *page) usesSetupPy() bool {
	f := p.in.Facts
	return p.style == target.StyleSetupPy && !p.in.Wheel && f.HasSetupPy && !f.ProjectTable &&
		(f.Backend == "" || strings.HasPrefix(f.Backend, "setuptools."))
}

// legacyTools are what setup.py needs none of, or has as an RPM of another name.
var legacyTools = map[string]bool{"setuptools": true, "wheel": true, "pip": true}

// withoutLegacyTools leaves those out of build requirements: their version floors are about PEP 517.
func withoutLegacyTools(reqs []pep508.Requirement) []pep508.Requirement {
	var out []pep508.Requirement
	for _, r := range reqs {
		if !legacyTools[r.Key()] {
			out = append(out, r)
		}
	}
	return out
}

// byteCompiler turns off rpm 4.11's: it compiles what lies outside /usr/lib*/python3.6 with Python 2, where
// any syntax of Python 3 ends the build. The installer compiles.
const byteCompiler = `%global __os_install_post %(echo '%{__os_install_post}' | sed -e 's!/usr/lib[^[:space:]]*/brp-python-bytecompile[[:space:]].*$!!g')`

// plainPath is a relative path that needs no quotes in a shell or a spec file.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*$`)

// setupPy is the body for EL7: the release's own setuptools runs setup.py, and the files are what
// lies in the build root afterwards.
func (p *page) setupPy() {
	p.header()
	p.describe()
	p.prep()
	p.lines("", "%build")
	p.exports()
	p.flags()
	site := "%{buildroot}%{_prefix}/lib*/python" + p.t.Python.Minor() + "/site-packages"
	p.lines("%{__python3} setup.py build --executable=%{__python3}", "# rpm 4.11 clamps no times; compiled files remember those of their sources.")
	p.clamp("build", "")
	p.lines("", "%install")
	p.exports()
	p.lines("%{__python3} setup.py install --skip-build --root %{buildroot} --prefix %{_prefix} -O1",
		"# A setuptools too old for the metadata installs UNKNOWN-0.0.0 and calls it a success.",
		"if ls -d "+site+"/UNKNOWN-* 2>/dev/null; then exit 1; fi")
	if stray := p.strayDirectories(); len(stray) > 0 {
		p.lines("# Other packages install directories of these names by mistake, too.",
			"for stray in "+strings.Join(stray, " ")+"; do rm -rf "+site+"/$stray; done")
	}
	p.clamp("%{buildroot}", " ! -name '*.py'")
	p.lines("# The directories below site-packages are this package's; man pages are compressed after this.",
		"(cd %{buildroot} && find . -mindepth 1 -path '*/site-packages/*' ! -path '*/site-packages/__pycache__' -type d -printf '%%%%dir \"/%%P\"\\n' \\",
		"    -o ! -type d -printf '\"/%%P\"\\n') | sed -e 's!\"\\(%{_mandir}/.*\\)\"!\\1*!' > reqpm-files.list")
	p.checks()
	p.lines("", "%files -f reqpm-files.list")
	for _, name := range p.in.Facts.LicenseFiles {
		if plainPath.MatchString(name) && !strings.Contains(name, "..") {
			p.lines("%license " + name)
		} else {
			p.warn("licence file %.80q has a name that cannot be written into a spec file and is left out", name)
		}
	}
	p.extraFiles()
}

// epochSeconds is what rpm makes of the changelog's date for SOURCE_DATE_EPOCH, from 4.14 on.
func (p *page) epochSeconds() int64 {
	y, m, d := p.in.epochTime().Date()
	return time.Date(y, m, d, 12, 0, 0, 0, time.UTC).Unix()
}

// clamp gives files below dir that are newer than the changelog its time.
func (p *page) clamp(dir, but string) {
	at := fmt.Sprintf("'@%d'", p.epochSeconds())
	p.lines("find " + dir + " -newermt " + at + but + " -exec touch --no-dereference --date=" + at + " '{}' +")
}

// strayDirectories are top-level modules that packages install by mistake, and that more than one
// package would then own; not those that are the project itself.
func (p *page) strayDirectories() []string {
	return slices.DeleteFunc([]string{"tests", "test", "docs", "doc", "examples", "example", "scripts", "benchmarks"},
		func(name string) bool { return name == p.key })
}
