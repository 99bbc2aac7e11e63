package reqfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// confined is the project's root. It follows symbolic links itself, so that a
// link in a hostile repository leads nowhere but into that repository, whatever
// kind of file system the caller brought.
type confined struct {
	fsys fs.FS
	abs  string // absolute path of the root, "" when not known
}

// resolve follows the links of a clean slash path.
func (c confined) resolve(name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", fmt.Errorf("%s is %w", quote(name), ErrOutside)
	}
	links, ok := c.fsys.(fs.ReadLinkFS)
	if !ok {
		return name, nil
	}
	const maxLinks = 40
	done, todo, followed := ".", strings.Split(name, "/"), 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if done == "." {
				return "", fmt.Errorf("a link in %s leads %w", quote(name), ErrOutside)
			}
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		info, err := links.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if followed++; followed > maxLinks {
			return "", fmt.Errorf("%s passes more than %d links", quote(name), maxLinks)
		}
		to, err := links.ReadLink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(to) {
			return "", fmt.Errorf("the link %s leads %w", quote(next), ErrOutside)
		}
		todo = append(strings.Split(to, "/"), todo...)
	}
	return done, nil
}

// stat is fs.Stat within the root.
func (c confined) stat(name string) (fs.FileInfo, error) {
	real, err := c.resolve(name)
	if err != nil {
		return nil, err
	}
	return fs.Stat(c.fsys, real)
}

// isFile is false for whatever cannot be had.
func (c confined) isFile(name string) bool {
	info, err := c.stat(name)
	return err == nil && info.Mode().IsRegular()
}

// isProject tells whether pip could install the folder.
func (c confined) isProject(dir string) bool {
	return c.isFile(path.Join(dir, "pyproject.toml")) || c.isFile(path.Join(dir, "setup.py"))
}

// read returns a regular file of at most limit bytes.
func (c confined) read(name string, limit int) ([]byte, error) {
	real, err := c.resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := fs.Stat(c.fsys, real)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a folder, not a file")
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no regular file")
	}
	f, err := c.fsys.Open(real)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("reading it: %w", err)
	}
	if len(data) > limit {
		return nil, tooLarge(limit)
	}
	return data, nil
}

func tooLarge(limit int) error {
	return fmt.Errorf("%w (%d MB)", ErrTooLarge, limit>>20)
}

// names lists files, or folders, of a folder, for "did you mean".
func (c confined) names(dir string, folders bool) []string {
	real, err := c.resolve(dir)
	if err != nil {
		return nil
	}
	entries, err := fs.ReadDir(c.fsys, real)
	if err != nil {
		return nil
	}
	const most = 1000
	var names []string
	for _, e := range entries[:min(most, len(entries))] {
		if e.IsDir() == folders {
			names = append(names, e.Name())
		}
	}
	return names
}
