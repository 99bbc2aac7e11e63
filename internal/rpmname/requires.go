package rpmname

import (
	"fmt"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/target"
)

// Requires writes one requirement as dependency expressions of t: one per name (the
// distribution, and each extra asked for) where rpm knows rich dependencies, else one
// per bound. The marker is not looked at: a caller passes what holds on the target. A URL
// requirement asks for the name only.
//
// Three dialects follow from what the target's own packages provide:
//   - EL9, EL10, local: versions as pythondistdeps.py writes them (trailing zeros gone);
//   - EL8 (ProvidesRaw): versions as written, so equality is a list of zero-padded forms;
//   - EL7 (no rich dependencies): separate lines that all hold; "!=" cannot be said
//     and is left to Conflicts.
//
// Final releases are matched exactly as PEP 440 does. What is not: "===" with text
// that is no version is an error; a local part is ignored; pre-, post- and dev-releases are
// compared as far as the Provides tell them apart.
func Requires(t target.Target, r pep508.Requirement) ([]string, error) {
	if len(r.Name) > maxName || !projectRE.MatchString(r.Name) {
		return nil, fmt.Errorf("dependency on %.60q: not a project name", r.Name)
	}
	key := pep508.NormalizeName(r.Name)
	names := []string{dist(t, key)}
	for _, extra := range r.Extras {
		if len(extra) > maxName || !projectRE.MatchString(extra) {
			return nil, fmt.Errorf("dependency on %s: %.60q is not an extra", r.Name, extra)
		}
		names = append(names, dist(t, key, extra))
	}
	if t.RPM.RichDeps && t.RPM.ProvidesRaw {
		// Old generators key a package by the name of its dist-info directory, which
		// older build tools leave with its dots.
		if legacy := legacyKey(r.Name); legacy != key {
			return alternatives(t, r, names, legacy)
		}
	}
	var out []string
	for _, n := range names {
		lines, err := bounds(t, n, r)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	return out, nil
}

// alternatives is Requires for a name that may be provided in two spellings.
func alternatives(t target.Target, r pep508.Requirement, names []string, legacy string) ([]string, error) {
	out := make([]string, 0, len(names))
	for i, n := range names {
		old := dist(t, legacy)
		if i > 0 {
			old = dist(t, legacy, r.Extras[i-1])
		}
		a, err := bounds(t, n, r)
		if err != nil {
			return nil, err
		}
		b, err := bounds(t, old, r)
		if err != nil {
			return nil, err
		}
		out = append(out, "("+a[0]+" or "+b[0]+")")
	}
	return out, nil
}

// bounds writes all clauses of r for one dependency name: one expression, or on targets
// without rich dependencies one line per bound.
func bounds(t target.Target, name string, r pep508.Requirement) ([]string, error) {
	if r.URL != "" || r.Specifiers.IsEmpty() {
		return []string{name}, nil
	}
	d := dialect{t: t, name: name}
	var all []string
	for _, c := range r.Specifiers.Clauses() {
		terms, err := d.clause(c)
		if err != nil {
			return nil, fmt.Errorf("dependency on %s%s%s: %w", r.Name, c.Op, c.Version, err)
		}
		for _, term := range terms {
			if !contains(all, term) {
				all = append(all, term)
			}
		}
	}
	switch {
	case len(all) == 0:
		return []string{name}, nil
	case !t.RPM.RichDeps || len(all) == 1:
		return all, nil
	}
	return []string{"(" + strings.Join(all, " with ") + ")"}, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// dialect writes clauses for one dependency name on one target.
type dialect struct {
	t    target.Target
	name string
}

// rpm: "1.0" sorts below "1.0.0", but both are one version for PEP 440. Forms with up
// to six numbers are written out; longer releases do not occur outside tests.
const paddedTo = 6

func (d dialect) is(op, version string) string { return d.name + " " + op + " " + version }

func (d dialect) any(terms ...string) string {
	if len(terms) == 1 {
		return terms[0]
	}
	return "(" + strings.Join(terms, " or ") + ")"
}

// clause returns terms that must all hold.
func (d dialect) clause(c pep440.Clause) ([]string, error) {
	text, wildcard := strings.CutSuffix(c.Version, ".*")
	v, err := pep440.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("no rpm version says this: %w", err)
	}
	p := v.Parts()
	switch {
	case wildcard && c.Op == "==":
		return d.series(p), nil
	case wildcard && c.Op == "!=":
		return d.notSeries(p), nil
	case wildcard:
		return nil, fmt.Errorf("%s does not go with .*", c.Op)
	}
	switch c.Op {
	case "==", "===":
		return d.equal(p), nil
	case "!=":
		return d.notEqual(p), nil
	case "~=":
		if len(p.Release) < 2 {
			return nil, fmt.Errorf("~= needs two numbers")
		}
		upper := epochOf(p) + strings.Join(increment(p.Release[:len(p.Release)-1]), ".")
		return []string{d.is(">=", d.normal(p)), d.is("<", upper+"~~")}, nil
	case ">=":
		return []string{d.is(">=", d.normal(p))}, nil
	case "<=":
		return d.atMost(p), nil
	case ">":
		return []string{d.is(">", d.above(p))}, nil
	case "<":
		if isFinal(p) {
			// PEP 440: <2 leaves out the pre-releases of 2.
			return []string{d.is("<", stripped(p)+"~~")}, nil
		}
		return []string{d.is("<", d.normal(p))}, nil
	}
	return nil, fmt.Errorf("unknown operator %q", c.Op)
}

func (d dialect) normal(p pep440.Parts) string { return normal(d.t, p) }

// series is ==V.*: pre-releases of V belong to it where the Provides can say so.
func (d dialect) series(p pep440.Parts) []string {
	low := stripped(p)
	if !d.t.RPM.ProvidesRaw {
		low += "~~"
	}
	upper := epochOf(p) + strings.Join(increment(p.Release), ".")
	return []string{d.is(">=", low), d.is("<", upper+"~~")}
}

func (d dialect) notSeries(p pep440.Parts) []string {
	if !d.t.RPM.RichDeps {
		return nil
	}
	upper := epochOf(p) + strings.Join(increment(p.Release), ".")
	if !d.t.RPM.ProvidesRaw {
		upper += "~~"
	}
	return []string{d.any(d.is("<", stripped(p)+"~~"), d.is(">=", upper))}
}

func (d dialect) equal(p pep440.Parts) []string {
	switch {
	case !d.t.RPM.ProvidesRaw:
		return []string{d.is("=", d.normal(p))}
	case !d.t.RPM.RichDeps && isFinal(p):
		return []string{d.is(">=", stripped(p)), d.is("<=", padded(p))}
	case !d.t.RPM.RichDeps:
		return []string{d.is("=", epochOf(p)+strings.Join(p.Release, ".")+rawSuffix(p))}
	}
	return []string{d.any(d.forms(p)...)}
}

func (d dialect) notEqual(p pep440.Parts) []string {
	switch {
	case !d.t.RPM.RichDeps:
		return nil
	case d.t.RPM.ProvidesRaw && isFinal(p):
		return []string{d.any(d.is("<", stripped(p)), d.is(">", padded(p)))}
	}
	n := d.normal(p)
	return []string{d.any(d.is("<", n), d.is(">", n))}
}

func (d dialect) atMost(p pep440.Parts) []string {
	switch {
	case !d.t.RPM.ProvidesRaw:
		return []string{d.is("<=", d.normal(p))}
	case !d.t.RPM.RichDeps:
		return []string{d.is("<=", padded(p))}
	}
	forms := d.forms(p)
	forms[0] = d.is("<=", d.normal(p))
	return []string{d.any(forms...)}
}

// above is the bound of ">": PEP 440 leaves out the post-releases of a final version, and
// 1.0^post1 sorts below 1.0.0.
func (d dialect) above(p pep440.Parts) string {
	switch {
	case !isFinal(p):
		return d.normal(p)
	case d.t.RPM.ProvidesRaw:
		return padded(p)
	}
	return stripped(p) + ".0"
}

// forms are the equalities with every way to write p that a raw Provides may use; the
// first is the normal one.
func (d dialect) forms(p pep440.Parts) []string {
	out := []string{d.is("=", d.normal(p))}
	release, suffix := strip(p.Release), rawSuffix(p)
	for {
		term := d.is("=", epochOf(p)+strings.Join(release, ".")+suffix)
		if term != out[0] {
			out = append(out, term)
		}
		if len(release) >= paddedTo {
			return out
		}
		release = append(release[:len(release):len(release)], "0")
	}
}

// padded is the release filled up with zeros: the highest form of a final version.
func padded(p pep440.Parts) string {
	release := p.Release
	for len(release) < paddedTo {
		release = append(release[:len(release):len(release)], "0")
	}
	return epochOf(p) + strings.Join(release, ".")
}

// rawSuffix is what follows the release in PEP 440's normal form.
func rawSuffix(p pep440.Parts) string {
	var s string
	if p.PreKind != "" {
		s += p.PreKind + p.Pre
	}
	if p.HasPost {
		s += ".post" + p.Post
	}
	if p.HasDev {
		s += ".dev" + p.Dev
	}
	return s
}

// Conflicts is what Requires cannot say on targets without rich dependencies: "!=V" as
// conflicts with every form of V. "!=V.*" is lost there. Elsewhere it is empty.
func Conflicts(t target.Target, r pep508.Requirement) []string {
	if t.RPM.RichDeps || !projectRE.MatchString(r.Name) {
		return nil
	}
	d := dialect{t: t, name: Dist(t, r.Name)}
	var out []string
	for _, c := range r.Specifiers.Clauses() {
		v, err := pep440.Parse(c.Version)
		if c.Op == "!=" && err == nil {
			out = append(out, d.forms(v.Parts())...)
		}
	}
	return out
}

// GeneratorWrong tells whether rpm's own pythondistdeps.py turns r into an expression that
// refuses versions r allows: it writes !=1.2.* as "< 1.2 or > 1.3", so 1.3 itself is out
// (fixed upstream after EL9's and Debian 12's version).
func GeneratorWrong(r pep508.Requirement) bool {
	for _, c := range r.Specifiers.Clauses() {
		if c.Op == "!=" && strings.HasSuffix(c.Version, ".*") {
			return true
		}
	}
	return false
}
