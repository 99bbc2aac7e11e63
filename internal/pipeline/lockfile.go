package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"reqpm/internal/distro"
	"reqpm/internal/index"
	"reqpm/internal/lockfile"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/plan"
	"reqpm/internal/reqfile"
	"reqpm/internal/solve"
	"reqpm/internal/source"
)

// A lock is followed by leaving no choice: the solver sees exactly the versions of the lock, so that
// every requirement is checked again and none is decided; then what came out is held against the
// lock, to the last edge.

// LockError: a lock that is to be followed does not fit what is there.
type LockError struct{ Differences []string }

func (e *LockError) Error() string {
	const most = 20
	list := e.Differences
	more := ""
	if len(list) > most {
		more = fmt.Sprintf("\n  and %d more", len(list)-most)
		list = list[:most]
	}
	return "the lock does not fit:\n  " + strings.Join(list, "\n  ") + more + "\nMake it again with 'reqpm lock', or leave out --locked."
}

// followed is the lock's set for this pipeline's target, nil when there is none to follow.
func (p *Pipeline) followed() *lockfile.Target {
	if p.cfg.Locked == nil {
		return nil
	}
	return p.cfg.Locked.Target(p.cfg.Target.Name)
}

// fitsInputs holds what was read against what the lock was made from.
func (p *Pipeline) fitsInputs(prepared *Prepared) error {
	lock := p.cfg.Locked
	if lock == nil {
		return nil
	}
	t := p.followed()
	if t == nil {
		var names []string
		for _, t := range lock.Targets {
			names = append(names, t.Name)
		}
		return &LockError{[]string{fmt.Sprintf("it has no target %s, only %s", p.cfg.Target.Name, strings.Join(names, ", "))}}
	}
	var d []string
	if t.Python != p.cfg.Target.Python.Version {
		d = append(d, fmt.Sprintf("%s: it was made for Python %s, the target has %s", t.Name, t.Python, p.cfg.Target.Python.Version))
	}
	if t.Arch != p.cfg.Target.Arch {
		d = append(d, fmt.Sprintf("%s: it was made for %s, the target is %s", t.Name, t.Arch, p.cfg.Target.Arch))
	}
	in, err := prepared.Inputs()
	if err != nil {
		return err
	}
	if d = append(d, lockfile.DiffInputs(lock.Inputs, in)...); len(d) > 0 {
		return &LockError{d}
	}
	return nil
}

// Inputs are the files that were read and what the project says of itself, as a lock records them.
func (prep *Prepared) Inputs() (lockfile.Inputs, error) {
	in := lockfile.Inputs{}
	for _, name := range prep.Analysis.Set.Files {
		data, err := fs.ReadFile(prep.tree, name)
		if err != nil {
			return in, fmt.Errorf("read %s for the lock: %w", name, err)
		}
		sum := sha256.Sum256(data)
		in.Files = append(in.Files, lockfile.Input{Path: name, SHA256: hex.EncodeToString(sum[:])})
	}
	if pr := prep.Package; pr != nil {
		in.Project = lockedProject(pr)
	}
	return in, nil
}

// lockedProject is what of the project's metadata decides, in one spelling: whether its backend was asked or
// its pyproject.toml read (where nothing can be run) makes no difference. Its extras are no part of it, as
// they are not of what is resolved.
func lockedProject(pr *Project) *lockfile.Project {
	p := &lockfile.Project{Name: pr.Name, RequiresPython: pr.Meta.RequiresPython}
	if spec, err := pep440.ParseSpecifiers(p.RequiresPython); err == nil {
		p.RequiresPython = spec.String()
	}
	for _, r := range pr.Meta.RequiresDist {
		if !r.Marker.UsesExtra() {
			r.Name = r.Key()
			p.Requires = append(p.Requires, r.String())
		}
	}
	return p
}

// only shows the solver one version of each package. Its other answers are those of candidates.
type only struct {
	*candidates
	versions map[string]string // by PEP 503 name
}

