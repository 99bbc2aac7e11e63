package index

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reqpm/internal/secret"
)

// IndexConfig is one index. Credentials may stand in the URL too; they are taken out
// before the URL is used for anything.
type IndexConfig struct {
	Name     string // unique; "" becomes "index", "index-2", …
	URL      string // http(s) or file URL, or a plain path of a folder
	Username string
	Password string
	Token    string // sent as a bearer token; wins over Username and Password
	// Explicit: asked only for the projects that Config.Pin leads to it.
	Explicit bool
}

// String is fit for logs: it has no credentials.
func (c IndexConfig) String() string {
	if c.Name == "" {
		return redact(c.URL)
	}
	return c.Name + " (" + redact(c.URL) + ")"
}

// GoString keeps credentials out of %#v as well.
func (c IndexConfig) GoString() string { return fmt.Sprintf("index.IndexConfig{%s}", c) }

// Config of a Client. The zero value of every field but CacheDir has a meaning.
//
// With several indexes the first, in the order Indexes then ExtraIndexes, that has a
// project owns it: files of the same project on later ones are never mixed in. What
// FindLinks has is added to the owner's files, as its user put it there on purpose. An index
// that cannot be reached, or refuses, has not said that it lacks the project: no later one is
// asked then. Pin names the owner of a project outright: no other index is asked for it, nor
// is a find-links place.
type Config struct {
	Indexes      []IndexConfig
	ExtraIndexes []IndexConfig
	FindLinks    []string // folders, or addresses of HTML pages with links

	CacheDir string // made when missing; may be shared by many processes
	Offline  bool   // answer from the cache and local folders only
	// MaxAge of a project page before the index is asked again; 0: 10 minutes, negative:
	// ask every time. The index's own wish does not matter: many send none.
	MaxAge  time.Duration
	Timeout time.Duration // to connect, to answer, and between two signs of life; 0: 30 s
	Retries int           // after the first try; 0: 4, negative: none
	Backoff time.Duration // before the first retry, then doubled; 0: 400 ms

	// Secrets are sent to the server that each is for, whatever names it, and go before other credentials. What they show is
	// kept in a part of the cache that only who has the same secret is answered from.
	Secrets []secret.Secret

	Getenv       func(string) string // nil: os.Getenv
	Netrc        string              // path; "": $NETRC, else ~/.netrc
	TrustedHosts []string            // host or host:port whose certificate is not checked
	CAFile       string              // PEM file or folder that replaces the system's authorities
	Proxy        string              // "": HTTP_PROXY, HTTPS_PROXY and NO_PROXY
	Log          *slog.Logger        // nil: none
	// Pin leads a project (PEP 503 name, or the beginning of names: "corp-*") to the index of
	// that name. A whole name goes before a beginning, a longer beginning before a shorter one.
	Pin map[string]string
	// MinAge leaves out files uploaded less than that before the client was made: most bad releases
	// are found out within days. As for ExcludeNewer, files without an upload time stay.
	MinAge time.Duration
	// Block leaves out versions, or all of a project.
	Block []Blocked
	// ExcludeNewer leaves out files uploaded later; files without an upload time stay (warned
	// once per index).
	ExcludeNewer time.Time
}

const (
	defaultMaxAge  = 10 * time.Minute
	missingMaxAge  = time.Minute // "the index has no such project" is forgotten sooner
	defaultTimeout = 30 * time.Second
	defaultRetries = 4
	defaultBackoff = 400 * time.Millisecond
)

func (c Config) withDefaults() Config {
	if c.MaxAge == 0 {
		c.MaxAge = defaultMaxAge
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Retries == 0 {
		c.Retries = defaultRetries
	}
	c.Retries = max(c.Retries, 0)
	if c.Backoff <= 0 {
		c.Backoff = defaultBackoff
	}
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// location is an index or find-links entry made ready for use.
type location struct {
	name  string
	base  *url.URL // without credentials; file scheme for local ones
	path  string   // local folder or page, "" for remote ones
	creds credentials
	held  secret.Secret // that creds are of; zero: none

	explicit bool // asked only for what is pinned to it
}

func (l *location) String() string {
	if l.path != "" {
		return l.path
	}
	return l.base.String()
}

// newLocation reads an address; its errors never show the credentials in it.
func newLocation(name, address string) (*location, error) {
	address = strings.TrimSpace(address)
	if address == "" {
		return nil, errors.New("empty address")
	}
	if !strings.Contains(address, "://") && !strings.HasPrefix(strings.ToLower(address), "file:") {
		abs, err := filepath.Abs(address)
		if err != nil {
			return nil, err
		}
		return &location{name: name, path: abs, base: fileURL(abs)}, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		// url.Parse's message quotes the whole address, password included.
		return nil, fmt.Errorf("%q is not a URL", redact(address))
	}
	l := &location{name: name}
	if u.User != nil {
		l.creds.user = u.User.Username()
		l.creds.password, _ = u.User.Password()
	}
	l.base = cleanURL(u)
	switch l.base.Scheme {
	case "http", "https":
		if l.base.Hostname() == "" {
			return nil, fmt.Errorf("%q has no host", redact(address))
		}
	case "file":
		if h := l.base.Host; h != "" && h != "localhost" {
			return nil, fmt.Errorf("%q names a file of another host", redact(address))
		}
		l.path = filepath.Clean(filepath.FromSlash(l.base.Path))
		l.base = fileURL(l.path)
	default:
		return nil, fmt.Errorf("%q: an index is an http or https URL, or a folder", redact(address))
	}
	return l, nil
}

// cleanURL drops credentials and fragment; scheme and host become lower case.
func cleanURL(u *url.URL) *url.URL {
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	c.Scheme, c.Host = strings.ToLower(c.Scheme), strings.ToLower(c.Host)
	return &c
}

func fileURL(path string) *url.URL {
	return &url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
}

// redact makes any text with an address in it fit for people: no user, no password, and no
// query, which carries the signature of signed addresses.
func redact(address string) string {
	if u, err := url.Parse(address); err == nil && u.Opaque == "" {
		u = cleanURL(u)
		u.RawQuery, u.ForceQuery = "", false
		return u.String()
	}
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "", address
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	rest, _, _ = strings.Cut(rest, "?")
	if !ok {
		return rest
	}
	return scheme + "://" + rest
}
