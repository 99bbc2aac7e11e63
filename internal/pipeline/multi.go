package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/reqfile"
	"reqpm/internal/solve"
	"reqpm/internal/target"
)

// Answer is what resolving came to for one target.
type Answer struct {
	Target   target.Target
	Prepared *Prepared
	Err      error // no solution, or what went wrong for this target alone
}

// PrepareAll resolves one project for several targets, one pipeline each, all of them with the same
// index client. What no target has a say in is done once, by the first; an error in that
// ends all. Then the first resolves alone, so that the others find what it asked of the index in the
// caches.
func PrepareAll(ctx context.Context, pipelines []*Pipeline, req Request) ([]Answer, error) {
	shared, err := pipelines[0].Read(ctx, req)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(pipelines))
	one := func(i int) {
		own := *shared
		answers[i] = Answer{Target: pipelines[i].cfg.Target, Prepared: &own}
		answers[i].Err = pipelines[i].settle(ctx, req, &own)
	}
	one(0)
	var g errgroup.Group
	g.SetLimit(max(1, pipelines[0].Slots()))
	for i := 1; i < len(pipelines) && ctx.Err() == nil; i++ {
		g.Go(func() error { one(i); return nil })
	}
	_ = g.Wait() // every error is in its answer
	return answers, ctx.Err()
}

