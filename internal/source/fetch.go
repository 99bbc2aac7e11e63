package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/secret"
)

// wantedRef is where the commit lies in the private repository.
const wantedRef = "refs/reqpm/wanted"

// fetchRemote gets one commit, as shallow as the server allows.
func (g *git) fetchRemote(ctx context.Context, req Request) (Checkout, error) {
	if req.Again && objectID.MatchString(req.Ref) {
		if c, ok := reuse(ctx, g.checkoutDir(req.Dir, req.Ref)); ok {
			c.Ref = req.Ref
			return c, nil
		}
	}
	r, err := g.ask(ctx)
	if err != nil {
		return Checkout{}, err
	}
	w, err := r.resolve(req.Ref)
	if err != nil {
		return Checkout{}, err
	}
	if w.commit != "" {
		if c, ok := reuse(ctx, g.checkoutDir(req.Dir, w.commit)); ok {
			c.Ref = w.ref
			return c, nil
		}
	}
	if err := g.init(ctx, len(w.commit) == 64 || len(r.at) == 64); err != nil {
		return Checkout{}, err
	}
	commit, err := g.fetchCommit(ctx, r, w)
	if err != nil {
		return Checkout{}, err
	}
	dir := g.checkoutDir(req.Dir, commit)
	if c, ok := reuse(ctx, dir); ok { // the branch moved, or the id was abbreviated
		c.Ref = w.ref
		return c, nil
	}
	c := Checkout{URL: g.loc.canonical, Commit: commit, Ref: w.ref}
	if w.warning != "" {
		c.Warnings = append(c.Warnings, w.warning)
	}
	tree := filepath.Join(g.tmp, "tree")
	if err := g.extract(ctx, commit, tree, &c); err != nil {
		return Checkout{}, err
	}
	if err := g.describe(ctx, r, commit, &c); err != nil {
		return Checkout{}, err
	}
	return c.keep(ctx, tree, dir)
}

// init makes the private repository.
func (g *git) init(ctx context.Context, sha256 bool) error {
	repo := filepath.Join(g.tmp, "repo.git")
	format := "sha1"
	if sha256 {
		format = "sha256"
	}
	if _, err := g.run(ctx, "init", "--quiet", "--bare", "--template=", "--object-format="+format, "--", repo); err != nil {
		return err
	}
	g.repo = repo
	// This file wins over every .gitattributes: files come out byte for byte, and no filter
	// (LFS among them) is looked for.
	if err := os.MkdirAll(filepath.Join(repo, "info"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(repo, "info", "attributes"), []byte("* -text -ident -filter -working-tree-encoding\n"), 0o644)
}

// fetchCommit brings the commit's objects and returns its full id.
func (g *git) fetchCommit(ctx context.Context, r remote, w wanted) (string, error) {
	fetch := func(args ...string) error {
		_, err := g.runRemote(ctx, func(url string) []string {
			argv := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head"}
			n := 0
			for n < len(args) && strings.HasPrefix(args[n], "--") {
				n++
			}
			return append(append(append(argv, args[:n]...), "--", url), args[n:]...)
		})
		return err
	}
	parse := func(rev string) (string, error) {
		out, err := g.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
		return strings.TrimSpace(string(out)), err
	}
	switch {
	case w.full != "":
		// By name: the branch may have moved since it was listed, and then its new commit is right.
		if err := fetch("--depth=1", "+"+w.full+":"+wantedRef); err != nil {
			return "", err
		}
		return parse(wantedRef)
	case w.commit != "":
		err := fetch("--depth=1", "+"+w.commit+":"+wantedRef)
		if err == nil {
			return parse(wantedRef)
		}
		if ctx.Err() != nil || errors.Is(err, ErrAuth) {
			return "", err
		}
	}
	// The server gives out no commits by id, or the id is abbreviated: everything, then look.
	if err := fetch("+refs/heads/*:refs/remote/heads/*", "+refs/tags/*:refs/remote/tags/*"); err != nil {
		return "", err
	}
	commit, err := parse(strings.ToLower(w.ref))
	if err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		if out, _ := g.run(ctx, "rev-parse", "--disambiguate="+strings.ToLower(w.ref)); strings.Count(string(out), "\n") > 1 {
			return "", fmt.Errorf("%w: commit id %s is not unique; give more of it", ErrNotFound, w.ref)
		}
		return "", r.unknown(w.ref)
	}
	return commit, nil
}

