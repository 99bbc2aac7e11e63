package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reqpm/internal/distro"
	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/plan"
	"reqpm/internal/reqfile"
	"reqpm/internal/solve"
)

// Lock is the resolved set of one target.
type Lock struct {
	Target   string   `json:"target"`
	Python   string   `json:"python"`
	Packages []Locked `json:"packages"`
	Warnings []string `json:"warnings,omitempty"`
	// Distribution is what was known of the target's distribution; nil: nothing was asked.
	Distribution *DistributionUse `json:"distribution,omitempty"`
	// Replaces are packages of the system's own Python that the set would replace; see Refused.
	Replaces []Replaced `json:"replaces,omitempty"`

	// TopLevel are the names the user asked for, in PEP 503 form, sorted.
	TopLevel []string `json:"-"`
	project  *Project
}

// Locked is one package of a lock, with everybody who requires it.
type Locked struct {
	Name       string       `json:"name"`
	Version    string       `json:"version"`
	Artifact   Artifact     `json:"artifact"`
	RequiredBy []RequiredBy `json:"required_by"`

	Extras []string          `json:"extras,omitempty"`
	Meta   metadata.Metadata `json:"-"`
	file   index.File
	all    []index.File
	err    error // it is pinned, and cannot be built
	// overridden names what its RPM must not require as its metadata has it.
	overridden []string
	reused     []distro.Package // the distribution's packages that stand for it, itself first; nil: it is built
}

// Artifact is the file a package is built from; of Kind "distribution" it is the RPM that the
// distribution has, with no SHA256, and Filename is its NEVRA.
type Artifact struct {
	Filename string `json:"filename"`
	SHA256   string `json:"sha256"`
	Kind     string `json:"kind"`
	// Reference is set for what comes from no index but from a Git repository, an address, or the
	// project itself.
	Reference *Reference `json:"reference,omitempty"`
}

// RequiredBy is one requirement that put a package into the set. Name is "" for a
// line of the user's own, which File and Line then point at.
type RequiredBy struct {
	Name        string    `json:"name"`
	Requirement string    `json:"requirement"`
	File        string    `json:"file"`
	Line        int       `json:"line"`
	Edge        plan.Kind `json:"edge"`
	Overridden  string    `json:"overridden,omitempty"` // what the requirer itself says, where an override counts
}

// NoSourceError: packages of the set cannot be built because the index has no source
// distribution of them.
type NoSourceError struct {
	Packages []string // "name version"
	Compiled []string // those of Packages whose wheels hold compiled code
}

func (e *NoSourceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the index has no source distribution of %s", strings.Join(e.Packages, ", "))
	for _, pkg := range e.Packages {
		name, _, _ := strings.Cut(pkg, " ")
		if slices.Contains(e.Compiled, pkg) {
			fmt.Fprintf(&b, "\n  --allow-compiled-wheel %s  packages it from its wheel instead: code that nobody here compiled", name)
			continue
		}
		fmt.Fprintf(&b, "\n  --allow-wheel %s  packages it from its wheel instead (not built from source)", name)
	}
	return b.String()
}

func (e *NoSourceError) Unwrap() error { return ErrNoSource }

// Input is what Resolve starts from.
type Input struct {
	Set reqfile.Set
	// Ignore leaves requirements out by PEP 503 name.
	Ignore []string
	// Project is the project's own package, nil when it is not packaged.
	Project *Project
}

