package reqfile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// logicalLine is one line as pip sees it: continuation lines joined, comment and
// surrounding white space gone.
type logicalLine struct {
	number int // of its first physical line, from 1, as an editor counts
	text   string
}

// eachLogicalLine calls f for every line that is not empty, until f returns false.
func eachLogicalLine(text string, f func(logicalLine) bool) {
	var joined strings.Builder
	first := 0
	emit := func(number int, line string) bool {
		line = strings.TrimFunc(stripComment(line), isSpace)
		return line == "" || f(logicalLine{number: number, text: line})
	}
	number := 1
	for text != "" {
		line, rest, newline := cutLine(text)
		text = rest
		here := number
		if newline {
			number++
		}
		comment := startsComment(line)
		if strings.HasSuffix(line, `\`) && !comment {
			if first == 0 {
				first = here
			}
			joined.WriteString(strings.Trim(line, `\`))
			continue
		}
		if first != 0 {
			if comment { // so that it is recognised behind what was joined
				joined.WriteByte(' ')
			}
			joined.WriteString(line)
			line, here = joined.String(), first
			joined.Reset()
			first = 0
		}
		if !emit(here, line) {
			return
		}
	}
	if first != 0 {
		emit(first, joined.String())
	}
}

// cutLine cuts at the first line boundary of Python's str.splitlines. newline
// is false for the boundaries that editors do not count as lines.
func cutLine(text string) (line, rest string, newline bool) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\n':
			return text[:i], text[i+1:], true
		case c == '\r':
			if i+1 < len(text) && text[i+1] == '\n' {
				return text[:i], text[i+2:], true
			}
			return text[:i], text[i+1:], true
		case c == '\v' || c == '\f' || c >= 0x1c && c <= 0x1e:
			return text[:i], text[i+1:], false
		case c == 0xC2 && strings.HasPrefix(text[i:], "\u0085"):
			return text[:i], text[i+2:], false
		case c == 0xE2 && (strings.HasPrefix(text[i:], "\u2028") || strings.HasPrefix(text[i:], "\u2029")):
			return text[:i], text[i+3:], false
		}
	}
	return text, "", false
}

// startsComment tells whether a physical line is nothing but a comment.
func startsComment(line string) bool {
	return strings.HasPrefix(strings.TrimLeftFunc(line, isSpace), "#")
}

// stripComment removes a comment: a # at the start or behind white space. The #
// of a URL's fragment stays.
func stripComment(line string) string {
	for from := 0; ; {
		i := strings.IndexByte(line[from:], '#')
		if i < 0 {
			return line
		}
		i += from
		if i == 0 {
			return ""
		}
		before := strings.TrimRightFunc(line[:i], isSpace)
		if len(before) < i {
			return before
		}
		from = i + 1
	}
}

// isSpace is Python's idea of white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f || r == 0x1a }

// expandVariables replaces ${NAME} (capital letters, digits, underscores) by
// values that are set and not empty, as pip does. values undoes it for messages,
// nil when nothing was replaced; unset lists the names left as they are.
func expandVariables(line string, getenv func(string) (string, bool)) (out string, values *strings.Replacer, unset []string) {
	if !strings.Contains(line, "${") {
		return line, nil, nil
	}
	var b strings.Builder
	used := map[string]string{}
	for {
		i := strings.Index(line, "${")
		if i < 0 {
			break
		}
		b.WriteString(line[:i])
		line = line[i:]
		name := variableName(line[2:])
		if name == "" || !strings.HasPrefix(line[2+len(name):], "}") {
			b.WriteString(line[:2])
			line = line[2:]
			continue
		}
		whole := line[:len(name)+3]
		line = line[len(whole):]
		value, ok := "", false
		if getenv != nil {
			value, ok = getenv(name)
		}
		if ok && value != "" {
			b.WriteString(value)
			used[value] = whole
		} else {
			b.WriteString(whole)
			unset = append(unset, name)
		}
	}
	b.WriteString(line)
	if len(used) > 0 {
		values = hideValues(used)
	}
	return b.String(), values, unset
}

// hideValues replaces values by the ${NAME} they came from, longest first so
// that no part of a value is left.
func hideValues(used map[string]string) *strings.Replacer {
	values := slices.SortedFunc(maps.Keys(used), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, used[v])
	}
	return strings.NewReplacer(pairs...)
}

// variableName is the name that text starts with.
func variableName(text string) string {
	for i, r := range text {
		if r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return text[:i]
		}
	}
	return ""
}
