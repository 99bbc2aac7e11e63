package override

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"reqpm/internal/pep440"
)

// AnyPackage is the name of a layer that is about every package.
const AnyPackage = "*"

// Place is where a layer was said; what a later place says goes before what an earlier one says.
type Place int

// The places, from the weakest on.
const (
	Global      Place = iota // [package.NAME] of the user's reqpm.toml
	GlobalFile               // overrides/NAME.toml beside it
	Project                  // [package.NAME] of the project's reqpm.toml
	ProjectFile              // overrides/NAME.toml of the project
	Learned                  // a change that is being tried: it is meant to go before all that is written
	CommandLine
)

// aboutThisRun ranks what is said of one run only, which goes before all that files say, and is 0
// for those.
func (p Place) aboutThisRun() Place {
	if p >= Learned {
		return p
	}
	return 0
}

// Layer is what one place says of one package, for all targets or for some.
type Layer struct {
	Override
	Package string // PEP 503 name, or AnyPackage
	// Target is "" for all targets, else a target's name or a release's, which stands for all its
	// stacks: el9 is also about el9-py312.
	Target string
	Place  Place
	At     Position // of the table
}

// holds tells whether the layer is about target, and how closely: 0 when it is about all.
func (l *Layer) holds(target string) (closeness int, ok bool) {
	switch {
	case l.Target == "":
		return 0, true
	case l.Target == target || strings.HasPrefix(target, l.Target+"-"):
		return len(l.Target), true
	}
	return 0, false
}

// named is 1 when the layer is about one package, 0 when it is about all.
func (l *Layer) named() int {
	if l.Package == AnyPackage {
		return 0
	}
	return 1
}

// Set is all layers of a run. The zero Set says nothing. It does not change, and may be used from
// many goroutines.
type Set struct {
	layers []Layer // in the order they were given
}

// NewSet makes a set of layers.
func NewSet(layers ...Layer) Set { return Set{slices.Clone(layers)} }

// With is s with further layers; s stays as it is.
func (s Set) With(layers ...Layer) Set { return Set{slices.Concat(s.layers, layers)} }

// And is everything that s and other say.
func (s Set) And(other Set) Set { return s.With(other.layers...) }

// Layers are those of the set, in the order they were given.
func (s Set) Layers() []Layer { return slices.Clone(s.layers) }

// Effective is what all layers come to for one package on one target. Where tells who said what.
type Effective struct {
	Override
}

// For lays everything that is said of a package over each other: what is about some targets goes
// over what is about all, a target's own name over its release's; among those the later Place
// goes over the earlier one, and a package's name over AnyPackage. A later layer's single values
// take the place of an earlier one's; env, config settings and build conditions do so key by key,
// patches by file name; lists add up, after what the later layer drops was taken out. name is in
// PEP 503 form; a zero version leaves out patches that are for some
// versions only, and no spec.
func (s Set) For(name string, version pep440.Version, target string) Effective {
	type found struct {
		*Layer
		closeness int
	}
	var about []found
	for i := range s.layers {
		l := &s.layers[i]
		if closeness, ok := l.holds(target); ok && (l.Package == name || l.Package == AnyPackage) {
			about = append(about, found{l, closeness})
		}
	}
	slices.SortStableFunc(about, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.Place.aboutThisRun(), b.Place.aboutThisRun()), cmp.Compare(a.closeness, b.closeness),
			cmp.Compare(a.Place, b.Place), cmp.Compare(a.named(), b.named()))
	})
	var e Effective
	for _, l := range about {
		e.lay(&l.Override, version)
	}
	return e
}

// Where tells where a single value, or a key of a table ("env.LANG"), was said.
func (o *Override) Where(key string) Position { return o.at[key] }

// SetWhere notes where a value was said, under the key that Where asks for.
func (o *Override) SetWhere(key string, at Position) {
	if o.at == nil {
		o.at = map[string]Position{}
	}
	o.at[key] = at
}

// take copies where other said key.
func (o *Override) take(other *Override, key string) { o.SetWhere(key, other.at[key]) }

// lay puts what the more specific other says of version over e.
func (e *Effective) lay(other *Override, version pep440.Version) {
	some := *other
	if !some.specIsFor(version) {
		some.Spec = nil
	}
	some.Patches = slices.DeleteFunc(slices.Clone(other.Patches), func(p Patch) bool { return !p.isFor(version) })
	e.layWhole(&some)
}