// Resolve finds the one consistent set for the target. No solution is a *solve.Conflict; a
// package without source that may not come from a wheel is left in the lock and named by
// CheckSources.
func (p *Pipeline) Resolve(ctx context.Context, in Input) (*Lock, error) {
	p.stage("resolve", "resolve for "+p.cfg.Target.Name+" with Python "+p.cfg.Target.Python.Version)
	if err := p.checkPython(in); err != nil {
		return nil, err
	}
	request := p.request(in)
	solution, reused, err := p.solveReusing(ctx, in, request)
	if err != nil {
		return nil, p.mend(ctx, request, p.misfit(p.explainHeldBack(err)))
	}
	lock := &Lock{Target: p.cfg.Target.Name, Python: p.cfg.Target.Python.Version, Packages: []Locked{}, Warnings: solution.Warnings}
	if in.Project != nil {
		project := *in.Project
		project.Meta.RequiresDist, project.overridden = request.Counting(project.Meta.RequiresDist)
		lock.project = &project
	}
	lock.Warnings = append(lock.Warnings, p.warnHeldBack(solution)...)
	for _, w := range lock.Warnings {
		p.warn("resolve", w)
	}
	edges := edgesByTarget(solution.Edges)
	for _, chosen := range solution.Packages {
		locked, err := p.lockChosen(ctx, chosen, reused, edges[chosen.Name])
		if err != nil {
			return nil, err
		}
		locked.Meta.RequiresDist, locked.overridden = request.Counting(locked.Meta.RequiresDist)
		lock.Packages = append(lock.Packages, locked)
		if slices.ContainsFunc(locked.RequiredBy, func(r RequiredBy) bool { return r.Edge == plan.TopLevel }) {
			lock.TopLevel = append(lock.TopLevel, locked.Name)
		}
	}
	p.useDistribution(lock)
	if err := errors.Join(p.checkHashes(in.Set, lock), p.checkPinHashes(in.Set.Locks, lock)); err != nil {
		return lock, err
	}
	return lock, p.fits(lock)
}

// request is the problem as the solver gets it.
func (p *Pipeline) request(in Input) solve.Request {
	return solve.Request{Roots: p.roots(in), Env: p.cfg.Target.Env(), Pre: in.Set.Options.Pre, Overrides: p.overrides(in.Set), KeepUnknown: true, Prefer: p.keptVersions()}
}

// overrides are what the command line says counts, and what the project's files say of other names.
func (p *Pipeline) overrides(set reqfile.Set) []solve.Root {
	var roots []solve.Root
	own := map[string]bool{}
	for _, r := range p.cfg.Overrides {
		own[r.Key()] = true
		roots = append(roots, solve.Root{Req: r, Origin: solve.Origin{File: "--override", Text: r.String()}})
	}
	for _, r := range set.Overrides {
		if !own[r.Key()] {
			roots = append(roots, solve.Root{Req: r.Requirement, Origin: solve.Origin{File: r.File, Line: r.Line, Text: r.Text}})
		}
	}
	return roots
}

// mendTime bounds the search for changes that would help where there is no solution.
const mendTime = 30 * time.Second

// mend adds to a conflict the changes that are proven to help; any other error stays as it is.
func (p *Pipeline) mend(ctx context.Context, request solve.Request, err error) error {
	conflict, ok := errors.AsType[*solve.Conflict](err)
	if !ok {
		return err
	}
	p.stage("resolve", "no solution; try single changes of what was asked")
	ctx, cancel := context.WithTimeout(ctx, mendTime)
	defer cancel()
	// What was proven until time ran out is worth saying.
	conflict.Changes, _ = solve.Mend(ctx, p.from, request, conflict, solve.MendOptions{Pythons: p.cfg.Pythons})
	return err
}

// PythonError: the project itself says that the target's Python will not do. It is said before
// anything else is tried: nothing behind it could mend it.
type PythonError struct {
	Project, Requires, Have string
	At                      reqfile.Position
	Instead                 []string // the options that choose a Python which would do
}

func (e *PythonError) Error() string {
	where := ""
	if e.At.File != "" {
		where = fmt.Sprintf("%s:%d: ", e.At.File, e.At.Line)
	}
	instead := "choose a target with another Python stack (reqpm targets)"
	if len(e.Instead) > 0 {
		instead = strings.Join(e.Instead, " or ") + " has one that would do"
	}
	return fmt.Sprintf("%s%s needs Python %s, the target has %s; %s", where, e.Project, e.Requires, e.Have, instead)
}

