package tomltree

import (
	"bytes"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Keep is the document with only those tables and values left whose first key is kept; the lines of
// all others are empty. So several readers can share a file, each with a strict decoder of its own,
// and the lines in their messages are those of the file. What cannot be parsed is returned whole: the
// decoder will say what is wrong.
func Keep(data []byte, kept func(key string) bool) []byte {
	var p unstable.Parser
	p.Reset(data)
	type part struct {
		line int // of its first key, from 0
		keep bool
	}
	var parts []part
	newlines := Newlines(data)
	lineOf := func(n *unstable.Node) int { return (&tomlWalker{newlines: newlines}).line(n) - 1 }
	table, inTable := false, false
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table && e.Kind != unstable.ArrayTable && e.Kind != unstable.KeyValue {
			continue
		}
		key := e.Key()
		if !key.Next() {
			continue
		}
		first := key.Node()
		switch {
		case e.Kind != unstable.KeyValue:
			table, inTable = kept(string(first.Data)), true
			parts = append(parts, part{lineOf(first), table})
		case inTable:
		default:
			parts = append(parts, part{lineOf(first), kept(string(first.Data))})
		}
	}
	if p.Error() != nil || len(parts) == 0 {
		return data
	}
	var out []byte
	keep, next := false, 0
	for i, line := range bytes.SplitAfter(data, []byte("\n")) {
		for next < len(parts) && parts[next].line <= i {
			keep = parts[next].keep
			next++
		}
		switch {
		case keep:
			out = append(out, line...)
		case bytes.HasSuffix(line, []byte("\n")):
			out = append(out, '\n')
		}
	}
	return out
}
