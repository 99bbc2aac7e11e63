package index

import (
	"context"
	"fmt"
	"html"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is one project as every kind of index must report it.
var sample = []struct {
	filename, requiresPython, yanked string // yanked "-": not
	size                             int
}{
	{"Foo_Bar-1.10-py2.py3-none-any.whl", ">=2.7, !=3.0.*", "-", 40},
	{"foo-bar-1.9.tar.gz", "", "-", 30},
	{"foo-bar-1.10.tar.gz", ">=2.7, !=3.0.*", "-", 50},
	{"foo_bar-2.0rc1.tar.gz", ">=3.8", "bad <build> & \"more\"", 20},
	{"foo_bar-2.0-1-cp311-abi3-manylinux2014_x86_64.whl", ">=3.8", "", 60},
	{"foo_bar-nightly.tar.gz", "", "-", 5},
	{"foo_bar-1.9-py2.7.egg", "", "-", 5},
	{"other-1.0.tar.gz", "", "-", 5},
}

func sampleContent(name string, size int) []byte {
	return append([]byte(name), make([]byte, size)...)
}

func sampleHTML(prefix string) string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html><html><body>\n")
	for _, s := range sample {
		fmt.Fprintf(&b, `<a href="%s%s#sha256=%s"`, prefix, s.filename, sum(sampleContent(s.filename, s.size)))
		if s.requiresPython != "" {
			fmt.Fprintf(&b, ` data-requires-python="%s"`, html.EscapeString(s.requiresPython))
		}
		if s.yanked != "-" {
			fmt.Fprintf(&b, ` data-yanked="%s"`, html.EscapeString(s.yanked))
		}
		fmt.Fprintf(&b, ">%s</a><br>\n", s.filename)
	}
	return b.String() + "</body></html>"
}

// TestConformance: each kind of index answers the same list, less what its form cannot say.
func TestConformance(t *testing.T) {
	contents := map[string][]byte{}
	for _, s := range sample {
		contents[s.filename] = sampleContent(s.filename, s.size)
	}
	writeAll := func(t *testing.T, dir string) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range contents {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	jsonIndex := func(t *testing.T) string {
		f := newFakeIndex(t)
		f.add("foo-bar", contents, func(e map[string]any) {
			for _, s := range sample {
				if s.filename != e["filename"] {
					continue
				}
				if s.requiresPython != "" {
					e["requires-python"] = s.requiresPython
				}
				if s.yanked != "-" {
					e["yanked"] = true
					if s.yanked != "" {
						e["yanked"] = s.yanked
					}
				}
			}
		})
		return f.URL + "/simple/"
	}
	htmlIndex := func(t *testing.T) string {
		f := newFakeIndex(t)
		f.handle(f.page("foo-bar"), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, sampleHTML("../../files/"))
		})
		return f.URL + "/simple"
	}
	tree := func(t *testing.T, folder string, page string) string {
		dir := filepath.Join(t.TempDir(), "simple with space")
		writeAll(t, filepath.Join(dir, folder))
		if page != "" {
			writeAll(t, filepath.Join(dir, "..", "files"))
			if err := os.WriteFile(filepath.Join(dir, folder, "index.html"), []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for _, c := range []struct {
		name             string
		start            func(t *testing.T) string
		attributes, time bool // what the form can say
		size             bool
	}{
		{"JSON", jsonIndex, true, true, true},
		{"HTML", htmlIndex, true, false, false},
		{"tree with pages", func(t *testing.T) string { return tree(t, "foo-bar", sampleHTML("../../files/")) }, true, false, true},
		{"tree without pages, other spelling, file URL", func(t *testing.T) string { return fileURL(tree(t, "Foo.Bar", "")).String() }, false, false, true},
		{"flat folder", func(t *testing.T) string { dir := t.TempDir(); writeAll(t, dir); return dir }, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, Config{Indexes: []IndexConfig{{Name: "it", URL: c.start(t)}}, CacheDir: t.TempDir(), Backoff: time.Millisecond})
			files, err := client.Files(context.Background(), "Foo__bar")
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"foo-bar-1.9.tar.gz", "foo-bar-1.10.tar.gz", "Foo_Bar-1.10-py2.py3-none-any.whl", "foo_bar-2.0rc1.tar.gz", "foo_bar-2.0-1-cp311-abi3-manylinux2014_x86_64.whl"}
			if diff := cmp.Diff(want, names(files)); diff != "" {
				t.Fatalf("names (-want +got)\n%s", diff)
			}
			for _, f := range files {
				i := slices.IndexFunc(sample, func(s struct {
					filename, requiresPython, yanked string
					size                             int
				}) bool {
					return s.filename == f.Filename
				})
				s := sample[i]
				content := contents[s.filename]
				if f.Name != "foo-bar" || f.Index != "it" || f.SHA256 != sum(content) {
					t.Errorf("%s: name %q, index %q, sha256 %q", f.Filename, f.Name, f.Index, f.SHA256)
				}
				if c.attributes && (f.RequiresPython != s.requiresPython || f.Yanked != (s.yanked != "-") || f.Yanked && f.YankedReason != s.yanked) {
					t.Errorf("%s: requires-python %q, yanked %v %q", f.Filename, f.RequiresPython, f.Yanked, f.YankedReason)
				}
				if c.size && f.Size != int64(len(content)) {
					t.Errorf("%s: size %d, want %d", f.Filename, f.Size, len(content))
				}
				if c.time == f.UploadTime.IsZero() {
					t.Errorf("%s: upload time %v", f.Filename, f.UploadTime)
				}
			}
			if c.name == "HTML" {
				return // its files are not served
			}
			path, err := client.Download(context.Background(), files[0])
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || !slices.Equal(got, contents[files[0].Filename]) || filepath.Base(path) != files[0].Filename {
				t.Errorf("%s: %d bytes, %v", path, len(got), err)
			}
		})
	}
}

