package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"reqpm/internal/blob"
	"reqpm/internal/blob/conformance"
	"reqpm/internal/blob/s3"
	"reqpm/internal/blob/s3/s3test"
)

func open(t *testing.T, address string) *s3.Store {
	t.Helper()
	place, err := s3.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := s3.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	server := s3test.Start(t)
	conformance.Test(t, func(t *testing.T) blob.Store {
		return open(t, server.Address(strings.ReplaceAll(t.Name(), "/", "-")))
	})
	t.Run("logs", func(t *testing.T) {
		conformance.Logs(t, func(t *testing.T) func() *blob.Logs {
			store := open(t, server.Address(strings.ReplaceAll(t.Name(), "/", "-")))
			return func() *blob.Logs {
				l, err := blob.OpenStoreLogs(store, t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { l.Close() })
				return l
			}
		})
	})
	t.Run("large", func(t *testing.T) { large(t, open(t, server.Address("large"))) })
	t.Run("replaced while it is read", func(t *testing.T) { replaced(t, open(t, server.Address("replaced"))) })
	t.Run("no bucket", func(t *testing.T) {
		place, err := s3.Parse(strings.Replace(server.Address(""), s3test.Bucket, "nosuch", 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s3.Open(t.Context(), place); err == nil || !strings.Contains(err.Error(), `no bucket "nosuch"`) {
			t.Errorf("a bucket that is not there: %v", err)
		}
	})
	t.Run("wrong key", func(t *testing.T) {
		t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
		place, err := s3.Parse(server.Address(""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s3.Open(t.Context(), place); !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("a wrong key: %v", err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		s := open(t, server.Address("gone"))
		server.Stop()
		if _, err := s.Put(t.Context(), "a", strings.NewReader("x")); !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("put without a server: %v", err)
		}
		if _, err := s.Open(t.Context(), "a"); !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("open without a server: %v", err)
		}
	})
}

// large is a blob of several parts, read at any place.
func large(t *testing.T, s *s3.Store) {
	text := make([]byte, 20<<20)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(text); err != nil {
		t.Fatal(err)
	}
	info, err := s.Put(t.Context(), "large", onlyReader{bytes.NewReader(text)})
	if err != nil || info.Size != int64(len(text)) {
		t.Fatalf("%+v %v", info, err)
	}
	o, err := s.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got, err := io.ReadAll(o)
	if !bytes.Equal(got, text) || err != nil {
		t.Fatalf("%d of %d bytes come back, or others; %v", len(got), len(text), err)
	}
	for _, at := range []int64{12 << 20, 0, 5, 20<<20 - 3} {
		if _, err := o.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 3)
		if _, err := io.ReadFull(o, p); err != nil || !bytes.Equal(p, text[at:at+3]) {
			t.Errorf("at %d: %x %v", at, p, err)
		}
		if n, err := o.ReadAt(p, at); n != 3 || err != nil || !bytes.Equal(p, text[at:at+3]) {
			t.Errorf("ReadAt %d: %x %v", at, p, err)
		}
	}
	// What fails in the middle leaves nothing.
	broken := errors.New("broken")
	if _, err := s.Put(t.Context(), "half", io.MultiReader(bytes.NewReader(text), errReader{broken})); !errors.Is(err, broken) {
		t.Errorf("the reader's error is lost: %v", err)
	}
	if _, err := s.Stat(t.Context(), "half"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("half a blob: %v", err)
	}
}

type onlyReader struct{ io.Reader }

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// replaced: a reader never gets bytes of two blobs.
func replaced(t *testing.T, s *s3.Store) {
	old := strings.Repeat("old ", 1<<19)
	put := func(text string) {
		t.Helper()
		if _, err := s.Put(t.Context(), "a", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	put(old)
	o, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	put(strings.Repeat("new!", 1<<19))
	if _, err := o.Seek(1<<20, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(o)
	if !errors.Is(err, blob.ErrChanged) || strings.Contains(string(text), "new") {
		t.Errorf("%d bytes of a replaced blob, %v", len(text), err)
	}
}

func TestParse(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_ENDPOINT_URL", "")
	for address, want := range map[string]string{
		"s3://builds":                                          "builds  https://s3.us-east-1.amazonaws.com us-east-1",
		"s3://builds/a/b/?region=eu-west-1":                    "builds a/b/ https://s3.eu-west-1.amazonaws.com eu-west-1",
		"s3://builds/x?endpoint=https://s3.example.org:9000":   "builds x/ https://s3.example.org:9000 us-east-1",
		"s3://builds?endpoint=http://127.0.0.1:9000/&region=x": "builds  http://127.0.0.1:9000/ x",
	} {
		p, err := s3.Parse(address)
		if got := fmt.Sprintf("%s %s %v %s", p.Bucket, p.Prefix, p.Endpoint, p.Region); got != want || err != nil {
			t.Errorf("%s: %q %v", address, got, err)
		}
	}
	for _, address := range []string{"s3://", "s3:///x", "https://builds/x", "s3://key:secret@builds/x", "s3://builds/../x", "s3://builds?endpoint=s3.example.org", "s3://builds?secret=x", "s3://builds?endpoint=ftp://x", "s3://b%zz"} {
		if p, err := s3.Parse(address); err == nil {
			t.Errorf("%s was taken: %+v", address, p)
		} else if strings.Contains(err.Error(), "secret@") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
}

func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	place, err := s3.Parse("s3://builds?endpoint=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s3.Open(t.Context(), place); err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("%v", err)
	}
}
