package sdist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// UnpackWheel unpacks a wheel into siteDir, so that siteDir on PYTHONPATH and siteDir/bin
// on PATH make it usable: purelib and platlib go to siteDir itself, scripts and entry
// points to siteDir/bin with python as their interpreter ("" means python3 on
// PATH), data below siteDir. Several wheels may share one siteDir; of files with the
// same name the last stays. Archives are checked like in Unpack; errors about them
// are *ArchiveError.
//
// It does not byte-compile and handles no .pth files: PYTHONPATH does not, either.
func UnpackWheel(ctx context.Context, wheelPath, siteDir, python string) error {
	if python == "" {
		python = "/usr/bin/env python3"
	}
	if strings.ContainsAny(python, "\n\r") {
		return fmt.Errorf("unpack wheel: not an interpreter: %q", python)
	}
	if err := os.MkdirAll(siteDir, 0o755); err != nil {
		return fmt.Errorf("unpack wheel: %w", err)
	}
	root, err := os.OpenRoot(siteDir)
	if err != nil {
		return fmt.Errorf("unpack wheel: %w", err)
	}
	defer root.Close()
	u := wheelUnpacker{root: root, archive: filepath.Base(wheelPath), python: python}
	if err := walk(ctx, wheelPath, Limits{}, u.add); err != nil {
		return fmt.Errorf("unpack wheel: %w", err)
	}
	if u.info == "" {
		return fmt.Errorf("unpack wheel: %w", &ArchiveError{Archive: u.archive, Reason: "has no .dist-info directory"})
	}
	return u.entryPoints()
}

type wheelUnpacker struct {
	root                  *os.Root
	archive, python, info string
}

func (u *wheelUnpacker) add(m Member, body io.Reader) error {
	if m.Mode.IsDir() {
		return nil
	}
	if body == nil {
		return &ArchiveError{Archive: u.archive, Member: m.Name, Reason: "is a link, wheels hold files only"}
	}
	if first, _, _ := strings.Cut(m.Name, "/"); strings.HasSuffix(first, ".dist-info") {
		u.info = first
	}
	scheme, file := splitScheme(m.Name)
	mode := m.Mode.Perm()
	switch scheme {
	case "purelib", "platlib", "data":
	case "scripts":
		file, mode = path.Join("bin", file), 0o755
		fixed, err := u.shebang(body)
		if err != nil {
			return err
		}
		body = fixed
	case "headers":
		file = path.Join("include", file)
	default:
		return &ArchiveError{Archive: u.archive, Member: m.Name, Reason: "goes to an unknown place"}
	}
	if err := u.write(file, mode, m.ModTime, body); err != nil {
		if _, ok := errors.AsType[*ArchiveError](err); ok {
			return err
		}
		return &ArchiveError{Archive: u.archive, Member: m.Name, Reason: "cannot be unpacked", Err: err}
	}
	return nil
}

func (u *wheelUnpacker) write(name string, mode fs.FileMode, modTime time.Time, body io.Reader) error {
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeFile(u.root, name, mode, modTime, body)
}

var pythonShebang = regexp.MustCompile(`^#!\s*(/\S*/)?(env\s+)?(/\S*/)?pythonw?[\d.]*[ \t\r]*$`)

// shebang returns body with its first line pointing at the interpreter when it names
// any Python.
func (u *wheelUnpacker) shebang(body io.Reader) (io.Reader, error) {
	head := make([]byte, 256)
	n, err := io.ReadFull(body, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	head = head[:n]
	if end := bytes.IndexByte(head, '\n'); end > 0 && pythonShebang.Match(head[:end]) {
		head = append([]byte("#!"+u.python), head[end:]...)
	}
	return io.MultiReader(bytes.NewReader(head), body), nil
}

func (u *wheelUnpacker) entryPoints() error {
	data, err := readLimited(u.root, u.info+"/entry_points.txt")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unpack wheel %s: %w", u.archive, err)
	}
	for _, e := range parseEntryPoints(data) {
		first, _, _ := strings.Cut(e.attributes, ".")
		text := fmt.Sprintf("#!%s\nimport sys\n\nfrom %s import %s\n\nif __name__ == \"__main__\":\n    sys.exit(%s())\n",
			u.python, e.module, first, e.attributes)
		if err := u.write("bin/"+e.name, 0o755, time.Time{}, strings.NewReader(text)); err != nil {
			return fmt.Errorf("unpack wheel %s: command %s: %w", u.archive, e.name, err)
		}
	}
	return nil
}
