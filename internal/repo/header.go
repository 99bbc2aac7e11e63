package repo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Tags read here, from rpm's rpmtag.h.
const (
	tagName      = 1000
	tagVersion   = 1001
	tagRelease   = 1002
	tagEpoch     = 1003
	tagSummary   = 1004
	tagArch      = 1022
	tagSourceRPM = 1044
	// tagHeaderSignature is, in the signature header, the OpenPGP signature of the
	// main header, which in turn holds the payload's digest.
	tagHeaderSignature = 268
)

// Types of values, from rpm's header format (docs/manual/format.md of rpm).
const (
	typeInt32  = 4
	typeString = 6
	typeBinary = 7
	typeI18N   = 9
)

// Bounds of one header. The largest in Fedora has about 20 MB.
const (
	maxHeaderEntries = 1 << 16
	maxHeaderData    = 64 << 20
	leadSize         = 96
)

// header is one of the two header structures of an RPM file. It is read here and not by
// a library because the file may come from a build that ran foreign code: every count and
// offset is checked before it is used to allocate or to index.
type header struct {
	entries map[uint32]entry
	data    []byte
	raw     []byte // intro, index and data: what the signature covers
}

type entry struct{ kind, offset, count uint32 }

// readHeaders reads the signature header and the main header of the RPM at path.
func readHeaders(path string) (sig, main header, err error) {
	f, err := os.Open(path)
	if err != nil {
		return header{}, header{}, err
	}
	defer f.Close()
	var lead [leadSize]byte
	if _, err := io.ReadFull(f, lead[:]); err != nil {
		return header{}, header{}, fmt.Errorf("not an RPM: %w", err)
	}
	if !bytes.Equal(lead[:4], []byte{0xed, 0xab, 0xee, 0xdb}) {
		return header{}, header{}, errors.New("not an RPM")
	}
	if sig, err = parseHeader(f); err != nil {
		return header{}, header{}, fmt.Errorf("signature header: %w", err)
	}
	if pad := (8 - len(sig.data)%8) % 8; pad > 0 {
		if _, err := io.CopyN(io.Discard, f, int64(pad)); err != nil {
			return header{}, header{}, fmt.Errorf("signature header: %w", err)
		}
	}
	if main, err = parseHeader(f); err != nil {
		return header{}, header{}, fmt.Errorf("header: %w", err)
	}
	return sig, main, nil
}

func parseHeader(r io.Reader) (header, error) {
	intro := make([]byte, 16)
	if _, err := io.ReadFull(r, intro); err != nil {
		return header{}, err
	}
	if !bytes.Equal(intro[:4], []byte{0x8e, 0xad, 0xe8, 0x01}) {
		return header{}, errors.New("wrong magic number")
	}
	n, size := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	if n > maxHeaderEntries || size > maxHeaderData {
		return header{}, fmt.Errorf("%d entries and %d bytes are more than can be true", n, size)
	}
	// Grown while read: a size that the file does not have costs no memory.
	buf := bytes.NewBuffer(intro)
	if _, err := io.CopyN(buf, r, 16*int64(n)+int64(size)); err != nil {
		return header{}, err
	}
	raw := buf.Bytes()
	h := header{entries: make(map[uint32]entry, n), data: raw[16+16*n:], raw: raw}
	for i := range n {
		e := raw[16+16*i:]
		offset := binary.BigEndian.Uint32(e[8:])
		if offset > size {
			return header{}, fmt.Errorf("entry %d points outside", i)
		}
		h.entries[binary.BigEndian.Uint32(e)] = entry{binary.BigEndian.Uint32(e[4:]), offset, binary.BigEndian.Uint32(e[12:])}
	}
	return h, nil
}

// str is the first string of a tag, "" when absent or of another type.
func (h header) str(tag uint32) string {
	e, ok := h.entries[tag]
	if !ok || (e.kind != typeString && e.kind != typeI18N) {
		return ""
	}
	s, _, found := bytes.Cut(h.data[e.offset:], []byte{0})
	if !found {
		return ""
	}
	return string(s)
}

// int is the first number of an INT32 tag, 0 when absent.
func (h header) int(tag uint32) int {
	e, ok := h.entries[tag]
	if !ok || e.kind != typeInt32 || e.count < 1 || uint64(e.offset)+4 > uint64(len(h.data)) {
		return 0
	}
	return int(binary.BigEndian.Uint32(h.data[e.offset:]))
}

// bin is the value of a BIN tag, nil when absent.
func (h header) bin(tag uint32) []byte {
	e, ok := h.entries[tag]
	if !ok || e.kind != typeBinary || uint64(e.offset)+uint64(e.count) > uint64(len(h.data)) {
		return nil
	}
	return h.data[e.offset:][:e.count]
}
