package solve

import (
	"fmt"
	"slices"

	"reqpm/internal/pep508"
)

// An override says what counts as the requirement on a name, whoever asks for it and
// whatever he says of versions: the specifiers, the URL and the constraints on that name
// give way to it. What stays is who asks, under which marker, and for which extras:
// an override asks for nothing itself. Its own marker says when it holds; with
// several overrides of one name, all that hold count, and when none does, the name is
// not asked for at all (uv's way to leave a dependency out: "name; sys_platform == 'never'").

// counting is one requirement as it counts.
type counting struct {
	pep508.Requirement
	written pep508.Requirement
	by      *Root // the override in place of what is written, nil when there is none
}

// inPlaceOf returns what counts for a requirement whose marker holds.
func (req *Request) inPlaceOf(r pep508.Requirement, env pep508.Environment) []counting {
	key, known := "", false
	var list []counting
	for i := range req.Overrides {
		o := &req.Overrides[i]
		if key == "" {
			key = r.Key()
		}
		if o.Req.Key() != key {
			continue
		}
		known = true
		if !o.Req.Marker.Eval(env, "") {
			continue
		}
		c := counting{written: r, by: o, Requirement: r}
		c.Specifiers, c.URL = o.Req.Specifiers, o.Req.URL
		c.Extras = slices.Compact(slices.Sorted(slices.Values(slices.Concat(r.Extras, o.Req.Extras))))
		list = append(list, c)
	}
	if !known {
		return []counting{{Requirement: r, written: r}}
	}
	return list
}

// active are the requirements of a version that hold without extras, or those that
// extra adds, as they count.
func (req *Request) active(reqs []pep508.Requirement, env pep508.Environment, extra string) []counting {
	var active []counting
	for _, r := range reqs {
		plain := r.Marker.Eval(env, "")
		if extra == "" && plain || extra != "" && !plain && r.Marker.Eval(env, extra) {
			active = append(active, req.inPlaceOf(r, env)...)
		}
	}
	return active
}

// rootsFor are the user's own requirements that hold in env, as they count. A
// constraint gives way to an override altogether.
func (req *Request) rootsFor(env pep508.Environment) []Root {
	var roots []Root
	for _, r := range req.Roots {
		if !r.Req.Marker.Eval(env, "") {
			continue
		}
		for _, c := range req.inPlaceOf(r.Req, env) {
			if c.by == nil || !r.Constraint {
				roots = append(roots, Root{Req: c.Requirement, Constraint: r.Constraint, Origin: r.Origin, by: c.by})
			}
		}
	}
	return roots
}

// Counting is what a version's requirements become by the overrides that hold, and the
// names (PEP 503) that were overridden: what a package of that version has to say it
// requires.
func (req *Request) Counting(reqs []pep508.Requirement) (counts []pep508.Requirement, overridden []string) {
	if len(req.Overrides) == 0 {
		return reqs, nil
	}
	for _, r := range reqs {
		list := req.inPlaceOf(r, req.Env)
		for _, c := range list {
			counts = append(counts, c.Requirement)
		}
		if len(list) == 0 || list[0].by != nil {
			overridden = append(overridden, r.Key())
		}
	}
	slices.Sort(overridden)
	return counts, slices.Compact(overridden)
}

// overridden tells what overrides did: whose requirements they replaced, and which had
// nothing to replace.
func (s *solver) overridden(sol Solution) []string {
	var texts []string
	for i := range s.req.Overrides {
		o := &s.req.Overrides[i]
		if !o.Req.Marker.Eval(s.req.Env, "") {
			continue
		}
		key, used := o.Req.Key(), false
		replaced := func(who Origin, text string) {
			texts = append(texts, fmt.Sprintf("%s %s counts in place of %s of %s", o.Origin, wanted(o.Req, nil), text, who))
		}
		for _, e := range sol.Edges {
			if e.To == key {
				used = true
				if written, err := pep508.Parse(e.From.Text); err != nil || written.URL != o.Req.URL || !written.Specifiers.Equal(o.Req.Specifiers) {
					replaced(e.From, e.From.Text)
				}
			}
		}
		for _, r := range s.req.Roots {
			if used && r.Constraint && r.Req.Key() == key && r.Req.Marker.Eval(s.req.Env, "") {
				replaced(r.Origin, r.Req.String())
			}
		}
		if !used {
			texts = append(texts, fmt.Sprintf("%s %s changes nothing: no package of the set requires %s", o.Origin, wanted(o.Req, nil), o.Req.Name))
		}
	}
	return slices.Compact(texts)
}
