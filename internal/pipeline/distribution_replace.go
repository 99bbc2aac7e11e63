package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/rpmname"
)

// A package of ours that has the name of one of the system's own Python replaces it, for every
// program of the system.

// Replaced is a package of the set whose RPM would replace one of the distribution.
type Replaced struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	RPM     string `json:"rpm"`
	Has     string `json:"has"` // the distribution's version
}

// ReplaceError: the set would replace packages that the system's own Python programs use.
type ReplaceError struct {
	Target   string
	Python   string
	Packages []Replaced
}

func (e *ReplaceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "on %s the set would replace packages of the system's own Python %s, which the system's programs use:", e.Target, e.Python)
	for _, r := range e.Packages {
		fmt.Fprintf(&b, "\n  %s: the set has %s %s, the distribution %s", r.RPM, r.Name, r.Version, r.Has)
	}
	name, has := e.Packages[0].Name, e.Packages[0].Has
	fmt.Fprintf(&b, "\nWays out: another Python stack of the release (reqpm targets); --constrain '%s==%s' takes the distribution's version; --replace %s lets it be replaced.", name, has, name)
	return b.String()
}

// replaced finds the packages of a lock whose RPMs would replace the distribution's by another
// version, where the target's stack is the system's own Python.
func (p *Pipeline) replaced(lock *Lock) []Replaced {
	set := p.distribution.set
	t := p.cfg.Target
	if set == nil || !t.Python.Default {
		return nil
	}
	packages := slices.Clone(lock.Packages)
	if lock.project != nil {
		packages = append(packages, Locked{Name: lock.project.Name, Version: lock.project.Version})
	}
	var list []Replaced
	for _, l := range packages {
		v, err := pep440.Parse(l.Version)
		if err != nil || l.reused != nil || slices.Contains(p.cfg.Distribution.Replace, l.Name) {
			continue
		}
		rpm := rpmname.Package(t, l.Name)
		for _, has := range set.ByRPM(rpm) {
			if has.Version.Compare(v) != 0 {
				list = append(list, Replaced{Name: l.Name, Version: l.Version, RPM: rpm, Has: has.Version.String()})
				break
			}
		}
	}
	return list
}

// besides finds the packages of a lock that the system's own Python has from an RPM of another
// name: dnf refuses to install both, as they hold the same files.
func (p *Pipeline) besides(lock *Lock) []string {
	t := p.cfg.Target
	if !t.Python.Default {
		return nil
	}
	var list []string
	for _, l := range lock.Packages {
		has, ok := p.distribution.set.Distribution(l.Name)
		if own := rpmname.Package(t, l.Name); ok && l.reused == nil && has.RPM.Name != own {
			list = append(list, fmt.Sprintf("%s cannot be installed where the distribution's %s is: both hold %s (%s and %s)", own, has.RPM.Name, l.Name, l.Version, has.Version))
		}
	}
	return list
}

// Refused is why a lock can be looked at, but not be built: it replaces packages of the system's
// own Python. nil where it can.
func (l *Lock) Refused() error {
	if len(l.Replaces) == 0 {
		return nil
	}
	return &ReplaceError{Target: l.Target, Python: l.Python, Packages: l.Replaces}
}
