package pep508_test

import (
	"errors"
	"slices"
	"testing"

	"reqpm/internal/pep440"
	"reqpm/internal/pep440/pep440test"
	"reqpm/internal/pep508"
)

// TestVectors compares every recorded result of the reference implementation.
func TestVectors(t *testing.T) {
	v := pep440test.Load(t)
	var tally pep440test.Tally
	checkMarkers(t, &tally, v)
	for _, row := range v.Reqs {
		text := row[0].(string)
		got, err := pep508.Parse(text)
		tally.Check(t, err == nil && matches(got, row), "Parse(%q) = %#v (%q), %v; want %q", text, got, got, err, row)
	}
	for _, text := range v.BadReqs {
		got, err := pep508.Parse(text)
		tally.Check(t, err != nil, "Parse(%q) = %q, want an error", text, got)
	}
	tally.Report(t)
}

func checkMarkers(t *testing.T, tally *pep440test.Tally, v pep440test.Vectors) {
	env := environment(v.Env)
	for _, row := range v.Markers {
		text, extra := row[0].(string), row[1].(string)
		m, err := pep508.ParseMarker(text)
		tally.Check(t, err == nil, "ParseMarker(%q): %v", text, err)
		got, err := m.Evaluate(env, extra)
		if row[2] == nil { // the reference raises
			tally.Check(t, errors.Is(err, pep508.ErrUndefined), "%s with extra %q is %v, want ErrUndefined", text, extra, got)
			continue
		}
		want := pep440test.Truth(row[2])
		tally.Check(t, err == nil && got == want, "%s with extra %q is %v (%v), want %v", text, extra, got, err, want)
		tally.Check(t, m.Eval(env, extra) == want, "Eval: %s with extra %q is %v", text, extra, !want)
	}
}

func environment(vars map[string]string) pep508.Environment {
	return pep508.Environment{
		ImplementationName:           vars["implementation_name"],
		ImplementationVersion:        vars["implementation_version"],
		OSName:                       vars["os_name"],
		PlatformMachine:              vars["platform_machine"],
		PlatformRelease:              vars["platform_release"],
		PlatformSystem:               vars["platform_system"],
		PlatformVersion:              vars["platform_version"],
		PythonFullVersion:            vars["python_full_version"],
		PlatformPythonImplementation: vars["platform_python_implementation"],
		PythonVersion:                vars["python_version"],
		SysPlatform:                  vars["sys_platform"],
	}
}

// matches compares with [requirement, name, extras, specifier, url, marker]. The reference
// keeps extras as written, we normalise them.
func matches(r pep508.Requirement, row [6]any) bool {
	var extras []string
	for _, e := range row[2].([]any) {
		extras = append(extras, pep508.NormalizeName(e.(string)))
	}
	slices.Sort(extras)
	want, err := pep440.ParseSpecifiers(row[3].(string))
	return err == nil && r.Key() == row[1] && slices.Equal(r.Extras, slices.Compact(extras)) &&
		r.Specifiers.String() == row[3] && r.Specifiers.Equal(want) &&
		r.URL == row[4] && r.Marker.String() == row[5]
}
