package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"reqpm/internal/blob"
)

// Logs runs the suite of logs. What open gives opens the same logs again, as another process would: those of a directory, or of
// a store with a directory of its own each time, as on another machine.
func Logs(t *testing.T, open func(t *testing.T) func() *blob.Logs) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, func() *blob.Logs)
	}{{"follow", follow}, {"offsets", offsets}, {"list and delete", listLogs}} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// CreateLog begins a log.
func CreateLog(t *testing.T, l *blob.Logs, name string) *blob.LogWriter {
	t.Helper()
	w, err := l.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// OpenLog opens a log for as long as the test goes on.
func OpenLog(t *testing.T, l *blob.Logs, name string) *blob.LogReader {
	t.Helper()
	r, err := l.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// ReadLog reads to the end of a log that is being written.
func ReadLog(ctx context.Context, r *blob.LogReader) (string, error) {
	var text strings.Builder
	for {
		if _, err := io.Copy(&text, r); err != nil {
			return text.String(), err
		}
		switch err := r.Wait(ctx); {
		case errors.Is(err, io.EOF):
			return text.String(), nil
		case err != nil:
			return text.String(), err
		}
	}
}

// follow: readers on another machine see a log grow, whenever they come, and its end.
func follow(t *testing.T, open func() *blob.Logs) {
	here, there := open(), open()
	const name = "run/1/flask.1.log"
	w := CreateLog(t, here, name)
	if _, err := there.Create(name); !errors.Is(err, blob.ErrExists) {
		t.Errorf("a log that another machine writes was started again: %v", err)
	}
	first := OpenLog(t, there, name)
	var want strings.Builder
	var wg sync.WaitGroup
	texts := make([]string, 20)
	for i := range texts {
		if i%4 == 0 { // a part of its own
			begin := time.Now()
			fmt.Fprintf(w, "part %d\n", i)
			fmt.Fprintf(&want, "part %d\n", i)
			if err := first.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, first); err != nil {
				t.Fatal(err)
			}
			t.Logf("a line was there after %v", time.Since(begin))
		}
		r := OpenLog(t, there, name)
		wg.Go(func() {
			text, err := ReadLog(t.Context(), r)
			if err != nil {
				t.Error(err)
			}
			texts[i] = text
		})
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if _, err := io.WriteString(w, line); err != nil {
			t.Fatal(err)
		}
	}
	if running, err := first.Running(); !running || err != nil {
		t.Errorf("a log that is written runs %v, %v", running, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for i, text := range texts {
		if text != want.String() {
			t.Errorf("reader %d has %d of %d bytes", i, len(text), want.Len())
		}
	}
	if _, err := there.Create(name); !errors.Is(err, blob.ErrExists) {
		t.Errorf("a closed log was started again: %v", err)
	}
}

// offsets are the same while a log is written and when it is closed, over parts too.
func offsets(t *testing.T, open func() *blob.Logs) {
	here, there := open(), open()
	w := CreateLog(t, here, "long.log")
	line := strings.Repeat("0123456789abcde\n", 1<<12) // 64 KiB
	for range 40 {
		fmt.Fprint(w, line)
	}
	r := OpenLog(t, there, "long.log")
	look := func(when string, at int64) {
		t.Helper()
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if err := r.Wait(t.Context()); err != nil {
			t.Fatalf("%s, at %d: %v", when, at, err)
		}
		p := make([]byte, 16)
		if n, err := r.Read(p); n == 0 || err != nil || !strings.HasPrefix((line + line)[at%16:], string(p[:n])) {
			t.Errorf("%s, at %d: %q %v", when, at, p[:n], err)
		}
	}
	places := []int64{0, 5, 1<<20 - 3, 1 << 20, 40<<16 - 1, 7}
	for _, at := range places {
		look("running", at)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, at := range places {
		look("closed under its reader", at)
	}
	r = OpenLog(t, there, "long.log")
	for _, at := range places {
		look("closed", at)
	}
	if size, err := r.Size(); size != 40<<16 || err != nil {
		t.Errorf("%d bytes, %v", size, err)
	}
}

func listLogs(t *testing.T, open func() *blob.Logs) {
	here, there := open(), open()
	closed, running := CreateLog(t, here, "a/closed.log"), CreateLog(t, here, "a/running.log")
	fmt.Fprintln(closed, "x")
	fmt.Fprintln(running, "x")
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for info, err := range there.List(t.Context(), "a/") {
		if err != nil {
			t.Fatal(err)
		}
		names[info.Name]++
	}
	if len(names) != 2 || names["a/closed.log"] != 1 || names["a/running.log"] != 1 {
		t.Errorf("listed: %v", names)
	}
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if err := there.Delete(name); err != nil {
			t.Fatal(err)
		}
		if _, err := there.Open(name); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("deleted: %v", err)
		}
	}
}
