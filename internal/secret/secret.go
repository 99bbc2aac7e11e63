// Package secret says what a project can have secrets for: of which kinds they are, to which server each may be sent,
// and what of one may be shown. It does no I/O; package auth seals what Encode makes.
package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kind is what a secret is for.
type Kind string

// The kinds.
const (
	GitToken Kind = "git-token" // password or access token of a Git server, over https
	SSHKey   Kind = "ssh-key"   // private key for a Git server, over ssh
	Index    Kind = "index"     // password or bearer token of a package index
)

// Secret is one secret of a project. Its value is in no text that fmt, slog or json make of it.
type Secret struct {
	ID       string // of this value: whoever sets it anew gives it another one
	Name     string // unique in the project
	Kind     Kind
	Origin   string // the one server that it is sent to: scheme://host, with the port where that is not the usual one
	Username string // "": x-access-token for Git; none, and so a bearer token, for an index
	// KnownHosts are lines of a known_hosts file (sshd(8)): for an SSHKey the only keys by which its host is believed.
	KnownHosts string
	SetBy      string
	SetAt      time.Time
	Owner      string // whose it is, for caches that several share; not part of what Encode makes
	value      string
}

// Bounds of a value, bytes. A shorter one could not be cut out of logs without cutting out words.
const (
	MinValue = 6
	MaxValue = 8_000
)

// FieldError says which part of a secret cannot be as it is.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

