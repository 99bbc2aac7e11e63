package index

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"reqpm/internal/secret"
)

// credentials of one index. The zero value sends nothing.
type credentials struct{ user, password, token string }

func (c credentials) empty() bool { return c == credentials{} }

func (c credentials) apply(r *http.Request) {
	switch {
	case c.token != "":
		r.Header.Set("Authorization", "Bearer "+c.token)
	case c.user != "" || c.password != "":
		r.SetBasicAuth(c.user, c.password)
	}
}

// grant is credentials with the one origin they may be sent to.
type grant struct {
	origin *url.URL
	creds  credentials
	held   secret.Secret // that creds are of, or that showed where this is; zero: none
}

type grantKey struct{}

func withGrant(ctx context.Context, g grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

// authTransport decides about credentials for every single round trip, so that a
// redirect can never carry them to another host: whatever http.Client copied is
// dropped first.
type authTransport struct{ next http.RoundTripper }

func (t authTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	g, _ := r.Context().Value(grantKey{}).(grant)
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	r.Header.Del("Cookie")
	r.Header.Del("Referer")
	if !g.creds.empty() && sameOrigin(g.origin, r.URL) {
		g.creds.apply(r)
	}
	return t.next.RoundTrip(r)
}

func sameOrigin(a, b *url.URL) bool {
	return a != nil && strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if strings.EqualFold(u.Scheme, "https") {
		return "443"
	}
	return "80"
}

// maxNetrc bounds the netrc file; real ones are a few lines.
const maxNetrc = 1 << 20

// readNetrc reads path, or $NETRC, or ~/.netrc. A file that is missing or cannot be read
// is an empty one, as it is for pip.
func readNetrc(path string, getenv func(string) string) netrc {
	if path == "" {
		path = getenv("NETRC")
	}
	if path == "" && getenv("HOME") != "" {
		path = filepath.Join(getenv("HOME"), ".netrc")
	}
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxNetrc {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parseNetrc(string(text))
}

// netrcEntry: machine "" is the default entry.
type netrcEntry struct{ machine, login, password string }

type netrc []netrcEntry

// lookup finds the entry of a host; with a login only an entry of that login will do.
func (n netrc) lookup(host, login string) (netrcEntry, bool) {
	for _, e := range n {
		if (e.machine == "" || strings.EqualFold(e.machine, host)) && (login == "" || e.login == login) {
			return e, true
		}
	}
	return netrcEntry{}, false
}

// parseNetrc reads the format of ftp(1): machine, default, login, password, account,
// macdef. Unknown words are skipped. The default entry counts only behind the machines.
func parseNetrc(text string) netrc {
	var entries, defaults netrc
	var current *netrcEntry
	flush := func() {
		if current == nil {
			return
		}
		if current.machine == "" {
			defaults = append(defaults, *current)
		} else {
			entries = append(entries, *current)
		}
		current = nil
	}
	words := netrcWords(text)
	next := func(i int) string {
		if i+1 < len(words) {
			return words[i+1]
		}
		return ""
	}
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "machine":
			flush()
			if m := next(i); m != "" {
				current = &netrcEntry{machine: m}
			}
			i++
		case "default":
			flush()
			current = &netrcEntry{}
		case "login", "user", "password", "account":
			if current != nil && words[i] == "password" {
				current.password = next(i)
			} else if current != nil && words[i] != "account" {
				current.login = next(i)
			}
			i++
		}
	}
	flush()
	return append(entries, defaults...)
}

// netrcWords splits into words, drops comments and macro definitions (which end at an
// empty line), and takes the quotes off quoted words.
func netrcWords(text string) []string {
	var words []string
	inMacro := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			inMacro = false
			continue
		}
		if inMacro || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		for i, w := range fields {
			if w == "macdef" {
				inMacro = true
				break
			}
			// A "#" that starts a word is a comment, unless a value is expected there.
			if w[0] == '#' && i > 0 && !takesValue(fields[i-1]) {
				break
			}
			if len(w) >= 2 && w[0] == '"' && w[len(w)-1] == '"' {
				w = strings.ReplaceAll(w[1:len(w)-1], `\"`, `"`)
			}
			words = append(words, w)
		}
	}
	return words
}

func takesValue(word string) bool {
	switch word {
	case "machine", "login", "user", "password", "account":
		return true
	}
	return false
}
