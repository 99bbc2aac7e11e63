package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"reqpm/internal/pep508"
)

// Fresh is Project, but believes no page that the index was asked about before the client was made: for who is about
// to say that something is not there. Such a page is asked for once, with its ETag; one that was asked for since,
// and everything offline, costs no request. Errors are those of Files.
func (c *Client) Fresh(ctx context.Context, name string) (*Project, error) {
	key := pep508.NormalizeName(name)
	if !validKey(key) {
		return nil, fmt.Errorf("project %.100q: %w: no valid project name", name, ErrNotFound)
	}
	if _, before := c.doubted.LoadOrStore(key, true); !before {
		c.memo.forget(key)
	}
	// Beside those who ask for the project and may get a page from the cache.
	return c.projects.do(ctx, "fresh "+key, func(ctx context.Context) (*Project, error) {
		if p, ok := c.memo.get(key); ok {
			return p, nil
		}
		return c.list(ctx, key)
	})
}

// believed tells whether a page from the cache counts without asking the index: always, unless somebody doubts it and it
// is older than this client. A find-links page is doubted when anything is.
func (c *Client) believed(e *entry, key string) bool {
	if c.cfg.Offline || !time.Now().Add(-e.age).Before(c.began) {
		return true
	}
	if key != "" {
		_, doubted := c.doubted.Load(key)
		return !doubted
	}
	doubted := false
	c.doubted.Range(func(_, _ any) bool { doubted = true; return false })
	return !doubted
}

// forget drops what is remembered of a project.
func (m *memo) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, key)
}

// Equal tells whether two projects have the same files, of the same index. Either may be nil.
func (p *Project) Equal(other *Project) bool {
	if p == nil || other == nil {
		return p == other
	}
	return p.index == other.index && p.prefix == other.prefix && slices.Equal(p.texts, other.texts) &&
		slices.EqualFunc(p.releases, other.releases, func(a, b Release) bool {
			return a.files == b.files && a.records == b.records && a.Version.Raw() == b.Version.Raw()
		})
}

// Fresher is a Reader that can be doubted: see Client.Fresh.
type Fresher interface {
	Fresh(ctx context.Context, name string) (*Project, error)
}

var _ Fresher = (*Client)(nil)

// Fresh asks a Reader anew where it can be asked so; one that cannot has no cache, or is meant to answer from it alone.
func Fresh(ctx context.Context, r Reader, name string) (*Project, error) {
	if f, ok := r.(Fresher); ok {
		return f.Fresh(ctx, name)
	}
	return nil, fmt.Errorf("ask the index again: %w", errors.ErrUnsupported)
}
