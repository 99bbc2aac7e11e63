package index

import (
	"net/url"
	"path/filepath"

	"reqpm/internal/secret"
)

// What a secret showed is kept apart: a cache serves many projects, and a page or file of one must not be the answer to
// another, which knows an address or a hash but has not the secret.

// privateDir is where, below a cache's folder, what was shown by secrets is kept: a cache for each.
const privateDir = "private"

func (c *Client) openPrivate() error {
	c.private = map[string]*cache{}
	for _, s := range c.cfg.Secrets {
		if s.Kind != secret.Index {
			continue
		}
		own, err := openCache(filepath.Join(c.cfg.CacheDir, privateDir, PrivateName(s.ID)))
		if err != nil {
			return err
		}
		c.private[s.ID] = own
	}
	return nil
}

// cacheOf is the cache for what is shown to a secret; the zero secret is what everybody is shown.
func (c *Client) cacheOf(held secret.Secret) *cache {
	if own := c.private[held.ID]; own != nil {
		return own
	}
	return c.cache
}

// cacheFor is the cache of a file.
func (c *Client) cacheFor(f File, u *url.URL) *cache { return c.cacheOf(c.grantFor(f.Index, u).held) }

// owner is whose a file is; "": everybody's.
func (c *Client) owner(indexName, address string) string {
	if len(c.private) == 0 {
		return ""
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return c.grantFor(indexName, u).held.Owner
}

func credentialsOf(s secret.Secret) credentials {
	if s.Username == "" {
		return credentials{token: s.Reveal()}
	}
	return credentials{user: s.Username, password: s.Reveal()}
}

// useSecret takes the one for a location's server.
func (l *location) useSecret(all []secret.Secret) {
	if l.path != "" {
		return
	}
	if held, ok := secret.For(all, secret.Index, l.base.String()); ok {
		l.creds, l.held = credentialsOf(held), held
	}
}
