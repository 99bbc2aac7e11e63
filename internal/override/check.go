package override

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"reqpm/internal/pep440"
)

// Known is what overrides are held against.
type Known struct {
	// Targets are the names of all targets there are.
	Targets []string
	// Lock is the name of a lock, "" when there is none, and Versions what it has, by package: of
	// the set and of the build tools.
	Lock     string
	Versions map[string][]pep440.Version
}

// Check finds what can only be wrong beside something else: targets that there are not, packages and
// versions that a lock does not have.
func Check(set Set, known Known) Problems {
	c := &checker{known: known, said: map[Problem]bool{}}
	for i := range set.layers {
		c.layer(&set.layers[i])
	}
	c.out.sort()
	return c.out
}

type checker struct {
	known Known
	out   Problems
	said  map[Problem]bool
}

func (c *checker) say(at Position, s Severity, format string, args ...any) {
	p := Problem{Position: at, Severity: s, Message: fmt.Sprintf(format, args...)}
	if !c.said[p] {
		c.said[p] = true
		c.out = append(c.out, p)
	}
}

func (c *checker) layer(l *Layer) {
	if l.Target != "" && !slices.ContainsFunc(c.known.Targets, func(t string) bool { _, ok := l.holds(t); return ok }) {
		c.say(l.At, Error, "there is no target %s%s", l.Target, didYouMean(l.Target, c.known.Targets))
	}
	if c.known.Lock == "" || l.Package == AnyPackage {
		return
	}
	versions := c.known.Versions[l.Package]
	if len(versions) == 0 {
		names := make([]string, 0, len(c.known.Versions))
		for name := range c.known.Versions {
			names = append(names, name)
		}
		slices.Sort(names)
		hint := didYouMean(l.Package, names)
		if strings.HasPrefix(hint, "; known are") {
			hint = ""
		}
		c.say(l.At, Warning, "%s has no %s%s", path.Base(c.known.Lock), l.Package, hint)
		return
	}
	c.versions(l, l.Version, "version", versions)
	for _, p := range l.Patches {
		c.versions(l, p.Versions, "patches "+p.Name, versions)
	}
}

// versions warns of specifiers that none of the lock's versions fit.
func (c *checker) versions(l *Layer, specifiers, key string, versions []pep440.Version) {
	spec, err := pep440.ParseSpecifiers(specifiers)
	if specifiers == "" || err != nil || slices.ContainsFunc(versions, spec.Contains) {
		return
	}
	texts := make([]string, len(versions))
	for i, v := range versions {
		texts[i] = v.String()
	}
	what := "the version " + specifiers
	if name, ok := strings.CutPrefix(key, "patches "); ok {
		what = fmt.Sprintf("the range %s of %s", specifiers, name)
	}
	c.say(l.Where(key), Warning, "%s matches nothing known: %s has %s %s", what, path.Base(c.known.Lock), l.Package, strings.Join(texts, ", "))
}
