package sdist

import (
	_ "embed"
	"regexp"
)

// DriverName is the driver's file name, as a source of an SRPM and inside sandboxes.
const DriverName = "reqpm_pep517.py"

//go:embed driver/reqpm_pep517.py
var driver string

// Driver returns ReqPM's PEP 517 driver, a Python program for Python 3.6 and later
// without needs of its own; its --help says its commands.
func Driver() []byte { return []byte(driver) }

var safeVersion = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+!_-]{0,199}$`)

// SCMEnv is the environment that tells a build its version where it would otherwise ask
// version control, as "NAME=value". Each variable is read by one tool and ignored by all
// others, so it is exported for every build. A version that is not plain text gives none.
func SCMEnv(version string) []string {
	if !safeVersion.MatchString(version) {
		return nil
	}
	return []string{
		"SETUPTOOLS_SCM_PRETEND_VERSION=" + version,   // setuptools-scm, hatch-vcs, flit-scm
		"VCS_VERSIONING_PRETEND_VERSION=" + version,   // setuptools-scm 10's core
		"PBR_VERSION=" + version,                      // pbr
		"PDM_BUILD_SCM_VERSION=" + version,            // pdm-backend
		"POETRY_DYNAMIC_VERSIONING_BYPASS=" + version, // poetry-dynamic-versioning
		"UV_DYNAMIC_VERSIONING_BYPASS=" + version,     // uv-dynamic-versioning
		"HATCH_METADATA_CLASSIFIERS_NO_VERIFY=1",      // hatchling: no complaint about classifiers newer than itself
	}
}
