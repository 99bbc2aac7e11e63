package reqfile

import (
	"errors"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// table reads the values of one TOML (or JSON) table and reports those of a
// wrong type with their line.
type table struct {
	r    *reader
	file string
	n    *node
}

// sub is the table called name; it is empty when there is none.
func (t table) sub(name string) table {
	n := t.n.get(name)
	if n != nil && !n.isTable() {
		t.r.fail(t.at(name), name, errors.New("must be a table"))
		n = nil
	}
	return table{t.r, t.file, n}
}

// at is where key stands, else where the table does.
func (t table) at(key string) Position {
	if n := t.n.get(key); n != nil && n.line > 0 {
		return Position{t.file, n.line}
	}
	if t.n == nil {
		return Position{File: t.file}
	}
	return Position{t.file, t.n.line}
}

// str is a string, "" when absent.
func (t table) str(key string) string {
	n := t.n.get(key)
	switch {
	case n == nil:
		return ""
	case !n.isString():
		t.r.fail(t.at(key), key, errors.New("must be a string"))
		return ""
	}
	return n.text
}

// is tells whether a truth value is there and true.
func (t table) is(key string) bool {
	n := t.n.get(key)
	if n != nil && n.kind != unstable.Bool {
		t.r.fail(t.at(key), key, errors.New("must be true or false"))
		return false
	}
	return n != nil && n.text == "true"
}

// strings is an array of strings, empty when absent.
func (t table) strings(key string) []*node {
	n := t.n.get(key)
	if n == nil {
		return nil
	}
	if !n.isArray() {
		t.r.fail(t.at(key), key, errors.New("must be an array of strings"))
		return nil
	}
	list := make([]*node, 0, len(n.items))
	for _, item := range n.items {
		if !item.isString() {
			t.r.fail(t.at(key), key, errors.New("must hold nothing but strings"))
			return nil
		}
		list = append(list, item)
	}
	return list
}

// tables is an array of tables, empty when absent.
func (t table) tables(key string) []table {
	n := t.n.get(key)
	if n == nil {
		return nil
	}
	if !n.isArray() {
		t.r.fail(t.at(key), key, errors.New("must be an array of tables"))
		return nil
	}
	list := make([]table, 0, len(n.items))
	for _, item := range n.items {
		if !item.isTable() {
			t.r.fail(Position{t.file, max(item.line, n.line)}, key, errors.New("must hold nothing but tables"))
			return nil
		}
		list = append(list, table{t.r, t.file, item})
	}
	return list
}

// texts are the strings of nodes.
func texts(nodes []*node) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.text)
	}
	return list
}

// written is the value as TOML writes it on one line, for messages.
func (n *node) written() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	const longest = 2000
	switch {
	case n == nil || b.Len() > longest:
	case n.isTable():
		b.WriteByte('{')
		for i, key := range n.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(key + " = ")
			n.table[key].write(b)
		}
		b.WriteByte('}')
	case n.isArray():
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteString(", ")
			}
			item.write(b)
		}
		b.WriteByte(']')
	case n.isString():
		b.WriteString(strconv.Quote(n.text))
	default:
		b.WriteString(n.text)
	}
}
