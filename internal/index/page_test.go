package index

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const pageBase = "https://index.example.org/simple/foo/"

func parsed(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var allowLinks = cmp.AllowUnexported(link{})

func TestJSONPage(t *testing.T) {
	sha, md5 := strings.Repeat("ab", 32), strings.Repeat("cd", 16)
	entry := func(rest string) string { return `{"meta":{"api-version":"1.0"},"files":[` + rest + `]}` }
	for _, c := range []struct {
		name, body string
		want       []link
		err        string
	}{
		{
			name: "everything",
			body: entry(`{"filename":"foo-1.tar.gz","url":"https://u:secret@files.example.org/foo-1.tar.gz#frag","hashes":{"SHA256":"` + strings.ToUpper(sha) + `","md5":"` + md5 + `"},` +
				`"requires-python":">=3.8","size":12,"upload-time":"2024-02-29T01:02:03.4Z","yanked":"broken","core-metadata":{"sha256":"` + sha + `"},"future":[1]}`),
			want: []link{{
				filename: "foo-1.tar.gz", url: "https://files.example.org/foo-1.tar.gz", hashes: map[string]string{"sha256": sha, "md5": md5},
				requiresPython: ">=3.8", size: 12, uploaded: time.Date(2024, 2, 29, 1, 2, 3, 4e8, time.UTC), yanked: true, yankedReason: "broken",
				hasMetadata: true, metadataSHA256: sha,
			}},
		},
		{
			name: "relative address, nulls, both metadata keys",
			body: entry(`{"filename":"foo-1.tar.gz","url":"../../f/foo-1.tar.gz","hashes":{},"requires-python":null,"size":null,"upload-time":null,"yanked":true,"core-metadata":false,"dist-info-metadata":true}`),
			want: []link{{filename: "foo-1.tar.gz", url: "https://index.example.org/f/foo-1.tar.gz", yanked: true}},
		},
		{
			name: "old metadata key",
			body: entry(`{"filename":"foo-1.tar.gz","url":"foo-1.tar.gz","dist-info-metadata":true}`),
			want: []link{{filename: "foo-1.tar.gz", url: pageBase + "foo-1.tar.gz", hasMetadata: true}},
		},
		{
			name: "impossible hashes and times are dropped",
			body: entry(`{"filename":"a-1.zip","url":"a-1.zip","hashes":{"sha256":"abc","md5":"zz"},"upload-time":"yesterday","size":-4,"core-metadata":{"sha256":"no"}}`),
			want: []link{{filename: "a-1.zip", url: pageBase + "a-1.zip", hasMetadata: true}},
		},
		{
			name: "bad elements are left out, good ones stay",
			body: entry(`{"filename":7},{"filename":"../x-1.zip","url":"x"},{"filename":"b-1.zip","url":"file:///etc/passwd"},{"filename":"b-1.zip","url":"ftp://x/b"},"text",{"filename":"c-1.zip","url":"c-1.zip"}`),
			want: []link{{filename: "c-1.zip", url: pageBase + "c-1.zip"}},
		},
		{name: "no files yet", body: entry("")},
		{name: "another API", body: `{"meta":{"api-version":"2.0"},"files":[]}`, err: "version"},
		{name: "an error in JSON", body: `{"message":"forbidden"}`, err: `without "files"`},
		{name: "cut off", body: `{"files":[{"filename":"c-1.zip","url":`, err: "cut off"},
		{name: "cut off behind files", body: `{"files":[]`, err: "cut off"},
		{name: "garbled", body: `{"files":[{]}`, err: "garbled"},
		{name: "files no list", body: `{"files":{}}`, err: "not a list"},
		{name: "no object", body: `[]`, err: "not a JSON object"},
		{name: "too many", body: entry(strings.Repeat(`{"filename":"c-1.zip","url":"c"},`, maxFiles) + `{"filename":"c-1.zip","url":"c"}`), err: "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseJSONPage([]byte(c.body), parsed(t, pageBase))
			checkLinks(t, got, err, c.want, c.err)
		})
	}
}

