package metadata_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

const full = `Metadata-Version: 2.4
Name: Flask-Thing
Version: v1.2.0-RC1
Summary: A small
        thing
Home-page: https://example.org/
Author: Somebody
License-Expression: MIT
License-File: LICENSE
License-File: vendor/COPYING
Project-URL: Source, https://example.org/src
Classifier: Programming Language :: Python :: 3
Requires-Python: >=3.8,
  !=3.9.1
Requires-Dist: Flask (>=2.0)
Requires-Dist: tomli>=1 ; python_version < "3.11"
Requires-Dist: pytest>
Provides-Extra: Dev_Tools
Provides-Extra: dev.tools
Dynamic: Version
Description-Content-Type: text/markdown

Requires-Dist: this-is-the-description
`

func TestParse(t *testing.T) {
	m, err := metadata.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	want := metadata.Metadata{
		MetadataVersion:   "2.4",
		Name:              "Flask-Thing",
		Version:           version(t, "1.2.0rc1"),
		Summary:           "A small thing",
		HomePage:          "https://example.org/",
		ProjectURLs:       []string{"Source, https://example.org/src"},
		LicenseExpression: "MIT",
		LicenseFiles:      []string{"LICENSE", "vendor/COPYING"},
		Classifiers:       []string{"Programming Language :: Python :: 3"},
		RequiresPython:    ">=3.8, !=3.9.1",
		RequiresDist: []pep508.Requirement{
			requirement(t, "flask>=2.0"), requirement(t, "tomli>=1; python_version<'3.11'"),
		},
		BadRequires:   []string{"pytest>"},
		ProvidesExtra: []string{"dev-tools"},
		Dynamic:       []string{"version"},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	if !m.StaticDependencies() {
		t.Error("metadata 2.4 with a dynamic version only: dependencies are static")
	}
}

// TestLayouts: whatever the line ends, order and noise, the same facts come out.
func TestLayouts(t *testing.T) {
	want := metadata.Metadata{
		MetadataVersion: "1.0", Name: "a", Version: version(t, "1"), Summary: "caf\u00e9",
		RequiresDist: []pep508.Requirement{requirement(t, "b")},
	}
	const plain = "Metadata-Version: 1.0\nName: a\nVersion: 1\nSummary: caf\u00e9\nRequires-Dist: b\n"
	for name, text := range map[string]string{
		"plain":                     plain,
		"no newline at the end":     strings.TrimSuffix(plain, "\n"),
		"CRLF":                      strings.ReplaceAll(plain, "\n", "\r\n") + "\r\nName: body\r\n",
		"lone CR":                   strings.ReplaceAll(plain, "\n", "\r"),
		"byte order mark":           "\ufeff" + plain,
		"empty lines before":        "\n\n" + plain,
		"field names in capitals":   strings.ReplaceAll(plain, "Requires-Dist", "REQUIRES-DIST"),
		"latin-1":                   strings.ReplaceAll(plain, "\u00e9", "\xe9"),
		"repeated single fields":    plain + "Name: other\nVersion: 2\nSummary: other\nMetadata-Version: 2.2\n",
		"UNKNOWN":                   plain + "Home-page: UNKNOWN\nLicense: UNKNOWN\nClassifier: UNKNOWN\n",
		"a line that is no field":   strings.Replace(plain, "Requires-Dist", "and a second line, not indented\nRequires-Dist", 1),
		"a field nobody knows":      "X-Thing: 1\n folded\n" + plain,
		"folding before any field":  "  odd\n" + plain,
		"blanks around the values":  strings.ReplaceAll(plain, ": ", ":  \t") + "  \n",
		"a colon in a value":        plain + "Keywords: a: b\n",
		"empty fields":              plain + "Home-page:\nLicense: \nProvides-Extra:\nDynamic:\n",
		"a field name with a blank": plain + "Requires-Dist : c\n",
	} {
		t.Run(name, func(t *testing.T) {
			m, err := metadata.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, m, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLicenseKeepsItsLines(t *testing.T) {
	m, err := metadata.Parse([]byte("Name: a\nVersion: 1\nLicense: The MIT License\n        \n        Permission is granted\n       |to all.\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "The MIT License\n\nPermission is granted\nto all."; m.License != want {
		t.Errorf("got %q, want %q", m.License, want)
	}
}

func TestRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty":              "",
		"only a body":        "\n\n",
		"no name":            "Version: 1\n",
		"no version":         "Name: a\n",
		"version in body":    "Name: a\n\nVersion: 1\n",
		"version is none":    "Name: a\nVersion: 1.0-final-2\n",
		"name is a path":     "Name: ../../etc/passwd\nVersion: 1\n",
		"name with newline":  "Name: a\n b\nVersion: 1\n",
		"name ends in a dot": "Name: a.\nVersion: 1\n",
		"larger than 10 MB":  "Name: a\nVersion: 1\n\n" + strings.Repeat("x", 10<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := metadata.Parse([]byte(text)); !errors.Is(err, metadata.ErrInvalid) {
				t.Errorf("got %+v, %v; want ErrInvalid", m, err)
			}
		})
	}
}

// TestBounds: a hostile file costs little and informs as far as is sane.
func TestBounds(t *testing.T) {
	head := "Name: a\nVersion: 1\n"
	m, err := metadata.Parse([]byte(head + "Summary: " + strings.Repeat("\u00e9", 1<<19) + "\nLicense: x" + strings.Repeat("\n y", 1<<20) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("\u00e9", 2<<10); m.Summary != want {
		t.Errorf("a summary of 1 MB became %d bytes, want %d", len(m.Summary), len(want))
	}
	if len(m.License) > 64<<10 {
		t.Errorf("the licence has %d bytes", len(m.License))
	}
	m, err = metadata.Parse([]byte(head + strings.Repeat("Classifier: x\nRequires-Dist: b\nRequires-Dist: !\n", 50_000)))
	if err != nil {
		t.Fatal(err)
	}
	if n := max(len(m.Classifiers), len(m.RequiresDist), len(m.BadRequires)); n > 10_000 {
		t.Errorf("%d entries of one field", n)
	}
	m, err = metadata.Parse([]byte(head + "Requires-Dist: b>=" + strings.Repeat("1", 1<<20) + "\n"))
	if err != nil || len(m.RequiresDist) != 0 || len(m.BadRequires) != 1 {
		t.Errorf("a requirement of 1 MB: %d read, %d bad, %v", len(m.RequiresDist), len(m.BadRequires), err)
	}
}

func TestStaticDependencies(t *testing.T) {
	for _, c := range []struct {
		version, dynamic string
		want             bool
	}{
		{"2.2", "", true},
		{"2.10", "", true},
		{"3.0", "", true},
		{"2.1", "", false},
		{"1.9", "", false},
		{"", "", false},
		{"two", "", false},
		{"2.4", "Classifier", true},
		{"2.4", "REQUIRES-DIST", false},
		{"2.4", "Requires-Python", false},
		{"2.4", "provides-extra", false},
	} {
		m, err := metadata.Parse([]byte("Metadata-Version: " + c.version + "\nName: a\nVersion: 1\nDynamic: License\nDynamic: " + c.dynamic + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.StaticDependencies(); got != c.want {
			t.Errorf("version %q, dynamic %q: %v, want %v", c.version, c.dynamic, got, c.want)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("Name: a\r\nVersion: 1\r\nSummary: caf\xe9\r\n\tmore\r\nRequires-Dist: b;\r\n"))
	f.Add([]byte("\xef\xbb\xbfname:a\rversion:1\rlicense:x\r       |y\r\r"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := metadata.Parse(data)
		if err != nil {
			if !errors.Is(err, metadata.ErrInvalid) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if m.Name == "" || m.Version.IsZero() || len(m.Summary) > 4<<10 || strings.ContainsAny(m.Summary, "\r\n") {
			t.Errorf("name %q, version %q, summary %q", m.Name, m.Version, m.Summary)
		}
		// What was read can be written and read again.
		again, err := metadata.Parse([]byte(written(m)))
		if err != nil || !again.Version.Equal(m.Version) || again.Name != m.Name || again.Summary != m.Summary ||
			!slices.EqualFunc(again.RequiresDist, m.RequiresDist, pep508.Requirement.Equal) {
			t.Errorf("%+v reads again as %+v, %v", m, again, err)
		}
	})
}

func written(m metadata.Metadata) string {
	var b strings.Builder
	b.WriteString("Name: " + m.Name + "\nVersion: " + m.Version.String() + "\nSummary: " + m.Summary + "\n")
	for _, r := range m.RequiresDist {
		b.WriteString("Requires-Dist: " + r.String() + "\n")
	}
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	data := []byte(full + strings.Repeat("A line of the description.\n", 500))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := metadata.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func version(t *testing.T, s string) pep440.Version {
	t.Helper()
	v, err := pep440.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func requirement(t *testing.T, s string) pep508.Requirement {
	t.Helper()
	r, err := pep508.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
