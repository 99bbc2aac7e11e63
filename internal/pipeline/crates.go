package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"reqpm/internal/crates"
	"reqpm/internal/filelock"
	"reqpm/internal/index"
	"reqpm/internal/plan"
	"reqpm/internal/sdist"
	"reqpm/internal/source"
	"reqpm/internal/spec"
)

// What cargo builds is fetched when the plan is made, by the Cargo.lock in the source archive, and goes into the
// build as one more source: a build has no network. Kept by the content of the locks, so that a package's
// next version with the same crates asks for nothing.

// CrateFetcher brings crates here; crates.Cargo is one. Its methods are called from many goroutines.
type CrateFetcher interface {
	// Vendor fetches the crates of locks into the new folder into, as vendor/NAME-VERSION.
	Vendor(ctx context.Context, locks []*crates.Lock, into string) ([]crates.Crate, error)
	// Generate makes the Cargo.lock that a manifest of the scratch tree dir lacks.
	Generate(ctx context.Context, dir, manifest, outside string) ([]byte, error)
}

// vendored are the crates of one package as they are kept.
type vendored struct {
	Format  int
	Archive string // SHA-256 of the archive, "" when there are no crates
	Locks   []string
	// LockFor are the folders of the tree whose Cargo.lock was made here; it is in the archive.
	LockFor []string
	Crates  []crates.Crate
	Made    time.Time // when versions were chosen here, zero when the archive's own Cargo.lock was followed

	path string // of the archive
}

// vendoredFormat changes when the archive or the record does.
const vendoredFormat = 1

