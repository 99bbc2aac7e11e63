package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"reqpm/internal/sdist"
	"reqpm/internal/target"
)

// header writes the macro definitions and the preamble, the same for all styles.
func (p *page) header() {
	p.lines("# Written by ReqPM from " + p.in.Facts.Archive + "; changes are lost when it is written again.")
	if p.in.SHA256 != "" {
		p.lines("# SHA-256 of Source0: " + p.in.SHA256)
	}
	p.said()
	py := p.t.Python
	for _, name := range slices.Sorted(maps.Keys(p.t.Macros)) { // the user's own, of this target
		p.lines("%global " + name + " " + p.t.Macros[name])
	}
	if p.style != target.StylePyproject {
		p.lines("%global __python3 " + py.Executable)
	}
	if !py.Default || p.t.RPM.Style == target.StyleSetupPy { // EPEL 7's macros say 36
		p.lines("%global python3_pkgversion " + py.PkgVersion)
	} else {
		p.lines("%{!?python3_pkgversion:%global python3_pkgversion 3}")
	}
	p.lines("%global pypi_name "+p.in.Metadata.Name, "%global pypi_version "+p.pypi)
	p.lines("# The same sources give the same package.",
		"%global source_date_epoch_from_changelog 1",
		"%global use_source_date_epoch_as_buildtime 1",
		"%global clamp_mtime_to_source_date_epoch 1")
	if !p.noarch && (p.noELF || p.in.NoDebug || p.in.Crates != nil || p.t.Kind == target.Host) {
		p.lines("%global debug_package %{nil}")
	}
	if p.t.RPM.Style == target.StyleSetupPy {
		p.lines("# rpm compiles files of this Python with another one, and fails; installing compiles them.", byteCompiler)
	}
	p.generator()
	p.lines("")
	p.tag("Name", p.rpm)
	if p.epoch != "" {
		p.tag("Epoch", p.epoch)
	}
	p.tag("Version", p.version)
	p.macroTag("Release", p.release+"%{?dist}")
	p.tag("Summary", p.summary)
	p.tag("License", p.license)
	if p.in.URL != "" {
		p.tag("URL", p.in.URL)
	}
	if p.in.Wheel {
		p.lines("# Built from a wheel: what is in it was made by others, and is unpacked here.")
	}
	p.tag("Source0", p.in.Facts.Archive)
	if len(p.sources) > 1 && p.sources[1] == sdist.DriverName {
		p.tag("Source1", p.sources[1])
	}
	if name := p.crateSource(); name != "" {
		p.tag(fmt.Sprintf("Source%d", p.crateNumber()), name)
	}
	if p.in.PatchWhy != "" && len(p.in.Patches) > 0 {
		p.lines("# Patch0 was made by ReqPM: " + escape(plain(p.in.PatchWhy, 400)))
	}
	for i, name := range p.in.Patches {
		p.tag(fmt.Sprintf("Patch%d", i), name)
	}
	if p.noarch {
		p.tag("BuildArch", "noarch")
	}
	p.lines("")
	for _, d := range p.buildReq {
		p.macroTag("BuildRequires", d)
	}
	p.dependencyTags()
}

// generator steers rpm's Python dependency generator.
func (p *page) generator() {
	// Where it runs, its options are the build root's business (builder/chroot gives
	// Debian's the ones EL has: PEP 503 names, dependencies on extras).
	if p.t.Kind == target.Host && !p.t.RPM.GeneratesRequires {
		p.lines("# rpm's Python dependency generator does not run on this host: Provides and Requires are written below.",
			"%global __pythondist_path ^$")
	}
	if len(p.exclude)+len(p.in.Said.DropRequires) > 0 {
		names := make([]string, len(p.exclude))
		for i, n := range p.exclude {
			names[i] = regexEscape.Replace(n)
		}
		for _, n := range p.in.Said.DropRequires { // RPM names, of which one may begin like another
			names = append(names, regexEscape.Replace(n)+"( |$)")
		}
		why := "The generator turns \"not 1.2.*\" into an expression that refuses 1.3, too; written below instead."
		if len(p.in.Overridden)+len(p.in.Said.DropRequires) > 0 {
			why = "These are overridden, or the generator gets them wrong; they are written below instead."
		}
		p.lines("# "+why,
			"%global __requires_exclude ^[(]*("+strings.Join(names, "|")+")")
	}
}

// regexEscape quotes by brackets: backslashes would have to survive two readers.
var regexEscape = strings.NewReplacer(".", "[.]", "(", "[(]", ")", "[)]", "+", "[+]", "[", "[[]", "]", "[]]")

func (p *page) dependencyTags() {
	if p.t.RPM.GeneratesRequires {
		p.lines("# Requires and Provides come from rpm's generator, which reads the built metadata.")
	}
	for _, d := range slices.Concat(p.provides, p.bundled()) {
		p.tag("Provides", d)
	}
	for _, d := range p.requires {
		p.tag("Requires", d)
	}
	for _, d := range p.conflicts {
		p.tag("Conflicts", d)
	}
}

func (p *page) describe() {
	p.lines("", "%description", escape(description(p.in.Summary, p.in.Metadata.Name)))
	for _, e := range p.extras {
		p.lines("", "%package -n %{name}+"+e.name)
		p.tag("Summary", cut("What "+p.in.Metadata.Name+" needs for its extra "+e.name, maxSummary))
		p.macroTag("Requires", "%{name} = %{?epoch:%{epoch}:}%{version}-%{release}")
		for _, d := range e.provides {
			p.tag("Provides", d)
		}
		for _, d := range e.requires {
			p.tag("Requires", d)
		}
		for _, d := range e.conflicts {
			p.tag("Conflicts", d)
		}
		p.lines("", "%description -n %{name}+"+e.name,
			"This package pulls in what "+p.in.Metadata.Name+" needs for its extra "+e.name+".",
			"It holds no files of its own.")
	}
}

