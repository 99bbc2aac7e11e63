package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// ErrChannel is wrapped with what is wrong with a channel's settings.
var ErrChannel = errors.New("not a channel that messages could be sent to")

// Kinds of channels.
const (
	Email   = "email"
	Webhook = "webhook"
	Slack   = "slack"
	Matrix  = "matrix"
)

// Kinds and Events are all there are.
var (
	Kinds  = []string{Email, Webhook, Slack, Matrix}
	Events = []string{Failed, Fixed, Succeeded, Always}
)

// ChannelSettings are where a channel leads. Which fields count depends on its kind; the secret ones are given and never shown.
type ChannelSettings struct {
	URL string `json:"url,omitempty" maxLength:"2000" doc:"webhook, slack: where to POST; secret, its host alone is shown"`
	Key string `json:"key,omitempty" maxLength:"200" doc:"webhook: what messages are signed with (whsec_ and base64), secret; absent: made here and shown once"`

	Homeserver string `json:"homeserver,omitempty" maxLength:"500" doc:"matrix: https://…"`
	Room       string `json:"room,omitempty" maxLength:"255" doc:"matrix: !…"`
	Token      string `json:"token,omitempty" maxLength:"2000" doc:"matrix: access token, secret"`

	Host     string   `json:"host,omitempty" maxLength:"255" doc:"email: the SMTP server"`
	Port     int      `json:"port,omitempty" minimum:"0" maximum:"65535" doc:"email: absent: 587, with tls 465"`
	Security string   `json:"security,omitempty" enum:"starttls,tls,none" doc:"email: absent: starttls; none is for servers inside that an administrator has allowed"`
	Username string   `json:"username,omitempty" maxLength:"255" doc:"email: absent: no login"`
	Password string   `json:"password,omitempty" maxLength:"1000" doc:"email: secret"`
	From     string   `json:"from,omitempty" maxLength:"320" doc:"email: the sender's address"`
	To       []string `json:"to,omitempty" maxItems:"50" nullable:"false" doc:"email: addresses"`
}

// secrets are the fields that are kept sealed.
type secrets struct {
	URL      string `json:"url,omitempty"`
	Key      string `json:"key,omitempty"`
	Token    string `json:"token,omitempty"`
	Password string `json:"password,omitempty"`
}

func (s ChannelSettings) secrets() secrets { return secrets{s.URL, s.Key, s.Token, s.Password} }

func (s ChannelSettings) with(x secrets) ChannelSettings {
	s.URL, s.Key, s.Token, s.Password = x.URL, x.Key, x.Token, x.Password
	return s
}

// Public is what may be shown: of a URL the scheme and host.
func (s ChannelSettings) Public() ChannelSettings {
	shown := s.with(secrets{})
	if u, err := url.Parse(s.URL); err == nil && s.URL != "" {
		shown.URL = u.Scheme + "://" + u.Host + "/…"
	}
	return shown
}

// keep takes over the secrets of what was there before where none is given, but only for the place that they were given for:
// who may change a channel must not have them sent to himself.
func (s ChannelSettings) keep(before ChannelSettings) ChannelSettings {
	if s.URL == "" || s.URL == before.Public().URL {
		s.URL = before.URL
	}
	if s.Key == "" {
		s.Key = before.Key
	}
	if s.Token == "" && s.Homeserver == before.Homeserver {
		s.Token = before.Token
	}
	if s.Password == "" && s.Host == before.Host && s.Port == before.Port && s.Security == before.Security && s.Username == before.Username {
		s.Password = before.Password
	}
	return s
}

