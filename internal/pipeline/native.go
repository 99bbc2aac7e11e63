package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"reqpm/internal/apt"
	"reqpm/internal/builder"
	"reqpm/internal/distro"
	"reqpm/internal/native"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/plan"
	"reqpm/internal/sdist"
	"reqpm/internal/target"
)

// Libraries and tools outside of Python. What a build needs of them is read from its source and
// the table of package native. For a target with repositories it becomes BuildRequires, and dnf
// brings it; for target local on Debian the same need is met by apt, in a layer of the build's own.

// SystemPackages finds and downloads packages of this machine's own distribution; *apt.Client is
// one. Safe for concurrent use.
type SystemPackages interface {
	// Candidates are the versions that could be had, by name.
	Candidates(ctx context.Context, names []string) (map[string]string, error)
	// Resolve says what would have to be added to the machine for all of names to be there.
	Resolve(ctx context.Context, names []string) ([]apt.Package, error)
	// Fetch downloads packages and returns their files in the same order.
	Fetch(ctx context.Context, list []apt.Package) ([]string, error)
}

// knower is a distro.Provider that can be asked for any RPM dependency.
type knower interface {
	Knows(ctx context.Context, t target.Target, deps []string) (map[string]distro.RPM, error)
}

// outside is what one build needs outside of Python, and where it comes from.
type outside struct {
	requires []string      // BuildRequires
	debs     []apt.Package // of the machine's distribution, laid over it for this build
	notes    []string      // for people: what could not be had, and is done without
	question question      // what asking its build backend needs of this
}

// question is what a root must have for a backend to be asked in it.
type question struct {
	debs    []apt.Package
	install []string // RPM dependencies
}

// systemNeeds remembers what was asked of the distribution in a run.
type systemNeeds struct {
	installed func() (map[string]string, error)

	mu    sync.Mutex
	known map[string]distro.RPM // of a target's repositories, by dependency; zero: nobody provides it
	deaf  bool                  // they do not answer
}

func newSystemNeeds() *systemNeeds {
	return &systemNeeds{installed: sync.OnceValues(apt.Installed), known: map[string]distro.RPM{}}
}

// outsideOf decides what the build of a package gets besides Python packages; asked are the programs that
// its build backend wants. A required need that the machine's distribution cannot meet is an
// error; everything else is noted.
func (p *Pipeline) outsideOf(ctx context.Context, name string, record sdistRecord, asked ...native.Need) (outside, error) {
	return p.outsideFor(ctx, name, record, p.systemNeeds(ctx, name, record, asked))
}

// outsideOfQuestion is outsideOf for asking the build backend only: without compilers, which
// questions do not need. Where nothing else is needed nobody is asked: apt takes a second for it
// where the state directory is new, and resolving waits.
func (p *Pipeline) outsideOfQuestion(ctx context.Context, name string, record sdistRecord, asked ...native.Need) (outside, error) {
	needs := slices.DeleteFunc(p.systemNeeds(ctx, name, record, asked), func(n native.Need) bool { return !n.ForQuestions() })
	return p.outsideFor(ctx, name, record, needs)
}

// systemNeeds are what a build needs that is no Python package.
func (p *Pipeline) systemNeeds(ctx context.Context, name string, record sdistRecord, asked []native.Need) []native.Need {
	needs := native.Needs(name, record.Sdist)
	_, tools := p.systemTools(ctx, p.saidBuild(name, record.Sdist.Requires))
	for _, t := range append(tools, asked...) {
		needs = slices.DeleteFunc(needs, func(n native.Need) bool { return n.Name == t.Name })
		needs = append(needs, t)
	}
	_, said := p.saidBuildRPMs(name)
	for _, n := range said {
		needs = slices.DeleteFunc(needs, func(have native.Need) bool { return have.Name == n.Name })
		needs = append(needs, n)
	}
	return needs
}

func (p *Pipeline) outsideFor(ctx context.Context, name string, record sdistRecord, needs []native.Need) (outside, error) {
	switch {
	case p.cfg.Target.Kind == target.DNF:
		return p.outsideRPM(ctx, name, needs, native.Unknown(record.Sdist))
	case len(needs) == 0 || p.cfg.System == nil:
		return outside{}, nil
	}
	return p.outsideDebian(ctx, needs)
}

