package solve

import (
	"fmt"
	"slices"
	"strconv"
)

// hints are changes that would, by all that is known, make a solution possible.
// It sets Conflict.Python when another Python is one. about, when there is any, is all that
// matters for that: the user's lines that the Python itself rules out.
func (s *solver) hints(leaves []*incompat, about []Root, c *Conflict) []string {
	rests := func(k kind) bool {
		return slices.ContainsFunc(leaves, func(l *incompat) bool { return l.kind == k })
	}
	var hints []string
	if rests(kindPython) {
		if c.Python = s.otherPython(about); c.Python != "" {
			hints = append(hints, fmt.Sprintf("a target with Python %s may do (this one has %s).", c.Python, s.f.py.python))
		}
	}
	if rests(kindPre) {
		if v := s.wouldTake(mode{known: true, pre: true}, leaves, kindPre); v != "" {
			hints = append(hints, fmt.Sprintf("a pre-release would fit: %s. Allow it with --pre, or by naming it in a requirement.", v))
		}
	}
	if rests(kindYanked) {
		if v := s.wouldTake(mode{known: true, yanked: true}, leaves, kindYanked); v != "" {
			hints = append(hints, fmt.Sprintf("a yanked version would fit: %s. Pin it with == to take it all the same.", v))
		}
	}
	if rests(kindNoSource) {
		if v := s.wouldTake(mode{known: true, noSource: true}, leaves, kindNoSource); v != "" {
			hints = append(hints, fmt.Sprintf("only a wheel would fit: %s. Allow it with --allow-wheel NAME.", v))
		}
	}
	return hints
}

// wouldTake names the versions that k leaves out and that a solution under m takes.
func (s *solver) wouldTake(m mode, leaves []*incompat, k kind) string {
	var last *attempt
	if proof := s.ask(s.roots, m, func(a *attempt) { last = a }); proof != nil || last.conflicts > maxWhatIf {
		return ""
	}
	var taken []string
	for _, l := range leaves {
		if l.kind != k {
			continue
		}
		v := last.byName[l.to.name]
		if v == nil || v.decided == 0 {
			continue
		}
		if gone, _ := l.term(l.to); gone.has(v.decided) {
			taken = append(taken, v.name+" "+v.version().String())
		}
	}
	slices.Sort(taken)
	return list(slices.Compact(taken))
}

// otherPython is the minor Python nearest to the target's with which all could
// hold (or those lines in about): the next newer ones first, then older ones.
func (s *solver) otherPython(about []Root) string {
	release := s.f.py.python.Parts().Release
	if len(release) < 2 || release[0] != "3" {
		return ""
	}
	minor, err := strconv.Atoi(release[1])
	if err != nil || minor > 100 {
		return ""
	}
	for _, m := range []int{1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6} {
		if minor+m < 6 {
			continue
		}
		text := "3." + strconv.Itoa(minor+m)
		if s.holdsWith(text, about) {
			return text
		}
	}
	return ""
}

// holdsWith asks for a late patch release of a minor Python, since some packages
// leave out early ones.
func (s *solver) holdsWith(python string, about []Root) bool {
	env := s.req.Env
	env.PythonVersion, env.PythonFullVersion = python, python+".20"
	env.ImplementationVersion = env.PythonFullVersion
	roots := s.req.rootsFor(env)
	if about != nil {
		roots = slices.DeleteFunc(roots, func(r Root) bool {
			return !slices.ContainsFunc(about, func(a Root) bool { return a.Req.Key() == r.Req.Key() })
		})
	}
	var last *attempt
	proof := s.ask(roots, mode{known: true}, func(a *attempt) {
		a.env, a.py = env, newPythonCheck(env)
		last = a
	})
	return proof == nil && last.conflicts <= maxWhatIf
}