// check tells what is wrong, and fills in what has a default.
func (s *ChannelSettings) check(kind string) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrChannel}, args...)...)
	}
	var only ChannelSettings
	switch kind {
	case Webhook, Slack:
		only = ChannelSettings{URL: s.URL, Key: s.Key}
		if err := checkURL(s.URL); err != nil {
			return bad("url: %w", err)
		}
		if kind == Slack && s.Key != "" {
			return bad("key: messages of this kind are not signed")
		}
		if kind == Webhook {
			if s.Key == "" {
				s.Key = NewKey()
				only.Key = s.Key
			}
			if _, err := keyBytes(s.Key); err != nil {
				return bad("key: %w", err)
			}
		}
	case Matrix:
		only = ChannelSettings{Homeserver: s.Homeserver, Room: s.Room, Token: s.Token}
		if err := checkURL(s.Homeserver); err != nil {
			return bad("homeserver: %w", err)
		}
		if !strings.HasPrefix(s.Room, "!") || !printable(s.Room) {
			return bad("room: the room's id begins with !")
		}
		if len(s.Token) < auth.MinSecret || !printable(s.Token) {
			return bad("token: an access token is needed")
		}
	case Email:
		if s.Security == "" {
			s.Security = "starttls"
		}
		if s.Port == 0 {
			s.Port = 587
			if s.Security == "tls" {
				s.Port = 465
			}
		}
		only = ChannelSettings{Host: s.Host, Port: s.Port, Security: s.Security, Username: s.Username, Password: s.Password, From: s.From, To: s.To}
		if s.Host == "" || !printable(s.Host) || strings.ContainsAny(s.Host, "/@ ") {
			return bad("host: the name of an SMTP server is needed")
		}
		if !slices.Contains([]string{"starttls", "tls", "none"}, s.Security) || s.Port < 1 || s.Port > 65535 {
			return bad("security: starttls, tls or none")
		}
		if (s.Username == "") != (s.Password == "") {
			return bad("password: it goes with username; give it again where the server is another")
		}
		if s.Security == "none" && s.Password != "" {
			return bad("security: a password does not travel without TLS")
		}
		if len(s.To) == 0 || len(s.To) > 50 {
			return bad("to: 1 to 50 addresses are needed")
		}
		for _, address := range append([]string{s.From}, s.To...) {
			if parsed, err := mail.ParseAddress(address); err != nil || !printable(address) || !isASCII(parsed.Address) {
				return bad("%.80q is not an address", address)
			}
		}
	default:
		return bad("kind: %.20q is none of %s", kind, strings.Join(Kinds, ", "))
	}
	if given, _ := json.Marshal(s); !slices.Equal(given, must(json.Marshal(only))) {
		return bad("settings: there are some that a channel of kind %s has not", kind)
	}
	return nil
}

func must(text []byte, _ error) []byte { return text }

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || text == "": // the error would show it
		return errors.New("an address is needed: https://…")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("only https, and http to networks inside that an administrator has allowed")
	case u.Hostname() == "" || u.User != nil || u.Fragment != "" || !printable(text):
		return errors.New("it has a host, and no user, fragment or spaces")
	}
	return nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// checkChannel is for what all kinds have.
func checkChannel(c store.Channel) error {
	if c.Name == "" || len(c.Name) > 100 || !printable(c.Name) {
		return fmt.Errorf("%w: name: 1 to 100 bytes of printable text", ErrChannel)
	}
	if len(c.Events) == 0 {
		return fmt.Errorf("%w: events: at least one of %s", ErrChannel, strings.Join(Events, ", "))
	}
	for _, e := range c.Events {
		if !slices.Contains(Events, e) {
			return fmt.Errorf("%w: events: %.20q is none of %s", ErrChannel, e, strings.Join(Events, ", "))
		}
	}
	return nil
}

// sealedName is what a channel's secrets are sealed as: no project's secret of people's can have this name.
func sealedName(channel int64) string { return fmt.Sprintf("channel %d\x00", channel) }

// store puts settings into a channel that has its ID.
func (s ChannelSettings) store(v *auth.Vault, c *store.Channel) error {
	shown, err := json.Marshal(s.Public())
	if err != nil {
		return err
	}
	hidden, err := json.Marshal(s.secrets())
	if err != nil {
		return err
	}
	c.Settings, c.Sealed = shown, v.Seal(c.Project, sealedName(c.ID), hidden)
	return nil
}

// open is a channel's settings with its secrets.
func open(v *auth.Vault, c store.Channel) (ChannelSettings, error) {
	var s ChannelSettings
	if err := json.Unmarshal(c.Settings, &s); err != nil {
		return s, fmt.Errorf("the settings of channel %d: %w", c.ID, err)
	}
	hidden, err := v.Open(c.Project, sealedName(c.ID), c.Sealed)
	if err != nil {
		return s, err
	}
	var x secrets
	if err := json.Unmarshal(hidden, &x); err != nil {
		return s, fmt.Errorf("the secrets of channel %d: %w", c.ID, err)
	}
	return s.with(x), nil
}

// redactor cuts a channel's secrets out of what is kept of its answers.
func (s ChannelSettings) redactor() *auth.Redactor {
	all := [][]byte{[]byte(s.URL), []byte(s.Key), []byte(s.Token), []byte(s.Password)}
	if u, err := url.Parse(s.URL); err == nil {
		all = append(all, []byte(u.RequestURI()), []byte(u.Path), []byte(u.RawQuery))
	}
	return auth.NewRedactor(all...)
}
