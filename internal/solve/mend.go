package solve

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// MendOptions bound the search for a change and say what there is to choose from.
type MendOptions struct {
	Pythons []PythonChoice // the other Python stacks on offer
	Solves  int            // how often to solve at most; 0: 40
	Most    int            // changes wanted at most; 0: 6
}

// PythonChoice is one Python stack on offer.
type PythonChoice struct {
	Env  pep508.Environment
	Text string // the option that chooses it: "--target el9-py312"
}

// Mend looks for single changes of req that make it solvable, after Solve ended with
// conflict for it. Each change returned was tried: a request with it, and nothing else
// changed, has a solution. They come smallest first: by kind in the order people prefer, then
// by how many versions lie between what was asked for and what is chosen.
//
// A proof holds as long as everything it rests on does, so a single change must touch
// something that the proof rests on, or be another Python. These are all that is tried: none
// that exists among the kinds is missed, unless options or ctx cut the work short. The
// error is that of ctx; what was proven until then is returned with it.
func Mend(ctx context.Context, src Source, req Request, conflict *Conflict, options MendOptions) ([]Change, error) {
	m := &mender{ctx: ctx, src: newMemo(src), req: req, about: conflict, left: cmp.Or(options.Solves, defaultSolves)}
	for _, try := range []func(){m.lines, func() { m.pythons(options.Pythons) }, m.hidden, m.overrides, m.drops} {
		try()
		if ctx.Err() != nil {
			break
		}
	}
	slices.SortStableFunc(m.found, func(a, b Change) int {
		return cmp.Or(slices.Index(kindOrder, a.Kind)-slices.Index(kindOrder, b.Kind), a.steps-b.steps)
	})
	return m.found[:min(len(m.found), cmp.Or(options.Most, defaultChanges))], ctx.Err()
}

type mender struct {
	ctx   context.Context
	src   *memo
	req   Request
	about *Conflict
	left  int // solves
	found []Change
}

// try solves a changed request; nil when it has no solution that could be found.
func (m *mender) try(src Source, req Request) *Solution {
	if m.left <= 0 || m.ctx.Err() != nil {
		return nil
	}
	m.left--
	s := newSolver(m.ctx, src, req)
	defer s.f.freeze()
	s.unexplained, s.limit = true, maxTrial
	sol, err := s.solve()
	if err != nil {
		return nil
	}
	return &sol
}

// maxTrial bounds the conflicts of one trial: a change that takes longer to prove is none to offer.
const maxTrial = 5000

// lines relaxes each line of the user, and each override, that takes part in the clash.
func (m *mender) lines() {
	for _, l := range m.changeable() {
		sol := m.try(m.src, m.with(l, func(r *Root) { r.Req.Specifiers = pep440.Specifiers{} }, true))
		if sol == nil {
			continue
		}
		taken, ok := sol.version(l.root.Req.Key())
		if !ok {
			continue
		}
		relaxed := relaxed(l.root.Req.Specifiers, taken)
		if sol = m.try(m.src, m.with(l, func(r *Root) { r.Req.Specifiers = relaxed }, false)); sol == nil {
			continue
		}
		now := l.root.Req
		now.Specifiers = relaxed
		m.add(Change{Kind: Relax, Origin: l.root.Origin, Text: now.String(), steps: m.distance(l.root.Req, taken)}, sol, now.Key())
	}
}

// drops leaves out each constraint that takes part in the clash.
func (m *mender) drops() {
	for _, l := range m.changeable() {
		if !l.root.Constraint {
			continue
		}
		if sol := m.try(m.src, m.with(l, func(r *Root) { r.Req.Specifiers = pep440.Specifiers{} }, false)); sol != nil {
			m.add(Change{Kind: DropOne, Origin: l.root.Origin, Text: l.root.Req.String()}, sol, l.root.Req.Key())
		}
	}
}

// line is one root or override of the request, by its place.
type line struct {
	root     Root
	override bool
	at       int
}

