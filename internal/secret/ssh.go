package secret

import (
	"crypto/hmac"
	"crypto/sha1" // what known_hosts hashes names with (sshd(8)); nothing is kept secret by it
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"path"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// checkKey wants a private key that can be used without anybody to type its passphrase, and the host's own key: whoever
// answers in the host's place must not be believed.
func (s *Secret) checkKey() error {
	if !strings.HasPrefix(s.Origin, "ssh://") {
		return bad("origin", "%s is no address of ssh", s.Origin)
	}
	if s.Username != "" {
		return bad("username", "of ssh it is in the address, as in ssh://git@git.example.org/app.git")
	}
	s.value += "\n" // ssh wants it
	if _, err := ssh.ParsePrivateKey([]byte(s.value)); err != nil {
		if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
			return bad("value", "the key has a passphrase, and nobody is there to type it: give a key without one (here it is encrypted)")
		}
		return bad("value", "it is no private key as ssh-keygen makes them")
	}
	if s.KnownHosts == "" {
		return bad("known_hosts", "the host's own key is needed, so that no other answers in its place: ssh-keyscan prints it, and the forge's documentation says whether it is right")
	}
	return s.checkHosts()
}

// checkHosts wants lines of a known_hosts file, one of them about the host.
func (s *Secret) checkHosts() error {
	u, err := url.Parse(s.Origin)
	if err != nil {
		return bad("origin", "it is no address")
	}
	address := knownhosts.Normalize(u.Host)
	about := false
	rest := []byte(s.KnownHosts + "\n")
	for {
		marker, hosts, _, _, next, err := ssh.ParseKnownHosts(rest)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bad("known_hosts", "a line is none of a known_hosts file: host, kind of key, key")
		}
		rest = next
		for _, pattern := range hosts {
			about = about || marker != "revoked" && hostMatches(pattern, address)
		}
	}
	if !about {
		return bad("known_hosts", "no line is about %s", address)
	}
	return nil
}

// hostMatches tells whether a name or pattern of known_hosts is about a host: plain, with * and ?, or hashed.
func hostMatches(pattern, address string) bool {
	if hashed, ok := strings.CutPrefix(pattern, "|1|"); ok {
		salt64, sum64, _ := strings.Cut(hashed, "|")
		salt, err1 := base64.StdEncoding.DecodeString(salt64)
		sum, err2 := base64.StdEncoding.DecodeString(sum64)
		mac := hmac.New(sha1.New, salt)
		mac.Write([]byte(address))
		return err1 == nil && err2 == nil && hmac.Equal(mac.Sum(nil), sum)
	}
	if pattern == address {
		return true
	}
	if strings.HasPrefix(pattern, "[") { // as [host]:port: brackets are no pattern
		return false
	}
	ok, err := path.Match(strings.ToLower(pattern), address)
	return err == nil && ok
}

// Fingerprint is that of a key, as ssh-keygen -l prints it; "" for what is no key.
func (s Secret) Fingerprint() string {
	if s.Kind != SSHKey {
		return ""
	}
	key, err := ssh.ParsePrivateKey([]byte(s.value))
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(key.PublicKey())
}
