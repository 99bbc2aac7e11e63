package pep508

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The reference hands a marker's strings to Python's own parser, so they follow the
// rules of Python string literals.

var simpleEscapes = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`,
	'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// unescape reads the inside of a Python string literal in single quotes. An unknown
// escape keeps its backslash. \N{NAME} is refused: no table of names is worth it.
func unescape(s string) (string, error) {
	if strings.ContainsAny(s, "\x00") {
		return "", errors.New("a NUL byte cannot be part of it")
	}
	if !strings.ContainsAny(s, "\\\n\r") {
		return s, nil
	}
	var b strings.Builder
	for s != "" {
		switch {
		case s[0] == '\n' || s[0] == '\r':
			return "", errors.New("it must not continue on the next line")
		case s[0] != '\\':
			b.WriteByte(s[0])
			s = s[1:]
		default:
			value, rest, err := unescapeOne(s)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			s = rest
		}
	}
	return b.String(), nil
}

// unescapeOne reads the escape s begins with.
func unescapeOne(s string) (value, rest string, err error) {
	if len(s) < 2 {
		return "", "", errors.New("a backslash stands before the closing quote")
	}
	if v, ok := simpleEscapes[s[1]]; ok {
		return v, s[2:], nil
	}
	digits, base := 0, 16
	switch c := s[1]; {
	case c == '\r': // a line ending \r\n is one
		return "", strings.TrimPrefix(s[2:], "\n"), nil
	case c >= '0' && c <= '7':
		base = 8
		for digits < 3 && 1+digits < len(s) && s[1+digits] >= '0' && s[1+digits] <= '7' {
			digits++
		}
		return codePoint(s, s[1:1+digits], base)
	case c == 'x':
		digits = 2
	case c == 'u':
		digits = 4
	case c == 'U':
		digits = 8
	case c == 'N':
		return "", "", errors.New(`\N{...} is not supported`)
	default:
		return `\`, s[1:], nil
	}
	if len(s) < 2+digits {
		return "", "", fmt.Errorf("%q is cut short", s)
	}
	return codePoint(s, s[2:2+digits], base)
}

// codePoint reads digits, which stand within s, and returns what follows them.
func codePoint(s, digits string, base int) (value, rest string, err error) {
	escape, rest, _ := strings.Cut(s, digits)
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
		return "", "", fmt.Errorf("%q is not the number of a character", escape+digits)
	}
	return string(rune(n)), rest, nil
}

// quote writes value as a literal that unescape reads back: bare in double or else in single
// quotes, like the reference, and escaped only where that would not do.
func quote(value string) string {
	mark := `"`
	if strings.Contains(value, `"`) && !strings.Contains(value, `'`) {
		mark = `'`
	}
	if back, err := unescape(value); err == nil && back == value && !strings.Contains(value, mark) {
		return mark + value + mark
	}
	escapes := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\x00", `\x00`, mark, fmt.Sprintf(`\x%02x`, mark[0]))
	return mark + escapes.Replace(value) + mark
}
