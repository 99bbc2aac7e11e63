package index

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/secret"
)

// held is a secret as a project has it.
func held(t *testing.T, where, username, value string) secret.Secret {
	t.Helper()
	s, err := secret.New("it", secret.Index, where, username, value, "")
	if err != nil {
		t.Fatal(err)
	}
	s.Set(rand.Text(), "test", time.Now())
	s.Owner = "project " + username
	return s
}

// Projects share a cache, and none is answered from it with what only another's secret showed: no page, metadata or file,
// whatever address or hash it knows.
func TestACacheHandsNoPrivateThingsToOthers(t *testing.T) {
	content := gz("private")
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.0.tar.gz": content}, nil)
	page := f.contents[f.page("foo")]
	wants := func(body []byte, kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if user, password, ok := r.BasicAuth(); !ok || user == "" || password != "s3cr3t" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.Header().Set("Content-Type", kind)
			w.Write(body)
		}
	}
	f.handle(f.page("foo"), wants(page, "application/vnd.pypi.simple.v1+json"))
	f.handle("/files/foo-1.0.tar.gz", wants(content, "application/octet-stream"))
	ctx := context.Background()
	cfg := f.config(t)
	cfg.Secrets = []secret.Secret{held(t, f.URL, "a", "s3cr3t")}
	mine := newClient(t, cfg)
	file := oneFile(t, mine, "foo")
	if _, err := mine.Download(ctx, file); err != nil || file.Owner != "project a" {
		t.Fatalf("%v, of %q", err, file.Owner)
	}
	asked := f.times(f.page("foo"))
	again := newClient(t, cfg)
	if _, err := again.Download(ctx, oneFile(t, again, "foo")); err != nil || f.times(f.page("foo")) != asked {
		t.Errorf("who has the secret asks again for what is in the cache: %v", err)
	}
	open := cfg
	open.Secrets = nil
	other := cfg
	other.Secrets = []secret.Secret{held(t, f.URL, "b", "wrong-one")}
	for name, cfg := range map[string]Config{"none": open, "another": other} {
		c := newClient(t, cfg)
		if _, err := c.Files(ctx, "foo"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("the page with %s secret: %v", name, err)
		}
		if _, err := c.Download(ctx, file); err == nil {
			t.Errorf("the file with %s secret, by its hash", name)
		}
		cfg.Offline = true
		if _, err := newClient(t, cfg).Files(ctx, "foo"); !errors.Is(err, ErrOffline) {
			t.Errorf("the page with %s secret, offline: %v", name, err)
		}
	}
	// An index of another project that promises the same file, by the hash, has to bring it itself.
	liar := newFakeIndex(t)
	liar.add("foo", map[string][]byte{"foo-1.0.tar.gz": content}, nil)
	liar.handle("/files/foo-1.0.tar.gz", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	stranger := liar.config(t)
	stranger.CacheDir = cfg.CacheDir
	c := newClient(t, stranger)
	if promised := oneFile(t, c, "foo"); promised.Owner != "" {
		t.Errorf("what everybody is shown is of %q", promised.Owner)
	} else if _, err := c.Download(ctx, promised); err == nil {
		t.Error("a hash was enough to have a private file")
	}
	err := filepath.WalkDir(cfg.CacheDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "s3cr3t") {
			t.Errorf("%s has the password", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
