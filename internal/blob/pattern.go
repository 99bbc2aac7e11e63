package blob

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// searchProgram is how many instructions an expression may have.
const searchProgram = 2000

// ErrPattern says that a regular expression is none.
var ErrPattern = errors.New("not a regular expression")

// Pattern finds lines. It takes time in proportion to the text, whatever it is (RE2), and may be used by several
// goroutines.
type Pattern struct {
	re *regexp.Regexp // nil: a line with one of the texts has the pattern
	// texts are such that a line with the pattern has one of them; none: nothing is known. They are looked for first,
	// because an expression takes ten times as long.
	texts [][]byte
	fold  bool // the texts are in small letters, and so is what they are compared with
}

// NewPattern is a text to be looked for as it is, or with re a regular expression (RE2's syntax), which sees each line by
// itself: ErrPattern.
func NewPattern(text string, re, ignoreCase bool) (Pattern, error) {
	if !re {
		if !ignoreCase {
			return Pattern{texts: [][]byte{[]byte(text)}}, nil
		}
		if isASCII(text) {
			return Pattern{texts: [][]byte{bytes.ToLower([]byte(text))}, fold: true}, nil
		}
		text = regexp.QuoteMeta(text)
	}
	if ignoreCase {
		text = "(?i:" + text + ")"
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return Pattern{}, fmt.Errorf("%w: %w", ErrPattern, err)
	}
	tree = withinLines(tree)
	program, err := syntax.Compile(tree.Simplify())
	if err == nil && len(program.Inst) > searchProgram {
		err = errors.New("it is too large")
	}
	if err != nil {
		return Pattern{}, fmt.Errorf("%w: %w", ErrPattern, err)
	}
	compiled, err := regexp.Compile(tree.String())
	if err != nil {
		return Pattern{}, fmt.Errorf("%w: %w", ErrPattern, err)
	}
	p := Pattern{re: compiled, fold: true}
	for _, text := range required(tree) {
		p.texts = append(p.texts, []byte(text))
	}
	return p, nil
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > 127 })
}

// withinLines has an expression match within lines only, so that many can be looked at in one go.
func withinLines(tree *syntax.Regexp) *syntax.Regexp {
	for i, sub := range tree.Sub {
		tree.Sub[i] = withinLines(sub)
	}
	switch tree.Op {
	case syntax.OpBeginText:
		tree.Op = syntax.OpBeginLine
	case syntax.OpEndText:
		tree.Op, tree.Flags = syntax.OpEndLine, tree.Flags&^syntax.WasDollar
	case syntax.OpAnyChar:
		tree.Op = syntax.OpAnyCharNotNL
	case syntax.OpLiteral:
		for _, r := range tree.Rune {
			if r == '\n' {
				return &syntax.Regexp{Op: syntax.OpNoMatch}
			}
		}
	case syntax.OpCharClass:
		var ranges []rune
		for i := 0; i+1 < len(tree.Rune); i += 2 {
			low, high := tree.Rune[i], tree.Rune[i+1]
			if low > '\n' || high < '\n' {
				ranges = append(ranges, low, high)
				continue
			}
			if low < '\n' {
				ranges = append(ranges, low, '\n'-1)
			}
			if high > '\n' {
				ranges = append(ranges, '\n'+1, high)
			}
		}
		tree.Rune = ranges
		if len(ranges) == 0 {
			return &syntax.Regexp{Op: syntax.OpNoMatch}
		}
	}
	return tree
}

// required are texts in small letters of which one, in whatever letters, is in all that the expression matches;
// none where that is not known, or there are too many.
func required(tree *syntax.Regexp) []string {
	switch tree.Op {
	case syntax.OpLiteral:
		if text := string(tree.Rune); len(text) > 1 && isASCII(text) && !folds(text, tree.Flags) {
			return []string{strings.ToLower(text)}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(tree.Sub[0])
	case syntax.OpRepeat:
		if tree.Min > 0 {
			return required(tree.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range tree.Sub {
			if texts := required(sub); shortest(texts) > shortest(best) {
				best = texts
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range tree.Sub {
			texts := required(sub)
			if len(texts) == 0 || len(all)+len(texts) > 8 {
				return nil
			}
			all = append(all, texts...)
		}
		return all
	}
	return nil
}

// folds says whether letters beyond ASCII are the same as some of the text: the long s, and the sign of kelvin.
func folds(text string, flags syntax.Flags) bool {
	return flags&syntax.FoldCase != 0 && strings.ContainsAny(text, "skSK")
}

func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	n := len(texts[0])
	for _, text := range texts {
		n = min(n, len(text))
	}
	return n
}

// finder looks for a pattern in a text, from its start to its end.
type finder struct {
	pattern Pattern
	text    []byte
	compare []byte // where the texts are looked for
	next    []int  // where each text is next; before the place asked for: to be looked for again
}

func (p Pattern) in(text []byte) *finder {
	f := &finder{pattern: p, text: text, compare: text, next: make([]int, len(p.texts))}
	if p.fold && len(p.texts) > 0 {
		f.compare = asciiLower(text)
	}
	for i := range f.next {
		f.next[i] = -1
	}
	return f
}

// find is the first match in text[at:end], which are whole lines, or -1. An empty match counts.
func (f *finder) find(at, end int) (match, length int) {
	if len(f.pattern.texts) == 0 {
		if place := f.pattern.re.FindIndex(f.text[at:end]); place != nil && (at+place[0] < end || at == end) {
			return at + place[0], place[1] - place[0]
		}
		return -1, 0
	}
	for at < end {
		hit, i := len(f.text), 0
		for n, text := range f.pattern.texts {
			if f.next[n] < at {
				f.next[n] = len(f.text)
				if found := bytes.Index(f.compare[at:], text); found >= 0 {
					f.next[n] = at + found
				}
			}
			if f.next[n] < hit {
				hit, i = f.next[n], n
			}
		}
		if hit >= end {
			return -1, 0
		}
		if f.pattern.re == nil {
			return hit, len(f.pattern.texts[i])
		}
		begin, behind := at+bytes.LastIndexByte(f.text[at:hit], '\n')+1, end
		if n := bytes.IndexByte(f.text[hit:end], '\n'); n >= 0 {
			behind = hit + n + 1
		}
		if place := f.pattern.re.FindIndex(bytes.TrimSuffix(f.text[begin:behind], []byte{'\n'})); place != nil {
			return begin + place[0], place[1] - place[0]
		}
		at = behind
	}
	return -1, 0
}

// asciiLower makes A to Z small, and keeps every byte's place.
func asciiLower(text []byte) []byte {
	lower := bytes.Clone(text)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return lower
}