// Candidates implements solve.Source. A version that was yanked since stays what it is: locked.
func (o only) Candidates(ctx context.Context, name string) ([]solve.Candidate, error) {
	version, ok := o.versions[name]
	if !ok {
		return nil, fmt.Errorf("%w in the lock: %s", solve.ErrNotFound, name)
	}
	list, err := o.candidates.Candidates(ctx, name)
	if err != nil && !errors.Is(err, solve.ErrNotFound) {
		return nil, err
	}
	for _, c := range list {
		if c.Version.String() == version {
			c.Yanked = false
			return []solve.Candidate{c}, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", solve.ErrFatal, &LockError{[]string{fmt.Sprintf("%s %s is not on the index any more", name, version)}})
}

// choices is what the solver may choose from for the set.
func (p *Pipeline) choices() solve.Source {
	t := p.followed()
	if t == nil {
		return p.from
	}
	versions := map[string]string{}
	for _, pkg := range t.Packages {
		versions[pkg.Name] = pkg.Version
	}
	return only{p.from, versions}
}

// toolChoices is what the solver may choose from for one build root, given its requirements as sorted
// texts. A lock made without a plan has no build roots: they are chosen as ever.
func (p *Pipeline) toolChoices(requires []string) (solve.Source, error) {
	t := p.followed()
	if t == nil || len(t.BuildRoots) == 0 {
		return p.from, nil
	}
	versions := rootVersions(t, requires)
	if versions == nil {
		return nil, &LockError{[]string{"it has no build root for " + strings.Join(requires, ", ")}}
	}
	return only{p.from, versions}, nil
}

// rootVersions is a lock's choice for one build root by name, nil when it has none.
func rootVersions(t *lockfile.Target, requires []string) map[string]string {
	i := slices.IndexFunc(t.BuildRoots, func(r lockfile.BuildRoot) bool { return slices.Equal(r.Requires, requires) })
	if i < 0 {
		return nil
	}
	versions := map[string]string{}
	for _, id := range t.BuildRoots[i].Packages {
		name, version, _ := strings.Cut(id, " ")
		versions[name] = version
	}
	return versions
}

// keptTools are the versions that the lock before has for one build root.
func (p *Pipeline) keptTools(requires []string) map[string]pep440.Version {
	if p.cfg.Keep == nil {
		return nil
	}
	versions := map[string]pep440.Version{}
	for name, text := range rootVersions(p.cfg.Keep, requires) {
		if v, err := pep440.Parse(text); err == nil && !slices.Contains(p.cfg.Upgrade, name) {
			versions[name] = v
		}
	}
	return versions
}

// misfit makes a conflict among the versions of a lock what it is: a lock that does not fit.
func (p *Pipeline) misfit(err error) error {
	conflict, ok := errors.AsType[*solve.Conflict](err)
	if !ok || p.followed() == nil {
		return err
	}
	return &LockError{[]string{"its versions do not satisfy what is required: " + conflict.Message}}
}

// fits holds a set that was made of a lock against it.
func (p *Pipeline) fits(lock *Lock) error {
	t := p.followed()
	if t == nil {
		return nil
	}
	if d := lockfile.DiffPackages(*t, lockfile.Target{Name: t.Name, Packages: p.lockedPackages(lock)}); len(d) > 0 {
		return &LockError{d}
	}
	return nil
}

// lockedFile is the file of a version that the lock names; nil when there is no lock to follow, or
// when it does not have the package.
func (p *Pipeline) lockedFile(name string, files []index.File) (*index.File, error) {
	t := p.followed()
	if t == nil || len(files) == 0 {
		return nil, nil
	}
	version := files[0].Version.String()
	all := slices.Concat(t.Packages, t.Tools)
	i := slices.IndexFunc(all, func(l lockfile.Package) bool { return l.Name == name && l.Version == version })
	if i < 0 {
		return nil, nil
	}
	want := all[i].Artifact
	for _, f := range files {
		if f.Filename != want.Filename {
			continue
		}
		if f.SHA256 != "" && f.SHA256 != want.SHA256 {
			return nil, &LockError{[]string{fmt.Sprintf("%s %s: %s has sha256 %s on the index, %s in the lock", name, version, f.Filename, f.SHA256, want.SHA256)}}
		}
		f.SHA256 = want.SHA256 // an index that gives no hashes is held to the lock's when it is downloaded
		return &f, nil
	}
	return nil, &LockError{[]string{fmt.Sprintf("%s %s: the index does not have %s", name, version, want.Filename)}}
}

// LockTarget is the set as a lock records it. Where the index gives no hash the file is downloaded and
// hashed.
func (p *Pipeline) LockTarget(ctx context.Context, lock *Lock) (lockfile.Target, error) {
	for i := range lock.Packages {
		l := &lock.Packages[i]
		if l.file.SHA256 == "" && l.reused == nil {
			if err := p.hash(ctx, &l.file); err != nil {
				return lockfile.Target{}, err
			}
			l.Artifact.SHA256 = l.file.SHA256
		}
	}
	return lockfile.Target{Name: lock.Target, Python: lock.Python, Arch: p.cfg.Target.Arch, Packages: p.lockedPackages(lock)}, nil
}

func (p *Pipeline) hash(ctx context.Context, f *index.File) error {
	path, err := p.download(ctx, *f)
	if err == nil {
		f.SHA256, err = fileSHA256(path)
	}
	if err != nil {
		return fmt.Errorf("hash %s for the lock: %w", f.Filename, err)
	}
	return nil
}

func (p *Pipeline) lockedPackages(lock *Lock) []lockfile.Package {
	var list []lockfile.Package
	for _, l := range lock.Packages {
		pkg := lockfile.Package{Name: l.Name, Version: l.Version, Extras: l.Extras, Decision: p.lockedDecision(l.Name, l.file), Index: l.file.Index,
			Artifact: lockfile.Artifact{Filename: l.Artifact.Filename, Kind: l.Artifact.Kind, SHA256: l.Artifact.SHA256}}
		if l.reused != nil {
			pkg.Decision, pkg.Artifact = lockedReuse(l.reused)
		}
		if ref := l.Artifact.Reference; ref != nil {
			pkg.Artifact.URL, pkg.Artifact.Commit, pkg.Artifact.Subdirectory = ref.URL, ref.Commit, ref.Subdirectory
		}
		for _, by := range l.RequiredBy {
			text := source.Redacted(by.Requirement)
			if r, err := pep508.Parse(text); err == nil && lock.project != nil && by.Name == lock.project.Name {
				r.Name = r.Key() // as in lockedProject
				text = r.String()
			}
			pkg.RequiredBy = append(pkg.RequiredBy, lockfile.Edge{Kind: string(by.Edge), Requirement: text, File: by.File, Line: by.Line, From: by.Name})
		}
		list = append(list, pkg)
	}
	return list
}

// lockedReuse is how a lock records a package of the distribution: by its RPM, release included.
func lockedReuse(reused []distro.Package) (lockfile.Decision, lockfile.Artifact) {
	return lockfile.Reuse, lockfile.Artifact{Filename: reused[0].RPM.NEVRA(), Kind: "rpm"}
}

// lockedDecision is what happens to a package that comes from f.
func (p *Pipeline) lockedDecision(name string, f index.File) lockfile.Decision {
	switch {
	case f.Kind != index.Wheel:
		return lockfile.Build
	case p.cfg.wheelAllowed(name, f.Wheel):
		return lockfile.AllowWheel
	}
	return lockfile.NoSource
}

// LockTools says in a locked target what its builds need: the tools, and the choice for each set of
// build requirements, in place of those that it had. Packages that cannot be built add nothing.
func (p *Pipeline) LockTools(ctx context.Context, t *lockfile.Target, work *Work) error {
	edges := map[plan.ID][]lockfile.Edge{}
	for _, e := range work.Plan.Edges() {
		if e.From != "" {
			edges[e.To] = append(edges[e.To], lockfile.Edge{Kind: string(e.Kind), Requirement: e.Requirement, From: strings.Replace(string(e.From), "==", " ", 1)})
		}
	}
	roots := map[string]lockfile.BuildRoot{}
	t.Tools = nil
	for _, id := range slices.Sorted(maps.Keys(work.builds)) {
		b := work.builds[id]
		if b.err != nil {
			continue
		}
		if err := p.lockRoots(ctx, b, roots); err != nil {
			return err
		}
		if b.runtime && t.Package(b.name) != nil || b.project != nil {
			continue
		}
		if b.reused != nil {
			tool := lockfile.Package{Name: b.name, Version: b.version, RequiredBy: edges[id]}
			tool.Decision, tool.Artifact = lockedReuse(b.reused)
			t.Tools = append(t.Tools, tool)
			continue
		}
		f := b.file
		if f.SHA256 == "" {
			if err := p.hash(ctx, &f); err != nil {
				return err
			}
		}
		t.Tools = append(t.Tools, lockfile.Package{Name: b.name, Version: b.version, Decision: p.lockedDecision(b.name, f), Index: f.Index,
			Artifact: lockfile.Artifact{Filename: f.Filename, Kind: string(f.Kind), SHA256: f.SHA256}, RequiredBy: edges[id]})
	}
	t.BuildRoots = slices.Collect(maps.Values(roots))
	return nil
}

// lockRoots notes both questions that a build puts to the solver: with what its backend is asked, and
// with what it is built.
func (p *Pipeline) lockRoots(ctx context.Context, b *pkgBuild, roots map[string]lockfile.BuildRoot) error {
	if b.file.Kind == index.Wheel || b.reused != nil {
		return nil
	}
	fit, err := p.hooks.fit(ctx, b.file, b.record)
	if err != nil {
		return err
	}
	system, asked := fit.requires, fit.tools
	for _, q := range []struct {
		requires []string
		solution solve.Solution
	}{{requirementTexts(system), asked}, {requirementTexts(b.requires), b.root}} {
		if len(q.requires) == 0 {
			continue
		}
		root := lockfile.BuildRoot{Requires: q.requires}
		for _, c := range q.solution.Packages {
			root.Packages = append(root.Packages, c.Name+" "+c.Version.String())
		}
		roots[strings.Join(q.requires, "\n")] = root
	}
	return nil
}

// keptVersions are the versions of the lock before, all but those of the names to upgrade.
func (p *Pipeline) keptVersions() map[string]pep440.Version {
	t := p.cfg.Keep
	if t == nil {
		return nil
	}
	versions := map[string]pep440.Version{}
	for _, pkg := range t.Packages {
		if v, err := pep440.Parse(pkg.Version); err == nil && !slices.Contains(p.cfg.Upgrade, pkg.Name) {
			versions[pkg.Name] = v
		}
	}
	return versions
}

// keptCommits gives each repository among the requirements the commit that the lock to follow, or the
// lock before, has for it.
func (p *Pipeline) keptCommits(set *reqfile.Set) {
	t := cmp.Or(p.followed(), p.cfg.Keep)
	if t == nil {
		return
	}
	for i, r := range set.Requirements {
		address, isGit := strings.CutPrefix(r.VCS, "git+")
		if !isGit {
			continue
		}
		url, _ := cutRef(address)
		for _, l := range t.Packages {
			a := l.Artifact
			if a.Commit == "" || a.URL != source.Redacted(url) || a.Subdirectory != r.Subdirectory || slices.Contains(p.cfg.Upgrade, l.Name) {
				continue
			}
			set.Requirements[i].VCS = "git+" + url + "@" + a.Commit
		}
	}
}
