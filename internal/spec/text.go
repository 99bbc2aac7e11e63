package spec

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What comes from outside reaches a spec file in two ways only: checked against one of
// these patterns, none of which admits white space, quotes, macros or shell
// characters, or as free text through plain and escape.
var (
	nameRE    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~^-]*$`)
	versionRE = regexp.MustCompile(`^[A-Za-z0-9._+~^]+$`)
	pypiRE    = regexp.MustCompile(`^[A-Za-z0-9._+!]+$`)
	projectRE = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	fileRE    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+!~-]*$`)
	hexRE     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	envRE     = regexp.MustCompile(`^[A-Z][A-Z0-9_]*=[A-Za-z0-9._+!:/@=,-]*$`)
)

const maxField = 255 // bytes of a name or file name

func checked(re *regexp.Regexp, what, s string) error {
	if len(s) > maxField || !re.MatchString(s) || strings.Contains(s, "..") {
		return fmt.Errorf("%s %.80q cannot be written into a spec file", what, s)
	}
	return nil
}

// plain makes one line of readable text: control, format and private characters and
// backslashes (which rpm's line reader gives a meaning) go, white space is collapsed. At
// most max characters remain, cut at a word where one ends near.
func plain(s string, max int) string {
	s = clip(s, 16*max+64)
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case r == utf8.RuneError || r == '\\' || !unicode.IsPrint(r):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return cut(b.String(), max)
}

func cut(s string, max int) string {
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	r := []rune(s)[:max]
	s = string(r)
	if i := strings.LastIndexByte(s, ' '); i > len(s)*2/3 {
		s = s[:i]
	}
	return strings.TrimRight(s, " ,;:-")
}

// escape doubles "%": rpm expands macros everywhere, in descriptions and comments, too.
func escape(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// maxSummary is what rpmlint accepts, in characters.
const maxSummary = 79

// summary is the Summary tag's text (not yet escaped); never empty.
func summary(s, name string) string {
	s = strings.TrimRight(plain(s, maxSummary), ". ")
	if s == "" || strings.EqualFold(s, "unknown") {
		return cut("Python package "+name, maxSummary)
	}
	return s
}

// description is one line that cannot be taken for a section or a conditional: rpm
// looks for those after expanding macros, so a doubled "%" at the start of a line would
// not help.
func description(s, name string) string {
	s = strings.TrimRight(plain(s, 500), ". ")
	if s == "" {
		return "Python package " + name + "."
	}
	if first, _ := utf8.DecodeRuneInString(s); !unicode.IsLetter(first) && !unicode.IsDigit(first) {
		s = "Python package " + name + ": " + s
	}
	return s + "."
}

var urlRE = regexp.MustCompile(`^https?://[A-Za-z0-9][!#-&()*-;=?-\[\]_a-z~]*$`)

// safeURL returns s when it can be written as a URL tag, else "".
func safeURL(s string) string {
	s = strings.TrimSpace(clip(s, 1000))
	if len(s) > 300 || !urlRE.MatchString(s) {
		return ""
	}
	if u, err := url.Parse(s); err != nil || u.Host == "" || u.User != nil {
		return ""
	}
	return s
}

// urlLabels in the order of preference (the well-known labels of PEP 753).
var urlLabels = []string{"homepage", "home", "source", "sourcecode", "github", "repository", "code", "documentation"}

// chooseURL picks the project's page from the metadata.
func chooseURL(home string, projectURLs []string) string {
	if u := safeURL(home); u != "" {
		return u
	}
	byLabel := map[string]string{}
	first := ""
	for i, line := range projectURLs {
		if i >= 100 {
			break
		}
		label, address, ok := strings.Cut(clip(line, 1000), ",")
		u := safeURL(address)
		if !ok || u == "" {
			continue
		}
		key := labelKey(label)
		if _, dup := byLabel[key]; !dup {
			byLabel[key] = u
		}
		if first == "" {
			first = u
		}
	}
	for _, l := range urlLabels {
		if u := byLabel[l]; u != "" {
			return u
		}
	}
	return first
}

// labelKey is PEP 753's normalisation: punctuation and white space go, lower case.
func labelKey(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