// changeable are the lines of the clash that say something of versions.
func (m *mender) changeable() []line {
	inClash := func(r Root) bool {
		return !r.Req.Specifiers.IsEmpty() && slices.ContainsFunc(m.about.core, func(c Root) bool {
			return c.Origin == r.Origin && c.Constraint == r.Constraint && c.Req.Key() == r.Req.Key()
		})
	}
	var lines []line
	for i, r := range m.req.Roots {
		overridden := slices.ContainsFunc(m.req.Overrides, func(o Root) bool { return o.Req.Key() == r.Req.Key() })
		if inClash(r) && !overridden && r.Req.Marker.Eval(m.req.Env, "") {
			lines = append(lines, line{root: r, at: i})
		}
	}
	for i, o := range m.req.Overrides {
		if slices.Contains(m.about.overrides, o.Origin) && !o.Req.Specifiers.IsEmpty() {
			lines = append(lines, line{root: o, override: true, at: i})
		}
	}
	return lines
}

// with is the request with one line changed. near: of that line's package, versions close to
// what it asked for go first, so that the change is small.
func (m *mender) with(l line, change func(*Root), near bool) Request {
	req := m.req
	list := &req.Roots
	if l.override {
		list = &req.Overrides
	}
	*list = slices.Clone(*list)
	change(&(*list)[l.at])
	if anchor, ok := anchorOf(l.root.Req.Specifiers); near && ok {
		req.near = map[string]pep440.Version{l.root.Req.Key(): anchor}
	}
	return req
}

// pythons tries the Python stacks on offer: the next newer ones first, then older ones.
func (m *mender) pythons(choices []PythonChoice) {
	now := newPythonCheck(m.req.Env).python
	choices = slices.Clone(choices)
	python := func(c PythonChoice) pep440.Version { return newPythonCheck(c.Env).python }
	slices.SortStableFunc(choices, func(a, b PythonChoice) int {
		newer := func(c PythonChoice) bool { return python(c).Compare(now) > 0 }
		switch {
		case newer(a) && newer(b):
			return python(a).Compare(python(b))
		case newer(a) != newer(b):
			return map[bool]int{true: -1, false: 1}[newer(a)]
		}
		return python(b).Compare(python(a))
	})
	for _, c := range choices {
		if python(c).Compare(now) == 0 {
			continue
		}
		req := m.req
		req.Env = c.Env
		if sol := m.try(m.src, req); sol != nil {
			m.add(Change{Kind: OtherPython, Text: c.Text}, sol, "")
			return
		}
	}
}

// hidden lets in, of one package, what the policy leaves out: first all of it, to learn which
// version would be taken, then that version by the means a user has.
func (m *mender) hidden() {
	for _, h := range m.about.hidden {
		open := &opened{memo: m.src, name: h.name, kind: h.kind}
		sol := m.try(open, open.ask(m.req))
		if sol == nil {
			continue
		}
		taken, ok := sol.version(h.name)
		if !ok || !open.was(m.ctx, taken) {
			continue
		}
		if h.kind == kindNoSource {
			m.add(Change{Kind: AllowWheel, Text: "--allow-wheel " + h.name}, sol, h.name)
			continue
		}
		pin, err := pep508.Parse(h.name + "==" + taken.String())
		if err != nil {
			continue
		}
		req := m.req
		req.Roots = append(slices.Clone(req.Roots), Root{Req: pin, Constraint: true, Origin: Origin{File: "--constrain", Text: pin.String()}})
		if sol = m.try(m.src, req); sol != nil {
			kind := AllowPre
			if h.kind == kindYanked {
				kind = AllowYanked
			}
			m.add(Change{Kind: kind, Text: "--constrain '" + pin.String() + "'"}, sol, h.name)
		}
	}
}

