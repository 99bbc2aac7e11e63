package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"reqpm/internal/pep440"
)

// TestPackedFilesComeBack: whatever a page says of files, the packed form says too.
func TestPackedFilesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hexOf := func(n int, label string) string {
			return fmt.Sprintf("%0*x", n, rapid.Uint64().Draw(t, label))
		}
		var links []link
		for i := range rapid.IntRange(0, 30).Draw(t, "files") {
			version := rapid.SampledFrom([]string{"1.0", "1.0.0", "v1.0", "2.0rc1", "1!0.1", "1.0+local.1", "1.0-1", "0.9.dev3"}).Draw(t, "version")
			name := "foo-" + version + rapid.SampledFrom(sdistEndings).Draw(t, "ending")
			if rapid.Bool().Draw(t, "wheel") {
				name = fmt.Sprintf("foo-%s-%d-py2.py%d-none-any.whl", strings.ReplaceAll(version, "-", "_"), i, i%5)
			}
			l := link{
				filename: name, url: rapid.SampledFrom([]string{"https://a.example.org/x/", "https://b.example.org/", "http://c/%20"}).Draw(t, "host") + name + rapid.SampledFrom([]string{"", "?s=1"}).Draw(t, "query"),
				requiresPython: rapid.String().Draw(t, "python"), yanked: rapid.Bool().Draw(t, "yanked"), size: rapid.Int64Min(0).Draw(t, "size"),
				hasMetadata: rapid.Bool().Draw(t, "metadata"),
			}
			if l.yanked {
				l.yankedReason = rapid.String().Draw(t, "reason")
			}
			if rapid.Bool().Draw(t, "hashed") {
				l.addHash("sha256", hexOf(64, "sha256"))
			}
			if rapid.Bool().Draw(t, "more hashes") {
				l.addHash("md5", hexOf(32, "md5"))
				l.addHash("blake", hexOf(10, "blake"))
			}
			if l.hasMetadata {
				l.metadataSHA256 = rapid.SampledFrom([]string{"", hexOf(64, "metadata sha256")}).Draw(t, "which")
			}
			if rapid.Bool().Draw(t, "dated") {
				l.uploaded = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC()
			}
			links = append(links, l)
		}
		want := toFiles(links, "foo", "there")
		p, _, err := projectOf(want, "foo")
		if err != nil {
			t.Fatal(err)
		}
		same := cmp.Comparer(func(a, b pep440.Version) bool { return a.Raw() == b.Raw() && a.String() == b.String() })
		if diff := cmp.Diff(want, p.Files(), same, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestPackedNonsense: a packed page with any damage is refused or read as something, without a panic.
func TestPackedNonsense(t *testing.T) {
	var links []link
	for i := range 20 {
		l := link{filename: fmt.Sprintf("foo-1.%d-py3-none-any.whl", i), url: fmt.Sprintf("https://x/foo-1.%d-py3-none-any.whl", i), yanked: i%3 == 0}
		l.addHash("md5", strings.Repeat("ab", 16))
		links = append(links, l)
	}
	_, packed, err := projectOf(toFiles(links, "foo", ""), "foo")
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		bad := append([]byte(nil), packed...)
		for range 1 + random.IntN(4) {
			bad[random.IntN(len(bad))] = byte(random.Uint32())
		}
		if p, ok := unpackProject(string(bad[:random.IntN(len(bad)+1)])); ok {
			p.Files()
		}
	}
}

