package target

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"reqpm/internal/pep440"
)

// check makes sure that every field can be written into specs and configurations.
func (t Target) check() error {
	switch {
	case t.Arch != "x86_64" && t.Arch != "aarch64" && t.Arch != "ppc64le" && t.Arch != "s390x":
		return fmt.Errorf("arch %q: x86_64, aarch64, ppc64le or s390x", t.Arch)
	case !distRE.MatchString(t.Dist):
		return fmt.Errorf("dist %q is not like .el9", t.Dist)
	case t.RPM.Version == "":
		return errors.New("no rpm version: give a base or rpm.version")
	case t.RPM.Style != StylePyproject && t.RPM.Style != StyleDriver && t.RPM.Style != StyleSetupPy:
		return fmt.Errorf("style %q: %q, %q or %q", t.RPM.Style, StylePyproject, StyleDriver, StyleSetupPy)
	case t.Python.Version == "":
		return errors.New("no python: give a base or python.version")
	case !prefixRE.MatchString(t.Python.Prefix):
		return fmt.Errorf("python.prefix %q is not like python3.12-", t.Python.Prefix)
	case !stackRE.MatchString(t.Python.PkgVersion):
		return fmt.Errorf("python.pkgversion %q is not like 3.12", t.Python.PkgVersion)
	case len(t.Repos) == 0 && !strings.HasPrefix(t.Mock, "/"):
		return errors.New("no repositories: give a base, distribution, repositories, or a mock configuration file")
	case t.Mock != "" && (!mockRE.MatchString(t.Mock) || strings.Contains(t.Mock, "..")):
		return fmt.Errorf("mock %q is neither the name of a mock root (rocky-9-x86_64) nor the path of a configuration file", t.Mock)
	case t.RepodataCompress != "gz" && t.RepodataCompress != "zstd":
		return fmt.Errorf("repodata_compress %q: gz or zstd", t.RepodataCompress)
	case strings.ContainsFunc(t.Note, unicode.IsControl) || len(t.Note) > 300:
		return errors.New("note: one line of at most 300 bytes")
	case len(t.BasePackages) == 0:
		return errors.New("no base_packages")
	}
	for _, p := range []string{t.Python.Executable, t.Python.Sitelib, t.Python.Sitearch} {
		if !pathRE.MatchString(p) || strings.Contains(p, "/..") {
			return fmt.Errorf("python: %q is not a plain absolute path", p)
		}
	}
	for _, p := range t.BasePackages {
		if !pkgRE.MatchString(p) {
			return fmt.Errorf("base_packages: %q is not a package name", p)
		}
	}
	for name, version := range t.Tools {
		if _, err := pep440.Parse(version); err != nil || !toolRE.MatchString(name) {
			return fmt.Errorf("tools: %s = %q is not a PEP 503 name and its version", name, version)
		}
	}
	for name, value := range t.Macros {
		if !macroRE.MatchString(name) || value == "" || len(value) > 1000 || strings.ContainsFunc(value, unicode.IsControl) || strings.HasSuffix(value, "\\") {
			return fmt.Errorf("macros: %s = %q is not a macro's name and a value of one line", name, value)
		}
	}
	return nil
}
