package lockfile

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Diff says in lines for people what is different in b; none when both are the same lock. A target that
// only one of them has is one line.
func Diff(a, b File) []string {
	a, b = a.sorted(), b.sorted()
	d := DiffInputs(a.Inputs, b.Inputs)
	d = append(d, DiffOptions(a.Options, b.Options)...)
	for _, t := range a.Targets {
		other := b.Target(t.Name)
		if other == nil {
			d = append(d, "target "+t.Name+" is gone")
			continue
		}
		d = append(d, diffTarget(t, *other)...)
	}
	for _, t := range b.Targets {
		if a.Target(t.Name) == nil {
			d = append(d, fmt.Sprintf("target %s is new: %d packages", t.Name, len(t.Packages)))
		}
	}
	return d
}

// DiffInputs says which inputs are not the same.
func DiffInputs(a, b Inputs) []string {
	d := diffFiles(a.Files, b.Files)
	switch {
	case a.Project == nil && b.Project == nil:
	case a.Project == nil:
		d = append(d, "the project itself ("+b.Project.Name+") is packaged now")
	case b.Project == nil:
		d = append(d, "the project itself ("+a.Project.Name+") is not packaged any more")
	default:
		d = append(d, diffProject(*a.Project, *b.Project)...)
	}
	return d
}

func diffFiles(a, b []Input) []string {
	return diffMaps(byKey(a, func(in Input) (string, string) { return in.Path, in.SHA256 }), byKey(b, func(in Input) (string, string) { return in.Path, in.SHA256 }),
		func(path, was, is string) string {
			switch {
			case was == "":
				return "input " + path + " is new"
			case is == "":
				return "input " + path + " is gone"
			}
			return "input " + path + " has changed"
		})
}

// diffProject says what the project says of itself that it did not say before.
func diffProject(a, b Project) []string {
	var d []string
	if a.Name != b.Name {
		d = append(d, fmt.Sprintf("the project is %s, was %s", b.Name, a.Name))
	}
	if a.RequiresPython != b.RequiresPython {
		d = append(d, fmt.Sprintf("the project's Requires-Python is %q, was %q", b.RequiresPython, a.RequiresPython))
	}
	self := func(s string) (string, string) { return s, s }
	return append(d, diffMaps(byKey(a.Requires, self), byKey(b.Requires, self), func(req, was, _ string) string {
		if was == "" {
			return "the project requires " + req
		}
		return "the project does not require " + req + " any more"
	})...)
}

// DiffOptions names the options that are not the same.
func DiffOptions(a, b Options) []string {
	return diffMaps(a, b, func(key string, was, is []string) string {
		return fmt.Sprintf("option --%s is %s, was %s", key, listed(is), listed(was))
	})
}

func listed(list []string) string {
	if len(list) == 0 {
		return "not given"
	}
	return strings.Join(list, ", ")
}

func diffTarget(a, b Target) []string {
	var d []string
	if a.Python != b.Python {
		d = append(d, fmt.Sprintf("%s: Python is %s, was %s", a.Name, b.Python, a.Python))
	}
	if a.Arch != b.Arch {
		d = append(d, fmt.Sprintf("%s: the architecture is %s, was %s", a.Name, b.Arch, a.Arch))
	}
	d = append(d, diffPackages(a, b)...)
	d = append(d, diffMaps(byKey(a.Tools, identified), byKey(b.Tools, identified), func(_ string, was, is Package) string {
		return a.Name + ": build tool " + diffPackage(was, is)
	})...)
	roots := func(r BuildRoot) (string, string) { return r.key(), strings.Join(r.Packages, ", ") }
	return append(d, diffMaps(byKey(a.BuildRoots, roots), byKey(b.BuildRoots, roots), func(key, was, is string) string {
		return fmt.Sprintf("%s: the build root for %s is %q, was %q", a.Name, strings.ReplaceAll(key, "\n", ", "), is, was)
	})...)
}

// DiffPackages compares the sets of two targets, not their tools. On which index a file was does not count:
// its hash says what it is.
func DiffPackages(a, b Target) []string {
	a.Packages, b.Packages = sortedPackages(a.Packages), sortedPackages(b.Packages)
	for _, list := range [][]Package{a.Packages, b.Packages} {
		for i := range list {
			list[i].Index = ""
		}
	}
	return diffPackages(a, b)
}

func diffPackages(a, b Target) []string {
	return diffMaps(byKey(a.Packages, named), byKey(b.Packages, named), func(_ string, was, is Package) string {
		return a.Name + ": " + diffPackage(was, is)
	})
}

// named and identified are a package under the key that tells it from its neighbours.
func named(p Package) (string, Package)      { return p.Name, p }
func identified(p Package) (string, Package) { return p.ID(), p }

// diffPackage compares two versions of one package; a zero one is absent.
func diffPackage(was, is Package) string {
	name := cmp.Or(was.Name, is.Name)
	switch {
	case was.Name == "":
		return name + " " + is.Version + " is new"
	case is.Name == "":
		return name + " " + was.Version + " is gone"
	case was.Version != is.Version:
		return fmt.Sprintf("%s %s → %s", name, was.Version, is.Version)
	case was.Artifact != is.Artifact:
		return fmt.Sprintf("%s %s comes from another file: %s, was %s", name, is.Version, is.Artifact.short(), was.Artifact.short())
	case was.Decision != is.Decision:
		return fmt.Sprintf("%s %s: %s, was %s", name, is.Version, is.Decision, was.Decision)
	case was.Index != is.Index:
		return fmt.Sprintf("%s %s is on index %q, was on %q", name, is.Version, is.Index, was.Index)
	case !slices.Equal(was.Extras, is.Extras):
		return fmt.Sprintf("%s %s: extras %s, were %s", name, is.Version, listed(is.Extras), listed(was.Extras))
	}
	return fmt.Sprintf("%s %s is required by others: %s", name, is.Version, strings.Join(newEdges(was.RequiredBy, is.RequiredBy), "; "))
}

func (a Artifact) short() string {
	switch {
	case a.Commit != "":
		return a.Filename + " at commit " + a.Commit
	case len(a.SHA256) > 12:
		return a.Filename + " sha256 " + a.SHA256[:12] + "…"
	}
	return a.Filename
}

// newEdges are the requirements that only one side has.
func newEdges(was, is []Edge) []string {
	texts := func(e Edge) (string, string) { return e.inline(), e.String() }
	return diffMaps(byKey(was, texts), byKey(is, texts), func(_ string, was, is string) string {
		if was == "" {
			return "now " + is
		}
		return "no more " + was
	})
}

// String is an edge for people: "requirements.txt:2 asks for flask>=3".
func (e Edge) String() string {
	who := e.From
	if e.File != "" {
		who = e.File
		if e.Line > 0 {
			who = fmt.Sprintf("%s:%d", e.File, e.Line)
		}
	}
	return who + " asks for " + e.Requirement
}

func byKey[E, V any](list []E, key func(E) (string, V)) map[string]V {
	m := map[string]V{}
	for _, e := range list {
		k, v := key(e)
		m[k] = v
	}
	return m
}

// diffMaps says in the order of the keys what differs; an absent value is the zero one.
func diffMaps[V any](a, b map[string]V, say func(key string, was, is V) string) []string {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	var d []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if !reflect.DeepEqual(a[k], b[k]) {
			d = append(d, say(k, a[k], b[k]))
		}
	}
	return d
}
