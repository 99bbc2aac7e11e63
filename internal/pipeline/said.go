package pipeline

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"reqpm/internal/builder"
	"reqpm/internal/index"
	"reqpm/internal/native"
	"reqpm/internal/override"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/plan"
	"reqpm/internal/sdist"
	"reqpm/internal/solve"
	"reqpm/internal/spec"
	"reqpm/internal/target"
)

// What people say of packages (package override) is asked for here, by the stages that it changes.

// readSaid reads the overrides of a checkout.
func (p *Pipeline) readSaid(tree fs.FS) (override.Set, error) {
	result, err := override.Read(override.Source{FS: tree})
	for _, problem := range result.Problems {
		if problem.Severity == override.Warning {
			p.warn("analyze", problem.String())
		}
	}
	if result.Targets != nil {
		p.warn("analyze", result.TargetsFile+": [targets] of a project is not read: name the file with --config, or put it into your own reqpm.toml")
	}
	return result.Set, err
}

// heed makes what a project says part of the run. What the command line and its folders say goes
// before it (override.Place), and what is said of the configuration is added to that.
func (p *Pipeline) heed(project override.Set) {
	p.words = project.And(p.cfg.Said)
	name := p.cfg.Target.Name
	d := &p.cfg.Distribution
	d.Packages = maps.Clone(d.Packages)
	for _, pkg := range p.words.Names(name) {
		e := p.said(pkg)
		if e.AllowsWheel() && !slices.Contains(p.cfg.AllowWheel, pkg) {
			p.cfg.AllowWheel = append(slices.Clip(p.cfg.AllowWheel), pkg)
		}
		own := p.words.ByName().For(pkg, pep440.Version{}, name)
		if _, chosen := d.Packages[pkg]; !chosen && own.ChangesBuild() {
			if d.Packages == nil {
				d.Packages = map[string]Policy{}
			}
			d.Packages[pkg] = NeverReuse // the distribution's package is another one
		}
	}
}

// said is what people say of a package (PEP 503), without the patches that are for some versions.
func (p *Pipeline) said(name string) override.Effective {
	return p.heard().For(name, pep440.Version{}, p.cfg.Target.Name)
}

// saidOf is said with the patches for one version.
func (p *Pipeline) saidOf(name, version string) override.Effective {
	v, _ := pep440.Parse(version) // versions of builds are parsed ones
	return p.heard().For(name, v, p.cfg.Target.Name)
}

// saidVersions are the versions that people restrict, as constraints.
func (p *Pipeline) saidVersions() []solve.Root {
	var roots []solve.Root
	for _, v := range p.words.Versions(p.cfg.Target.Name) {
		spec, err := pep440.ParseSpecifiers(v.Specifiers)
		if err != nil {
			continue // read and checked
		}
		roots = append(roots, solve.Root{Req: pep508.Requirement{Name: v.Package, Specifiers: spec}, Constraint: true,
			Origin: solve.Origin{File: v.At.File, Line: v.At.Line, Text: v.Package + v.Specifiers}})
	}
	return roots
}

// saidRequires is what a package requires to run when people were heard.
func (p *Pipeline) saidRequires(name string, reqs []pep508.Requirement) []pep508.Requirement {
	e := p.said(name)
	if len(e.Requires)+len(e.DropRequires) == 0 {
		return reqs
	}
	added, _ := e.Added()
	return append(without(reqs, e.DropRequires), added...)
}

// without leaves out the requirements that are dropped by name.
func without(reqs []pep508.Requirement, dropped []override.Dependency) []pep508.Requirement {
	return slices.DeleteFunc(slices.Clone(reqs), func(r pep508.Requirement) bool { return override.Drops(dropped, r.Key()) })
}