// checkPython holds the project's own requires-python against the target.
func (p *Pipeline) checkPython(in Input) error {
	check := func(name, requires string, at reqfile.Position) error {
		spec, err := pep440.ParseSpecifiers(requires)
		have, haveErr := pep440.Parse(p.cfg.Target.Python.Version)
		if err != nil || haveErr != nil || spec.Contains(have) {
			return nil
		}
		refused := &PythonError{Project: name, Requires: requires, Have: have.String(), At: at}
		for _, other := range p.cfg.Pythons {
			if v, err := pep440.Parse(other.Env.PythonFullVersion); err == nil && spec.Contains(v) && len(refused.Instead) < 3 {
				refused.Instead = append(refused.Instead, other.Text)
			}
		}
		return refused
	}
	if pr := in.Set.Project; pr != nil {
		if err := check(cmp.Or(pr.Name, "the project"), pr.RequiresPython, pr.Position); err != nil {
			return err
		}
	}
	if in.Project != nil {
		return check(in.Project.Name, in.Project.Meta.RequiresPython, reqfile.Position{})
	}
	return nil
}

// roots turns the user's requirements into the solver's, with what the project itself needs.
func (p *Pipeline) roots(in Input) []solve.Root {
	var roots []solve.Root
	var extras []string // of the project itself that its own files ask for: "-e .[web]"
	add := func(list []reqfile.Requirement, constraint bool) {
		for _, r := range list {
			if r.Path == "." && r.Marker.Eval(p.cfg.Target.Env(), "") {
				extras = append(extras, r.Extras...)
			}
			if p.left(in, r) {
				continue
			}
			roots = append(roots, solve.Root{Req: r.Requirement, Constraint: constraint,
				Origin: solve.Origin{File: r.File, Line: r.Line, Text: r.Text}})
		}
	}
	add(in.Set.Requirements, false)
	add(in.Set.Constraints, true)
	roots = append(roots, p.saidVersions()...)
	if in.Project != nil {
		for _, r := range in.Project.Meta.RequiresDist {
			if r.Marker.EvalAny(p.cfg.Target.Env(), extras) && !slices.Contains(in.Ignore, r.Key()) {
				roots = append(roots, solve.Root{Req: r, Origin: solve.Origin{Package: in.Project.Name, Version: in.Project.Version, Text: r.String()}})
			}
		}
	}
	return roots
}

func edgesByTarget(edges []solve.Edge) map[string][]solve.Edge {
	by := map[string][]solve.Edge{}
	for _, e := range edges {
		by[e.To] = append(by[e.To], e)
	}
	return by
}

func (p *Pipeline) lockOne(ctx context.Context, chosen solve.Chosen, edges []solve.Edge) (Locked, error) {
	locked := Locked{Name: chosen.Name, Version: chosen.Version.String(), Extras: chosen.Extras}
	page, err := p.from.page(ctx, chosen.Name)
	if err != nil {
		return locked, err
	}
	locked.all = page.files(chosen.Version)
	if locked.file, err = p.artifact(chosen.Name, locked.all); err != nil {
		return locked, err
	}
	if err := p.learnHash(ctx, &locked.file); err != nil {
		return locked, err
	}
	locked.Artifact = Artifact{Filename: locked.file.Filename, SHA256: locked.file.SHA256, Kind: string(locked.file.Kind)}
	if page.direct != nil {
		locked.Artifact.Reference = &page.direct.ref
	}
	if chosen.Unknown != nil {
		locked.Meta = metadata.Metadata{Name: chosen.Name, Version: chosen.Version}
		locked.err = fmt.Errorf("what %s %s requires could not be found out: %w", chosen.Name, chosen.Version, chosen.Unknown)
	} else if locked.Meta, err = p.from.Metadata(ctx, chosen.Name, chosen.Version); err != nil {
		return locked, err
	}
	locked.RequiredBy = requiredBy(edges)
	return locked, nil
}

