package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"reqpm/internal/builder"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/target"
)

// commonMacros hold for every base.
const commonMacros = "%_topdir " + buildHome + "\n%_dbpath /var/lib/rpm\n" + builder.ReproducibleMacros

// hostMacros make a distribution without RPM packaging of its own (Debian) build
// Python packages: fast payloads, no debug packages, byte-compiled modules.
const hostMacros = `%dist %{nil}
%_binary_payload w3.zstdio
%_source_payload w3.zstdio
%_source_filedigest_algorithm 8
%_binary_filedigest_algorithm 8
%_build_id_links none
%debug_package %{nil}
%_tmppath /var/tmp
`

// privateLib is where our own parts of a base are, beside rpm's.
const privateLib = "lib/rpm/reqpm"

// rpmParts writes macros, the dist generators' Python library and the byte-compiling step.
func rpmParts(l layer, t target.Target) error {
	py := t.Python
	var m strings.Builder
	m.WriteString(commonMacros + hostMacros)
	for name, value := range map[string]string{
		"python3": py.Executable, "__python3": py.Executable, "python3_version": pythonMinor(t), "python3_pkgversion": py.PkgVersion,
		"python3_sitelib": py.Sitelib, "python3_sitearch": py.Sitearch, "python3_version_nodots": strings.ReplaceAll(pythonMinor(t), ".", ""),
	} {
		if value != "" {
			fmt.Fprintf(&m, "%%%s %s\n", name, value)
		}
	}
	lib := "/usr/" + privateLib
	gen := "env PYTHONPATH=" + lib + " PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 %{_rpmconfigdir}/pythondistdeps.py"
	fmt.Fprintf(&m, "%%__pythondist_provides %s --provides --normalized-names-format pep503 --package-name %%{name} --majorver-provides-versions %s\n", gen, pythonMinor(t))
	fmt.Fprintf(&m, "%%__pythondist_requires %s --requires --normalized-names-format pep503 --package-name %%{name} --require-extras-subpackages --console-scripts-nodep-setuptools-since %s\n", gen, pythonMinor(t))
	m.WriteString("%__os_install_post \\\n" +
		"    %{_rpmconfigdir}/brp-compress %{_prefix} \\\n    %{_rpmconfigdir}/brp-elfperms \\\n" +
		"    %{_rpmconfigdir}/brp-strip /usr/bin/strip \\\n    %{_rpmconfigdir}/brp-strip-static-archive /usr/bin/strip \\\n" +
		"    %{_rpmconfigdir}/brp-strip-comment-note /usr/bin/strip /usr/bin/objdump \\\n    %{_rpmconfigdir}/brp-remove-la-files \\\n" +
		"    " + lib + "/brp-bytecompile " + py.Executable + " " + py.Sitelib + " " + py.Sitearch + "\n")
	script := filepath.Join(l.usr(), privateLib, "brp-bytecompile")
	if err := errors.Join(write(filepath.Join(l.root(), "etc/rpm/macros.reqpm"), m.String()), write(script, bytecompile)); err != nil {
		return err
	}
	if err := os.Chmod(script, 0o755); err != nil {
		return err
	}
	return copyPackaging(filepath.Join(l.usr(), privateLib))
}

// bytecompile compiles what a package installs into its site directories. Hash-based
// files hold no time, so the same sources give the same bytes; with "checked" Python
// notices an edited source, as with the usual time-based ones.
const bytecompile = `#!/bin/sh
# brp-bytecompile PYTHON DIR...: byte-compiles DIRs of the build root
set -e
[ -n "$RPM_BUILD_ROOT" ] && [ "$RPM_BUILD_ROOT" != / ] || exit 0
python=$1
shift
done=
for dir; do
	[ "$dir" = "$done" ] && continue
	done=$dir
	[ -d "$RPM_BUILD_ROOT$dir" ] || continue
	# A file that does not compile (templates, other Pythons' syntax) is the package's affair.
	"$python" -s -m compileall -q -f -j"${RPM_BUILD_NCPUS:-1}" --invalidation-mode checked-hash \
		-s "$RPM_BUILD_ROOT" -p / "$RPM_BUILD_ROOT$dir" || :
done
`

// copyPackaging gives the generators the host's python3-packaging, which is masked for
// everything else. Without it rpm prints a traceback, succeeds, and provides nothing.
func copyPackaging(dst string) error {
	src := "/usr/lib/python3/dist-packages/packaging"
	if !scratch.Exists(src) {
		return toolsError([]Tool{packagingTool})
	}
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dst, "packaging", strings.TrimPrefix(path, src))
		switch {
		case d.IsDir() && d.Name() == "__pycache__":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Type().IsRegular():
			return scratch.CopyFile(path, to, 0o644, -1, zeroTime)
		}
		return nil
	})
}
