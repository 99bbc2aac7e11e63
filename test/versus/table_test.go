package versus

import (
	"fmt"
	"strings"
	"testing"
)

func compareText(a, b string) int { return strings.Compare(a, b) }

// table is Markdown, as it stands in docs/benchmarks.md: one line a set, rows in order.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| Set | Packages, ours and uv's | Different |\n|---|---|---|\n")
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].set == rows[0].set {
			n++
		}
		var sizes, differ []string
		for _, r := range rows[:n] {
			sizes = append(sizes, r.python+": "+sizesOf(r))
			for _, d := range r.differ {
				differ = append(differ, r.python+": "+d.text())
			}
		}
		if len(differ) == 0 {
			differ = []string{"nothing"}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", rows[0].set, strings.Join(sizes, ", "), strings.Join(differ, "; "))
		rows = rows[n:]
	}
	return b.String()
}

func sizesOf(r row) string {
	switch ours, uv := said(r.ours), said(r.uv); {
	case r.ours.outcome != r.uv.outcome || ours != uv:
		return ours + " and " + uv
	case r.ours.outcome != solved:
		return "both " + ours
	default:
		return ours
	}
}

func (d difference) text() string {
	if d.name == "" {
		return d.class
	}
	return fmt.Sprintf("%s %s / %s (%s)", d.name, d.ours, d.uv, d.class)
}

func said(a answer) string {
	if a.outcome != solved {
		return a.outcome
	}
	return fmt.Sprint(len(a.packages))
}

func TestTable(t *testing.T) {
	none, one := answer{outcome: conflict}, answer{outcome: solved, packages: map[string]string{"a": "1"}}
	got := table([]row{
		{"first", "3.11", none, none, nil},
		{"first", "3.12", one, one, []difference{{"a", "1", "2", "no sdist"}}},
		{"second", "3.11", none, one, []difference{{"", conflict, solved, "Python"}}},
	})
	want := `| Set | Packages, ours and uv's | Different |
|---|---|---|
| first | 3.11: both no solution, 3.12: 1 | 3.12: a 1 / 2 (no sdist) |
| second | 3.11: no solution and 1 | 3.11: Python |
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestDifferences(t *testing.T) {
	ours := answer{outcome: solved, packages: map[string]string{"a": "1", "b": "2", "c": "3"}}
	uv := answer{outcome: solved, packages: map[string]string{"a": "1", "b": "3", "d": "4"}}
	want := "[{b 2 3 } {c 3 - } {d - 4 }]"
	if got := fmt.Sprint(differences(ours, uv)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	none := answer{outcome: conflict}
	if got := fmt.Sprint(differences(none, uv)); got != "[{ no solution solved }]" {
		t.Errorf("got %s", got)
	}
	if got := differences(none, none); len(got) != 0 {
		t.Errorf("two that find nothing differ in %v", got)
	}
}