func (p *page) prep() {
	if p.in.Wheel {
		why := plain(p.in.WheelWhy, 200)
		if why == "" {
			why = "its index has no source distribution of it"
		}
		p.lines("", "%prep", "# This package was not built from source: "+escape(why)+".", "%setup -q -c -T")
		return
	}
	unpack := p.autosetup() + " -n " + p.in.Facts.TopDir
	if p.crateSource() != "" {
		unpack += fmt.Sprintf(" -a %d", p.crateNumber())
	}
	p.lines("", "%prep", unpack)
	p.prepCrates()
	p.applyPatches()
	p.fixShebangs()
}

// fixShebangs makes scripts say which Python they are for; rpm's own check of EL8 and later refuses an
// unversioned one, and elsewhere there may be none to start.
func (p *page) fixShebangs() {
	var files []string
	for _, name := range p.in.Facts.UnclearShebangs {
		if plainPath.MatchString(name) {
			files = append(files, name)
		} else {
			p.warn("script %.80q asks for python without a version, and has a name that cannot be written into a spec file", name)
		}
	}
	if len(files) > 0 {
		p.lines(`sed -i -E '1s@^#.*[/ \t]python([ \t][^\r]*)?\r?$@#!%{__python3}\1@' \`, "    "+strings.Join(files, " \\\n    "))
	}
}

// exports writes the build's environment; files has checked that no value needs
// more than quotes.
func (p *page) exports() {
	p.exportEpoch()
	for _, e := range p.in.Env {
		name, value, _ := strings.Cut(e, "=")
		p.lines("export " + name + "='" + value + "'")
	}
	p.cargoExports()
	p.saidExports()
}

// exportEpoch sets what rpm sets by itself from 4.14 on.
func (p *page) exportEpoch() {
	if p.t.RPM.Style == target.StyleSetupPy {
		p.lines(fmt.Sprintf("export SOURCE_DATE_EPOCH=%d", p.epochSeconds()))
	}
}

func (p *page) extraFiles() {
	for _, e := range p.extras {
		p.lines("", "%files -n %{name}+"+e.name)
		if e.ghost {
			p.lines("%ghost %{_prefix}/lib*/python" + p.t.Python.Minor() + "/site-packages/*.dist-info")
		}
	}
}

// flags exports the compiler's options, which macros before EL10 do not do by themselves.
func (p *page) flags() {
	if p.noarch {
		return
	}
	p.lines("%{?set_build_flags}",
		`export CFLAGS="${CFLAGS:-%{optflags}}"`,
		`export CXXFLAGS="${CXXFLAGS:-%{optflags}}"`,
		`export LDFLAGS="${LDFLAGS:-%{?build_ldflags}}"`)
}

// pyproject is the body for releases with the %pyproject macros (EL9, EL10).
func (p *page) pyproject() {
	p.header()
	p.describe()
	p.prep()
	p.lines("",
		"%generate_buildrequires",
		"# -R: what the package needs to run is left out, so that builds have no run-time cycles;",
		"# that it imports is proven on the installed set.",
	)
	p.exports()
	p.lines("%pyproject_buildrequires -R"+p.in.Said.macroSettings(), "", "%build")
	p.exports()
	p.lines("%pyproject_wheel"+p.in.Said.macroSettings(),
		"",
		"%install",
		"%pyproject_install",
		"# A package without any module needs -M here (macros 1.17 and later) or ReqPM's driver style.",
		"%pyproject_save_files '*' +auto")
	p.checks()
	p.lines("", "%files -f %{pyproject_files}")
	p.extraFiles()
}

// driver is the body that needs nothing of the target but rpm and Python: ReqPM's own
// PEP 517 driver builds, installs and lists the files.
func (p *page) driver() {
	p.header()
	p.describe()
	p.prep()
	p.lines("", "%build")
	p.exports()
	p.flags()
	install := []string{
		"%{__python3} %{SOURCE1} install .reqpm-dist/*.whl --root %{buildroot} --prefix %{_prefix} --python %{__python3}",
		"    --sitelib " + p.t.Python.Sitelib + " --sitearch " + p.t.Python.Sitearch,
		"    --license-dir %{_datadir}/licenses/%{name} --files reqpm-files.list",
	}
	if p.noarch {
		install[2] += " --noarch"
	}
	if p.t.Kind != target.Host && p.t.RPM.Style != target.StyleSetupPy {
		install[2] += " --no-compile" // brp-python-bytecompile does that
	}
	if p.in.Wheel {
		p.lines("mkdir .reqpm-dist && cp -p %{SOURCE0} .reqpm-dist/", "", "%install", strings.Join(install, " \\\n"))
		p.checks()
		p.lines("", "%files -f reqpm-files.list")
		p.extraFiles()
		return
	}
	p.lines("# --expect: a backend too old for the metadata builds UNKNOWN-0.0.0 and calls it a success.",
		"%{__python3} %{SOURCE1} wheel .reqpm-dist --expect '%{pypi_name}' '%{pypi_version}'"+p.in.Said.driverSettings(),
		"",
		"%install")
	p.exportEpoch()
	p.lines(strings.Join(install, " \\\n"))
	p.checks()
	p.lines("", "%files -f reqpm-files.list")
	p.extraFiles()
}
