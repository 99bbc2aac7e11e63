package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRedact(t *testing.T) {
	const secret = `p@ss/wörd "1"+&<x>`
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\nAAAAAAAAABAAABlwAAAAdzc2gtcn\n-----END OPENSSH PRIVATE KEY-----\n"
	r := NewRedactor([]byte(secret), []byte(key), []byte("short"), nil)
	quoted, _ := json.Marshal(secret)
	for name, line := range map[string]string{
		"plain":         "password: " + secret + ".",
		"query":         "GET /?p=" + url.QueryEscape(secret) + "&x=1",
		"lower escapes": "GET /?p=" + lowerEscapes(url.QueryEscape(secret)) + "&x=1",
		"path":          "https://example.org/" + url.PathEscape(secret) + "/x",
		"userinfo":      (&url.URL{Scheme: "https", User: url.UserPassword("bob", secret), Host: "example.org"}).String(),
		"JSON":          `{"p":` + string(quoted) + `}`,
		"base64":        "p: " + base64.StdEncoding.EncodeToString([]byte(secret)),
		"Basic, 1":      "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("bob:"+secret)),
		"Basic, 2":      "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("bobby:"+secret)),
		"Basic, 3":      "Authorization: Basic " + base64.URLEncoding.EncodeToString([]byte("eve:x:"+secret)),
		"a key's line":  "debug: read AAAAAAAAABAAABlwAAAAdzc2gtcn",
		"a key at once": "KEY=" + key,
		"a key, base64": "KEY=" + base64.StdEncoding.EncodeToString([]byte(key)),
		"twice":         secret + " " + secret,
	} {
		got := r.String(line)
		if !strings.Contains(got, hidden) || strings.Contains(got, secret[2:12]) || strings.Contains(got, "zc2gtcn") || strings.Contains(got, base64.StdEncoding.EncodeToString([]byte(secret))[4:16]) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for line, want := range map[string]string{
		"a short walk\n":                           "a short walk\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nx":   "-----BEGIN OPENSSH PRIVATE KEY-----\nx",
		"x=" + secret + "; y":                      "x=***; y",
		"p@ss/wörd is what it begins with":         "p@ss/wörd is what it begins with",
		"p@ss/p@ss/p@ss/wörd \"1\"+&<x> and so on": "p@ss/p@ss/*** and so on",
	} {
		if got := r.String(line); got != want {
			t.Errorf("%q became %q", line, got)
		}
	}
	// One secret in the middle of what might have become another.
	if got := NewRedactor([]byte("abcdefghijkl"), []byte("cdefgh")).String("abcdefghi, abcdefghijkl"); got != "ab***i, ***" {
		t.Error(got)
	}
	if got := NewRedactor().String("nothing is known"); got != "nothing is known" {
		t.Error(got)
	}
}

// A log that is followed must not wait for the end of a line.
func TestRedactHoldsLittleBack(t *testing.T) {
	var out bytes.Buffer
	w := NewRedactor([]byte("supersecret")).Writer(&out)
	for _, step := range [][2]string{{"building…\n", "building…\n"}, {"50 % su", "50 % "}, {"re\n", "sure\n"}, {"supersec", ""}, {"ret", ""}, {"!", "***!"}, {"super", ""}} {
		n, err := w.Write([]byte(step[0]))
		if n != len(step[0]) || err != nil || out.String() != step[1] {
			t.Errorf("after %q: %q, %d, %v", step[0], out.String(), n, err)
		}
		out.Reset()
	}
	if err := w.Close(); err != nil || out.String() != "super" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// Against the plain way: mark every occurrence, then write what is not marked. However it comes in pieces.
func TestRedactInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Secrets that are parts of each other, and a log with parts of them.
		whole := rapid.StringMatching(`[ab]{6}|[abcd]{12,16}`).Draw(t, "whole")
		part := rapid.Custom(func(t *rapid.T) string {
			from := rapid.IntRange(0, len(whole)-1).Draw(t, "from")
			return whole[from:rapid.IntRange(from+1, len(whole)).Draw(t, "to")]
		})
		secrets := rapid.SliceOfN(part.Filter(func(s string) bool { return len(s) >= MinSecret }), 0, 4).Draw(t, "secrets")
		text := strings.Join(rapid.SliceOfN(rapid.OneOf(part, rapid.StringMatching(`[abcd\n]{0,8}`)), 0, 12).Draw(t, "text"), "")
		var known [][]byte
		marked := make([]bool, len(text))
		for _, secret := range secrets {
			known = append(known, []byte(secret))
			for i := 0; i+len(secret) <= len(text); i++ {
				if text[i:i+len(secret)] == secret {
					for k := range secret {
						marked[i+k] = true
					}
				}
			}
		}
		var want strings.Builder
		for i := range text {
			if !marked[i] {
				want.WriteByte(text[i])
			} else if i == 0 || !marked[i-1] {
				want.WriteString(hidden)
			}
		}
		r := NewRedactor(known...)
		var got strings.Builder
		w := r.Writer(&got)
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() || r.String(text) != want.String() {
			t.Errorf("%q without %q: %q, not %q", text, secrets, got.String(), want.String())
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("0123456789ab"), 200))
	r := NewRedactor([]byte("supersecret"), []byte(key))
	line := []byte("gcc -O2 -g -fstack-protector-strong -c src/supersonic.c -o build/supersonic.o\n")
	w := r.Writer(io.Discard)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		_, _ = w.Write(line)
	}
}