func TestOwnerIsTheFirstIndexThatHasTheProject(t *testing.T) {
	first, second, third := newFakeIndex(t), newFakeIndex(t), newFakeIndex(t)
	first.add("other", map[string][]byte{"other-1.zip": gz("x")}, nil)
	second.add("foo", map[string][]byte{"foo-1.0.tar.gz": gz("private")}, nil)
	third.add("foo", map[string][]byte{"foo-99.0.tar.gz": gz("stranger")}, nil)
	local := t.TempDir()
	if err := os.WriteFile(filepath.Join(local, "foo-0.5.tar.gz"), gz("local"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := first.config(t)
	cfg.Indexes = append(cfg.Indexes, IndexConfig{Name: "private", URL: second.URL + "/simple"})
	cfg.ExtraIndexes = []IndexConfig{{Name: "public", URL: third.URL + "/simple"}}
	cfg.FindLinks = []string{local, filepath.Join(local, "not there")}
	var log logBuffer
	cfg.Log = log.logger()
	c := newClient(t, cfg)
	files, err := c.Files(context.Background(), "foo")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range files {
		got[f.Filename] = f.Index
	}
	if want := (map[string]string{"foo-0.5.tar.gz": "find-links-1", "foo-1.0.tar.gz": "private"}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := third.times(third.page("foo")); n != 0 {
		t.Errorf("the index behind the owner was asked %d times", n)
	}
	if !strings.Contains(log.text(), "does not exist") {
		t.Errorf("nothing was said about the missing find-links folder: %s", log.text())
	}
}

func TestFindLinksPage(t *testing.T) {
	f := newFakeIndex(t)
	f.handle("/links.html", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<a href="files/foo-1.0.zip">a</a> <a href="files/bar-2.0.zip">b</a>`)
	})
	c := newClient(t, Config{FindLinks: []string{f.URL + "/links.html"}, CacheDir: t.TempDir()})
	for _, name := range []string{"foo", "bar"} {
		if got := oneFile(t, c, name).Filename; !strings.HasPrefix(got, name) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if n := f.times("/links.html"); n != 1 {
		t.Errorf("the page was asked for %d times", n)
	}
	if _, err := c.Files(context.Background(), "nobody"); !isKind(err, ErrNotFound) {
		t.Errorf("a project nobody has: %v", err)
	}
}

func TestExcludeNewer(t *testing.T) {
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.zip": gz("1"), "foo-2.zip": gz("2"), "foo-3.zip": gz("3"), "foo-4.zip": gz("4")}, func(e map[string]any) {
		switch e["filename"] {
		case "foo-2.zip":
			e["upload-time"] = "2021-01-01T00:00:00Z"
		case "foo-3.zip":
			e["upload-time"] = "2021-01-01T00:00:01Z"
		case "foo-4.zip":
			delete(e, "upload-time")
		}
	})
	cfg := f.config(t)
	cfg.ExcludeNewer = time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	var log logBuffer
	cfg.Log = log.logger()
	files, err := newClient(t, cfg).Files(context.Background(), "foo")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"foo-1.zip", "foo-2.zip", "foo-4.zip"}; !slices.Equal(names(files), want) {
		t.Errorf("got %v, want %v", names(files), want)
	}
	if n := strings.Count(log.text(), "upload times"); n != 1 {
		t.Errorf("warned %d times about missing upload times", n)
	}
}
