package sdist

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Limits bound what an archive may unpack to. Zero fields mean the defaults.
type Limits struct {
	Bytes   int64 // of all files together; default 2 GB
	Entries int   // default 200,000
	Depth   int   // path components of one entry; default 64
	Ratio   int64 // unpacked to packed bytes, looked at above 64 MB unpacked; default 200
}

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 2 << 30
	}
	if l.Entries <= 0 {
		l.Entries = 200_000
	}
	if l.Depth <= 0 {
		l.Depth = 64
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	return l
}

// Unpacked bytes below which the ratio says nothing.
const ratioFloor = 64 << 20

// ArchiveError is an archive that is broken, hostile or not what it should be.
type ArchiveError struct {
	Archive string // file name
	Member  string // entry, "" when it concerns the whole
	Reason  string
	Err     error // may be nil
}

func (e *ArchiveError) Error() string {
	s := e.Archive
	if e.Member != "" {
		s += fmt.Sprintf(": %q", e.Member)
	}
	s += ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ArchiveError) Unwrap() error { return e.Err }

// Member is one entry of an archive, its name cleaned and slash-separated.
type Member struct {
	Name    string
	Mode    fs.FileMode // type and permissions; permissions are 0644 or 0755
	Size    int64       // as declared by the archive
	Link    string      // target of a symbolic link (as written) or hard link (cleaned name)
	Hard    bool        // a hard link
	ModTime time.Time
}

// visit is called for each entry in archive order; body is nil unless it is a regular
// file with content.
type visit func(m Member, body io.Reader) error

// walk goes through the archive at name, checking every entry against limits and
// the rules for paths before fn sees it.
func walk(ctx context.Context, name string, limits Limits, fn visit) error {
	w := &walker{ctx: ctx, archive: filepath.Base(name), limits: limits.withDefaults(), fn: fn}
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open archive: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open archive: %w", err)
	}
	if !info.Mode().IsRegular() {
		return w.bad("", "not a regular file", nil)
	}
	w.packed = info.Size()
	return w.open(file)
}

type walker struct {
	ctx     context.Context
	archive string
	limits  Limits
	fn      visit
	packed  int64 // size of the archive file
	stream  int64 // bytes of tar read so far, headers and padding too
	content int64 // bytes of files read so far; sparse files have more than the stream
	entries int
}

func (w *walker) bad(member, reason string, err error) *ArchiveError {
	return &ArchiveError{Archive: w.archive, Member: member, Reason: reason, Err: err}
}

// open picks the reader by the file's first bytes: endings lie.
func (w *walker) open(file *os.File) error {
	buffered := bufio.NewReaderSize(file, 64<<10)
	magic, _ := buffered.Peek(262)
	switch {
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")):
		r, err := zip.NewReader(file, w.packed)
		if err != nil {
			return w.bad("", "not a readable zip file", err)
		}
		return w.zip(r)
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		r, err := gzip.NewReader(buffered)
		if err != nil {
			return w.bad("", "not a readable gzip file", err)
		}
		return w.tar(r)
	case bytes.HasPrefix(magic, []byte("BZh")):
		return w.tar(bzip2.NewReader(buffered))
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")):
		return w.xz(buffered)
	case len(magic) == 262 && string(magic[257:262]) == "ustar":
		return w.tar(buffered)
	}
	return w.bad("", "neither a tar (plain, gzip, bzip2, xz) nor a zip file", nil)
}

