package target

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fileDistribution is whose repositories a target builds against, apart from which release and
// Python: Rocky Linux 9, AlmaLinux 9 and RHEL 9 are all el9.
type fileDistribution struct {
	ReleasePackage string     `toml:"release_package"`
	Mock           string     `toml:"mock"`
	MockEPEL       string     `toml:"mock_epel"`
	Repositories   []fileRepo `toml:"repositories"`
}

// Distributions are the names that a target's key "distribution" may have, sorted; those for
// EPEL are not among them.
func Distributions() []string {
	doc, err := readDoc("targets.toml", shipped)
	if err != nil {
		return nil // as for All
	}
	var names []string
	for _, n := range slices.Sorted(maps.Keys(doc.Distributions)) {
		if doc.Distributions[n].ReleasePackage != "" {
			names = append(names, n)
		}
	}
	return names
}

// apply lays the table over base and checks the whole.
func (ft *fileTarget) apply(base Target, name string, all map[string]*fileDistribution) (Target, error) {
	t := base.clone()
	t.Name = name
	for _, s := range []struct {
		to    *string
		value string
	}{
		{&t.Arch, ft.Arch}, {&t.ReleaseVer, ft.ReleaseVer}, {&t.RepodataCompress, ft.RepodataCompress},
	} {
		if s.value != "" {
			*s.to = s.value
		}
	}
	if ft.Dist != nil {
		t.Dist = *ft.Dist
	}
	if ft.BasePackages != nil {
		t.BasePackages = slices.Clone(ft.BasePackages)
	}
	if err := ft.applyStack(&t); err != nil {
		return Target{}, err
	}
	// A note is about this target, not about those made from it.
	t.Note = ""
	if ft.Note != nil {
		t.Note = *ft.Note
	} else if ft.Arch != "" && ft.Python == nil {
		t.Note = base.Note
	}
	if ft.Uncommon != nil {
		t.Uncommon = *ft.Uncommon
	}
	if ft.Macros != nil {
		t.Macros = maps.Clone(ft.Macros)
	}
	if err := ft.applyRepositories(&t, all); err != nil {
		return Target{}, err
	}
	return t, t.check()
}

// applyStack sets what rpm and Python are.
func (ft *fileTarget) applyStack(t *Target) error {
	if ft.RPM != nil {
		if !rpmRE.MatchString(ft.RPM.Version) {
			return fmt.Errorf("rpm.version %q is not a version like 4.16.1", ft.RPM.Version)
		}
		if v := ft.RPM.PyprojectMacros; v != "" && !rpmRE.MatchString(v) {
			return fmt.Errorf("rpm.pyproject_macros %q is not a version like 1.16.2", v)
		}
		style := t.RPM.Style
		t.RPM = rpmOf(ft.RPM.Version)
		t.RPM.Style, t.RPM.GeneratesRequires, t.RPM.ProvidesRaw = style, ft.RPM.GeneratesRequires, ft.RPM.ProvidesRaw
		t.RPM.PyprojectMacros = ft.RPM.PyprojectMacros
	}
	if ft.Style != "" {
		t.RPM.Style = ft.Style
	}
	if ft.Python != nil {
		p, err := ft.Python.python()
		if err != nil {
			return err
		}
		if p.Minor() != t.Python.Minor() {
			t.Tools = nil // those of another Python
		}
		t.Python = p
	}
	if ft.Tools != nil {
		t.Tools = maps.Clone(ft.Tools)
	}
	return nil
}

// applyRepositories sets where the base root comes from: a distribution, single repositories, or
// what mock knows by a name or a file. The nearest to the target that says something holds.
func (ft *fileTarget) applyRepositories(t *Target, all map[string]*fileDistribution) error {
	if ft.EPEL != nil {
		t.EPEL = *ft.EPEL
	}
	if ft.Distribution != "" {
		t.Distribution = ft.Distribution
	}
	fresh := ft.Distribution != "" || ft.EPEL != nil || ft.Arch != "" || ft.BasePackages != nil || ft.ReleaseVer != ""
	if t.Distribution != "" && fresh {
		if err := t.useDistribution(all); err != nil {
			return err
		}
	}
	if ft.Repositories != nil {
		repos, err := reposOf(ft.Repositories)
		if err != nil {
			return err
		}
		// They are somebody's own: neither the distribution's name nor its root in mock fits any more.
		t.Repos, t.Distribution, t.EPEL, t.Mock = repos, "", false, ""
	}
	if ft.Mock != "" {
		t.Mock = ft.Mock
	}
	if t.RepodataCompress == "" {
		t.RepodataCompress = "gz"
	}
	return nil
}

// useDistribution takes repositories, release package and mock root from t.Distribution, and
// EPEL's repositories beside them when t.EPEL says so.
func (t *Target) useDistribution(all map[string]*fileDistribution) error {
	d := all[t.Distribution]
	if d == nil {
		return fmt.Errorf("distribution %q is not known; known: %s", t.Distribution, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	repos, err := reposOf(d.Repositories)
	if err != nil {
		return fmt.Errorf("distribution %s: %w", t.Distribution, err)
	}
	root := d.Mock
	if t.EPEL {
		name := "epel-" + t.ReleaseVer
		e := all[name]
		if e == nil {
			return fmt.Errorf("epel = true: there is no distribution %q", name)
		}
		more, err := reposOf(e.Repositories)
		if err != nil {
			return fmt.Errorf("distribution %s: %w", name, err)
		}
		repos, root = append(repos, more...), d.MockEPEL
	}
	t.Repos, t.Mock = repos, ""
	if root != "" {
		t.Mock = root + "-" + t.Arch
	}
	for _, other := range all { // the release package of the distribution before
		if p := other.ReleasePackage; p != "" && p != d.ReleasePackage {
			t.BasePackages = slices.DeleteFunc(t.BasePackages, func(have string) bool { return have == p })
		}
	}
	if d.ReleasePackage != "" && !slices.Contains(t.BasePackages, d.ReleasePackage) {
		t.BasePackages = append(t.BasePackages, d.ReleasePackage)
	}
	return nil
}

func reposOf(list []fileRepo) ([]Repo, error) {
	repos := make([]Repo, 0, len(list))
	for i, fr := range list {
		r, err := fr.repo()
		if err != nil {
			return nil, fmt.Errorf("repositories[%d]: %w", i, err)
		}
		repos = append(repos, r)
	}
	return repos, nil
}
