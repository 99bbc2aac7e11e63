// Package client speaks to a ReqPM server: its API as typed calls, lists as iterators over all their pages, events
// and logs that go on behind what was read when a connection breaks, and artifacts downloaded in parts.
//
// Answers have the types of package api, which are what the OpenAPI document is made of. Everything that a
// server says is hostile until it is checked: nothing here writes to a terminal, and names are for callers
// to make safe.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"reqpm/internal/api"
)

// Limits of one call.
const (
	callTimeout = 3 * time.Minute // Git addresses are asked while the client waits
	mostJSON    = 64 << 20
	mostProblem = 1 << 20
)

// Config says whom to ask. Server must be set.
type Config struct {
	Server  string // http(s)://host[:port][/prefix]
	Token   string // "": as whoever needs none
	Version string // of the program, for the server's log
	// Patience is how long a stream tries to come back to a server that does not answer; default 5 min.
	Patience time.Duration
	// Idle is how long a stream may be silent before it is held to be dead: servers send something
	// every 15 s. Default 60 s.
	Idle time.Duration
	// Waiting is told when a stream was cut off and is tried again; nil: nobody is.
	Waiting func(err error)
	// Transport is for tests; nil: Go's own, with the proxies of the environment.
	Transport http.RoundTripper
}

// Client speaks to one server. Its methods may be called from any goroutine.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client
}

// ErrUnreachable is what errors wrap when the server did not answer, or not as a ReqPM server does.
var ErrUnreachable = errors.New("the server does not answer")

// ErrAddress is what errors wrap when an address is none of a server.
var ErrAddress = errors.New("not the address of a server")

// Address checks and cleans the address of a server.
func Address(server string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(server, "/"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is %w: it is as in https://reqpm.example.org, or http://127.0.0.1:8470", server, ErrAddress)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q is %w: it has a scheme, a host and maybe a path, nothing else", u.Redacted(), ErrAddress)
	}
	return u, nil
}

// New checks the configuration; nothing is asked yet.
func New(cfg Config) (*Client, error) {
	base, err := Address(cfg.Server)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(cfg.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("the token has characters that no token has")
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 5 * time.Minute
	}
	if cfg.Idle <= 0 {
		cfg.Idle = time.Minute
	}
	if cfg.Waiting == nil {
		cfg.Waiting = func(error) {}
	}
	// A redirect would take the token elsewhere, or turn a POST into a GET: it is an error that says where to.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{cfg: cfg, base: base, http: &http.Client{Transport: cfg.Transport, CheckRedirect: stay}}, nil
}

// Server is the address of the server.
func (c *Client) Server() string { return c.base.String() }

// Error is a refusal of the server: a problem document (RFC 9457), or a status without one.
type Error struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
	Where string `json:"-"` // the server's address
}

func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = fmt.Sprintf("status %d %s", e.Status, e.Title)
	}
	for _, part := range e.Errors {
		if part.Message != e.Detail {
			text += fmt.Sprintf("; %s: %s", strings.TrimPrefix(part.Location, "body."), part.Message)
		}
	}
	switch e.Status {
	case http.StatusUnauthorized:
		text += "\nGive a token: REQPM_TOKEN, or 'reqpm login'"
	case http.StatusForbidden:
		text += "\nThe token's role does not allow it; 'reqpm token create --role …' on the server makes another one"
	}
	return fmt.Sprintf("%s: %s", e.Where, text)
}

// Temporary says whether the same call may succeed later.
func (e *Error) Temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout
}

// IsStatus says whether an error is a refusal of a status.
func IsStatus(err error, status int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == status
}

// request makes a request; path begins with a slash and may have a query.
func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var text io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, text)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.cfg.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	r.Header.Set("User-Agent", "reqpm/"+c.cfg.Version)
	return r, nil
}

// send gets an answer that is not a refusal. Its body is the caller's to close.
func (c *Client) send(r *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(r)
	if err != nil {
		if r.Context().Err() != nil {
			return nil, fmt.Errorf("ask %s: %w", c.base, context.Cause(r.Context()))
		}
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // which says neither method nor address once more
		}
		return nil, fmt.Errorf("%s: %w: %w", c.base, ErrUnreachable, err)
	}
	if answer.StatusCode < 300 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, c.problem(answer)
}

// problem reads a refusal.
func (c *Client) problem(answer *http.Response) error {
	if answer.StatusCode < 400 {
		return fmt.Errorf("%s: %w: it sends on to %q; name that address", c.base, ErrUnreachable, answer.Header.Get("Location"))
	}
	e := &Error{}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, mostProblem))
	if kind := answer.Header.Get("Content-Type"); strings.HasPrefix(kind, "application/problem+json") || strings.HasPrefix(kind, "application/json") {
		_ = json.Unmarshal(text, e) // what it does not have is said by the status
	} else if line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n"); strings.HasPrefix(kind, "text/plain") && len(line) < 500 {
		e.Detail = line
	}
	e.Status, e.Where = answer.StatusCode, c.base.String()
	if e.Title == "" {
		e.Title = http.StatusText(answer.StatusCode)
	}
	return e
}

// call makes a request and reads a JSON answer into a value; into may be nil.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	_, err := c.callIf(ctx, method, path, "", body, into)
	return err
}

// callIf is call for a thing whose ETag is known, "" where it is not. It gives the ETag that the thing has now.
func (c *Client) callIf(ctx context.Context, method, path, match string, body, into any) (tag string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, fmt.Errorf("%w: nothing came within %v", ErrUnreachable, callTimeout))
	defer cancel()
	r, err := c.request(ctx, method, api.Prefix+path, body)
	if err != nil {
		return "", err
	}
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	answer, err := c.send(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostJSON+1))
	switch {
	case err != nil && ctx.Err() != nil:
		return "", fmt.Errorf("ask %s: %w", c.base, context.Cause(ctx))
	case err != nil:
		return "", fmt.Errorf("%s: %w: the answer broke off: %w", c.base, ErrUnreachable, err)
	case len(text) > mostJSON:
		return "", fmt.Errorf("%s: %w: an answer has more than %d bytes", c.base, ErrUnreachable, mostJSON)
	case into == nil || answer.StatusCode == http.StatusNoContent:
		return answer.Header.Get("ETag"), nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return "", fmt.Errorf("%s: %w as a ReqPM server does: %w", c.base, ErrUnreachable, err)
	}
	return answer.Header.Get("ETag"), nil
}

// Text gets what is no JSON: /readyz and the like.
func (c *Client) Text(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Second, fmt.Errorf("%w: nothing came within 15 s", ErrUnreachable))
	defer cancel()
	r, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return "", err
	}
	answer, err := c.send(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostProblem))
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", c.base, ErrUnreachable, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Anonymous says whether no token is sent.
func (c *Client) Anonymous() bool { return c.cfg.Token == "" }
