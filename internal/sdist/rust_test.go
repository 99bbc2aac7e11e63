package sdist

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRust(t *testing.T) {
	maturin := func(more string) string {
		return "[build-system]\nrequires = [\"maturin>=1\"]\nbuild-backend = \"maturin\"\n" + more
	}
	setuptools := "[build-system]\nrequires = [\"setuptools\", \"setuptools-rust\"]\n"
	crate := func(name, more string) string { return "[package]\nname = \"" + name + "\"\n" + more }
	for what, test := range map[string]struct {
		tree files
		want *Rust
	}{
		"nothing of Rust": {files{"setup.py": "", "Cargo.toml": crate("stray", "")}, nil},
		"maturin at the top": {files{"pyproject.toml": maturin(""), "Cargo.lock": "", "src/lib.rs": "",
			"Cargo.toml": crate("mine", "rust-version = \"1.74.0\"\n[dependencies]\npyo3 = \"0.26\"\nuuid = { package = \"uuid-core\" }\n"+
				"[dev-dependencies]\nproptest = \"1\"\n[build-dependencies]\ncc = \"1\"\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n")},
			&Rust{Manifests: []string{"Cargo.toml"}, Locks: []string{"Cargo.lock"}, MinVersion: "1.74.0", Members: map[string][]string{"mine": {"libc", "pyo3", "uuid-core"}}}},
		"a workspace, and manifest-path": {files{"pyproject.toml": maturin("[tool.maturin]\nmanifest-path = \"src/rust/Cargo.toml\"\n"), "Cargo.lock": "",
			"Cargo.toml":          "[workspace]\nmembers = [\"src/rust\"]\n[workspace.package]\nrust-version = \"1.83\"\n[workspace.dependencies]\nshort = { package = \"long-name\", version = \"1\" }\n",
			"src/rust/Cargo.toml": crate("mine", "rust-version.workspace = true\n[dependencies]\nshort.workspace = true\n"), "src/rust/src/lib.rs": ""},
			&Rust{Manifests: []string{"src/rust/Cargo.toml"}, Locks: []string{"Cargo.lock"}, MinVersion: "1.83", Members: map[string][]string{"mine": {"long-name"}}}},
		"setuptools-rust by table, without a lock": {files{"pyproject.toml": setuptools + "[[tool.setuptools-rust.ext-modules]]\ntarget = \"a._a\"\npath = \"src/_a/Cargo.toml\"\n",
			"src/_a/Cargo.toml": crate("a", "")},
			&Rust{Manifests: []string{"src/_a/Cargo.toml"}, Unlocked: []string{"src/_a/Cargo.toml"}, Members: map[string][]string{"a": nil}}},
		"setuptools-rust by script": {files{"pyproject.toml": setuptools, "setup.py": "setup(rust_extensions=[RustExtension('a._a', 'rust/Cargo.toml'), RustExtension('a.b', path=\"../out/Cargo.toml\")])",
			"rust/Cargo.toml": crate("a", ""), "rust/Cargo.lock": ""},
			&Rust{Manifests: []string{"rust/Cargo.toml"}, Locks: []string{"rust/Cargo.lock"}, Members: map[string][]string{"a": nil}}},
		"crates in the tree": {files{"pyproject.toml": maturin(""), "Cargo.lock": "", "Cargo.toml": crate("mine", ""),
			".cargo/config.toml":       "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\ndirectory = \"include/cargo\"\n",
			"vendor/inside/Cargo.toml": crate("inside", "")},
			&Rust{Manifests: []string{"Cargo.toml"}, Locks: []string{"Cargo.lock"}, Vendored: true, Members: map[string][]string{"mine": nil}}},
		"a configuration of something else": {files{"pyproject.toml": maturin(""), "Cargo.lock": "", "Cargo.toml": crate("mine", ""), ".cargo/config.toml": "[build]\nrustflags = []\n"},
			&Rust{Manifests: []string{"Cargo.toml"}, Locks: []string{"Cargo.lock"}, Members: map[string][]string{"mine": nil}}},
	} {
		if diff := cmp.Diff(test.want, readTree(t, test.tree).Rust); diff != "" {
			t.Errorf("%s:\n%s", what, diff)
		}
	}
}

func TestNewerRust(t *testing.T) {
	for _, test := range [][3]string{{"1.74", "1.9", "1.74"}, {"1.74.0", "1.74", "1.74.0"}, {"", "1.60", "1.60"}, {"x", "1.60", "1.60"}, {"", "y", ""}, {"1.84.1", "1.84", "1.84.1"}} {
		if got := NewerRust(test[0], test[1]); got != test[2] {
			t.Errorf("of %q and %q: %q", test[0], test[1], got)
		}
		if got := NewerRust(test[1], test[0]); rustVersion(got) != nil && cmp.Diff(rustVersion(got), rustVersion(test[2])) != "" {
			t.Errorf("of %q and %q: %q", test[1], test[0], got)
		}
	}
}
