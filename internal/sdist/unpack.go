package sdist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Unpack unpacks an sdist (.tar.gz, .tar.bz2, .tar.xz, .zip) into dstDir, which is made
// when missing, and returns the name of its one top-level directory there.
//
// Files get mode 0644 or 0755 and the times of the archive. An archive that is broken, too
// large, without exactly one top-level directory, or with entries that leave it is
// an *ArchiveError, and what was unpacked of it is removed again. That directory must
// not exist before.
func Unpack(ctx context.Context, archivePath, dstDir string, limits Limits) (top string, err error) {
	if err := os.MkdirAll(dstDir, 0o755); err != nil {
		return "", fmt.Errorf("unpack %s: %w", filepath.Base(archivePath), err)
	}
	root, err := os.OpenRoot(dstDir)
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", filepath.Base(archivePath), err)
	}
	defer root.Close()
	name := filepath.Base(archivePath)
	u := &unpacker{root: root, archive: name, top: topDir{archive: name}, links: map[string]bool{}}
	err = walk(ctx, archivePath, limits, u.add)
	if err == nil {
		err = u.top.check()
	}
	if err != nil {
		if u.made {
			err = errors.Join(err, root.RemoveAll(u.top.name))
		}
		return "", err
	}
	return u.top.name, nil
}

// List returns the entries of an archive without unpacking it, checked like Unpack does.
func List(ctx context.Context, archivePath string, limits Limits) ([]Member, error) {
	var members []Member
	err := walk(ctx, archivePath, limits, func(m Member, body io.Reader) error {
		members = append(members, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return members, nil
}

// TopDir returns the one top-level directory of an archive without unpacking it.
func TopDir(ctx context.Context, archivePath string, limits Limits) (string, error) {
	top := topDir{archive: filepath.Base(archivePath)}
	err := walk(ctx, archivePath, limits, func(m Member, body io.Reader) error { return top.see(m) })
	if err == nil {
		err = top.check()
	}
	if err != nil {
		return "", err
	}
	return top.name, nil
}

// topDir watches that all entries are in one directory.
type topDir struct {
	archive, name string
	inside        bool // a directory entry or something in it was seen
}

func (t *topDir) see(m Member) error {
	first, _, below := strings.Cut(m.Name, "/")
	if !below && !m.Mode.IsDir() {
		return &ArchiveError{Archive: t.archive, Member: m.Name, Reason: "is beside the top-level directory, an sdist has only that"}
	}
	if t.name != "" && t.name != first {
		return &ArchiveError{Archive: t.archive, Reason: fmt.Sprintf("has more than one top-level directory: %q and %q", t.name, first)}
	}
	t.name, t.inside = first, true
	return nil
}

func (t *topDir) check() error {
	if !t.inside {
		return &ArchiveError{Archive: t.archive, Reason: "has no top-level directory"}
	}
	return nil
}

type unpacker struct {
	root    *os.Root
	archive string
	top     topDir
	made    bool            // the top directory is ours to remove
	links   map[string]bool // symbolic links made so far
}

func (u *unpacker) add(m Member, body io.Reader) error {
	if err := u.top.see(m); err != nil {
		return err
	}
	if !u.made {
		if err := u.root.Mkdir(u.top.name, 0o755); err != nil {
			return fmt.Errorf("unpack %s: %w", u.archive, err)
		}
		u.made = true
	}
	if err := u.place(m, body); err != nil {
		if _, ok := errors.AsType[*ArchiveError](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return &ArchiveError{Archive: u.archive, Member: m.Name, Reason: "cannot be unpacked", Err: err}
	}
	return nil
}

// place makes one entry. A later entry replaces an earlier one of the same name,
// as tar does.
func (u *unpacker) place(m Member, body io.Reader) error {
	// Writing through a link could put files where the archive's paths do not say.
	for dir := path.Dir(m.Name); dir != "."; dir = path.Dir(dir) {
		if u.links[dir] {
			return &ArchiveError{Archive: u.archive, Member: m.Name, Reason: fmt.Sprintf("would be written through the symbolic link %q", dir)}
		}
	}
	if m.Mode.IsDir() {
		if u.links[m.Name] {
			return &ArchiveError{Archive: u.archive, Member: m.Name, Reason: "is a directory and a symbolic link"}
		}
		return u.root.MkdirAll(m.Name, 0o755)
	}
	if err := u.root.MkdirAll(path.Dir(m.Name), 0o755); err != nil {
		return err
	}
	if err := u.root.Remove(m.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(u.links, m.Name)
	switch {
	case m.Hard:
		info, err := u.root.Lstat(m.Link)
		if err != nil || !info.Mode().IsRegular() {
			return &ArchiveError{Archive: u.archive, Member: m.Name, Reason: fmt.Sprintf("is a hard link to %q, which is no earlier file", m.Link)}
		}
		return u.root.Link(m.Link, m.Name)
	case m.Mode&fs.ModeSymlink != 0:
		u.links[m.Name] = true
		return u.root.Symlink(m.Link, m.Name)
	}
	return writeFile(u.root, m.Name, m.Mode.Perm(), m.ModTime, body)
}

// writeFile writes a new file with its mode and time.
func writeFile(root *os.Root, name string, mode fs.FileMode, modTime time.Time, body io.Reader) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	err = errors.Join(err, file.Chmod(mode), file.Close())
	// Makefiles and Cython compare times; nonsense times are left out.
	if err == nil && modTime.Year() >= 1980 && modTime.Year() < 2200 {
		err = root.Chtimes(name, modTime, modTime)
	}
	return err
}
