package spec

import (
	"strings"
	"testing"

	"reqpm/internal/metadata"
	"reqpm/internal/sdist"
)

func rust(t testing.TB) Input {
	return Input{
		Facts:         sdist.Facts{Archive: "fast-1.0.tar.gz", TopDir: "fast-1.0", Native: sdist.Native{Rust: true, Sources: 3}},
		BuildRequires: reqs(t, "maturin>=1,<2"), License: "MIT", UploadTime: uploaded,
		Metadata: metadata.Metadata{Name: "fast", Version: pyVersion(t, "1.0"), Summary: "Speed"},
		Crates: &Crates{Archive: "fast-1.0-crates.tar.gz", LockFor: []string{"src/rust"}, MinRust: "1.74", Linked: []Crate{
			{"libc", "0.2.176", "MIT OR Apache-2.0"}, {"memchr", "2.7.4", "Unlicense/MIT"}, {"once_cell", "1.0.0-rc.1", "Apache-2.0 OR MIT"},
			{"wasi", "0.14.7+wasi-0.2.4", "MIT"}, {"odd", "1.0.0", ""},
		}},
	}
}

func TestCrates(t *testing.T) {
	for _, tt := range []string{"el8", "el9"} {
		in := rust(t)
		in.Target = shipped(t, tt)
		out, err := Write(in)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "rust-"+tt+".spec", out.Text)
		if out.Sources[len(out.Sources)-1] != "fast-1.0-crates.tar.gz" {
			t.Errorf("sources: %v", out.Sources)
		}
		if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "odd") {
			t.Errorf("a crate without a licence: %q", out.Warnings)
		}
	}
}

// A package whose archive brings its crates is built without network all the same.
func TestCratesInTheArchive(t *testing.T) {
	in := rust(t)
	in.Target, in.Crates = local(true), &Crates{}
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.Text, "Source2") || strings.Contains(out.Text, "config.toml") || !strings.Contains(out.Text, "CARGO_NET_OFFLINE=true") {
		t.Error(out.Text)
	}
	if !strings.Contains(out.Text, "BuildRequires:  /usr/bin/rustc\n") {
		t.Error("no compiler is required")
	}
}

func TestHostileCrates(t *testing.T) {
	for what, change := range map[string]func(c *Crates){
		"archive": func(c *Crates) { c.Archive = "a b" },
		"folder":  func(c *Crates) { c.LockFor = []string{"../.."} },
		"shell":   func(c *Crates) { c.LockFor = []string{"a;id"} },
		"rust":    func(c *Crates) { c.MinRust = "%(id)" },
		"name":    func(c *Crates) { c.Linked = []Crate{{"a)\n%files", "1.0.0", "MIT"}} },
		"version": func(c *Crates) { c.Linked = []Crate{{"a", "1.0.0 %(id)", "MIT"}} },
	} {
		in := rust(t)
		in.Target = local(true)
		change(in.Crates)
		if out, err := Write(in); err == nil {
			t.Errorf("%s: written:\n%s", what, out.Text)
		}
	}
	in := rust(t)
	in.Target, in.Crates.Linked = local(true), []Crate{{"a", "1.0.0", "%(id)"}}
	if out, err := Write(in); err != nil || strings.Contains(out.Text, "%(id)") {
		t.Errorf("a licence of a crate: %v\n%s", err, out.Text)
	}
}
