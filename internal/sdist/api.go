package sdist

import (
	"reqpm/internal/metadata"
	"reqpm/internal/pep508"
)

// Facts is what an unpacked source distribution says about being built. Read from
// the archive, never guessed from a name.
type Facts struct {
	Archive                                             string            // file name of the sdist
	Stem                                                string            // archive name without its ending
	TopDir                                              string            // the one top-level directory
	PkgInfo                                             metadata.Metadata // zero when HasPkgInfo is false
	HasPkgInfo                                          bool
	Backend                                             string // "setuptools.build_meta", "flit_core.buildapi", …; "setuptools.build_meta:__legacy__" when no table
	BackendPath                                         []string
	Requires                                            []pep508.Requirement // [build-system] requires, or setuptools (and nothing else) when there is no table
	HasBuildSystem                                      bool
	HasPyproject, HasSetupPy, HasSetupCfg, ProjectTable bool
	LicenseFiles                                        []string // found at the top: LICEN[CS]E*, COPYING*, NOTICE*, AUTHORS*
	Native                                              Native
	SCM                                                 bool // version comes from setuptools-scm, hatch-vcs, pbr, versioneer or kin
}

// Native is what points at compiled parts.
type Native struct {
	C, CXX, Cython, CFFI, Rust, Meson, CMake, Fortran bool
	Sources                                           int // number of native source files
}

// Any tells whether anything native was found.
func (n Native) Any() bool {
	return n.C || n.CXX || n.Cython || n.CFFI || n.Rust || n.Meson || n.CMake || n.Fortran
}
