package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRefusedURLs(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	for _, c := range []struct{ url, reason string }{
		{"", "no URL"},
		{"ext::sh -c 'touch " + ran + "'", "remote helpers"},
		{"ext::https://example.org/x", "is not allowed"},
		{"fd::17/foo", "remote helpers"},
		{"--upload-pack=touch " + ran, "dash"},
		{"-oProxyCommand=x", "dash"},
		{"file:///etc", "local paths are not allowed"},
		{"file://host/etc", "file:///path"},
		{"/etc", "local paths are not allowed"},
		{"../x", "local paths are not allowed"},
		{"https://user@example.org/x", "token"},
		{"https://user:geheim@example.org/x", "token"},
		{"https://:geheim@example.org/x", "token"},
		{"ssh://git:geheim@example.org/x", "token"},
		{"ssh://-oProxyCommand=x/y", "dash"},
		{"ssh://-x@example.org/y", "not a user name"},
		{"git@example.org:-x", "dash"},
		{"git@example.org:a/../../b", ".."},
		{"https://example.org/a/../b", ".."},
		{"https://example.org/a/%2e%2e/b", ".."},
		{"https://example.org/a\nb", "control characters"},
		{"https://example.org/a\x7f", "control characters"},
		{"https:///a", "no host"},
		{"https://:443/a", "no host"},
		{"https://example.org", "no repository"},
		{"https://example.org//", "no repository"},
		{"https://example.org/a?x=y", "query"},
		{"https://example.org/a#main", "fragment"},
		{"http://example.org/a", "https"},
		{"git://example.org/a", "not allowed"},
		{"ftp://example.org/a", "not allowed"},
		{"https://127.0.0.1/a", "private or local"},
		{"https://[::1]/a", "private or local"},
		{"https://[::ffff:10.0.0.1]/a", "private or local"},
		{"https://169.254.169.254/latest", "private or local"},
		{"ssh://git@192.168.1.1/a", "private or local"},
		{"git@10.0.0.1:a/b", "private or local"},
		{"https://" + strings.Repeat("a", 3000), "longer"},
	} {
		_, err := Fetch(t.Context(), Request{URL: c.url, Dir: t.TempDir()})
		var bad *URLError
		if !errors.As(err, &bad) || !strings.Contains(bad.Reason, c.reason) {
			t.Errorf("%q: got %v, want %q", c.url, err, c.reason)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: the password is in the message: %v", c.url, err)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a command ran")
	}
}

func TestRefusedRefs(t *testing.T) {
	for _, ref := range []string{"--upload-pack=x", "-b", "a b", "a..b", "a~1", "a^", "a:b", "a\nb", "*", "x\x00y"} {
		_, err := Fetch(t.Context(), Request{URL: "https://example.org/a", Ref: ref, Dir: t.TempDir()})
		var bad *URLError
		if !errors.As(err, &bad) {
			t.Errorf("%q: got %v", ref, err)
		}
	}
}

func TestNamesOfLoopbackAreRefused(t *testing.T) {
	_, err := Fetch(t.Context(), Request{URL: "https://localhost/a", Dir: t.TempDir()})
	var bad *URLError
	if !errors.As(err, &bad) || !strings.Contains(bad.Reason, "private or local") {
		t.Errorf("got %v", err)
	}
}

// Whoever gave an address is told what is wrong with it, and not which resolver this machine asks.
func TestUnknownHost(t *testing.T) {
	asked := net.DNSError{Err: "no such host", Name: "git.example.org", Server: "192.0.2.1:53", IsNotFound: true}
	if got := notFound("git.example.org", &asked).Error(); got != "there is no host git.example.org" {
		t.Error(got)
	}
	asked = net.DNSError{Err: "server misbehaving", Name: "git.example.org", Server: "192.0.2.1:53", IsTemporary: true}
	if got := notFound("git.example.org", fmt.Errorf("asked: %w", &asked)).Error(); got != "lookup git.example.org: server misbehaving" {
		t.Error(got)
	}
	if got := notFound("git.example.org", context.Canceled); !errors.Is(got, context.Canceled) {
		t.Error(got)
	}
}

func TestCanonicalURLs(t *testing.T) {
	allow := Policy{Loopback: true, HTTP: true}
	for raw, want := range map[string]string{
		"https://Example.ORG:443/Org/Repo.git/": "https://example.org/Org/Repo.git",
		"http://example.org:80/a":               "http://example.org/a",
		"http://example.org:8080/a":             "http://example.org:8080/a",
		"ssh://git@example.org:22/a/b":          "ssh://git@example.org/a/b",
		"git@Example.org:a/b/":                  "git@example.org:a/b",
		"https://example.org/a%20b":             "https://example.org/a%20b",
	} {
		loc, err := locate(t.Context(), raw, allow)
		if err != nil || loc.canonical != want {
			t.Errorf("%s: got %s, %v; want %s", raw, loc.canonical, err, want)
		}
	}
}

// FuzzLocate: a source that is let through by the strictest policy is https or ssh and
// cannot be an option.
func FuzzLocate(f *testing.F) {
	for _, s := range []string{"https://93.184.216.34/a", "git@93.184.216.34:a/b", "ext::x", "-x", "file:///x", "ssh://u@93.184.216.34/x", "https://[::1]/", "a:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		// No resolver in a fuzz test: only literal addresses come through.
		if strings.ContainsAny(raw, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") && !strings.Contains(raw, "93.184.216.34") {
			t.Skip()
		}
		loc, err := locate(t.Context(), raw, Policy{})
		if err != nil {
			return
		}
		if loc.local || (loc.scheme != "https" && loc.scheme != "ssh") || strings.HasPrefix(loc.url, "-") || strings.Contains(loc.url, "::") && !strings.Contains(loc.url, "[") && loc.scheme == "https" {
			t.Errorf("%q became %+v", raw, loc)
		}
	})
}

func FuzzParseRefs(f *testing.F) {
	f.Add("ref: refs/heads/main\tHEAD\n0123456789012345678901234567890123456789\tHEAD\n0123456789012345678901234567890123456789\trefs/tags/v1^{}\n")
	f.Add("x\ty\n")
	f.Fuzz(func(t *testing.T, out string) {
		r, err := parseRefs(out)
		if err != nil {
			return
		}
		for _, ref := range r.refs {
			if checkRef(ref.Name) != nil || !objectID.MatchString(ref.Commit) {
				t.Errorf("%+v", ref)
			}
		}
		_ = r.near("v1")
		_ = r.near("")
	})
}
