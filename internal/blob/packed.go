package blob

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
)

// A closed log is a gzip file of several members (RFC 1952, section 2.2), each with partSize bytes of
// the text. Each member's header has an extra field (2.3.1.1) "RQ" with its own length and that of its
// text, 4 bytes each, so that a reader finds any byte without unpacking what is before it.
const (
	partSize    = 1 << 20
	extraLength = 12
	// extraAt is where the values are: after the fixed header, the length of all extra fields, and the
	// identification and length of this one.
	extraAt = 10 + 2 + 4
)

// pack writes a log's compressed file and removes the plain one.
func pack(root *os.Root, name string, f *os.File) error {
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	text := io.NewSectionReader(f, 0, stat.Size())
	_, err = writeFile(root, name+packedSuffix, func(w io.Writer) (int64, error) { return stat.Size(), packText(w, text) })
	if err != nil {
		return err
	}
	// Not removeFile: the folder has the compressed file now.
	return root.Remove(name)
}

func packText(w io.Writer, text *io.SectionReader) error {
	var member bytes.Buffer
	for at := int64(0); at == 0 || at < text.Size(); at += partSize {
		part := io.NewSectionReader(text, at, min(partSize, text.Size()-at))
		member.Reset()
		z := gzip.NewWriter(&member)
		z.Extra = append([]byte{'R', 'Q', 8, 0}, make([]byte, 8)...)
		if _, err := io.Copy(z, part); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		extra := member.Bytes()[extraAt:]
		binary.LittleEndian.PutUint32(extra, uint32(member.Len()))
		binary.LittleEndian.PutUint32(extra[4:], uint32(part.Size()))
		if _, err := w.Write(member.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// packedReader reads a closed log at any byte of its text.
type packedReader struct {
	f     packedFile
	parts []part
	size  int64 // of the text

	unpacked int // index of the part in text; -1: none
	text     []byte
}

// packedFile is a file, or a blob.
type packedFile interface {
	io.ReaderAt
	io.Closer
}

type part struct{ at, length, textAt, textLength int64 }

// openPacked reads where the parts are of a file of a size. On an error the file stays open.
func openPacked(f packedFile, size int64) (*packedReader, error) {
	r := &packedReader{f: f, unpacked: -1}
	header := make([]byte, extraAt+8)
	for at := int64(0); at < size; {
		if _, err := f.ReadAt(header, at); err != nil {
			return nil, err
		}
		if !bytes.Equal(header[:4], []byte{0x1f, 0x8b, 8, 4}) || !bytes.Equal(header[10:extraAt], []byte{extraLength, 0, 'R', 'Q', 8, 0}) {
			return nil, fmt.Errorf("no log's part at byte %d of the compressed file", at)
		}
		p := part{at, int64(binary.LittleEndian.Uint32(header[extraAt:])), r.size, int64(binary.LittleEndian.Uint32(header[extraAt+4:]))}
		if p.length < int64(len(header)) || p.at+p.length > size || p.textLength > partSize {
			return nil, fmt.Errorf("a log's part of impossible length at byte %d of the compressed file", at)
		}
		r.parts = append(r.parts, p)
		at += p.length
		r.size += p.textLength
	}
	return r, nil
}

func (r *packedReader) Size() (int64, error)     { return r.size, nil }
func (r *packedReader) running() (bool, error)   { return false, nil }
func (r *packedReader) changed() <-chan struct{} { return nil }
func (r *packedReader) Close() error             { return r.f.Close() }

// ReadAt reads from one part only: fewer bytes than asked for are no error.
func (r *packedReader) ReadAt(p []byte, at int64) (int, error) {
	if at >= r.size {
		return 0, io.EOF
	}
	i := sort.Search(len(r.parts), func(i int) bool { return r.parts[i].textAt > at }) - 1
	if r.unpacked != i {
		if err := r.unpack(i); err != nil {
			return 0, err
		}
	}
	return copy(p, r.text[at-r.parts[i].textAt:]), nil
}

func (r *packedReader) unpack(i int) error {
	p := r.parts[i]
	r.unpacked = -1
	z, err := gzip.NewReader(io.NewSectionReader(r.f, p.at, p.length))
	if err == nil {
		r.text = make([]byte, p.textLength)
		_, err = io.ReadFull(z, r.text)
	}
	if err == nil {
		// The checksum is looked at when the end is.
		if n, endErr := z.Read(make([]byte, 1)); n > 0 || !errors.Is(endErr, io.EOF) {
			err = errors.Join(errors.New("the part is longer than it says"), endErr)
		}
	}
	if err != nil {
		return fmt.Errorf("unpack the part at byte %d: %w", p.textAt, err)
	}
	r.unpacked = i
	return nil
}