// outsideRPM writes needs as BuildRequires. What a build can do without is asked for only where the
// repositories are known to have it.
func (p *Pipeline) outsideRPM(ctx context.Context, name string, needs []native.Need, modules []string) (outside, error) {
	var out outside
	said, _ := p.saidBuildRPMs(name)
	if len(needs)+len(modules)+len(said) == 0 {
		return out, nil
	}
	t := p.cfg.Target
	var deps []string
	for _, n := range needs {
		deps = append(deps, n.BuildRequires(t)...)
	}
	for _, m := range modules {
		deps = append(deps, "pkgconfig("+m+")")
	}
	deps = append(deps, said...)
	known, sure, err := p.repositoriesKnow(ctx, deps)
	if err != nil {
		return out, err
	}
	add := func(list []string, required bool, what string) bool {
		for _, d := range list {
			_, has := known[d]
			switch {
			case sure && !has:
				if required {
					out.notes = append(out.notes, fmt.Sprintf("%s: no repository of %s provides %s; the build is tried without", what, t.Name, d))
				}
				return false
			case !sure && !required:
				return false
			}
		}
		out.requires = append(out.requires, list...)
		return true
	}
	for _, n := range needs {
		list := n.BuildRequires(t)
		if len(list) == 0 {
			if n.Required {
				out.notes = append(out.notes, fmt.Sprintf("%s: no package of %s is known to bring it; the build is tried without", n.Name, t.Name))
			}
			continue
		}
		if add(list, n.Required, n.Name) && sure && n.Tool && n.ForQuestions() {
			out.question.install = append(out.question.install, list...)
		}
	}
	for _, m := range modules {
		add([]string{"pkgconfig(" + m + ")"}, false, m)
	}
	for _, d := range said { // the spec has them from saySpec
		n, meant := native.Meant(d)
		if _, has := known[d]; sure && has && (!meant || n.ForQuestions()) {
			out.question.install = append(out.question.install, d)
		}
	}
	return out, nil
}

// repositoriesKnow asks the target's repositories which RPM each dependency would bring; sure is
// false when they do not answer.
func (p *Pipeline) repositoriesKnow(ctx context.Context, deps []string) (known map[string]distro.RPM, sure bool, err error) {
	k, ok := p.cfg.Distribution.Provider.(knower)
	s := p.system
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok || s.deaf {
		return nil, false, nil
	}
	var ask []string
	for _, d := range deps {
		if _, asked := s.known[d]; !asked {
			ask = append(ask, d)
		}
	}
	if len(ask) > 0 {
		answer, err := k.Knows(ctx, p.cfg.Target, ask)
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		if err != nil {
			s.deaf = true
			p.cfg.Log.Info("native", "repositories", err.Error())
			return nil, false, nil
		}
		for _, d := range ask {
			s.known[d] = answer[d]
		}
	}
	known = map[string]distro.RPM{}
	for _, d := range deps {
		if r := s.known[d]; r.Name != "" {
			known[d] = r
		}
	}
	return known, true, nil
}

// outsideDebian finds what the machine lacks, and the packages that bring it.
func (p *Pipeline) outsideDebian(ctx context.Context, needs []native.Need) (outside, error) {
	var out outside
	installed, err := p.system.installed()
	if err != nil {
		return out, err
	}
	var names []string
	for _, n := range needs {
		if debian, newest := n.Debian(); newest || !met(n, installed) {
			names = append(names, debian...)
		}
	}
	have := map[string]string{}
	if len(names) > 0 && !p.cfg.NoSystemPackages {
		if have, err = p.cfg.System.Candidates(ctx, names); err != nil {
			return out, fmt.Errorf("look for packages of this machine's distribution: %w", err)
		}
	}
	var required, wanted, questions []string
	for _, n := range needs {
		got, enough := choose(ctx, n, installed, have)
		switch {
		case enough:
		case got == "" && n.Required:
			return out, p.unmet(n)
		case got == "":
			if !n.Tool {
				out.notes = append(out.notes, fmt.Sprintf("%s (%s) is not on this machine: the build is tried without", n.Name, n.Why))
			}
			continue
		default:
			wanted = append(wanted, got)
			if n.Required {
				required = append(required, got)
			}
			if n.ForQuestions() {
				questions = append(questions, got)
			}
		}
		out.requires = append(out.requires, n.BuildRequires(p.cfg.Target)...)
	}
	if out.debs, err = p.cfg.System.Resolve(ctx, wanted); err != nil && errors.As(err, new(*apt.NoCandidateError)) && len(required) < len(wanted) {
		// What it can do without must not be in the way of what it needs.
		out.notes = append(out.notes, lastLine(err.Error())+": the build is tried without")
		out.requires = nil
		questions = slices.DeleteFunc(questions, func(q string) bool { return !slices.Contains(required, q) })
		out.debs, err = p.cfg.System.Resolve(ctx, required)
	}
	if err != nil {
		return out, err
	}
	if out.question.debs, err = p.cfg.System.Resolve(ctx, questions); err != nil {
		return out, err
	}
	return out, nil
}