// TestPackedPageIsCheckedAndMadeAgain: the packed form counts only when it is whole, of this format,
// and of just the page that is in the cache.
func TestPackedPageIsCheckedAndMadeAgain(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, c *cache, path, address string){
		"damaged": func(t *testing.T, _ *cache, path, _ string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)-3] ^= 1
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"cut short": func(t *testing.T, _ *cache, path, _ string) {
			if err := os.Truncate(path, 100); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, _ *cache, path, _ string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"another format": func(t *testing.T, c *cache, _, address string) {
			e, _ := c.get("packed", address)
			if err := c.put("packed", address, &entry{Type: "packed-0", Of: e.Of}, []byte("old")); err != nil {
				t.Fatal(err)
			}
		},
		"of another page": func(t *testing.T, c *cache, _, address string) {
			_, packed, _ := projectOf(toFiles([]link{{filename: "foo-9.0.zip", url: "https://x/foo-9.0.zip"}}, "foo", ""), "foo")
			if err := c.put("packed", address, &entry{Type: packedFormat, Of: "another"}, packed); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeIndex(t)
			f.add("foo", map[string][]byte{"foo-1.0.zip": gz("x")}, nil)
			cfg := f.config(t)
			first := newClient(t, cfg)
			want := oneFile(t, first, "foo")
			found, _ := filepath.Glob(filepath.Join(cfg.CacheDir, "packed", "*", "*"))
			if len(found) != 1 {
				t.Fatalf("packed pages: %v", found)
			}
			address := f.URL + f.page("foo")
			spoil(t, first.cache, found[0], address)
			if got := oneFile(t, newClient(t, cfg), "foo"); got.Filename != want.Filename || got.SHA256 != want.SHA256 {
				t.Errorf("got %+v", got)
			}
			if n := f.times(f.page("foo")); n != 1 {
				t.Errorf("the index was asked %d times", n)
			}
			if e, ok := first.cache.get("packed", address); !ok || e.Type != packedFormat {
				t.Error("it was not made again")
			}
		})
	}
}

// TestFiveThousandVersions come in order, and any one of them is unpacked alone.
func TestFiveThousandVersions(t *testing.T) {
	f := newFakeIndex(t)
	files := map[string][]byte{}
	for i := range 5000 {
		files[fmt.Sprintf("foo-%d.%d.zip", i/100, i%100)] = []byte("PK")
	}
	f.add("foo", files, nil)
	p, err := newClient(t, f.config(t)).Project(context.Background(), "Foo")
	if err != nil {
		t.Fatal(err)
	}
	all := p.Releases()
	if len(all) != 5000 || all[4999].Version.String() != "49.99" || all[100].Version.String() != "1.0" {
		t.Fatalf("%d releases, the last %s", len(all), all[len(all)-1].Version)
	}
	if one := all[100].Files(); len(one) != 1 || one[0].Filename != "foo-1.0.zip" {
		t.Errorf("got %+v", one)
	}
}

// TestPrivateIndexDown: an index that cannot answer has not said that it lacks the project, and the
// public one must not step in.
func TestPrivateIndexDown(t *testing.T) {
	for name, trouble := range map[string]int{"broken": 500, "no password": 401, "forbidden": 403, "too busy": 429} {
		t.Run(name, func(t *testing.T) {
			private, public := newFakeIndex(t), newFakeIndex(t)
			private.handle(private.page("corp"), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(trouble) })
			public.add("corp", map[string][]byte{"corp-99.0.zip": gz("bad")}, nil)
			links := t.TempDir()
			if err := os.WriteFile(filepath.Join(links, "corp-98.0.zip"), gz("x"), 0o644); err != nil {
				t.Fatal(err)
			}
			cfg := private.config(t)
			cfg.Retries = 1
			cfg.ExtraIndexes = []IndexConfig{{URL: public.URL + "/simple"}}
			cfg.FindLinks = []string{links}
			files, err := newClient(t, cfg).Files(context.Background(), "corp")
			if !errors.Is(err, ErrUnavailable) || len(files) > 0 {
				t.Errorf("%d files, error %v", len(files), err)
			}
			if public.times(public.page("corp")) > 0 {
				t.Error("the public index was asked")
			}
		})
	}
}

