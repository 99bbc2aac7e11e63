package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"reqpm/internal/netguard"
)

// URLError is a source that is refused before anything is run.
type URLError struct {
	URL    string // without userinfo
	Reason string // what is wrong and what to do
}

func (e *URLError) Error() string { return fmt.Sprintf("source %q: %s", e.URL, e.Reason) }

// location is a checked source.
type location struct {
	url       string // for git's command line
	canonical string // what identifies the repository
	scheme    string // https, http, ssh, file: the one protocol git may use
	local     bool
	path      string // of a local source: absolute, links resolved
	host      string
}

func (l location) display() string {
	if l.local {
		return l.path
	}
	return l.canonical
}

// scpLike is [user@]host:path, as ssh and git know it.
var scpLike = regexp.MustCompile(`^(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9][A-Za-z0-9.-]*):([^:].*)$`)

// locate checks a URL or path against the policy.
func locate(ctx context.Context, raw string, allow Policy) (location, error) {
	refuse := func(reason string) (location, error) {
		return location{}, &URLError{URL: withoutUserinfo(raw), Reason: reason}
	}
	switch {
	case raw == "":
		return refuse("no URL given")
	case len(raw) > 2000:
		return refuse("longer than any real URL")
	case strings.HasPrefix(raw, "-"):
		return refuse("a source does not start with a dash; write ./-name for a directory of that name")
	case strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return refuse("it holds control characters")
	}
	scheme, rest, hasScheme := strings.Cut(raw, "://")
	switch {
	case hasScheme && strings.EqualFold(scheme, "file"):
		if !strings.HasPrefix(rest, "/") {
			return refuse("a file URL is file:///path")
		}
		path, err := url.PathUnescape(rest)
		if err != nil {
			return refuse("its escapes are damaged")
		}
		return locateLocal(raw, path, allow)
	case hasScheme:
		return locateRemote(ctx, raw, allow)
	case strings.Contains(raw, "::"):
		return refuse("remote helpers (name::) are not used; give an https or ssh URL")
	}
	if m := scpLike.FindStringSubmatch(raw); m != nil && !strings.HasPrefix(raw, ".") && !strings.HasPrefix(raw, "/") {
		return locateSCP(ctx, raw, m, allow)
	}
	return locateLocal(raw, raw, allow)
}

func locateLocal(raw, path string, allow Policy) (location, error) {
	if !allow.Local {
		return location{}, &URLError{URL: raw, Reason: "local paths are not allowed here (--allow-source local takes them); give an https or ssh URL"}
	}
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return location{}, fmt.Errorf("source %q: %w: %w", raw, ErrNotFound, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return location{}, fmt.Errorf("source %q: %w: %w", raw, ErrNotFound, err)
	}
	if !info.IsDir() {
		return location{}, &URLError{URL: raw, Reason: "not a directory"}
	}
	u := (&url.URL{Scheme: "file", Path: abs}).String()
	return location{url: u, canonical: u, scheme: "file", local: true, path: abs}, nil
}

func locateSCP(ctx context.Context, raw string, m []string, allow Policy) (location, error) {
	user, host, path := m[1], strings.ToLower(m[2]), m[3]
	if strings.HasPrefix(path, "-") || strings.HasPrefix(host, "-") || hasDotDot(path) {
		return location{}, &URLError{URL: raw, Reason: "its host or path starts with a dash, or its path holds .."}
	}
	if err := checkHost(ctx, raw, host, nil, allow); err != nil {
		return location{}, err
	}
	canonical := host + ":" + strings.TrimRight(path, "/")
	if user != "" {
		canonical = user + "@" + canonical
	}
	return location{url: raw, canonical: canonical, scheme: "ssh", host: host}, nil
}

