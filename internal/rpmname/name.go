// Package rpmname turns Python names, versions and requirements (PEP 503, 440, 508)
// into RPM package names, versions and dependency expressions of one target.
//
// It is pure. Facts: rpm's pythondistdeps.py (what Provides look like), rpm-version(7),
// and rpm's "boolean dependencies" manual. Versions are compared by rpm, so every
// expression here is tested against PEP 440 with rpm's own comparison.
package rpmname

import (
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/pep508"
	"reqpm/internal/target"
)

// Package is the RPM name of the project with this PEP 503 name: the stack's prefix and the
// name, without one leading "python-" or "python3-" (Fedora's naming rule:
// python-dateutil is python3-dateutil, not python3-python-dateutil).
func Package(t target.Target, pep503 string) string {
	short := pep503
	for _, prefix := range []string{"python-", "python3-"} {
		if rest, ok := strings.CutPrefix(pep503, prefix); ok && rest != "" {
			short = rest
			break
		}
	}
	return t.Python.Prefix + short
}

// Collisions are the groups of PEP 503 names that get the same RPM name, such as
// python-slugify and slugify; they cannot be in one repository.
func Collisions(t target.Target, names []string) [][]string {
	byRPM := map[string][]string{}
	for _, n := range names {
		rpm := Package(t, n)
		if !slices.Contains(byRPM[rpm], n) {
			byRPM[rpm] = append(byRPM[rpm], n)
		}
	}
	var out [][]string
	for _, group := range byRPM {
		if len(group) > 1 {
			slices.Sort(group)
			out = append(out, group)
		}
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

// Dist is the dependency name that stands for a distribution, or for one extra of it:
// python3.12dist(foo), python3.12dist(foo[bar]). rpm knows no name for several extras
// together, so more than one is an empty string.
func Dist(t target.Target, name string, extra ...string) string {
	return dist(t, pep508.NormalizeName(name), extra...)
}

func dist(t target.Target, key string, extra ...string) string {
	switch len(extra) {
	case 0:
		return "python" + t.Python.Minor() + "dist(" + key + ")"
	case 1:
		return "python" + t.Python.Minor() + "dist(" + key + "[" + pep508.NormalizeName(extra[0]) + "])"
	}
	return ""
}

// legacyKey is the form of a name that older generators write: dots stay.
func legacyKey(name string) string {
	return legacySeparators.ReplaceAllString(strings.ToLower(name), "-")
}

var (
	legacySeparators = regexp.MustCompile(`[-_]+`)
	// PEP 508's identifier; the RPM name check of what is made from it comes on top.
	projectRE = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	nameRE    = regexp.MustCompile(`^(/[A-Za-z0-9._+-]+)+$|^[A-Za-z0-9_][A-Za-z0-9._+-]*(\([A-Za-z0-9._+:/@=,\[\]-]*\)){0,2}$`)
	evrRE     = regexp.MustCompile(`^([0-9]+:)?[A-Za-z0-9._+~^]+(-[A-Za-z0-9._+~^]+)?$`)
)

// maxName bounds a dependency name, in bytes.
const maxName = 300

// Valid tells whether s can be written as a dependency name: a package name, a path, or a
// name with parentheses such as pkgconfig(libxml-2.0). Nothing valid holds a space,
// a macro or a character that a shell or a spec file reads.
func Valid(s string) bool {
	return len(s) <= maxName && nameRE.MatchString(s) && !strings.Contains(s, "/../")
}

// ValidDependency is Valid for a name that a version may follow: "gcc >= 11".
func ValidDependency(s string) bool {
	f := strings.Split(s, " ")
	switch len(f) {
	case 1:
		return Valid(f[0])
	case 3:
		return Valid(f[0]) && slices.Contains([]string{"=", "<", ">", "<=", ">="}, f[1]) && len(f[2]) <= maxName && evrRE.MatchString(f[2])
	}
	return false
}
