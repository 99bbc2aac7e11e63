package index

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// machine is a made-up machine: files below root, environment variables.
type machine struct {
	t    *testing.T
	root string
	env  map[string]string
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, root: t.TempDir(), env: map[string]string{}}
	m.env["HOME"] = filepath.Join(m.root, "home")
	return m
}

func (m *machine) write(path, text string, mode os.FileMode) string {
	m.t.Helper()
	path = filepath.Join(m.root, path)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), mode)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return path
}

func (m *machine) discover(o DiscoverOptions) (Config, string, error) {
	o.Root, o.Getenv = m.root, func(k string) string { return m.env[k] }
	if o.Pythons == nil {
		o.Pythons = []string{}
	}
	return Discover(context.Background(), o)
}

func at(address string) []IndexConfig { return []IndexConfig{{URL: address}} }

// TestDiscoverOrder takes the strongest source away, one after the other.
func TestDiscoverOrder(t *testing.T) {
	m := newMachine(t)
	site := m.write("venv/pip.conf", "[global]\nindex-url = http://127.0.0.1/site", 0o644)
	newUser := m.write("home/.config/pip/pip.conf", "[global]\nindex_url: http://127.0.0.1/user", 0o644)
	oldUser := m.write("home/.pip/pip.conf", "[global]\nindex-url = http://127.0.0.1/olduser", 0o644)
	etc := m.write("etc/pip.conf", "[global]\nindex-url = http://127.0.0.1/etc", 0o644)
	xdg := m.write("etc/xdg/pip/pip.conf", "[global]\nindex-url = http://127.0.0.1/xdg", 0o644)
	m.env["VIRTUAL_ENV"] = filepath.Dir(site)
	m.env["PIP_INDEX_URL"] = "http://me:s3cr3t@127.0.0.1/env"
	m.env["PIP_CONFIG_FILE"] = m.write("named.conf", "[install]\nindex-url = http://127.0.0.1/named", 0o644)
	python := m.write("bin/python3", "#!/bin/sh\ntest \"$1\" = -I || exit 1\necho http://127.0.0.1/default\n", 0o755)
	o := DiscoverOptions{
		Flags:   Places{Indexes: at("http://127.0.0.1/flag")},
		Config:  Places{Indexes: at("http://127.0.0.1/config")},
		Pythons: []string{filepath.Join(m.root, "no such python"), "/bin/false", python},
	}
	remove := func(path string) func() {
		return func() {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		url, source string
		next        func()
	}{
		{"http://127.0.0.1/flag", "--index-url", func() { o.Flags.Indexes = nil }},
		{"http://127.0.0.1/config", "ReqPM's configuration", func() { o.Config.Indexes = nil }},
		{"http://me:s3cr3t@127.0.0.1/env", "PIP_INDEX_URL", func() { delete(m.env, "PIP_INDEX_URL") }},
		{"http://127.0.0.1/named", m.env["PIP_CONFIG_FILE"] + " [install]", func() { delete(m.env, "PIP_CONFIG_FILE") }},
		{"http://127.0.0.1/site", site + " [global]", func() { delete(m.env, "VIRTUAL_ENV") }},
		{"http://127.0.0.1/user", newUser + " [global]", remove(newUser)},
		{"http://127.0.0.1/olduser", oldUser + " [global]", remove(oldUser)},
		{"http://127.0.0.1/etc", etc + " [global]", remove(etc)},
		{"http://127.0.0.1/xdg", xdg + " [global]", remove(xdg)},
		{"http://127.0.0.1/default", "pip's default (" + python + ")", remove(python)},
	} {
		cfg, source, err := m.discover(o)
		if err != nil {
			t.Fatalf("%s: %v", c.source, err)
		}
		if diff := cmp.Diff(at(c.url), cfg.Indexes); diff != "" || source != c.source {
			t.Errorf("source %q, want %q; (-want +got)\n%s", source, c.source, diff)
		}
		c.next()
	}
	_, _, err := m.discover(o)
	if !errors.Is(err, ErrNoIndex) || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "--index-url") || !strings.Contains(err.Error(), "run: ") {
		t.Errorf("error %v", err)
	}
}

