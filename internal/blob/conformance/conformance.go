// Package conformance is the one suite that every blob.Store passes.
package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"reqpm/internal/blob"
)

// Test runs the suite; open gives the same storage each time within one call's test.
func Test(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"put and read", putAndRead}, {"ranges", ranges}, {"not found", missing}, {"replace", replace}, {"delete", remove},
		{"list", list}, {"failed put leaves nothing", failedPut}, {"names", names}, {"side by side", parallel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func put(t *testing.T, s blob.Store, name, text string) blob.Info {
	t.Helper()
	info, err := s.Put(t.Context(), name, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func read(t *testing.T, s blob.Store, name string) string {
	t.Helper()
	o, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func all(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	names := []string{}
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	slices.Sort(names)
	return names
}

func putAndRead(t *testing.T, s blob.Store) {
	text := strings.Repeat("x", 3<<20) + "end"
	info := put(t, s, "runs/1/flask-3.0~rc1^git+x.rpm", text)
	sum := sha256.Sum256([]byte(text))
	if info.SHA256 != hex.EncodeToString(sum[:]) || info.Size != int64(len(text)) {
		t.Errorf("put says %s, %d bytes", info.SHA256, info.Size)
	}
	if got := read(t, s, "runs/1/flask-3.0~rc1^git+x.rpm"); got != text {
		t.Errorf("other bytes come back: %d of %d", len(got), len(text))
	}
	stat, err := s.Stat(t.Context(), "runs/1/flask-3.0~rc1^git+x.rpm")
	if err != nil || stat.Size != int64(len(text)) || stat.Name != "runs/1/flask-3.0~rc1^git+x.rpm" || stat.Modified.IsZero() {
		t.Errorf("stat: %+v %v", stat, err)
	}
	put(t, s, "empty", "")
	if got := read(t, s, "empty"); got != "" {
		t.Errorf("an empty blob has %q", got)
	}
}

func ranges(t *testing.T, s blob.Store) {
	put(t, s, "digits", "0123456789")
	o, err := s.Open(t.Context(), "digits")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Info().Size != 10 {
		t.Errorf("size %d", o.Info().Size)
	}
	if _, err := o.Seek(-3, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(o); string(got) != "789" || err != nil {
		t.Errorf("the last three bytes: %q %v", got, err)
	}
	p := make([]byte, 4)
	if n, err := o.ReadAt(p, 2); n != 4 || err != nil || string(p) != "2345" {
		t.Errorf("four bytes at 2: %q %v", p[:n], err)
	}
	if n, err := o.ReadAt(p, 8); string(p[:n]) != "89" || !errors.Is(err, io.EOF) {
		t.Errorf("past the end: %q %v", p[:n], err)
	}
}

func missing(t *testing.T, s blob.Store) {
	put(t, s, "a/b", "x")
	for _, name := range []string{"nosuch", "a", "a/c", "a/b/c"} {
		if _, err := s.Open(t.Context(), name); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("open %s: %v", name, err)
		}
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("stat %s: %v", name, err)
		}
		if err := s.Delete(t.Context(), name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	if got := read(t, s, "a/b"); got != "x" {
		t.Errorf("deleting others changed it to %q", got)
	}
}

func replace(t *testing.T, s blob.Store) {
	put(t, s, "a", "old")
	before, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	put(t, s, "a", "newer")
	if got := read(t, s, "a"); got != "newer" {
		t.Errorf("after replacing: %q", got)
	}
	if got, err := io.ReadAll(before); string(got) != "old" || err != nil {
		t.Errorf("what was open changed to %q, %v", got, err)
	}
}

func remove(t *testing.T, s blob.Store) {
	put(t, s, "x/y/z", "1")
	if err := s.Delete(t.Context(), "x/y/z"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), "x/y/z"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("still there: %v", err)
	}
	put(t, s, "x", "a folder once") // an empty folder is in nobody's way
}

func list(t *testing.T, s blob.Store) {
	for _, name := range []string{"runs/1/a", "runs/1/b", "runs/10/a", "runs/2/c/d", "other"} {
		put(t, s, name, name)
	}
	for prefix, want := range map[string][]string{
		"":         {"other", "runs/1/a", "runs/1/b", "runs/10/a", "runs/2/c/d"},
		"runs/1":   {"runs/1/a", "runs/1/b", "runs/10/a"},
		"runs/1/":  {"runs/1/a", "runs/1/b"},
		"runs/2/c": {"runs/2/c/d"},
		"nosuch/x": {},
		"../":      {},
		"/":        {},
	} {
		if got := all(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("list %q: %q", prefix, got)
		}
	}
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
		break // a listing may be left
	}
}

func failedPut(t *testing.T, s blob.Store) {
	broken := errors.New("the network is gone")
	_, err := s.Put(t.Context(), "half", io.MultiReader(strings.NewReader("half of it"), errReader{broken}))
	if !errors.Is(err, broken) {
		t.Errorf("the reader's error is lost: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	_, err = s.Put(ctx, "half", io.MultiReader(strings.NewReader("half of it"), cancelReader{cancel, enough}))
	if !errors.Is(err, enough) && !errors.Is(err, context.Canceled) {
		t.Errorf("put does not end with its context: %v", err)
	}
	if got := all(t, s, ""); len(got) > 0 {
		t.Errorf("failed puts left %q", got)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// cancelReader has bytes without end, and cancels at its first.
type cancelReader struct {
	cancel context.CancelCauseFunc
	cause  error
}

func (r cancelReader) Read(p []byte) (int, error) {
	r.cancel(r.cause)
	return len(p), nil
}

func names(t *testing.T, s blob.Store) {
	for _, name := range []string{"", ".", "..", "../x", "a/../b", "/etc/passwd", "a//b", "a/", ".hidden", "a/.tmp", "a\x00b", "a b", "a\nb", "ä", `a\b`, strings.Repeat("a/", 600) + "a", strings.Repeat("a", 201)} {
		if _, err := s.Put(t.Context(), name, strings.NewReader("x")); !errors.Is(err, blob.ErrName) {
			t.Errorf("put %.40q: %v", name, err)
		}
		if _, err := s.Open(t.Context(), name); !errors.Is(err, blob.ErrName) {
			t.Errorf("open %.40q: %v", name, err)
		}
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, blob.ErrName) {
			t.Errorf("stat %.40q: %v", name, err)
		}
		if err := s.Delete(t.Context(), name); !errors.Is(err, blob.ErrName) {
			t.Errorf("delete %.40q: %v", name, err)
		}
	}
}

// parallel puts, reads and deletes names in the same folders at once: a reader sees all of one put.
func parallel(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			text := bytes.Repeat([]byte{byte('a' + worker)}, 64<<10)
			for i := range 20 {
				if _, err := s.Put(t.Context(), "shared/one", bytes.NewReader(text)); err != nil {
					t.Error(err)
				}
				own := fmt.Sprintf("shared/%d/%d", worker, i)
				if _, err := s.Put(t.Context(), own, bytes.NewReader(text)); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), own); err != nil {
					t.Error(err)
				}
				o, err := s.Open(t.Context(), "shared/one")
				if err != nil {
					t.Error(err)
					continue
				}
				data, err := io.ReadAll(o)
				if len(data) != len(text) || err != nil || len(bytes.Trim(data, string(data[0]))) > 0 {
					t.Errorf("%d bytes of a blob, %v", len(data), err)
				}
				o.Close()
			}
		})
	}
	wg.Wait()
}
