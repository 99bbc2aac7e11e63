package testindex

import (
	"bytes"
	"encoding/binary"
	"path"
	"strings"
)

// RPM is the header of a package as far as ReqPM reads one, with nothing behind it: for
// tests that build nothing. Provides are "name" or "name = version".
func RPM(name, version, release, arch string, provides, files []string) []byte {
	var h rpmHeader
	h.text(1000, name)
	h.text(1001, version)
	h.text(1002, release)
	h.text(1022, arch)
	var provided, versions []string
	var flags []uint32
	for _, p := range provides {
		n, v, equal := strings.Cut(p, " = ")
		provided, versions = append(provided, n), append(versions, v)
		flag := uint32(0)
		if equal {
			flag = 8 // RPMSENSE_EQUAL
		}
		flags = append(flags, flag)
	}
	h.texts(1047, provided)
	h.numbers(1112, flags)
	h.texts(1113, versions)
	var bases, dirs []string
	var index, zeros, modes []uint32
	for i, f := range files {
		dir, base := path.Split(f)
		bases, dirs, index = append(bases, base), append(dirs, dir), append(index, uint32(i))
		zeros, modes = append(zeros, 0), append(modes, 0o100644)
	}
	h.texts(1117, bases)
	h.texts(1118, dirs)
	h.numbers(1116, index)
	h.numbers(1028, zeros) // sizes
	h.numbers(1030, modes)
	h.numbers(1034, zeros) // times
	h.numbers(1037, zeros) // flags
	names := make([]string, len(files))
	for _, tag := range []int{1035, 1036, 1039, 1040} { // digests, link targets, users, groups
		h.texts(tag, names)
	}
	lead := make([]byte, 96)
	copy(lead, "\xed\xab\xee\xdb\x03\x00")
	var signature rpmHeader
	signature.text(1000, strings.Repeat("x", 7)) // a store of eight bytes needs no padding
	return bytes.Join([][]byte{lead, signature.bytes(), h.bytes()}, nil)
}

// rpmHeader is an index of entries and their store.
type rpmHeader struct{ index, store bytes.Buffer }

func (h *rpmHeader) entry(tag, kind, count int) {
	for _, n := range []int{tag, kind, h.store.Len(), count} {
		_ = binary.Write(&h.index, binary.BigEndian, uint32(n))
	}
}

func (h *rpmHeader) text(tag int, s string) {
	h.entry(tag, 6, 1)
	h.store.WriteString(s + "\x00")
}

func (h *rpmHeader) texts(tag int, list []string) {
	if len(list) == 0 {
		return
	}
	h.entry(tag, 8, len(list))
	for _, s := range list {
		h.store.WriteString(s + "\x00")
	}
}

func (h *rpmHeader) numbers(tag int, list []uint32) {
	if len(list) == 0 {
		return
	}
	h.store.Write(make([]byte, -h.store.Len()&3))
	h.entry(tag, 4, len(list))
	_ = binary.Write(&h.store, binary.BigEndian, list)
}

func (h *rpmHeader) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("\x8e\xad\xe8\x01\x00\x00\x00\x00")
	_ = binary.Write(&b, binary.BigEndian, []uint32{uint32(h.index.Len() / 16), uint32(h.store.Len())})
	b.Write(h.index.Bytes())
	b.Write(h.store.Bytes())
	return b.Bytes()
}
