package index

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/secret"
)

func TestNetrc(t *testing.T) {
	n := parseNetrc(`# a comment with machine words
machine one.example.org login a password pw1
machine two.example.org
	login b
	account x
	password "with space\"not"
macdef init
	machine three.example.org login no password no

default login anonymous password me@example.org # said so
machine late.example.org login c password #hash
machine broken.example.org login`)
	for _, c := range []struct{ host, login, want string }{
		{"one.example.org", "", "a:pw1"},
		{"ONE.example.org", "", "a:pw1"},
		{"one.example.org", "a", "a:pw1"},
		{"one.example.org", "other", ""},
		{"three.example.org", "", "anonymous:me@example.org"},
		{"late.example.org", "", "c:#hash"},
	} {
		got := ""
		if e, ok := n.lookup(c.host, c.login); ok {
			got = e.login + ":" + e.password
		}
		if got != c.want {
			t.Errorf("%s %s: %q, want %q", c.host, c.login, got, c.want)
		}
	}
	quoted := parseNetrc(`machine q login "l" password "p\"w"`)
	if diff := cmp.Diff(netrc{{"q", "l", `p"w`}}, quoted, cmp.AllowUnexported(netrcEntry{})); diff != "" {
		t.Error(diff)
	}
}

// TestCredentialsGoToTheIndexOnly runs every way to give credentials against an index that
// wants them and keeps its files, by link and by redirect, on another host.
func TestCredentialsGoToTheIndexOnly(t *testing.T) {
	netrcFile := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "netrc")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const basic = "Basic bWU6czNjcjN0" // me:s3cr3t
	for _, c := range []struct {
		name string
		want string
		set  func(t *testing.T, cfg *Config)
	}{
		{"in the address", basic, func(t *testing.T, cfg *Config) {
			cfg.Indexes[0].URL = strings.Replace(cfg.Indexes[0].URL, "://", "://me:s3cr3t@", 1)
		}},
		{"in the configuration", basic, func(t *testing.T, cfg *Config) { cfg.Indexes[0].Username, cfg.Indexes[0].Password = "me", "s3cr3t" }},
		{"a token", "Bearer s3cr3t", func(t *testing.T, cfg *Config) { cfg.Indexes[0].Token = "s3cr3t" }},
		{"a project's secret", basic, func(t *testing.T, cfg *Config) {
			cfg.Secrets = []secret.Secret{held(t, cfg.Indexes[0].URL, "me", "s3cr3t")}
			cfg.Indexes[0].Username, cfg.Indexes[0].Password = "you", "wrong" // it goes before what the server has
		}},
		{"a project's secret for another server", "Bearer s3cr3t", func(t *testing.T, cfg *Config) {
			cfg.Secrets = []secret.Secret{held(t, "https://index.example.org", "me", "m1ne-only"), held(t, cfg.Indexes[0].URL, "", "s3cr3t")}
		}},
		{"netrc", basic, func(t *testing.T, cfg *Config) {
			cfg.Netrc = netrcFile(t, "machine 127.0.0.1 login me password s3cr3t")
		}},
		{"netrc by its variable, user from the address", basic, func(t *testing.T, cfg *Config) {
			path := netrcFile(t, "machine 127.0.0.1 login you password no\ndefault login me password s3cr3t")
			cfg.Getenv = func(k string) string { return map[string]string{"NETRC": path}[k] }
			cfg.Indexes[0].URL = strings.Replace(cfg.Indexes[0].URL, "://", "://me@", 1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := gz("x")
			stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "" {
					t.Errorf("the other host was sent %q for %s", got, r.URL.Path)
				}
				w.Write(content)
			}))
			defer stranger.Close()
			f := newFakeIndex(t)
			wants := func(next http.HandlerFunc) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Authorization") != c.want {
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					next(w, r)
				}
			}
			self := strings.Replace(f.URL, "://", "://page:h1dden@", 1)
			f.handle(f.page("foo"), wants(body("application/json", fmt.Sprintf(`{"files":[{"filename":"foo-1.zip","url":"%s/foo-1.zip"},
				{"filename":"foo-2.tar.gz","url":"%s/files/foo-2.tar.gz"},{"filename":"foo-3.tar.gz","url":"/files/foo-3.tar.gz"}]}`, stranger.URL, self))))
			f.handle("/files/foo-2.tar.gz", wants(func(w http.ResponseWriter, r *http.Request) { w.Write(content) }))
			f.handle("/files/foo-3.tar.gz", wants(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, stranger.URL+"/moved.tar.gz", http.StatusFound)
			}))
			cfg := f.config(t)
			var log logBuffer
			cfg.Log = log.logger()
			c.set(t, &cfg)
			client := newClient(t, cfg)
			files, err := client.Files(context.Background(), "foo")
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if u, _ := url.Parse(file.URL); u.User != nil {
					t.Errorf("credentials in %s", file.URL)
				}
				_, err := client.Download(context.Background(), file)
				if file.Filename == "foo-1.zip" {
					// It is no zip file, and there is no hash: the error must not leak either.
					if err == nil || strings.Contains(err.Error(), "s3cr3t") {
						t.Errorf("error %v", err)
					}
				} else if err != nil {
					t.Error(err)
				}
			}
			if s := log.text() + fmt.Sprintf("%v %+v %#v", cfg.Indexes[0], cfg.Indexes[0], cfg.Indexes); strings.Contains(s, "s3cr3t") {
				t.Errorf("the password shows: %s", s)
			}
		})
	}
}

