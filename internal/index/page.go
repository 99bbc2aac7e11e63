package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// page is what one place says about one project (or, for find-links, about many).
type page struct {
	links []link
	fresh time.Duration // how long it may still be used without asking again
}

// What a page's body is, as noted in the cache.
const (
	typeJSON    = "json"
	typeHTML    = "html"
	typeMissing = "missing" // the index has no such page
)

const (
	acceptPages = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
	acceptHTML  = "text/html, */*;q=0.1"
)

// project reads an index's page of a project; the error is of kind ErrNotFound when it has none.
func (c *Client) project(ctx context.Context, l *location, key string) (page, error) {
	if l.path != "" {
		return c.localProject(l, key)
	}
	u := l.base.JoinPath(key, "/")
	return c.page(ctx, l, u, "project page of "+key+" on index "+l.name, acceptPages)
}

// findLinks reads a find-links place. One that is a missing folder is only warned about.
func (c *Client) findLinks(ctx context.Context, l *location, key string) (page, error) {
	var p page
	var err error
	if l.path != "" {
		p, err = c.localProject(l, key)
	} else {
		p, err = c.page(ctx, l, l.base, "find-links page", acceptHTML)
	}
	if errors.Is(err, ErrNotFound) {
		return p, nil
	}
	if l.path != "" && errors.Is(err, errNoFolder) {
		c.warnOnce("folder "+l.path, "find-links: the folder does not exist", "folder", l.path)
		return page{}, nil
	}
	return p, err
}

// page reads a remote page, from the cache while it is fresh enough.
func (c *Client) page(ctx context.Context, l *location, u *url.URL, what, accept string) (page, error) {
	return c.pages.do(ctx, u.String(), func(ctx context.Context) (page, error) {
		key := u.String()
		old, cached := c.cache.get("pages", key)
		if cached {
			fresh := c.cfg.MaxAge - old.age
			if old.Type == typeMissing {
				fresh = min(c.cfg.MaxAge, missingMaxAge) - old.age
			}
			if c.cfg.Offline || fresh > 0 && old.age >= 0 {
				if links, err := old.understand(); err == nil || errors.Is(err, ErrNotFound) {
					c.stats.pageHits.Add(1)
					if c.cfg.Offline {
						fresh = defaultMaxAge // nothing newer can be had
					}
					return page{links, fresh}, c.missing(err, what, u)
				}
			}
		}
		if c.cfg.Offline {
			return page{}, fmt.Errorf("%s (%s): %w", what, redact(u.String()), ErrOffline)
		}
		if !cached || old.Type == typeMissing {
			old = nil
		}
		links, err := c.askPage(ctx, l, u, what, accept, old)
		return page{links, c.cfg.MaxAge}, err
	})
}

func (c *Client) missing(err error, what string, u *url.URL) error {
	if err != nil {
		return fmt.Errorf("%s: %w (%s)", what, err, redact(u.String()))
	}
	return nil
}

// understand parses a cached page.
func (e *entry) understand() ([]link, error) {
	base, err := url.Parse(e.Base)
	if err != nil {
		return nil, err
	}
	switch e.Type {
	case typeMissing:
		return nil, ErrNotFound
	case typeJSON:
		return parseJSONPage(e.body, base)
	case typeHTML:
		return parseHTMLPage(e.body, base)
	}
	return nil, fmt.Errorf("a cached page of unknown type %q", e.Type)
}

// askPage fetches a page, parses it and keeps it; nonsense is never kept.
func (c *Client) askPage(ctx context.Context, l *location, u *url.URL, what, accept string, old *entry) ([]link, error) {
	header := http.Header{"Accept": {accept}}
	if old != nil && old.ETag != "" {
		header.Set("If-None-Match", old.ETag)
	}
	if old != nil && old.LastModified != "" {
		header.Set("If-Modified-Since", old.LastModified)
	}
	q := question{url: u, header: header, grant: l.grant(), what: what, limit: maxPage}
	var links []link
	err := c.fetch.get(ctx, q, func(resp *http.Response, body io.Reader) (err error) {
		if resp.StatusCode == http.StatusNotModified {
			links, err = c.unchanged(u, old)
			return err
		}
		e := entry{
			URL: redact(u.String()), Base: cleanURL(resp.Request.URL).String(),
			ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified"),
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		e.body = text
		if e.Type, err = pageType(resp.Header.Get("Content-Type"), text); err != nil {
			return nonsenseError{err}
		}
		if links, err = e.understand(); err != nil {
			return nonsenseError{err}
		}
		return c.cache.put("pages", u.String(), e, text)
	})
	var status *statusError
	switch {
	case errors.Is(err, ErrNotFound):
		if perr := c.cache.put("pages", u.String(), entry{URL: redact(u.String()), Type: typeMissing}, nil); perr != nil {
			return nil, perr
		}
	case errors.As(err, &status) && status.status == http.StatusNotAcceptable && accept != acceptHTML:
		return c.askPage(ctx, l, u, what, acceptHTML, nil)
	}
	return links, err
}

// unchanged takes up a 304.
func (c *Client) unchanged(u *url.URL, old *entry) ([]link, error) {
	if old == nil {
		return nil, nonsenseError{errors.New("it answered \"not modified\" to a plain question")}
	}
	c.stats.notModified.Add(1)
	c.cache.touch("pages", u.String())
	return old.understand()
}

// nonsenseError is an answer that makes no sense. Another try is made, but only one: it may
// be a proxy's hiccup, and is more often a wrong address.
type nonsenseError struct{ error }

func (e nonsenseError) Unwrap() error { return e.error }

// pageType goes by the content type, and by the first byte where that says nothing or
// is contradicted by it.
func pageType(contentType string, body []byte) (string, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = ""
	}
	isJSON, isHTML := strings.HasSuffix(media, "json"), strings.Contains(media, "html")
	switch {
	case len(body) == 0:
		return "", errors.New("the answer is empty")
	case isJSON && body[0] == '<':
		return "", errors.New("it says it is JSON, but is an HTML page")
	case body[0] == '{':
		return typeJSON, nil
	case isJSON:
		return typeJSON, nil // whose parser says what is wrong
	case isHTML || body[0] == '<':
		return typeHTML, nil
	}
	return "", fmt.Errorf("it is neither JSON nor HTML (content type %.60q)", contentType)
}
