// Package textdiff compares two texts line by line.
package textdiff

import (
	"fmt"
	"slices"
	"strings"
)

// Line is a line of a comparison: of both texts, of the older one, of the newer one, or a gap.
type Line struct {
	Op       rune // ' ', '-', '+', or '…': so many lines (Old) are the same
	Old, New int  // their numbers; 0: none
	Text     string
}

// Lines compares two lists of lines, and gives what differs with so many lines around it. Where they differ too much to
// be compared in whole, the middle is given as taken out and put in.
func Lines(older, newer []string, around int) []Line {
	return Paired(older, newer, older, newer, around)
}

// Split are the lines of a text.
func Split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimRight(text, "\n"), "\n")
}

// Counts are how many lines a comparison adds and takes out.
func Counts(all []Line) (added, removed int) {
	for _, l := range all {
		switch l.Op {
		case '+':
			added++
		case '-':
			removed++
		}
	}
	return added, removed
}

// Unified is a comparison as diff -u writes it, without the lines that name files; "" where nothing differs.
func Unified(all []Line) string {
	var b, hunk strings.Builder
	atOld, atNew := 1, 1 // the next line of each
	oldStart, newStart, olds, news := 1, 1, 0, 0
	flush := func() {
		if hunk.Len() > 0 {
			fmt.Fprintf(&b, "@@ -%s +%s @@\n%s", span(oldStart, olds), span(newStart, news), hunk.String())
		}
		hunk.Reset()
		oldStart, newStart, olds, news = atOld, atNew, 0, 0
	}
	for _, l := range all {
		if l.Op == '…' {
			atOld, atNew = atOld+l.Old, atNew+l.Old
			flush()
			continue
		}
		if l.Op != '+' {
			atOld, olds = atOld+1, olds+1
		}
		if l.Op != '-' {
			atNew, news = atNew+1, news+1
		}
		hunk.WriteString(string(l.Op) + l.Text + "\n")
	}
	flush()
	return b.String()
}

// span is where a hunk is, as diff -u writes it: of none, the line before.
func span(start, n int) string {
	if n == 0 {
		start--
	}
	if n == 1 {
		return fmt.Sprint(start)
	}
	return fmt.Sprintf("%d,%d", start, n)
}

// Paired compares as Lines does, but goes by a and b, which have a line for each of older and newer: by what counts of them.
func Paired(older, newer, a, b []string, around int) []Line {
	var all []Line
	i, j := 0, 0
	for _, m := range append(matches(a, b), [2]int{len(a), len(b)}) {
		for ; i < m[0]; i++ {
			all = append(all, Line{'-', i + 1, 0, older[i]})
		}
		for ; j < m[1]; j++ {
			all = append(all, Line{'+', 0, j + 1, newer[j]})
		}
		if i < len(a) && j < len(b) {
			all = append(all, Line{' ', i + 1, j + 1, newer[j]})
			i, j = i+1, j+1
		}
	}
	return gaps(all, around)
}

// gaps leaves out what is the same, but for so many lines around what is not.
func gaps(all []Line, around int) []Line {
	keep := make([]bool, len(all))
	for i, l := range all {
		if l.Op != ' ' {
			for k := max(0, i-around); k <= min(len(all)-1, i+around); k++ {
				keep[k] = true
			}
		}
	}
	var out []Line
	for i := 0; i < len(all); i++ {
		if keep[i] {
			out = append(out, all[i])
			continue
		}
		n := 0
		for ; i < len(all) && !keep[i]; i++ {
			n++
		}
		i--
		out = append(out, Line{Op: '…', Old: n})
	}
	return out
}

// matches pairs the lines of two lists that are the same, in order: first what is the same at both ends, then,
// between, the lines that each has once (patience), and again between those.
func matches(a, b []string) [][2]int {
	var found [][2]int
	var walk func(a0, a1, b0, b1, depth int)
	walk = func(a0, a1, b0, b1, depth int) {
		for a0 < a1 && b0 < b1 && a[a0] == b[b0] {
			found = append(found, [2]int{a0, b0})
			a0, b0 = a0+1, b0+1
		}
		tail := 0
		for a0 < a1 && b0 < b1 && a[a1-1] == b[b1-1] {
			a1, b1, tail = a1-1, b1-1, tail+1
		}
		if a0 < a1 && b0 < b1 && depth < 200 {
			anchors := unique(a, b, a0, a1, b0, b1)
			x, y := a0, b0
			for _, m := range anchors {
				walk(x, m[0], y, m[1], depth+1)
				found = append(found, m)
				x, y = m[0]+1, m[1]+1
			}
			if len(anchors) > 0 {
				walk(x, a1, y, b1, depth+1)
			}
		}
		for k := range tail {
			found = append(found, [2]int{a1 + k, b1 + k})
		}
	}
	walk(0, len(a), 0, len(b), 0)
	return found
}

// unique are the longest rising chain of lines that both parts have once.
func unique(a, b []string, a0, a1, b0, b1 int) [][2]int {
	type seen struct{ inA, inB, atA, atB int }
	lines := map[string]*seen{}
	at := func(text string) *seen {
		if lines[text] == nil {
			lines[text] = &seen{}
		}
		return lines[text]
	}
	for i := a0; i < a1; i++ {
		s := at(a[i])
		s.inA, s.atA = s.inA+1, i
	}
	for j := b0; j < b1; j++ {
		s := at(b[j])
		s.inB, s.atB = s.inB+1, j
	}
	var pairs [][2]int
	for i := a0; i < a1; i++ {
		if s := lines[a[i]]; s.inA == 1 && s.inB == 1 {
			pairs = append(pairs, [2]int{i, s.atB})
		}
	}
	// Longest rising chain of the second numbers (patience sorting).
	var piles []int // index of the pair on top of each
	before := make([]int, len(pairs))
	for i, p := range pairs {
		k, _ := slices.BinarySearchFunc(piles, p[1], func(top, want int) int { return pairs[top][1] - want })
		before[i] = -1
		if k > 0 {
			before[i] = piles[k-1]
		}
		if k == len(piles) {
			piles = append(piles, i)
		} else {
			piles[k] = i
		}
	}
	if len(piles) == 0 {
		return nil
	}
	var chain [][2]int
	for i := piles[len(piles)-1]; i >= 0; i = before[i] {
		chain = append(chain, pairs[i])
	}
	slices.Reverse(chain)
	return chain
}