func TestBadAddressesKeepTheirSecrets(t *testing.T) {
	for _, address := range []string{
		"https://me:s3cr3t@ho st/simple", "https://me:s3cr3t@host:port/simple", "ssh://me:s3cr3t@host/simple", "https://me:s3cr3t@/simple",
		"https://me:s3%cr3t@host/simple", "file://me:s3cr3t@elsewhere/simple", "https://me:s3cr3t@%zz/",
	} {
		_, err := New(Config{Indexes: []IndexConfig{{URL: address}}, CacheDir: t.TempDir(), Getenv: noEnv})
		if err == nil || strings.Contains(err.Error(), "s3") {
			t.Errorf("%s: error %v", address, err)
		}
	}
	for in, want := range map[string]string{
		"https://u:p@h.example.org/a?X-Signature=1#f": "https://h.example.org/a",
		"https://u:p@h:bad/a?X=1":                     "https://h:bad/a",
		"u:p@h/%zz":                                   "h/%zz",
	} {
		if got := redact(in); got != want {
			t.Errorf("redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNoIndexConfigured(t *testing.T) {
	if _, err := New(Config{CacheDir: t.TempDir(), Getenv: noEnv}); err == nil {
		t.Error("a client without any index was made")
	}
	twice := []IndexConfig{{Name: "a", URL: "http://127.0.0.1/"}, {Name: "a", URL: "http://127.0.0.2/"}}
	if _, err := New(Config{Indexes: twice, CacheDir: t.TempDir(), Getenv: noEnv}); err == nil {
		t.Error("two indexes of one name were taken")
	}
}

func TestTLS(t *testing.T) {
	f := unstartedIndex()
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Close)
	f.Config.ErrorLog = nil
	f.add("foo", map[string][]byte{"foo-1.zip": gz("x")}, nil)
	host := strings.TrimPrefix(f.URL, "https://")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		set  func(*Config)
		ok   bool
	}{
		{"unknown authority", func(*Config) {}, false},
		{"cert", func(cfg *Config) { cfg.CAFile = ca }, true},
		{"cert as a folder", func(cfg *Config) { cfg.CAFile = filepath.Dir(ca) }, true},
		{"trusted host", func(cfg *Config) { cfg.TrustedHosts = []string{"127.0.0.1"} }, true},
		{"trusted host and port", func(cfg *Config) { cfg.TrustedHosts = []string{host} }, true},
		{"another host is trusted", func(cfg *Config) { cfg.TrustedHosts = []string{"127.0.0.1:1", "example.org"} }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := f.config(t)
			c.set(&cfg)
			client := newClient(t, cfg)
			_, err := client.Files(context.Background(), "foo")
			if c.ok != (err == nil) {
				t.Fatal(err)
			}
			if !c.ok && (!isKind(err, ErrUnavailable) || !strings.Contains(err.Error(), "cert setting") || client.Stats().Retries != 0) {
				t.Errorf("error %v after %d retries", err, client.Stats().Retries)
			}
		})
	}
	cfg := f.config(t)
	cfg.CAFile = filepath.Join(t.TempDir(), "missing.pem")
	if _, err := New(cfg); err == nil {
		t.Error("a missing cert file was accepted")
	}
}

func TestNoWayBackToHTTP(t *testing.T) {
	plain := newFakeIndex(t)
	plain.add("foo", map[string][]byte{"foo-1.zip": gz("x")}, nil)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+r.URL.Path, http.StatusFound)
	}))
	defer secure.Close()
	cfg := plain.config(t)
	cfg.Indexes[0].URL = secure.URL + "/simple"
	cfg.TrustedHosts = []string{strings.TrimPrefix(secure.URL, "https://")}
	_, err := newClient(t, cfg).Files(context.Background(), "foo")
	if !isKind(err, ErrUnavailable) || !strings.Contains(err.Error(), "https to http") {
		t.Errorf("error %v", err)
	}
}

func TestProxy(t *testing.T) {
	origin := newFakeIndex(t)
	origin.add("foo", map[string][]byte{"foo-1.zip": gz("x")}, nil)
	asked := make(chan string, 8)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String() + " " + r.Header.Get("Proxy-Authorization")
		origin.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	cfg := origin.config(t)
	cfg.Indexes[0].URL = "http://index.example.org/simple" // only the proxy can know it
	cfg.Getenv = func(k string) string {
		return map[string]string{"HTTP_PROXY": strings.Replace(proxy.URL, "://", "://me:s3cr3t@", 1)}[k]
	}
	if _, err := newClient(t, cfg).Files(context.Background(), "foo"); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-asked:
		if got != "http://index.example.org/simple/foo/ Basic bWU6czNjcjN0" {
			t.Errorf("the proxy was asked %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the proxy was not asked")
	}
}
