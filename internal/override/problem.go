package override

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/near"
)

// Severity says whether a problem keeps the files from being used.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing wrong with a file.
type Problem struct {
	Position
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
}

func (p Problem) String() string {
	if p.Severity == Warning {
		return fmt.Sprintf("%s: warning: %s", p.Position, p.Message)
	}
	return fmt.Sprintf("%s: %s", p.Position, p.Message)
}

// Problems are all that was found. As an error they are mistakes in what the user wrote.
type Problems []Problem

// Error lists the errors, one a line.
func (ps Problems) Error() string {
	var lines []string
	for _, p := range ps {
		if p.Severity == Error {
			lines = append(lines, p.String())
		}
	}
	return strings.Join(lines, "\n")
}

// Errors counts those that are errors.
func (ps Problems) Errors() int {
	n := 0
	for _, p := range ps {
		if p.Severity == Error {
			n++
		}
	}
	return n
}

// Sorted are the problems by file and line, each once.
func (ps Problems) Sorted() Problems {
	ps = slices.Clone(ps)
	ps.sort()
	return slices.Compact(ps)
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

// didYouMean is the end of a message about a name that is not known, "" when none comes near.
func didYouMean(name string, known []string) string {
	best, found := max(2, len(name)/3)+1, ""
	plain := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	for _, k := range known {
		if d := near.Distance(plain, k); d < best {
			best, found = d, k
		}
	}
	if found == "" {
		return "; known are " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", found)
}