// archiveTime is the modification time of every file in an archive of crates: the same crates give the same bytes.
var archiveTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// vendor fetches the crates of a source archive, nil when cargo builds nothing of it.
func (p *Pipeline) vendor(ctx context.Context, id string, f index.File, record sdistRecord) (*vendored, error) {
	rust := record.Sdist.Rust
	if rust == nil || len(rust.Manifests) == 0 {
		return nil, nil
	}
	if rust.Vendored {
		return &vendored{}, nil
	}
	if p.cfg.Crates == nil {
		return nil, errors.New("its crates cannot be fetched: no cargo was configured")
	}
	// By the archive first: it is not unpacked when all is known.
	named := filepath.Join(p.paths.crates(), "of-"+fileKey(f)+".json")
	var ref struct{ Key string }
	if ok, err := readJSON(named, &ref); err != nil {
		return nil, err
	} else if ok {
		if v := p.keptCrates(ref.Key); v != nil {
			return v, nil
		}
	}
	var v *vendored
	err := p.withSource(ctx, f, func(_, dir string) (err error) {
		v, ref.Key, err = p.vendorTree(ctx, id, dir, rust)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("crates of %s: %w", f.Filename, err)
	}
	return v, writeJSONBy(p.paths.tmp(), named, ref)
}

// keptCrates finds crates by the digest of their locks; nil when there are none or the archive is damaged.
func (p *Pipeline) keptCrates(key string) *vendored {
	dir := filepath.Join(p.paths.crates(), key)
	var v vendored
	if ok, err := readJSON(filepath.Join(dir, "crates.json"), &v); !ok || err != nil || v.Format != vendoredFormat {
		return nil
	}
	if v.Archive != "" {
		v.path = filepath.Join(dir, "crates.tar.gz")
		if sum, err := fileSHA256(v.path); err != nil || sum != v.Archive {
			return nil
		}
	}
	return &v
}

// vendorTree reads the locks of an unpacked tree, has those made that are missing, and fetches what they name.
func (p *Pipeline) vendorTree(ctx context.Context, id, dir string, rust *sdist.Rust) (*vendored, string, error) {
	scratch, err := os.MkdirTemp(p.paths.tmp(), "crates-")
	if err != nil {
		return nil, "", err
	}
	defer removeTree(scratch)
	v := vendored{Format: vendoredFormat}
	var texts [][]byte
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	for _, name := range rust.Locks {
		text, err := root.ReadFile(name)
		if err != nil {
			return nil, "", err
		}
		texts = append(texts, text)
	}
	var made []byte
	if len(rust.Unlocked) > 1 {
		return nil, "", fmt.Errorf("%d of its Cargo.toml have no Cargo.lock; one can be made here, not several", len(rust.Unlocked))
	}
	for _, manifest := range rust.Unlocked {
		p.warn("plan", fmt.Sprintf("%s has no Cargo.lock: versions of its crates are chosen now, newest first; no date limit holds for them. They are kept", id))
		outside := filepath.Join(scratch, "outside")
		if err := os.Mkdir(outside, 0o755); err != nil {
			return nil, "", err
		}
		if made, err = p.cfg.Crates.Generate(ctx, dir, manifest, outside); err != nil {
			return nil, "", err
		}
		texts = append(texts, made)
		v.LockFor, v.Made = append(v.LockFor, path.Dir(manifest)), time.Now().UTC().Truncate(time.Second)
	}
	h := sha256.New()
	fmt.Fprintf(h, "crates %d %q\n", vendoredFormat, v.LockFor)
	var locks []*crates.Lock
	for _, text := range texts {
		lock, err := crates.ParseLock(text)
		if err != nil {
			return nil, "", err
		}
		locks = append(locks, lock)
		fmt.Fprintf(h, "%s\n", textSHA256(text))
		v.Locks = append(v.Locks, textSHA256(text))
	}
	key := hex.EncodeToString(h.Sum(nil))[:32]
	unlock, err := filelock.Wait(ctx, filepath.Join(p.paths.crates(), key+".lock"))
	if err != nil {
		return nil, "", err
	}
	defer unlock.Close()
	if kept := p.keptCrates(key); kept != nil {
		return kept, key, nil
	}
	out := filepath.Join(scratch, "out")
	tree := filepath.Join(out, "tree")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return nil, "", err
	}
	found, err := p.cfg.Crates.Vendor(ctx, locks, tree)
	if err != nil {
		return nil, "", err
	}
	v.Crates = crates.Linked(locks, found, rust.Members)
	if len(found) > 0 || made != nil {
		if made != nil {
			if err := os.WriteFile(filepath.Join(tree, "Cargo.lock"), made, 0o644); err != nil {
				return nil, "", err
			}
		}
		p.report(Event{Event: "note", Stage: "plan", Message: fmt.Sprintf("%s: %d crates fetched", id, len(found))})
		from := source.Checkout{Dir: tree, URL: "the crates of " + id, CommitTime: archiveTime}
		if v.Archive, err = source.SourceTar(ctx, from, "reqpm", "crates", filepath.Join(out, "crates.tar.gz")); err != nil {
			return nil, "", err
		}
	}
	removeTree(tree)
	if err := writeJSON(filepath.Join(out, "crates.json"), v); err != nil {
		return nil, "", err
	}
	final := filepath.Join(p.paths.crates(), key)
	if err := errors.Join(os.RemoveAll(final), os.Chmod(out, 0o755), os.Rename(out, final)); err != nil {
		return nil, "", err
	}
	v.path = filepath.Join(final, "crates.tar.gz")
	return &v, key, nil
}

// crateFile is the source that the crates of b are in a spec, false when there is none.
func (b *pkgBuild) crateFile() (sourceFile, bool) {
	if b.crates == nil || b.crates.Archive == "" {
		return sourceFile{}, false
	}
	return sourceFile{name: sdist.Stem(b.file.Filename) + "-crates.tar.gz", path: b.crates.path, sha256: b.crates.Archive}, true
}

// planRust is what the plan says of them.
func (b *pkgBuild) planRust() *plan.Rust {
	if b.crates == nil {
		return nil
	}
	r := &plan.Rust{Linked: len(b.crates.Crates), MinVersion: b.record.Sdist.Rust.MinVersion}
	if f, ok := b.crateFile(); ok {
		r.Archive, r.SHA256 = f.name, f.sha256
	}
	return r
}

// specCrates is what the spec of b says of its crates.
func (b *pkgBuild) specCrates() *spec.Crates {
	if b.crates == nil {
		return nil
	}
	out := &spec.Crates{LockFor: slices.Clone(b.crates.LockFor), MinRust: b.record.Sdist.Rust.MinVersion}
	if f, ok := b.crateFile(); ok {
		out.Archive = f.name
	}
	for _, c := range b.crates.Crates {
		out.Linked = append(out.Linked, spec.Crate{Name: c.Name, Version: c.Version, License: c.License})
	}
	return out
}
