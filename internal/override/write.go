package override

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"reqpm/internal/tomltree"
)

// Write is the text of an overrides/NAME.toml that says what the layers say, those for all targets
// first. Each line of comment stands at its top. The same layers give the same text. Files that
// are named are not written, and Package and Place of the layers are not looked at.
func Write(comment string, layers ...Layer) []byte {
	var w writer
	for line := range strings.Lines(comment) {
		w.line("# " + strings.Map(printable, strings.TrimRight(line, "\r\n")))
	}
	layers = slices.Clone(layers)
	slices.SortStableFunc(layers, func(a, b Layer) int { return cmp.Compare(a.Target, b.Target) })
	for i := 0; i < len(layers); {
		var e Effective // layers of one target become one table
		target := layers[i].Target
		for ; i < len(layers) && layers[i].Target == target; i++ {
			e.layWhole(&layers[i].Override)
		}
		prefix := ""
		if target != "" {
			prefix = "target." + bareKey(target)
		}
		w.override(prefix, &e.Override)
	}
	return []byte(w.b.String())
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

type writer struct{ b strings.Builder }

func (w *writer) line(text string) {
	w.b.WriteString(strings.TrimRight(text, " "))
	w.b.WriteByte('\n')
}

// table begins a table, after a blank line.
func (w *writer) table(name string) {
	if w.b.Len() > 0 {
		w.line("")
	}
	w.line(name)
}

// override writes one override as the table prefix, "" for the top of the file.
func (w *writer) override(prefix string, o *Override) {
	sub := func(name string) string {
		if prefix == "" {
			return name
		}
		return prefix + "." + name
	}
	if prefix != "" {
		w.table("[" + prefix + "]")
	}
	if o.Version != "" {
		w.line("version = " + tomltree.Quote(o.Version))
	}
	o.eachList(func(key string, deps []Dependency) {
		texts := make([]string, len(deps))
		for i, d := range deps {
			texts[i] = d.String()
		}
		w.list(key, texts)
	})
	if o.Wheel != nil {
		w.line("wheel = " + strconv.FormatBool(*o.Wheel))
	}
	if o.AllowPure != nil {
		w.line("allow-pure = " + strconv.FormatBool(*o.AllowPure))
	}
	if o.Memory > 0 {
		w.line("memory = " + tomltree.Quote(FormatBytes(o.Memory)))
	}
	if o.Spec != nil {
		w.line("spec = " + tomltree.Quote(o.Spec.Path))
	}
	writeMap(w, sub("env"), o.Env, tomltree.Quote)
	writeMap(w, sub("config-settings"), o.ConfigSettings, func(values []string) string {
		if len(values) == 1 {
			return tomltree.Quote(values[0])
		}
		return listed(values)
	})
	writeMap(w, sub("bconds"), o.Bconds, strconv.FormatBool)
	w.checks(sub("checks"), o.Checks)
	for _, p := range o.Patches {
		w.table("[[" + sub("patches") + "]]")
		w.line("file = " + tomltree.Quote(p.Path))
		if p.Strip != defaultStrip {
			w.line(fmt.Sprintf("strip = %d", p.Strip))
		}
		if p.Versions != "" {
			w.line("versions = " + tomltree.Quote(p.Versions))
		}
	}
}

// defaultStrip is what patches made by git and diff -r need.
const defaultStrip = 1

func (w *writer) checks(name string, c Checks) {
	if c.Skip == nil && c.Import == nil && c.Modules == nil && len(c.Commands) == 0 {
		return
	}
	w.table("[" + name + "]")
	if c.Skip != nil {
		w.line("skip = " + strconv.FormatBool(*c.Skip))
	}
	if c.Import != nil {
		w.line("import = " + strconv.FormatBool(*c.Import))
	}
	if c.Modules != nil {
		w.line("modules = " + listed(c.Modules))
	}
	w.list("commands", c.Commands)
}

func (w *writer) list(key string, values []string) {
	if len(values) > 0 {
		w.line(key + " = " + listed(values))
	}
}

func writeMap[V any](w *writer, name string, values map[string]V, text func(V) string) {
	if len(values) == 0 {
		return
	}
	w.table("[" + name + "]")
	for _, key := range slices.Sorted(maps.Keys(values)) {
		w.line(bareKey(key) + " = " + text(values[key]))
	}
}

func listed(values []string) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = tomltree.Quote(v)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// bareKey is a key as TOML takes it, quoted only where it must be.
func bareKey(key string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	if key != "" && strings.IndexFunc(key, func(r rune) bool { return !plain(r) }) < 0 {
		return key
	}
	return tomltree.Quote(key)
}
