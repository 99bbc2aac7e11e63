package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// tmpDir has a dot in front: no blob is called so.
const tmpDir = ".tmp"

// staleAfter is when a file in tmpDir is nobody's any more. Nobody writes one blob for so long.
const staleAfter = 24 * time.Hour

// Dir is a Store in a directory, which several processes, and machines with a shared file system,
// may use at once.
type Dir struct{ root *os.Root }

// OpenDir opens the store in a directory, made where there is none.
func OpenDir(dir string) (*Dir, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the blob store %s: %w", dir, err)
	}
	return &Dir{root: root}, nil
}

// openRoot makes a directory with a tmpDir, and removes what writers that died left there.
func openRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := root.MkdirAll(tmpDir, 0o700); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	left, err := fs.ReadDir(root.FS(), tmpDir)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	for _, entry := range left {
		// One that is gone meanwhile, or cannot be removed, is the next one's to look at.
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = root.Remove(path.Join(tmpDir, entry.Name()))
		}
	}
	return root, nil
}

// Close gives the directory back; open objects stay.
func (d *Dir) Close() error { return d.root.Close() }

// Put is of Store.
func (d *Dir) Put(ctx context.Context, name string, r io.Reader) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	hash := sha256.New()
	size, err := writeFile(d.root, name, func(f io.Writer) (int64, error) {
		return io.Copy(io.MultiWriter(f, hash), contextReader{ctx, r})
	})
	if err != nil {
		return Info{}, fmt.Errorf("put blob %s: %w", name, err)
	}
	return Info{Name: name, Size: size, Modified: time.Now(), SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// writeFile writes a file beside, makes it durable and renames it to its name.
func writeFile(root *os.Root, name string, write func(io.Writer) (int64, error)) (size int64, err error) {
	tmp := path.Join(tmpDir, rand.Text())
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	size, err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = inFolder(root, name, func() error { return root.Rename(tmp, name) })
	}
	if err != nil {
		_ = root.Remove(tmp) // else the next who opens the store does
	}
	return size, err
}

// inFolder makes the folder of name, has place put something there, and makes that durable. Delete
// removes empty folders, so that one may be gone again before it is used.
func inFolder(root *os.Root, name string, place func() error) error {
	var err error
	for range 10 {
		if err = root.MkdirAll(path.Dir(name), 0o755); err == nil {
			err = place()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	dir, err := root.Open(path.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// dirObject is a file of a Dir.
type dirObject struct {
	*os.File
	info Info
}

func (o dirObject) Info() Info { return o.info }

// Open is of Store.
func (d *Dir) Open(_ context.Context, name string) (Object, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, notFound("open", name, err)
	}
	stat, err := f.Stat()
	if err == nil && !stat.Mode().IsRegular() {
		err = fs.ErrNotExist // a folder of names
	}
	if err != nil {
		return nil, errors.Join(notFound("open", name, err), f.Close())
	}
	return dirObject{f, Info{Name: name, Size: stat.Size(), Modified: stat.ModTime()}}, nil
}

// Stat is of Store.
func (d *Dir) Stat(_ context.Context, name string) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	stat, err := d.root.Stat(name)
	if err == nil && !stat.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, notFound("look for", name, err)
	}
	return Info{Name: name, Size: stat.Size(), Modified: stat.ModTime()}, nil
}

func notFound(what, name string, err error) error {
	// A part of the name that is a file is no folder of names either.
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	return fmt.Errorf("%s blob %s: %w", what, name, err)
}

// Delete is of Store.
func (d *Dir) Delete(_ context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return removeFile(d.root, name)
}

// removeFile removes a file, and the folders that are empty without it.
func removeFile(root *os.Root, name string) error {
	stat, err := root.Stat(name)
	if err == nil && stat.Mode().IsRegular() {
		err = root.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) {
		return fmt.Errorf("delete blob %s: %w", name, err)
	}
	if err == nil && stat.Mode().IsRegular() {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if root.Remove(dir) != nil {
				break // the first that is not empty
			}
		}
	}
	return nil
}

// List is of Store.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for info, err := range listFiles(ctx, d.root, prefix) {
			if !yield(info, err) {
				return
			}
		}
	}
}

// listFiles walks the files whose names start with prefix.
func listFiles(ctx context.Context, root *os.Root, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		folder := "."
		if i := strings.LastIndexByte(prefix, '/'); i > 0 {
			folder = prefix[:i]
			if CheckName(folder) != nil {
				return // nothing is called so
			}
		}
		stopped := errors.New("stopped")
		err := fs.WalkDir(root.FS(), folder, func(name string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
				return nil // gone meanwhile, or never there
			}
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if entry.IsDir() {
				below := name + "/"
				if name != "." && (name == tmpDir || !strings.HasPrefix(below, prefix) && !strings.HasPrefix(prefix, below)) {
					return fs.SkipDir
				}
				return nil
			}
			if !strings.HasPrefix(name, prefix) || CheckName(name) != nil || !entry.Type().IsRegular() {
				return nil
			}
			stat, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(Info{Name: name, Size: stat.Size(), Modified: stat.ModTime()}, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Info{}, fmt.Errorf("list blobs %s*: %w", prefix, err))
		}
	}
}

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
