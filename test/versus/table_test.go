package versus

import (
	"fmt"
	"strings"
	"testing"
)

func compareText(a, b string) int { return strings.Compare(a, b) }

// table is Markdown, as it stands in docs/benchmarks.md.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| Set | Python | Ours | uv's | Same | Different |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		same := 0
		for name, version := range r.ours.packages {
			if r.uv.packages[name] == version {
				same++
			}
		}
		var differ []string
		for _, d := range r.differ {
			if d.name == "" {
				differ = append(differ, d.class)
				continue
			}
			differ = append(differ, fmt.Sprintf("%s %s / %s (%s)", d.name, d.ours, d.uv, d.class))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %s |\n", r.set, r.python, said(r.ours), said(r.uv), same, strings.Join(differ, ", "))
	}
	return b.String()
}

func said(a answer) string {
	if a.outcome != solved {
		return a.outcome
	}
	return fmt.Sprint(len(a.packages))
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