// saidOverridden are the names whose requirements are people's and not the built metadata's.
func (p *Pipeline) saidOverridden(name string) []string {
	e := p.said(name)
	var names []string
	added, _ := e.Added()
	for _, r := range added {
		names = append(names, r.Key())
	}
	for _, d := range e.DropRequires {
		if d.RPM == "" {
			names = append(names, d.Key())
		}
	}
	return names
}

// saidBuild is what the build of a package declares when people were heard. Markers are still there.
func (p *Pipeline) saidBuild(name string, reqs []pep508.Requirement) []pep508.Requirement {
	e := p.said(name)
	added, _ := e.AddedBuild()
	return append(without(reqs, e.DropBuildRequires), added...)
}

// saidBuildRPMs are the RPM dependencies that people add to the build of a package. A machine of Debian's kind has no
// RPM of a library's development files: there, needs are what the table of libraries takes a dependency
// for, and rpms the others.
func (p *Pipeline) saidBuildRPMs(name string) (rpms []string, needs []native.Need) {
	e := p.said(name)
	_, rpms = e.AddedBuild()
	if p.cfg.Target.Kind == target.DNF || p.cfg.System == nil {
		return rpms, nil
	}
	rpms = slices.DeleteFunc(rpms, func(dep string) bool {
		n, ok := native.Meant(dep)
		if ok && !slices.ContainsFunc(needs, func(have native.Need) bool { return have.Name == n.Name }) {
			needs = append(needs, n)
		}
		return ok
	})
	return rpms, needs
}

// askedBuild is what is heeded of what a build backend asks for.
func (p *Pipeline) askedBuild(name string, reqs []pep508.Requirement) []pep508.Requirement {
	return without(reqs, p.said(name).DropBuildRequires)
}

// saidEnv is the environment that people want, sorted.
func saidEnv(e override.Effective) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		list = append(list, name+"="+e.Env[name])
	}
	return list
}

// hear gives a build backend's questions what people say of its package.
func (p *Pipeline) hear(name string, env sdist.HookEnv) sdist.HookEnv {
	e := p.said(name)
	env.Env = append(slices.Clip(env.Env), saidEnv(e)...)
	for _, key := range slices.Sorted(maps.Keys(e.ConfigSettings)) {
		for _, value := range e.ConfigSettings[key] {
			env.Settings = append(env.Settings, key+"="+value)
		}
	}
	return env
}

// saidKey tells answers of a backend apart by what people say to it; "" when that is nothing.
func (p *Pipeline) saidKey(name string) string {
	e := p.said(name)
	if len(e.Env)+len(e.ConfigSettings)+len(e.BuildRequires)+len(e.DropBuildRequires) == 0 {
		return ""
	}
	heard := p.hear(name, sdist.HookEnv{})
	return "-" + digest([]any{heard.Env, heard.Settings, fmt.Sprint(e.BuildRequires), fmt.Sprint(e.DropBuildRequires)})
}

// saySpec puts what people say of b into its spec.
func (p *Pipeline) saySpec(in *spec.Input, b *pkgBuild) {
	e := p.saidOf(b.name, b.version)
	in.Overridden = slices.Concat(in.Overridden, p.saidOverridden(b.name))
	build, _ := p.saidBuildRPMs(b.name)
	_, run := e.Added()
	in.ExtraBuildRequires = append(in.ExtraBuildRequires, build...)
	if b.file.Kind == index.Wheel { // unpacked: nothing is patched or built
		e.Patches, e.Env, e.ConfigSettings = nil, nil, nil
	}
	in.Said = spec.Said{
		Env: e.Env, ConfigSettings: e.ConfigSettings, Bconds: e.Bconds, Commands: e.Commands(), Requires: run, Strip: map[string]int{},
		DropBuildRequires: override.DropsRPM(e.DropBuildRequires), DropRequires: override.DropsRPM(e.DropRequires),
	}
	if in.Target.RPM.Style == target.StylePyproject && len(without(b.record.Sdist.Requires, e.DropBuildRequires)) < len(b.record.Sdist.Requires) {
		in.Style = target.StyleDriver // the macros read pyproject.toml, and ask for what it says
	}
	for _, patch := range e.Patches {
		in.Patches = append(in.Patches, patch.Name)
		in.Said.Strip[patch.Name] = patch.Strip
	}
	for _, entry := range e.Entries() {
		key, _, _ := strings.Cut(entry.Key, ".")
		if changesSpec[key] && !slices.Contains(in.Said.Keys, key) {
			in.Said.Keys = append(in.Said.Keys, key)
		}
	}
}

