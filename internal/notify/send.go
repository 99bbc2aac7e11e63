package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/netguard"
)

// permanent is an error that will be the same the next time.
type permanent struct{ error }

// later is an error after which the server has said when to come again.
type later struct {
	error
	after time.Duration
}

// maxAnswer is how much of an answer is kept, bytes.
const maxAnswer = 500

// sendTo sends a message. It says how that went and what was answered.
func (n *Notifier) sendTo(ctx context.Context, kind string, s ChannelSettings, m Message, id string, allowed []netip.Prefix) (status, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	switch kind {
	case Webhook:
		body, err := json.Marshal(m)
		if err != nil {
			return "", "", permanent{err}
		}
		header, err := sign(s.Key, id, time.Now(), body)
		if err != nil {
			return "", "", permanent{err}
		}
		return n.http(ctx, http.MethodPost, s.URL, header, body, allowed)
	case Slack:
		body, err := json.Marshal(map[string]any{"text": m.mrkdwn(), "unfurl_links": false})
		if err != nil {
			return "", "", permanent{err}
		}
		return n.http(ctx, http.MethodPost, s.URL, nil, body, allowed)
	case Matrix:
		// The transaction's id has the homeserver take a message once, however often it is sent. No mention is meant.
		body, err := json.Marshal(map[string]any{"msgtype": "m.text", "body": m.plain(), "format": "org.matrix.custom.html", "formatted_body": m.html(), "m.mentions": map[string]any{}})
		if err != nil {
			return "", "", permanent{err}
		}
		address := strings.TrimRight(s.Homeserver, "/") + "/_matrix/client/v3/rooms/" + url.PathEscape(s.Room) + "/send/m.room.message/" + url.PathEscape(id)
		return n.http(ctx, http.MethodPut, address, http.Header{"Authorization": {"Bearer " + s.Token}}, body, allowed)
	case Email:
		return n.mail(ctx, s, m, id, allowed)
	}
	return "", "", permanent{fmt.Errorf("there is no kind of channel %q", kind)}
}

// keyPrefix is how keys of Standard Webhooks begin.
const keyPrefix = "whsec_"

// NewKey makes a key that messages are signed with: 256 random bits.
func NewKey() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	return keyPrefix + base64.StdEncoding.EncodeToString(raw[:])
}

func keyBytes(key string) ([]byte, error) {
	text, ok := strings.CutPrefix(key, keyPrefix)
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(raw) < 24 || len(raw) > 64 {
		return nil, errors.New("whsec_ and 24 to 64 bytes in base64")
	}
	return raw, nil
}

// sign makes the headers of Standard Webhooks 1.0: HMAC-SHA256 over id, time and body.
func sign(key, id string, at time.Time, body []byte) (http.Header, error) {
	raw, err := keyBytes(key)
	if err != nil {
		return nil, err
	}
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s.%s.", id, seconds)
	_, _ = mac.Write(body) // a hash takes everything
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", seconds)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h, nil
}

// http sends a body to where somebody of a project said: not inside, unless that is allowed, and nowhere else.
func (n *Notifier) http(ctx context.Context, method, address string, header http.Header, body []byte, allowed []netip.Prefix) (status, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return "", "", permanent{errors.New("the address is not one")} // the error would show it
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "ReqPM")
	transport := &http.Transport{
		DialContext: netguard.Dialer(allowed, r.URL.Scheme == "http", n.cfg.Timeout).DialContext, TLSClientConfig: &tls.Config{RootCAs: n.cfg.Roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got, err := client.Do(r)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // without the address
		}
		return "", "", err
	}
	defer got.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(got.Body, maxAnswer)) // its beginning will do
	status = "HTTP " + strconv.Itoa(got.StatusCode)
	answer = line(string(text))
	switch code := got.StatusCode; {
	case code >= 200 && code < 300:
		return status, answer, nil
	case code >= 300 && code < 400:
		return status, answer, permanent{errors.New(status + ": redirections are not followed; give the address that it leads to")}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		err := errors.New(status)
		if seconds, convErr := strconv.Atoi(got.Header.Get("Retry-After")); convErr == nil && seconds > 0 && seconds <= 86400 {
			return status, answer, later{err, time.Duration(seconds) * time.Second}
		}
		return status, answer, err
	}
	return status, answer, permanent{errors.New(status)}
}
