package reqfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/pelletier/go-toml/v2/unstable"

	"reqpm/internal/tomltree"
)

// parseJSON reads a JSON object into the same tree as TOML, with lines.
func parseJSON(data []byte) (*node, error) {
	data = bytes.TrimPrefix(data, []byte{0xEF, 0xBB, 0xBF})
	j := &jsonWalker{dec: json.NewDecoder(bytes.NewReader(data)), newlines: tomltree.Newlines(data)}
	j.dec.UseNumber()
	root, err := j.value(0)
	if err == nil && !root.IsTable() {
		err = errors.New("an object is expected")
	}
	if err == nil {
		if _, end := j.dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("there is more behind its end")
		}
	}
	if err != nil {
		line := j.line()
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			line = sort.SearchInts(j.newlines, int(syntax.Offset)-1) + 1
		}
		return nil, &tomltree.SyntaxError{Line: line, Err: fmt.Errorf("invalid JSON: %w", err)}
	}
	return root, nil
}

type jsonWalker struct {
	dec      *json.Decoder
	newlines []int
	values   int
}

// line is that of the last token read.
func (j *jsonWalker) line() int {
	return sort.SearchInts(j.newlines, int(j.dec.InputOffset())) + 1
}

func (j *jsonWalker) value(depth int) (*node, error) {
	if j.values++; depth > maxDepth || j.values > tomltree.MaxValues {
		return nil, fmt.Errorf("%w: more than %d values, or values more than %d deep", ErrTooLarge, tomltree.MaxValues, maxDepth)
	}
	token, err := j.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{Line: j.line()}
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			n.Kind = unstable.Array
			return n, j.items(n, depth)
		}
		n = tomltree.NewTable(n.Line)
		return n, j.members(n, depth)
	case string:
		n.Kind, n.Text = unstable.String, v
	case bool:
		n.Kind, n.Text = unstable.Bool, fmt.Sprint(v)
	case json.Number:
		n.Kind, n.Text = unstable.Float, v.String()
	}
	return n, nil
}

func (j *jsonWalker) items(n *node, depth int) error {
	for j.dec.More() {
		item, err := j.value(depth + 1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, err := j.dec.Token()
	return err
}

func (j *jsonWalker) members(n *node, depth int) error {
	for j.dec.More() {
		key, err := j.dec.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return errors.New("a name is expected")
		}
		line := j.line()
		item, err := j.value(depth + 1)
		if err != nil {
			return err
		}
		if item.IsTable() {
			item.Line = line
		}
		n.Put(name, item)
	}
	_, err := j.dec.Token()
	return err
}