// met tells whether the machine has what n is. A program counts by its file, since it may come from
// packages of other names; a library by its development package.
func met(n native.Need, installed map[string]string) bool {
	if programs := n.Programs(); programs != nil {
		return !slices.ContainsFunc(programs, func(name string) bool {
			_, err := os.Stat("/usr/bin/" + name)
			return err != nil
		})
	}
	debian, _ := n.Debian()
	return slices.ContainsFunc(debian, func(name string) bool { _, ok := installed[name]; return ok })
}

// choose is the package to fetch for n; enough: the machine's own does.
func choose(ctx context.Context, n native.Need, installed, candidates map[string]string) (name string, enough bool) {
	debian, newest := n.Debian()
	enough = met(n, installed)
	if enough && !newest {
		return "", true
	}
	offered := map[string]string{}
	for _, d := range debian {
		if v := candidates[d]; v != "" {
			if !newest {
				return d, false
			}
			offered[d] = v
		}
	}
	best := apt.Newest(ctx, offered)
	if !enough {
		return best, false
	}
	for _, d := range debian {
		if v := installed[d]; v != "" && (best == "" || !apt.Newer(ctx, offered[best], v)) {
			return "", true
		}
	}
	return best, best == ""
}

// unmet is the error of a need that nothing meets.
func (p *Pipeline) unmet(n native.Need) error {
	debian, _ := n.Debian()
	if p.cfg.NoSystemPackages {
		return fmt.Errorf("it needs %s (%s), which is not on this machine, and --no-distribution-packages forbids to fetch %s; run: apt-get install %s",
			n.Name, n.Why, debian[0], debian[0])
	}
	return fmt.Errorf("it needs %s (%s), which is not on this machine: %w", n.Name, n.Why, &apt.NoCandidateError{Names: debian})
}

// systemTools parts build requirements into those to be built, and those that the distribution's
// own program meets: a build of cmake from source takes longer than everything else, and whoever
// asks for the wheel only wants the program. Requirements whose markers do not hold are left out.
func (p *Pipeline) systemTools(ctx context.Context, reqs []pep508.Requirement) (rest []pep508.Requirement, tools []native.Need) {
	for _, r := range p.active(reqs) {
		n, ok := native.SystemTool(r.Key())
		if ok {
			v, found := p.toolVersion(ctx, n)
			if ok = found && r.URL == "" && r.Specifiers.Contains(v); ok {
				tools = append(tools, n)
				continue
			}
		}
		rest = append(rest, r)
	}
	return rest, tools
}

// toolVersion is the version of a program that builds would get of the distribution.
func (p *Pipeline) toolVersion(ctx context.Context, n native.Need) (pep440.Version, bool) {
	text := ""
	if p.cfg.Target.Kind == target.DNF {
		deps := n.BuildRequires(p.cfg.Target)
		known, sure, err := p.repositoriesKnow(ctx, deps)
		if err != nil || !sure || len(deps) != 1 {
			return pep440.Version{}, false
		}
		text = known[deps[0]].Version
	} else if p.cfg.System != nil {
		installed, err := p.system.installed()
		if err != nil {
			return pep440.Version{}, false
		}
		debian, _ := n.Debian()
		if met(n, installed) {
			text = installed[debian[0]]
		} else if !p.cfg.NoSystemPackages {
			have, err := p.cfg.System.Candidates(ctx, debian)
			if err != nil {
				return pep440.Version{}, false
			}
			text = have[debian[0]]
		}
	}
	if _, rest, ok := strings.Cut(text, ":"); ok {
		text = rest
	}
	text, _, _ = strings.Cut(text, "-")
	text, _, _ = strings.Cut(text, "+")
	v, err := pep440.Parse(text)
	return v, err == nil
}

