package backend

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// stub is the setup.py of a project that says everything in setup.cfg, for setuptools before 40.9.
const stub = "from setuptools import setup\n\nsetup()\n"

// setupCfg writes [project] and [tool.setuptools] as the sections of a setup.cfg, for setuptools before 61,
// which passes over both and builds UNKNOWN-0.0.0. What setup.cfg cannot say, or says otherwise, is an error.
func setupCfg(w *work) error {
	old := string(w.tree.SetupCfg)
	for _, line := range splitLines(old) {
		if line = strings.TrimSpace(line); line == "[metadata]" || strings.HasPrefix(line, "[options") {
			return errors.New("setup.cfg has " + line + " already")
		}
	}
	c := &cfg{w: w, project: w.doc.Project}
	c.tool, _ = w.doc.Tool["setuptools"].(map[string]any)
	c.dynamicBy, _ = c.tool["dynamic"].(map[string]any)
	c.setupPy = w.tree.has("setup.py")
	for _, step := range []func(){c.metadata, c.options, c.entryPoints} {
		if step(); c.err != nil {
			return c.err
		}
	}
	if old != "" && !strings.HasSuffix(old, "\n") {
		old += "\n"
	}
	if old != "" {
		old += "\n"
	}
	w.files["setup.cfg"] = []byte(old + strings.TrimPrefix(c.b.String(), "\n"))
	if !c.setupPy {
		w.files["setup.py"] = []byte(stub)
	}
	return nil
}

// cfg is a setup.cfg in the making. The first error stays.
type cfg struct {
	w         *work
	project   map[string]any
	tool      map[string]any // [tool.setuptools]
	dynamicBy map[string]any // [tool.setuptools.dynamic]
	setupPy   bool
	b         strings.Builder
	err       error
}

func (c *cfg) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *cfg) section(name string) { c.b.WriteString("\n[" + name + "]\n") }

// set writes one value. A percent sign would be an interpolation for some versions, and a line that
// begins with # or ; a comment.
func (c *cfg) set(key, value string) {
	if strings.ContainsAny(value, "%\n\r") || strings.ContainsAny(key, "%\n\r=:[]#;") {
		c.fail("setup.cfg cannot say %s = %.80q", key, value)
		return
	}
	if value != "" {
		c.b.WriteString(key + " = " + value + "\n")
	}
}

// list writes values one a line.
func (c *cfg) list(key string, values []string) {
	if len(values) == 0 {
		return
	}
	if strings.ContainsAny(key, "%\n\r=:[]#;") {
		c.fail("setup.cfg cannot say %s", key)
	}
	c.b.WriteString(key + " =\n")
	for _, v := range values {
		if strings.ContainsAny(v, "%\n\r") || strings.HasPrefix(v, "#") || strings.HasPrefix(v, ";") || v == "" {
			c.fail("setup.cfg cannot say %s = %.80q", key, v)
			return
		}
		c.b.WriteString("    " + v + "\n")
	}
}

// text is a string of a table, "" when absent.
func (c *cfg) text(from map[string]any, key string) string {
	value, ok := from[key].(string)
	if from[key] != nil && !ok {
		c.fail("%s is no string", key)
	}
	return strings.TrimSpace(value)
}

// texts is a list of strings of a table, nil when absent.
func (c *cfg) texts(from map[string]any, key string) []string {
	if from[key] == nil {
		return nil
	}
	list, ok := stringsOf(from[key])
	if !ok {
		c.fail("%s is no list of strings", key)
	}
	return list
}

// pairs is a table of strings, as "key = value" lines sorted by key.
func (c *cfg) pairs(from map[string]any, key string) []string {
	inner, ok := from[key].(map[string]any)
	if from[key] != nil && !ok {
		c.fail("%s is no table", key)
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(inner)) {
		if strings.ContainsAny(k, "=\n") {
			c.fail("setup.cfg cannot say %.80q", k)
		}
		lines = append(lines, k+" = "+c.text(inner, k))
	}
	return lines
}

func (c *cfg) metadata() {
	c.section("metadata")
	c.set("name", c.text(c.project, "name"))
	c.set("version", c.text(c.project, "version"))
	c.set("description", c.text(c.project, "description"))
	c.dynamic()
	c.readme()
	switch license := c.project["license"].(type) {
	case string:
		c.set("license", license)
	case map[string]any:
		if text := c.text(license, "text"); !strings.Contains(text, "\n") {
			c.set("license", text)
		}
	}
	patterns := c.texts(c.project, "license-files")
	if patterns == nil {
		patterns = c.texts(c.tool, "license-files")
	}
	if patterns != nil && !c.w.usual(patterns) {
		c.list("license_files", patterns)
	}
	for _, key := range []string{"author", "maintainer"} {
		c.people(key)
	}
	c.set("keywords", strings.Join(c.texts(c.project, "keywords"), ", "))
	c.list("classifiers", c.texts(c.project, "classifiers"))
	c.list("project_urls", c.pairs(c.project, "urls"))
}

