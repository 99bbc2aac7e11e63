package index

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"reqpm/internal/pep508"
	"reqpm/internal/secret"
)

// Client reads indexes through a cache. It is safe for concurrent use; what it returns is
// shared and must not be changed.
type Client struct {
	cfg     Config
	began   time.Time
	indexes []*location // in the order they are asked
	links   []*location // find-links
	cache   *cache
	private map[string]*cache // by the id of the secret that showed what is in it
	fetch   *fetcher
	stats   counters

	pages    flights[page]
	projects flights[*Project]
	files    flights[string]
	metadata flights[[]byte]

	memo     memo
	hashes   sync.Map // path and state of a local file → its sha256
	warned   sync.Map // what has been warned about once
	noRanges sync.Map // hosts that ignore range requests
	doubted  sync.Map // projects whose pages count only when they are no older than the client
}

var _ Reader = (*Client)(nil)

// New makes a client and its cache directory. It asks nothing of the network. A
// configuration without any index or find-links place is an error.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg, began: time.Now()}
	if err := c.locate(); err != nil {
		return nil, err
	}
	var err error
	if c.cache, err = openCache(cfg.CacheDir); err != nil {
		return nil, err
	}
	if err := c.openPrivate(); err != nil {
		return nil, err
	}
	if c.fetch, err = newFetcher(cfg, &c.stats); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Client) locate() error {
	rc := readNetrc(c.cfg.Netrc, c.cfg.Getenv)
	names := map[string]bool{}
	for i, ic := range slices.Concat(c.cfg.Indexes, c.cfg.ExtraIndexes) {
		name := ic.Name
		if name == "" {
			if name = "index"; i > 0 {
				name = fmt.Sprintf("index-%d", i+1)
			}
		}
		if names[name] {
			return fmt.Errorf("index: two indexes are named %q", name)
		}
		names[name] = true
		l, err := newLocation(name, ic.URL)
		if err != nil {
			return fmt.Errorf("index %q: %w", name, err)
		}
		if own := (credentials{ic.Username, ic.Password, ic.Token}); !own.empty() {
			l.creds = own
		}
		l.useSecret(c.cfg.Secrets)
		l.useNetrc(rc)
		l.base.Path = strings.TrimRight(l.base.Path, "/")
		l.explicit = ic.Explicit
		c.indexes = append(c.indexes, l)
	}
	for i, address := range c.cfg.FindLinks {
		l, err := newLocation(fmt.Sprintf("find-links-%d", i+1), address)
		if err != nil {
			return fmt.Errorf("index: find-links: %w", err)
		}
		l.useSecret(c.cfg.Secrets)
		l.useNetrc(rc)
		c.links = append(c.links, l)
	}
	for pattern, name := range c.cfg.Pin {
		if !names[name] {
			return fmt.Errorf("index: %s is pinned to the index %q, and none is named so", pattern, name)
		}
	}
	if len(c.indexes)+len(c.links) == 0 {
		return errors.New("index: no index and no find-links place is configured")
	}
	return nil
}

// useNetrc fills in what the configuration left out: everything, or the password of a
// login it names.
func (l *location) useNetrc(rc netrc) {
	if l.path != "" || l.creds.token != "" || l.creds.password != "" {
		return
	}
	if e, ok := rc.lookup(l.base.Hostname(), l.creds.user); ok {
		l.creds = credentials{user: e.login, password: e.password}
	}
}

func (l *location) grant() grant { return grant{l.base, l.creds, l.held} }

// grantFor finds the credentials for a file: the secret for its server, those of the index it comes from, else of an
// index at the same origin. The transport checks the origin again.
func (c *Client) grantFor(indexName string, u *url.URL) grant {
	if held, ok := secret.For(c.cfg.Secrets, secret.Index, u.String()); ok {
		return grant{u, credentialsOf(held), held}
	}
	all := slices.Concat(c.indexes, c.links)
	for _, l := range all {
		if l.name == indexName {
			return l.grant()
		}
	}
	for _, l := range all {
		if sameOrigin(l.base, u) {
			return l.grant()
		}
	}
	return grant{}
}

// Files implements Reader. The error is of kind ErrNotFound when no index has the project,
// ErrOffline, ErrUnavailable, or the context's.
func (c *Client) Files(ctx context.Context, name string) ([]File, error) {
	p, err := c.Project(ctx, name)
	if err != nil {
		return nil, err
	}
	return p.Files(), nil
}

// Project implements Reader, with the errors of Files.
func (c *Client) Project(ctx context.Context, name string) (*Project, error) {
	key := pep508.NormalizeName(name)
	if !validKey(key) {
		return nil, fmt.Errorf("project %.100q: %w: no valid project name", name, ErrNotFound)
	}
	if p, ok := c.memo.get(key); ok {
		c.stats.pageHits.Add(1)
		return p, nil
	}
	return c.projects.do(ctx, key, func(ctx context.Context) (*Project, error) { return c.list(ctx, key) })
}

