package pipeline

import (
	"strings"
	"testing"

	"reqpm/internal/plan"
	"reqpm/internal/testindex"
)

// Cython compiles itself only where somebody gets it: as a build tool it would cost minutes.
func TestCythonAsATool(t *testing.T) {
	packages := []testindex.Package{{Name: "cython", Version: "3.0"}, {Name: "fast", Version: "1.0", BuildRequires: []string{"cython"}}}
	const variable = "NO_CYTHON_COMPILE='true'"
	for _, test := range []struct {
		wanted []string
		pure   bool
	}{{[]string{"fast"}, true}, {[]string{"fast", "cython"}, false}} {
		l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, packages...)
		work := l.plan(t, test.wanted...)
		text := work.builds[plan.NewID("cython", "3.0")].spec.text
		if strings.Contains(text, variable) != test.pure {
			t.Errorf("%v: pure is %v, but the spec says:\n%s", test.wanted, test.pure, text)
		}
		if text := work.builds[plan.NewID("fast", "1.0")].spec.text; strings.Contains(text, variable) {
			t.Errorf("the switch is set for others too:\n%s", text)
		}
	}
}
