package sdist

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// External is what compiled parts name of the world outside: a hint, for much of it is optional
// or meant for another system. All lists are sorted, without double entries, and bounded.
type External struct {
	Headers    []string // included by C, C++ and Cython sources, and not in the tree: "zmq.h", "libxml/tree.h"
	PkgConfigs []string // modules asked of pkg-config: "libzmq"
	CMake      []string // names given to find_package
	Libraries  []string // to link: "xml2"
	Programs   []string // configuration programs and generators that build scripts start: "pg_config", "swig"
	SWIG       bool     // there are SWIG interface files
}

// Bounds of a scan: what is beyond them is not looked at.
const (
	maxScanned  = 4000      // source files
	maxHead     = 256 << 10 // bytes of each
	maxExternal = 400       // names of one kind
)

var (
	includeLine  = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*include[ \t]*[<"]([A-Za-z0-9_./+-]{3,100}\.h(?:pp)?)[>"]`)
	cythonExtern = regexp.MustCompile(`(?m)^[ \t]*cdef[ \t]+extern[ \t]+from[ \t]+["']<?([A-Za-z0-9_./+-]{3,100}\.h(?:pp)?)>?["']`)

	mesonDependency = regexp.MustCompile(`\bdependency\s*\(\s*'([A-Za-z0-9][A-Za-z0-9_.+-]{0,60})'`)
	cmakeFind       = regexp.MustCompile(`(?i)\bfind_package\s*\(\s*([A-Za-z0-9][A-Za-z0-9_+-]{0,60})`)
	cmakePkgConfig  = regexp.MustCompile(`(?i)\bpkg_(?:check_modules|search_module)\s*\(\s*[A-Za-z0-9_]+\s+([^)]{1,400})\)`)
	pyPkgConfig     = regexp.MustCompile(`(?:\bpkg-config\b|\bpkg_config\b|\bpkgconfig\b)([^\n]{0,200})`)
	quoted          = regexp.MustCompile(`["']([A-Za-z][A-Za-z0-9_.+-]{0,60})["']`)
	libraryList     = regexp.MustCompile(`\blibraries["']?\s*[=:]\s*[\[(]([^\])]{1,400})[\])]`)
	linkOption      = regexp.MustCompile(`["'\s]-l([A-Za-z0-9_.+-]{1,40})\b`)
	moduleWord      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.+-]{1,60}$`)
	programWord     = regexp.MustCompile(`\b(pg_config|mysql_config|mariadb_config|krb5-config|curl-config|xml2-config|xslt-config|geos-config|gdal-config|nc-config|cups-config|net-snmp-config|odbc_config|pcap-config|swig)\b`)
)

// scanExternal looks through the sources of a tree that has compiled parts, and through its build
// scripts (their text is given).
func scanExternal(scripts string, t tree) (External, error) {
	var e External
	inside := map[string]bool{} // every header of the tree, by all its suffixes
	var wanted []string
	seen, scanned := 0, 0
	err := fs.WalkDir(t.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > maxScan {
			return fs.SkipAll
		}
		if d.IsDir() {
			if besideTheCode[strings.ToLower(d.Name())] {
				return fs.SkipDir
			}
			return nil
		}
		var patterns []*regexp.Regexp
		base := strings.ToLower(path.Base(name))
		switch ext := path.Ext(base); {
		case ext == ".h" || ext == ".hpp":
			for at := name; at != ""; {
				inside[at] = true
				_, rest, ok := strings.Cut(at, "/")
				if !ok {
					break
				}
				at = rest
			}
			patterns = []*regexp.Regexp{includeLine}
		case slices.Contains([]string{".c", ".cc", ".cpp", ".cxx", ".c++"}, ext):
			patterns = []*regexp.Regexp{includeLine}
		case ext == ".pyx" || ext == ".pxd" || ext == ".pxi":
			patterns = []*regexp.Regexp{cythonExtern}
		case ext == ".i":
			e.SWIG = true
		case base == "meson.build" || base == "cmakelists.txt" || ext == ".cmake":
			e.readBuildFile(base, string(t.head(name)))
		}
		if len(patterns) > 0 && scanned < maxScanned {
			scanned++
			head := t.head(name)
			for _, re := range patterns {
				for _, m := range re.FindAllSubmatch(head, maxExternal) {
					wanted = append(wanted, string(m[1]))
				}
			}
			if len(wanted) > 20*maxExternal {
				slices.Sort(wanted)
				wanted = slices.Compact(wanted)
			}
		}
		return nil
	})
	for _, h := range wanted {
		if h = path.Clean(h); !inside[h] && !strings.HasPrefix(h, "../") && !inside[path.Base(h)] {
			e.Headers = append(e.Headers, h)
		}
	}
	e.readScripts(scripts)
	for _, list := range []*[]string{&e.Headers, &e.PkgConfigs, &e.CMake, &e.Libraries, &e.Programs} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		if len(*list) > maxExternal {
			*list = (*list)[:maxExternal]
		}
	}
	return e, err
}

// head is the start of a file, nothing where it cannot be read.
func (t tree) head(name string) []byte {
	if !t.isFile(name) {
		return nil
	}
	f, err := t.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, maxHead))
	return bytes.ToValidUTF8(text, nil)
}

// readBuildFile reads what a meson or CMake file asks for.
func (e *External) readBuildFile(base, text string) {
	if base == "meson.build" {
		for _, m := range mesonDependency.FindAllStringSubmatch(text, maxExternal) {
			e.PkgConfigs = append(e.PkgConfigs, m[1])
		}
		return
	}
	for _, m := range cmakeFind.FindAllStringSubmatch(text, maxExternal) {
		e.CMake = append(e.CMake, m[1])
	}
	for _, m := range cmakePkgConfig.FindAllStringSubmatch(text, maxExternal) {
		for _, word := range strings.Fields(m[1]) {
			word, _, _ = strings.Cut(strings.Trim(word, `"`), ">")
			word, _, _ = strings.Cut(word, "=")
			if moduleWord.MatchString(word) && word != strings.ToUpper(word) { // REQUIRED, QUIET, IMPORTED_TARGET
				e.PkgConfigs = append(e.PkgConfigs, word)
			}
		}
	}
}

// readScripts reads what setup scripts name.
func (e *External) readScripts(text string) {
	for _, m := range libraryList.FindAllStringSubmatch(text, maxExternal) {
		for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
			e.Libraries = append(e.Libraries, q[1])
		}
	}
	for _, m := range linkOption.FindAllStringSubmatch(text, maxExternal) {
		e.Libraries = append(e.Libraries, m[1])
	}
	for _, m := range pyPkgConfig.FindAllStringSubmatch(text, maxExternal) {
		for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
			if !strings.HasPrefix(q[1], "-") {
				e.PkgConfigs = append(e.PkgConfigs, q[1])
			}
		}
		for _, word := range strings.Fields(m[1]) {
			if word = strings.Trim(word, `"'()[],`); moduleWord.MatchString(word) {
				e.PkgConfigs = append(e.PkgConfigs, word)
			}
		}
	}
	for _, m := range programWord.FindAllStringSubmatch(text, maxExternal) {
		e.Programs = append(e.Programs, m[1])
	}
}
