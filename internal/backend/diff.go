package backend

import (
	"fmt"
	"strings"
)

// Lines around a change that a diff shows, as diff -u does.
const context = 3

// most is the product of line counts up to which the shortest change is looked for; above it the whole
// middle is replaced.
const most = 16 << 20

// diff is the unified diff that makes new of old, for patch -p1; "" when they are the same. A file that
// was not there has old nil. Only the texts decide what it says: no times, no owners.
func diff(name string, old []byte, created bool, new []byte) string {
	a, b := splitLines(string(old)), splitLines(string(new))
	ops := script(a, b)
	if ops == nil {
		return ""
	}
	var out strings.Builder
	from := "a/" + name
	if created {
		from = "/dev/null"
	}
	fmt.Fprintf(&out, "--- %s\n+++ b/%s\n", from, name)
	for len(ops) > 0 {
		n := hunkEnd(ops)
		writeHunk(&out, ops[:n])
		ops = ops[n:]
	}
	return out.String()
}

// op is one line of a diff: ' ' in both, '-' in the old, '+' in the new text; a and b are how many lines
// of each stand before it.
type op struct {
	kind byte
	line string
	a, b int
}

// splitLines keeps line ends.
func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// script is the whole of both texts as one list of lines; nil when they are the same.
func script(a, b []string) []op {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	if head == len(a) && head == len(b) {
		return nil
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var ops []op
	i, j := 0, 0
	add := func(kind byte, line string) {
		ops = append(ops, op{kind, line, i, j})
		if kind != '+' {
			i++
		}
		if kind != '-' {
			j++
		}
	}
	for i < head {
		add(' ', a[i])
	}
	for _, kind := range middle(a[head:len(a)-tail], b[head:len(b)-tail]) {
		if kind == '+' {
			add(kind, b[j])
		} else {
			add(kind, a[i])
		}
	}
	for i < len(a) {
		add(' ', a[i])
	}
	return ops
}

// middle tells by the longest common subsequence which lines stay, go and come.
func middle(a, b []string) []byte {
	if len(a)*len(b) > most {
		return []byte(strings.Repeat("-", len(a)) + strings.Repeat("+", len(b)))
	}
	width := len(b) + 1
	common := make([]int, (len(a)+1)*width) // of a[i:] and b[j:]
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	var kinds []byte
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			kinds = append(kinds, ' ')
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[(i+1)*width+j] >= common[i*width+j+1]:
			kinds = append(kinds, '-')
			i++
		default:
			kinds = append(kinds, '+')
			j++
		}
	}
	return kinds
}

// hunkEnd is where the first hunk of ops ends: after the last change that is followed by more unchanged
// lines than two hunks would show.
func hunkEnd(ops []op) int {
	last := -1
	for n, o := range ops {
		if o.kind != ' ' {
			last = n
		} else if last >= 0 && n-last > 2*context {
			return last + context + 1
		}
	}
	return len(ops)
}

// writeHunk writes the changes of ops with their surroundings; nothing when there are none.
func writeHunk(out *strings.Builder, ops []op) {
	first, last := -1, -1
	for n, o := range ops {
		if o.kind != ' ' {
			if first < 0 {
				first = n
			}
			last = n
		}
	}
	if first < 0 {
		return
	}
	ops = ops[max(first-context, 0):min(last+context+1, len(ops))]
	olds, news := 0, 0
	for _, o := range ops {
		if o.kind != '+' {
			olds++
		}
		if o.kind != '-' {
			news++
		}
	}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", extent(ops[0].a, olds), extent(ops[0].b, news))
	for _, o := range ops {
		out.WriteByte(o.kind)
		out.WriteString(o.line)
		if !strings.HasSuffix(o.line, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// extent writes first line and count, as patch reads them: of no lines, the line before them.
func extent(before, count int) string {
	if count == 0 {
		return fmt.Sprintf("%d,0", before)
	}
	return fmt.Sprintf("%d,%d", before+1, count)
}
