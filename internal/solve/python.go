package solve

import (
	"sync"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// pythonCheck answers Requires-Python for one Python. Safe for concurrent use.
type pythonCheck struct {
	python pep440.Version // zero: unknown, everything is allowed
	mu     sync.Mutex
	known  map[string]bool
}

func newPythonCheck(env pep508.Environment) *pythonCheck {
	text := env.PythonFullVersion
	if text == "" {
		text = env.PythonVersion
	}
	v, err := pep440.Parse(text)
	if err == nil && v.IsPrerelease() { // pip looks at the three numbers only: 3.15.0rc1 counts as 3.15.0
		v, err = pep440.Parse(release(v))
	}
	if err != nil {
		v = pep440.Version{}
	}
	return &pythonCheck{python: v, known: map[string]bool{}}
}

func release(v pep440.Version) string {
	text := ""
	for i, n := range v.Parts().Release {
		if i > 0 {
			text += "."
		}
		text += n
	}
	return text
}

// allows tells whether requires admits the Python. Text that is no specifier set
// admits every Python, as it does for pip.
func (c *pythonCheck) allows(requires string) bool {
	if requires == "" || c.python.IsZero() {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ok, found := c.known[requires]
	if !found {
		spec, err := pep440.ParseSpecifiers(requires)
		ok = err != nil || spec.Contains(c.python)
		c.known[requires] = ok
	}
	return ok
}
