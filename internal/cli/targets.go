package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/target"
)

func (a *app) newTargetsCommand() *cobra.Command {
	var checked bool
	cmd := &cobra.Command{
		Use: "targets [NAME...]", Short: "List the releases that can be built for, show one, check it", Args: cobra.ArbitraryArgs,
		Long: `List the targets: this machine's own, those that ship with ReqPM, and your own. With names, show what
ReqPM knows of each. With --check, ask the repositories of those named (without names: of your own)
whether it is so: they answer, and have the Python, the macros and the base packages.

Exit status with --check:
  0    everything is there
  1    something is not in the repositories
  4    dnf is missing
  5    repositories do not answer from this machine, so nothing can be said`,
		Example: "  reqpm targets\n  reqpm targets el9\n  reqpm targets el9 el10 --check\n  reqpm targets --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !checked {
				return a.listTargets(cmd.Context())
			}
			return a.showTargets(cmd.Context(), args, checked)
		},
	}
	cmd.Flags().BoolVar(&checked, "check", false, "ask the repositories whether they answer and have what the target needs")
	return cmd
}

func (a *app) listTargets(ctx context.Context) error {
	own, err := a.ownTargets()
	if err != nil {
		return err
	}
	list := append(target.All(), own...)
	if local, err := target.Local(ctx); err == nil {
		list = append([]target.Target{local}, list...)
	} else {
		a.say("local: %v", err)
	}
	if a.global.json {
		return a.printJSON(map[string]any{"targets": list})
	}
	rows := [][]string{{"TARGET", "ARCH", "PYTHON", "RPM", "SPECS", "BASE"}}
	for _, t := range list {
		rows = append(rows, []string{t.Name, t.Arch, t.Python.Version, t.RPM.Version, string(t.RPM.Style), baseOf(t)})
	}
	a.table(rows)
	return nil
}

// baseOf says in a word where a target's base root comes from.
func baseOf(t target.Target) string {
	switch {
	case t.Kind == target.Host:
		return "this machine's own root"
	case t.Distribution != "" && t.EPEL:
		return t.Distribution + " with EPEL"
	case t.Distribution != "":
		return t.Distribution
	case len(t.Repos) == 0:
		return t.Mock
	}
	return fmt.Sprintf("%d repositories", len(t.Repos))
}

// shownTarget is one element of the answer of targets NAME.
type shownTarget struct {
	target.Target
	Checks []check `json:"checks,omitempty"`
}

func (a *app) showTargets(ctx context.Context, names []string, checked bool) error {
	own, err := a.ownTargets()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		for _, t := range own {
			names = append(names, t.Name)
		}
		if len(names) == 0 {
			return usagef("targets --check: name the targets to check; there are none of your own")
		}
	}
	var list []shownTarget
	var bad error
	for _, name := range names {
		t, err := target.Find(ctx, name, own...)
		if err != nil {
			return err
		}
		shown := shownTarget{Target: t}
		if checked {
			if shown.Checks, err = a.checkTarget(ctx, t); err != nil && shown.Checks == nil {
				return err
			}
			bad = cmp.Or(bad, err)
		}
		list = append(list, shown)
	}
	if a.global.json {
		if err := a.printJSON(map[string]any{"targets": list}); err != nil {
			return err
		}
		return bad
	}
	for i, t := range list {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		a.table(describeTarget(t.Target))
		if checked {
			fmt.Fprintln(a.stdout)
			a.printChecks(t.Checks)
		}
	}
	return bad
}

// describeTarget is what ReqPM knows of a target, a row a fact.
func describeTarget(t target.Target) [][]string {
	rows := [][]string{
		{"target", t.Name}, {"architecture", t.Arch},
		{"python", fmt.Sprintf("%s, packages named %sNAME, in %s and %s", t.Python.Version, t.Python.Prefix, t.Python.Sitelib, t.Python.Sitearch)},
		{"rpm", cmp.Or(t.RPM.Version, "none")}, {"can say", rpmFeatures(t.RPM)}, {"specs", specFeatures(t)},
	}
	if t.Dist != "" {
		rows = append(rows, []string{"dist tag", t.Dist})
	}
	if len(t.Tools) > 0 {
		var tools []string
		for _, name := range slices.Sorted(maps.Keys(t.Tools)) {
			tools = append(tools, name+" "+t.Tools[name])
		}
		rows = append(rows, []string{"build tools", strings.Join(tools, ", ")})
	}
	if t.Kind == target.DNF {
		rows = append(rows, []string{"base", baseOf(t)})
	}
	for _, r := range t.Repos {
		rows = append(rows, []string{"  " + r.ID, cmp.Or(strings.Join(r.BaseURL, " "), r.Mirrorlist, r.Metalink)})
	}
	if t.Mock != "" {
		rows = append(rows, []string{"mock root", t.Mock})
	}
	rows = append(rows, []string{"repodata", t.RepodataCompress})
	if t.Note != "" {
		rows = append(rows, []string{"note", t.Note})
	}
	return rows
}

// rpmFeatures are the constructs that a spec for this rpm may hold.
func rpmFeatures(r target.RPM) string {
	features := []string{"~ in versions"}
	for _, f := range []struct {
		has  bool
		name string
	}{{r.Caret, "^ in versions"}, {r.RichDeps, "rich dependencies"}, {r.WeakDeps, "weak dependencies"}, {r.DynamicBR, "dynamic BuildRequires"}} {
		if f.has {
			features = append(features, f.name)
		}
	}
	return strings.Join(features, ", ")
}

func specFeatures(t target.Target) string {
	s := map[target.Style]string{
		target.StylePyproject: "%pyproject macros " + t.RPM.PyprojectMacros,
		target.StyleDriver:    "ReqPM's PEP 517 driver",
		target.StyleSetupPy:   "setup.py where there is one, else ReqPM's PEP 517 driver",
	}[t.RPM.Style]
	s = strings.TrimSpace(s)
	if t.RPM.GeneratesRequires {
		return s + "; rpm writes Requires and Provides"
	}
	return s + "; ReqPM writes Requires and Provides"
}

// allTargets stands for the shipped targets of this machine's architecture, but for uncommon ones, and for
// every one of the user's own, each of their Python stacks once.
const allTargets = "all"

// commonTargets are the shipped ones that allTargets means.
func commonTargets() []target.Target {
	arch := hostArch()
	return slices.DeleteFunc(target.All(), func(t target.Target) bool { return t.Uncommon || t.Arch != arch })
}

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
			for _, t := range distinct(append(commonTargets(), own...)) {
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