func validKey(key string) bool {
	if key == "" || len(key) > 200 {
		return false
	}
	for i := 0; i < len(key); i++ {
		if b := key[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' {
			return false
		}
	}
	return key[0] != '-' && key[len(key)-1] != '-'
}

// list asks the indexes in order until one has the project, then adds find-links.
func (c *Client) list(ctx context.Context, key string) (*Project, error) {
	var found Project
	var asked []string
	fresh := c.cfg.MaxAge
	indexes, links := c.places(key)
	for _, l := range indexes {
		p, err := c.project(ctx, l, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		asked = append(asked, l.String())
		fresh = min(fresh, p.fresh)
		if err == nil && len(p.project.releases) > 0 {
			found = *p.project
			found.index = l.name
			found.own()
			break
		}
	}
	for _, l := range links {
		p, err := c.findLinks(ctx, l, key)
		if err != nil {
			return nil, err
		}
		asked = append(asked, l.String())
		if more := toFiles(p.links, key, l.name); len(more) > 0 {
			merged, _, err := projectOf(merge(found.Files(), more), key)
			if err != nil {
				return nil, err
			}
			found = *merged
		}
	}
	if len(found.releases) == 0 {
		return nil, fmt.Errorf("project %s: %w (asked %s)", key, ErrNotFound, strings.Join(asked, ", "))
	}
	found.own()
	c.hold(&found)
	c.memo.put(key, &found, fresh)
	return &found, nil
}

// places are the indexes and find-links places that may have a say about a project.
func (c *Client) places(key string) (indexes, links []*location) {
	if name, ok := c.pinned(key); ok {
		return slices.DeleteFunc(slices.Clone(c.indexes), func(l *location) bool { return l.name != name }), nil
	}
	return slices.DeleteFunc(slices.Clone(c.indexes), func(l *location) bool { return l.explicit }), c.links
}

// pinned is the name of the index that a project is pinned to.
func (c *Client) pinned(key string) (string, bool) {
	best, found := "", ""
	for pattern, name := range c.cfg.Pin {
		whole := !strings.HasSuffix(pattern, "*")
		if !PinCovers(pattern, key) {
			continue
		}
		if whole {
			return name, true
		}
		if found == "" || len(pattern) > len(best) {
			best, found = pattern, name
		}
	}
	return found, found != ""
}

// PinCovers tells whether a key of Config.Pin is about a project (or is about all the projects that
// another such key is about). Names are compared in PEP 503 form: "Corp.*" covers corp-x.
func PinCovers(pattern, project string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	if !open {
		return pep508.NormalizeName(pattern) == pep508.NormalizeName(project)
	}
	return strings.HasPrefix(pep508.NormalizeName(project), pep508.NormalizeName(prefix))
}

// merge adds files whose names are new.
func merge(files, more []File) []File {
	if len(more) == 0 {
		return files
	}
	have := make(map[string]bool, len(files))
	for _, f := range files {
		have[f.Filename] = true
	}
	for _, f := range more {
		if !have[f.Filename] {
			files = append(files, f)
		}
	}
	sortFiles(files)
	return files
}

func (c *Client) warnOnce(key, message string, args ...any) {
	if _, before := c.warned.LoadOrStore(key, true); !before {
		c.cfg.Log.Warn(message, args...)
	}
}

// Stats says what a client has done since it was made.
type Stats struct {
	Requests    int64 // sent to remote servers, retries included, redirects not
	Retries     int64
	NotModified int64 // pages the index confirmed with 304
	PageHits    int64 // project pages answered from memory or the cache
	MetaHits    int64 // metadata answered from the cache
	FileHits    int64 // downloads answered from the cache
	Bytes       int64 // received in bodies
}

// Stats may be called at any time.
func (c *Client) Stats() Stats {
	s := &c.stats
	return Stats{
		Requests: s.requests.Load(), Retries: s.retries.Load(), NotModified: s.notModified.Load(),
		PageHits: s.pageHits.Load(), MetaHits: s.metadataHits.Load(), FileHits: s.fileHits.Load(), Bytes: s.bytes.Load(),
	}
}

// Close drops idle connections. The client stays usable.
func (c *Client) Close() { c.fetch.client.CloseIdleConnections() }

// memo keeps understood pages in memory while they are fresh.
type memo struct {
	mu    sync.Mutex
	known map[string]remembered
	count int
}

type remembered struct {
	project *Project
	until   time.Time
}

// maxRemembered bytes of all projects together; past it the memory starts afresh.
const maxRemembered = 128 << 20

func (m *memo) get(key string) (*Project, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.known[key]
	return r.project, ok && time.Now().Before(r.until)
}

func (m *memo) put(key string, p *Project, fresh time.Duration) {
	if fresh <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	size := p.size()
	if m.count += size; m.known == nil || m.count > maxRemembered {
		m.known, m.count = map[string]remembered{}, size
	}
	m.known[key] = remembered{p, time.Now().Add(fresh)}
}
