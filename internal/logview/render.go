package logview

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Span is a run of text of one look.
type Span struct {
	Class string // of the style sheet: "a-r a-b"; "": plain
	Text  string
}

// Line is a line of a log to be shown.
type Line struct {
	Kind  string // "dim": what a shell says that it runs; "exec": where a script begins; "": all else
	Spans []Span
}

// MarshalJSON writes the text alone where it is plain, else [kind, text] or [kind, [[class, text], …]]: a log
// has many lines.
func (l Line) MarshalJSON() ([]byte, error) {
	switch {
	case len(l.Spans) == 0:
		return []byte(`""`), nil
	case len(l.Spans) == 1 && l.Spans[0].Class == "" && l.Kind == "":
		return json.Marshal(l.Spans[0].Text)
	case len(l.Spans) == 1 && l.Spans[0].Class == "":
		return json.Marshal([]string{l.Kind, l.Spans[0].Text})
	}
	spans := make([][2]string, len(l.Spans))
	for i, s := range l.Spans {
		spans[i] = [2]string{s.Class, s.Text}
	}
	return json.Marshal([]any{l.Kind, spans})
}

// Render takes a line apart. Colours, bold and the like (ECMA-48, SGR) become classes; every other escape
// sequence, control character, mark of direction, invisible character and byte that is no UTF-8 is shown for what it is.
func Render(line []byte) Line {
	var l Line
	switch {
	case bytes.HasPrefix(line, []byte("Executing(%")):
		l.Kind = "exec"
	case bytes.HasPrefix(line, []byte("+ ")), bytes.HasPrefix(line, []byte("++ ")), bytes.HasPrefix(line, []byte("==> ")):
		l.Kind = "dim"
	}
	var look look
	var text strings.Builder
	class := ""
	flush := func(next string) {
		if text.Len() > 0 {
			l.Spans = append(l.Spans, Span{class, text.String()})
			text.Reset()
		}
		class = next
	}
	for len(line) > 0 {
		if params, n := colour(line); n > 0 {
			look.set(params)
			line = line[n:]
			if next := look.class(); next != class {
				flush(next)
			}
			continue
		}
		r, n := utf8.DecodeRune(line)
		if shown := visible(r, n, line[0]); shown != "" {
			was := class
			flush("a-x")
			text.WriteString(shown)
			flush(was)
		} else {
			text.Write(line[:n])
		}
		line = line[n:]
	}
	flush("")
	return l
}

// Text is a line as it is shown, without looks.
func (l Line) Text() string {
	var b strings.Builder
	for _, s := range l.Spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

// visible is what stands for a character that would not be seen, or would change how others are; "" for all that
// is itself.
func visible(r rune, n int, first byte) string {
	switch {
	case r == utf8.RuneError && n <= 1:
		return fmt.Sprintf(`\x%02x`, first)
	case r == '\t':
		return ""
	case r < 0x20:
		return string(0x2400 + r) // the picture of the control character
	case r == 0x7f:
		return "␡"
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029', unicode.Is(unicode.Co, r), r == '\u3164', r == '\u115f', r == '\u1160', r == '\uffa0':
		return fmt.Sprintf("⟨U+%04X⟩", r)
	}
	return ""
}

// colour is the parameters of the SGR sequence that text begins with, and its length; 0: it begins with none.
func colour(text []byte) (params string, n int) {
	if len(text) < 3 || text[0] != 0x1b || text[1] != '[' {
		return "", 0
	}
	for i := 2; i < len(text) && i < 40; i++ {
		switch c := text[i]; {
		case c == 'm':
			return string(text[2:i]), i + 1
		case c != ';' && (c < '0' || c > '9'):
			return "", 0
		}
	}
	return "", 0
}

// look is how text is set.
type look struct {
	colour                       string
	bold, dim, italic, underline bool
}

var colours = [8]string{"a-k", "a-r", "a-g", "a-y", "a-l", "a-m", "a-c", ""}

func (l *look) set(params string) {
	codes := strings.Split(params, ";")
	for i := 0; i < len(codes); i++ {
		code, _ := strconv.Atoi(codes[i]) // "" is 0
		switch {
		case code == 0:
			*l = look{}
		case code == 1:
			l.bold = true
		case code == 2:
			l.dim = true
		case code == 3:
			l.italic = true
		case code == 4:
			l.underline = true
		case code == 22:
			l.bold, l.dim = false, false
		case code == 23:
			l.italic = false
		case code == 24:
			l.underline = false
		case code >= 30 && code <= 37:
			l.colour = colours[code-30]
		case code >= 90 && code <= 97:
			l.colour = colours[code-90]
		case code == 39:
			l.colour = ""
		case code == 38 || code == 48:
			i = l.extended(code, codes, i)
		}
	}
}

// extended reads 38;5;N and 38;2;R;G;B: of 256 colours the first sixteen have names here, the others are none.
func (l *look) extended(code int, codes []string, i int) int {
	if i+1 >= len(codes) {
		return i
	}
	if codes[i+1] == "2" {
		return i + 4
	}
	if i+2 < len(codes) && code == 38 {
		l.colour = ""
		if n, err := strconv.Atoi(codes[i+2]); err == nil && n < 16 {
			l.colour = colours[n%8]
		}
	}
	return i + 2
}

func (l *look) class() string {
	var classes []string
	if l.colour != "" {
		classes = append(classes, l.colour)
	}
	for _, c := range []struct {
		on   bool
		name string
	}{{l.bold, "a-b"}, {l.dim, "a-d"}, {l.italic, "a-i"}, {l.underline, "a-u"}} {
		if c.on {
			classes = append(classes, c.name)
		}
	}
	return strings.Join(classes, " ")
}