// layWhole puts all that the more specific other says over e.
func (e *Effective) layWhole(other *Override) {
	if other.Version != "" {
		e.Version = other.Version
		e.take(other, "version")
	}
	e.layDependencies("build-requires", &e.BuildRequires, other.BuildRequires, &e.DropBuildRequires, other.DropBuildRequires, other)
	e.layDependencies("requires", &e.Requires, other.Requires, &e.DropRequires, other.DropRequires, other)
	layMap(e, "env.", &e.Env, other.Env, other)
	layMap(e, "config-settings.", &e.ConfigSettings, other.ConfigSettings, other)
	layMap(e, "bconds.", &e.Bconds, other.Bconds, other)
	for _, p := range other.Patches {
		e.layPatch(p, other)
	}
	own := e.flags()
	for i, f := range other.flags() {
		if *f.to != nil {
			*own[i].to = *f.to
			e.take(other, f.key)
		}
	}
	if other.Checks.Modules != nil {
		e.Checks.Modules = other.Checks.Modules
		e.take(other, "checks.modules")
	}
	for _, c := range other.Checks.Commands {
		if !slices.Contains(e.Checks.Commands, c) {
			e.Checks.Commands = append(e.Checks.Commands, c)
			e.take(other, "checks.commands "+c)
		}
	}
	if other.Spec != nil {
		e.Spec, e.SpecVersion = other.Spec, other.SpecVersion
		e.take(other, "spec")
	}
	if other.Memory > 0 {
		e.Memory = other.Memory
		e.take(other, "memory")
	}
}

// layDependencies takes out what the more specific layer drops, then adds what it adds.
func (e *Effective) layDependencies(key string, have *[]Dependency, add []Dependency, drops *[]Dependency, drop []Dependency, from *Override) {
	for _, d := range drop {
		*have = slices.DeleteFunc(*have, func(h Dependency) bool { return h.Key() == d.Key() })
		if !slices.ContainsFunc(*drops, func(o Dependency) bool { return o.Key() == d.Key() }) {
			*drops = append(*drops, d)
			e.take(from, "drop-"+key+" "+d.String())
		}
	}
	for _, d := range add {
		if !slices.ContainsFunc(*have, func(o Dependency) bool { return o.String() == d.String() }) {
			*have = append(*have, d)
			e.take(from, key+" "+d.String())
		}
	}
}

func layMap[V any](e *Effective, prefix string, have *map[string]V, add map[string]V, from *Override) {
	for _, key := range slices.Sorted(maps.Keys(add)) {
		if *have == nil {
			*have = map[string]V{}
		}
		(*have)[key] = add[key]
		e.take(from, prefix+key)
	}
}

// layPatch adds a patch; one of the same file name takes the earlier one's place.
func (e *Effective) layPatch(p Patch, from *Override) {
	e.take(from, "patches "+p.Name)
	if i := slices.IndexFunc(e.Patches, func(o Patch) bool { return o.Name == p.Name }); i >= 0 {
		e.Patches[i] = p
		return
	}
	e.Patches = append(e.Patches, p)
}

// specIsFor tells whether the spec is for a version. For the zero version it is: whoever asks without one asks whether
// there is something of the user's own at all.
func (o *Override) specIsFor(version pep440.Version) bool {
	if o.SpecVersion == "" || version.IsZero() {
		return true
	}
	one, err := pep440.Parse(o.SpecVersion)
	return err == nil && one.Compare(version) == 0
}

// isFor tells whether the patch is for a version; the zero version is none.
func (p *Patch) isFor(version pep440.Version) bool {
	if p.Versions == "" {
		return true
	}
	spec, err := pep440.ParseSpecifiers(p.Versions)
	return err == nil && !version.IsZero() && spec.Contains(version)
}

// Version is what the layers say about the versions of one package.
type Version struct {
	Package    string
	Specifiers string
	At         Position
}

// Versions are the packages whose versions are restricted on target, sorted by name.
func (s Set) Versions(target string) []Version {
	names := map[string]bool{}
	for _, l := range s.layers {
		if l.Version != "" && l.Package != AnyPackage {
			names[l.Package] = true
		}
	}
	var list []Version
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if e := s.For(name, pep440.Version{}, target); e.Version != "" {
			list = append(list, Version{name, e.Version, e.Where("version")})
		}
	}
	return list
}

// Names are the packages that the set says anything about by name on target, sorted.
func (s Set) Names(target string) []string {
	var names []string
	for i := range s.layers {
		l := &s.layers[i]
		if _, ok := l.holds(target); ok && l.Package != AnyPackage {
			names = append(names, l.Package)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ByName is the set without what is said of all packages at once.
func (s Set) ByName() Set {
	return Set{slices.DeleteFunc(slices.Clone(s.layers), func(l Layer) bool { return l.Package == AnyPackage })}
}
