package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/solve"
)

// Outdated is a package of the set of which the index has a newer version.
type Outdated struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Newest is the newest version on the index: no pre-release (unless the set has one), not yanked.
	Newest string `json:"newest"`
	// Resolves is the newest version with which the whole still has a solution, proven by solving it;
	// Version when there is none newer.
	Resolves string `json:"resolves"`
	// HeldBy are the requirements that keep Newest out, the user's own first; empty when it resolves.
	HeldBy []Holder `json:"held_by"`
	// Lowers are the packages that Resolves takes in an older version than the set has, "name 2.0 → 1.0".
	Lowers []string `json:"lowers,omitempty"`
	// Unproven: the search ended before it was sure that nothing newer resolves; HeldBy says why.
	Unproven bool `json:"unproven,omitempty"`
}

// Holder is one reason why a version is not taken.
type Holder struct {
	File        string `json:"file,omitempty"` // of the user's own line
	Line        int    `json:"line,omitempty"`
	Package     string `json:"package,omitempty"` // "name version" that requires it
	Requirement string `json:"requirement,omitempty"`
	Reason      string `json:"reason,omitempty"` // what is no requirement: Requires-Python, no source distribution
}

// String is a reason for people.
func (h Holder) String() string {
	switch {
	case h.Reason != "":
		return h.Reason
	case h.Package != "":
		return h.Package + " requires " + h.Requirement
	case h.Line > 0:
		return fmt.Sprintf("%s:%d: %s", h.File, h.Line, h.Requirement)
	}
	return h.File + " " + h.Requirement
}

const (
	maxRaises  = 8 // how often one package is raised further, each proven by solving
	maxHolders = 4
)

