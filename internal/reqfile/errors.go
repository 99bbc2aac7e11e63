package reqfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"reqpm/internal/tomltree"
)

// What can be wrong with a file, for callers that decide by it.
var (
	ErrOutside  = errors.New("outside the project's folder")
	ErrLoop     = errors.New("files include each other in a loop")
	ErrBinary   = errors.New("not a text file")
	ErrTooLarge = tomltree.ErrTooLarge
	ErrNoFetch  = errors.New("remote files are not allowed here")
	// ErrFormat: a lock file of a version of its format that is not known here.
	ErrFormat = errors.New("a version of the format that ReqPM does not know")
)

// Bounds. They are far above what real projects have (the largest of 109 files
// measured had 7,000 lines) and far below what would hurt.
const (
	maxFileBytes  = 5 << 20
	maxLockBytes  = 16 << 20 // locks of large workspaces have some megabytes
	maxTotalBytes = 32 << 20
	maxFiles      = 100
	maxDepth      = 20
	maxErrors     = 20
	maxWarnings   = 1000

	maxRequirements = 100_000
	maxTextBytes    = 64 << 10 // of one requirement
	maxHashes       = 2000     // of one requirement
)

// Error is one thing wrong with a requirement or a file: what Text at Position
// is not, and why. errors.Is and errors.As see through it to Err.
type Error struct {
	Position
	Text string // the text as written, "" when the file as a whole is meant
	Err  error
}

// Error says file:line, the text, and what is wrong; the text only once, as
// parsers of requirements repeat it.
func (e *Error) Error() string {
	what := e.Err.Error()
	if e.Text == "" || strings.Contains(what, strconv.Quote(e.Text)) {
		return e.Where() + ": " + what
	}
	return e.Where() + ": " + quote(e.Text) + ": " + what
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Where is "file:line", or "file" when no line is meant. Control characters of
// a hostile file name are shown as question marks.
func (p Position) Where() string {
	file := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, p.File)
	if p.Line <= 0 {
		return file
	}
	return file + ":" + strconv.Itoa(p.Line)
}

// Errors returns the single errors that err, as returned by Read, is made of, in
// the order they were found.
func Errors(err error) []*Error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*Error
		for _, e := range joined.Unwrap() {
			all = append(all, Errors(e)...)
		}
		return all
	}
	if one, ok := errors.AsType[*Error](err); ok {
		return []*Error{one}
	}
	return nil
}

// quote makes text from a file fit for one line of a message.
func quote(text string) string {
	const limit = 200
	if len(text) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return strconv.Quote(text)
}

// maskedError is an error whose message had the values of environment variables
// put back to their names: they are where people keep index passwords.
type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.err }

func mask(err error, values *strings.Replacer) error {
	if err == nil || values == nil {
		return err
	}
	return &maskedError{text: values.Replace(err.Error()), err: err}
}

// didYouMean writes names for a "did you mean" question.
func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strconv.Quote(n)
	}
	return fmt.Sprintf("; did you mean %s?", strings.Join(quoted, " or "))
}
