package crates

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// Bytes of one Cargo.toml, and number of those in one tree, at most.
const (
	maxManifest  = 2 << 20
	maxManifests = 1000
)

// Generate makes the Cargo.lock that the manifest of a source tree lacks, and returns its text: cargo chooses the
// newest versions that the manifest and its rust-version allow, on the day. dir is a scratch copy of the tree,
// manifest the slash path of a Cargo.toml in it, outside an empty folder that cargo runs in, where no
// configuration of the tree counts. A manifest that names repositories, other registries or paths out of the
// tree is a *LockError, before cargo sees it; other errors are as Vendor's.
func (c Cargo) Generate(ctx context.Context, dir, manifest, outside string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := checkManifests(root); err != nil {
		return nil, err
	}
	if err := c.run(ctx, outside, "generate-lockfile", "--manifest-path", filepath.Join(dir, filepath.FromSlash(manifest))); err != nil {
		return nil, err
	}
	return root.ReadFile(path.Join(path.Dir(manifest), "Cargo.lock"))
}

// checkManifests refuses what would have cargo look elsewhere than in its default registry and in the tree.
func checkManifests(root *os.Root) error {
	read := 0
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "Cargo.toml" {
			return err
		}
		if read++; read > maxManifests {
			return lockErrorf("it is missing, and the tree has more than %d manifests", maxManifests)
		}
		info, err := root.Stat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxManifest {
			return lockErrorf("it is missing, and %s cannot be read", name)
		}
		text, err := root.ReadFile(name)
		if err != nil {
			return err
		}
		var m map[string]any
		if err := toml.Unmarshal(text, &m); err != nil {
			return nil // a test's, perhaps; cargo says whether it matters
		}
		if why := leadsOut(m, path.Dir(name)); why != "" {
			return lockErrorf("it is missing, and %s %s, which is not followed", name, why)
		}
		return nil
	})
}

// leadsOut finds what in a manifest points out of the tree and the default registry; "" for nothing.
func leadsOut(table map[string]any, dir string) string {
	for key, value := range table {
		switch key {
		case "metadata":
			continue // other tools' own
		case "git", "registry", "registry-index":
			if text, ok := value.(string); ok {
				return fmt.Sprintf("takes a crate from %s %.100q", key, text)
			}
		case "path", "workspace":
			if text, ok := value.(string); ok && (path.IsAbs(text) || !filepath.IsLocal(filepath.FromSlash(path.Join(dir, text)))) {
				return fmt.Sprintf("names the path %.100q out of the tree", text)
			}
		}
		var inside []any
		switch value := value.(type) {
		case map[string]any:
			inside = []any{value}
		case []any:
			inside = value
		}
		for _, one := range inside {
			if t, ok := one.(map[string]any); ok {
				if why := leadsOut(t, dir); why != "" {
					return why
				}
			}
		}
	}
	return ""
}
