package source

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SourceTar writes the checkout as a .tar.gz with the one top directory NAME-VERSION, as
// an sdist has it, so that the project itself can be packaged. The same checkout gives
// the same bytes: names in order, times those of the commit, no owners. It returns the
// sha256 of the file, which is written whole or not at all.
func SourceTar(ctx context.Context, c Checkout, name, version, out string) (sha256sum string, err error) {
	for _, word := range []string{name, version} {
		if word == "" || len(word) > 200 || strings.HasPrefix(word, ".") || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == '/' || r == '\\' || r == 0x7f }) {
			return "", fmt.Errorf("archive of %s: %q cannot be part of a directory name", c.URL, word)
		}
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return "", fmt.Errorf("archive of %s: %w", c.URL, err)
	}
	defer root.Close()
	tmp, err := os.CreateTemp(filepath.Dir(out), ".tmp-tar-*")
	if err != nil {
		return "", fmt.Errorf("archive of %s: %w", c.URL, err)
	}
	defer os.Remove(tmp.Name())
	h := sha256.New()
	err = writeTar(ctx, root, c, name+"-"+version, io.MultiWriter(tmp, h))
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), out)
	}
	if err != nil {
		return "", fmt.Errorf("archive of %s: %w", c.URL, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func writeTar(ctx context.Context, root *os.Root, c Checkout, top string, w io.Writer) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(zip)
	entry := func(name string, info fs.FileInfo, kind byte, link string) error {
		hdr := &tar.Header{Typeflag: kind, Name: name, Linkname: link, Mode: 0o644, ModTime: c.CommitTime, Format: tar.FormatPAX}
		switch {
		case kind == tar.TypeDir:
			hdr.Name, hdr.Mode = name+"/", 0o755
		case kind == tar.TypeReg:
			hdr.Size = info.Size()
			if info.Mode()&0o100 != 0 {
				hdr.Mode = 0o755
			}
		case kind == tar.TypeSymlink:
			hdr.Mode = 0o777
		}
		return tw.WriteHeader(hdr)
	}
	if err := entry(top, nil, tar.TypeDir, ""); err != nil {
		return err
	}
	written := func(name string) error {
		text := c.Written[name]
		hdr := &tar.Header{Typeflag: tar.TypeReg, Name: top + "/" + name, Mode: 0o644, Size: int64(len(text)), ModTime: c.CommitTime, Format: tar.FormatPAX}
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
		_, err := tw.Write(text)
		return err
	}
	err = walkTree(ctx, root, func(name string, info fs.FileInfo) error {
		full := top + "/" + name
		if _, ok := c.Written[name]; ok {
			return nil
		}
		switch {
		case info.IsDir():
			return entry(full, info, tar.TypeDir, "")
		case info.Mode()&fs.ModeSymlink != 0:
			link, err := root.Readlink(name)
			if err != nil {
				return err
			}
			return entry(full, info, tar.TypeSymlink, link)
		}
		if err := entry(full, info, tar.TypeReg, ""); err != nil {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(tw, f)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Written)) {
		if err := written(name); err != nil {
			return err
		}
	}
	return errors.Join(tw.Close(), zip.Close())
}
