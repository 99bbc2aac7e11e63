package backend

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/tomltree"
)

// errEdit: the text is written in a way that the edit does not reach.
var errEdit = errors.New("it is written in a way that ReqPM does not edit")

// editor changes a few places of a TOML text and leaves every other byte as it is.
type editor struct {
	text  string
	list  []statement
	edits []edit
	// meant does to the decoded document what the edits do to its text.
	meant []func(doc map[string]any)
}

// edit replaces a span by text.
type edit struct {
	span
	text string
}

func newEditor(text string) *editor { return &editor{text: text, list: statements(text)} }

// at finds the statement that sets a value.
func (e *editor) at(path ...string) *statement {
	for i, s := range e.list {
		if !s.header && slices.Equal(s.path, path) {
			return &e.list[i]
		}
	}
	return nil
}

// set replaces a value, raw being TOML of value.
func (e *editor) set(raw string, value any, path ...string) error {
	s := e.at(path...)
	if s == nil {
		return fmt.Errorf("%s: %w", strings.Join(path, "."), errEdit)
	}
	e.edits = append(e.edits, edit{s.value, raw})
	e.meant = append(e.meant, func(doc map[string]any) {
		table(doc, path[:len(path)-1])[path[len(path)-1]] = value
	})
	return nil
}

// remove takes a value out, with its lines.
func (e *editor) remove(path ...string) error {
	s := e.at(path...)
	if s == nil {
		return fmt.Errorf("%s: %w", strings.Join(path, "."), errEdit)
	}
	start := strings.LastIndexByte(e.text[:s.start], '\n') + 1
	e.edits = append(e.edits, edit{span{start, s.end}, ""})
	e.meant = append(e.meant, func(doc map[string]any) {
		delete(table(doc, path[:len(path)-1]), path[len(path)-1])
	})
	return nil
}

// add puts a value into a table: below its header, or below a header of its own at the end of the text.
func (e *editor) add(raw string, value any, path ...string) {
	in, key := path[:len(path)-1], path[len(path)-1]
	e.meant = append(e.meant, func(doc map[string]any) { table(doc, in)[key] = value })
	line := key + " = " + raw + e.newline()
	for _, s := range e.list {
		if s.header && !s.array && slices.Equal(s.path, in) {
			if !strings.HasSuffix(e.text[:s.end], "\n") {
				line = e.newline() + line
			}
			e.edits = append(e.edits, edit{span{s.end, s.end}, line})
			return
		}
	}
	head := e.newline() + "[" + strings.Join(in, ".") + "]" + e.newline()
	if !strings.HasSuffix(e.text, "\n") {
		head = e.newline() + head
	}
	e.edits = append(e.edits, edit{span{len(e.text), len(e.text)}, head + line})
}

// newline is the line end that the text uses.
func (e *editor) newline() string {
	if strings.Contains(e.text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// setItem replaces one string of an array of strings.
func (e *editor) setItem(old, new string, path ...string) error {
	s := e.at(path...)
	if s == nil {
		return fmt.Errorf("%s: %w", strings.Join(path, "."), errEdit)
	}
	n := slices.IndexFunc(items(e.text, s.value), func(i item) bool { return i.value == old })
	if n < 0 {
		return fmt.Errorf("%s: %w", strings.Join(path, "."), errEdit)
	}
	e.edits = append(e.edits, edit{items(e.text, s.value)[n].span, tomltree.Quote(new)})
	e.meant = append(e.meant, func(doc map[string]any) {
		list, _ := table(doc, path[:len(path)-1])[path[len(path)-1]].([]any)
		if n < len(list) {
			list[n] = new
		}
	})
	return nil
}

// result is the changed text. That it says what was meant, and else what the old text said, is proven by
// a TOML parser; what cannot be proven is an error that is errEdit.
func (e *editor) result() (string, error) {
	edits := slices.Clone(e.edits)
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out strings.Builder
	at := 0
	for _, ed := range edits {
		if ed.from < at {
			return "", fmt.Errorf("two edits of one place: %w", errEdit)
		}
		out.WriteString(e.text[at:ed.from])
		out.WriteString(ed.text)
		at = ed.to
	}
	out.WriteString(e.text[at:])
	var want, got map[string]any
	if err := toml.Unmarshal([]byte(e.text), &want); err != nil {
		return "", err
	}
	if err := toml.Unmarshal([]byte(out.String()), &got); err != nil {
		return "", fmt.Errorf("the edited text is no TOML (%w): %w", err, errEdit)
	}
	for _, change := range e.meant {
		change(want)
	}
	if !reflect.DeepEqual(want, got) {
		return "", fmt.Errorf("the edited text says something else: %w", errEdit)
	}
	return out.String(), nil
}

// table is the table at a place of a decoded document, made when there is none.
func table(doc map[string]any, path []string) map[string]any {
	for _, key := range path {
		inner, ok := doc[key].(map[string]any)
		if !ok {
			inner = map[string]any{}
			doc[key] = inner
		}
		doc = inner
	}
	return doc
}

// quotedList writes a TOML array of strings.
func quotedList(texts []string) string {
	quotes := make([]string, len(texts))
	for i, text := range texts {
		quotes[i] = tomltree.Quote(text)
	}
	return "[" + strings.Join(quotes, ", ") + "]"
}
