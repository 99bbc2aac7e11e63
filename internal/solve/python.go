package solve

import (
	"fmt"
	"sync"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// pythonCheck answers Requires-Python for one Python. Safe for concurrent use.
type pythonCheck struct {
	python pep440.Version // zero: unknown, everything is allowed
	mu     sync.Mutex
	known  map[string]bool
}

func newPythonCheck(env pep508.Environment) *pythonCheck {
	text := env.PythonFullVersion
	if text == "" {
		text = env.PythonVersion
	}
	v, err := pep440.Parse(text)
	if err == nil && v.IsPrerelease() { // pip looks at the three numbers only: 3.15.0rc1 counts as 3.15.0
		v, err = pep440.Parse(release(v))
	}
	if err != nil {
		v = pep440.Version{}
	}
	return &pythonCheck{python: v, known: map[string]bool{}}
}

func release(v pep440.Version) string {
	text := ""
	for i, n := range v.Parts().Release {
		if i > 0 {
			text += "."
		}
		text += n
	}
	return text
}

// allows tells whether requires admits the Python. Text that is no specifier set
// admits every Python, as it does for pip.
func (c *pythonCheck) allows(requires string) bool {
	if requires == "" || c.python.IsZero() {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ok, found := c.known[requires]
	if !found {
		spec, err := pep440.ParseSpecifiers(requires)
		ok = err != nil || spec.Contains(c.python)
		c.known[requires] = ok
	}
	return ok
}

// maxRuledOut bounds the packages of which is told that the Python rules them out.
const maxRuledOut = 50

// pythonFirst finds what the user himself asks for and the target's Python rules out: a
// dead end whatever else is true, so it is told before any other clash, and all of it
// at once. n tells it; core is nil when there is no such thing.
func (s *solver) pythonFirst(n *narrative) (core []Root, leaves []*incompat, headline string) {
	var names []string
	for _, r := range s.roots {
		name := r.Req.Key()
		if r.Constraint || len(names) > 0 && names[len(names)-1] == name || len(names) == maxRuledOut || !s.ruledOut(name) {
			continue
		}
		var lines []Root
		for _, o := range s.roots {
			if o.Req.Key() == name {
				lines = append(lines, o)
			}
		}
		proof := s.ask(lines, mode{known: true, allAtOnce: true}, nil)
		if proof == nil {
			continue // an extra's doing
		}
		names = append(names, name)
		rests := leavesOf(proof)
		core = append(core, used(lines, rests)...)
		leaves = append(leaves, rests...)
		n.tell(proof)
	}
	if len(names) > 1 {
		return core, leaves, fmt.Sprintf("Python %s is ruled out by %s:", s.f.py.python, list(naming(core)))
	}
	return core, leaves, s.headline(core, leaves)
}

// ruledOut: there are versions of a package that fit all the user says of it, and none of
// these admits the Python.
func (s *solver) ruledOut(name string) bool {
	vs, err := s.f.versions(s.ctx, name)
	if err != nil {
		return false
	}
	match := vs.all()
	for _, r := range s.roots {
		if r.Req.Key() == name {
			match = match.and(vs.matching(r.Req.Specifiers))
		}
	}
	if match.empty() {
		return false
	}
	for i := match.next(1); i > 0; i = match.next(i + 1) {
		if s.f.py.allows(vs.cands[i-1].RequiresPython) {
			return false
		}
	}
	return true
}
