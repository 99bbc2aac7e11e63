package crates

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/builder"
)

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// registry is a folder that cargo takes for its registry, by a configuration as a user with a mirror has one.
// It returns the checksum of each crate.
func registry(t *testing.T, crates map[string]string) map[string]string {
	t.Helper()
	if _, err := exec.LookPath("cargo"); err != nil {
		t.Skip("cargo is not installed")
	}
	home, dir := t.TempDir(), t.TempDir()
	sums := map[string]string{}
	for id, dependencies := range crates {
		name, version, _ := strings.Cut(id, " ")
		files := map[string]string{
			"Cargo.toml": fmt.Sprintf("[package]\nname = %q\nversion = %q\nedition = \"2018\"\nlicense = \"MIT/Apache-2.0\"\nrust-version = \"1.56\"\n%s", name, version, dependencies),
			"src/lib.rs": "pub fn two() -> u8 { 2 }\n",
		}
		listed := map[string]string{}
		for file, text := range files {
			listed[file] = sum(text)
			path := filepath.Join(dir, name+"-"+version, file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		sums[id] = sum(id)
		text, _ := json.Marshal(map[string]any{"files": listed, "package": sums[id]})
		if err := os.WriteFile(filepath.Join(dir, name+"-"+version, ".cargo-checksum.json"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf("[source.crates-io]\nreplace-with = \"here\"\n[source.here]\ndirectory = %q\n", dir)
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CARGO_HOME", home)
	t.Setenv("CARGO_NET_OFFLINE", "true")
	return sums
}

const source = "registry+https://registry.example/index"

func entry(name, version, checksum string, dependencies ...string) string {
	text := fmt.Sprintf("[[package]]\nname = %q\nversion = %q\n", name, version)
	if checksum != "" {
		text += fmt.Sprintf("source = %q\nchecksum = %q\n", source, checksum)
	}
	return text + fmt.Sprintf("dependencies = [%s]\n", quoted(dependencies))
}

func quoted(list []string) string {
	for i, s := range list {
		list[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(list, ", ")
}

func parsed(t *testing.T, entries ...string) *Lock {
	t.Helper()
	lock, err := ParseLock([]byte("version = 3\n" + strings.Join(entries, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func TestVendor(t *testing.T) {
	sums := registry(t, map[string]string{"tiny 1.2.3": "", "tiny 2.0.0": "", "big 0.1.0": "[dependencies]\ntiny = \"1\"\n", "unasked 1.0.0": ""})
	lock := parsed(t, entry("mine", "0.1.0", "", "big", "tiny 2.0.0"), entry("big", "0.1.0", sums["big 0.1.0"], "tiny 1.2.3"),
		entry("tiny", "1.2.3", sums["tiny 1.2.3"]), entry("tiny", "2.0.0", sums["tiny 2.0.0"]))
	into := filepath.Join(t.TempDir(), "out")
	found, err := Cargo{}.Vendor(t.Context(), []*Lock{lock, lock}, into)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range found {
		got = append(got, c.Name+" "+c.Version+" "+c.License+" "+c.RustVersion)
		if _, err := os.Stat(filepath.Join(into, "vendor", c.Name+"-"+c.Version, "src/lib.rs")); err != nil {
			t.Error(err)
		}
	}
	if want := "big 0.1.0 MIT/Apache-2.0 1.56; tiny 1.2.3 MIT/Apache-2.0 1.56; tiny 2.0.0 MIT/Apache-2.0 1.56"; strings.Join(got, "; ") != want {
		t.Errorf("got %q", got)
	}
	beside, _ := os.ReadDir(filepath.Dir(into))
	if len(beside) != 1 {
		t.Errorf("something was left beside the crates: %v", beside)
	}
}

// Another content under the same name is refused, whoever serves it.
func TestVendorOtherContent(t *testing.T) {
	registry(t, map[string]string{"tiny 1.2.3": ""})
	lock := parsed(t, entry("tiny", "1.2.3", strings.Repeat("0", 64)))
	if found, err := (Cargo{}).Vendor(t.Context(), []*Lock{lock}, filepath.Join(t.TempDir(), "out")); err == nil {
		t.Errorf("crates with another checksum were taken: %+v", found)
	}
}

func TestVendorMissingCrate(t *testing.T) {
	registry(t, map[string]string{"tiny 1.2.3": ""})
	lock := parsed(t, entry("tiny", "1.2.4", strings.Repeat("0", 64)))
	_, err := Cargo{}.Vendor(t.Context(), []*Lock{lock}, filepath.Join(t.TempDir(), "out"))
	if err == nil || !strings.Contains(err.Error(), "tiny") {
		t.Errorf("got %v", err)
	}
}

func TestNoCargo(t *testing.T) {
	lock := parsed(t, entry("tiny", "1.2.4", strings.Repeat("0", 64)))
	_, err := Cargo{Program: filepath.Join(t.TempDir(), "cargo")}.Vendor(t.Context(), []*Lock{lock}, filepath.Join(t.TempDir(), "out"))
	if !errors.Is(err, builder.ErrMissingTool) || !strings.Contains(err.Error(), "install cargo") {
		t.Errorf("got %v", err)
	}
}

func TestParseLockRefuses(t *testing.T) {
	for what, text := range map[string]string{
		"Git":          "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"git+https://git.example/a?rev=1#1\"\n",
		"no checksum":  "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"" + source + "\"\n",
		"not a regist": "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"path+file:///etc\"\n",
		"another regi": entry("a", "1.0.0", sum("a")) + strings.ReplaceAll(entry("b", "1.0.0", sum("b")), "registry.example", "other.example"),
		"not the name": "[[package]]\nname = \"../a\"\nversion = \"1.0.0\"\n",
		"and version":  "[[package]]\nname = \"a\"\nversion = \"1.0.0\\\"\\n\"\n",
		"requires":     entry("a", "1.0.0", sum("a"), "b\"]\n[workspace]"),
	} {
		_, err := ParseLock([]byte(text))
		if lock, ok := errors.AsType[*LockError](err); !ok || !strings.Contains(lock.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// Cargo's first lock format has its checksums at the end.
func TestParseLockOldFormat(t *testing.T) {
	lock, err := ParseLock([]byte("[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"" + source + "\"\n[metadata]\n\"checksum a 1.0.0 (" + source + ")\" = \"" + sum("a") + "\"\n"))
	if err != nil || lock.Fetched()[0].Checksum != sum("a") {
		t.Errorf("%+v, %v", lock, err)
	}
}

func TestGenerate(t *testing.T) {
	registry(t, map[string]string{"tiny 1.2.3": "", "tiny 1.3.0": ""})
	dir := t.TempDir()
	write(t, dir, "Cargo.toml", "[package]\nname = \"mine\"\nversion = \"0.1.0\"\n[lib]\npath = \"lib.rs\"\n[dependencies]\ntiny = \"1\"\n")
	write(t, dir, "lib.rs", "")
	write(t, dir, ".cargo/config.toml", "[build]\nrustc = \"/bin/false\"\n[source.crates-io]\nreplace-with = \"x\"\n[source.x]\ndirectory = \"nowhere\"\n")
	text, err := Cargo{}.Generate(t.Context(), dir, "Cargo.toml", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lock, err := ParseLock(text)
	if err != nil || len(lock.Fetched()) != 1 || lock.Fetched()[0].Version != "1.3.0" {
		t.Errorf("%s: %v", text, err)
	}
}

func TestGenerateRefuses(t *testing.T) {
	for what, manifest := range map[string]string{
		"git":                "[dependencies]\na = { git = \"https://git.example/a\" }\n",
		"registry-index":     "[target.'cfg(unix)'.dependencies.a]\nregistry-index = \"https://registry.example\"\n",
		"path \"../../etc\"": "[dependencies]\na = { path = \"../../etc\" }\n",
		"path \"/etc\"":      "[patch.x]\na = [{ path = \"/etc\" }]\n",
	} {
		dir := t.TempDir()
		write(t, dir, "Cargo.toml", "[package]\nname = \"mine\"\nversion = \"0.1.0\"\n"+manifest)
		_, err := Cargo{Program: "/bin/false"}.Generate(t.Context(), dir, "Cargo.toml", t.TempDir())
		if lock, ok := errors.AsType[*LockError](err); !ok || !strings.Contains(lock.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestLinked(t *testing.T) {
	lock := parsed(t, entry("mine", "0.1.0", "", "pyo3", "cc", "proptest"), entry("pyo3", "1.0.0", sum("p"), "libc", "pyo3-macros", "build-config"),
		entry("libc", "1.0.0", sum("l")), entry("pyo3-macros", "1.0.0", sum("m"), "syn"), entry("syn", "1.0.0", sum("s")),
		entry("build-config", "1.0.0", sum("b")), entry("cc", "1.0.0", sum("c")), entry("proptest", "1.0.0", sum("t")))
	crate := func(name string, linked ...string) Crate { return Crate{Name: name, Version: "1.0.0", Linked: linked} }
	macros := crate("pyo3-macros", "syn")
	macros.ProcMacro = true
	all := []Crate{crate("build-config"), crate("cc"), crate("libc"), crate("proptest"), crate("pyo3", "libc", "pyo3-macros"), macros, crate("syn")}
	var got []string
	for _, c := range Linked([]*Lock{lock}, all, map[string][]string{"mine": {"pyo3"}}) {
		got = append(got, c.Name)
	}
	if strings.Join(got, " ") != "libc pyo3" {
		t.Errorf("linked: %v", got)
	}
}