// dynamic writes what [tool.setuptools.dynamic] says. What a plugin (setuptools-scm) or setup.py says
// needs no word; anything else that is dynamic would be lost.
func (c *cfg) dynamic() {
	for _, field := range c.texts(c.project, "dynamic") {
		by, _ := c.dynamicBy[field].(map[string]any)
		switch {
		case by == nil && (c.setupPy || field == "version" && c.w.scm()):
		case by != nil && field == "version" && by["attr"] != nil:
			c.set("version", "attr: "+c.text(by, "attr"))
		case by != nil && by["file"] != nil && slices.Contains([]string{"version", "description", "readme"}, field):
			names := c.texts(map[string]any{"file": by["file"]}, "file")
			if one, ok := by["file"].(string); ok {
				names, c.err = []string{one}, nil
			}
			if field == "readme" {
				field = "long_description"
			}
			c.set(field, "file: "+strings.Join(names, ", "))
		case field == "readme" || field == "description":
			// For people; nothing hangs on it.
		default:
			c.fail("setup.cfg cannot say how %s is made", field)
		}
	}
}

// scm tells whether a plugin of setuptools says the version.
func (w *work) scm() bool {
	return slices.ContainsFunc(w.doc.BuildSystem.Requires, func(r string) bool {
		r = strings.ToLower(strings.ReplaceAll(r, "_", "-"))
		return strings.HasPrefix(r, "setuptools-scm") || strings.HasPrefix(r, "setuptools-git-versioning") || strings.HasPrefix(r, "versioningit")
	})
}

func (c *cfg) readme() {
	file, kind := "", ""
	switch readme := c.project["readme"].(type) {
	case string:
		file = readme
	case map[string]any:
		file, kind = c.text(readme, "file"), c.text(readme, "content-type")
	}
	if file == "" {
		return
	}
	if kind == "" {
		switch lower := strings.ToLower(file); {
		case strings.HasSuffix(lower, ".md"):
			kind = "text/markdown"
		case strings.HasSuffix(lower, ".rst"):
			kind = "text/x-rst"
		default:
			kind = "text/plain"
		}
	}
	c.set("long_description", "file: "+file)
	c.set("long_description_content_type", kind)
}

// people writes authors or maintainers as core metadata has them: who has an address stands with it.
func (c *cfg) people(key string) {
	list, ok := c.project[key+"s"].([]any)
	if !ok && c.project[key+"s"] != nil {
		c.fail("%ss is no list", key)
	}
	var names, mails []string
	for _, item := range list {
		person, _ := item.(map[string]any)
		name, mail := c.text(person, "name"), c.text(person, "email")
		switch {
		case name != "" && mail != "":
			mails = append(mails, name+" <"+mail+">")
		case mail != "":
			mails = append(mails, mail)
		case name != "":
			names = append(names, name)
		}
	}
	c.set(key, strings.Join(names, ", "))
	c.set(key+"_email", strings.Join(mails, ", "))
}

// toolKeys are the words of [tool.setuptools] that setup.cfg has, too.
var toolKeys = []string{"packages", "package-dir", "py-modules", "package-data", "exclude-package-data", "include-package-data", "zip-safe",
	"license-files", "dynamic", "platforms"}

func (c *cfg) options() {
	for _, key := range slices.Sorted(maps.Keys(c.tool)) {
		if !slices.Contains(toolKeys, key) {
			c.fail("setup.cfg has no word for [tool.setuptools] %s", key)
		}
	}
	c.section("options")
	c.set("python_requires", c.text(c.project, "requires-python"))
	c.list("install_requires", c.texts(c.project, "dependencies"))
	include := c.tool["include-package-data"] != false // true unless said otherwise, as in pyproject.toml
	c.set("include_package_data", map[bool]string{true: "True", false: "False"}[include])
	if safe, ok := c.tool["zip-safe"].(bool); ok {
		c.set("zip_safe", map[bool]string{true: "True", false: "False"}[safe])
	}
	c.packages()
	for _, key := range []string{"package-data", "exclude-package-data"} {
		data, _ := c.tool[key].(map[string]any)
		if len(data) == 0 {
			continue
		}
		c.section("options." + strings.ReplaceAll(key, "-", "_"))
		for _, name := range slices.Sorted(maps.Keys(data)) {
			c.list(name, c.texts(data, name))
		}
	}
	extras, ok := c.project["optional-dependencies"].(map[string]any)
	if !ok && c.project["optional-dependencies"] != nil {
		c.fail("optional-dependencies is no table")
	}
	if len(extras) == 0 {
		return
	}
	c.section("options.extras_require")
	for _, name := range slices.Sorted(maps.Keys(extras)) {
		c.list(name, c.texts(extras, name))
	}
}

func (c *cfg) entryPoints() {
	groups := map[string][]string{
		"console_scripts": c.pairs(c.project, "scripts"),
		"gui_scripts":     c.pairs(c.project, "gui-scripts"),
	}
	more, _ := c.project["entry-points"].(map[string]any)
	for name := range more {
		groups[name] = append(groups[name], c.pairs(more, name)...)
	}
	maps.DeleteFunc(groups, func(_ string, lines []string) bool { return len(lines) == 0 })
	if len(groups) == 0 {
		return
	}
	c.section("options.entry_points")
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		c.list(name, groups[name])
	}
}
