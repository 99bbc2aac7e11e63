package pipeline

import (
	"context"
	"slices"

	"reqpm/internal/diagnose"
	"reqpm/internal/native"
	"reqpm/internal/override"
	"reqpm/internal/sdist"
	"reqpm/internal/target"
)

// A log names what is missing as a compiler, a linker or pkg-config sees it: a header, a library, a module.
// Which package brings that is asked of the table of package native and of those who would have to have
// it: the target's repositories, or this machine's apt. The log's word itself never becomes a
// dependency unless the repositories answered to it.

// nativeDeps are the RPM dependencies that bring what a change names; none where nobody is known to have it, or where
// the build has it already. They are an override's words for it, on a machine of Debian's kind too.
func (p *Pipeline) nativeDeps(ctx context.Context, b *pkgBuild, c diagnose.Change) []override.Dependency {
	kind, name := c.Need()
	ask := p.repositoriesHave
	if p.cfg.Target.Kind != target.DNF {
		ask = p.aptHas
	}
	for _, n := range native.Named(clue(kind, name)) {
		deps := n.Words()
		if p.cfg.Target.Kind == target.DNF {
			deps = n.BuildRequires(p.cfg.Target)
		}
		if p.hasNative(b, n, deps) {
			return nil // and still missed: more of the same is no help
		}
		if ask(ctx, n, deps) {
			return rpmDependencies(deps)
		}
	}
	if p.cfg.Target.Kind != target.DNF {
		return nil
	}
	where, byName := capability(kind, name)
	known, sure, err := p.repositoriesKnow(ctx, []string{where})
	rpm, has := known[where]
	if err != nil || !sure || !has {
		return nil
	}
	deps := []string{where}
	if byName {
		deps = []string{rpm.Name}
	}
	if p.hasNative(b, native.Need{}, deps) {
		return nil
	}
	return rpmDependencies(deps)
}

// rpmDependencies are dependencies as overrides have them, nil when one is none.
func rpmDependencies(texts []string) []override.Dependency {
	var list []override.Dependency
	for _, text := range texts {
		d, err := override.ParseDependency("rpm:" + text)
		if err != nil {
			return nil
		}
		list = append(list, d)
	}
	return list
}

// hasNative tells whether the build of b gets a need already.
func (p *Pipeline) hasNative(b *pkgBuild, n native.Need, deps []string) bool {
	rpms, needs := p.saidBuildRPMs(b.name)
	if slices.ContainsFunc(needs, func(have native.Need) bool { return have.Name == n.Name }) {
		return true
	}
	debian, _ := n.Debian()
	for _, d := range b.outside.debs {
		if slices.Contains(debian, d.Name) {
			return true
		}
	}
	have := slices.Concat(rpms, b.outside.requires)
	return len(deps) > 0 && !slices.ContainsFunc(deps, func(d string) bool { return !slices.Contains(have, d) })
}

// repositoriesHave tells whether the target's repositories say that they have all of deps.
func (p *Pipeline) repositoriesHave(ctx context.Context, _ native.Need, deps []string) bool {
	known, sure, err := p.repositoriesKnow(ctx, deps)
	return err == nil && sure && len(deps) > 0 && len(known) == len(deps)
}

// aptHas tells whether this machine lacks a need and apt has a package of it.
func (p *Pipeline) aptHas(ctx context.Context, n native.Need, _ []string) bool {
	if p.cfg.System == nil || p.cfg.NoSystemPackages {
		return false
	}
	installed, err := p.system.installed()
	if err != nil || met(n, installed) {
		return false
	}
	debian, _ := n.Debian()
	have, err := p.cfg.System.Candidates(ctx, debian)
	return err == nil && len(have) > 0
}

// clue is a name in the terms of a source's facts.
func clue(kind diagnose.NeedKind, name string) (e sdist.External) {
	list := []string{name}
	switch kind {
	case diagnose.Header:
		e.Headers = list
	case diagnose.Library:
		e.Libraries = list
	case diagnose.Program:
		e.Programs = list
	case diagnose.PkgConfig:
		e.PkgConfigs = list
	case diagnose.CMakeName:
		e.CMake = list
	}
	return e
}

// capability is what an RPM with something native provides on EL. With byName a spec had better ask for that RPM by
// its name: dnf does not read the lists of all files for a build.
func capability(kind diagnose.NeedKind, name string) (provide string, byName bool) {
	switch kind {
	case diagnose.Header:
		return "/usr/include/" + name, true
	case diagnose.Library:
		return "/usr/lib64/lib" + name + ".so", true
	case diagnose.Program:
		return "/usr/bin/" + name, false
	case diagnose.CMakeName:
		return "cmake(" + name + ")", false
	}
	return "pkgconfig(" + name + ")", false
}
