package reqfile

import (
	"errors"

	"github.com/pelletier/go-toml/v2/unstable"

	"reqpm/internal/tomltree"
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
	n := t.n.Get(name)
	if n != nil && !n.IsTable() {
		t.r.fail(t.at(name), name, errors.New("must be a table"))
		n = nil
	}
	return table{t.r, t.file, n}
}

// at is where key stands, else where the table does.
func (t table) at(key string) Position {
	if n := t.n.Get(key); n != nil && n.Line > 0 {
		return Position{t.file, n.Line}
	}
	if t.n == nil {
		return Position{File: t.file}
	}
	return Position{t.file, t.n.Line}
}

// str is a string, "" when absent.
func (t table) str(key string) string {
	n := t.n.Get(key)
	switch {
	case n == nil:
		return ""
	case !n.IsString():
		t.r.fail(t.at(key), key, errors.New("must be a string"))
		return ""
	}
	return n.Text
}

// is tells whether a truth value is there and true.
func (t table) is(key string) bool {
	n := t.n.Get(key)
	if n != nil && n.Kind != unstable.Bool {
		t.r.fail(t.at(key), key, errors.New("must be true or false"))
		return false
	}
	return n != nil && n.Text == "true"
}

// strings is an array of strings, empty when absent.
func (t table) strings(key string) []*node {
	n := t.n.Get(key)
	if n == nil {
		return nil
	}
	if !n.IsArray() {
		t.r.fail(t.at(key), key, errors.New("must be an array of strings"))
		return nil
	}
	list := make([]*node, 0, len(n.Items))
	for _, item := range n.Items {
		if !item.IsString() {
			t.r.fail(t.at(key), key, errors.New("must hold nothing but strings"))
			return nil
		}
		list = append(list, item)
	}
	return list
}

// tables is an array of tables, empty when absent.
func (t table) tables(key string) []table {
	n := t.n.Get(key)
	if n == nil {
		return nil
	}
	if !n.IsArray() {
		t.r.fail(t.at(key), key, errors.New("must be an array of tables"))
		return nil
	}
	list := make([]table, 0, len(n.Items))
	for _, item := range n.Items {
		if !item.IsTable() {
			t.r.fail(Position{t.file, max(item.Line, n.Line)}, key, errors.New("must hold nothing but tables"))
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
		list = append(list, n.Text)
	}
	return list
}

// node is a value of a TOML, JSON or Python document, with its line.
type node = tomltree.Node