func checkLinks(t *testing.T, got []link, err error, want []link, wantErr string) {
	t.Helper()
	if wantErr != "" {
		if err == nil || !strings.Contains(err.Error(), wantErr) {
			t.Fatalf("error %v, want one about %q", err, wantErr)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, allowLinks); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHTMLPage(t *testing.T) {
	sha := strings.Repeat("ab", 32)
	md5 := strings.Repeat("cd", 16)
	for _, c := range []struct {
		name, body string
		want       []link
		err        string
	}{
		{
			name: "everything",
			body: `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.3"></head><body>
				<A HREF="https://u:secret@files.example.org/foo-1.tar.gz#sha256=` + sha + `" data-requires-python="&gt;=3.8,&lt;4" data-yanked="broken" data-gpg-sig="true" data-core-metadata="sha256=` + sha + `">foo-1.tar.gz</A>`,
			want: []link{{
				filename: "foo-1.tar.gz", url: "https://files.example.org/foo-1.tar.gz", hashes: map[string]string{"sha256": sha},
				requiresPython: ">=3.8,<4", yanked: true, yankedReason: "broken", hasMetadata: true, metadataSHA256: sha,
			}},
		},
		{
			name: "base, relative, md5, escaped plus, old metadata, empty yanked",
			body: `<base href="/pub/"><base href="/ignored/"><a href="foo-1%2Bx.tar.gz?sig=1#md5=` + md5 + `" data-yanked data-dist-info-metadata="true">x</a>`,
			want: []link{{
				filename: "foo-1+x.tar.gz", url: "https://index.example.org/pub/foo-1%2Bx.tar.gz?sig=1", hashes: map[string]string{"md5": md5},
				yanked: true, hasMetadata: true,
			}},
		},
		{
			name: "the new metadata key wins",
			body: `<a href="foo-1.zip" data-core-metadata="false" data-dist-info-metadata="true">x</a>`,
			want: []link{{filename: "foo-1.zip", url: pageBase + "foo-1.zip"}},
		},
		{
			name: "other links are left out",
			body: `<a href="../">up</a><a name="x">x</a><a href="foo-1.zip">a</a><a href="file:///etc/foo-2.zip">b</a><a href="javascript:alert(1)">c</a><a href="http://[bad/foo-3.zip">d</a><!-- <a href="foo-4.zip"> -->`,
			want: []link{{filename: "foo-1.zip", url: pageBase + "foo-1.zip"}},
		},
		{name: "a listing without files", body: `<html><head><title>Links for foo</title></head><body><h1>Links for foo</h1></body></html>`},
		{name: "a web server's empty folder", body: `<html><head><title>Index of /simple/foo/</title></head><body><a href="../">../</a></body></html>`},
		{name: "nothing at all", body: `<html><body></body></html>`},
		{name: "a proxy's page", body: `<html><head><title>Sign in</title></head><body>Please <a href="/login">sign in</a></body></html>`, err: "no project page"},
		{name: "an error page", body: `<html><body><h1>Something went wrong</h1></body></html>`, err: "no project page"},
		{name: "another API", body: `<meta name="pypi:repository-version" content="2.0"><a href="foo-1.zip">x</a>`, err: "version"},
		{name: "too many", body: strings.Repeat(`<a href="x">`, maxFiles+1), err: "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseHTMLPage([]byte(c.body), parsed(t, pageBase))
			checkLinks(t, got, err, c.want, c.err)
		})
	}
}

func TestPageType(t *testing.T) {
	for _, c := range []struct{ contentType, body, want string }{
		{"application/vnd.pypi.simple.v1+json", `{}`, typeJSON},
		{"application/json; charset=utf-8", ` {}`, typeJSON},
		{"application/json", "garbage", typeJSON},
		{"text/html; charset=utf-8", "<a>", typeHTML},
		{"application/vnd.pypi.simple.v1+html", "<a>", typeHTML},
		{"text/html", "{}", typeJSON},
		{"", "<a>", typeHTML},
		{"", "\ufeff{}", typeJSON},
		{"application/json", "<html>", ""},
		{"text/plain", "hello", ""},
		{"application/json", "", ""},
	} {
		got, err := pageType(c.contentType, []byte(c.body))
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%q %q: %q, %v, want %q", c.contentType, c.body, got, err, c.want)
		}
	}
}

func FuzzIndexJSON(f *testing.F) {
	f.Add([]byte(`{"meta":{"api-version":"1.0"},"files":[{"filename":"foo-1.zip","url":"foo-1.zip","hashes":{"md5":"x"},"yanked":"why","core-metadata":{"sha256":"x"}}]}`))
	f.Add([]byte(`{"files":[{"yanked":{}}, 1, null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		links, err := parseJSONPage(body, parsed(t, pageBase))
		if err == nil {
			checkSane(t, links)
		}
	})
}

func FuzzIndexHTML(f *testing.F) {
	f.Add([]byte(`<base href="x"><a href="foo-1.zip#sha256=00" data-yanked data-core-metadata="sha256=1">foo</a>`))
	f.Add([]byte(`<title>links for`))
	f.Fuzz(func(t *testing.T, body []byte) {
		links, err := parseHTMLPage(body, parsed(t, pageBase))
		if err == nil {
			checkSane(t, links)
		}
	})
}

// checkSane holds for whatever an index sends.
func checkSane(t *testing.T, links []link) {
	for _, l := range links {
		u, err := url.Parse(l.url)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
			t.Fatalf("address %q: %v", l.url, err)
		}
		if !safeFilename(l.filename) {
			t.Fatalf("file name %q", l.filename)
		}
		for name, value := range l.hashes {
			if n, known := digestLength[name]; known && len(value) != n {
				t.Fatalf("hash %s=%s", name, value)
			}
		}
		if l.metadataSHA256 != "" && !validSHA256(l.metadataSHA256) {
			t.Fatalf("metadata hash %q", l.metadataSHA256)
		}
	}
	files := toFiles(links, "foo", "fuzz")
	for i := 1; i < len(files); i++ {
		if files[i-1].Version.Compare(files[i].Version) > 0 {
			t.Fatal("not in order: " + fmt.Sprint(names(files)))
		}
	}
}

// TestPlainURL: the short cut changes no address.
func TestPlainURL(t *testing.T) {
	base, _ := url.Parse("https://index.example.org/simple/foo/")
	plain := 0
	for _, href := range []string{
		"https://files.example.org/packages/0e/F9/x_y-1.0+local~1.tar.gz", "https://h/a", "https://h.example.org/a//b", "https://h/a/../b", "https://h/a/.b",
		"https://H/a", "https://h:443/a", "https://u:p@h/a", "https://h/a%20b", "https://h/a b", "https://h/a?x=1", "https://h/a#f", "https://h", "https:///a",
		"http://h/a", "/a", "../a", "https://h/\u00e4", "https://h/a/", "https://-/a", "https://./a", "https://h..x/a",
	} {
		if !plainURL(href) {
			continue
		}
		plain++
		u, ok := resolveLink(base, href)
		if !ok || cleanURL(u).String() != href {
			t.Errorf("%s is not plain: %v", href, u)
		}
	}
	if plain < 2 {
		t.Errorf("only %d are plain", plain)
	}
}
