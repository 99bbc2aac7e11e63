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
	"strings"

	"reqpm/internal/store"
)

// unfinished is the folder of a state directory in which a restored database is until everything else is there.
const unfinished = ".restore"

// Restore puts a backup into a state directory and a database, both of which have nothing yet (ErrFull). database
// is the address of one, or the path of an SQLite file. A backup with a schema that this program does not
// know is store.ErrNewer, and an older one is brought forward. What an interrupted restore has left is to be
// removed before the next.
func Restore(ctx context.Context, file, state, database string) (m Manifest, sum Summary, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %s: %w", file, err)
		}
	}()
	if err := empty(state, database); err != nil {
		return m, sum, err
	}
	f, err := os.Open(file)
	if err != nil {
		return m, sum, err
	}
	defer f.Close()
	if err := os.MkdirAll(filepath.Join(state, unfinished), 0o700); err != nil {
		return m, sum, err
	}
	root, err := os.OpenRoot(state)
	if err != nil {
		return m, sum, err
	}
	defer root.Close()
	defer func() { _ = root.RemoveAll(unfinished) }()
	r := &reader{ctx: ctx, tar: tar.NewReader(f), root: root}
	if m, err = r.all(filepath.Join(state, unfinished, databaseEntry)); err != nil {
		return m, r.sum, err
	}
	return m, r.sum, place(ctx, filepath.Join(state, unfinished, databaseEntry), database)
}

// empty refuses a state directory that has anything of what is restored, and a file that is there.
func empty(state, database string) error {
	for _, name := range kept {
		at := filepath.Join(state, name)
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.IsDir() {
			inside, err := os.ReadDir(at)
			if err != nil {
				return err
			}
			if len(inside) == 0 {
				continue
			}
		}
		return fmt.Errorf("%w at %s: restore into an empty state directory", ErrFull, at)
	}
	if store.IsFile(database) {
		if _, err := os.Lstat(database); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%w at %s: restore where no database is", ErrFull, database), err)
		}
	}
	return nil
}

// place makes the restored file the database, or copies it to the one there is.
func place(ctx context.Context, file, database string) error {
	s, err := store.Open(ctx, store.Config{URL: file})
	if err != nil {
		return err
	}
	if store.IsFile(database) {
		if err := s.Close(); err != nil { // with it everything is in the one file
			return err
		}
		if err := os.Link(file, database); err != nil {
			return err
		}
		return nil
	}
	to, err := store.Open(ctx, store.Config{URL: database})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return errors.Join(s.CopyTo(ctx, to), to.Close(), s.Close())
}

type reader struct {
	ctx  context.Context
	tar  *tar.Reader
	root *os.Root
	sum  Summary
}

// all reads everything; the database goes to a file of its own.
func (r *reader) all(database string) (m Manifest, err error) {
	h, err := r.tar.Next()
	if err != nil || h.Name != firstEntry {
		return m, errors.Join(ErrFormat, err)
	}
	if err := r.json(&m); err != nil {
		return m, err
	}
	if m.Format > format || m.Format < 1 {
		return m, fmt.Errorf("%w: its format is %d, made by reqpm %.40s, and this program knows %d", ErrFormat, m.Format, m.Program, format)
	}
	for {
		h, err := r.tar.Next()
		if err != nil { // also io.EOF: the last entry is missing
			return m, errors.Join(ErrShort, err)
		}
		switch h.Name {
		case databaseEntry:
			if err := r.file(h, path.Join(unfinished, databaseEntry)); err != nil {
				return m, err
			}
			// At once, for what cannot be used need not be unpacked.
			s, err := store.Open(r.ctx, store.Config{URL: database})
			if err != nil {
				return m, err
			}
			if err := s.Close(); err != nil {
				return m, err
			}
		case lastEntry:
			var want Summary
			if err := r.json(&want); err != nil {
				return m, err
			}
			if want != r.sum {
				return m, fmt.Errorf("%w: %d files of %d bytes came, and it had %d of %d", ErrShort, r.sum.Files, r.sum.Bytes, want.Files, want.Bytes)
			}
			return m, nil
		default:
			if err := r.entry(h); err != nil {
				return m, err
			}
		}
	}
}

func (r *reader) json(into any) error {
	text, err := io.ReadAll(io.LimitReader(r.tar, 1<<20))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return errors.Join(ErrFormat, err)
	}
	return nil
}

func (r *reader) entry(h *tar.Header) error {
	name := strings.TrimSuffix(h.Name, "/")
	if !keptName(name) {
		return fmt.Errorf("%w: it has %.200q", ErrFormat, h.Name)
	}
	if err := r.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := r.root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		return r.root.Chmod(name, fs.FileMode(h.Mode).Perm()|0o700)
	case tar.TypeSymlink:
		if path.IsAbs(h.Linkname) || !keptName(path.Join(path.Dir(name), h.Linkname)) {
			return fmt.Errorf("%w: the link %.200q leads out", ErrFormat, h.Name)
		}
		return r.root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		return r.file(h, name)
	}
	return fmt.Errorf("%w: %.200q is no file, folder or link", ErrFormat, h.Name)
}

func (r *reader) file(h *tar.Header, name string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	f, err := r.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, r.tar)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.Join(ErrShort, err)
	}
	if err = errors.Join(err, f.Chmod(fs.FileMode(h.Mode).Perm()), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.sum.Files++
	r.sum.Bytes += n
	return r.root.Chtimes(name, h.ModTime, h.ModTime)
}
