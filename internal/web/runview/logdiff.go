package runview

import (
	"regexp"
	"strings"

	"reqpm/internal/textdiff"
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

// DiffLogs compares two logs line by line, evened out, and gives what differs with so many lines around it. Where
// they differ too much to be compared in whole, the middle is given as taken out and put in.
func DiffLogs(older, newer []string, around int) []textdiff.Line {
	a, b := make([]string, len(older)), make([]string, len(newer))
	for i, line := range older {
		a[i] = Even(line)
	}
	for i, line := range newer {
		b[i] = Even(line)
	}
	return textdiff.Paired(older, newer, a, b, around)
}
