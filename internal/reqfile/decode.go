package reqfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// decode turns the bytes of a requirement file into text as pip does: a byte
// order mark decides, then a PEP 263 coding line among the first two, then
// UTF-8. Text that is none of these but looks like text is taken for Latin-1
// and said so in warning.
func decode(data []byte) (text, warning string, err error) {
	if text, ok, err := decodeMarked(data); ok || err != nil {
		return text, "", err
	}
	if isBinary(data) {
		return "", "", fmt.Errorf("%w (it holds control characters; UTF-16 needs a byte order mark)", ErrBinary)
	}
	if name := codingLine(data); name != "" {
		text, err := decodeNamed(data, name)
		return text, "", err
	}
	if utf8.Valid(data) {
		return string(data), "", nil
	}
	latin, err := charmap.Windows1252.NewDecoder().Bytes(data)
	if err != nil {
		return "", "", fmt.Errorf("%w: neither UTF-8 nor Latin-1: %w", ErrBinary, err)
	}
	return string(latin), "not UTF-8; read as Latin-1 (a line \"# -*- coding: NAME -*-\" says which encoding it is)", nil
}

// decodeMarked handles the byte order marks. UTF-32 LE comes before UTF-16 LE,
// whose mark it starts with.
func decodeMarked(data []byte) (text string, ok bool, err error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		data = data[3:]
		if !utf8.Valid(data) || isBinary(data) {
			return "", true, fmt.Errorf("%w: a UTF-8 byte order mark, but no UTF-8 behind it", ErrBinary)
		}
		return string(data), true, nil
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE, 0, 0}):
		text, err = decodeUTF32(data[4:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0, 0, 0xFE, 0xFF}):
		text, err = decodeUTF32(data[4:], binary.BigEndian)
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		text, err = decodeUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		text, err = decodeUTF16(data[2:], binary.BigEndian)
	default:
		return "", false, nil
	}
	if err == nil && isBinary([]byte(text)) {
		err = fmt.Errorf("%w: control characters behind a byte order mark", ErrBinary)
	}
	return text, true, err
}

func decodeUTF16(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%2 != 0 {
		return "", fmt.Errorf("%w: a UTF-16 byte order mark, but an odd number of bytes", ErrBinary)
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units)), nil
}

func decodeUTF32(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%4 != 0 {
		return "", fmt.Errorf("%w: a UTF-32 byte order mark, but its length is no multiple of four", ErrBinary)
	}
	var b strings.Builder
	b.Grow(len(data) / 4)
	for i := 0; i < len(data); i += 4 {
		v := order.Uint32(data[i:])
		if v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
			return "", fmt.Errorf("%w: %#x is no UTF-32 character", ErrBinary, v)
		}
		b.WriteRune(rune(v))
	}
	return b.String(), nil
}

// codingLine finds the encoding a comment among the first two lines names.
func codingLine(data []byte) string {
	for range 2 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		if bytes.HasPrefix(line, []byte("#")) {
			if name := codingName(string(line)); name != "" {
				return name
			}
		}
		data = rest
	}
	return ""
}

// codingName reads "coding: NAME" or "coding=NAME" out of a comment.
func codingName(line string) string {
	for {
		_, after, found := strings.Cut(line, "coding")
		if !found {
			return ""
		}
		line = after
		if after == "" || (after[0] != ':' && after[0] != '=') {
			continue
		}
		name := strings.TrimLeft(after[1:], " \t")
		end := strings.IndexFunc(name, func(r rune) bool {
			return r != '-' && r != '_' && r != '.' && !isAlnum(r)
		})
		if end >= 0 {
			name = name[:end]
		}
		if name != "" {
			return name
		}
	}
}

// decodeNamed decodes by a Python codec name.
func decodeNamed(data []byte, name string) (string, error) {
	label := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch label {
	case "utf-8", "utf8", "u8", "utf-8-sig", "ascii", "us-ascii":
		if !utf8.Valid(data) {
			return "", fmt.Errorf("%w: it says it is %s, but is not", ErrBinary, name)
		}
		return string(data), nil
	case "latin-1", "latin", "l1", "iso8859-1":
		label = "iso-8859-1"
	case "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be":
		return "", fmt.Errorf("%w: it says it is %s, but its coding line can be read as it is", ErrBinary, name)
	}
	enc, err := htmlindex.Get(label)
	if err != nil {
		return "", fmt.Errorf("unknown encoding %s in its coding line; save the file as UTF-8", quote(name))
	}
	out, err := enc.NewDecoder().Bytes(data)
	if err != nil {
		return "", fmt.Errorf("decoding as %s: %w", name, err)
	}
	return string(out), nil
}

// isBinary looks for control characters that no text file has. Ctrl-Z ends
// files of some Windows editors.
func isBinary(data []byte) bool {
	for _, c := range data {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\v' && c != '\f' && c != 0x1a && (c < 0x1c || c > 0x1e) {
			return true
		}
	}
	return false
}

func isAlnum(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