// learnHash fills in the digest of a file whose index gives none, by having the file: a lock without it
// would take whatever stands at the address the next time.
func (p *Pipeline) learnHash(ctx context.Context, f *index.File) error {
	if f.SHA256 != "" {
		return nil
	}
	path, err := p.download(ctx, *f)
	if err == nil {
		f.SHA256, err = fileSHA256(path)
	}
	return err
}

// requiredBy says who asks for a package, each asker once.
func requiredBy(edges []solve.Edge) []RequiredBy {
	var list []RequiredBy
	seen := map[RequiredBy]bool{}
	for _, e := range edges {
		by := RequiredBy{Name: e.From.Package, Requirement: e.Req.String(), File: e.From.File, Line: e.From.Line, Edge: plan.Install}
		if e.From.File != "" {
			by.Edge = plan.TopLevel
		}
		if e.Overridden {
			by.Overridden = e.From.Text
		}
		if !seen[by] {
			seen[by] = true
			list = append(list, by)
		}
	}
	return list
}

// artifact picks what a version is built from: its sdist, else its best wheel (which
// CheckSources then has an opinion on).
func (p *Pipeline) artifact(name string, files []index.File) (index.File, error) {
	if f, err := p.lockedFile(name, files); f != nil || err != nil {
		return *cmp.Or(f, &index.File{}), err
	}
	if f := sdistOf(files); f != nil {
		return *f, nil
	}
	var best *index.File
	for i, f := range files {
		if f.Kind == index.Wheel && wheelFits(f.Wheel, p.cfg.Target) && (best == nil || slices.Contains(f.Wheel.Platform, "any")) {
			best = &files[i]
		}
	}
	if best == nil {
		return index.File{}, fmt.Errorf("%s: %w", name, index.ErrNotFound)
	}
	return *best, nil
}

// CheckSources refuses packages that could only come from a wheel nobody allowed.
func (p *Pipeline) CheckSources(lock *Lock) error {
	var missing, compiled []string
	for _, pkg := range lock.Packages {
		if pkg.file.Kind == index.Wheel && !p.cfg.wheelAllowed(pkg.Name, pkg.file.Wheel) {
			missing = append(missing, pkg.Name+" "+pkg.Version)
			if !pureTags(pkg.file.Wheel) {
				compiled = append(compiled, pkg.Name+" "+pkg.Version)
			}
		}
	}
	if len(missing) > 0 {
		return &NoSourceError{missing, compiled}
	}
	return nil
}

// HashError: the artifact chosen is none of those the requirement files allow.
type HashError struct {
	Package, Artifact string
	At                reqfile.Position
}

func (e *HashError) Error() string {
	return fmt.Sprintf("%s:%d: none of the hashes given for %s belongs to its source distribution %s; "+
		"a lock made for wheels only cannot be built from source: add the hash of the sdist", e.At.File, e.At.Line, e.Package, e.Artifact)
}

// checkHashes enforces --hash: where a line gives hashes, the artifact must have one of them.
func (p *Pipeline) checkHashes(set reqfile.Set, lock *Lock) error {
	var errs []error
	for _, r := range set.Requirements {
		if len(r.Hashes) == 0 || !r.Marker.Eval(p.cfg.Target.Env(), "") {
			continue
		}
		i := slices.IndexFunc(lock.Packages, func(l Locked) bool { return l.Name == r.Key() })
		if i < 0 || hashAllowed(lock.Packages[i].file, r.Hashes) {
			continue
		}
		errs = append(errs, &HashError{Package: r.Key(), Artifact: lock.Packages[i].file.Filename, At: r.Position})
	}
	return errors.Join(errs...)
}

func hashAllowed(f index.File, allowed []string) bool {
	for _, want := range allowed {
		algorithm, hex, _ := strings.Cut(want, ":")
		have := f.Hashes[algorithm]
		if algorithm == "sha256" {
			have = f.SHA256
		}
		if have != "" && strings.EqualFold(have, hex) {
			return true
		}
	}
	return false
}
