package blob

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

// keepLog writes a log; finished ones are compressed.
func keepLog(t testing.TB, logs *Logs, name string, text []byte, finished bool) *LogReader {
	t.Helper()
	w, err := logs.Create(name)
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	if finished {
		err = w.Close()
	} else {
		t.Cleanup(func() { _ = w.Close() })
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := logs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func openLogs(t testing.TB) *Logs {
	t.Helper()
	logs, err := OpenLogs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return logs
}

func pattern(t testing.TB, text string, re, fold bool) Pattern {
	t.Helper()
	p, err := NewPattern(text, re, fold)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// searchAll goes on until the end, in as many calls as it takes.
func searchAll(t testing.TB, r *LogReader, s Search) (hits []Hit, calls int) {
	t.Helper()
	for {
		found, err := r.Search(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		hits, calls = append(hits, found.Hits...), calls+1
		if found.End || found.Running && found.Next == s.From {
			return hits, calls
		}
		if found.Next == s.From {
			t.Fatalf("it stays at %+v of %d", s.From, found.Size)
		}
		s.From = found.Next
	}
}

const unlimited = 1 << 40

// A search finds the lines that looking at each by itself finds, whatever the log and however it is cut into calls.
func TestSearchFindsEveryLine(t *testing.T) {
	logs := openLogs(t)
	random := rand.New(rand.NewPCG(1, 2))
	var text bytes.Buffer
	for text.Len() < 5<<18 { // two blocks
		line := bytes.Repeat([]byte("ab c\xffé "), random.IntN(40))
		switch random.IntN(50) {
		case 0:
			line = append(line, "Error: no such file"...)
		case 1:
			line = append([]byte("error 17 "), line...)
		case 2:
			line = append(line, '\r')
		}
		text.Write(line)
		text.WriteByte('\n')
	}
	text.WriteString("the last line has an error and no end")
	lines := bytes.Split(text.Bytes(), []byte{'\n'})
	r := keepLog(t, logs, "log", text.Bytes(), true)
	for _, test := range []struct {
		text     string
		re, fold bool
		oracle   string
	}{
		{"error", false, false, `error`},
		{"ERROR", false, true, `(?i)error`},
		{"no such file", false, false, `no such file`},
		{`^error \d+`, true, false, `^error \d+`},
		{`(?s)e.*file$`, true, false, `e.*file$`},
		{`\Aerror`, true, false, `^error`},
		{`end\z`, true, false, `end$`},
		{`error[^x]*e`, true, true, `(?i)error[^x]*e`},
		{`é`, false, true, `é`},
		{`(?i)NO SUCH|(17|18) ab`, true, false, `(?i)no such|(17|18) ab`},
		{`fi(le|ne)$`, true, true, `(?i)fi(le|ne)$`},
		{`(error|Error)+.{3,9}file`, true, false, `(error|Error)+.{3,9}file`},
		{`^$`, true, false, `^$`},
		{"nowhere at all", false, false, `nowhere at all`},
	} {
		oracle := regexp.MustCompile(test.oracle)
		var want []string
		offset := 0
		for n, line := range lines {
			if oracle.Match(line) && offset < text.Len() {
				want = append(want, fmt.Sprint(n+1, " ", offset))
			}
			offset += len(line) + 1
		}
		for _, hits := range []int{700, unlimited} {
			found, _ := searchAll(t, r, Search{Pattern: pattern(t, test.text, test.re, test.fold), Hits: hits, Bytes: 700_000, Time: time.Minute})
			var got []string
			for _, h := range found {
				got = append(got, fmt.Sprint(h.Line, " ", h.Offset))
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%q, %d at a time: %d lines, not %d; first %.60q and %.60q", test.text, hits, len(got), len(want), got, want)
			}
		}
	}
}

func TestSearchShowsTheLinesAround(t *testing.T) {
	r := keepLog(t, openLogs(t), "log", []byte("one\ntwo\r\nthree\nfour\nfive"), true)
	found, err := r.Search(t.Context(), Search{Pattern: pattern(t, "T", false, true), Hits: 10, Near: 2, Bytes: unlimited, Time: time.Minute})
	if err != nil || !found.End || len(found.Hits) != 2 {
		t.Fatalf("%+v %v", found, err)
	}
	got := fmt.Sprintf("%v %v", found.Hits[0], found.Hits[1])
	if got != "{2 4 two 4 1 [one] [three four]} {3 9 three 9 1 [one two] [four five]}" {
		t.Error(got)
	}
	long := keepLog(t, openLogs(t), "log", append(bytes.Repeat([]byte{'x'}, 3<<20), "needle"...), true)
	found, err = long.Search(t.Context(), Search{Pattern: pattern(t, "needle", false, false), Hits: 10, Bytes: unlimited, Time: time.Minute})
	if err != nil || len(found.Hits) != 1 || len(found.Hits[0].Text) > lineShown || !strings.Contains(found.Hits[0].Text, "needle") || found.Hits[0].Match != 3<<20 {
		t.Errorf("%.200v %v", found, err)
	}
}

// The last line of a growing log is found once, when it is whole.
func TestSearchOfAGrowingLog(t *testing.T) {
	logs := openLogs(t)
	w, err := logs.Create("log")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "an error\nhalf an err")
	r, err := logs.Open("log")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := Search{Pattern: pattern(t, "error", false, false), Hits: 10, Bytes: unlimited, Time: time.Minute}
	found, err := r.Search(t.Context(), s)
	if err != nil || len(found.Hits) != 1 || found.End || !found.Running || found.Next != (Place{9, 1}) {
		t.Fatalf("%+v %v", found, err)
	}
	fmt.Fprint(w, "or\nmore error")
	s.From = found.Next
	if found, err = r.Search(t.Context(), s); err != nil || len(found.Hits) != 1 || found.Hits[0].Text != "half an error" || found.Hits[0].Line != 2 {
		t.Fatalf("%+v %v", found, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.From = found.Next
	if found, err = r.Search(t.Context(), s); err != nil || len(found.Hits) != 1 || !found.End || found.Hits[0].Line != 3 {
		t.Fatalf("%+v %v", found, err)
	}
}

func TestSearchRefuses(t *testing.T) {
	for _, text := range []string{"(", "a{1000}{1000}", "(a{30}){30}(b{30}){30}(c{30}){30}", `\C`, "[z-a]"} {
		if _, err := NewPattern(text, true, false); !errors.Is(err, ErrPattern) {
			t.Errorf("%s: %v", text, err)
		}
	}
	r := keepLog(t, openLogs(t), "log", []byte("one\ntwo\n"), false)
	for _, from := range []Place{{1, 0}, {-1, 0}, {99, 1}, {4, -1}, {4, 9}} {
		if _, err := r.Search(t.Context(), Search{Pattern: pattern(t, "o", false, false), From: from, Hits: 1, Bytes: unlimited, Time: time.Minute}); !errors.Is(err, ErrPlace) {
			t.Errorf("%+v: %v", from, err)
		}
	}
}

// 50 MB of a build's log; a second may pass.
func BenchmarkSearch(b *testing.B) {
	var text bytes.Buffer
	for n := 0; text.Len() < 50_000_000; n++ {
		fmt.Fprintf(&text, "[%d] gcc -O2 -g -pipe -Wall -I/usr/include/python3.9 -c src/module_%d.c -o build/temp/module_%d.o\n", n, n, n)
	}
	logs := openLogs(b)
	for _, kind := range []string{"finished", "running"} {
		r := keepLog(b, logs, kind, text.Bytes(), kind == "finished")
		for _, p := range []Pattern{pattern(b, "undefined reference", false, false), pattern(b, "undefined reference", false, true), pattern(b, `error: .*undeclared`, true, false), pattern(b, `(?i)fatal|panic`, true, false), pattern(b, `module_(\d+)\.x`, true, false)} {
			name := string(p.texts[0])
			if p.re != nil {
				name = p.re.String()
			}
			b.Run(fmt.Sprint(kind, "/", name, "/", p.fold), func(b *testing.B) {
				b.SetBytes(int64(text.Len()))
				for b.Loop() {
					if found, err := r.Search(b.Context(), Search{Pattern: p, Hits: 100, Bytes: unlimited, Time: time.Hour}); err != nil || len(found.Hits) > 0 {
						b.Fatal(found, err)
					}
				}
			})
		}
	}
}