// NoSolution tells the errors that are an answer (there is no such set for this target) from those
// that mean there is no answer.
func NoSolution(err error) bool {
	return as[*solve.Conflict](err) || as[*PythonError](err)
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// Difference is a package that is not the same for all targets.
type Difference struct {
	Name    string            `json:"name"`
	Version map[string]string `json:"versions"` // by target; targets without the package are absent
	Reasons []Reason          `json:"reasons"`
}

// Reason says why some targets do not have what the newest of the versions has.
type Reason struct {
	Targets []string `json:"targets"`
	Text    string   `json:"reason"`
}

// Differences compares the solved answers. The version that most is explained against is the newest
// one; the reason comes from who requires the package, from markers, and from the Requires-Python of
// the versions there are. pipelines and answers are those of PrepareAll.
func Differences(ctx context.Context, pipelines []*Pipeline, answers []Answer) ([]Difference, error) {
	d := differ{ctx: ctx}
	names := map[string]bool{}
	for i, a := range answers {
		if a.Err != nil {
			continue
		}
		side := &side{p: pipelines[i], target: a.Target, locked: map[string]*Locked{}, constraints: a.Prepared.Analysis.Set.Constraints}
		for k := range a.Prepared.Lock.Packages {
			l := &a.Prepared.Lock.Packages[k]
			side.locked[l.Name] = l
			names[l.Name] = true
		}
		d.sides = append(d.sides, side)
	}
	if len(d.sides) < 2 {
		return nil, nil
	}
	var list []Difference
	for _, name := range slices.Sorted(maps.Keys(names)) {
		diff, err := d.compare(name)
		if err != nil {
			return nil, err
		}
		if diff != nil {
			list = append(list, *diff)
		}
	}
	return list, nil
}

// side is one target's set.
type side struct {
	p           *Pipeline
	target      target.Target
	locked      map[string]*Locked
	constraints []reqfile.Requirement
}

func (s *side) version(name string) string {
	if l := s.locked[name]; l != nil {
		return l.Version
	}
	return ""
}

// holds tells whether a marker is true on this side for a package with these extras.
func (s *side) holds(m *pep508.Marker, extras []string) bool {
	return m.EvalAny(s.target.Env(), extras)
}

type differ struct {
	ctx   context.Context
	sides []*side
}

// compare is nil when all sides have the same version.
func (d *differ) compare(name string) (*Difference, error) {
	diff := &Difference{Name: name, Version: map[string]string{}}
	newest := d.sides[0]
	for _, s := range d.sides {
		if v := s.version(name); v != "" {
			diff.Version[s.target.Name] = v
		}
		if newer(s.version(name), newest.version(name)) {
			newest = s
		}
	}
	best := newest.version(name)
	for _, s := range d.sides {
		if s.version(name) == best {
			continue
		}
		var text string
		var err error
		if s.version(name) == "" {
			text = d.absent(newest, s, name)
		} else {
			text, err = d.older(newest, s, name)
		}
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(diff.Reasons, func(r Reason) bool { return r.Text == text }); i >= 0 {
			diff.Reasons[i].Targets = append(diff.Reasons[i].Targets, s.target.Name)
			continue
		}
		diff.Reasons = append(diff.Reasons, Reason{Targets: []string{s.target.Name}, Text: text})
	}
	if len(diff.Reasons) == 0 {
		return nil, nil
	}
	return diff, nil
}

// newer compares versions as texts; "" is older than all.
func newer(a, b string) bool {
	if a == "" || b == "" {
		return a != "" && b == ""
	}
	x, errX := pep440.Parse(a)
	y, errY := pep440.Parse(b)
	return errX == nil && errY == nil && x.Compare(y) > 0
}

// absent says why without does not have a package that with has: nobody there asks for it.
func (d *differ) absent(with, without *side, name string) string {
	var reasons []string
	for _, by := range with.locked[name].RequiredBy {
		if text := d.unasked(with, without, by); text != "" && !slices.Contains(reasons, text) {
			reasons = append(reasons, text)
		}
	}
	const most = 2
	if len(reasons) > most {
		reasons = append(reasons[:most], fmt.Sprintf("%d more", len(reasons)-most))
	}
	return cmp.Or(strings.Join(reasons, ", and "), "nobody asks for it")
}

// unasked says why a requirement of one side is none of another.
func (d *differ) unasked(with, without *side, by RequiredBy) string {
	req, err := pep508.Parse(by.Requirement)
	if err != nil {
		return ""
	}
	here := without.locked[by.Name]
	switch {
	case by.Name != "" && here == nil && with.locked[by.Name] != nil:
		return fmt.Sprintf("%s asks for it, which is not there either", by.Name)
	case req.Marker != nil && (here == nil || here.Version == with.version(by.Name)) && !without.holds(req.Marker, extrasOf(here)):
		return fmt.Sprintf("%s asks for it only where %s", asker(by, with), req.Marker)
	case here != nil && here.Version != with.version(by.Name):
		return fmt.Sprintf("%s %s does not ask for it, %s does", by.Name, here.Version, with.version(by.Name))
	case here != nil && !slices.Equal(here.Extras, with.locked[by.Name].Extras):
		return fmt.Sprintf("%s is there without the extra that asks for it", by.Name)
	}
	return ""
}

func extrasOf(l *Locked) []string {
	if l == nil {
		return nil
	}
	return l.Extras
}

// asker names who requires: a line of the user's, or a package with its version.
func asker(by RequiredBy, s *side) string {
	if by.File != "" {
		return fmt.Sprintf("%s:%d", by.File, by.Line)
	}
	return strings.TrimSpace(by.Name + " " + s.version(by.Name))
}

// older says why s has not the version of newest.
func (d *differ) older(newest, s *side, name string) (string, error) {
	best := newest.version(name)
	if s.locked[name].reused != nil {
		return fmt.Sprintf("the distribution's %s is reused", s.version(name)), nil
	}
	text, err := d.unusable(s, name, best)
	if text != "" || err != nil {
		return text, err
	}
	if text := d.forbidden(newest, s, name, best); text != "" {
		return text, nil
	}
	if text, err := d.unmet(newest, s, name); text != "" || err != nil {
		return text, err
	}
	return fmt.Sprintf("%s does not go together with the rest of the set there", best), nil
}

// unusable says why a version is no candidate at all: no file fits, or its Requires-Python.
func (d *differ) unusable(s *side, name, version string) (string, error) {
	list, err := s.p.from.Candidates(d.ctx, name)
	if err != nil && !errors.Is(err, solve.ErrNotFound) {
		return "", err
	}
	i := slices.IndexFunc(list, func(c solve.Candidate) bool { return c.Version.String() == version })
	switch {
	case i < 0:
		return fmt.Sprintf("%s has neither a source distribution nor a wheel for Python %s", version, s.target.Python.Minor()), nil
	case !admits(list[i].RequiresPython, s.target.Python.Version):
		return fmt.Sprintf("%s needs Python %s, there is %s", version, list[i].RequiresPython, s.target.Python.Version), nil
	}
	return "", nil
}

// admits holds Requires-Python against a Python; text that is none admits every Python, as for pip.
func admits(requires, python string) bool {
	spec, err := pep440.ParseSpecifiers(requires)
	v, errV := pep440.Parse(python)
	return requires == "" || err != nil || errV != nil || spec.Contains(v)
}

// forbidden finds who excludes a version on one side, and did not on the other.
func (d *differ) forbidden(newest, s *side, name, version string) string {
	v, err := pep440.Parse(version)
	if err != nil {
		return ""
	}
	for _, by := range s.locked[name].RequiredBy {
		req, err := pep508.Parse(by.Requirement)
		if err != nil || req.URL != "" || req.Specifiers.Contains(v) {
			continue
		}
		why := ""
		switch {
		case req.Marker != nil && !newest.holds(req.Marker, extrasOf(newest.locked[by.Name])):
			why = fmt.Sprintf(", only where %s", req.Marker)
		case by.Name != "" && newest.version(by.Name) == "":
			why = fmt.Sprintf(", which %s does not have", newest.target.Name)
		case by.Name != "":
			why = fmt.Sprintf(" (%s has %s %s)", newest.target.Name, by.Name, newest.version(by.Name))
		}
		req.Marker = nil
		return fmt.Sprintf("%s asks for %s%s", asker(by, s), req, why)
	}
	for _, c := range s.constraints {
		if c.Key() == name && !c.Specifiers.Contains(v) && s.holds(c.Marker, nil) && !newest.holds(c.Marker, nil) {
			return fmt.Sprintf("%s:%d constrains it to %s, only where %s", c.File, c.Line, c.Specifiers, c.Marker)
		}
	}
	return ""
}

// unmet finds what the newer version needs and s cannot give.
func (d *differ) unmet(newest, s *side, name string) (string, error) {
	l := newest.locked[name]
	for _, req := range l.Meta.RequiresDist {
		if !s.holds(req.Marker, s.locked[name].Extras) || req.URL != "" {
			continue
		}
		req.Marker = nil
		if have := s.version(req.Key()); have != "" {
			v, err := pep440.Parse(have)
			if err == nil && !req.Specifiers.Contains(v) {
				return fmt.Sprintf("%s needs %s, there is %s", l.Version, req, have), nil
			}
			continue
		}
		none, err := d.noneFor(s, req)
		if err != nil {
			return "", err
		}
		if none {
			return fmt.Sprintf("%s needs %s, which has no version for Python %s", l.Version, req, s.target.Python.Version), nil
		}
	}
	return "", nil
}

// noneFor tells whether no version that satisfies req can be had on s.
func (d *differ) noneFor(s *side, req pep508.Requirement) (bool, error) {
	list, err := s.p.from.Candidates(d.ctx, req.Key())
	if errors.Is(err, solve.ErrNotFound) {
		return true, nil
	}
	return err == nil && !slices.ContainsFunc(list, func(c solve.Candidate) bool {
		return req.Specifiers.Contains(c.Version) && admits(c.RequiresPython, s.target.Python.Version)
	}), err
}
