package solve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// narrative tells a proof in numbered steps. Facts that stand alone (what the
// user wants, what Python rules out) are told only when the next step needs them,
// so that a reader meets them where they matter.
type narrative struct {
	py    *pythonCheck
	steps []string
	told  map[*incompat]int // number of the step that concluded a learned fact
}

func newNarrative(py *pythonCheck) *narrative {
	return &narrative{py: py, told: map[*incompat]int{}}
}

func (n *narrative) step(format string, args ...any) int {
	text := fmt.Sprintf(format, args...)
	if rest, ok := strings.CutPrefix(text, "every "); ok { // names of packages stay as they are
		text = "Every " + rest
	}
	n.steps = append(n.steps, text)
	return len(n.steps)
}

func (n *narrative) text() string {
	var b strings.Builder
	shown := n.steps
	left := 0
	if len(shown) > maxSteps { // the end is where things meet
		left = len(shown) - maxSteps
		shown = slices.Concat(shown[:maxSteps-5], shown[len(shown)-5:])
	}
	for i, s := range shown {
		number := i + 1
		if left > 0 && i >= maxSteps-5 {
			if i == maxSteps-5 {
				fmt.Fprintf(&b, "  … (%d steps like these)\n", left)
			}
			number += left
		}
		fmt.Fprintf(&b, "  %d. %s\n", number, s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// scene is the state of one telling: what is still possible, by which step, and
// the facts not told yet.
type scene struct {
	cur   map[*variable]set
	by    map[*variable][]int // the steps that narrowed it
	facts []cause
	guess map[*variable]set // what a learned fact is about: supposed, not known
}

// tell words one proof, oldest conclusion first. A learned fact inside it is told
// before, as a proof of its own.
func (n *narrative) tell(proof *incompat) {
	if proof.kind != kindLearned { // one fact is enough
		n.last(&scene{cur: map[*variable]set{}, by: map[*variable][]int{}}, proof)
		return
	}
	for _, c := range slices.Backward(proof.causes) {
		if c.c.kind == kindLearned && n.told[c.c] == 0 && len(n.steps) < 1000 {
			n.tell(c.c)
		}
	}
	sc := &scene{cur: map[*variable]set{}, by: map[*variable][]int{}, guess: map[*variable]set{}}
	for _, t := range proof.terms {
		sc.cur[t.v], sc.guess[t.v] = t.set, t.set
	}
	var chain []cause
	for _, c := range slices.Backward(proof.causes[1:]) {
		if len(c.c.terms) == 1 && c.c.kind != kindDepends {
			sc.facts = append(sc.facts, c)
		} else {
			chain = append(chain, c)
		}
	}
	chain, end := rotate(proof.causes[0].c, chain, sc)
	for i := 0; i < len(chain); {
		i += n.link(sc, chain[i:])
	}
	if end == nil {
		end = proof.causes[0].c
	}
	n.last(sc, end)
	if len(proof.terms) > 0 {
		n.told[proof] = n.step("So %s.", n.conclusion(proof))
	}
}

// rotate lets a clash that only continues a row ("boto3 1.2 needs …, boto3 1.1
// needs …") be the last of that row, and the wish for the package the end.
func rotate(broken *incompat, chain []cause, sc *scene) ([]cause, *incompat) {
	if len(chain) == 0 || !sameShape(chain[len(chain)-1], cause{broken, broken.from}) {
		return chain, nil
	}
	i := slices.IndexFunc(sc.facts, func(f cause) bool { return f.pivot == broken.from && f.c.kind == kindRoot })
	if i < 0 {
		return chain, nil
	}
	end := sc.facts[i].c
	sc.facts = slices.Delete(sc.facts, i, i+1)
	return append(chain, cause{broken, broken.from}), end
}

// link tells the first cause of chain, together with those after it that say the
// same of other versions, and returns how many it told.
func (n *narrative) link(sc *scene, chain []cause) int {
	first := chain[0]
	n.prepare(sc, first.c, first.pivot)
	count := 1
	for count < len(chain) && sameShape(first, chain[count]) {
		count++
	}
	group := chain[:count]
	before := sc.of(first.pivot)
	after := before
	for _, c := range group {
		if c.pivot == first.pivot {
			s, _ := c.c.term(c.pivot)
			after = after.minus(s)
		}
	}
	sc.narrowedBy(first.pivot, n.sentence(sc, group, before.minus(after)))
	sc.cur[first.pivot] = after
	return count
}

// sameShape: both rule out versions of one package by what they need of another.
func sameShape(a, b cause) bool {
	return a.c.kind == kindDepends && b.c.kind == kindDepends && a.pivot == b.pivot &&
		a.c.from == b.c.from && a.c.to == b.c.to && a.c.extra == b.c.extra && a.pivot == a.c.from
}

// prepare tells the facts that must be known for c to narrow pivot.
func (n *narrative) prepare(sc *scene, c *incompat, pivot *variable) {
	for _, t := range c.terms {
		for t.v != pivot && !sc.of(t.v).subsetOf(t.set) {
			i := slices.IndexFunc(sc.facts, func(f cause) bool { return f.pivot == t.v })
			if i < 0 {
				break
			}
			f := sc.facts[i]
			sc.facts = slices.Delete(sc.facts, i, i+1)
			n.fact(sc, f)
		}
	}
}

func (sc *scene) of(v *variable) set {
	if s, ok := sc.cur[v]; ok {
		return s
	}
	return v.full
}

// fact tells something that holds by itself.
func (n *narrative) fact(sc *scene, f cause) {
	excluded, _ := f.c.term(f.pivot)
	before := sc.of(f.pivot)
	gone := before.and(excluded)
	sc.cur[f.pivot] = before.minus(excluded)
	if gone.empty() {
		return
	}
	switch f.c.kind {
	case kindLearned:
		sc.narrowedBy(f.pivot, n.told[f.c])
	case kindRoot:
		sc.narrowedBy(f.pivot, n.once(fmt.Sprintf("%s asks for %s.", f.c.origin, wanted(f.c.req, f.c.by))))
	default:
		sc.narrowedBy(f.pivot, n.step("%s.", n.reason(f.c, gone)))
	}
}

// once is step for a line that may name a package and its extras: told one time.
func (n *narrative) once(text string) int {
	if i := slices.Index(n.steps, text); i >= 0 {
		return i + 1
	}
	return n.step("%s", text)
}

func (sc *scene) narrowedBy(v *variable, step int) {
	if step > 0 && !slices.Contains(sc.by[v], step) {
		sc.by[v] = append(sc.by[v], step)
	}
}

// steps words the steps that narrowed v, "" when there is none.
func (sc *scene) steps(v *variable, one, many string) string {
	by := slices.Sorted(slices.Values(sc.by[v]))
	if len(by) > 3 {
		by = by[len(by)-3:]
	}
	var words []string
	for _, k := range by {
		words = append(words, strconv.Itoa(k))
	}
	switch len(words) {
	case 0:
		return ""
	case 1:
		return "step " + words[0] + " " + one
	}
	return "steps " + list(words) + " together " + many
}

// reason words a fact that rules out the versions in gone.
func (n *narrative) reason(c *incompat, gone set) string {
	if c.kind == kindConstraint {
		return fmt.Sprintf("%s allows only %s", c.origin, wanted(c.req, c.by))
	}
	who := n.versions(c.to, gone)
	switch c.kind {
	case kindPython:
		return fmt.Sprintf("%s %s Python %s, the target has %s", who.text, who.verb("needs", "need"), pythons(c.to, gone), n.py.python)
	case kindPre:
		return who.text + who.verb(" is a pre-release", " are pre-releases") + ", which no requirement names"
	case kindYanked:
		return who.text + who.verb(" was yanked by its authors, and no requirement pins it", " were yanked by their authors, and no requirement pins them")
	case kindNoSource:
		return who.text + who.verb(" has", " have") + " no source distribution, and others have one"
	case kindMetadata:
		return fmt.Sprintf("What %s needs could not be found out (%v)", who.text, c.err)
	}
	return who.text + " cannot be used"
}

// sentence words causes of one shape and returns the number of its step.
func (n *narrative) sentence(sc *scene, group []cause, gone set) int {
	c, pivot := group[0].c, group[0].pivot
	if c.kind == kindLearned {
		k := n.told[c]
		if k == 0 { // left out, the proof is too long to tell
			return n.step("Every other choice tried fails, so %s cannot be used.", n.versions(pivot, gone).text)
		}
		if pivot.list != nil && !gone.has(none) {
			return n.step("By step %d, %s cannot be used here.", k, n.versions(pivot, gone).text)
		}
		return k
	}
	if pivot == c.to {
		return n.once(n.needs(c, sc.of(c.from)) + ".")
	}
	if pivot == c.from {
		needs := n.needsAll(group, gone)
		return n.step("%s%s; so %s cannot be used.", needs, n.blocked(sc, c), they(gone))
	}
	// the extra is what cannot be had
	return n.step("%s%s; so the extra cannot be had.", n.needs(c, sc.of(c.from)), n.blocked(sc, c))
}

// last words how the final fact breaks on what was told.
func (n *narrative) last(sc *scene, c *incompat) {
	n.prepare(sc, c, nil)
	switch c.kind {
	case kindRoot:
		if len(c.terms) == 0 || !sc.narrowed(c.to) {
			n.step("%s asks for %s, %s.", c.origin, wanted(c.req, c.by), missing(c.to))
			return
		}
		n.step("%s asks for %s%s.", c.origin, wanted(c.req, c.by), n.nothingLeft(sc, c.to))
	case kindDepends:
		n.step("%s%s.", n.needs(c, sc.of(c.from)), n.blocked(sc, c))
	case kindLearned:
		if k := n.told[c]; k > 0 {
			n.step("By step %d that is impossible.", k)
		} else {
			n.step("Every other choice tried fails as well.")
		}
	default:
		gone, _ := c.term(c.to)
		n.step("%s; so nothing is left that could be used.", n.reason(c, gone.and(sc.of(c.to))))
	}
}

func (sc *scene) narrowed(v *variable) bool {
	_, ok := sc.cur[v]
	return ok
}

// needs words "django 5.0 needs asgiref >=3.7" for the versions possible now.
func (n *narrative) needs(c *incompat, possible set) string {
	who := possible
	if s, ok := c.term(c.from); ok {
		who = possible.and(s)
	}
	name := n.versions(c.from, who)
	return fmt.Sprintf("%s%s %s %s", name.text, withExtra(c), name.verb("needs", "need"), wanted(c.req, c.by))
}

func withExtra(c *incompat) string {
	if c.extra == nil {
		return ""
	}
	return " with [" + c.extra.extra + "]"
}

func they(s set) string {
	if withoutNone(s).count() == 1 {
		return "it"
	}
	return "they"
}

// needsAll words a group that rules out gone. Requirements that differ from
// version to version are shown by the newest.
func (n *narrative) needsAll(group []cause, gone set) string {
	c := group[0].c
	newest := c
	for _, g := range group {
		s, _ := g.c.term(c.from)
		t, _ := newest.term(c.from)
		if s.and(gone).max() > t.and(gone).max() {
			newest = g.c
		}
	}
	if len(group) == 1 {
		return n.needs(c, gone)
	}
	top, _ := newest.term(c.from)
	example := c.from.list.cands[top.and(gone).max()-1].Version
	name := n.versions(c.from, gone)
	return fmt.Sprintf("%s%s %s own %s (%s: %s)", name.text, withExtra(c), name.verb("needs its", "each need their"), c.to.name, example, wanted(newest.req, newest.by))
}

// blocked says why what c needs cannot be had.
func (n *narrative) blocked(sc *scene, c *incompat) string {
	if !sc.narrowed(c.to) {
		return ", " + missing(c.to)
	}
	if by := sc.steps(c.to, "rules out", "rule out"); by != "" {
		return ", which " + by
	}
	if guess, ok := sc.guess[c.to]; ok && !guess.has(none) && c.to.extra == "" {
		return ", which " + n.versions(c.to, guess).text + " does not fit"
	}
	return "" // the conclusion says what then has to be
}

// missing says why no version of a package matches at all.
func missing(v *variable) string {
	if !v.base.list.found {
		return "and no index has a package named " + v.name
	}
	cands := v.base.list.cands
	if len(cands) == 0 {
		return "and no version of " + v.name + " can be had"
	}
	return fmt.Sprintf("and there is no such version (there are %s to %s)", cands[0].Version, cands[len(cands)-1].Version)
}

func (n *narrative) nothingLeft(sc *scene, v *variable) string {
	if by := sc.steps(v, "leaves none", "leave none"); by != "" {
		return ", of which " + by
	}
	return ", of which none is left"
}

// conclusion words a learned fact: what cannot be used together, or what the one
// needs of the other.
func (n *narrative) conclusion(c *incompat) string {
	var who, needs []string
	for _, t := range c.terms {
		switch {
		case t.v.extra != "" && t.set.has(none):
			needs = append(needs, t.v.label())
		case t.v.extra != "":
			who = append(who, t.v.label())
		case t.set.has(none):
			needs = append(needs, n.either(t.v, t.v.full.minus(t.set)))
		default:
			who = append(who, n.either(t.v, t.set))
		}
	}
	switch {
	case len(who) == 0:
		return strings.Join(needs, " or ") + " has to be used"
	case len(needs) > 0:
		return list(who) + " can be used only with " + strings.Join(needs, " or ")
	case len(who) == 1:
		return who[0] + " cannot be used"
	}
	return list(who) + " cannot be used together"
}

func (n *narrative) either(v *variable, s set) string {
	return strings.ReplaceAll(n.versions(v, s).text, " and ", " or ")
}
