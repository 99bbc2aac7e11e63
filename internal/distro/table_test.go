package distro

import (
	"errors"
	"strings"
	"testing"

	"reqpm/internal/target"
)

func TestShippedTable(t *testing.T) {
	lines, err := readTable(tableText)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, l := range lines {
		key := l.dist + " " + l.minor + " " + l.name
		if seen[key] {
			t.Errorf("%s is in the table twice", key)
		}
		seen[key] = true
	}
	if tableDate() < "2026-01-01" {
		t.Errorf("the table's date is %q", tableDate())
	}
}

func TestTable(t *testing.T) {
	for name, want := range map[string]struct{ project, version, rpm, text string }{
		"el8-py311": {"requests", "2.28.1", "python3.11-requests", "2.28.1"},
		"el8-py36":  {"requests", "2.20.0", "python3-requests", "2.20.0"}, // raw, as EL 8's generator writes it
		"el9-py39":  {"requests", "2.25.1", "python3-requests", "2.25.1"},
		"el9-py312": {"pymysql", "1.1.0", "python3.12-PyMySQL", "1.1"},
		"el10":      {"requests", "2.32.4", "python3-requests", "2.32.4"},
	} {
		tgt, err := target.Find(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		set, err := Table{}.Provides(t.Context(), tgt)
		if err != nil {
			t.Fatal(err)
		}
		if set.Origin != FromTable || set.Reason == "" {
			t.Errorf("%s does not say that it is a table: %+v", name, set)
		}
		p, ok := set.Distribution(want.project)
		if !ok || p.RPM.Version != want.version || p.RPM.Name != want.rpm || p.Text != want.text {
			t.Errorf("%s: %+v", name, p)
		}
	}
	el7, err := target.Find(t.Context(), "el7")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Table{}).Provides(t.Context(), el7); !errors.Is(err, ErrUnknown) {
		t.Errorf("el7, of which the table has nothing: %v", err)
	}
}

func TestBadTableIsSaidWithItsLine(t *testing.T) {
	for _, text := range []string{".el9 3.9 six 1.15.0 python3-six", ".el9 3.9 Six 1.15.0 python3-six x", ".el9 3.9 six one python3-six x"} {
		if _, err := readTable("# head\n\n" + text + "\n"); err == nil || !strings.Contains(err.Error(), "table.txt:3") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReadRecords(t *testing.T) {
	for _, text := range []string{"", "package a 0 1 1 noarch r\nlicense x\nprovides\nrequires\nend\n\n"} {
		if _, err := readRecords(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"package a 0 1\n", "package a 0 1 1 noarch r\nprovides\n", "surprise\n"} {
		if _, err := readRecords(text); err == nil {
			t.Errorf("%q is taken for an answer", text)
		}
	}
}
