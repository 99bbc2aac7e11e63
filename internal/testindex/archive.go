package testindex

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"slices"
	"time"
)

// archiveTime is in every archive, so that the same description gives the same bytes.
var archiveTime = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

// Sdist is the source distribution of the package, with its fault.
func (p Package) Sdist() (name string, data []byte, err error) {
	name = p.Stem() + "-" + p.Version + ".tar.gz"
	if p.Fault == NotArchive {
		return name, []byte("<!DOCTYPE html><html><title>Sign in</title></html>\n"), nil
	}
	top := p.Stem() + "-" + p.Version + "/"
	tree := p.Tree()
	if p.Fault == NoMetadata {
		for _, file := range []string{"PKG-INFO", "pyproject.toml"} {
			delete(tree, file)
		}
	}
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	w := &archive{tar.NewWriter(gz)}
	for _, file := range slices.Sorted(maps.Keys(tree)) {
		if err := w.file(top+file, tree[file]); err != nil {
			return "", nil, err
		}
	}
	if err := w.fault(p.Fault, top); err != nil {
		return "", nil, err
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	if err := gz.Close(); err != nil {
		return "", nil, err
	}
	return name, buf.Bytes(), nil
}

type archive struct{ *tar.Writer }

func (w *archive) file(name, text string) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: archiveTime}); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}

// fault adds the member that must not be.
func (w *archive) fault(f Fault, top string) error {
	switch f {
	case DotDot:
		return w.file(top+"../../../../escaped", "out")
	case Absolute:
		return w.file("/tmp/reqpm-test-escaped", "out")
	case LinkOut:
		return w.WriteHeader(&tar.Header{Name: top + "way-out", Linkname: "../../../../etc/passwd", Typeflag: tar.TypeSymlink, Mode: 0o777, ModTime: archiveTime})
	case TwoTops:
		return w.file("another-top/file", "beside")
	case Bomb:
		const size = 1 << 30
		if err := w.WriteHeader(&tar.Header{Name: top + "zeros", Mode: 0o644, Size: size, ModTime: archiveTime}); err != nil {
			return err
		}
		_, err := io.Copy(w, io.LimitReader(zeros{}, size))
		return err
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