// xz reads through the xz program: Go's library has no reader for it.
func (w *walker) xz(r io.Reader) error {
	program, err := exec.LookPath("xz")
	if err != nil {
		return w.bad("", "compressed with xz, and the xz program is not installed", err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	var stderr tail
	cmd := exec.CommandContext(ctx, program, "--decompress", "--stdout", "--single-stream", "--no-sparse", "--memlimit-decompress=512MiB")
	cmd.Stdin, cmd.Stderr = r, &stderr
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("%s: start xz: %w", w.archive, err)
	}
	err = w.tar(out)
	stop() // the tar may end before the stream does
	if waitErr := cmd.Wait(); err != nil && waitErr != nil && stderr.String() != "" {
		return w.bad("", "xz: "+strings.TrimSpace(stderr.String()), err)
	}
	return err
}

func (w *walker) tar(r io.Reader) error {
	tr := tar.NewReader(&budget{w: w, count: &w.stream, r: r})
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return w.readError("", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		m := Member{Name: h.Name, Size: h.Size, ModTime: h.ModTime, Link: h.Linkname, Hard: h.Typeflag == tar.TypeLink}
		m.Mode = h.FileInfo().Mode()
		if m.Hard {
			m.Mode = m.Mode.Perm()
		}
		if err := w.member(m, func() (io.ReadCloser, error) { return io.NopCloser(tr), nil }); err != nil {
			return err
		}
	}
}

func (w *walker) zip(r *zip.Reader) error {
	for _, f := range r.File {
		m := Member{Name: strings.ReplaceAll(f.Name, `\`, "/"), Size: int64(f.UncompressedSize64), ModTime: f.Modified, Mode: f.Mode()}
		if strings.HasSuffix(m.Name, "/") {
			m.Mode |= fs.ModeDir
		}
		if f.Flags&1 != 0 {
			return w.bad(m.Name, "is encrypted", nil)
		}
		if m.Mode&fs.ModeSymlink != 0 {
			target, err := readLink(f.Open)
			if err != nil {
				return w.readError(m.Name, err)
			}
			m.Link = target
		}
		if err := w.member(m, f.Open); err != nil {
			return err
		}
	}
	return nil
}

// readLink reads a zip's symbolic link: its content is the target.
func readLink(open func() (io.ReadCloser, error)) (string, error) {
	body, err := open()
	if err != nil {
		return "", err
	}
	defer body.Close()
	target, err := io.ReadAll(io.LimitReader(body, 4097))
	if err == nil && len(target) > 4096 {
		err = errors.New("link target longer than 4096 bytes")
	}
	return string(target), err
}

// member checks one entry and hands it on.
func (w *walker) member(m Member, open func() (io.ReadCloser, error)) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.entries++; w.entries > w.limits.Entries {
		return w.bad("", fmt.Sprintf("more than %d entries", w.limits.Entries), nil)
	}
	name, err := w.cleanName(m.Name)
	if err != nil || name == "." || strings.HasPrefix(name, "._") {
		return err // "./" itself; AppleDouble files beside the top directory
	}
	raw := m.Name
	m.Name = name
	if m.Mode&0o111 != 0 || m.Mode.IsDir() {
		m.Mode = m.Mode.Type() | 0o755
	} else {
		m.Mode = m.Mode.Type() | 0o644
	}
	switch {
	case m.Hard:
		if m.Link, err = w.cleanName(m.Link); err != nil {
			return err
		}
		return w.fn(m, nil)
	case m.Mode&fs.ModeSymlink != 0:
		if !linkStays(m.Name, m.Link) {
			return w.bad(raw, fmt.Sprintf("is a symbolic link that leaves the tree: %q", m.Link), nil)
		}
		return w.fn(m, nil)
	case m.Mode.IsDir():
		return w.fn(m, nil)
	case !m.Mode.IsRegular():
		return w.bad(raw, "is a device, pipe or socket", nil)
	}
	body, err := open()
	if err != nil {
		return w.readError(m.Name, err)
	}
	defer body.Close()
	return w.fn(m, &budget{w: w, count: &w.content, r: body})
}

// cleanName refuses names that would land elsewhere or cannot be listed safely.
func (w *walker) cleanName(name string) (string, error) {
	short := name
	if len(short) > 200 {
		short = short[:200] + "…"
	}
	switch {
	case len(name) > 4096:
		return "", w.bad(short, "name longer than 4096 bytes", nil)
	case strings.HasPrefix(name, "/"):
		return "", w.bad(short, "is an absolute path", nil)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", w.bad(short, "has a control character in its name", nil)
	}
	parts := 0
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", w.bad(short, "leaves the tree by ..", nil)
		}
		if len(part) > 255 {
			return "", w.bad(short, "has a name longer than 255 bytes", nil)
		}
		if parts++; parts > w.limits.Depth {
			return "", w.bad(short, fmt.Sprintf("is deeper than %d directories", w.limits.Depth), nil)
		}
	}
	return path.Clean(name), nil
}

// linkStays tells whether a symbolic link cannot leave the archive's top directory.
// Only leading ".." are counted on: a ".." behind a name could follow another
// link first, and then says nothing about where it leads.
func linkStays(name, target string) bool {
	if target == "" || len(target) > 4096 || strings.HasPrefix(target, "/") || strings.ContainsRune(target, 0) {
		return false
	}
	depth := strings.Count(name, "/") - 1 // directories below the top one
	named := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; named || depth < 0 {
				return false
			}
		default:
			named = true
		}
	}
	return true
}

// readError tells a broken archive from a limit or a cancelled context.
func (w *walker) readError(member string, err error) error {
	if _, ok := errors.AsType[*ArchiveError](err); ok {
		return err
	}
	if w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	return w.bad(member, "cannot be read", err)
}

// budget counts what is read through it, and stops at the limits.
type budget struct {
	w     *walker
	count *int64
	r     io.Reader
}

func (b *budget) Read(p []byte) (int, error) {
	if err := b.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	*b.count += int64(n)
	if *b.count > b.w.limits.Bytes {
		return n, b.w.bad("", fmt.Sprintf("unpacks to more than %d bytes", b.w.limits.Bytes), nil)
	}
	if *b.count > ratioFloor && *b.count/b.w.limits.Ratio > b.w.packed {
		return n, b.w.bad("", fmt.Sprintf("unpacks to more than %d times its size", b.w.limits.Ratio), nil)
	}
	return n, err
}

// tail is a writer that keeps the last 8 kB.
type tail struct{ data []byte }

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if len(t.data) > 2*tailSize {
		t.data = append(t.data[:0], t.data[len(t.data)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	return strings.ToValidUTF8(string(t.data[max(0, len(t.data)-tailSize):]), "�")
}
