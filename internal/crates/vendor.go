package crates

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/builder"
)

// Cargo is the program that fetches crates. Its methods are safe for concurrent use: cargo itself locks
// what its runs share.
type Cargo struct {
	Program string // "": cargo of the PATH, else /usr/bin/cargo
	Offline bool   // only what cargo has fetched before
}

// Crate is one crate that was fetched.
type Crate struct {
	Name        string
	Version     string
	Checksum    string // SHA-256 of the .crate file, as in Cargo.lock
	License     string // of its Cargo.toml: an SPDX expression mostly, "" where it names a file
	RustVersion string // the oldest Rust that it says it builds with, "" where it does not say
	ProcMacro   bool   // run by the compiler, and part of nothing that is built
	Links       string // the native library that it binds, "" for none
	// Linked names the crates whose code becomes part of what uses this one: neither those of its tests
	// nor those of its build script.
	Linked []string
}

// Vendor fetches all crates of some Cargo.lock files into the folder into, which it makes: vendor/NAME-VERSION of
// each. Work is done beside into. Cancelling ctx stops cargo. Errors are a *LockError, a
// *CargoError, ErrUnavailable, or builder.ErrMissingTool.
func (c Cargo) Vendor(ctx context.Context, locks []*Lock, into string) ([]Crate, error) {
	vendor := filepath.Join(into, "vendor")
	if err := os.MkdirAll(vendor, 0o755); err != nil {
		return nil, err
	}
	var all []Crate
	for _, lock := range locks {
		list := lock.Fetched()
		if len(list) == 0 {
			continue
		}
		found, err := c.vendorOne(ctx, list, into)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Crate) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return slices.CompactFunc(all, func(a, b Crate) bool { return a.Checksum == b.Checksum }), nil
}

// vendorOne fetches the crates of one lock. Several are not one question: they may have versions that no one lock can.
func (c Cargo) vendorOne(ctx context.Context, list []Package, into string) ([]Crate, error) {
	work, err := os.MkdirTemp(filepath.Dir(into), "cargo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	for name, text := range map[string]string{"Cargo.toml": manifest(list), "Cargo.lock": lockText(list), "lib.rs": ""} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	// A mirror of the user's configuration counts: without the option cargo vendor goes past it.
	if err := c.run(ctx, work, "vendor", "--versioned-dirs", "--respect-source-config", "vendor"); err != nil {
		return nil, err
	}
	found, err := verify(list, filepath.Join(work, "vendor"))
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		dir := p.Name + "-" + p.Version
		err := os.Rename(filepath.Join(work, "vendor", dir), filepath.Join(into, "vendor", dir))
		if err != nil && !errors.Is(err, fs.ErrExist) { // another lock had it
			return nil, err
		}
	}
	return found, nil
}

// verify holds what cargo brought against the checksums, and reads what the crates say of themselves.
func verify(list []Package, vendor string) ([]Crate, error) {
	root, err := os.OpenRoot(vendor)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	if len(entries) != len(list) {
		return nil, lockErrorf("it names %d crates, and cargo brought %d", len(list), len(entries))
	}
	crates := make([]Crate, 0, len(list))
	for _, p := range list {
		dir := p.Name + "-" + p.Version
		var sums struct {
			Package string `json:"package"`
		}
		text, err := root.ReadFile(dir + "/.cargo-checksum.json")
		if err == nil {
			err = json.Unmarshal(text, &sums)
		}
		if err != nil {
			return nil, fmt.Errorf("read the crate %s: %w", p.ID(), err)
		}
		if sums.Package != p.Checksum {
			return nil, lockErrorf("%s has the checksum %s, and cargo brought one with %.64q", p.ID(), p.Checksum, sums.Package)
		}
		text, err = root.ReadFile(dir + "/Cargo.toml")
		if err != nil {
			return nil, fmt.Errorf("read the crate %s: %w", p.ID(), err)
		}
		crates = append(crates, describe(p, text))
	}
	return crates, nil
}

// describe reads a crate's manifest. What cannot be read is left out: the build is what needs it.
func describe(p Package, text []byte) Crate {
	c := Crate{Name: p.Name, Version: p.Version, Checksum: p.Checksum}
	type table map[string]any
	var m struct {
		Package map[string]any `toml:"package"`
		Lib     struct {
			ProcMacro any `toml:"proc-macro"`
			Older     any `toml:"proc_macro"`
		} `toml:"lib"`
		Dependencies table `toml:"dependencies"`
		Target       map[string]struct {
			Dependencies table `toml:"dependencies"`
		} `toml:"target"`
	}
	if toml.Unmarshal(text, &m) != nil {
		return c
	}
	word := func(key string) string { s, _ := m.Package[key].(string); return s }
	c.License, c.RustVersion, c.Links = word("license"), word("rust-version"), word("links")
	c.ProcMacro = m.Lib.ProcMacro == true || m.Lib.Older == true
	add := func(t table) {
		for key, value := range t {
			if details, ok := value.(map[string]any); ok {
				if renamed, ok := details["package"].(string); ok {
					key = renamed
				}
			}
			c.Linked = append(c.Linked, key)
		}
	}
	add(m.Dependencies)
	for _, t := range m.Target {
		add(t.Dependencies)
	}
	slices.Sort(c.Linked)
	c.Linked = slices.Compact(c.Linked)
	return c
}

// run runs cargo in dir, with the user's environment.
func (c Cargo) run(ctx context.Context, dir string, args ...string) error {
	program, err := c.find()
	if err != nil {
		return err
	}
	if c.Offline {
		args = append(args, "--offline")
	}
	var errs strings.Builder
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stderr = dir, &errs
	cmd.Env = append(os.Environ(), "CARGO_TERM_COLOR=never", "CARGO_TERM_PROGRESS_WHEN=never", "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err = cmd.Run(); err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said := lastLines(errs.String(), 12)
	if unreachable(errs.String()) {
		return fmt.Errorf("%w: cargo %s: %s", ErrUnavailable, args[0], said)
	}
	return &CargoError{Command: "cargo " + args[0], Stderr: said, Err: err}
}

func (c Cargo) find() (string, error) {
	program := cmp.Or(c.Program, "cargo")
	path, err := exec.LookPath(program)
	if err != nil && c.Program == "" {
		path, err = exec.LookPath("/usr/bin/cargo")
	}
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return "", fmt.Errorf("%w: cargo is needed to fetch the crates of packages with Rust parts; install it with: sudo apt-get install cargo (or: sudo dnf install cargo)", builder.ErrMissingTool)
	}
	return path, err
}

// unreachable tells from cargo's words, which have no code, that the network failed, or was not allowed.
func unreachable(said string) bool {
	for _, sign := range []string{"spurious network error", "--offline", "offline mode", "Could not resolve host", "Couldn't resolve host", "Failed to connect",
		"Couldn't connect", "Timeout was reached", "failed to get successful HTTP response", "download of config.json failed"} {
		if strings.Contains(said, sign) {
			return true
		}
	}
	return false
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
