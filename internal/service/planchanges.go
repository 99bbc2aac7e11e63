package service

import (
	"maps"
	"slices"
	"strings"
)

// PlanChange is a package that one plan has otherwise than another one.
type PlanChange struct {
	Target   string `json:"target"`
	Package  string `json:"package"`
	Was      string `json:"was" doc:"its version in the older plan; empty: it is not there"`
	Version  string `json:"version" doc:"in the newer plan; empty: it is gone"`
	Decision string `json:"decision" doc:"in the newer plan, as PlannedPackage has it"`
	// Before and After are the package in both plans; the zero one: it is not there.
	Before PlannedPackage `json:"-"`
	After  PlannedPackage `json:"-"`
}

// PlanChanges compares two plans of the same targets, as far as both have one: packages that are new, gone, of another version, or
// that something else becomes of.
func PlanChanges(was, is []TargetPlan) []PlanChange {
	changes := []PlanChange{}
	for _, t := range is {
		i := slices.IndexFunc(was, func(w TargetPlan) bool { return w.Target == t.Target })
		if i < 0 || t.State != PreviewDone || was[i].State != PreviewDone {
			continue
		}
		before, after := packagesOf(was[i]), packagesOf(t)
		for _, key := range slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))))) {
			b, n := before[key], after[key]
			if b.Version != n.Version || b.Decision != n.Decision {
				name, _, _ := strings.Cut(key, " ")
				changes = append(changes, PlanChange{t.Target, name, b.Version, n.Version, n.Decision, b, n})
			}
		}
	}
	return changes
}

// packagesOf are the packages of a plan, each under its name and what it is for: a build tool may be there in several versions.
func packagesOf(t TargetPlan) map[string]PlannedPackage {
	all := map[string]PlannedPackage{}
	for _, p := range t.Packages {
		key := p.Name + " "
		if p.Role == "tool" {
			key += "tool " + p.Version
		}
		all[key] = p
	}
	return all
}
