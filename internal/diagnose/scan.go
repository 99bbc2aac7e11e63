package diagnose

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on what is read and kept of a log.
const (
	maxRead     = 64 << 20
	maxLine     = 4 << 10 // bytes of a line that are looked at
	maxText     = 300     // bytes of a line that are shown
	maxFindings = 20
	maxMatches  = 500 // of all rules in one log: a log that matches more says nothing more
	maxEvidence = 3
	excerptSize = 14
	window      = 40 // lines before an error that may belong to it
)

// rule is one pattern. A line is held against re only when it contains one of signs, which are in
// lower case, so that a log of millions of lines is read at the speed of a search.
type rule struct {
	signs []string
	re    *regexp.Regexp
	// see makes a finding of a match; one without a title is none.
	see func(m []string, f Facts) Finding
}

// scan is one reading of a log.
type scan struct {
	facts   Facts
	rules   []rule
	line    int
	matches []match
	errors  errorTrail
}

type match struct {
	Finding
	line int
}

// askedRequirements ends a round of %generate_buildrequires (rpm 4.15 and later): what rpmbuild called missing before
// it was not a failure, but what is installed for the next round.
var askedRequirements = regexp.MustCompile(`^Wrote: \S+\.buildreqs\.nosrc\.rpm$`)

func newScan(f Facts) *scan { return &scan{facts: f, rules: allRules()} }

func (s *scan) read(log io.Reader) error {
	r := bufio.NewReaderSize(io.LimitReader(log, maxRead), 64<<10)
	for {
		text, err := readLine(r)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		s.line++
		s.see(clean(text))
	}
}

// readLine is the next line, without its end and cut at maxLine.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part[:min(len(part), maxLine-len(line))]...)
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(line)+len(part) > 0:
			return strings.TrimRight(string(line), "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

// escape is a terminal's control sequence (ECMA-48).
var escape = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]")

// clean makes a line harmless: without terminal sequences and control characters, UTF-8.
func clean(s string) string {
	if strings.IndexByte(s, 0x1b) >= 0 {
		s = escape.ReplaceAllString(s, "")
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "?")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff', unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
}

// shown is a line as evidence.
func shown(s string) string {
	s = strings.TrimRight(s, " ")
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

func (s *scan) see(text string) {
	if askedRequirements.MatchString(text) {
		s.matches = slices.DeleteFunc(s.matches, func(m match) bool { return m.Cause == MissingRequirement })
		return
	}
	s.errors.see(s.line, text)
	if len(s.matches) >= maxMatches {
		return
	}
	lower := strings.ToLower(text)
	for _, r := range s.rules {
		if !containsAny(lower, r.signs) {
			continue
		}
		m := r.re.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		x := r.see(m, s.facts)
		if x.Title == "" {
			continue
		}
		x.Evidence = append([]Line{{s.line, shown(text)}}, x.Evidence...)
		s.matches = append(s.matches, match{x, s.line})
	}
}

func containsAny(text string, signs []string) bool {
	for _, sign := range signs {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// findings are the matches, surer the nearer they are to the end of the log: what a configure
// script only tries is said far from it.
func (s *scan) findings() []Finding {
	found := make([]Finding, 0, len(s.matches))
	for _, m := range s.matches {
		x := m.Finding
		if s.line-m.line > 400 {
			x.sure -= 15
		}
		if !s.errors.near(m.line) {
			x.sure -= 10
		}
		found = append(found, x)
	}
	return found
}

// errorTrail remembers where a log first says that something is wrong, with the lines before it.
type errorTrail struct {
	recent   []Line // the last lines
	first    []Line // those around the first error, complete when excerptSize long
	traced   []Line // the last traceback
	inTrace  bool
	errors   []int // lines of errors, the first and last ones
	lastLine int
}

var (
	// errorStart is a line that tells of an error; what rpmbuild and make say about it afterwards is
	// left out by noise.
	errorStart = regexp.MustCompile(`(?i)(^|[\s:(\[*])(fatal error|error|undefined reference|cannot find|no such file or directory|command not found|killed|panicked at|failed)([\s:!\])]|$)|^[A-Za-z_.]*(Error|Exception|Conflict)\b`)
	noise      = regexp.MustCompile(`(?i)bad exit status|RPM build errors|-Werror|Wno-error|error-format|make(\[\d+\])?: \*\*\*|ninja: build stopped|subprocess-exited-with-error|errors? terminate|error_|_error|\berrors?\.(py|c|h|o|pyc|rst|txt|html)\b|0 errors|no error|copying |adding |creating |writing |^\+ `)
)

func (t *errorTrail) see(number int, text string) {
	t.lastLine = number
	line := Line{number, shown(text)}
	t.recent = append(t.recent, line)
	if len(t.recent) > window {
		t.recent = t.recent[1:]
	}
	t.trace(line, text)
	if strings.TrimSpace(text) == "" || len(text) > 1000 || !errorStart.MatchString(text) || noise.MatchString(text) {
		if n := len(t.first); n > 0 && n < excerptSize {
			t.first = append(t.first, line)
		}
		return
	}
	if len(t.errors) >= 64 {
		t.errors = append(t.errors[:32], t.errors[33:]...)
	}
	t.errors = append(t.errors, number)
	if n := len(t.first); n == 0 {
		t.first = append(t.first, t.recent[max(0, len(t.recent)-5):]...)
	} else if n < excerptSize {
		t.first = append(t.first, line)
	}
}

// trace follows tracebacks: the last one is what ended a Python build.
func (t *errorTrail) trace(line Line, text string) {
	switch {
	case strings.Contains(text, "Traceback (most recent call last):"):
		t.traced, t.inTrace = []Line{line}, true
	case !t.inTrace:
	case len(t.traced) > 200:
		t.inTrace = false
	default:
		t.traced = append(t.traced, line)
		if text != "" && text[0] != ' ' {
			t.inTrace = false
		}
	}
}

// near tells whether a line is at one that calls itself an error, or in the log's last part.
func (t *errorTrail) near(line int) bool {
	if t.lastLine-line < window {
		return true
	}
	for _, e := range t.errors {
		if line-e < window && e-line < window {
			return true
		}
	}
	return false
}

// excerpt is what to read first when nothing was recognised: the end of the last traceback, else the
// first error with what is around it, else the end.
func (s *scan) excerpt() []Line {
	t := &s.errors
	if n := len(t.traced); n > 1 {
		return t.traced[max(0, n-excerptSize):]
	}
	if len(t.first) > 0 {
		return t.first
	}
	return t.recent[max(0, len(t.recent)-excerptSize):]
}