// fetchDebs downloads packages of the distribution.
func (p *Pipeline) fetchDebs(ctx context.Context, list []apt.Package) ([]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	files, err := p.cfg.System.Fetch(ctx, list)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("packages of the distribution: %w", err)
	}
	return files, err
}

// debKeys name packages of the distribution in a content key.
func debKeys(list []apt.Package) []string {
	var keys []string
	for _, d := range list {
		keys = append(keys, "deb "+d.Name+" "+d.SHA256)
	}
	return keys
}

// fetched is what the plan says about packages of the distribution.
func fetched(list []apt.Package) []plan.Fetched {
	var out []plan.Fetched
	for _, d := range list {
		out = append(out, plan.Fetched{Name: d.Name, Version: d.Version, Bytes: d.Size})
	}
	return out
}

// questionRoot is a base in which a backend finds the tools and libraries of a build.
type questionRoot struct {
	sdist.Runner
	p     *Pipeline
	needs question
}

// Run implements sdist.Runner.
func (r questionRoot) Run(ctx context.Context, c builder.Command) error {
	debs, err := r.p.fetchDebs(ctx, r.needs.debs)
	if err != nil {
		return err
	}
	c.Debs, c.Install = debs, append(slices.Clone(c.Install), r.needs.install...)
	return r.Runner.Run(ctx, c)
}

// debRoot is a base root that packages of the machine's distribution can be laid over.
type debRoot interface {
	DebRPMs(ctx context.Context, debs []string) ([]string, error)
}

// runtimeDebs are the packages of the distribution that what was built needs to run: those with a
// library that a published RPM requires, and what they need in turn. rpms are the stand-ins of
// the first kind, to be published beside the set.
func (p *Pipeline) runtimeDebs(ctx context.Context, work *Work, outcomes map[plan.ID]*Outcome) (list []apt.Package, rpms []string, err error) {
	base, err := p.openBase(ctx)
	if err != nil {
		return nil, nil, err
	}
	root, ok := base.(debRoot)
	if !ok {
		return nil, nil, nil
	}
	names := map[string]bool{}
	for _, id := range work.Plan.Order() {
		b, o := work.builds[id], outcomes[id]
		if !o.Runtime || o.built == nil || len(b.outside.debs) == 0 {
			continue
		}
		files, err := p.fetchDebs(ctx, b.outside.debs)
		if err != nil {
			return nil, nil, err
		}
		standIns, err := root.DebRPMs(ctx, files)
		if err != nil {
			return nil, nil, err
		}
		needed, err := p.standInsNeeded(standIns, o.built)
		if err != nil {
			return nil, nil, err
		}
		for _, n := range needed {
			names[n] = true
		}
	}
	if len(names) == 0 {
		return nil, nil, nil
	}
	if list, err = p.cfg.System.Resolve(ctx, slices.Sorted(maps.Keys(names))); err != nil {
		return nil, nil, err
	}
	files, err := p.fetchDebs(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	all, err := root.DebRPMs(ctx, files)
	if err != nil {
		return nil, nil, err
	}
	for _, file := range all {
		r, err := readRPM(file, p.Target().Python)
		if err != nil {
			return nil, nil, err
		}
		if names[strings.TrimPrefix(r.Name, standInPrefix)] {
			rpms = append(rpms, file)
		}
	}
	return list, rpms, nil
}

// standInPrefix begins the names of RPMs that stand for packages of the distribution.
const standInPrefix = "reqpm-deb-"

// standInsNeeded names the packages whose stand-ins provide what the RPMs of a build require.
func (p *Pipeline) standInsNeeded(standIns []string, built *Built) ([]string, error) {
	wants := map[string]bool{}
	for _, r := range built.RPMs {
		list, err := rpmRequires(built.path(r))
		if err != nil {
			return nil, err
		}
		for _, dep := range list {
			wants[dep] = true
		}
	}
	var names []string
	for _, file := range standIns {
		r, err := readRPM(file, p.Target().Python)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(r.Provides, func(dep string) bool {
			dep, _, _ = strings.Cut(dep, " = ")
			return wants[dep]
		}) {
			names = append(names, strings.TrimPrefix(r.Name, standInPrefix))
		}
	}
	return names, nil
}
