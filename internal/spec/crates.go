package spec

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/target"
)

// CratesDir is the folder at the top of the source tree that the archive of crates unpacks to: vendor/NAME-VERSION,
// and Cargo.lock where the sdist has none. It is CARGO_HOME of the build.
const CratesDir = "reqpm-crates"

// cargoConfig has cargo take crates from there and nowhere else ("Source Replacement" in The Cargo Book).
var cargoConfig = []string{
	"[source.crates-io]", `replace-with = "vendored-sources"`, "[source.vendored-sources]", `directory = "` + CratesDir + `/vendor"`,
}

// Crates are what cargo builds a package's Rust parts from.
type Crates struct {
	// Archive is the file name of the crates, a source that unpacks to CratesDir; "" when the sdist brings
	// them itself, or needs none.
	Archive string
	// LockFor are folders of the source tree, "." for its top, that get the Cargo.lock in the archive: the
	// sdist has none.
	LockFor []string
	// Linked are the crates whose code becomes part of the package.
	Linked []Crate
	// MinRust is the oldest Rust that builds it ("1.74"), "" when nothing says so.
	MinRust string
}

// Crate is one crate whose code a package bundles.
type Crate struct{ Name, Version, License string }

// maxCratesLicense bounds a licence expression with those of crates.
const maxCratesLicense = 4000

var (
	crateRE   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	semverRE  = regexp.MustCompile(`^[0-9][0-9A-Za-z.+-]*$`)
	rustVerRE = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,2}$`)
	folderRE  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*$`)
)

// crates checks what is written of the crates, and adds it to sources, licence and Provides.
func (p *page) crates() error {
	c := p.in.Crates
	if c == nil {
		return nil
	}
	if c.Archive != "" {
		if err := checked(fileRE, "archive of crates", c.Archive); err != nil {
			return err
		}
		if slices.Contains(p.sources, c.Archive) {
			return fmt.Errorf("two sources are named %s", c.Archive)
		}
		p.sources = append(p.sources, c.Archive)
	}
	if c.MinRust != "" {
		if err := checked(rustVerRE, "version of Rust", c.MinRust); err != nil {
			return err
		}
	}
	for _, dir := range c.LockFor {
		if dir != "." {
			if err := checked(folderRE, "folder", dir); err != nil {
				return err
			}
		}
	}
	if len(c.Linked) > maxRequires {
		return fmt.Errorf("%d crates", len(c.Linked))
	}
	for _, one := range c.Linked {
		if err := cmp.Or(checked(crateRE, "crate", one.Name), checked(semverRE, "version of a crate", one.Version)); err != nil {
			return err
		}
	}
	p.license = p.withCrates(p.license, c.Linked)
	return nil
}

// bundled are the Provides for the crates that are linked in, as Fedora's guidelines for bundled code have them.
func (p *page) bundled() []string {
	if p.in.Crates == nil {
		return nil
	}
	var list []string
	for _, c := range p.in.Crates.Linked {
		list = append(list, "bundled(crate("+c.Name+")) = "+crateVersion(c.Version))
	}
	return list
}

// crateVersion is a semantic version as rpm orders it: a "-" would begin a release.
func crateVersion(v string) string {
	v, build, _ := strings.Cut(v, "+")
	v = strings.ReplaceAll(strings.Replace(v, "-", "~", 1), "-", "_")
	if build != "" {
		v += "+" + strings.ReplaceAll(build, "-", "_")
	}
	return v
}

// withCrates is a licence and those of all linked crates: the package's files are under all of them.
func (p *page) withCrates(own string, linked []Crate) string {
	var parts []string
	seen := map[string]bool{}
	add := func(expr string) {
		choices := strings.Split(expr, " OR ")
		if !strings.ContainsAny(expr, "()") && !strings.Contains(expr, " AND ") {
			slices.Sort(choices) // "MIT OR Apache-2.0" is "Apache-2.0 OR MIT"
		}
		key := strings.Join(choices, " OR ")
		if seen[key] {
			return
		}
		seen[key] = true
		if len(choices) > 1 {
			expr = "(" + expr + ")"
		}
		parts = append(parts, expr)
	}
	add(own)
	var silent []string
	for _, c := range linked {
		// Cargo's older way to say OR.
		expr := strings.Join(strings.Fields(strings.ReplaceAll(c.License, "/", " OR ")), " ")
		if !validExpression(expr) {
			silent = append(silent, c.Name)
			expr = UnknownLicense
		}
		add(canonical(expr))
	}
	if len(silent) > 0 {
		p.warn("no licence is stated by the crates %.300s: %s is written", strings.Join(silent, ", "), UnknownLicense)
	}
	if len(parts) == 1 {
		return own
	}
	all := strings.Join(parts, " AND ")
	if len(all) > maxCratesLicense {
		p.warn("the licences of %d crates make an expression of %d characters: those of the crates are left out", len(linked), len(all))
		return own + " AND " + UnknownLicense
	}
	return all
}

// crateSource is the Source tag of the crates, "" when there are none.
func (p *page) crateSource() string {
	if p.in.Crates == nil {
		return ""
	}
	return p.in.Crates.Archive
}

// crateNumber is the number of that tag.
func (p *page) crateNumber() int {
	if p.style == target.StyleDriver {
		return 2
	}
	return 1
}

// prepCrates lays the crates and a cargo configuration beside the unpacked sources.
func (p *page) prepCrates() {
	c := p.in.Crates
	if c == nil || c.Archive == "" {
		return
	}
	p.lines("# The crates, fetched before the build and held against the checksums of Cargo.lock: cargo takes",
		"# them from here and nowhere else. In CARGO_HOME, so that no configuration of the project is overwritten.",
		"cat >"+CratesDir+"/config.toml <<'EOF'")
	p.lines(cargoConfig...)
	p.lines("EOF")
	for _, dir := range c.LockFor {
		p.lines("cp -p " + CratesDir + "/Cargo.lock " + dir + "/")
	}
}

// cargoExports is the environment of a build with cargo.
func (p *page) cargoExports() {
	if p.in.Crates == nil {
		return
	}
	p.lines(`export CARGO_HOME="$PWD/`+CratesDir+`" CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never`,
		"# maturin: no Rust of its own from the network.",
		"export MATURIN_NO_INSTALL_RUST=1")
}

// rustTools are cargo and the compiler. A host's are asked for by path, and have no version there.
func (p *page) rustTools() []string {
	if p.t.Kind == target.Host {
		return []string{"/usr/bin/cargo", "/usr/bin/rustc"}
	}
	if c := p.in.Crates; c != nil && c.MinRust != "" {
		return []string{"cargo >= " + c.MinRust, "rust >= " + c.MinRust}
	}
	return []string{"cargo", "rust"}
}
