package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile replaces path by data so that a reader, or whoever comes after a
// kill -9, sees the old or the new content and nothing between.
func writeFile(path string, data []byte) error {
	return writeFileBy(filepath.Dir(path), path, data)
}

// writeFileBy is writeFile with the unfinished file in tmpDir, on the same file system: in a
// scratch folder what a kill leaves of it is swept.
func writeFileBy(tmpDir, path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(tmpDir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Sync(); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// writeJSON is writeFile of v.
func writeJSON(path string, v any) error { return writeJSONBy(filepath.Dir(path), path, v) }

// writeJSONBy is writeFileBy of v.
func writeJSONBy(tmpDir, path string, v any) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return writeFileBy(tmpDir, path, append(data, '\n'))
}

// readJSON fills v from path and tells whether there was a readable file. A
// damaged one counts as absent: everything it guards can be made again.
func readJSON(path string, v any) (bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return json.Unmarshal(data, v) == nil, nil
}
