// Package backup puts what a service keeps into one file, while it works, and back into an empty state directory.
//
//	backup.json                   what this is: format, program, date
//	reqpm.db                      the database, as an SQLite file whatever it was
//	blobs/ logs/ repos/ keys/ …   the folders of the state directory that nothing makes again
//	end.json                      how much there was: without it the file is cut short
//
// The file is a tar archive. The database comes first: whatever it names was there by then, and what comes
// later does no harm. What a run had not done when the database was copied is done by whoever serves it next.
package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reqpm/internal/store"
)

// format is of the archive; a higher one is not read.
const format = 1

const (
	firstEntry    = "backup.json"
	databaseEntry = "reqpm.db"
	lastEntry     = "end.json"
)

// kept are the folders and files of a state directory that are kept. What is not among them is made
// again: indexes, checkouts, base roots, the cache of builds (blobs has what was built).
var kept = []string{"keys", "secrets.key", "learned", "history.json", "blobs", "logs", "repos"}

// Errors that callers tell apart.
var (
	ErrFormat = errors.New("not a backup that this program can read")
	ErrShort  = errors.New("the backup is cut short")
	ErrFull   = errors.New("there is something already")
)

// Manifest says what a backup is.
type Manifest struct {
	Format   int       `json:"format"`
	Program  string    `json:"program"` // version of reqpm that made it
	Created  time.Time `json:"created"`
	Database string    `json:"database"` // what it was: SQLite or PostgreSQL
}

// Summary says how much is in one.
type Summary struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Write makes a backup of a state directory and its database in a file that is not there yet (os.ErrExist). The
// file is readable by its owner alone: it has the private keys. It is there whole or not at all.
func Write(ctx context.Context, s *store.Store, state, file, program string) (sum Summary, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up to %s: %w", file, err)
		}
	}()
	if _, err := os.Lstat(file); err == nil {
		return sum, os.ErrExist
	}
	tmp, err := os.MkdirTemp(filepath.Dir(file), ".backup")
	if err != nil {
		return sum, err
	}
	defer os.RemoveAll(tmp)
	database := filepath.Join(tmp, databaseEntry)
	if err := copyDatabase(ctx, s, database); err != nil {
		return sum, err
	}
	part := filepath.Join(tmp, "part")
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return sum, err
	}
	w := &writer{tar: tar.NewWriter(f), ctx: ctx}
	err = w.json(firstEntry, Manifest{Format: format, Program: program, Created: time.Now().UTC().Truncate(time.Second), Database: s.Name()})
	if err == nil {
		err = w.kept(tmp, databaseEntry)
	}
	for _, name := range kept {
		if err == nil {
			err = w.kept(state, name)
		}
	}
	if err == nil {
		err = w.json(lastEntry, w.sum)
	}
	if err = errors.Join(err, w.tar.Close(), f.Sync(), f.Close()); err != nil {
		return sum, err
	}
	return w.sum, os.Link(part, file) // not Rename: what is there by now is somebody's
}

// copyDatabase copies the database as of one moment into an SQLite file.
func copyDatabase(ctx context.Context, s *store.Store, file string) error {
	if s.Local() {
		return s.Backup(ctx, file)
	}
	to, err := store.Open(ctx, store.Config{URL: file})
	if err != nil {
		return err
	}
	return errors.Join(s.CopyTo(ctx, to), to.Close())
}

type writer struct {
	ctx context.Context
	tar *tar.Writer
	sum Summary
}

func (w *writer) json(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), ModTime: time.Now()}); err != nil {
		return err
	}
	_, err = w.tar.Write(text)
	return err
}

// kept writes a file or folder of a directory, where it is there. Files that are gone before they are read are
// left out: nothing that counts is removed so soon.
func (w *writer) kept(dir, name string) error {
	info, err := os.Stat(filepath.Join(dir, name)) // a link is followed: a folder may be on shared storage
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		return w.file(root, name, name)
	}
	root, err := os.OpenRoot(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(at string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if at != "." && strings.HasPrefix(d.Name(), ".") { // unfinished work of writers
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		err = w.entry(root, at, path.Join(name, at), d)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func (w *writer) entry(root *os.Root, at, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case d.IsDir():
		return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()})
	case d.Type() == fs.ModeSymlink:
		link, err := root.Readlink(at)
		if err != nil {
			return err
		}
		return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: link, ModTime: info.ModTime()})
	case d.Type().IsRegular():
		return w.file(root, at, name)
	}
	return nil
}

// file writes as much of a file as there was when it was opened: logs grow.
func (w *writer) file(root *os.Root, at, name string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	f, err := root.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	if _, err := io.CopyN(w.tar, f, info.Size()); err != nil {
		return fmt.Errorf("%s: %w", name, errors.Join(err, errors.New("it got shorter while it was read")))
	}
	w.sum.Files++
	w.sum.Bytes += info.Size()
	return nil
}

// keptName tells whether an entry of a backup may be put into a state directory.
func keptName(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return filepath.IsLocal(name) && slices.Contains(kept, top)
}