// overrides lets what some package of the clash says of another give way: to what the user
// himself says of that other package, else to the version that fits the rest.
func (m *mender) overrides() {
	needs := slices.Clone(m.about.needs)
	for _, l := range m.changeable() { // lines that contradict each other
		if !l.override {
			needs = append(needs, need{name: l.root.Req.Key(), spec: l.root.Req.Specifiers, origin: l.root.Origin})
		}
	}
	tried := map[string]bool{}
	for _, o := range m.req.Overrides {
		tried[o.Req.Key()] = true
	}
	for _, n := range needs {
		if tried[n.name] || n.origin.Package == "" && m.relaxes(n.name) {
			continue
		}
		tried[n.name] = true
		sol, spec := m.overrideOf(n.name)
		if sol == nil {
			continue
		}
		taken, _ := sol.version(n.name)
		gives := slices.IndexFunc(needs, func(o need) bool { return o.name == n.name && !o.spec.Contains(taken) })
		if gives >= 0 && needs[gives].origin.Package == "" && m.relaxes(n.name) {
			continue // only the user's own line gives way: that was said
		}
		text := "--override '" + n.name + spec.String() + "'"
		m.add(Change{Kind: OverrideOne, Origin: needs[max(gives, 0)].origin, Text: text}, sol, n.name)
	}
}

// relaxes: changing one line on this package helps.
func (m *mender) relaxes(name string) bool {
	return slices.ContainsFunc(m.found, func(c Change) bool {
		return c.Kind == Relax && len(c.Takes) > 0 && c.Takes[0].Name == name
	})
}

// overrideOf finds what could count as the requirement on a package, nil when nothing could.
func (m *mender) overrideOf(name string) (*Solution, pep440.Specifiers) {
	if own := m.ownWord(name); !own.IsEmpty() {
		if sol := m.override(name, own); sol != nil {
			return sol, own
		}
	}
	sol := m.override(name, pep440.Specifiers{})
	if sol == nil {
		return nil, pep440.Specifiers{}
	}
	taken, ok := sol.version(name)
	if !ok {
		return nil, pep440.Specifiers{}
	}
	spec := exactly(taken)
	return m.override(name, spec), spec
}

// ownWord is all that the user says of a package's version.
func (m *mender) ownWord(name string) pep440.Specifiers {
	var all pep440.Specifiers
	for _, r := range m.req.Roots {
		if r.Req.Key() == name && r.Req.Marker.Eval(m.req.Env, "") {
			all = all.And(r.Req.Specifiers)
		}
	}
	return all
}

func (m *mender) override(name string, spec pep440.Specifiers) *Solution {
	req := m.req
	o := pep508.Requirement{Name: name, Specifiers: spec}
	req.Overrides = append(slices.Clone(req.Overrides), Root{Req: o, Origin: Origin{File: "--override", Text: o.String()}})
	return m.try(m.src, req)
}

// add notes a proven change; first is the package it is about.
func (m *mender) add(c Change, sol *Solution, first string) {
	names := map[string]bool{}
	for _, r := range m.about.core {
		names[r.Req.Key()] = true
	}
	for _, n := range m.about.needs {
		names[n.name] = true
		names[n.origin.Package] = true
	}
	for _, p := range sol.Packages {
		if names[p.Name] || p.Name == first {
			c.Takes = append(c.Takes, p)
		}
	}
	slices.SortStableFunc(c.Takes, func(a, b Chosen) int {
		if (a.Name == first) != (b.Name == first) {
			return map[bool]int{true: -1, false: 1}[a.Name == first]
		}
		return strings.Compare(a.Name, b.Name)
	})
	m.found = append(m.found, c)
}

// distance counts the versions between what r names and what is taken.
func (m *mender) distance(r pep508.Requirement, taken pep440.Version) int {
	anchor, ok := anchorOf(r.Specifiers)
	cands, err := m.src.Candidates(m.ctx, r.Key())
	if !ok || err != nil {
		return 0
	}
	low, high := anchor, taken
	if low.Compare(high) > 0 {
		low, high = high, low
	}
	n := 0
	for _, c := range cands {
		if c.Version.Compare(low) >= 0 && c.Version.Compare(high) <= 0 {
			n++
		}
	}
	return n
}

// version is the one chosen of a package.
func (s *Solution) version(name string) (pep440.Version, bool) {
	for _, p := range s.Packages {
		if p.Name == name {
			return p.Version, true
		}
	}
	return pep440.Version{}, false
}
