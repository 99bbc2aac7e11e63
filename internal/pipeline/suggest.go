package pipeline

import (
	"strings"

	"reqpm/internal/diagnose"
	"reqpm/internal/native"
	"reqpm/internal/override"
	"reqpm/internal/pep508"
	"reqpm/internal/target"
)

// Suggest puts a change that a log asks for into the words of an override, for a person to look at: nobody was
// asked whether what it names is there. grows tells that the build may then need what the plan does not have.
// False: there are no words for it.
func Suggest(c diagnose.Change, t target.Target) (o override.Override, grows, ok bool) {
	if !c.Valid() {
		return o, false, false
	}
	switch c.Do {
	case diagnose.AddRequirement, diagnose.Constrain, diagnose.DropRequirement:
		r, err := pep508.Parse(c.Value)
		if err != nil {
			return o, false, false
		}
		list := []override.Dependency{{Python: r}}
		if c.Do == diagnose.DropRequirement {
			o.DropBuildRequires = list
		} else {
			o.BuildRequires = list
		}
		return o, true, true
	case diagnose.AddNative:
		kind, name := c.Need()
		if needs := native.Named(clue(kind, name)); len(needs) > 0 {
			o.BuildRequires = rpmDependencies(needs[0].BuildRequires(t))
		}
		if len(o.BuildRequires) == 0 {
			where, _ := capability(kind, name)
			o.BuildRequires = rpmDependencies([]string{where})
		}
		return o, false, len(o.BuildRequires) > 0
	case diagnose.SetEnv:
		name, value, _ := strings.Cut(c.Value, "=")
		o.Env = map[string]string{name: value}
		return o, false, true
	case diagnose.SkipImport:
		no := false
		o.Checks.Import = &no
		return o, false, true
	case diagnose.SkipTests:
		yes := true
		o.Checks.Skip = &yes
		return o, false, true
	}
	return o, false, false
}