// Outdated finds newer versions of the packages of prepared's set, and proves for each which one still
// resolves when everything else may change. Pins of the project's lock files and a lock that is
// followed do not count: they are what would be renewed. Many packages at once.
func (p *Pipeline) Outdated(ctx context.Context, prepared *Prepared) ([]Outdated, error) {
	request := p.request(prepared.in)
	request.Prefer = map[string]pep440.Version{}
	for _, l := range prepared.Lock.Packages {
		if v, err := pep440.Parse(l.Version); err == nil {
			request.Prefer[l.Name] = v
		}
	}
	if err := p.lookAgain(ctx, prepared.Lock); err != nil {
		return nil, err
	}
	found := make([]*Outdated, len(prepared.Lock.Packages))
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(max(1, p.Slots()))
	for i, l := range prepared.Lock.Packages {
		if l.Artifact.Reference != nil {
			continue // a commit or an address has no newer version
		}
		g.Go(func() (err error) {
			found[i], err = p.outdated(inner, request, l)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	list := []Outdated{}
	for _, o := range found {
		if o != nil {
			list = append(list, *o)
		}
	}
	return list, nil
}

// lookAgain asks the index about every package of a lock, however long its pages are believed otherwise: who asks for what
// is newer means now.
func (p *Pipeline) lookAgain(ctx context.Context, lock *Lock) error {
	g, asking := errgroup.WithContext(ctx)
	g.SetLimit(askAtOnce)
	for _, l := range lock.Packages {
		if l.Artifact.Reference != nil {
			continue
		}
		g.Go(func() error {
			if _, err := p.from.Candidates(asking, l.Name); !errors.Is(err, solve.ErrNotFound) {
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	p.from.renew(ctx)
	return nil
}

// outdated is nil when the set has the newest version.
func (p *Pipeline) outdated(ctx context.Context, request solve.Request, l Locked) (*Outdated, error) {
	list, err := p.from.Candidates(ctx, l.Name)
	if err != nil {
		if errors.Is(err, solve.ErrNotFound) {
			return nil, nil // from the distribution alone
		}
		return nil, err
	}
	current, err := pep440.Parse(l.Version)
	if err != nil {
		return nil, fmt.Errorf("version of %s: %w", l.Name, err)
	}
	newer := newerThan(current, list)
	if len(newer) == 0 {
		return nil, nil
	}
	newest := newer[len(newer)-1]
	o := &Outdated{Name: l.Name, Version: l.Version, Newest: newest.Version.String(), Resolves: l.Version, HeldBy: []Holder{}}
	if held := p.excluded(request, l.Name, newer); held != nil {
		o.HeldBy = held // no need to solve: the line excludes every newer version
		return o, nil
	}
	if err := p.raise(ctx, request, current, newest, o); err != nil {
		return nil, err
	}
	if l.reused != nil {
		o.HeldBy = append(o.HeldBy, Holder{Reason: "reused from the distribution: " + l.Artifact.Filename})
	}
	return o, nil
}

// newerThan are the candidates that count as newer, oldest first.
func newerThan(current pep440.Version, list []solve.Candidate) []solve.Candidate {
	newer := slices.DeleteFunc(slices.Clone(list), func(c solve.Candidate) bool {
		return c.Yanked || c.Version.Compare(current) <= 0 || c.Version.IsPrerelease() && !current.IsPrerelease()
	})
	slices.SortFunc(newer, func(a, b solve.Candidate) int { return a.Version.Compare(b.Version) })
	return newer
}

// excluded are the user's own lines that exclude every newer version, nil when there are none.
func (p *Pipeline) excluded(request solve.Request, name string, newer []solve.Candidate) []Holder {
	if slices.ContainsFunc(request.Overrides, func(r solve.Root) bool { return r.Req.Key() == name }) {
		return nil // the lines do not count; solving tells
	}
	var held []Holder
	for _, r := range request.Roots {
		if r.Req.Key() != name || !r.Req.Marker.Eval(request.Env, "") {
			continue
		}
		if !slices.ContainsFunc(newer, func(c solve.Candidate) bool { return r.Req.Specifiers.Contains(c.Version) }) {
			held = append(held, holder(r.Origin))
		}
	}
	return held
}

// raise asks for something newer as long as there is a solution, and says what ended that.
func (p *Pipeline) raise(ctx context.Context, request solve.Request, at pep440.Version, newest solve.Candidate, o *Outdated) error {
	for range maxRaises {
		asked, err := pep508.Parse(fmt.Sprintf("%s>=%s,!=%s", o.Name, at, at))
		if err != nil {
			return err
		}
		more := request
		ours := solve.Origin{File: "reqpm outdated", Text: asked.String()}
		more.Roots = append(slices.Clone(request.Roots), solve.Root{Req: asked, Origin: ours})
		solution, err := solve.Solve(ctx, p.from, more)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if conflict, ok := errors.AsType[*solve.Conflict](err); ok {
			o.HeldBy = p.holders(conflict, ours, newest, o.Name)
			return nil
		}
		if err != nil {
			o.Unproven, o.HeldBy = true, []Holder{{Reason: lastLine(err.Error())}}
			return nil
		}
		i := slices.IndexFunc(solution.Packages, func(c solve.Chosen) bool { return c.Name == o.Name })
		if i < 0 {
			return nil
		}
		at = solution.Packages[i].Version
		if p.sourceless(ctx, o.Name, at) {
			o.HeldBy = []Holder{{Reason: fmt.Sprintf("%s has no source distribution; --allow-wheel %s takes its wheel", at, o.Name)}}
			return nil
		}
		o.Lowers = lowered(request, solution)
		if o.Resolves = at.String(); at.Compare(newest.Version) >= 0 {
			return nil
		}
	}
	o.Unproven, o.HeldBy = true, []Holder{{Reason: fmt.Sprintf("not tried beyond %s", o.Resolves)}}
	return nil
}

// sourceless tells whether a version could only be had from a wheel that nobody allowed.
func (p *Pipeline) sourceless(ctx context.Context, name string, v pep440.Version) bool {
	list, err := p.from.Candidates(ctx, name)
	return err == nil && slices.ContainsFunc(list, func(c solve.Candidate) bool { return c.NoSource && c.Version.Compare(v) == 0 })
}

// lowered are the packages of the set that a solution has in an older version.
func lowered(request solve.Request, solution solve.Solution) []string {
	var list []string
	for _, c := range solution.Packages {
		if was, ok := request.Prefer[c.Name]; ok && c.Version.Compare(was) < 0 {
			list = append(list, fmt.Sprintf("%s %s → %s", c.Name, was, c.Version))
		}
	}
	return list
}

// holders says what keeps the newest version out, given the proof that nothing newer resolves.
func (p *Pipeline) holders(conflict *solve.Conflict, ours solve.Origin, newest solve.Candidate, name string) []Holder {
	python := p.cfg.Target.Python.Version
	if !admits(newest.RequiresPython, python) {
		return []Holder{{Reason: fmt.Sprintf("%s needs Python %s, the target has %s", newest.Version, newest.RequiresPython, python)}}
	}
	var own, others []Holder
	for _, origin := range conflict.Origins {
		req, err := pep508.Parse(origin.Text)
		switch {
		case origin == ours:
		case err == nil && req.Key() == name:
			own = append(own, holder(origin))
		case err == nil && origin.Package == "" && req.Specifiers.IsEmpty(): // takes any version
		default:
			others = append(others, holder(origin))
		}
	}
	held := own
	if len(held) == 0 {
		held = others
	}
	if len(held) == 0 {
		first, _, _ := strings.Cut(conflict.Message, "\n")
		held = []Holder{{Reason: first}}
	}
	return held[:min(len(held), maxHolders)]
}

func holder(o solve.Origin) Holder {
	return Holder{File: o.File, Line: o.Line, Package: strings.TrimSpace(o.Package + " " + o.Version), Requirement: o.Text}
}
