package index

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestMetadata(t *testing.T) {
	small, large := wheel(t, "foo-1.0", coreMetadata, 100), wheel(t, "foo-1.0", coreMetadata, 3<<20)
	const file = "foo-1.0-py3-none-any.whl"
	announced := func(v any) func(map[string]any) { return func(e map[string]any) { e["core-metadata"] = v } }
	serve := func(text string) http.HandlerFunc { return body("application/octet-stream", text) }
	for _, c := range []struct {
		name     string
		content  []byte
		change   func(map[string]any)
		metadata http.HandlerFunc // of FILE.metadata
		file     http.HandlerFunc
		kind     error
		says     string
		bytes    int64 // at most, of the wheel and its metadata
	}{
		{name: "metadata file", content: large, change: announced(map[string]string{"sha256": sum([]byte(coreMetadata))}), metadata: serve(coreMetadata), bytes: 200},
		{name: "metadata file without hash", content: large, change: announced(true), metadata: serve(coreMetadata), bytes: 200},
		{name: "metadata file, wrong", content: large, change: announced(map[string]string{"sha256": sum([]byte("other"))}), metadata: serve(coreMetadata), kind: ErrHash, says: file},
		{name: "metadata file is an error page", content: large, change: announced(true), metadata: serve("<h1>Oops</h1>"), kind: ErrUnavailable, says: "no core metadata"},
		{name: "announced but missing", content: large, change: announced(true), bytes: 70 << 10},
		{name: "metadata file, busy", content: large, change: announced(true), metadata: status(503), kind: ErrUnavailable, says: "503"},
		{name: "small wheel", content: small, bytes: 1000},
		{name: "large wheel, by its end", content: large, bytes: 70 << 10},
		{name: "no ranges", content: large, file: serve(string(large))},
		{name: "ranges that lie", content: large, file: after(1, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-9/10")
			w.WriteHeader(206)
		}, serve(string(large)))},
		{name: "no zip archive", content: []byte("PK nonsense"), says: "zip"},
		{name: "another project's wheel", content: wheel(t, "bar-1.0", coreMetadata, 0), says: "no foo-*.dist-info"},
		{name: "hidden deeper", content: wheel(t, "x/foo-1.0", coreMetadata, 0), says: "no foo-*.dist-info"},
		{name: "metadata too large", content: wheel(t, "foo-1.0", strings.Repeat("a", maxMetadata+1), 0), says: "larger than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeIndex(t)
			f.add("foo", map[string][]byte{file: c.content}, c.change)
			if c.metadata != nil {
				f.handle("/files/"+file+".metadata", c.metadata)
			}
			if c.file != nil {
				f.handle("/files/"+file, c.file)
			}
			client := newClient(t, f.config(t))
			item := oneFile(t, client, "foo")
			before := client.Stats()
			data, err := client.Metadata(context.Background(), item)
			if c.says != "" {
				if err == nil || c.kind != nil && !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("error %v, want kind %v and %q in it", err, c.kind, c.says)
				}
				return
			}
			if err != nil || string(data) != coreMetadata {
				t.Fatalf("%q, %v", data, err)
			}
			if got := client.Stats().Bytes - before.Bytes; c.bytes > 0 && got > c.bytes {
				t.Errorf("%d bytes were fetched, want at most %d", got, c.bytes)
			}
			// Kept for ever, for other clients too.
			f.Close()
			other := newClient(t, client.cfg)
			data, err = other.Metadata(context.Background(), item)
			if err != nil || string(data) != coreMetadata || other.Stats().Requests != 0 {
				t.Errorf("the second time: %q, %v, %+v", data, err, other.Stats())
			}
		})
	}
}

func TestMetadataOfAnSdist(t *testing.T) {
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.0.tar.gz": gz("x")}, nil)
	f.add("bar", map[string][]byte{"bar-1.0.tar.gz": gz("x")}, func(e map[string]any) { e["core-metadata"] = true })
	f.handle("/files/bar-1.0.tar.gz.metadata", body("text/plain", coreMetadata))
	c := newClient(t, f.config(t))
	if _, err := c.Metadata(context.Background(), oneFile(t, c, "foo")); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
	if data, err := c.Metadata(context.Background(), oneFile(t, c, "bar")); err != nil || string(data) != coreMetadata {
		t.Errorf("announced for an sdist: %q, %v", data, err)
	}
}

func TestWheelWithTwoMetadataFolders(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range []string{"foo-1.0.dist-info/METADATA", "foo-2.0.dist-info/METADATA"} {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := WheelMetadata(bytes.NewReader(b.Bytes()), int64(b.Len()), "foo"); err == nil || !strings.Contains(err.Error(), "several") {
		t.Errorf("error %v", err)
	}
}

func TestBudgetOfTheTableOfContents(t *testing.T) {
	r := &budgetReader{r: bytes.NewReader(make([]byte, 100)), left: 10}
	if _, err := r.ReadAt(make([]byte, 10), 0); err != nil {
		t.Error(err)
	}
	if _, err := r.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("more was read than allowed")
	}
}