func locateRemote(ctx context.Context, raw string, allow Policy) (location, error) {
	refuse := func(reason string) (location, error) {
		return location{}, &URLError{URL: withoutUserinfo(raw), Reason: reason}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return refuse("this is not a URL")
	}
	scheme := strings.ToLower(u.Scheme)
	_, password := u.User.Password()
	switch {
	case scheme == "http" && !allow.HTTP:
		return refuse("http sends everything readable and changeable; use https (--allow-source http takes it all the same)")
	case scheme != "https" && scheme != "http" && scheme != "ssh":
		return refuse(fmt.Sprintf("protocol %q is not allowed; use https or ssh", u.Scheme))
	case u.User != nil && (scheme != "ssh" || password):
		return refuse("a user name or password in the URL ends up in logs; put the token in a file and give that (--token-file)")
	case strings.HasPrefix(u.User.Username(), "-") || strings.ContainsAny(u.User.Username(), " '\"$`\\"):
		return refuse("this is not a user name")
	case u.Hostname() == "":
		return refuse("it has no host")
	case strings.HasPrefix(u.Hostname(), "-"):
		return refuse("a host does not start with a dash")
	case hasDotDot(u.Path):
		return refuse("its path holds ..")
	case strings.Trim(u.Path, "/") == "":
		return refuse("it names a host but no repository")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return refuse("it has a query or fragment; give the repository's clone URL and the branch or tag apart")
	}
	if err := checkHost(ctx, raw, u.Hostname(), u, allow); err != nil {
		return location{}, err
	}
	canonical := url.URL{Scheme: scheme, User: u.User, Host: strings.ToLower(u.Host), Path: strings.TrimRight(u.Path, "/")}
	if p := u.Port(); p == map[string]string{"https": "443", "http": "80", "ssh": "22"}[scheme] {
		canonical.Host = strings.TrimSuffix(canonical.Host, ":"+p)
	}
	return location{url: canonical.String(), canonical: canonical.String(), scheme: scheme, host: u.Hostname()}, nil
}

// Permit tells whether an archive may be downloaded from an address: https to a public host,
// unless the policy opens more. The error is a *URLError, or of kind ErrNetwork when the
// host's name cannot be resolved.
func Permit(ctx context.Context, address string, allow Policy) error {
	if u, err := url.Parse(address); err == nil {
		u.RawQuery, u.ForceQuery, u.Fragment = "", false, "" // archives may have them, repositories not
		address = u.String()
	}
	_, err := locateRemote(ctx, address, allow)
	return err
}

func hasDotDot(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// checkHost resolves the host and refuses addresses that lead inside, unless allowed.
// Behind a proxy the proxy resolves, so only literal addresses can be judged.
func checkHost(ctx context.Context, raw, host string, u *url.URL, allow Policy) error {
	if allow.Loopback {
		return nil
	}
	inside := func(addr netip.Addr) error {
		return &URLError{URL: withoutUserinfo(raw), Reason: fmt.Sprintf("%s is the private or local address %s; such sources must be allowed first (--allow-source loopback)", host, addr)}
	}
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		if netguard.Inside(addr) {
			return inside(addr)
		}
		return nil
	}
	if u != nil && strings.HasPrefix(u.Scheme, "http") {
		if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
			return nil
		}
	}
	look, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(look, "ip", host)
	if err != nil {
		return fmt.Errorf("source %q: %w: %w", withoutUserinfo(raw), ErrNetwork, notFound(host, err))
	}
	for _, addr := range addrs {
		if netguard.Inside(addr) {
			return inside(addr)
		}
	}
	return nil
}

// notFound says of a lookup what whoever gave the address needs to know. Which resolver was asked is the machine's own affair.
func notFound(host string, err error) error {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return err
	case dns.IsNotFound:
		return fmt.Errorf("there is no host %s", host)
	}
	public := *dns
	public.Server = ""
	return &public
}

var userinfo = regexp.MustCompile(`//[^/@]*@`)

// withoutUserinfo makes a URL fit for a message: what stands before an @ may be a password.
func withoutUserinfo(raw string) string {
	return userinfo.ReplaceAllString(raw, "//***@")
}

// Redacted is an address fit for people and logs: without what may be a password.
func Redacted(raw string) string { return withoutUserinfo(raw) }
