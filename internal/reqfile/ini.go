package reqfile

import (
	"strings"
)

// iniLine is one line of a value, trimmed.
type iniLine struct {
	number int
	text   string
}

// iniValue is a value: what stands behind the sign on its first line, and the
// indented lines below.
type iniValue struct {
	line  int // of the key
	lines []iniLine
}

// text is the value in one string, its lines joined by newlines.
func (v iniValue) text() string {
	var list []string
	for _, l := range v.lines {
		list = append(list, l.text)
	}
	return strings.Join(list, "\n")
}

type iniSection struct {
	name   string
	line   int
	keys   []string // in order of appearance
	values map[string]iniValue
}

// iniFile is a file as Python's configparser reads it, without interpolation.
type iniFile struct {
	sections []*iniSection
	byName   map[string]*iniSection
}

// section is nil when there is none of that name.
func (f iniFile) section(name string) *iniSection { return f.byName[name] }

// get is nil-safe; ok is false for a key that is not there.
func (s *iniSection) get(key string) (v iniValue, ok bool) {
	if s == nil {
		return iniValue{}, false
	}
	v, ok = s.values[key]
	return v, ok
}

// parseINI takes what configparser would refuse, too: it is for whoever uses the
// file to refuse it. Keys are in lower case, a repeated section goes on.
func parseINI(text string) iniFile {
	f := iniFile{byName: map[string]*iniSection{}}
	var section *iniSection
	key, number := "", 0
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		number++
		line = strings.TrimRightFunc(line, isSpace)
		body := strings.TrimLeftFunc(line, isSpace)
		switch indented := len(body) < len(line); {
		case body == "" || body[0] == '#' || body[0] == ';':
		case indented && section != nil && key != "":
			v := section.values[key]
			v.lines = append(v.lines, iniLine{number, body})
			section.values[key] = v
		case body[0] == '[' && strings.Contains(body, "]"):
			name := strings.TrimFunc(body[1:strings.LastIndexByte(body, ']')], isSpace)
			if section = f.section(name); section == nil {
				section = &iniSection{name: name, line: number, values: map[string]iniValue{}}
				f.sections = append(f.sections, section)
				f.byName[name] = section
			}
			key = ""
		case section != nil:
			i := strings.IndexAny(body, "=:")
			if i < 0 {
				key = ""
				continue
			}
			key = strings.ToLower(strings.TrimFunc(body[:i], isSpace))
			v := iniValue{line: number}
			if value := strings.TrimFunc(body[i+1:], isSpace); value != "" {
				v.lines = []iniLine{{number, value}}
			}
			if _, ok := section.values[key]; !ok {
				section.keys = append(section.keys, key)
			}
			section.values[key] = v
		}
	}
	return f
}
