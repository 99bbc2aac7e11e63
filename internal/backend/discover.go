package backend

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// packages writes what [tool.setuptools] says of packages and modules, or what setuptools 61 and later
// finds by itself where it says nothing. They are written out one by one: an old
// setuptools looks for them by other rules.
func (c *cfg) packages() {
	dirs := map[string]string{}
	given, _ := c.tool["package-dir"].(map[string]any)
	for key := range given {
		dirs[key] = c.text(given, key)
	}
	modules := c.texts(c.tool, "py-modules")
	var found []string
	switch packages := c.tool["packages"].(type) {
	case []any:
		found = c.texts(c.tool, "packages")
	case map[string]any:
		found = c.find(packages, dirs)
	case nil:
		if modules == nil && !c.setupPySays() {
			found, modules = c.layout(dirs)
		}
	default:
		c.fail("[tool.setuptools] packages: %v", errEdit)
	}
	c.list("packages", found)
	c.list("py_modules", modules)
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(dirs)) {
		if dirs[key] != "" && dirs[key] != "." {
			lines = append(lines, strings.TrimSpace(key+" = "+dirs[key]))
		}
	}
	c.list("package_dir", lines)
}

// setupPySays tells whether a setup.py says itself what is in the package.
func (c *cfg) setupPySays() bool {
	text := string(c.w.tree.SetupPy)
	return strings.Contains(text, "packages") || strings.Contains(text, "py_modules") || strings.Contains(text, "ext_modules")
}

// find does what [tool.setuptools.packages.find] says.
func (c *cfg) find(packages map[string]any, dirs map[string]string) []string {
	rules, ok := packages["find"].(map[string]any)
	if !ok || len(packages) != 1 {
		c.fail("[tool.setuptools.packages]: %v", errEdit)
		return nil
	}
	where := c.texts(rules, "where")
	if where == nil {
		where = []string{"."}
	}
	if len(where) != 1 {
		c.fail("setup.cfg can look for packages in one place only")
		return nil
	}
	include, exclude := c.texts(rules, "include"), c.texts(rules, "exclude")
	for _, p := range slices.Concat(include, exclude) {
		if strings.ContainsAny(p, `[\`) {
			c.fail("packages by the pattern %q: %v", p, errEdit)
		}
	}
	namespaces := rules["namespaces"] != false
	place := path.Clean(where[0])
	if place != "." && dirs[""] == "" {
		dirs[""] = place
	}
	return slices.DeleteFunc(c.w.tree.packagesIn(place, namespaces), func(name string) bool {
		return include != nil && !matches(include, name) || matches(exclude, name)
	})
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok })
}

// packagesIn are the packages below a directory, dotted and sorted. Without namespaces a package is a
// directory with an __init__.py, in a package.
func (t Tree) packagesIn(place string, namespaces bool) []string {
	found := map[string]bool{}
	for _, file := range t.Files {
		rel := file
		if place != "." {
			var ok bool
			if rel, ok = strings.CutPrefix(file, place+"/"); !ok {
				continue
			}
		}
		parts := strings.Split(rel, "/")
		for n := 1; n < len(parts); n++ {
			if strings.Contains(parts[n-1], ".") || parts[n-1] == "__pycache__" ||
				!namespaces && !t.has(path.Join(place, path.Join(parts[:n]...), "__init__.py")) {
				break
			}
			found[strings.Join(parts[:n], ".")] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// notPackages and notModules are what setuptools passes over at the top of a tree without src
// (setuptools.discovery, FlatLayoutPackageFinder and FlatLayoutModuleFinder).
var (
	notPackages = []string{"ci", "bin", "debian", "doc", "docs", "documentation", "manpages", "news", "newsfragments", "changelog", "test",
		"tests", "unit_test", "unit_tests", "example", "examples", "scripts", "tools", "util", "utils", "python", "build", "benchmark",
		"benchmarks", "exercise", "exercises", "htmlcov"}
	notModules = []string{"setup", "conftest", "test", "tests", "example", "examples", "build", "toxfile", "noxfile", "pavement", "dodo",
		"tasks", "fabfile", "SConstruct", "sconstruct", "conanfile", "manage", "benchmark", "benchmarks", "exercise", "exercises"}
)

// layout finds packages and modules as setuptools 61 and later does: below src where there is one, else the
// one package at the top, else the one module.
func (c *cfg) layout(dirs map[string]string) (packages, modules []string) {
	t := c.w.tree
	place := dirs[""]
	if place == "" && slices.ContainsFunc(t.Files, func(f string) bool { return strings.HasPrefix(f, "src/") }) {
		place = "src"
	}
	if place != "" {
		dirs[""] = place
		packages = slices.DeleteFunc(t.packagesIn(place, true), func(name string) bool { return !identifiers(name) })
		return packages, t.modulesIn(place)
	}
	tops := map[string]bool{}
	for _, name := range t.packagesIn(".", true) {
		top, _, _ := strings.Cut(name, ".")
		if !identifiers(name) || slices.Contains(notPackages, top) || strings.HasPrefix(top, "_") {
			continue
		}
		tops[top] = true
		packages = append(packages, name)
	}
	if len(tops) > 0 {
		if len(tops) > 1 {
			c.fail("it does not say which of its top-level directories are packages")
		}
		return packages, nil
	}
	modules = slices.DeleteFunc(t.modulesIn("."), func(name string) bool {
		return slices.Contains(notModules, name) || strings.HasPrefix(name, "_")
	})
	if len(modules) > 1 {
		c.fail("it does not say which of its top-level files are modules")
	}
	return nil, modules
}

// modulesIn are the Python files right in a directory, by import name.
func (t Tree) modulesIn(place string) []string {
	var modules []string
	for _, file := range t.Files {
		name, ok := strings.CutSuffix(path.Base(file), ".py")
		if ok && path.Dir(file) == place && identifiers(name) {
			modules = append(modules, name)
		}
	}
	return modules
}

// identifiers tells whether a dotted name is made of names that Python can import. Of letters it
// knows those of ASCII.
func identifiers(dotted string) bool {
	for name := range strings.SplitSeq(dotted, ".") {
		for i, r := range name {
			letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
			if !letter && (i == 0 || r < '0' || r > '9') {
				return false
			}
		}
		if name == "" {
			return false
		}
	}
	return true
}
