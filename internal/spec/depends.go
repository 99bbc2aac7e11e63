package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/rpmname"
	"reqpm/internal/target"
)

// Numbers of dependencies one package may have; real ones stay far below.
const (
	maxRequires = 2000
	maxExtras   = 200
)

// buildRequires decides the static BuildRequires.
func (p *page) buildRequires() error {
	var list []string
	if p.t.Kind == target.Host {
		list = append(list, p.t.Python.Executable)
	} else {
		list = append(list, "python%{python3_pkgversion}-devel")
		switch {
		case p.style == target.StylePyproject:
			list = append(list, "pyproject-rpm-macros") // RHEL's python3-devel does not pull it
		case len(p.t.MacroPackages()) > 0 && p.t.RPM.Style == target.StyleDriver:
			list = append(list, "python%{python3_pkgversion}-rpm-macros") // EL8: a package of its own
		}
	}
	if !p.noarch {
		list = append(list, p.compilers()...)
	}
	if p.style != target.StylePyproject {
		// The pyproject macros find these by themselves, in the build root.
		if len(p.in.BuildRequires) > maxRequires {
			return fmt.Errorf("%d build requirements", len(p.in.BuildRequires))
		}
		needed := p.in.BuildRequires
		if p.style == target.StyleSetupPy {
			list = append(list, "python%{python3_pkgversion}-setuptools")
			needed = withoutLegacyTools(needed)
		}
		var err error
		if list, err = p.expressions(list, needed); err != nil {
			return fmt.Errorf("build requirement: %w", err)
		}
	}
	for _, d := range p.in.ExtraBuildRequires {
		if !rpmname.ValidDependency(d) {
			return fmt.Errorf("build requirement %.80q is not an RPM dependency", d)
		}
		list = append(list, d)
	}
	p.buildReq = kept(unique(list), p.in.Said.DropBuildRequires)
	return nil
}

// compilers are the tools the facts call for. On a host the paths are asked for: that is
// what every distribution's package provides alike.
func (p *page) compilers() []string {
	n := p.in.Facts.Native
	tools := []struct {
		wanted     bool
		host, name string
	}{
		{true, "/usr/bin/gcc", "gcc"},
		{n.CXX, "/usr/bin/g++", "gcc-c++"},
		{n.Fortran, "/usr/bin/gfortran", "gcc-gfortran"},
	}
	var out []string
	for _, t := range tools {
		switch {
		case !t.wanted:
		case p.t.Kind == target.Host:
			out = append(out, t.host)
		default:
			out = append(out, t.name)
		}
	}
	if n.Rust {
		out = append(out, p.rustTools()...)
	}
	return out
}

// dependencies decides what of Provides and Requires is written and what is left to rpm's
// generator, which reads the built wheel and so knows better.
func (p *page) dependencies(version pep440.Version) error {
	if len(p.in.Metadata.RequiresDist) > maxRequires {
		return fmt.Errorf("%d requirements", len(p.in.Metadata.RequiresDist))
	}
	for _, bad := range p.in.Metadata.BadRequires {
		p.warn("requirement %.80q cannot be read and is left out", bad)
	}
	generated := p.t.RPM.GeneratesRequires
	if !generated {
		p.provides = p.distProvides(version, "")
		p.requires = append(p.requires, "python(abi) = "+p.t.Python.Minor())
	}
	env := p.t.Env()
	var active []pep508.Requirement
	for _, r := range p.in.Metadata.RequiresDist {
		if r.Marker.Eval(env, "") {
			active = append(active, r)
		}
	}
	if generated {
		active = p.replaced(active)
	}
	p.conflicts = p.conflictsOf(active)
	var err error
	if p.requires, err = p.expressions(p.requires, active); err != nil {
		return err
	}
	p.requires = unique(append(kept(p.requires, p.in.Said.DropRequires), p.in.Said.Requires...))
	return nil
}

// conflictsOf are the versions that reqs rule out, where requirements cannot say it (EL7).
func (p *page) conflictsOf(reqs []pep508.Requirement) []string {
	var out []string
	for _, r := range reqs {
		out = append(out, rpmname.Conflicts(p.t, r)...)
	}
	return unique(out)
}