// TestPipConfiguration: each setting is looked up for itself, as pip does.
func TestPipConfiguration(t *testing.T) {
	m := newMachine(t)
	ca := m.write("home/ca.pem", "", 0o644)
	m.write("etc/pip.conf", `
# for everybody
[global]
index-url = http://127.0.0.1/global
extra-index-url =
    http://127.0.0.1/one
    # a comment between
    http://127.0.0.1/two  http://127.0.0.1/three

timeout = 7.5
retries = 0
cert = ~/ca.pem
[install]
trusted-host: one.example.org
	two.example.org:8443
[list]
index-url = http://127.0.0.1/not-this
`, 0o644)
	m.write("home/.config/pip/pip.conf", "[install]\nindex-url = http://127.0.0.1/install\nfind-links=\n[freeze]\ntimeout = 1\n", 0o644)
	m.env["PIP_FIND_LINKS"] = "~/wheels http://127.0.0.1/links"
	m.env["PIP_TIMEOUT"] = ""
	cfg, source, err := m.discover(DiscoverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(source, "pip.conf [install]") {
		t.Errorf("source %q", source)
	}
	cfg.Getenv = nil
	want := Config{
		Indexes: at("http://127.0.0.1/install"),
		ExtraIndexes: []IndexConfig{
			{URL: "http://127.0.0.1/one"}, {URL: "http://127.0.0.1/two"}, {URL: "http://127.0.0.1/three"},
		},
		FindLinks:    []string{m.env["HOME"] + "/wheels", "http://127.0.0.1/links"},
		TrustedHosts: []string{"one.example.org", "two.example.org:8443"},
		CAFile:       ca, Timeout: 7500 * time.Millisecond, Retries: -1,
	}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	m.env["PIP_CONFIG_FILE"] = os.DevNull
	if _, _, err := m.discover(DiscoverOptions{}); !errors.Is(err, ErrNoIndex) {
		t.Errorf("with PIP_CONFIG_FILE=%s files were read: %v", os.DevNull, err)
	}
}

func TestNoIndex(t *testing.T) {
	m := newMachine(t)
	m.env["PIP_NO_INDEX"], m.env["PIP_INDEX_URL"], m.env["PIP_EXTRA_INDEX_URL"] = "1", "http://127.0.0.1/a", "http://127.0.0.1/b"
	if _, _, err := m.discover(DiscoverOptions{}); !errors.Is(err, ErrNoIndex) || !strings.Contains(err.Error(), "PIP_NO_INDEX") {
		t.Errorf("no index and no find-links: %v", err)
	}
	m.env["PIP_FIND_LINKS"] = "/wheels"
	cfg, source, err := m.discover(DiscoverOptions{})
	if err != nil || source != "PIP_NO_INDEX" || len(cfg.Indexes)+len(cfg.ExtraIndexes) != 0 {
		t.Errorf("%v, %q, %v", cfg.Indexes, source, err)
	}
	if cfg, _, err := m.discover(DiscoverOptions{Flags: Places{Indexes: at("http://127.0.0.1/flag")}}); err != nil || len(cfg.Indexes) != 1 {
		t.Errorf("--index-url against PIP_NO_INDEX: %v, %v", cfg.Indexes, err)
	}
}

func TestBrokenPipConfiguration(t *testing.T) {
	for text, says := range map[string]string{
		"index-url = x":                "pip.conf:1",
		"[global]\nnonsense\n":         "pip.conf:2",
		"[global\nindex-url = x":       "pip.conf:1",
		"[global]\na = b\n\n= novalue": "pip.conf:4",
	} {
		m := newMachine(t)
		m.write("etc/pip.conf", text, 0o644)
		if _, _, err := m.discover(DiscoverOptions{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want %q in it", text, err, says)
		}
	}
}

// TestPythonsThatTalkNonsense: only a web address is believed.
func TestPythonsThatTalkNonsense(t *testing.T) {
	m := newMachine(t)
	for name, script := range map[string]string{
		"nothing": "exit 0", "words": "echo hello there", "local": "echo file:///tmp", "much": "head -c 100000 /dev/zero",
	} {
		python := m.write(name, "#!/bin/sh\n"+script+"\n", 0o755)
		if cfg, _, err := m.discover(DiscoverOptions{Pythons: []string{python}}); !errors.Is(err, ErrNoIndex) {
			t.Errorf("%s: %v, %v", name, cfg.Indexes, err)
		}
	}
}

func TestFindPythons(t *testing.T) {
	m := newMachine(t)
	newer := m.write("b/python3.14", "#!/bin/sh\n", 0o755)
	older := m.write("b/python3.9", "#!/bin/sh\n", 0o755)
	plain := m.write("a/python3", "#!/bin/sh\n", 0o755)
	m.write("a/python3.12", "not executable", 0o644)
	var got []string
	for _, p := range findPythons(filepath.Join(m.root, "a") + ":relative:" + filepath.Join(m.root, "b")) {
		if strings.HasPrefix(p, m.root) {
			got = append(got, p)
		}
	}
	if diff := cmp.Diff([]string{plain, newer, older}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
