package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/reqfile"
	"reqpm/internal/solve"
)

// pins are what the project's lock files chose for one target, by PEP 503 name.
type pins struct {
	versions map[string]pin
	warnings []string
}

type pin struct {
	reqfile.Pin
	version pep440.Version
}

// readPins keeps the pins that hold for the target. Where several versions of a name do, the
// newest stands: locks for many Pythons at once tell them apart by markers, which then do not overlap.
func (p *Pipeline) readPins(locks []reqfile.Lock) pins {
	found := pins{versions: map[string]pin{}}
	env := p.cfg.Target.Env()
	have, haveErr := pep440.Parse(p.cfg.Target.Python.Version)
	for _, l := range locks {
		if spec, err := pep440.ParseSpecifiers(l.RequiresPython); err == nil && haveErr == nil && !spec.Contains(have) {
			found.warnings = append(found.warnings, fmt.Sprintf("%s is a lock for Python %s, the target has %s: its versions are kept where they fit", l.File, l.RequiresPython, have))
		}
		for _, entry := range l.Pins {
			version, err := pep440.Parse(entry.Version)
			if err != nil && entry.Direct == nil || !entry.Marker.Eval(env, "") {
				continue
			}
			if before, ok := found.versions[entry.Name]; !ok || before.version.Compare(version) < 0 {
				found.versions[entry.Name] = pin{entry, version}
			}
		}
	}
	return found
}

// solvePinned resolves with the versions of the project's locks. They are taken as they are where
// the target can take them all; else as many as fit, and what changed is told, with the line of the lock.
func (p *Pipeline) solvePinned(ctx context.Context, from solve.Source, req solve.Request, locks []reqfile.Lock) (solve.Solution, error) {
	found := p.readPins(locks)
	for _, warning := range found.warnings {
		p.warn("resolve", warning)
	}
	if len(found.versions) == 0 {
		return p.solve(ctx, from, req)
	}
	whole := req
	whole.Roots = slices.Concat(req.Roots, found.constraints())
	solution, err := p.solve(ctx, from, whole)
	conflict, ok := errors.AsType[*solve.Conflict](err)
	if !ok {
		return solution, err
	}
	headline, _, _ := strings.Cut(conflict.Message, "\n")
	p.warn("resolve", "the lock cannot be taken as it is: "+headline)
	kept := req
	kept.Prefer = map[string]pep440.Version{}
	for name, version := range req.Prefer {
		kept.Prefer[name] = version
	}
	for name, l := range found.versions {
		if l.Direct == nil {
			kept.Prefer[name] = l.version
		}
	}
	solution, err = p.solve(ctx, from, kept)
	if err != nil {
		return solution, err
	}
	for _, change := range found.changes(solution) {
		p.warn("resolve", change)
	}
	return solution, nil
}

// constraints are the pins as a user would write them into a constraint file.
func (f pins) constraints() []solve.Root {
	var roots []solve.Root
	for name, l := range f.versions {
		if l.Direct != nil {
			continue // it is the only candidate there is
		}
		text := name + "==" + l.version.String()
		r, err := pep508.Parse(text)
		if err != nil {
			continue // no name or version that an index could have
		}
		roots = append(roots, solve.Root{Req: r, Constraint: true, Origin: solve.Origin{File: l.File, Line: l.Line, Text: text}})
	}
	return roots
}

// changes are the packages that came out differently than locked, by name.
func (f pins) changes(solution solve.Solution) []string {
	var list []string
	for _, c := range solution.Packages {
		if l, ok := f.versions[c.Name]; ok && l.Direct == nil && l.version.Compare(c.Version) != 0 {
			list = append(list, fmt.Sprintf("%s: %s %s is locked, %s is taken", l.Where(), c.Name, l.version, c.Version))
		}
	}
	return list
}

// pinned finds the pin that the lock of the set took, for checking its hashes.
func (f pins) pinned(l Locked) (pin, bool) {
	found, ok := f.versions[l.Name]
	return found, ok && found.version.String() == l.Version && found.Direct == nil && len(found.Hashes) > 0
}

// checkPinHashes holds every artifact against the hashes that a lock of the project has for it.
func (p *Pipeline) checkPinHashes(locks []reqfile.Lock, lock *Lock) error {
	found := p.readPins(locks)
	var errs []error
	for _, l := range lock.Packages {
		if locked, ok := found.pinned(l); ok && !hashAllowed(l.file, locked.Hashes) {
			errs = append(errs, &HashError{Package: l.Name, Artifact: l.file.Filename, At: locked.Position})
		}
	}
	return errors.Join(errs...)
}

// lockedCommits gives each repository among the requirements the commit that a lock has for it.
func (p *Pipeline) lockedCommits(set *reqfile.Set) {
	found := p.readPins(set.Locks)
	for i, r := range set.Requirements {
		if r.VCS == "" || r.Name == "" {
			continue
		}
		if l, ok := found.versions[r.Key()]; ok && l.Direct != nil && l.Direct.VCS != "" {
			set.Requirements[i].VCS, set.Requirements[i].URL = l.Direct.VCS, l.Direct.URL
		}
	}
}
