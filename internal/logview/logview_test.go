package logview_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/logview"
)

const build = `build lxml 5.3.0
==> lxml/1/root.log
install gcc
==> lxml/1/build.log
Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.a
+ cd lxml
Executing(%generate_buildrequires): /bin/sh
Executing(%build): /bin/sh
error: no header
trying again with libxml2-devel
==> lxml/2/root.log
install libxml2
==> lxml/2/build.log
Executing(%prep): /bin/sh
Executing(%build): /bin/sh
gcc -c x.c
fatal error: again
`

func TestPhasesAreFoundByTry(t *testing.T) {
	var x logview.Index
	if err := x.Extend(strings.NewReader(build)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range x.Sections() {
		got = append(got, fmt.Sprintf("%s %s %d", s.Try, s.Phase, s.From))
	}
	want := []string{"  1", "1 root 2", "1 prep 5", "1 build 8", "2 root 11", "2 prep 14", "2 build 15"}
	if !slices.Equal(got, want) {
		t.Errorf("sections %q, want %q", got, want)
	}
	if x.Lines() != 17 || x.Sections()[6].Phase != builder.PhaseBuild {
		t.Errorf("%d lines", x.Lines())
	}
	// Line 4 of a build.log: "fatal error: again" of the second try, "Executing(%build)" of the first.
	if got := x.InFile(4); !slices.Equal(got, []int{17, 8}) {
		t.Errorf("line 4 of the build's log is %v", got)
	}
}

func TestALogGrowsInTheMiddleOfALine(t *testing.T) {
	var x logview.Index
	for n := range len(build) {
		if err := x.Extend(strings.NewReader(build[:n])); err != nil {
			t.Fatal(err)
		}
		if want := len(strings.Split(strings.TrimSuffix(build[:n], "\n"), "\n")); n > 0 && x.Lines() != want {
			t.Fatalf("%d lines of %d bytes, want %d", x.Lines(), n, want)
		}
	}
	lines, err := x.Read(strings.NewReader(build), 16, 5)
	if err != nil || len(lines) != 2 || string(lines[0]) != "gcc -c x.c" {
		t.Errorf("lines %q, %v", lines, err)
	}
}

func TestHostileTextIsText(t *testing.T) {
	for name, c := range map[string]struct{ line, text, json string }{
		"markup":       {"<script>alert(1)</script>", "<script>alert(1)</script>", ""},
		"colour":       {"\x1b[1;31mred\x1b[0m plain", "red plain", `["",[["a-r a-b","red"],["","plain"]]]`},
		"clear screen": {"\x1b[2Jgone", "␛[2Jgone", ""},
		"title":        {"\x1b]0;owned\x07", "␛]0;owned␇", ""},
		"link":         {"\x1b]8;;https://evil.example\x1b\\x", "␛]8;;https://evil.example␛\\x", ""},
		"overwrite":    {"failed\rsucceeded", "failed␍succeeded", ""},
		"backspace":    {"no\b\bok", "no␈␈ok", ""},
		"direction":    {"a\u202egnp.exe", "a⟨U+202E⟩gnp.exe", ""},
		"zero width":   {"pip\u200binstall", "pip⟨U+200B⟩install", ""},
		"no UTF-8":     {"caf\xe9", `caf\xe9`, ""},
		"256 colours":  {"\x1b[38;5;9mx\x1b[38;2;1;2;3my", "xy", ""},
		"endless":      {"\x1b[" + strings.Repeat("1;", 100), "␛[" + strings.Repeat("1;", 100), ""},
	} {
		l := logview.Render([]byte(c.line))
		if l.Text() != c.text {
			t.Errorf("%s: %q, want %q", name, l.Text(), c.text)
		}
		if text, err := json.Marshal(l); err != nil || c.json != "" && string(text) != strings.ReplaceAll(c.json, `"plain"`, `" plain"`) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

func TestSearchSeesThroughColours(t *testing.T) {
	hits, err := logview.Search(context.Background(), strings.NewReader("a\nLib\x1b[31mXML\x1b[0m2\nlibxml\nlibxm\nLIBXML"), "libxml", 2)
	if err != nil || hits.Total != 3 || !slices.Equal(hits.Lines, []int{2, 3}) {
		t.Errorf("%+v, %v", hits, err)
	}
}

// TestFiftyMegabytes is issue 7's: such a log opens within two seconds and is searched within one. The bounds
// here are for a slow machine under the race detector.
func TestFiftyMegabytes(t *testing.T) {
	var b bytes.Buffer
	for n := 1; b.Len() < 50<<20; n++ {
		fmt.Fprintf(&b, "gcc -O2 -g -fexceptions -Isrc/lxml/includes -c src/lxml/file%07d.c -o build/file.o\n", n)
	}
	log := bytes.NewReader(b.Bytes())
	var x logview.Index
	began := time.Now()
	if err := x.Extend(log); err != nil {
		t.Fatal(err)
	}
	lines, err := x.Read(log, 500_000, 200)
	opened := time.Since(began)
	if err != nil || len(lines) != 200 || !strings.Contains(string(lines[0]), "file0500000.c") {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	began = time.Now()
	hits, err := logview.Search(context.Background(), log, "FILE0612345", 100)
	searched := time.Since(began)
	if err != nil || !slices.Equal(hits.Lines, []int{612345}) && x.Lines() >= 612345 {
		t.Fatalf("%+v, %v", hits, err)
	}
	t.Logf("%d lines opened in %v, searched in %v", x.Lines(), opened, searched)
	if opened > 4*time.Second || searched > 4*time.Second {
		t.Errorf("opened in %v, searched in %v", opened, searched)
	}
}
