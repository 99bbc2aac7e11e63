package backend

import (
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// statement is one "key = value" of a TOML text, or one table header, with where it stands. Offsets are
// bytes of the text; end is after the line's end.
type statement struct {
	path       []string // of the value: table and key; of a header: the table
	header     bool
	array      bool // a header in double brackets
	start, end int
	value      span // zero of a header
}

// span is text[from:to].
type span struct{ from, to int }

// statements finds the statements of a TOML text that a parser has accepted. What it cannot follow ends
// it: an edit that was not found is not made, and one made wrongly does not pass the proof.
func statements(text string) []statement {
	var list []statement
	var table []string
	inArray := false
	for at := 0; at < len(text); {
		at = skipBlank(text, at)
		if at >= len(text) {
			break
		}
		start := at
		if text[at] == '[' {
			array := strings.HasPrefix(text[at:], "[[")
			if array {
				at++
			}
			path, end := readKey(text, at+1)
			if path == nil {
				return list
			}
			table, inArray = path, array
			at = lineEnd(text, end)
			list = append(list, statement{path: path, header: true, array: array, start: start, end: at})
			continue
		}
		key, end := readKey(text, at)
		if key == nil || end >= len(text) || text[end] != '=' {
			return list
		}
		from := end + 1
		for from < len(text) && (text[from] == ' ' || text[from] == '\t') {
			from++
		}
		to := valueEnd(text, from)
		at = lineEnd(text, to)
		if !inArray {
			list = append(list, statement{path: slices.Concat(table, key), start: start, end: at, value: span{from, to}})
		}
	}
	return list
}

// skipBlank passes over white space, empty lines and comments.
func skipBlank(text string, at int) int {
	for at < len(text) {
		switch text[at] {
		case ' ', '\t', '\r', '\n':
			at++
		case '#':
			at = lineEnd(text, at)
		default:
			return at
		}
	}
	return at
}

// lineEnd is the place after the end of the line that at is in.
func lineEnd(text string, at int) int {
	if i := strings.IndexByte(text[min(at, len(text)):], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}

// readKey reads a dotted key; it ends at what is neither of a key nor white space.
func readKey(text string, at int) (path []string, end int) {
	for at < len(text) {
		for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
			at++
		}
		if at >= len(text) {
			return nil, at
		}
		from := at
		if text[at] == '"' || text[at] == '\'' {
			if at = stringEnd(text, at); at > len(text) {
				return nil, at
			}
			part, ok := unquote(text[from:at])
			if !ok {
				return nil, at
			}
			path = append(path, part)
		} else {
			for at < len(text) && isBare(text[at]) {
				at++
			}
			if at == from {
				return nil, at
			}
			path = append(path, text[from:at])
		}
		for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
			at++
		}
		if at >= len(text) || text[at] != '.' {
			return path, at
		}
		at++
	}
	return nil, at
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// stringEnd is the place after the string, of any kind, that begins at at; len(text)+1 without one.
func stringEnd(text string, at int) int {
	quote := text[at]
	if triple := strings.Repeat(string(quote), 3); strings.HasPrefix(text[at:], triple) {
		for i := at + 3; i < len(text); i++ {
			if text[i] == '\\' && quote == '"' {
				i++
			} else if strings.HasPrefix(text[i:], triple) {
				i += 3
				for n := 0; n < 2 && i < len(text) && text[i] == quote; n++ {
					i++ // up to two quotes may stand before the closing three
				}
				return i
			}
		}
		return len(text) + 1
	}
	for i := at + 1; i < len(text) && text[i] != '\n'; i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text) + 1
}

// valueEnd is the place after the value that begins at at.
func valueEnd(text string, at int) int {
	depth := 0
	for at < len(text) {
		switch c := text[at]; {
		case c == '"' || c == '\'':
			at = min(stringEnd(text, at), len(text))
			if depth == 0 {
				return at
			}
		case c == '[' || c == '{':
			depth++
			at++
		case c == ']' || c == '}':
			at++
			if depth--; depth <= 0 {
				return at
			}
		case c == '#' && depth > 0:
			at = lineEnd(text, at)
		case depth == 0 && (c == '#' || c == '\n' || c == '\r'):
			return at - len(text[:at]) + len(strings.TrimRight(text[:at], " \t"))
		default:
			at++
		}
	}
	return at
}

// items are the strings of an array, with their places; nil when anything else is in it.
func items(text string, array span) []item {
	var list []item
	if array.from >= array.to || text[array.from] != '[' {
		return nil
	}
	for at := array.from + 1; at < array.to; {
		at = skipBlank(text, at)
		switch c := text[at]; {
		case c == ']':
			return list
		case c == ',':
			at++
		case c == '"' || c == '\'':
			end := stringEnd(text, at)
			if end > array.to {
				return nil
			}
			value, ok := unquote(text[at:end])
			if !ok {
				return nil
			}
			list = append(list, item{span{at, end}, value})
			at = end
		default:
			return nil
		}
	}
	return nil
}

type item struct {
	span
	value string
}

// unquote reads one TOML string by the parser that reads whole files.
func unquote(token string) (string, bool) {
	var doc struct{ V string }
	err := toml.Unmarshal([]byte("V = "+token), &doc)
	return doc.V, err == nil
}
