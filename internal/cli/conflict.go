package cli

import (
	"fmt"

	"reqpm/internal/solve"
	"reqpm/internal/target"
)

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
