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

// page is what one place says: as a Project where it was asked about one, and as links where it
// may say something about many (find-links).
type page struct {
	project *Project
	links   []link
	fresh   time.Duration // how long it may still be used without asking again
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
		p, err := c.localProject(l, key)
		if err == nil {
			p.project, _, err = projectOf(toFiles(p.links, key, ""), key)
		}
		return p, err
	}
	u := l.base.JoinPath(key, "/")
	return c.page(ctx, l, u, subject{"project page of " + key + " on index " + l.name, acceptPages, key})
}

// findLinks reads a find-links place. One that is a missing folder is only warned about.
func (c *Client) findLinks(ctx context.Context, l *location, key string) (page, error) {
	var p page
	var err error
	if l.path != "" {
		p, err = c.localProject(l, key)
	} else {
		p, err = c.page(ctx, l, l.base, subject{"find-links page", acceptHTML, ""})
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

// subject is what a remote page is about.
type subject struct {
	what   string // for errors
	accept string
	key    string // the project; "": whatever it links to
}

// page reads a remote page, from the cache while it is fresh enough.
func (c *Client) page(ctx context.Context, l *location, u *url.URL, s subject) (page, error) {
	return c.pages.do(ctx, u.String(), func(ctx context.Context) (page, error) {
		kept := c.cacheOf(l.held)
		old, cached := kept.head("pages", u.String())
		if cached {
			fresh := c.cfg.MaxAge - old.age
			if old.Type == typeMissing {
				fresh = min(c.cfg.MaxAge, missingMaxAge) - old.age
			}
			if c.cfg.Offline || fresh > 0 && old.age >= 0 && c.believed(old, s.key) {
				p, err := kept.page(old, u, s)
				if err == nil || errors.Is(err, ErrNotFound) {
					c.stats.pageHits.Add(1)
					if c.cfg.Offline {
						fresh = defaultMaxAge // nothing newer can be had
					}
					p.fresh = fresh
					return p, c.missing(err, s.what, u)
				}
				cached = false
			}
		}
		if c.cfg.Offline {
			return page{}, fmt.Errorf("%s (%s): %w", s.what, redact(u.String()), ErrOffline)
		}
		if !cached || old.Type == typeMissing {
			old = nil
		}
		p, err := c.askPage(ctx, l, u, s, old)
		p.fresh = c.cfg.MaxAge
		return p, err
	})
}

// errDamaged: what the cache has of a page is not what was put there.
var errDamaged = errors.New("the cached page is damaged")

// page takes a page from the cache whose head was read: from its packed form when that was
// made of just this page, else from the page itself, which it packs.
func (c *cache) page(head *entry, u *url.URL, s subject) (page, error) {
	if head.Type == typeMissing {
		return page{}, ErrNotFound
	}
	key := u.String()
	if s.key != "" {
		if e, ok := c.get("packed", key); ok && e.Type == packedFormat && e.Of == head.identity() {
			if p, ok := unpackProject(string(e.body)); ok {
				p.Name = s.key
				return page{project: p}, nil
			}
		}
	}
	whole, ok := c.get("pages", key)
	if !ok {
		return page{}, errDamaged
	}
	p, packed, err := whole.read(s)
	if err == nil && packed != nil {
		err = c.keepPacked(key, whole, packed)
	}
	return p, err
}

// read understands a page as the subject wants it. For a project it also returns the packed form.
func (e *entry) read(s subject) (page, []byte, error) {
	links, err := e.understand()
	if err != nil || s.key == "" {
		return page{links: links}, nil, err
	}
	p, packed, err := projectOf(toFiles(links, s.key, ""), s.key)
	return page{project: p}, packed, err
}

// projectOf packs sorted files of a project.
func projectOf(files []File, key string) (*Project, []byte, error) {
	packed := pack(files)
	p, ok := unpackProject(string(packed))
	if !ok {
		return nil, nil, fmt.Errorf("project %s: its packed page cannot be read back", key)
	}
	p.Name = key
	return p, packed, nil
}

func (c *cache) keepPacked(key string, whole *entry, packed []byte) error {
	return c.put("packed", key, &entry{URL: whole.URL, Type: packedFormat, Of: whole.identity()}, packed)
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

// maxValidator bounds an ETag or Last-Modified worth keeping: the head of an entry is short.
const maxValidator = 1 << 10

// askPage fetches a page, understands it and keeps it; nonsense is never kept.
func (c *Client) askPage(ctx context.Context, l *location, u *url.URL, s subject, old *entry) (page, error) {
	header := http.Header{"Accept": {s.accept}}
	if old != nil && old.ETag != "" {
		header.Set("If-None-Match", old.ETag)
	}
	if old != nil && old.LastModified != "" {
		header.Set("If-Modified-Since", old.LastModified)
	}
	q := question{url: u, header: header, grant: l.grant(), what: s.what, limit: maxPage}
	kept := c.cacheOf(l.held)
	var p page
	err := c.fetch.get(ctx, q, func(resp *http.Response, body io.Reader) (err error) {
		if resp.StatusCode == http.StatusNotModified {
			p, err = c.unchanged(kept, u, s, old)
			return err
		}
		p, err = kept.answered(u, s, resp, body)
		return err
	})
	var status *statusError
	switch {
	case errors.Is(err, errDamaged):
		return c.askPage(ctx, l, u, s, nil)
	case errors.Is(err, ErrNotFound):
		if perr := kept.put("pages", u.String(), &entry{URL: redact(u.String()), Type: typeMissing}, nil); perr != nil {
			return page{}, perr
		}
	case errors.As(err, &status) && status.status == http.StatusNotAcceptable && s.accept != acceptHTML:
		s.accept = acceptHTML
		return c.askPage(ctx, l, u, s, nil)
	}
	return p, err
}

// answered understands and keeps a whole page.
func (c *cache) answered(u *url.URL, s subject, resp *http.Response, body io.Reader) (page, error) {
	e := &entry{URL: redact(u.String()), Base: cleanURL(resp.Request.URL).String()}
	if v := resp.Header.Get("ETag"); len(v) < maxValidator {
		e.ETag = v
	}
	if v := resp.Header.Get("Last-Modified"); len(v) < maxValidator {
		e.LastModified = v
	}
	text, err := readAll(body, resp.ContentLength)
	if err != nil {
		return page{}, err
	}
	e.body = text
	if e.Type, err = pageType(resp.Header.Get("Content-Type"), text); err != nil {
		return page{}, nonsenseError{err}
	}
	p, packed, err := e.read(s)
	if err != nil {
		return page{}, nonsenseError{err}
	}
	if err := c.put("pages", u.String(), e, text); err != nil || packed == nil {
		return p, err
	}
	return p, c.keepPacked(u.String(), e, packed)
}

// readAll reads a body whose length may be known (-1: it is not) without growing on the way.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	if length > 0 && length <= maxPage {
		b.Grow(int(length) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// unchanged takes up a 304.
func (c *Client) unchanged(kept *cache, u *url.URL, s subject, old *entry) (page, error) {
	if old == nil {
		return page{}, nonsenseError{errors.New("it answered \"not modified\" to a plain question")}
	}
	p, err := kept.page(old, u, s)
	if err != nil {
		return page{}, finalError{fmt.Errorf("%w: %w", errDamaged, err)}
	}
	c.stats.notModified.Add(1)
	kept.touch("pages", u.String())
	return p, nil
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