// changesSpec are the keys of overrides that the text of a spec shows.
var changesSpec = map[string]bool{
	"build-requires": true, "drop-build-requires": true, "requires": true, "drop-requires": true,
	"env": true, "patches": true, "config-settings": true, "bconds": true, "checks": true,
}

// saidPatches are the patches of b as sources.
func (p *Pipeline) saidPatches(b *pkgBuild) []sourceFile {
	var files []sourceFile
	for _, patch := range p.saidOf(b.name, b.version).Patches {
		files = append(files, sourceFile{name: patch.Name, data: patch.Text, sha256: patch.SHA256})
	}
	return files
}

// ownSpec is the spec file that people want for b, as it is but for their build conditions on top; ok is false when
// there is none. It is parsed in the build root only.
func (p *Pipeline) ownSpec(b *pkgBuild) (out spec.Output, ok bool, err error) {
	e := p.saidOf(b.name, b.version)
	if e.Spec == nil {
		return out, false, nil
	}
	lines, err := spec.BcondLines(e.Bconds)
	if err != nil {
		return out, false, err
	}
	out.FileName = e.Spec.Name
	out.Text = strings.Join(append(lines, string(e.Spec.Text)), "\n")
	out.Sources = []string{b.file.Filename}
	for _, patch := range e.Patches {
		out.Sources = append(out.Sources, patch.Name)
	}
	if strings.Contains(out.Text, sdist.DriverName) {
		out.Sources = append(out.Sources, sdist.DriverName)
	}
	return out, true, nil
}

// saidLimits are the limits of the build of b.
func (p *Pipeline) saidLimits(b *pkgBuild) builder.Limits {
	limits := p.cfg.Limits
	if e := p.said(b.name); e.Memory > 0 {
		limits.MemoryBytes = e.Memory
	}
	return limits
}

// saidModules are what the proof imports of a package that has these top-level modules; ok is false when people want
// none of it imported.
func (p *Pipeline) saidModules(name string, top []string) (modules []string, ok bool) {
	e := p.said(name)
	switch {
	case !e.Imports():
		return nil, false
	case e.Checks.Modules != nil:
		return e.Checks.Modules, true
	}
	return top, true
}

// overridesOf are the notes of what people say of one package, for a plan.
func (p *Pipeline) overridesOf(name, version string) []plan.Override {
	var list []plan.Override
	e := p.saidOf(name, version)
	for _, entry := range e.Entries() {
		list = append(list, plan.Override{Key: entry.Key, Text: entry.Text, File: entry.File, Line: entry.Line})
	}
	return list
}

// unheard warns of what the project says of packages that the plan does not have.
func (p *Pipeline) unheard(builds map[plan.ID]*pkgBuild) {
	known := map[string]bool{}
	for _, b := range builds {
		known[b.name] = true
	}
	about := p.words.Names(p.cfg.Target.Name)
	for _, l := range p.words.Layers() {
		if (l.Place == override.Project || l.Place == override.ProjectFile) && slices.Contains(about, l.Package) && !known[l.Package] {
			known[l.Package] = true // said once
			p.warn("plan", fmt.Sprintf("%s is about %s, which is neither in the set nor a build tool of it", l.At, l.Package))
		}
	}
}

// allowsPure tells whether people accept a package without its compiled parts.
func (p *Pipeline) allowsPure(name string) bool {
	e := p.said(name)
	return e.AllowsPure()
}
