package service

import (
	"cmp"
	"slices"

	"reqpm/internal/store"
)

// Fixes are the packages whose builds failed among the steps of a run, each with what their logs ask for, by name. Where a
// log asks for nothing that could be said, Words is empty and Text what the project says already: a person may know better.
func Fixes(p store.Project, steps []store.Step) []Fix {
	failed := map[string][]store.Step{}
	for _, s := range steps {
		if s.Kind == store.Build && s.State == store.Failed {
			failed[Name(s.Package)] = append(failed[Name(s.Package)], s)
		}
	}
	var fixes []Fix
	for name, of := range failed {
		fix, ok := SuggestFix(p, of)
		if !ok {
			fix = Fix{Project: p.ID, Run: of[0].Run, Package: name, Text: OverrideOf(p, name)}
			for _, s := range of {
				fix.Steps, fix.Targets = append(fix.Steps, s.ID), append(fix.Targets, s.Target)
			}
		}
		for _, s := range steps {
			if s.State == store.Blocked && slices.Contains(fix.Steps, s.RootStep) {
				fix.Frees++
			}
		}
		fixes = append(fixes, fix)
	}
	slices.SortFunc(fixes, func(a, b Fix) int { return cmp.Compare(a.Package, b.Package) })
	return fixes
}
