package blob_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/blob/conformance"
	"reqpm/internal/filelock"
)

func openLogs(t *testing.T, dir string) *blob.Logs {
	t.Helper()
	l, err := blob.OpenLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A directory does what every place of logs does.
func TestDirLogs(t *testing.T) {
	conformance.Logs(t, func(t *testing.T) func() *blob.Logs {
		dir := t.TempDir()
		return func() *blob.Logs { return openLogs(t, dir) }
	})
}

// Readers in this process and in another see every line of a log while it grows, whenever they come,
// and its end.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	here, there := openLogs(t, dir), openLogs(t, dir)
	w := conformance.CreateLog(t, here, "run/1/flask.1.log")
	var want strings.Builder
	var wg sync.WaitGroup
	texts := make([]string, 20)
	for i := range 200 {
		if i%10 == 0 {
			logs := here
			if i%20 == 0 {
				logs = there
			}
			r := conformance.OpenLog(t, logs, "run/1/flask.1.log")
			wg.Go(func() {
				text, err := conformance.ReadLog(t.Context(), r)
				if err != nil {
					t.Error(err)
				}
				texts[i/10] = text
			})
		}
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if _, err := io.WriteString(w, line); err != nil {
			t.Fatal(err)
		}
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
}

// A line reaches a follower in this process without a wait for the next poll.
func TestFollowAtOnce(t *testing.T) {
	l := openLogs(t, t.TempDir())
	w := conformance.CreateLog(t, l, "a.log")
	r := conformance.OpenLog(t, l, "a.log")
	start := time.Now()
	for range 20 {
		waited := make(chan error)
		go func() { waited <- r.Wait(t.Context()) }()
		fmt.Fprintln(w, "a line")
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > 2*time.Second { // 20 polls would be 5 s
		t.Errorf("20 lines took %v", d)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := r.Wait(ctx); !errors.Is(err, enough) {
		t.Errorf("waiting does not end with its context: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// Byte offsets are the same while a log is written and when it is compressed, over parts too.
func TestOffsets(t *testing.T) {
	dir := t.TempDir()
	l := openLogs(t, dir)
	w := conformance.CreateLog(t, l, "big.log")
	var text strings.Builder
	for i := 0; text.Len() < 3<<20; i++ {
		fmt.Fprintf(&text, "gcc -O2 -c file%d.c\n", i)
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		t.Fatal(err)
	}
	plain := conformance.OpenLog(t, l, "big.log")
	check := func(what string, r *blob.LogReader) {
		t.Helper()
		for _, at := range []int64{0, 1, 1<<20 - 3, 1 << 20, 2<<20 + 17, int64(text.Len()) - 5, int64(text.Len()), int64(text.Len()) + 100} {
			if _, err := r.Seek(at, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(io.LimitReader(r, 2<<20))
			if err != nil {
				t.Fatal(err)
			}
			from := min(int(at), text.Len())
			if want := text.String()[from:min(from+2<<20, text.Len())]; string(got) != want {
				t.Errorf("%s at %d: %d bytes, want %d", what, at, len(got), len(want))
			}
		}
		if size, err := r.Size(); size != int64(text.Len()) || err != nil {
			t.Errorf("%s: size %d %v", what, size, err)
		}
	}
	check("running", plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check("opened before it was closed", plain)
	packed := conformance.OpenLog(t, l, "big.log")
	check("closed", packed)
	if err := packed.Wait(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("a closed log waits for more: %v", err)
	}
	// And it is a gzip file like any other, a good deal smaller.
	f, err := os.Open(filepath.Join(dir, "big.log.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if stat, err := f.Stat(); err != nil || stat.Size() > int64(text.Len()/3) {
		t.Errorf("%d bytes compressed to %d", text.Len(), stat.Size())
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); string(got) != text.String() || err != nil {
		t.Errorf("gzip reads %d bytes, %v", len(got), err)
	}
}

// A log whose writer died ends for its readers, keeps what it had, and can be finished by another.
func TestDeadWriter(t *testing.T) {
	dir := t.TempDir()
	l := openLogs(t, dir)
	w := conformance.CreateLog(t, l, "alive.log")
	if err := l.Finish("alive.log"); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("a log was finished under its writer: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// What a killed process leaves: a file without a lock.
	if err := os.WriteFile(filepath.Join(dir, "dead.log"), []byte("the last li"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := conformance.OpenLog(t, l, "dead.log")
	if text, err := conformance.ReadLog(t.Context(), r); text != "the last li" || err != nil {
		t.Errorf("%q %v", text, err)
	}
	for range 2 {
		if err := l.Finish("dead.log"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "dead.log")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the plain file is still there: %v", err)
	}
	if text, err := conformance.ReadLog(t.Context(), conformance.OpenLog(t, l, "dead.log")); text != "the last li" || err != nil {
		t.Errorf("finished: %q %v", text, err)
	}
	if err := l.Finish("nosuch.log"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("finish what is not there: %v", err)
	}
}

// No log is ever overwritten.
func TestCreateTwice(t *testing.T) {
	l := openLogs(t, t.TempDir())
	w := conformance.CreateLog(t, l, "a/b.log")
	if _, err := l.Create("a/b.log"); !errors.Is(err, blob.ErrExists) {
		t.Errorf("a running log started again: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Create("a/b.log"); !errors.Is(err, blob.ErrExists) {
		t.Errorf("a closed log started again: %v", err)
	}
	if _, err := l.Create("../b.log"); !errors.Is(err, blob.ErrName) {
		t.Errorf("a log outside: %v", err)
	}
	names := []string{}
	for info, err := range l.List(t.Context(), "a/") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	if len(names) != 1 || names[0] != "a/b.log" {
		t.Errorf("listed: %q", names)
	}
	if err := l.Delete("a/b.log"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open("a/b.log"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

// A compressed file that was damaged says so, and reads nothing wrong.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	l := openLogs(t, dir)
	w := conformance.CreateLog(t, l, "a.log")
	fmt.Fprint(w, strings.Repeat("some text ", 1000))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "a.log.gz")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := append([]byte{}, whole...)
		damaged[i] ^= 0x55
		if err := os.WriteFile(file, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := l.Open("a.log")
		if err != nil {
			continue
		}
		text, err := io.ReadAll(r)
		if err == nil && string(text) != strings.Repeat("some text ", 1000) {
			t.Errorf("byte %d: read %d other bytes without an error", i, len(text))
		}
		r.Close()
	}
}
