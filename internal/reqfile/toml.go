package reqfile

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// node is a TOML value that knows its line, which the ordinary decoder of the
// library does not tell.
type node struct {
	line  int
	kind  unstable.Kind // String, Array, InlineTable (any table), others
	text  string        // of a string; of numbers and truth values as written
	items []*node       // of an array
	keys  []string      // of a table, in order of appearance
	table map[string]*node
}

// syntaxError is an error of a TOML or JSON document and its line.
type syntaxError struct {
	line int
	err  error
}

func (e *syntaxError) Error() string { return e.err.Error() }
func (e *syntaxError) Unwrap() error { return e.err }

// parseTOML reads a document: the library's parser is walked for values with
// their lines, and its decoder judges the whole (syntax, duplicate keys).
func parseTOML(data []byte) (*node, error) {
	data = bytes.TrimPrefix(data, []byte{0xEF, 0xBB, 0xBF})
	root, err := walkTOML(data)
	if errors.Is(err, ErrTooLarge) {
		return nil, err
	}
	if judged := judgeTOML(data); judged != nil {
		return nil, judged
	}
	return root, err
}

// parseLockTOML is parseTOML for files that programs write, which have megabytes:
// the decoder is asked only where the parser finds something wrong. Of a key
// given twice the last counts.
func parseLockTOML(data []byte) (*node, error) {
	data = bytes.TrimPrefix(data, []byte{0xEF, 0xBB, 0xBF})
	root, err := walkTOML(data)
	if err == nil || errors.Is(err, ErrTooLarge) {
		return root, err
	}
	if judged := judgeTOML(data); judged != nil {
		return nil, judged
	}
	return nil, err
}

// judgeTOML says what is wrong with a document, and on which line.
func judgeTOML(data []byte) error {
	var whole map[string]any
	err := toml.Unmarshal(data, &whole)
	if err == nil {
		return nil
	}
	row := 1
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, _ = at.Position()
	}
	return &syntaxError{line: row, err: fmt.Errorf("invalid TOML: %w", err)}
}

func walkTOML(data []byte) (*node, error) {
	w := &tomlWalker{newlines: newlineOffsets(data)}
	w.parser.Reset(data)
	root := newTable(1)
	here := root
	for w.err == nil && w.parser.NextExpression() {
		switch e := w.parser.Expression(); e.Kind {
		case unstable.Table:
			here = w.descend(root, e.Key(), false)
		case unstable.ArrayTable:
			here = w.descend(root, e.Key(), true)
		case unstable.KeyValue:
			w.assign(here, e)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	if err := w.parser.Error(); err != nil {
		return nil, &syntaxError{line: 1, err: fmt.Errorf("invalid TOML: %w", err)}
	}
	return root, nil
}

type tomlWalker struct {
	parser   unstable.Parser
	newlines []int
	values   int
	err      error
}

// Bounds of a document: a lock of 16 MB as tools write it has some 300,000 values.
const (
	maxValues   = 1_000_000
	maxKeyParts = 100
	maxKeys     = 5000 // of one table: the decoder looks through all of them for each
)

// count notes one more value, at a key of so many parts.
func (w *tomlWalker) count(n *unstable.Node, in *node, parts int) bool {
	if w.values++; w.err == nil && (w.values > maxValues || parts > maxKeyParts || in != nil && len(in.keys) > maxKeys) {
		w.err = &syntaxError{line: w.line(n), err: fmt.Errorf("%w: more than %d values, %d keys in a table, or %d parts in a key", ErrTooLarge, maxValues, maxKeys, maxKeyParts)}
	}
	return w.err == nil
}

func newlineOffsets(data []byte) []int {
	var at []int
	for i, c := range data {
		if c == '\n' {
			at = append(at, i)
		}
	}
	return at
}

func (w *tomlWalker) line(n *unstable.Node) int {
	offset := int(n.Raw.Offset)
	return sort.SearchInts(w.newlines, offset) + 1
}

func newTable(line int) *node {
	return &node{line: line, kind: unstable.InlineTable, table: map[string]*node{}}
}

// descend goes to the table of a [header], or appends one for a [[header]].
func (w *tomlWalker) descend(from *node, key unstable.Iterator, array bool) *node {
	for parts := 1; key.Next(); parts++ {
		k := key.Node()
		if !w.count(k, from, parts) {
			return from
		}
		from = from.child(string(k.Data), w.line(k), array && key.IsLast())
	}
	return from
}

// child returns the table called name, made when it is not there; in an array of
// tables the last one, or with add a new one.
func (n *node) child(name string, line int, add bool) *node {
	c := n.table[name]
	switch {
	case c == nil && add:
		c = &node{line: line, kind: unstable.Array}
		n.put(name, c)
	case c == nil:
		c = newTable(line)
		n.put(name, c)
	}
	if add {
		c.items = append(c.items, newTable(line))
	}
	if c.kind == unstable.Array && len(c.items) > 0 {
		return c.items[len(c.items)-1]
	}
	return c
}

func (n *node) put(name string, c *node) {
	if n.table == nil { // the decoder has refused this; it must not panic all the same
		n.table = map[string]*node{}
	}
	if _, ok := n.table[name]; !ok {
		n.keys = append(n.keys, name)
	}
	n.table[name] = c
}

// assign puts the value of "a.b = value" into table.
func (w *tomlWalker) assign(table *node, kv *unstable.Node) {
	key := kv.Key()
	for parts := 1; key.Next(); parts++ {
		k := key.Node()
		if !w.count(k, table, parts) {
			return
		}
		if key.IsLast() {
			v := w.value(kv.Value())
			if v.line == 0 {
				v.line = w.line(k)
			}
			table.put(string(k.Data), v)
			return
		}
		table = table.child(string(k.Data), w.line(k), false)
	}
}

// value converts a value. Its line is 0 where the parser keeps no offset.
func (w *tomlWalker) value(v *unstable.Node) *node {
	switch v.Kind {
	case unstable.String:
		return &node{kind: v.Kind, line: w.line(v), text: string(v.Data)}
	case unstable.Array:
		n := &node{kind: v.Kind}
		for it := v.Children(); it.Next() && w.count(v, nil, 0); {
			n.items = append(n.items, w.value(it.Node()))
		}
		return n
	case unstable.InlineTable:
		n := newTable(w.line(v))
		for it := v.Children(); it.Next(); {
			w.assign(n, it.Node())
		}
		return n
	}
	return &node{kind: v.Kind, text: string(v.Data)}
}

// get walks down tables; nil when there is no such key.
func (n *node) get(path ...string) *node {
	for _, name := range path {
		if n == nil || n.table == nil {
			return nil
		}
		n = n.table[name]
	}
	return n
}

// isTable, isArray and isString are false for nil.
func (n *node) isTable() bool  { return n != nil && n.table != nil }
func (n *node) isArray() bool  { return n != nil && n.kind == unstable.Array }
func (n *node) isString() bool { return n != nil && n.kind == unstable.String }
