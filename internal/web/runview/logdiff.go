package runview

import (
	"regexp"
	"slices"
	"strings"
)

// Logs of two builds of the same package differ in a thousand places that mean nothing: paths of scratch folders,
// times, digests. They are evened out before the logs are compared, and shown as they were.

var evened = []struct {
	is *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`\x1b\[[0-9;]*m`), ""},
	{regexp.MustCompile(`\b[0-9a-f]{32,128}\b`), "HASH"},
	{regexp.MustCompile(`\b[0-9a-f]{12,31}\b`), "HASH"},
	{regexp.MustCompile(`rpm-tmp\.\w+|/tmp/[\w.+-]+|tmp[0-9a-z_]{8}\b|pip-[a-z-]+-[0-9a-z_]{8}`), "TMP"},
	{regexp.MustCompile(`\battempt-\d+\b`), "ATTEMPT"},
	{regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?`), "TIME"},
	{regexp.MustCompile(`\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +(?:\d{1,2} )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\w*[ \d]+\d{2}:\d{2}:\d{2}[ \w]*\d{4}?`), "TIME"},
	{regexp.MustCompile(`\b\d{1,2}:\d{2}:\d{2}(?:\.\d+)?\b`), "TIME"},
	{regexp.MustCompile(`\b\d+(?:\.\d+)? ?(?:s|ms|sec|seconds?|kB/s|MB/s|KiB/s|MiB/s)\b`), "N"},
	{regexp.MustCompile(`0x[0-9a-f]+`), "ADDR"},
	{regexp.MustCompile(`\bpid[ =:]+\d+`), "PID"},
}

// Even makes of a line what is the same in every build.
func Even(line string) string {
	for _, e := range evened {
		line = e.is.ReplaceAllString(line, e.to)
	}
	return strings.TrimRight(line, " \r")
}

// DiffLine is a line of a comparison: of both logs, of the older one, of the newer one, or a gap.
type DiffLine struct {
	Op       rune // ' ', '-', '+', or '…': so many lines (Old) are the same
	Old, New int  // their numbers; 0: none
	Text     string
}

// DiffLogs compares two logs line by line, evened out, and gives what differs with so many lines around it. Where
// they differ too much to be compared in whole, the middle is given as taken out and put in.
func DiffLogs(older, newer []string, around int) []DiffLine {
	a, b := make([]string, len(older)), make([]string, len(newer))
	for i, line := range older {
		a[i] = Even(line)
	}
	for i, line := range newer {
		b[i] = Even(line)
	}
	return diff(older, newer, a, b, around)
}

// DiffTexts compares two texts line by line as they are.
func DiffTexts(older, newer []string, around int) []DiffLine {
	return diff(older, newer, older, newer, around)
}

// diff pairs the lines by a and b, and shows those of older and newer.
func diff(older, newer, a, b []string, around int) []DiffLine {
	var all []DiffLine
	i, j := 0, 0
	for _, m := range append(matches(a, b), [2]int{len(a), len(b)}) {
		for ; i < m[0]; i++ {
			all = append(all, DiffLine{'-', i + 1, 0, older[i]})
		}
		for ; j < m[1]; j++ {
			all = append(all, DiffLine{'+', 0, j + 1, newer[j]})
		}
		if i < len(a) && j < len(b) {
			all = append(all, DiffLine{' ', i + 1, j + 1, newer[j]})
			i, j = i+1, j+1
		}
	}
	return gaps(all, around)
}

// gaps leaves out what is the same, but for so many lines around what is not.
func gaps(all []DiffLine, around int) []DiffLine {
	keep := make([]bool, len(all))
	for i, l := range all {
		if l.Op != ' ' {
			for k := max(0, i-around); k <= min(len(all)-1, i+around); k++ {
				keep[k] = true
			}
		}
	}
	var out []DiffLine
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
		out = append(out, DiffLine{Op: '…', Old: n})
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
