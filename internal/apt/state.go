package apt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// hostLists is where the machine's own apt keeps its lists.
const hostLists = "/var/lib/apt/lists"

// maxAge is how old lists of our own may be before they are fetched again.
const maxAge = 24 * time.Hour

// quiet is a configuration read after the machine's: hooks of that (Docker's images delete every
// package of the machine's cache after each call) are not ours to run.
const quiet = `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Keep-Downloaded-Packages;
#clear AptCli::Hooks;
`

// prepare makes the folders and returns the options that lead apt to them.
func (c *Client) prepare() ([]string, error) {
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(c.cfg.Dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	conf := filepath.Join(c.cfg.Dir, "apt.conf")
	if text, err := os.ReadFile(conf); err != nil || string(text) != quiet {
		if err := os.WriteFile(conf, []byte(quiet), 0o644); err != nil {
			return nil, err
		}
	}
	set := func(name, value string) string { return "-o" + name + "=" + value }
	lists := c.lists()
	options := []string{
		"-c" + conf, "-qq",
		set("Dir::State::status", "/var/lib/dpkg/status"), set("Dir::State", filepath.Join(c.cfg.Dir, "state")),
		set("Dir::State::lists", lists), set("Dir::State::extended_states", "extended_states"),
		set("Dir::Cache", filepath.Join(c.cfg.Dir, "cache")), set("Dir::Cache::archives", "archives/"),
		set("Dir::Cache::pkgcache", "pkgcache.bin"), set("Dir::Cache::srcpkgcache", "srcpkgcache.bin"),
		set("Dir::Log", filepath.Join(c.cfg.Dir, "log")),
		set("Debug::NoLocking", "1"), set("APT::Sandbox::User", "root"), set("APT::Get::Assume-Yes", "true"),
		set("APT::Get::AllowUnauthenticated", "false"), set("Acquire::AllowInsecureRepositories", "false"),
		set("Acquire::Retries", "2"), set("APT::Install-Recommends", "false"), set("APT::Get::Show-User-Simulation-Note", "false"),
	}
	return append(options, c.cfg.Options...), nil
}

// lists is the newest folder of lists: our own, or the machine's.
func (c *Client) lists() string {
	own := filepath.Join(c.cfg.Dir, "state", "lists")
	ours, have := listTime(own)
	if c.updated || len(c.cfg.Options) > 0 {
		return own
	}
	if theirs, ok := listTime(hostLists); ok && (!have || theirs.After(ours)) {
		return hostLists
	}
	return own
}

// listTime is when the newest of the lists in dir was fetched.
func listTime(dir string) (newest time.Time, ok bool) {
	files, _ := filepath.Glob(filepath.Join(dir, "*_Packages*"))
	for _, f := range files {
		if _, err := os.Stat(f); err == nil {
			ok = true
		}
	}
	if st, err := os.Stat(dir); err == nil {
		newest = st.ModTime()
	}
	return newest, ok
}

// Refresh fetches the lists where there are none yet, or where ours are older than a day. A
// machine's own lists are taken as they are: whoever keeps that machine keeps them.
func (c *Client) Refresh(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.updated || c.cfg.Offline {
		return nil
	}
	lists := c.lists()
	when, ok := listTime(lists)
	if ok && (lists == hostLists || time.Since(when) < maxAge) {
		return nil
	}
	return c.update(ctx)
}

// update fetches the lists, once: a source that does not answer does not the second time.
func (c *Client) update(ctx context.Context) error {
	if c.failed != nil {
		return c.failed
	}
	c.cfg.Report("fetch the package lists of this machine's distribution")
	c.updated = true // so that the lists of our own are meant
	if _, err := c.run(ctx, "apt-get", "update"); err != nil {
		c.updated = false
		if ctx.Err() == nil {
			c.failed = fmt.Errorf("fetch the package lists of the distribution: %w", err)
			return c.failed
		}
		return err
	}
	clear(c.known)
	clear(c.solved)
	own := filepath.Join(c.cfg.Dir, "state", "lists")
	now := time.Now()
	return os.Chtimes(own, now, now)
}
