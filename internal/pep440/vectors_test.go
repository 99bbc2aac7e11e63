package pep440_test

import (
	"testing"

	"reqpm/internal/pep440"
	"reqpm/internal/pep440/pep440test"
)

// TestVectors compares every recorded result of the reference implementation.
func TestVectors(t *testing.T) {
	v := pep440test.Load(t)
	var tally pep440test.Tally
	checkOrder(t, &tally, v)
	checkForms(t, &tally, v)
	checkContains(t, &tally, v)
	tally.Report(t)
}

func checkOrder(t *testing.T, tally *pep440test.Tally, v pep440test.Vectors) {
	versions := make([]pep440.Version, len(v.Versions))
	for i, s := range v.Versions {
		var err error
		versions[i], err = pep440.Parse(s)
		tally.Check(t, err == nil, "Parse(%q): %v", s, err)
	}
	for i, row := range v.Cmp {
		for j, want := range []byte(row) {
			got := "<=>"[versions[i].Compare(versions[j])+1]
			tally.Check(t, got == want, "%q %c %q, want %c", v.Versions[i], got, v.Versions[j], want)
		}
	}
}

func checkForms(t *testing.T, tally *pep440test.Tally, v pep440test.Vectors) {
	for _, pair := range v.Norm {
		got, err := pep440.Parse(pair[0])
		tally.Check(t, err == nil && got.String() == pair[1], "normal form of %q is %q (%v), want %q", pair[0], got, err, pair[1])
	}
	for _, s := range v.Invalid {
		got, err := pep440.Parse(s)
		tally.Check(t, err != nil, "Parse(%q) = %q, want an error", s, got)
	}
	for _, s := range v.InvalidSpecs {
		got, err := pep440.ParseSpecifier(s)
		tally.Check(t, err != nil, "ParseSpecifier(%q) = %q, want an error", s, got)
	}
}

func checkContains(t *testing.T, tally *pep440test.Tally, v pep440test.Vectors) {
	sets := map[string]pep440.Specifiers{}
	for _, row := range v.Spec {
		text, version := row[0].(string), row[1].(string)
		set, seen := sets[text]
		if !seen {
			var err error
			set, err = pep440.ParseSpecifiers(text)
			tally.Check(t, err == nil, "ParseSpecifiers(%q): %v", text, err)
			sets[text] = set
		}
		parsed, err := pep440.Parse(version)
		tally.Check(t, err == nil, "Parse(%q): %v", version, err)
		with, without := pep440test.Truth(row[2]), pep440test.Truth(row[3])
		tally.Check(t, set.Contains(parsed) == with, "%q in %q is %v", version, text, !with)
		tally.Check(t, set.ContainsFinal(parsed) == without, "%q in %q without pre-releases is %v", version, text, !without)
	}
}
