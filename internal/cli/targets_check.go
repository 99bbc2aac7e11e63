package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"reqpm/internal/distro"
	"reqpm/internal/rpmname"
	"reqpm/internal/target"
)

// errTarget: what a target needs is not in its repositories.
var errTarget = errors.New("the target is not as it is described")

// errSilent: repositories do not answer from this machine, so nothing can be said.
var errSilent = errors.New("repositories do not answer from here")

// hostArch is this machine's architecture in rpm's words.
func hostArch() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return runtime.GOARCH
}

// checkTarget looks whether what ReqPM knows of t is so: its repositories answer, and have its
// Python, macros and base packages. The error says in one line what the checks add up to.
func (a *app) checkTarget(ctx context.Context, t target.Target) ([]check, error) {
	if t.Kind == target.Host {
		return []check{
			{Name: "python", OK: true, Detail: t.Python.Executable + " " + t.Python.Version},
			{Name: "rpm", OK: t.RPM.Version != "", Detail: t.RPM.Version, Fix: "reqpm doctor"},
		}, nil
	}
	checks := []check{archCheck(t)}
	silent := 0
	answers := distro.Answers(ctx, t)
	for _, repo := range t.Repos {
		c := check{Name: "repository " + repo.ID, OK: true, Detail: "answers"}
		if err := answers[repo.ID]; err != nil {
			silent++
			c.OK, c.Detail = false, err.Error()
		}
		checks = append(checks, c)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(t.Repos) == 0:
		return append(checks, check{Name: "repositories", Detail: "none; only mock knows them, by " + t.Mock}), fmt.Errorf("%s: %w", t.Name, errSilent)
	case silent > 0:
		checks = append(checks, check{Name: "python, macros", Detail: "not looked for, because not all repositories answer; resolve and spec work without them, plan and build do not"})
		return checks, fmt.Errorf("%s: %w: %d of %d", t.Name, errSilent, silent, len(t.Repos))
	}
	found, err := a.lookInto(ctx, t)
	if err != nil {
		return checks, err
	}
	checks = append(checks, found...)
	if slices.ContainsFunc(checks, func(c check) bool { return !c.OK }) {
		return checks, fmt.Errorf("%s: %w", t.Name, errTarget)
	}
	return checks, nil
}

func archCheck(t target.Target) check {
	c := check{Name: "architecture", OK: true, Detail: t.Arch}
	if t.Arch != hostArch() {
		c.Detail += "; builds need such a machine, resolve and spec do not"
	}
	return c
}

// lookInto asks the repositories for the packages that every build root of t has.
func (a *app) lookInto(ctx context.Context, t target.Target) ([]check, error) {
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	python, headers := strings.TrimSuffix(t.Python.Prefix, "-"), t.Python.Prefix+"devel"
	macros := t.MacroPackages()
	wanted := slices.Concat([]string{python, headers, "rpm-build"}, macros, t.BasePackages)
	found, err := distro.NewRepositories(distro.Config{Dir: filepath.Join(state, "distro")}).Look(ctx, t, wanted)
	if err != nil {
		return nil, err
	}
	known := map[string]string{"rpm-build": t.RPM.Version, python: t.Python.Version}
	if t.RPM.Style == target.StylePyproject {
		known["pyproject-rpm-macros"] = t.RPM.PyprojectMacros
	}
	var checks []check
	for _, c := range []struct {
		name     string
		packages []string
	}{{"python", []string{python}}, {"headers", []string{headers}}, {"rpm", []string{"rpm-build"}}, {"macros", macros}} {
		for _, p := range c.packages {
			checks = append(checks, packageCheck(c.name, p, found, known[p]))
		}
	}
	missing := slices.DeleteFunc(slices.Clone(t.BasePackages), func(p string) bool { _, ok := found[p]; return ok })
	base := check{Name: "base packages", OK: true, Detail: fmt.Sprintf("all %d are there", len(t.BasePackages))}
	if len(missing) > 0 {
		base.OK, base.Detail = false, "not in the repositories: "+strings.Join(missing, ", ")
	}
	return append(checks, base), nil
}

func packageCheck(name, wanted string, found map[string]distro.RPM, known string) check {
	rpm, ok := found[wanted]
	if !ok {
		return check{Name: name, Detail: wanted + " is in none of the repositories"}
	}
	c := check{Name: name, OK: true, Detail: fmt.Sprintf("%s-%s from %s", rpm.Name, rpmname.EVR(rpm.Epoch, rpm.Version, rpm.Release), rpm.Repo)}
	if known != "" && known != rpm.Version {
		c.Detail += fmt.Sprintf(" (ReqPM's table has %s; the base root's own version is what counts)", known)
	}
	return c
}
