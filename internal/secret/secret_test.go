package secret

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestOrigin(t *testing.T) {
	for address, want := range map[string]string{
		"https://Git.Example.org/a/b.git":     "https://git.example.org",
		"https://git.example.org:443/x?y=z#f": "https://git.example.org",
		"http://git.example.org:8080":         "http://git.example.org:8080",
		"https://me:pw@git.example.org/x":     "https://git.example.org",
		"git@Git.example.org:a/b.git":         "ssh://git.example.org",
		"git.example.org:/srv/b.git":          "ssh://git.example.org",
		"ssh://git@git.example.org:22/a":      "ssh://git.example.org",
		"ssh://git@git.example.org:2222/a":    "ssh://git.example.org:2222",
		"https://[2001:DB8::1]/x":             "https://[2001:db8::1]",
		"file:///srv/a":                       "",
		"/srv/a":                              "",
		"https:///x":                          "",
		"ftp://git.example.org":               "",
		"":                                    "",
	} {
		if got, err := Origin(address); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v, want %q", address, got, err, want)
		}
	}
}

func key(t *testing.T, passphrase string) (text, hostKey string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "x")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "x", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	known, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(known))
}

// What cannot be used is refused when it is set, with the field that is wrong and without the value.
func TestNew(t *testing.T) {
	private, public := key(t, "")
	locked, _ := key(t, "secret words")
	line := func(host string) string { return host + " " + public }
	hashed := knownhosts.HashHostname("[git.example.org]:2222") + " " + public
	for _, c := range []struct {
		kind                           Kind
		where, user, value, knownHosts string
		field                          string // "": it is good
	}{
		{GitToken, "https://git.example.org/a", "", "token-1", "", ""},
		{GitToken, "https://git.example.org/a", "", " token-1\n", "", ""},
		{GitToken, "https://git.example.org/a", "", "short", "", "value"},
		{GitToken, "https://git.example.org/a", "", strings.Repeat("x", 8001), "", "value"},
		{GitToken, "https://git.example.org/a", "", "two\nlines", "", "value"},
		{GitToken, "https://git.example.org/a", "a:b", "token-1", "", "username"},
		{GitToken, "git@git.example.org:a", "", "token-1", "", "origin"},
		{GitToken, "nonsense", "", "token-1", "", "origin"},
		{GitToken, "https://git.example.org/a", "", "token-1", line("git.example.org"), "known_hosts"},
		{"other", "https://git.example.org/a", "", "token-1", "", "kind"},
		{Index, "https://index.example.org", "me", "password", "", ""},
		{SSHKey, "git@git.example.org:a", "", private, "# a comment\n" + line("git.example.org"), ""},
		{SSHKey, "ssh://git.example.org:2222/a", "", private, line("[git.example.org]:2222"), ""},
		{SSHKey, "ssh://git.example.org:2222/a", "", private, hashed, ""},
		{SSHKey, "git@git.example.org:a", "", private, line("*.example.org"), ""},
		{SSHKey, "git@git.example.org:a", "", private, hashed, "known_hosts"},
		{SSHKey, "git@git.example.org:a", "", private, line("[git.example.org]:2222"), "known_hosts"},
		{SSHKey, "git@git.example.org:a", "", private, "@revoked " + line("git.example.org"), "known_hosts"},
		{SSHKey, "git@git.example.org:a", "", private, "git.example.org nonsense", "known_hosts"},
		{SSHKey, "git@git.example.org:a", "", private, "", "known_hosts"},
		{SSHKey, "git@git.example.org:a", "", locked, line("git.example.org"), "value"},
		{SSHKey, "git@git.example.org:a", "", "no key at all", line("git.example.org"), "value"},
		{SSHKey, "git@git.example.org:a", "git", private, line("git.example.org"), "username"},
		{SSHKey, "https://git.example.org/a", "", private, line("git.example.org"), "origin"},
	} {
		_, err := New("it", c.kind, c.where, c.user, c.value, c.knownHosts)
		field, _ := errors.AsType[*FieldError](err)
		switch {
		case err == nil && c.field != "", err != nil && (field == nil || field.Field != c.field):
			t.Errorf("%s %s %.20q %.60q: %v, want the field %q", c.kind, c.where, c.value, c.knownHosts, err, c.field)
		case err != nil && strings.Contains(err.Error(), c.value):
			t.Errorf("the value is in %v", err)
		}
	}
	if _, err := New("Not a name", GitToken, "https://git.example.org", "", "token-1", ""); err == nil {
		t.Error("a bad name")
	}
}

// However it is printed the value is not there, and what is sealed comes back whole.
func TestValueIsHidden(t *testing.T) {
	s, err := New("git", GitToken, "https://git.example.org", "me", "very-secret-value-1234", "")
	if err != nil {
		t.Fatal(err)
	}
	s.Set("id", "ada", time.Now())
	text, err := json.Marshal(map[string]any{"s": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %q %d %v %s", s, s, s, s, s, s, []Secret{s}, text)
	if strings.Contains(shown, "very-secret") {
		t.Error(shown)
	}
	if s.Ends() != "1234" {
		t.Errorf("ends in %q", s.Ends())
	}
	all, err := DecodeAll(map[string][]byte{"git": s.Encode()}, 7)
	if err != nil || len(all) != 1 || all[0].Reveal() != "very-secret-value-1234" || all[0].Owner != "project 7" || !all[0].SetAt.Equal(s.SetAt) {
		t.Errorf("%v %v", all, err)
	}
	if got, ok := For(all, GitToken, "https://git.example.org/other.git"); !ok || got.ID != "id" {
		t.Error("not found by an address of its server")
	}
	for _, address := range []string{"https://git.example.org:8443/x", "http://git.example.org/x", "https://example.org/x"} {
		if _, ok := For(all, GitToken, address); ok {
			t.Errorf("found for %s", address)
		}
	}
}

func TestReworded(t *testing.T) {
	cause := errors.New("no")
	err := fmt.Errorf("https://me:s3cr3t@host: %w", cause)
	told := Reworded(err, "https://***@host: no")
	if told.Error() != "https://***@host: no" || !errors.Is(told, cause) {
		t.Errorf("%v", told)
	}
	if same := Reworded(err, err.Error()); same.Error() != err.Error() || !errors.Is(same, cause) {
		t.Errorf("what has nothing to hide is %v", same)
	}
	if Reworded(nil, "") != nil {
		t.Error("no error is one")
	}
}
