package pages

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"reqpm/internal/auth"
)

// TestPagesAreCompressed: a page is the same text in fewer bytes for a browser that takes it so, and as it is for all others; a raw log is never
// compressed, nor a stream, which would arrive when it ends.
func TestPagesAreCompressed(t *testing.T) {
	b, _ := newPast(t)
	token := b.token(auth.Admin, 0)
	ask := func(path, takes, accept string) (*httptest.ResponseRecorder, string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept-Encoding", takes)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		b.pages.ServeHTTP(w, r)
		if !strings.Contains(w.Header().Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: caches are not told that the answer depends on Accept-Encoding", path)
		}
		if w.Header().Get("Content-Encoding") != "gzip" {
			return w, w.Body.String()
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return w, string(text)
	}
	for _, path := range []string{"/more", assetPath(allStyles), assetPath(allScripts)} {
		plain, whole := ask(path, "", "")
		for takes, want := range map[string]string{"gzip, deflate, br": "gzip", "br;q=1, gzip ; q=0.5": "gzip", "gzip;q=0": "", "gzip;q=0.0": "", "identity": ""} {
			w, text := ask(path, takes, "")
			if got := w.Header().Get("Content-Encoding"); got != want || w.Code != http.StatusOK {
				t.Errorf("%s for %q: %d, compressed with %q, want %q", path, takes, w.Code, got, want)
			}
			if text != whole {
				t.Errorf("%s for %q is another text", path, takes)
			}
			if w.Header().Get("Content-Type") != plain.Header().Get("Content-Type") {
				t.Errorf("%s for %q is of type %s", path, takes, w.Header().Get("Content-Type"))
			}
		}
	}
	if w, text := ask("/projects", "gzip", typeParts); w.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(text, `"fragments"`) {
		t.Errorf("parts of a page: %v %.100s", w.Header(), text)
	}
	if w, _ := ask("/nothing/here", "gzip", ""); w.Code != http.StatusNotFound || w.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("a page that there is not: %d %v", w.Code, w.Header())
	}
	if w, text := ask(buildPath(b.failedBuild("lxml").ID)+"/log/raw", "gzip", ""); w.Header().Get("Content-Encoding") != "" || !strings.HasPrefix(text, "Building target platforms") {
		t.Errorf("a raw log: %v %.100s", w.Header(), text)
	}
	server := httptest.NewServer(b.pages)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/projects", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + token}, "Accept-Encoding": {"gzip"}, "Accept": {typeStream}}
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	begins := make([]byte, 4)
	if _, err := io.ReadFull(stream.Body, begins); err != nil || stream.Header.Get("Content-Encoding") != "" || string(begins) != "id: " {
		t.Errorf("a stream: %v %v %q", err, stream.Header, begins)
	}
}
