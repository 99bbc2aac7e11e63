package index

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

func newFetcher(cfg Config, stats *counters) (*fetcher, error) {
	roots, err := authorities(cfg)
	if err != nil {
		return nil, err
	}
	trusted := trustedHosts(cfg.TrustedHosts)
	proxy, err := proxyFunc(cfg)
	if err != nil {
		return nil, err
	}
	transport := func(tlsConfig *tls.Config) *http.Transport {
		return &http.Transport{
			Proxy:                 proxy,
			DialContext:           (&net.Dialer{Timeout: cfg.Timeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:       tlsConfig,
			TLSHandshakeTimeout:   cfg.Timeout,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   maxRequests,
			IdleConnTimeout:       90 * time.Second,
			ExpectContinueTimeout: time.Second,
			// An index has no reason to send more.
			MaxResponseHeaderBytes: 256 << 10,
		}
	}
	var rt http.RoundTripper = transport(&tls.Config{RootCAs: roots})
	if len(cfg.TrustedHosts) > 0 {
		// The user names these hosts because their certificates cannot be checked.
		rt = splitTransport{trusted, transport(&tls.Config{InsecureSkipVerify: true}), rt}
	}
	f := &fetcher{
		slots:   make(chan struct{}, maxRequests),
		timeout: cfg.Timeout, retries: cfg.Retries, backoff: cfg.Backoff,
		trusted: trusted, stats: stats,
	}
	f.client = &http.Client{Transport: authTransport{rt}, CheckRedirect: f.checkRedirect}
	return f, nil
}

func (f *fetcher) checkRedirect(r *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	switch {
	case len(via) >= maxRedirect:
		return finalError{fmt.Errorf("more than %d redirects", maxRedirect)}
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return finalError{errors.New("redirected to something other than http or https")}
	case from.Scheme == "https" && r.URL.Scheme == "http" && !f.trusted(r.URL):
		return finalError{fmt.Errorf("redirected from https to http (%s); name the host in trusted-host to allow it", redact(r.URL.String()))}
	}
	r.URL.User = nil
	return nil
}

// splitTransport sends what goes to trusted hosts a different way.
type splitTransport struct {
	trusted            func(*url.URL) bool
	unchecked, checked http.RoundTripper
}

func (t splitTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.trusted(r.URL) {
		return t.unchecked.RoundTrip(r)
	}
	return t.checked.RoundTrip(r)
}

// trustedHosts matches pip's trusted-host entries: a host means all its ports.
func trustedHosts(hosts []string) func(*url.URL) bool {
	set := map[string]bool{}
	for _, h := range hosts {
		set[strings.ToLower(strings.TrimSpace(h))] = true
	}
	return func(u *url.URL) bool {
		host := strings.ToLower(u.Hostname())
		if strings.Contains(host, ":") && set["["+host+"]"] {
			return true
		}
		return set[host] || set[net.JoinHostPort(host, port(u))]
	}
}

func proxyFunc(cfg Config) (func(*http.Request) (*url.URL, error), error) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := cfg.Getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	pc := httpproxy.Config{
		HTTPProxy:  first("HTTP_PROXY", "http_proxy"),
		HTTPSProxy: first("HTTPS_PROXY", "https_proxy"),
		NoProxy:    first("NO_PROXY", "no_proxy"),
	}
	if all := first("ALL_PROXY", "all_proxy"); all != "" {
		if pc.HTTPProxy == "" {
			pc.HTTPProxy = all
		}
		if pc.HTTPSProxy == "" {
			pc.HTTPSProxy = all
		}
	}
	if cfg.Proxy != "" {
		pc.HTTPProxy, pc.HTTPSProxy = cfg.Proxy, cfg.Proxy
	}
	for _, p := range []string{pc.HTTPProxy, pc.HTTPSProxy} {
		if p == "" {
			continue
		}
		if _, err := url.Parse(p); err != nil {
			if _, err := url.Parse("http://" + p); err != nil {
				return nil, fmt.Errorf("index: the proxy %q is not a URL", redact(p))
			}
		}
	}
	pick := pc.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return pick(r.URL) }, nil
}

// maxCA bounds a bundle of authorities; the usual one has 200 kB.
const maxCA = 16 << 20

// authorities reads Config.CAFile; nil is the system's. As with pip, the file replaces
// the system's authorities.
func authorities(cfg Config) (*x509.CertPool, error) {
	path := cfg.CAFile
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("index: certificate authorities (cert): %w", err)
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*")); err != nil {
			return nil, fmt.Errorf("index: certificate authorities (cert): %w", err)
		}
	}
	pool, found := x509.NewCertPool(), false
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxCA {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("index: certificate authorities (cert): %w", err)
		}
		found = pool.AppendCertsFromPEM(text) || found
	}
	if !found {
		return nil, fmt.Errorf("index: certificate authorities (cert): no certificate in %s", path)
	}
	return pool, nil
}
