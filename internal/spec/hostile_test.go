package spec

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"reqpm/internal/target"
)

// hostile is what an uploader could put into a text field of the metadata.
func hostile(marker string) map[string]string {
	return map[string]string{
		"shell macro":       "a %(touch " + marker + ") b",
		"lua":               "a %{lua: io.open('" + marker + "','w'):close()} b",
		"shell at start":    "%(touch " + marker + ")",
		"section":           "%files\n/etc/passwd\n%post\ntouch " + marker,
		"section at start":  "%files",
		"escaped section":   "%%files",
		"conditional":       "%if 0\nx\n%endif",
		"crlf section":      "x\r\n%post\r\ntouch " + marker,
		"unicode newlines":  "x\u2028%post\u2029touch\u0085%files\v%prep\f%build",
		"backslash":         `back\slash \%{foo \%(touch ` + marker + `) ends \`,
		"open brace":        "%{ never closed %( and %[ neither",
		"three percents":    "%%%(touch " + marker + ") %%%%%{lua:x}",
		"defines":           "%define x y\n%global z %(touch " + marker + ")",
		"shell":             "`touch " + marker + "` $(touch " + marker + ") ; touch " + marker + " | 'x' \"y\"",
		"tags":              "x\nRequires: evil\nObsoletes: glibc",
		"comment":           "# comment %(touch " + marker + ")",
		"nul and escapes":   "x\x00\x1b[31m\x07%files",
		"bad utf-8":         "x\xff\xfe%\xff(touch " + marker + ")",
		"long":              strings.Repeat("%(touch "+marker+") ", 1<<16),
		"only percents":     strings.Repeat("%", 500),
		"bidi":              "abc\u202Egpj.%(x)",
		"percent at cut":    strings.Repeat("x", 78) + "%%%%",
		"expansion of tags": "%{name} %{version} %1 %* %# %-f %{?x} %{expand:%%files}",
	}
}

// withText puts text into every field that free text reaches.
func withText(in Input, text string) Input {
	in.Metadata.Summary = text
	in.Metadata.License, in.License = text, ""
	in.Metadata.LicenseExpression = text
	in.Metadata.Classifiers = []string{"License :: " + text, text}
	in.Metadata.HomePage = "https://example.org/" + text
	in.Metadata.ProjectURLs = []string{text + ", " + text, "Home, https://example.org/" + text}
	in.Metadata.BadRequires = []string{text}
	in.PackagerTag = text
	return in
}

func TestHostileTextStaysText(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "touched")
	base := samples(t)["extras"]
	for name, text := range hostile(marker) {
		for _, tt := range []target.Target{local(false), shipped(t, "el9")} {
			in := withText(base, text)
			in.Target = tt
			out, err := Write(in)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			checkShape(t, name, in, out.Text)
			expanded, dir := expand(t, out.Text)
			if _, err := os.Stat(marker); err == nil {
				t.Fatalf("%s: the text was run", name)
			}
			if left, _ := os.ReadDir(dir); len(left) != 2 {
				t.Errorf("%s: rpmspec left %v behind", name, left)
			}
			for _, evil := range []string{"\nRequires: evil", "\nObsoletes:", "\n%post", "\n/etc/passwd"} {
				if strings.Contains(expanded, evil) {
					t.Errorf("%s: %q got through:\n%s", name, evil, expanded)
				}
			}
			if want := summary(text, "web"); !strings.Contains(expanded, "Summary:        "+want+"\n") {
				t.Errorf("%s: the summary %q is not there literally:\n%s", name, want, expanded)
			}
		}
	}
}

var directive = regexp.MustCompile(`%[^%]`)

// checkShape compares the spec with that of the same package with harmless texts: text may
// change no section, no macro and no number of lines but that of the URL tag.
func checkShape(t testing.TB, name string, in Input, got string) {
	t.Helper()
	plainOut, err := Write(withText(in, "harmless"))
	if err != nil {
		t.Fatal(err)
	}
	shape := func(text string) (starts, macros []string) {
		for line := range strings.Lines(text) {
			trimmed := strings.TrimSpace(line)
			if strings.HasPrefix(trimmed, "%") || strings.HasPrefix(trimmed, "#") {
				starts = append(starts, trimmed)
			}
			rest := strings.ReplaceAll(line, "%%", "")
			if n := len(rest) - len(strings.TrimRight(rest, "\r\n")); n > 1 {
				t.Errorf("%s: line %q ends strangely", name, line)
			}
			macros = append(macros, directive.FindAllString(rest, -1)...)
			if strings.HasSuffix(strings.TrimRight(rest, "\n"), "%") {
				t.Errorf("%s: line %q ends with an open %%", name, line)
			}
		}
		return starts, macros
	}
	gotStarts, gotMacros := shape(got)
	wantStarts, wantMacros := shape(plainOut.Text)
	if !slices.Equal(gotStarts, wantStarts) {
		t.Errorf("%s: directives %q, want %q", name, gotStarts, wantStarts)
	}
	if !slices.Equal(gotMacros, wantMacros) {
		t.Errorf("%s: macros %q, want %q", name, gotMacros, wantMacros)
	}
	noURL := func(text string) int {
		n := 0
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "URL:") {
				n++
			}
		}
		return n
	}
	if g, w := noURL(got), noURL(plainOut.Text); g != w {
		t.Errorf("%s: %d lines, want %d", name, g, w)
	}
	if !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\r\v\f\u0085\u2028\u2029\x1b") {
		t.Errorf("%s: control characters or bad UTF-8 in the spec", name)
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "Summary:") {
			text := strings.TrimSpace(strings.TrimPrefix(line, "Summary:"))
			if n := utf8.RuneCountInString(strings.ReplaceAll(text, "%%", "%")); n == 0 || n > maxSummary {
				t.Errorf("%s: summary of %d characters", name, n)
			}
		}
	}
}

func FuzzSpec(f *testing.F) {
	for _, text := range hostile("marker") {
		f.Add(text, "foo", "foo-1.tar.gz", "x-1.patch")
	}
	f.Add("text", "%(id)", "../x", "a b")
	base := samples(f)["extras"]
	targets := []target.Target{local(false), shipped(f, "el9")}
	f.Fuzz(func(t *testing.T, text, name, archive, patch string) {
		for _, tt := range targets {
			in := withText(base, text)
			in.Target = tt
			in.Metadata.Name, in.Facts.Archive, in.Facts.TopDir, in.Patches = name, archive, archive, []string{patch}
			out, err := Write(in)
			if err != nil {
				// Identifiers are refused; then the text alone must still be writable.
				in.Metadata.Name, in.Facts.Archive, in.Facts.TopDir, in.Patches = "foo", "foo-1.tar.gz", "foo-1", nil
				if out, err = Write(in); err != nil {
					t.Fatalf("text %q: %v", text, err)
				}
			}
			checkShape(t, "fuzz", in, out.Text)
		}
	})
}

func TestSummaryAndDescription(t *testing.T) {
	for _, tt := range []struct{ in, summary, description string }{
		{"", "Python package foo", "Python package foo."},
		{"UNKNOWN", "Python package foo", "UNKNOWN."},
		{"  A  tool.\n\tFor you. ", "A tool. For you", "A tool. For you."},
		{"%files", "%files", "Python package foo: %files."},
		{"# x", "# x", "Python package foo: # x."},
		{"Größe ☃", "Größe ☃", "Größe ☃."},
		{"...", "Python package foo", "Python package foo."},
	} {
		if got := summary(tt.in, "foo"); got != tt.summary {
			t.Errorf("summary(%q) = %q, want %q", tt.in, got, tt.summary)
		}
		if got := description(tt.in, "foo"); got != tt.description {
			t.Errorf("description(%q) = %q, want %q", tt.in, got, tt.description)
		}
	}
}

func TestChooseURL(t *testing.T) {
	for _, tt := range []struct {
		home string
		urls []string
		want string
	}{
		{"https://example.org/x?a=b&c=%20#d", nil, "https://example.org/x?a=b&c=%20#d"},
		{"UNKNOWN", []string{"Docs, https://example.org/docs", "Home-Page, https://example.org/home"}, "https://example.org/home"},
		{"", []string{"Changes, https://example.org/c", "Tracker, https://example.org/t"}, "https://example.org/c"},
		{"", []string{"Repository, https://example.org/r", "Source Code, https://example.org/s"}, "https://example.org/s"},
		{"javascript:alert(1)", []string{"Home, ftp://example.org/"}, ""},
		{"https://user:secret@example.org/", nil, ""},
		{"https://example.org/`id`", nil, ""},
		{"https://example.org/a b", nil, ""},
		{"https://example.org/\"x", nil, ""},
		{"https://example.org/%{lua:x}", nil, ""},
		{"https://example.org/" + strings.Repeat("a", 500), nil, ""},
	} {
		if got := chooseURL(tt.home, tt.urls); got != tt.want {
			t.Errorf("%q %q: %q, want %q", tt.home, tt.urls, got, tt.want)
		}
	}
}
