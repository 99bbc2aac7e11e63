package cli

import (
	"errors"
	"fmt"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pipeline"
	"reqpm/internal/solve"
	"reqpm/internal/target"
)

// conflictJSON says that there is no solution, and what would make one.
type conflictJSON struct {
	Message      string                `json:"message"`
	Requirements []conflictRequirement `json:"requirements"`
	Changes      []changeJSON          `json:"changes"`
}

type conflictRequirement struct {
	Text    string `json:"text"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Package string `json:"package,omitempty"` // who asks, when it is no line of the user's own
}

// changeJSON is one change that was proven to help.
type changeJSON struct {
	Kind    solve.ChangeKind `json:"kind"`
	Text    string           `json:"text"` // the line as it should be, or the option to type
	File    string           `json:"file"`
	Line    int              `json:"line"`
	Package string           `json:"package,omitempty"` // whose word gives way
	Takes   []takenJSON      `json:"takes"`
}

type takenJSON struct {
	Name    string         `json:"name"`
	Version pep440.Version `json:"version"`
}

// conflictOf is the answer "no solution" in JSON, nil for other errors.
func conflictOf(err error) *conflictJSON {
	if c, ok := errors.AsType[*solve.Conflict](err); ok {
		return &conflictJSON{c.Error(), conflictRequirements(c), changesOf(c)}
	}
	if c, ok := errors.AsType[*pipeline.PythonError](err); ok {
		text := c.Project + " requires Python " + c.Requires
		return &conflictJSON{c.Error(), []conflictRequirement{{Text: text, File: c.At.File, Line: c.At.Line}}, []changeJSON{}}
	}
	return nil
}

func conflictRequirements(c *solve.Conflict) []conflictRequirement {
	list := []conflictRequirement{}
	for _, o := range c.Origins {
		list = append(list, conflictRequirement{Text: o.Text, File: o.File, Line: o.Line, Package: asker(o)})
	}
	return list
}

func changesOf(c *solve.Conflict) []changeJSON {
	list := []changeJSON{}
	for _, change := range c.Changes {
		j := changeJSON{Kind: change.Kind, Text: change.Text, File: change.Origin.File, Line: change.Origin.Line, Package: asker(change.Origin), Takes: []takenJSON{}}
		for _, p := range change.Takes {
			j.Takes = append(j.Takes, takenJSON{p.Name, p.Version})
		}
		list = append(list, j)
	}
	return list
}

func asker(o solve.Origin) string { return strings.TrimSpace(o.Package + " " + o.Version) }

// otherPythons are the Python stacks that could be chosen in place of t's: the other stacks
// of its release, or, where the Python itself was named with --python, the others there are.
func (a *app) otherPythons(t target.Target, named bool) ([]solve.PythonChoice, error) {
	var choices []solve.PythonChoice
	if named {
		for minor := 6; minor <= 15; minor++ {
			text := fmt.Sprintf("3.%d", minor)
			other, err := withPython(t, text)
			if err != nil {
				return nil, err
			}
			choices = append(choices, solve.PythonChoice{Env: other.Env(), Text: "--python " + text})
		}
		return choices, nil
	}
	own, err := a.ownTargets()
	if err != nil {
		return nil, err
	}
	for _, other := range append(own, target.All()...) {
		if t.Kind == target.DNF && other.Kind == t.Kind && other.Arch == t.Arch && other.Dist == t.Dist && other.ReleaseVer == t.ReleaseVer {
			choices = append(choices, solve.PythonChoice{Env: other.Env(), Text: "--target " + other.Name})
		}
	}
	return choices, nil
}
