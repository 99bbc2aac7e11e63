// Package target knows what each release can do: its rpm, its Python stacks,
// its repositories and the marker environment of its Python.
//
// Facts come from data shipped with the program (targets.toml), from a file of the
// user (Load) or from the host (Local); the builder probes and corrects what depends on
// the machine. Everything but Local and Load is pure.
package target

import (
	"maps"
	"strings"

	"reqpm/internal/pep508"
)

// Kind tells where the base root comes from.
type Kind string

const (
	Host Kind = "host" // the host's own /usr (Debian and others without an RPM database)
	DNF  Kind = "dnf"  // dnf --installroot from repositories
)

// LocalName is the name of the target that stands for this machine's own distribution.
const LocalName = "local"

// Target is one release, architecture and Python stack. Immutable after creation.
type Target struct {
	Name   string `json:"name"` // el9, el9-py312, local
	Kind   Kind   `json:"kind"`
	Arch   string `json:"arch"` // x86_64, aarch64
	Dist   string `json:"dist"` // ".el9"; "" for local on Debian
	Python Python `json:"python"`
	RPM    RPM    `json:"rpm"`
	Repos  []Repo `json:"repos"` // for Kind DNF
	// BasePackages is installed into the base root (mock's chroot_setup_cmd).
	BasePackages []string `json:"base_packages"`
	ReleaseVer   string   `json:"releasever"`
	// Distribution is whose repositories Repos are ("rocky-9"), with EPEL's or without; "" when they
	// were given one by one.
	Distribution string `json:"distribution,omitempty"`
	EPEL         bool   `json:"epel,omitempty"`
	// Mock is the name of mock's root for this target ("rocky-9-x86_64"), or the absolute path of a mock
	// configuration file; "" when mock has none.
	Mock string `json:"mock,omitempty"`
	// Tools is what the repositories have to build with for this Python, by PEP 503 name, as far as
	// known when ReqPM was released. internal/distro asks what they have now.
	Tools map[string]string `json:"tools,omitempty"`
	// Macros are rpm macros that every spec of the target defines, from the user's own file.
	Macros map[string]string `json:"macros,omitempty"`
	// RepodataCompress is how a repository for this release is compressed: "zstd", or "gz" for dnf and
	// yum that do not read it.
	RepodataCompress string `json:"repodata_compress"`
	Note             string `json:"note,omitempty"` // what people should know before they choose it
	// Uncommon targets are not among those that "all" means.
	Uncommon bool `json:"uncommon,omitempty"`
}

// Python is one stack of a target.
type Python struct {
	Version    string `json:"version"`    // full, "3.12.9"; the marker environment's
	Prefix     string `json:"prefix"`     // RPM name prefix: "python3.12-", "python3-"
	Executable string `json:"executable"` // "/usr/bin/python3.12"
	Sitelib    string `json:"sitelib"`    // "/usr/lib/python3.12/site-packages"
	Sitearch   string `json:"sitearch"`   // "/usr/lib64/python3.12/site-packages"
	PkgVersion string `json:"pkgversion"` // %python3_pkgversion: "3.12", "3"
	Default    bool   `json:"default"`    // the release's own python3
}

// Minor is the version up to the minor number, "3.12"; "" when Version has no two parts.
func (p Python) Minor() string {
	parts := strings.SplitN(p.Version, ".", 3)
	if len(parts) < 2 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

// Style is which body a spec gets.
type Style string

const (
	StylePyproject Style = "pyproject" // EL9+: %pyproject_* macros, generator Requires
	StyleDriver    Style = "driver"    // own PEP 517 driver as Source1 (local, EL8)
	StyleSetupPy   Style = "setup.py"  // setup.py where a package has one, else the driver (EL7)
)

// RPM is what the target's rpm can express and does by itself.
type RPM struct {
	Version   string `json:"version"` // "" when the host has no rpm yet
	Caret     bool   `json:"caret"`
	RichDeps  bool   `json:"rich_deps"`
	WeakDeps  bool   `json:"weak_deps"`
	DynamicBR bool   `json:"dynamic_buildrequires"`
	// GeneratesRequires: rpm writes pythonX.Ydist() Provides and Requires by itself.
	// False on EL7 and EL8, and on a host whose pythondistdeps.py lacks the
	// "packaging" module (it would print a traceback, build green and provide nothing).
	GeneratesRequires bool  `json:"generates_requires"`
	Style             Style `json:"style"`
	// PyprojectMacros is the version of pyproject-rpm-macros in the repositories; "" where there are none.
	PyprojectMacros string `json:"pyproject_macros,omitempty"`
	ProvidesRaw     bool   `json:"provides_raw"` // EL8, EL7: python3.Xdist versions are not normalised
}

// Env is the marker environment of t.
func (t Target) Env() pep508.Environment { return pep508.Linux(t.Python.Version, t.Arch) }

// MacroPackages are what a build has to require to have the macros that specs of this target use,
// beside python3-devel: RHEL's does not pull pyproject-rpm-macros, and EL8 keeps those of each
// Python beside its own in a package of its own.
func (t Target) MacroPackages() []string {
	switch {
	case t.Kind != DNF:
		return nil
	case t.RPM.Style == StylePyproject:
		return []string{"pyproject-rpm-macros"}
	case !t.Python.Default && !t.RPM.DynamicBR:
		return []string{t.Python.Prefix + "rpm-macros"}
	}
	return nil
}

// clone copies t with the slices it owns, so that a caller cannot change shipped data.
func (t Target) clone() Target {
	t.BasePackages = append([]string(nil), t.BasePackages...)
	t.Tools, t.Macros = maps.Clone(t.Tools), maps.Clone(t.Macros)
	repos := make([]Repo, len(t.Repos))
	for i, r := range t.Repos {
		r.BaseURL = append([]string(nil), r.BaseURL...)
		r.GPGKey = append([]string(nil), r.GPGKey...)
		repos[i] = r
	}
	if len(t.Repos) == 0 {
		repos = nil
	}
	t.Repos = repos
	return t
}