func TestPins(t *testing.T) {
	a, b, c := newFakeIndex(t), newFakeIndex(t), newFakeIndex(t)
	for i, f := range []*fakeIndex{a, b, c} {
		for _, name := range []string{"corp-x", "corp-deep-y", "torch", "else"} {
			f.add(name, map[string][]byte{fmt.Sprintf("%s-%d.zip", strings.ReplaceAll(name, "-", "_"), i): gz("x")}, nil)
		}
	}
	links := t.TempDir()
	if err := os.WriteFile(filepath.Join(links, "torch-50.zip"), gz("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := a.config(t)
	cfg.Indexes[0].Name = "a"
	cfg.ExtraIndexes = []IndexConfig{{Name: "b", URL: b.URL + "/simple", Explicit: true}, {Name: "c", URL: c.URL + "/simple", Explicit: true}}
	cfg.FindLinks = []string{links}
	cfg.Pin = map[string]string{"Corp_*": "b", "corp-deep-*": "c", "TORCH": "c"}
	client := newClient(t, cfg)
	for name, want := range map[string]string{"corp.x": "b", "corp-deep-y": "c", "torch": "c", "else": "a"} {
		f := oneFile(t, client, name)
		if f.Index != want {
			t.Errorf("%s comes from %s, not %s", name, f.Index, want)
		}
	}
	if _, err := client.Files(context.Background(), "corp-unknown"); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
	cfg.Pin = map[string]string{"x": "nobody"}
	if _, err := New(cfg); err == nil {
		t.Error("a pin to an index that is not there was taken")
	}
}

func TestHeldBack(t *testing.T) {
	f := newFakeIndex(t)
	now := time.Now()
	f.add("foo", map[string][]byte{"foo-1.zip": gz("x"), "foo-2.zip": gz("x"), "foo-3.zip": gz("x"), "foo-4.zip": gz("x")}, func(e map[string]any) {
		age := map[string]time.Duration{"foo-1.zip": 90, "foo-2.zip": 20, "foo-3.zip": 6, "foo-4.zip": 0}[e["filename"].(string)] * 24 * time.Hour
		e["upload-time"] = now.Add(-age).UTC().Format(time.RFC3339)
	})
	blocked, err := ParseBlocked("Foo == 1 # it bites")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		set  func(*Config)
		want string // what is left
		held string
	}{
		{"nothing", func(*Config) {}, "foo-1.zip foo-2.zip foo-3.zip foo-4.zip", ""},
		{"age", func(c *Config) { c.MinAge = 7 * 24 * time.Hour }, "foo-1.zip foo-2.zip", "3 younger than 7 days; 4 younger than 7 days; "},
		{"date", func(c *Config) { c.ExcludeNewer = now.Add(-30 * 24 * time.Hour) }, "foo-1.zip", "2 date; 3 date; 4 date; "},
		{"block", func(c *Config) { c.Block = []Blocked{blocked} }, "foo-2.zip foo-3.zip foo-4.zip", "1 blocked (Foo == 1): it bites; "},
		{"all", func(c *Config) { c.Block, c.MinAge = []Blocked{blocked}, 100*24*time.Hour }, "", "1 blocked (Foo == 1): it bites; 2 younger than 100 days; 3 younger than 100 days; 4 younger than 100 days; "},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := f.config(t)
			test.set(&cfg)
			p, err := newClient(t, cfg).Project(context.Background(), "foo")
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range p.Files() {
				names = append(names, f.Filename)
			}
			held := ""
			for _, h := range p.HeldBack() {
				if h.ByDate {
					h.Reason = "date"
				}
				held += fmt.Sprintf("%s %s; ", h.Version, h.Reason)
			}
			if got := strings.Join(names, " "); got != test.want || held != test.held {
				t.Errorf("left %q, held back %q", got, held)
			}
		})
	}
	for _, bad := range []string{"", "foo[x]", "foo; python_version<'3'", "foo @ https://x/y.zip", "foo=1"} {
		if _, err := ParseBlocked(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestPipIsRememberedForADay(t *testing.T) {
	dir := t.TempDir()
	python := filepath.Join(t.TempDir(), "python3")
	write := func(script string) {
		if err := os.WriteFile(python, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() string {
		cfg, _, err := Discover(context.Background(), DiscoverOptions{Getenv: noEnv, Root: t.TempDir(), Pythons: []string{python}, CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Indexes[0].URL
	}
	log := filepath.Join(t.TempDir(), "asked")
	write("echo x >> " + log + "; echo https://one.example.org/simple")
	for range 3 {
		if got := ask(); got != "https://one.example.org/simple" {
			t.Error(got)
		}
	}
	if asked, _ := os.ReadFile(log); string(asked) != "x\n" {
		t.Errorf("asked %q", asked)
	}
	write("echo https://two.example.org/simple; # longer now")
	if got := ask(); got != "https://two.example.org/simple" {
		t.Errorf("a changed Python was not asked: %s", got)
	}
	memory := filepath.Join(dir, "pip-default.json")
	if err := os.WriteFile(memory, []byte("{garbled"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "https://two.example.org/simple" {
		t.Errorf("garbled memory: %s", got)
	}
}
