package distro

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/rpmname"
	"reqpm/internal/target"
)

//go:embed table.txt
var tableText string

// Table is the list that ships with ReqPM (table.txt), of a few releases and stacks, for planning
// where repositories cannot be asked. It knows names and versions, no releases, and nothing of
// what the packages require. It is a Provider.
type Table struct{}

// line is one line of the table.
type line struct{ dist, minor, name, version, rpm string }

var tableLines = sync.OnceValues(func() (lines []line, err error) { return readTable(tableText) })

// readTable reads "dist stack name version rpm source" lines.
func readTable(text string) (lines []line, err error) {
	n := 0
	for row := range strings.Lines(text) {
		n++
		f := strings.Fields(row)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) != 6 {
			return nil, fmt.Errorf("table.txt:%d: %d fields, not 6", n, len(f))
		}
		if _, err := pep440.Parse(f[3]); err != nil || pep508.NormalizeName(f[2]) != f[2] {
			return nil, fmt.Errorf("table.txt:%d: %s %s is no name and version", n, f[2], f[3])
		}
		lines = append(lines, line{f[0], f[1], f[2], f[3], f[4]})
	}
	return lines, nil
}

// Provides implements Provider.
func (Table) Provides(ctx context.Context, t target.Target) (*Set, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	lines, err := tableLines()
	if err != nil {
		return nil, err
	}
	var rpms []RPM
	for _, l := range lines {
		if l.dist != t.Dist || l.minor != t.Python.Minor() {
			continue
		}
		v, err := pep440.Parse(l.version)
		if err != nil {
			return nil, err
		}
		_, version := rpmname.Version(t, v)
		rpms = append(rpms, RPM{Name: l.rpm, Version: version, Repo: "the table", Provides: []string{rpmname.Dist(t, l.name) + " = " + rpmname.Provided(t, v)}})
	}
	if t.Kind != target.DNF || len(rpms) == 0 {
		return nil, &UnknownError{t.Name, fmt.Errorf("the table has nothing of its Python %s", t.Python.Minor())}
	}
	s := NewSet(t, FromTable, tableDate(), rpms)
	s.Reason = "the repositories were not asked"
	return s, nil
}

// tableDate is the date on the table's first line.
func tableDate() string {
	first, _, _ := strings.Cut(tableText, "\n")
	return first[strings.LastIndex(first, " ")+1:]
}
