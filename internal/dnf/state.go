package dnf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"reqpm/internal/target"
)

// maxRepomd bounds repomd.xml.
const maxRepomd = 4 << 20

// State says what state a repository of t is in: its repomd.xml from the first address that
// answers, or the digests of it that its metalink names.
func State(ctx context.Context, repo target.Repo, t target.Target) ([]byte, error) {
	c, err := client(repo)
	if err != nil {
		return nil, err
	}
	vars := strings.NewReplacer("$releasever", t.ReleaseVer, "$basearch", t.Arch)
	if repo.Metalink != "" {
		text, err := get(ctx, c, vars.Replace(repo.Metalink))
		if err != nil {
			return nil, err
		}
		if m := metalinkHash.Find(text); m != nil {
			return m, nil
		}
		return nil, fmt.Errorf("%s: no digest of repomd.xml in it", repo.Metalink)
	}
	urls := repo.BaseURL
	if repo.Mirrorlist != "" {
		text, err := get(ctx, c, vars.Replace(repo.Mirrorlist))
		if err != nil {
			return nil, err
		}
		for l := range strings.Lines(string(text)) {
			if l = strings.TrimSpace(l); strings.Contains(l, "://") && len(urls) < 3 {
				urls = append(urls, l)
			}
		}
	}
	err = errors.New("no address")
	for _, u := range urls {
		var text []byte
		if text, err = get(ctx, c, strings.TrimSuffix(vars.Replace(u), "/")+"/repodata/repomd.xml"); err == nil {
			return text, nil
		}
	}
	return nil, err
}

// KeyFile reads a file of signing keys from where dnf would: a path, http or https, with the certificates of the
// repository that names it.
func KeyFile(ctx context.Context, repo target.Repo, address string) ([]byte, error) {
	c, err := client(repo)
	if err != nil {
		return nil, err
	}
	return get(ctx, c, address)
}

// metalinkHash finds the first, that is the current, SHA-256 in a metalink.
var metalinkHash = regexp.MustCompile(`<hash type="sha256">\s*[0-9a-f]{64}`)

func get(ctx context.Context, c *http.Client, url string) ([]byte, error) {
	if p, ok := strings.CutPrefix(url, "file://"); ok {
		f, err := os.Open(p)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxRepomd))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxRepomd))
}
