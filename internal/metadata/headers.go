package metadata

import (
	"bytes"
	"iter"
	"strings"
	"unicode/utf8"
)

// headers yields the header fields of an RFC 822 like text, in order: the name in lower
// case and the value with its continuation lines, each line trimmed. They end at the first
// empty line, where the description may begin. A line that is neither a field nor
// a continuation is skipped, which keeps what follows it: old setuptools wrote
// several lines of a Summary or License without indenting them.
func headers(data []byte) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		data := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), "\r\n")
		var field string
		var value []byte
		flush := func() bool {
			return field == "" || yield(field, text(value))
		}
		for len(data) > 0 {
			var line []byte
			line, data = cutLine(data)
			if len(line) == 0 {
				break
			}
			if line[0] == ' ' || line[0] == '\t' {
				if field != "" && len(value) < maxText {
					value = append(append(value, '\n'), continued(line)...)
				}
				continue
			}
			name, rest, ok := bytes.Cut(line, []byte(":"))
			if !ok || !isFieldName(name) {
				continue
			}
			if !flush() {
				return
			}
			field = strings.ToLower(string(name))
			value = append(value[:0], bytes.TrimSpace(rest)...)
		}
		flush()
	}
}

// cutLine splits at \n, \r\n or a lone \r, as Python's e-mail parser does.
func cutLine(data []byte) (line, rest []byte) {
	i := bytes.IndexAny(data, "\r\n")
	if i < 0 {
		return data, nil
	}
	if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
		return data[:i], data[i+2:]
	}
	return data[:i], data[i+1:]
}

// continued strips the indent of a continuation line, and the bar setuptools puts before it.
func continued(line []byte) []byte {
	line = bytes.TrimSpace(line)
	if bytes.HasPrefix(line, []byte("|")) {
		line = bytes.TrimSpace(line[1:])
	}
	return line
}

func isFieldName(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(name) > 0
}

// text makes a string of a value: UTF-8, or else latin-1, which any bytes are.
func text(value []byte) string {
	value = bytes.TrimSpace(value)
	if utf8.Valid(value) {
		return clip(string(value), maxText)
	}
	value = value[:min(len(value), maxText)]
	runes := make([]rune, len(value))
	for i, b := range value {
		runes[i] = rune(b)
	}
	return clip(string(runes), maxText)
}

// oneLine joins the lines of a value by single blanks.
func oneLine(value string) string {
	if !strings.ContainsAny(value, "\n") {
		return value
	}
	return strings.Join(strings.Fields(value), " ")
}

// clip cuts s to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
