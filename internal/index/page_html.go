package index

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// errNoProjectPage is an HTML page that is about something else: a login form, a proxy's
// error, a landing page. Taking it for "no files" would hide the real trouble.
var errNoProjectPage = errors.New("it is an HTML page, but no project page of an index (a proxy's or login page?)")

// htmlPage is what a PEP 503 page turned out to hold.
type htmlPage struct {
	links   []link
	anchors int  // all, also those that are no files
	listing bool // says of itself that it is an index
	title   strings.Builder
	text    bool // has words outside of links
	baseSet bool
	base    *url.URL
}

// parseHTMLPage reads a PEP 503 page, or any HTML page with links to files.
func parseHTMLPage(body []byte, base *url.URL) ([]link, error) {
	p := &htmlPage{base: base}
	z := html.NewTokenizer(bytes.NewReader(body))
	z.SetMaxBuf(1 << 20)
	inTitle := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("the HTML is garbled: %w", err)
			}
			return p.finish()
		case html.TextToken:
			text := bytes.TrimSpace(z.Text())
			if inTitle && p.title.Len() < 1<<10 {
				p.title.Write(text)
			} else if len(text) > 0 {
				p.text = true
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if atom.Lookup(name) == atom.Title {
				inTitle = false
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			tag := atom.Lookup(name)
			inTitle = tag == atom.Title
			if tag != atom.A && tag != atom.Base && tag != atom.Meta {
				continue
			}
			if err := p.element(tag, attributes(z, more)); err != nil {
				return nil, err
			}
		}
	}
}

// attributes reads an element's attributes, the first of each name, as browsers do.
func attributes(z *html.Tokenizer, more bool) map[string]string {
	attrs := map[string]string{}
	for more {
		var k, v []byte
		k, v, more = z.TagAttr()
		if _, dup := attrs[string(k)]; !dup && len(attrs) < 64 {
			attrs[string(k)] = string(v)
		}
	}
	return attrs
}

func (p *htmlPage) element(tag atom.Atom, attrs map[string]string) error {
	switch tag {
	case atom.Meta:
		if strings.EqualFold(attrs["name"], "pypi:repository-version") {
			p.listing = true
			return checkAPIVersion(attrs["content"])
		}
	case atom.Base:
		href, ok := attrs["href"]
		if !ok || p.baseSet {
			return nil
		}
		p.baseSet = true
		if u, ok := resolveLink(p.base, href); ok {
			p.base = u
		}
	case atom.A:
		href, ok := attrs["href"]
		if !ok {
			return nil
		}
		if p.anchors++; p.anchors > maxFiles {
			return fmt.Errorf("it lists more than %d files", maxFiles)
		}
		if l, ok := anchorLink(p.base, href, attrs); ok {
			p.links = append(p.links, l)
		}
	}
	return nil
}

func (p *htmlPage) finish() ([]link, error) {
	if len(p.links) > 0 || p.listing || p.anchors == 0 && !p.text {
		return p.links, nil
	}
	title := strings.ToLower(p.title.String())
	for _, word := range []string{"links for", "index of", "simple index", "directory listing"} {
		if strings.Contains(title, word) {
			return p.links, nil
		}
	}
	return nil, errNoProjectPage
}

func anchorLink(base *url.URL, href string, attrs map[string]string) (link, bool) {
	u, ok := resolveLink(base, href)
	if !ok {
		return link{}, false
	}
	l := link{filename: urlFilename(u), url: cleanURL(u).String()}
	if !safeFilename(l.filename) || !isDistribution(l.filename) {
		return link{}, false
	}
	for part := range strings.SplitSeq(u.Fragment, "&") {
		if name, value, ok := strings.Cut(part, "="); ok && name != "egg" && name != "subdirectory" {
			l.addHash(name, value)
		}
	}
	l.requiresPython = clip(attrs["data-requires-python"])
	if reason, ok := attrs["data-yanked"]; ok {
		l.yanked, l.yankedReason = true, clip(reason)
	}
	metadata, ok := attrs["data-core-metadata"]
	if !ok {
		metadata, ok = attrs["data-dist-info-metadata"]
	}
	if ok && metadata != "false" {
		l.hasMetadata = true
		if sha, ok := strings.CutPrefix(strings.ToLower(metadata), "sha256="); ok && validSHA256(sha) {
			l.metadataSHA256 = sha
		}
	}
	return l, true
}
