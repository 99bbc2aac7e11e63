package index

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"reqpm/internal/secret"
)

// PrivateName is the folder, among those of secrets below a cache, of what the secret with an id showed.
func PrivateName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// Orphans are the folders below a cache's folder that were shown by secrets which are none of all: those that were replaced
// or deleted. A process that still works with such a secret may have one of them open.
func Orphans(cacheDir string, all []secret.Secret) ([]string, error) {
	dir := filepath.Join(cacheDir, privateDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list what secrets showed: %w", err)
	}
	known := map[string]bool{}
	for _, s := range all {
		known[PrivateName(s.ID)] = true
	}
	var orphans []string
	for _, e := range entries {
		if e.IsDir() && !known[e.Name()] {
			orphans = append(orphans, filepath.Join(dir, e.Name()))
		}
	}
	return orphans, nil
}
