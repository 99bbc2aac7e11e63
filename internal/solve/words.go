package solve

import (
	"fmt"
	"slices"
	"strings"
)

func withoutNone(s set) set {
	if !s.has(none) {
		return s
	}
	s = s.clone()
	s.remove(none)
	return s
}

// subject is some versions of a package, as a sentence begins with them.
type subject struct {
	text string
	many bool
}

func (s subject) verb(one, many string) string {
	if s.many {
		return many
	}
	return one
}

// versions names the candidates in s: each when they are few, else as a run.
// Versions that could never be chosen anyway do not make a run incomplete.
func (n *narrative) versions(v *variable, s set) subject {
	s = withoutNone(s)
	eligible := v.usable.minus(v.list.pre).minus(v.list.yanked).minus(v.list.noSource)
	if shown := s.and(eligible); !shown.empty() {
		s = shown
	} else {
		eligible = v.list.all()
	}
	var texts []string
	for i := s.next(1); i > 0; i = s.next(i + 1) {
		texts = append(texts, v.list.cands[i-1].Version.String())
	}
	first, last := "", ""
	if len(texts) > 0 {
		first, last = texts[0], texts[len(texts)-1]
	}
	run := runSet(v.size, max(s.next(1), 1)-1, max(s.max(), 0))
	switch {
	case len(texts) == 0:
		return subject{v.name, false}
	case len(texts) <= 3:
		return subject{v.name + " " + list(texts), len(texts) > 1}
	case s.equal(v.list.all().and(eligible)):
		return subject{fmt.Sprintf("every version of %s (%s to %s, %d versions)", v.name, first, last, len(texts)), false}
	case eligible.and(run).equal(s):
		return subject{fmt.Sprintf("every version of %s from %s to %s (%d versions)", v.name, first, last, len(texts)), false}
	}
	return subject{fmt.Sprintf("%d versions of %s between %s and %s", len(texts), v.name, first, last), true}
}

// pythons is what the versions in s say of Python, the newest first.
func pythons(v *variable, s set) string {
	var texts []string
	for i := s.max(); i > 0; i-- {
		if !s.has(i) {
			continue
		}
		if t := v.list.cands[i-1].RequiresPython; !slices.Contains(texts, t) {
			if texts = append(texts, t); len(texts) == 3 {
				break
			}
		}
	}
	return strings.Join(texts, " or ")
}
