package corpus

import (
	"fmt"
	"regexp"
	"strings"

	"reqpm/internal/target"
)

// release is what one generation of RHEL knows, as far as specs use it. Sources: the tags of rpm's
// repository, and the macro files of python-rpm-macros, pyproject-rpm-macros and redhat-rpm-config in
// the releases' source packages.
type release struct {
	// forbidden are constructs that this rpm refuses, or takes for text.
	forbidden []construct
	// macros are definitions of the release that this machine's rpm lacks, for rpm to read. What is
	// not there stays as it is in the expanded spec, where the test finds it.
	macros string
}

// construct is something a spec may not hold.
type construct struct {
	what string
	re   *regexp.Regexp
}

func tagged(tags, value string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^(` + tags + `):\s*` + value)
}

const (
	requiring = `Requires(\([a-z,]+\))?|BuildRequires|Conflicts|Obsoletes|Provides`
	weak      = `Recommends|Suggests|Supplements|Enhances`
)

var (
	// No rpm of any release takes these.
	everywhere = []construct{
		{"a rich dependency where rpm wants a plain one", tagged("Provides|Obsoletes|Conflicts", `\(`)},
		{"a build system that rpm knows from 4.20 on", tagged("BuildSystem", "")},
		{"%autosetup -C of rpm 4.20", regexp.MustCompile(`(?m)^%autosetup .*-C`)},
		{"%conf of rpm 4.20", regexp.MustCompile(`(?m)^%conf\b`)},
		{"an operator in a name", tagged(requiring, `[^(\s]*[<>=]`)},
	}
	// rpm 4.14 has none of these.
	before415 = []construct{
		{"dynamic BuildRequires", regexp.MustCompile(`(?m)^%generate_buildrequires\b`)},
		{"%elif of rpm 4.15", regexp.MustCompile(`(?m)^%elif`)},
		{"an expression of rpm 4.16", regexp.MustCompile(`%\[|%\{expr:`)},
		{"%bcond of rpm 4.17.1", regexp.MustCompile(`(?m)^%bcond `)},
		{"%pyproject macros, which EL8 and EL7 do not ship", regexp.MustCompile(`%\{?\??pyproject_`)},
		{"%sourcelist or %patchlist of rpm 4.15", regexp.MustCompile(`(?m)^%(sourcelist|patchlist)\b`)},
	}
	// rpm 4.11 has none of these either.
	before412 = []construct{
		{"a rich dependency", tagged(requiring, `\(`)},
		{"a caret", tagged(requiring+"|Version", `.*\^`)},
		{"a weak dependency", tagged(weak, "")},
		{"file triggers of rpm 4.13", regexp.MustCompile(`(?m)^%(trans)?filetrigger`)},
	}
)

// macrosOfAll are there on every release: /usr/lib/rpm/redhat/macros and python-rpm-macros.
const macrosOfAll = `%_topdir /nonexistent/reqpm
%_dbpath /nonexistent/reqpm
%optflags -O2 -g
%build_ldflags -Wl,-z,relro
%__os_install_post /usr/lib/rpm/brp-compress /usr/lib/rpm/brp-python-bytecompile /usr/bin/python 1
`

const pyprojectMacros = `%pyproject_buildrequires(rRxtNwe:C:) echo buildrequires
%pyproject_wheel(C:) echo wheel
%pyproject_install() echo install
%pyproject_save_files(lLM) echo save
%pyproject_check_import(e:t) echo check
%pyproject_files files.list
`

// releases by dist tag.
var releases = map[string]release{
	".el7":  {append(append(append([]construct{}, everywhere...), before415...), before412...), macrosOfAll},
	".el8":  {append(append([]construct{}, everywhere...), before415...), macrosOfAll + "%set_build_flags export CFLAGS\n"},
	".el9":  {everywhere, macrosOfAll + "%set_build_flags export CFLAGS\n" + pyprojectMacros},
	".el10": {everywhere, macrosOfAll + "%set_build_flags export CFLAGS\n" + pyprojectMacros},
}

// required are the lines that a spec of t cannot do without.
func required(t target.Target) []string {
	lines := []string{
		"%global source_date_epoch_from_changelog 1", "%global clamp_mtime_to_source_date_epoch 1", "%global use_source_date_epoch_as_buildtime 1",
		"BuildRequires:  python%{python3_pkgversion}-devel",
	}
	switch {
	case t.RPM.Style == target.StylePyproject:
		lines = append(lines, "BuildRequires:  pyproject-rpm-macros", "%generate_buildrequires")
	case t.Dist == ".el8" && !t.Python.Default:
		lines = append(lines, "BuildRequires:  python%{python3_pkgversion}-rpm-macros")
	}
	if t.RPM.Style != target.StylePyproject {
		lines = append(lines, "%global __python3 "+t.Python.Executable, "Requires:       python(abi) = "+t.Python.Minor())
	}
	if !t.Python.Default { // macro packages are not there when the SRPM is parsed
		lines = append(lines, "%global python3_pkgversion "+t.Python.PkgVersion)
	}
	return lines
}

// faults are what is wrong with a spec for t, as far as its text shows.
func faults(t target.Target, text string) []string {
	var out []string
	for _, c := range releases[t.Dist].forbidden {
		if m := c.re.FindString(text); m != "" {
			out = append(out, fmt.Sprintf("%s: %.120q", c.what, m))
		}
	}
	for _, line := range required(t) {
		if !strings.Contains(text, "\n"+line+"\n") {
			out = append(out, fmt.Sprintf("the line %q is missing", line))
		}
	}
	return out
}

var (
	macroRE = regexp.MustCompile(`(^|[^%])%\{?[?!]*([A-Za-z_][A-Za-z0-9_]*)`)
	// free are lines with text from outside, in which a single "%" is nothing but that.
	freeRE = regexp.MustCompile(`^(Summary|URL|#)`)
	// directives are rpm's own words, which stay in an expanded spec.
	directives = map[string]bool{
		"description": true, "package": true, "prep": true, "generate_buildrequires": true, "build": true, "install": true, "check": true,
		"files": true, "changelog": true, "license": true, "dir": true, "ghost": true, "global": true,
		"P": true, // of find -printf
	}
)

// unexpanded are the macros that an expanded spec still holds: this release does not know them.
func unexpanded(text string) []string {
	var out []string
	prose := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "%") {
			prose = strings.HasPrefix(line, "%description") || strings.HasPrefix(line, "%changelog")
		}
		if prose && !strings.HasPrefix(line, "%") || freeRE.MatchString(line) {
			continue
		}
		for _, m := range macroRE.FindAllStringSubmatch(line, -1) {
			if !directives[m[2]] {
				out = append(out, m[2])
			}
		}
	}
	return out
}