func bad(field, format string, args ...any) error {
	return &FieldError{field, fmt.Sprintf(format, args...)}
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// New checks a secret and makes it; the error is a *FieldError. Where may be any address on the server that it is for.
func New(name string, kind Kind, where, username, value, knownHosts string) (Secret, error) {
	s := Secret{Name: name, Kind: kind, Username: username, KnownHosts: strings.TrimSpace(knownHosts), value: strings.TrimSpace(value)}
	if !nameForm.MatchString(name) {
		return Secret{}, bad("name", "lower-case letters, digits and . _ - only, 64 at most, and a letter or digit first")
	}
	if len(s.value) < MinValue || len(s.value) > MaxValue {
		return Secret{}, bad("value", "a secret has %d to %d bytes", MinValue, MaxValue)
	}
	if len(username) > 200 || strings.ContainsFunc(username, notInUser) {
		return Secret{}, bad("username", "200 visible ASCII characters at most, and no colon")
	}
	var err error
	if s.Origin, err = Origin(where); err != nil {
		return Secret{}, bad("origin", "%v", err)
	}
	switch kind {
	case GitToken, Index:
		err = s.checkToken()
	case SSHKey:
		err = s.checkKey()
	default:
		err = bad("kind", "%q is none of: %s, %s, %s", kind, GitToken, SSHKey, Index)
	}
	if err != nil {
		return Secret{}, err
	}
	return s, nil
}

func notInUser(r rune) bool { return r < '!' || r > '~' || r == ':' }

func (s *Secret) checkToken() error {
	switch {
	case !strings.HasPrefix(s.Origin, "http"):
		return bad("origin", "%s is no address of https: a token goes there only", s.Origin)
	case strings.ContainsFunc(s.value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return bad("value", "it is one line without control characters")
	case s.KnownHosts != "":
		return bad("known_hosts", "only an %s has known hosts", SSHKey)
	}
	return nil
}

// Set notes that somebody has set the value: from now on it is another one.
func (s *Secret) Set(id, by string, at time.Time) {
	s.ID, s.SetBy, s.SetAt = id, by, at.UTC().Truncate(time.Millisecond)
}

// Reveal is the value, for whoever sends it to its server, and for whoever cuts it out of texts.
func (s Secret) Reveal() string { return s.value }

// String implements fmt.Stringer, without the value.
func (s Secret) String() string {
	return fmt.Sprintf("secret %s (%s for %s)", s.Name, s.Kind, s.Origin)
}

// GoString implements fmt.GoStringer, without the value.
func (s Secret) GoString() string { return s.String() }

// Format implements fmt.Formatter, so that no verb shows the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue implements slog.LogValuer, without the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON implements json.Marshaler, without the value: Encode has it.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Ends are the last four characters of a long token, by which its owner knows it again; "" for what is short or a key.
func (s Secret) Ends() string {
	if s.Kind == SSHKey || len(s.value) < 20 {
		return ""
	}
	tail := s.value[len(s.value)-4:]
	if strings.ContainsFunc(tail, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return tail
}

// plain is a secret as it is sealed.
type plain struct {
	ID         string    `json:"id"`
	Kind       Kind      `json:"kind"`
	Origin     string    `json:"origin"`
	Username   string    `json:"username,omitempty"`
	KnownHosts string    `json:"known_hosts,omitempty"`
	SetBy      string    `json:"set_by"`
	SetAt      time.Time `json:"set_at"`
	Value      string    `json:"value"`
}

// Encode is the whole secret but its name, value included: to be sealed at once.
func (s Secret) Encode() []byte {
	text, _ := json.Marshal(plain{s.ID, s.Kind, s.Origin, s.Username, s.KnownHosts, s.SetBy, s.SetAt, s.value}) // texts always can be
	return text
}

// Decode reads what Encode made.
func Decode(name string, text []byte) (Secret, error) {
	var p plain
	if json.Unmarshal(text, &p) != nil || p.ID == "" { // the error of json may quote the text
		return Secret{}, fmt.Errorf("secret %s: it is not of the form that this version keeps", name)
	}
	return Secret{ID: p.ID, Name: name, Kind: p.Kind, Origin: p.Origin, Username: p.Username, KnownHosts: p.KnownHosts, SetBy: p.SetBy, SetAt: p.SetAt, value: p.Value}, nil
}

// DecodeAll reads those of a project, by name, each with its owner.
func DecodeAll(texts map[string][]byte, project int64) ([]Secret, error) {
	all := make([]Secret, 0, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		s, err := Decode(name, texts[name])
		if err != nil {
			return nil, err
		}
		s.Owner = fmt.Sprintf("project %d", project)
		all = append(all, s)
	}
	return all, nil
}

// For finds the secret of a kind that may be sent to an address.
func For(all []Secret, kind Kind, address string) (Secret, bool) {
	origin, err := Origin(address)
	if err != nil {
		return Secret{}, false
	}
	i := slices.IndexFunc(all, func(s Secret) bool { return s.Kind == kind && s.Origin == origin })
	if i < 0 {
		return Secret{}, false
	}
	return all[i], true
}

// Values are what must not be in any text, for a redactor.
func Values(all []Secret) [][]byte {
	var values [][]byte
	for _, s := range all {
		values = append(values, []byte(s.value))
	}
	return values
}

// scpLike is [user@]host:path, as ssh and git know it.
var scpLike = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9][A-Za-z0-9.-]*):[^:]`)

var usualPorts = map[string]string{"https": "443", "http": "80", "ssh": "22"}

// Origin is the server of an address: scheme, host, and port where it is not the usual one. Of an address as ssh writes it
// (git@host:path) it is ssh://host.
func Origin(address string) (string, error) {
	if !strings.Contains(address, "://") {
		if m := scpLike.FindStringSubmatch(address); m != nil {
			return "ssh://" + strings.ToLower(m[1]), nil
		}
		return "", errors.New("give it as https://git.example.org, or ssh://git.example.org")
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("it is no address") // whose text may have a password
	}
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	usual, ok := usualPorts[scheme]
	host := strings.ToLower(u.Hostname())
	if !ok || host == "" || len(host) > 255 || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\'`, r) }) {
		return "", errors.New("a server's address begins with https:// or ssh://, and has a host")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && port != usual {
		host += ":" + port
	}
	return scheme + "://" + host, nil
}

// Reworded is an error with another text, without the secrets that its own may have: what it is (errors.Is and As) stays.
func Reworded(err error, text string) error {
	if err == nil || text == err.Error() {
		return err
	}
	return &reworded{text, err}
}

type reworded struct {
	text string
	err  error
}

func (e *reworded) Error() string { return e.text }
func (e *reworded) Unwrap() error { return e.err }
