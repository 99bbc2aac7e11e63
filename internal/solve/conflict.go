package solve

import (
	"slices"
	"strings"

	"reqpm/internal/pep440"
)

// Conflict is the typed error of "no solution".
type Conflict struct {
	Message string   // for people: the clash in one line, then numbered steps and hints
	Origins []Origin // the requirements that cannot hold together, users' own first
	Python  string   // the lowest minor Python ("3.12") with which it could hold, when Python is the cause
	// Changes are what Mend proved to help; whoever called it sets them. Error then shows
	// them in place of the hints, which are likely only.
	Changes []Change
	// Notes are what the caller knows besides, such as versions that it held back; they end the text.
	Notes []string

	proof string // Message without hints
	// What the proof rests on, for Mend: lines of the user, overrides, versions that
	// were not let in, what packages need of others.
	core      []Root
	overrides []Origin
	hidden    []hiddenPackage
	needs     []need
}

// hiddenPackage is a package some versions of which the policy did not let in.
type hiddenPackage struct {
	kind kind // kindPre, kindYanked or kindNoSource
	name string
}

// need is what some version requires of the version of another package.
type need struct {
	name   string // PEP 503, of that other package
	spec   pep440.Specifiers
	origin Origin // who requires it; of several versions alike the newest
	newest int    // its place among the versions
}

// Error is the Message, or, with Changes, what cannot hold and what would work.
func (c *Conflict) Error() string {
	var b strings.Builder
	if len(c.Changes) == 0 {
		b.WriteString(c.Message)
	} else {
		b.WriteString(c.proof + "\nThis would work:")
	}
	for _, change := range c.Changes {
		b.WriteString("\n  - " + change.String())
	}
	for _, note := range c.Notes {
		b.WriteString("\n" + note)
	}
	return b.String()
}

// restsOn notes what a proof rests on.
func (c *Conflict) restsOn(core []Root, leaves []*incompat) {
	c.core = core
	for _, l := range leaves {
		if l.by != nil && !slices.Contains(c.overrides, l.by.Origin) {
			c.overrides = append(c.overrides, l.by.Origin)
		}
		switch l.kind {
		case kindPre, kindYanked, kindNoSource:
			if h := (hiddenPackage{l.kind, l.to.name}); !slices.Contains(c.hidden, h) {
				c.hidden = append(c.hidden, h)
			}
		case kindDepends:
			if !l.req.Specifiers.IsEmpty() && l.by == nil {
				c.addNeed(l)
			}
		}
	}
}

// addNeed notes what l needs: one entry for all versions of a package that need the same other.
func (c *Conflict) addNeed(l *incompat) {
	versions, ok := l.term(l.from)
	if !ok {
		return
	}
	newest := versions.max()
	who := l.from.list.cands[newest-1].Version.String()
	n := need{l.to.name, l.req.Specifiers, Origin{Package: l.from.name, Version: who, Text: l.req.String()}, newest}
	i := slices.IndexFunc(c.needs, func(known need) bool { return known.name == n.name && known.origin.Package == l.from.name })
	if i < 0 {
		c.needs = append(c.needs, n)
	} else if c.needs[i].newest < newest {
		c.needs[i] = n
	}
}
