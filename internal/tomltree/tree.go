// Package tomltree reads TOML into values that know their line, so that whoever finds a value wrong
// can say where it stands, and writes strings as TOML has them. It is pure.
package tomltree

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Node is a TOML value that knows its line, which the ordinary decoder of the
// library does not tell.
type Node struct {
	Line  int
	Kind  unstable.Kind // String, Array, InlineTable (any table), others
	Text  string        // of a string; of numbers and truth values as written
	Items []*Node       // of an array
	Keys  []string      // of a table, in order of appearance
	Table map[string]*Node
}

// SyntaxError is an error of a TOML document and its line.
type SyntaxError struct {
	Line int
	Err  error
}

func (e *SyntaxError) Error() string { return e.Err.Error() }
func (e *SyntaxError) Unwrap() error { return e.Err }

// Parse reads a document: the library's parser is walked for values with
// their lines, and its decoder judges the whole (syntax, duplicate keys).
func Parse(data []byte) (*Node, error) {
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

// ParseUnjudged is Parse for files that programs write, which have megabytes:
// the decoder is asked only where the parser finds something wrong. Of a key
// given twice the last counts.
func ParseUnjudged(data []byte) (*Node, error) {
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
	return &SyntaxError{Line: row, Err: fmt.Errorf("invalid TOML: %w", err)}
}

func walkTOML(data []byte) (*Node, error) {
	w := &tomlWalker{newlines: Newlines(data)}
	w.parser.Reset(data)
	root := NewTable(1)
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
		return nil, &SyntaxError{Line: 1, Err: fmt.Errorf("invalid TOML: %w", err)}
	}
	return root, nil
}

type tomlWalker struct {
	parser   unstable.Parser
	newlines []int
	values   int
	err      error
}

// ErrTooLarge: there is more in a document than is read.
var ErrTooLarge = errors.New("larger than ReqPM reads")

// Bounds of a document: a lock of 16 MB as tools write it has some 300,000 values.
const (
	MaxValues   = 1_000_000
	maxKeyParts = 100
	maxKeys     = 5000 // of one table: the decoder looks through all of them for each
)

// count notes one more value, at a key of so many parts.
func (w *tomlWalker) count(n *unstable.Node, in *Node, parts int) bool {
	if w.values++; w.err == nil && (w.values > MaxValues || parts > maxKeyParts || in != nil && len(in.Keys) > maxKeys) {
		w.err = &SyntaxError{Line: w.line(n), Err: fmt.Errorf("%w: more than %d values, %d keys in a table, or %d parts in a key", ErrTooLarge, MaxValues, maxKeys, maxKeyParts)}
	}
	return w.err == nil
}

// Newlines are the offsets of the line ends, by which an offset is turned into a line.
func Newlines(data []byte) []int {
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

// NewTable is an empty table at a line.
func NewTable(line int) *Node {
	return &Node{Line: line, Kind: unstable.InlineTable, Table: map[string]*Node{}}
}

// descend goes to the table of a [header], or appends one for a [[header]].
func (w *tomlWalker) descend(from *Node, key unstable.Iterator, array bool) *Node {
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
func (n *Node) child(name string, line int, add bool) *Node {
	c := n.Table[name]
	switch {
	case c == nil && add:
		c = &Node{Line: line, Kind: unstable.Array}
		n.Put(name, c)
	case c == nil:
		c = NewTable(line)
		n.Put(name, c)
	}
	if add {
		c.Items = append(c.Items, NewTable(line))
	}
	if c.Kind == unstable.Array && len(c.Items) > 0 {
		return c.Items[len(c.Items)-1]
	}
	return c
}

// Put sets a key.
func (n *Node) Put(name string, c *Node) {
	if n.Table == nil { // the decoder has refused this; it must not panic all the same
		n.Table = map[string]*Node{}
	}
	if _, ok := n.Table[name]; !ok {
		n.Keys = append(n.Keys, name)
	}
	n.Table[name] = c
}

// assign puts the value of "a.b = value" into table.
func (w *tomlWalker) assign(table *Node, kv *unstable.Node) {
	key := kv.Key()
	for parts := 1; key.Next(); parts++ {
		k := key.Node()
		if !w.count(k, table, parts) {
			return
		}
		if key.IsLast() {
			v := w.value(kv.Value())
			if v.Line == 0 {
				v.Line = w.line(k)
			}
			table.Put(string(k.Data), v)
			return
		}
		table = table.child(string(k.Data), w.line(k), false)
	}
}

// value converts a value. Its line is 0 where the parser keeps no offset.
func (w *tomlWalker) value(v *unstable.Node) *Node {
	switch v.Kind {
	case unstable.String:
		return &Node{Kind: v.Kind, Line: w.line(v), Text: string(v.Data)}
	case unstable.Array:
		n := &Node{Kind: v.Kind}
		for it := v.Children(); it.Next() && w.count(v, nil, 0); {
			n.Items = append(n.Items, w.value(it.Node()))
		}
		return n
	case unstable.InlineTable:
		n := NewTable(w.line(v))
		for it := v.Children(); it.Next(); {
			w.assign(n, it.Node())
		}
		return n
	}
	return &Node{Kind: v.Kind, Text: string(v.Data)}
}

// Get walks down tables; nil when there is no such key.
func (n *Node) Get(path ...string) *Node {
	for _, name := range path {
		if n == nil || n.Table == nil {
			return nil
		}
		n = n.Table[name]
	}
	return n
}

// IsTable, IsArray and IsString are false for nil.
func (n *Node) IsTable() bool  { return n != nil && n.Table != nil }
func (n *Node) IsArray() bool  { return n != nil && n.Kind == unstable.Array }
func (n *Node) IsString() bool { return n != nil && n.Kind == unstable.String }

// Is tells whether a value is the word.
func (n *Node) Is(word string) bool { return n != nil && n.Text == word }

// Names are the keys of a table, none for nil.
func (n *Node) Names() []string {
	if n == nil {
		return nil
	}
	return n.Keys
}

// IsStrings is true for an array of nothing but strings.
func (n *Node) IsStrings() bool {
	return n.IsArray() && !slices.ContainsFunc(n.Items, func(i *Node) bool { return !i.IsString() })
}

// Written is the value as TOML writes it on one line, for messages.
func (n *Node) Written() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *Node) write(b *strings.Builder) {
	const longest = 2000
	switch {
	case n == nil || b.Len() > longest:
	case n.IsTable():
		b.WriteByte('{')
		for i, key := range n.Keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(key + " = ")
			n.Table[key].write(b)
		}
		b.WriteByte('}')
	case n.IsArray():
		b.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			item.write(b)
		}
		b.WriteByte(']')
	case n.IsString():
		b.WriteString(strconv.Quote(n.Text))
	default:
		b.WriteString(n.Text)
	}
}
