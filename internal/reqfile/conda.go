package reqfile

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// parseConda reads the pip: part of a Conda environment file. Conda's own packages
// are named in a warning: they come from another world and have other names.
//
// It reads the block style that such files are written in, and refuses the rest of
// YAML rather than to guess.
func (r *reader) parseConda(ctx context.Context, loc location, data []byte, _ role) {
	text, _, err := decode(data)
	if err != nil {
		r.fail(Position{File: loc.String()}, "", err)
		return
	}
	c := &condaFile{reader: r, loc: loc, file: loc.String()}
	c.read(ctx, text)
	switch {
	case !c.found:
		r.fail(Position{File: c.file}, "", errors.New("it has no dependencies: it is no Conda environment"))
	case len(c.packages) > 0:
		const most = 50
		list := c.packages[:min(most, len(c.packages))]
		more := ""
		if n := len(c.packages) - len(list); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		r.warn(Position{c.file, c.line}, "Conda's own packages are not read: %s%s; list what the project needs of them as requirements", strings.Join(list, ", "), more)
	}
}

type condaFile struct {
	*reader
	loc      location
	file     string
	found    bool     // dependencies: is there
	line     int      // of it
	packages []string // Conda's own
}

// condaLine is a line without its comment.
type condaLine struct {
	number, indent int
	item           bool // "- " stood before the text
	column         int  // of the text
	text           string
}

func (c *condaFile) read(ctx context.Context, text string) {
	inDependencies, pip := false, -1 // column of the key pip:
	number := 0
	for text != "" && !c.stopped(ctx) {
		raw, rest, _ := strings.Cut(text, "\n")
		text = rest
		number++
		l, ok := readCondaLine(number, raw)
		if !ok {
			continue
		}
		at := Position{c.file, number}
		if strings.ContainsRune(raw[:min(len(raw), l.column)], '\t') {
			c.fail(at, "", errors.New("YAML is not indented by tabs"))
			return
		}
		switch {
		case l.indent == 0 && !l.item:
			key, value, _ := strings.Cut(l.text, ":")
			inDependencies, pip = key == "dependencies", -1
			if inDependencies {
				c.found, c.line = true, number
				if value = strings.TrimSpace(value); value != "" && value != "[]" {
					c.fail(at, l.text, errors.New("only a list with a line for each item is read here"))
					return
				}
			}
		case !inDependencies:
		case pip >= 0 && l.item && l.indent >= pip:
			c.requirement(ctx, at, l.text)
		case l.item:
			pip = -1
			if key, value, isKey := strings.Cut(l.text, ":"); isKey && strings.Trim(key, ` "'`) == "pip" && (value == "" || value[0] == ' ') {
				if strings.TrimSpace(value) != "" {
					c.fail(at, l.text, errors.New("only a list with a line for each item is read here"))
					return
				}
				pip = l.column
				continue
			}
			c.packages = append(c.packages, unquoteYAML(l.text))
		default:
			c.fail(at, l.text, errors.New("only a list with a line for each item is read here"))
			return
		}
	}
}

// readCondaLine is false for empty lines, comments and document marks.
func readCondaLine(number int, raw string) (l condaLine, ok bool) {
	body := strings.TrimLeft(strings.TrimRight(raw, " \t\r"), " \t")
	l.number, l.indent = number, len(raw)-len(strings.TrimLeft(raw, " \t"))
	l.column = l.indent
	if body == "" || body[0] == '#' || body == "---" || body == "..." {
		return l, false
	}
	if rest, found := strings.CutPrefix(body, "-"); found && (rest == "" || rest[0] == ' ') {
		trimmed := strings.TrimLeft(rest, " ")
		l.item, l.column = true, l.indent+1+len(rest)-len(trimmed)
		body = trimmed
	}
	l.text = cutYAMLComment(body)
	return l, l.text != ""
}

// cutYAMLComment removes a comment behind a value: a # with white space before it,
// outside of quotation marks.
func cutYAMLComment(text string) string {
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		if end := strings.IndexByte(text[1:], text[0]); end >= 0 {
			return text[:end+2]
		}
	}
	if i := strings.Index(text, " #"); i >= 0 {
		text = text[:i]
	}
	return strings.TrimRight(text, " \t")
}

func unquoteYAML(text string) string {
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0] {
		return text[1 : len(text)-1]
	}
	return text
}

// requirement reads one item of pip's list: a line of a requirement file, which is
// what Conda makes of it.
func (c *condaFile) requirement(ctx context.Context, at Position, text string) {
	if strings.ContainsAny(text[:1], "&*!|>{[%@") {
		c.fail(at, text, errors.New("only plain and quoted text is read here"))
		return
	}
	c.parseLine(ctx, c.loc, at, unquoteYAML(text), false)
}
