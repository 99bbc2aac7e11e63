package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/crates"
	"reqpm/internal/plan"
	"reqpm/internal/testindex"
)

// shelf has every crate that is asked for.
type shelf struct {
	mu        sync.Mutex
	asked     int
	generated string // text of the Cargo.lock that it makes
	err       error
}

func (s *shelf) Vendor(_ context.Context, locks []*crates.Lock, into string) ([]crates.Crate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	var found []crates.Crate
	for _, lock := range locks {
		for _, c := range lock.Fetched() {
			dir := filepath.Join(into, "vendor", c.Name+"-"+c.Version)
			if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "Cargo.toml"), []byte(c.Checksum), 0o644)); err != nil {
				return nil, err
			}
			found = append(found, crates.Crate{Name: c.Name, Version: c.Version, Checksum: c.Checksum, License: "Zlib"})
		}
	}
	return found, s.err
}

func (s *shelf) Generate(context.Context, string, string, string) ([]byte, error) {
	return []byte(s.generated), s.err
}

// cargoLock is a Cargo.lock of the crate "mine" and one that it requires.
func cargoLock(digit string) string {
	return fmt.Sprintf("version = 4\n[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\ndependencies = [\"tiny\"]\n"+
		"[[package]]\nname = \"tiny\"\nversion = \"1.2.3\"\nsource = \"registry+https://registry.example/index\"\nchecksum = %q\n", strings.Repeat(digit, 64))
}

// rusty is a package with a Rust extension by setuptools-rust.
func rusty(lock string) []testindex.Package {
	more := map[string]string{"Cargo.toml": "[package]\nname = \"mine\"\nversion = \"0.1.0\"\nrust-version = \"1.74\"\n[dependencies]\ntiny = \"1\"\n", "src/lib.rs": "",
		"setup.py": "setup(rust_extensions=[RustExtension('fast._fast')])"}
	if lock != "" {
		more["Cargo.lock"] = lock
	}
	return []testindex.Package{{Name: "setuptools-rust", Version: "1.0", Files: "both"}, {Name: "fast", Version: "1.0", BuildRequires: []string{"setuptools-rust"}, Add: more}}
}

func TestCratesAreASource(t *testing.T) {
	state, fast := t.TempDir(), plan.NewID("fast", "1.0")
	keys := map[string]string{}
	for _, digit := range []string{"a", "a", "b"} {
		s := &shelf{}
		l := newLine(t, state, newWorkshop(t, 1), func(c *Config) { c.Crates = s }, rusty(cargoLock(digit))...)
		b := l.plan(t, "fast").builds[fast]
		if b.err != nil {
			t.Fatal(b.err)
		}
		for _, want := range []string{"Source2:        fast-1.0-crates.tar.gz\n", "-a 2\n", "Provides:       bundled(crate(tiny)) = 1.2.3\n", "License:        MIT AND Zlib\n", "BuildRequires:  cargo >= 1.74\n"} {
			if !strings.Contains(b.spec.text, want) {
				t.Errorf("the spec lacks %q:\n%s", want, b.spec.text)
			}
		}
		node := l.plan(t, "fast").Plan.Node(fast)
		if node.Rust == nil || node.Rust.String() != "1 crate, Rust 1.74" || node.Rust.Archive != "fast-1.0-crates.tar.gz" || node.Rust.SHA256 != b.crates.Archive {
			t.Errorf("the plan says %+v", node.Rust)
		}
		dir := t.TempDir()
		if _, files, err := b.spec.materialise(dir); err != nil || !strings.Contains(strings.Join(files, " "), "/fast-1.0-crates.tar.gz") {
			t.Errorf("sources %v, %v", files, err)
		}
		if first := keys[digit]; first != "" && (s.asked > 0 || b.key != first) {
			t.Errorf("the same crates were fetched again (%d times), or gave another key: %s and %s", s.asked, b.key, first)
		}
		keys[digit] = b.key
	}
	if keys["a"] == keys["b"] {
		t.Error("other crates give the same key")
	}
}

// The archive is the same wherever and whenever it is made.
func TestCratesArchiveIsReproducible(t *testing.T) {
	var sums []string
	for range 2 {
		l := newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.Crates = &shelf{} }, rusty(cargoLock("a"))...)
		sums = append(sums, l.plan(t, "fast").builds[plan.NewID("fast", "1.0")].crates.Archive)
	}
	if sums[0] != sums[1] || sums[0] == "" {
		t.Errorf("archives %v", sums)
	}
}

func TestCratesDamaged(t *testing.T) {
	state := t.TempDir()
	for range 2 {
		s := &shelf{}
		l := newLine(t, state, newWorkshop(t, 1), func(c *Config) { c.Crates = s }, rusty(cargoLock("a"))...)
		b := l.plan(t, "fast").builds[plan.NewID("fast", "1.0")]
		if s.asked != 1 {
			t.Errorf("asked %d times", s.asked)
		}
		if err := os.WriteFile(b.crates.path, []byte("cut"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCargoLockIsMade(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.Crates = &shelf{generated: cargoLock("a")} }, rusty("")...)
	b := l.plan(t, "fast").builds[plan.NewID("fast", "1.0")]
	if !strings.Contains(b.spec.text, "cp -p reqpm-crates/Cargo.lock ./\n") {
		t.Errorf("the lock that was made is not used: %v\n%s", b.err, b.spec.text)
	}
	if warnings := l.events.of("warning"); len(warnings) != 1 || !strings.Contains(warnings[0].Message, "no Cargo.lock") {
		t.Errorf("warnings %+v", warnings)
	}
}

// What is wrong with one package's crates is that package's; what is wrong with the machine is everybody's.
func TestCratesFail(t *testing.T) {
	git := strings.Replace(cargoLock("a"), "registry+https://registry.example/index", "git+https://git.example/tiny#1", 1)
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.Crates = &shelf{} }, rusty(git)...)
	if b := l.plan(t, "fast").builds[plan.NewID("fast", "1.0")]; b.err == nil || !strings.Contains(b.err.Error(), "Git repository") {
		t.Errorf("got %v", b.err)
	}
	for _, err := range []error{builder.ErrMissingTool, crates.ErrUnavailable} {
		l := newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.Crates = &shelf{err: err} }, rusty(cargoLock("a"))...)
		if _, got := l.Plan(t.Context(), l.lock(t, "fast")); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
}
