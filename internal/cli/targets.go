package cli

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/target"
)

func (a *app) newTargetsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "targets", Short: "List the releases that can be built for", Args: cobra.NoArgs,
		Example: "  reqpm targets\n  reqpm targets --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			own, err := a.ownTargets()
			if err != nil {
				return err
			}
			list := append(target.All(), own...)
			if local, err := target.Local(cmd.Context()); err == nil {
				list = append([]target.Target{local}, list...)
			} else {
				a.say("local: %v", err)
			}
			if a.global.json {
				return a.printJSON(map[string]any{"targets": list})
			}
			rows := [][]string{{"TARGET", "ARCH", "PYTHON", "RPM", "DIST", "BASE"}}
			for _, t := range list {
				base := "this machine's own root"
				if t.Kind == target.DNF {
					base = fmt.Sprintf("%d repositories", len(t.Repos))
				}
				rows = append(rows, []string{t.Name, t.Arch, t.Python.Version, t.RPM.Version, t.Dist, base})
			}
			a.table(rows)
			return nil
		},
	}
}

// allTargets stands for every shipped target and every one of the user's own, each of their Python
// stacks once.
const allTargets = "all"

// findTargets are the targets that the options name, each once.
func (a *app) findTargets(ctx context.Context, o projectOptions) ([]target.Target, error) {
	own, err := a.ownTargets()
	if err != nil {
		return nil, err
	}
	var list []target.Target
	add := func(t target.Target) {
		if !slices.ContainsFunc(list, func(have target.Target) bool { return have.Name == t.Name }) {
			list = append(list, t)
		}
	}
	for _, name := range o.targets {
		name = strings.TrimSpace(name)
		if name == allTargets {
			for _, t := range distinct(append(target.All(), own...)) {
				add(t)
			}
			continue
		}
		t, err := target.Find(ctx, name, own...)
		if err != nil {
			return nil, err
		}
		if o.python != "" {
			if t, err = withPython(t, o.python); err != nil {
				return nil, err
			}
		}
		add(t)
	}
	if len(list) == 0 {
		return nil, usagef("--target names no target")
	}
	return list, nil
}

// distinct leaves out targets that are another one under a second name: el9 is el9-py312.
func distinct(targets []target.Target) []target.Target {
	var list []target.Target
	for _, t := range targets {
		same := func(have target.Target) bool {
			have.Name = t.Name
			return reflect.DeepEqual(have, t)
		}
		if !slices.ContainsFunc(list, same) {
			list = append(list, t)
		}
	}
	return list
}
