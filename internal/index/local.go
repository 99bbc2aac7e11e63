package index

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"reqpm/internal/pep508"
)

// errNoFolder: a local index that is not there.
var errNoFolder = errors.New("the folder does not exist")

// localProject lists a project's files in a folder: of a PEP 503 tree (a folder per project,
// with or without an index.html), and of a flat folder of files. A local HTML page works too.
func (c *Client) localProject(l *location, key string) (page, error) {
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return page{}, fmt.Errorf("index %s: %w: %w: %s", l.name, ErrUnavailable, errNoFolder, l.path)
	}
	if err != nil {
		return page{}, fmt.Errorf("index %s: %w: %w", l.name, ErrUnavailable, err)
	}
	var links []link
	if !info.IsDir() {
		links, err = localPage(l.path)
	} else {
		links, err = localFolder(l.path, key)
	}
	if err != nil {
		return page{}, fmt.Errorf("index %s: %w: %w", l.name, ErrUnavailable, err)
	}
	kept := links[:0]
	for _, k := range links {
		if _, ok := parseFilename(k.filename, key); ok && c.completeLocal(&k) {
			kept = append(kept, k)
		}
	}
	if len(kept) == 0 {
		return page{}, fmt.Errorf("project %s: %w (%s)", key, ErrNotFound, l.path)
	}
	// Folders are cheap to read and their owners expect to see changes at once.
	return page{links: kept}, nil
}

func localFolder(dir, key string) ([]link, error) {
	entries, err := readDir(dir)
	if err != nil {
		return nil, err
	}
	links := filesOf(dir, entries)
	for _, e := range entries {
		if pep508.NormalizeName(e.Name()) != key {
			continue
		}
		sub := filepath.Join(dir, e.Name())
		if info, err := os.Stat(sub); err != nil || !info.IsDir() {
			continue
		}
		more, err := localPage(filepath.Join(sub, "index.html"))
		if errors.Is(err, fs.ErrNotExist) {
			var inner []fs.DirEntry
			if inner, err = readDir(sub); err == nil {
				more = filesOf(sub, inner)
			}
		}
		if err != nil {
			return nil, err
		}
		links = append(more, links...)
	}
	return links, nil
}

// readDir reads a folder of at most maxFiles entries.
func readDir(dir string) ([]fs.DirEntry, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxFiles + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("%s has more than %d entries", dir, maxFiles)
	}
	return entries, nil
}

func filesOf(dir string, entries []fs.DirEntry) []link {
	var links []link
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && safeFilename(name) && isDistribution(name) {
			links = append(links, link{filename: name, url: fileURL(filepath.Join(dir, name)).String()})
		}
	}
	return links
}

func localPage(path string) ([]link, error) {
	text, err := readLocal(path, maxPage)
	if err != nil {
		return nil, err
	}
	links, err := parseHTMLPage(text, fileURL(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return links, nil
}

// readLocal reads a regular file of bounded size.
func readLocal(path string, limit int64) ([]byte, error) {
	f, err := openLocal(path, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// openLocal opens a regular file only: a pipe or a device would block or never end.
func openLocal(path string, limit int64) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %w", path, tooBigError{limit})
	}
	return os.Open(path)
}

// completeLocal adds what a folder does not say and the file itself does. It
// answers false for files that cannot be read.
func (c *Client) completeLocal(l *link) bool {
	path, ok := localPath(l.url)
	if !ok {
		return true // a local page may lead to the network
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if l.size == 0 {
		l.size = info.Size()
	}
	if l.hashes["sha256"] == "" {
		key := path + "\x00" + statKey(info)
		sum, ok := c.hashes.Load(key)
		if !ok {
			if sum, err = hashFile(path); err != nil {
				return false
			}
			c.hashes.Store(key, sum)
		}
		l.addHash("sha256", sum.(string))
	}
	if !l.hasMetadata {
		_, err := os.Stat(path + ".metadata")
		l.hasMetadata = err == nil
	}
	return true
}

// localPath is the path of a file URL.
func localPath(address string) (string, bool) {
	if !strings.HasPrefix(address, "file:") {
		return "", false
	}
	u, err := url.Parse(address)
	if err != nil || u.Path == "" {
		return "", false
	}
	return filepath.FromSlash(u.Path), true
}
