package lockfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const header = `# Made by 'reqpm lock'. Commit it; do not edit it. 'reqpm lock --check' tells whether it is up to
# date, 'reqpm build --locked' builds exactly this. docs/lock.md of ReqPM explains every key.
`

// Marshal writes a lock. Lists whose order means nothing are sorted, so that the same lock gives the
// same bytes.
func Marshal(f File) []byte {
	f = f.sorted()
	w := &writer{}
	w.WriteString(header)
	w.line("format", fmt.Sprint(Format))
	w.table("[inputs]")
	w.rows("files", texts(f.Inputs.Files, func(in Input) string { return inline("path", in.Path, "sha256", in.SHA256) }))
	if p := f.Inputs.Project; p != nil {
		w.table("[inputs.project]")
		w.text("name", p.Name)
		w.text("requires-python", p.RequiresPython)
		w.rows("requires", texts(p.Requires, quote))
	}
	w.options(f.Options)
	for _, t := range f.Targets {
		w.table("[[target]]")
		w.text("name", t.Name)
		w.text("python", t.Python)
		w.text("arch", t.Arch)
		for _, p := range t.Packages {
			w.table("[[target.package]]")
			w.pkg(p)
		}
		for _, p := range t.Tools {
			w.table("[[target.tool]]")
			w.pkg(p)
		}
		for _, r := range t.BuildRoots {
			w.table("[[target.build-root]]")
			w.short("requires", r.Requires)
			w.rows("packages", texts(r.Packages, quote))
		}
	}
	return []byte(w.String())
}

type writer struct{ strings.Builder }

func (w *writer) line(key, value string) { fmt.Fprintf(w, "%s = %s\n", key, value) }

func (w *writer) table(head string) { fmt.Fprintf(w, "\n%s\n", head) }

func (w *writer) text(key, value string) {
	if value != "" {
		w.line(key, quote(value))
	}
}

// short writes a list on one line.
func (w *writer) short(key string, list []string) {
	if len(list) > 0 {
		w.line(key, "["+strings.Join(texts(list, quote), ", ")+"]")
	}
}

func (w *writer) options(o Options) {
	if len(o) > 0 {
		w.table("[options]")
	}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		w.short(key, o[key])
	}
}

func (w *writer) pkg(p Package) {
	w.text("name", p.Name)
	w.text("version", p.Version)
	w.short("extras", p.Extras)
	w.text("decision", string(p.Decision))
	w.text("index", p.Index)
	a := p.Artifact
	w.line("artifact", inline("filename", a.Filename, "kind", a.Kind, "sha256", a.SHA256, "url", a.URL, "commit", a.Commit, "subdirectory", a.Subdirectory))
	w.rows("required-by", texts(p.RequiredBy, Edge.inline))
}

// rows writes values with one line for each, so that a diff shows which one changed.
func (w *writer) rows(key string, values []string) {
	if len(values) == 0 {
		return
	}
	fmt.Fprintf(w, "%s = [\n", key)
	for _, v := range values {
		fmt.Fprintf(w, "  %s,\n", v)
	}
	w.WriteString("]\n")
}

// inline is an inline table of keys and values; empty values are left out.
func inline(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			parts = append(parts, pairs[i]+" = "+quote(pairs[i+1]))
		}
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func (e Edge) inline() string {
	text := inline("edge", e.Kind, "from", e.From, "requirement", e.Requirement, "file", e.File)
	if e.Line != 0 {
		text = strings.TrimSuffix(text, " }") + fmt.Sprintf(", line = %d }", e.Line)
	}
	return text
}

// texts writes every element of a list.
func texts[E any](list []E, write func(E) string) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = write(e)
	}
	return out
}

// quote is a TOML basic string. Control characters are escaped, and what is no UTF-8 is replaced: a lock
// is shown in terminals and web pages.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069':
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// sorted is a copy in the order of the file.
func (f File) sorted() File {
	f.Format = Format
	f.Inputs.Files = sortedBy(f.Inputs.Files, func(a, b Input) int { return cmp.Compare(a.Path, b.Path) })
	if f.Inputs.Project != nil {
		p := *f.Inputs.Project
		p.Requires = slices.Sorted(slices.Values(p.Requires))
		f.Inputs.Project = &p
	}
	f.Options = maps.Clone(f.Options)
	maps.DeleteFunc(f.Options, func(_ string, values []string) bool { return len(values) == 0 })
	if len(f.Options) == 0 {
		f.Options = nil
	}
	f.Targets = sortedBy(f.Targets, func(a, b Target) int { return cmp.Compare(a.Name, b.Name) })
	for i := range f.Targets {
		t := &f.Targets[i]
		t.Packages, t.Tools = sortedPackages(t.Packages), sortedPackages(t.Tools)
		t.BuildRoots = slices.Clone(t.BuildRoots)
		for k := range t.BuildRoots {
			r := &t.BuildRoots[k]
			r.Requires, r.Packages = slices.Sorted(slices.Values(r.Requires)), slices.Sorted(slices.Values(r.Packages))
		}
		t.BuildRoots = sortedBy(t.BuildRoots, func(a, b BuildRoot) int { return slices.Compare(a.Requires, b.Requires) })
	}
	return f
}

func sortedPackages(list []Package) []Package {
	list = sortedBy(list, func(a, b Package) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version)) })
	for i := range list {
		list[i].Extras = slices.Sorted(slices.Values(list[i].Extras))
		list[i].RequiredBy = sortedBy(list[i].RequiredBy, compareEdges)
	}
	return list
}

// compareEdges puts the user's own lines first.
func compareEdges(a, b Edge) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Requirement, b.Requirement))
}

// sortedBy is a sorted copy; nothing is nil.
func sortedBy[E any](list []E, order func(a, b E) int) []E {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, order)
	return list
}