// describe names the commit by its nearest tag. The commits in between are fetched without
// their files; when the server does not go along there is no name, and a warning.
func (g *git) describe(ctx context.Context, r remote, commit string, c *Checkout) error {
	out, err := g.run(ctx, "show", "-s", "--format=%ct", commit)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<33 {
		seconds = 0
	}
	c.CommitTime = time.Unix(seconds, 0).UTC()
	if c.Describe = r.exactTag(commit); c.Describe != "" || !r.hasTags() {
		return nil
	}
	args := []string{"fetch", "--quiet", "--no-write-fetch-head", "--filter=tree:0"}
	if _, err := os.Stat(filepath.Join(g.repo, "shallow")); err == nil {
		args = append(args, "--unshallow")
	}
	limited, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	_, err = g.runRemote(limited, func(url string) []string {
		return append(append([]string{}, args...), "--", url, "+"+commit+":"+wantedRef, "+refs/tags/*:refs/tags/*")
	})
	if err == nil {
		out, err = g.run(limited, "describe", "--tags", commit)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		c.Describe = strings.TrimSpace(string(out))
	case !strings.Contains(err.Error(), "No tags can describe") && !strings.Contains(err.Error(), "No names found"):
		c.Warnings = append(c.Warnings, fmt.Sprintf("the nearest tag could not be found: %v", err))
	}
	return nil
}

// redirection is how git says that it was told not to follow one.
var redirection = regexp.MustCompile(`error: 30[1278]|redirect`)

// runRemote runs a command that talks to the server. git is told to follow no redirection;
// when the server answers with one, it is followed here, each hop under the same policy.
func (g *git) runRemote(ctx context.Context, args func(url string) []string) ([]byte, error) {
	out, err := g.run(ctx, args(g.loc.url)...)
	if err == nil || !strings.HasPrefix(g.loc.scheme, "http") || !redirection.MatchString(err.Error()) {
		return out, classify(ctx, err)
	}
	moved, rerr := g.followRedirect(ctx)
	if rerr != nil {
		return nil, rerr
	}
	g.loc.url = moved
	out, err = g.run(ctx, args(moved)...)
	return out, classify(ctx, err)
}

// classify makes a failure of a command that talked to a server one of the known kinds.
func classify(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || isKind(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNetwork, err)
}

// maxRedirects is git's own bound halved: a forge needs one or two.
const maxRedirects = 5

// followRedirect finds where the repository moved, without sending credentials.
func (g *git) followRedirect(ctx context.Context) (string, error) {
	const suffix = "/info/refs"
	client := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	at := g.loc.url
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+suffix+"?service=git-upload-pack", nil)
		if err != nil {
			return "", &URLError{URL: withoutUserinfo(at), Reason: "the server redirects to what is not a URL"}
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrNetwork, err)
		}
		_, _ = io.CopyN(io.Discard, resp.Body, 1<<16)
		resp.Body.Close()
		if resp.StatusCode < 300 || resp.StatusCode > 399 {
			return at, nil
		}
		next, err := resp.Location()
		if err != nil {
			return "", &URLError{URL: withoutUserinfo(at), Reason: "the server redirects to nowhere"}
		}
		if at, err = g.redirected(ctx, next, suffix); err != nil {
			return "", err
		}
	}
	return "", &URLError{URL: g.loc.canonical, Reason: "the server redirects in a circle"}
}

// sameServer compares scheme, host and port: another port may be another's server.
func sameServer(a, b location) bool {
	x, err1 := secret.Origin(a.canonical)
	y, err2 := secret.Origin(b.canonical)
	return err1 == nil && err2 == nil && x == y
}

// redirected checks one hop. A token was meant for one host and goes to no other.
func (g *git) redirected(ctx context.Context, next *url.URL, suffix string) (string, error) {
	path, ok := strings.CutSuffix(next.Path, suffix)
	if !ok || next.Scheme != g.loc.scheme {
		return "", &URLError{URL: g.loc.canonical, Reason: fmt.Sprintf("the server redirects to %s://%s, which is no repository over %s; give the final URL", next.Scheme, next.Host, g.loc.scheme)}
	}
	to := url.URL{Scheme: next.Scheme, User: next.User, Host: next.Host, Path: path}
	loc, err := locateRemote(ctx, to.String(), Policy{HTTP: g.loc.scheme == "http", Loopback: g.loopback})
	if err != nil {
		return "", err
	}
	if g.secret != "" && !sameServer(loc, g.loc) {
		return "", &URLError{URL: g.loc.canonical, Reason: fmt.Sprintf("the server redirects to %s, and the token is not sent to another host; give the final URL", loc.host)}
	}
	return loc.url, nil
}
