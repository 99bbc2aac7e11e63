package target

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"reqpm/internal/near"
)

// UnknownError is a name that no target has.
type UnknownError struct {
	Name  string
	Known []string
	Near  []string // known names that look like a misspelling's origin
}

func (e *UnknownError) Error() string {
	var near string
	if len(e.Near) > 0 {
		near = "; did you mean " + strings.Join(e.Near, " or ") + "?"
	}
	// Each release has a twin per architecture: those are left out of a line that people read.
	known := slices.DeleteFunc(slices.Clone(e.Known), func(n string) bool { return strings.HasSuffix(n, "-aarch64") })
	return fmt.Sprintf("no target %q%s (known: %s; each also with -aarch64)", e.Name, near, strings.Join(known, ", "))
}

// catalogue is the shipped file, read once.
var catalogue = sync.OnceValue(func() []Target {
	doc, err := readDoc("targets.toml", shipped)
	if err != nil {
		return nil // a test parses the embedded file: it cannot be wrong in a release
	}
	ts, err := parse("targets.toml", doc, nil)
	if err != nil {
		return nil
	}
	return ts
})

// All returns the targets shipped with ReqPM, sorted by name. Local is not among
// them: it depends on the host.
func All() []Target {
	list := slices.Clone(catalogue())
	for i, t := range list {
		list[i] = t.clone()
	}
	return list
}

// With lays own targets over the shipped ones, as Lookup finds them, in the order in which people count: el9 before el10.
func With(own []Target) []Target {
	all := slices.Clone(own)
	names := targetNames(own)
	for _, t := range All() {
		if !slices.Contains(names, t.Name) {
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b Target) int { return strings.Compare(counted(a.Name), counted(b.Name)) })
	return all
}

var digits = regexp.MustCompile(`[0-9]+`)

// counted is a name whose numbers compare as numbers.
func counted(name string) string {
	return digits.ReplaceAllStringFunc(name, func(n string) string { return fmt.Sprintf("%8s", n) })
}

// Lookup finds a target by name among own (the user's, which win) and the shipped
// ones. A name that nobody has is an *UnknownError. "local" is not found here: see Find.
func Lookup(name string, own ...Target) (Target, error) {
	all := append(slices.Clone(own), catalogue()...)
	for _, t := range all {
		if t.Name == name {
			return t.clone(), nil
		}
	}
	known := append(targetNames(all), LocalName)
	slices.Sort(known)
	known = slices.Compact(known)
	return Target{}, &UnknownError{Name: name, Known: known, Near: nearNames(name, known)}
}

// Find is Lookup that also knows "local", for which it looks at the host.
func Find(ctx context.Context, name string, own ...Target) (Target, error) {
	if name == LocalName {
		return Local(ctx)
	}
	return Lookup(name, own...)
}

func targetNames(ts []Target) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.Name
	}
	return out
}

// nearNames are the known names at most two edits away or that begin alike.
func nearNames(name string, known []string) []string {
	name = strings.ToLower(name)
	if len(name) > 64 {
		return nil
	}
	plain := strings.NewReplacer("rhel", "el", "-python", "-py", ".", "", "_", "-").Replace(name)
	var out []string
	for _, k := range known {
		if near.Distance(plain, k) <= 1 || near.Distance(name, k) <= 2 && len(name) > 3 {
			out = append(out, k)
		}
	}
	return out
}