// replaced returns the requirements that the generator gets wrong or that were overridden, with all others on the
// same projects (it merges them), and has its expressions dropped.
func (p *page) replaced(reqs []pep508.Requirement) []pep508.Requirement {
	wrong := map[string]bool{}
	for _, r := range reqs {
		if rpmname.GeneratorWrong(r) || slices.Contains(p.in.Overridden, r.Key()) {
			wrong[r.Key()] = true
		}
	}
	out := slices.DeleteFunc(slices.Clone(reqs), func(r pep508.Requirement) bool { return !wrong[r.Key()] })
	for _, r := range out {
		names := []string{rpmname.Dist(p.t, r.Name)}
		for _, e := range r.Extras {
			names = append(names, rpmname.Dist(p.t, r.Name, e))
		}
		p.exclude = unique(append(p.exclude, names...))
	}
	for _, name := range p.in.Overridden { // also one that is left out altogether
		p.exclude = unique(append(p.exclude, rpmname.Dist(p.t, name)))
	}
	return out
}

// expressions appends what reqs are in rpm's language to list.
func (p *page) expressions(list []string, reqs []pep508.Requirement) ([]string, error) {
	for _, r := range reqs {
		lines, err := rpmname.Requires(p.t, r)
		if err != nil {
			return nil, err
		}
		list = append(list, lines...)
	}
	return unique(list), nil
}

// distProvides are the names a package (or one extra of it) is required by: PEP 503, the
// older form with dots, and python3dist() for the release's main Python.
func (p *page) distProvides(version pep440.Version, extra string) []string {
	keys := []string{p.key}
	if legacy := legacyKey(p.in.Metadata.Name); legacy != p.key {
		keys = append(keys, legacy)
	}
	prefixes := []string{"python" + p.t.Python.Minor() + "dist"}
	if p.t.Kind == target.Host || p.t.Python.Default {
		prefixes = append(prefixes, "python3dist")
	}
	var suffixes []string
	switch {
	case extra == "":
		suffixes = []string{""}
	case strings.Contains(extra, "-"):
		// Generators write an extra as the requirement spells it.
		suffixes = []string{"[" + extra + "]", "[" + strings.ReplaceAll(extra, "-", "_") + "]"}
	default:
		suffixes = []string{"[" + extra + "]"}
	}
	var out []string
	for _, prefix := range prefixes {
		for _, key := range keys {
			for _, s := range suffixes {
				out = append(out, prefix+"("+key+s+") = "+rpmname.Provided(p.t, version))
			}
		}
	}
	return out
}

var separators = regexp.MustCompile(`[-_]+`)

// legacyKey keeps dots, as pkg_resources and generators before EL10 do.
func legacyKey(name string) string {
	return separators.ReplaceAllString(strings.ToLower(name), "-")
}

// extraPages decides the sub-packages for extras.
func (p *page) extraPages(version pep440.Version) error {
	if len(p.in.Extras) > maxExtras {
		return fmt.Errorf("%d extras", len(p.in.Extras))
	}
	for _, e := range p.in.Extras {
		if err := checked(projectRE, "extra", e.Name); err != nil {
			return err
		}
		name := pep508.NormalizeName(e.Name)
		if slices.ContainsFunc(p.extras, func(x extraPage) bool { return x.name == name }) {
			continue
		}
		x := extraPage{name: name, provides: p.distProvides(version, name)}
		// The generator looks the extra up by the package's name and fails when the
		// metadata spells it otherwise, which only names of one word rule out.
		x.ghost = !p.t.RPM.GeneratesRequires || !strings.Contains(name, "-")
		if p.t.RPM.GeneratesRequires {
			p.replaced(e.Requires) // written below in any case; the generator's go
		}
		var err error
		if x.requires, err = p.expressions(nil, e.Requires); err != nil {
			return fmt.Errorf("extra %s: %w", name, err)
		}
		x.conflicts = p.conflictsOf(e.Requires)
		p.extras = append(p.extras, x)
	}
	return nil
}

// ExtraRequires are the requirements that extra adds to a package on a target: those
// whose marker holds with the extra and not without it.
func ExtraRequires(reqs []pep508.Requirement, env pep508.Environment, extra string) []pep508.Requirement {
	var out []pep508.Requirement
	for _, r := range reqs {
		if r.Marker != nil && r.Marker.Eval(env, extra) && !r.Marker.Eval(env, "") {
			out = append(out, r)
		}
	}
	return out
}

func unique(list []string) []string {
	var out []string
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
