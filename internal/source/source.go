// Package source turns a Git URL or a local directory into a directory of files that
// never changes again: which refs there are, the checkout of one commit, its archive.
//
// git runs as a program with no user or system configuration, no hooks, no prompt, no
// protocol but the one the checked URL has. Submodules and LFS objects are not
// fetched; Checkout.Warnings says so. Safe for concurrent use, from several
// processes too.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reqpm/internal/filelock"
	"reqpm/internal/secret"
)

// Errors a caller decides on. Every error of a network or a server wraps ErrNetwork
// (exit code 5); a repository or ref that is not there wraps ErrNotFound.
var (
	ErrNetwork  = errors.New("git server not reachable")
	ErrNotFound = errors.New("not found")
	ErrAuth     = errors.New("git server refuses access")
)

// Request says what to fetch.
type Request struct {
	URL string // https, ssh or scp-like; with Policy a local path or http too
	Ref string // branch, tag, full or abbreviated commit id; "": the remote's HEAD
	Dir string // where checkouts are kept, e.g. STATE/checkouts; made when absent
	// Tmp is where to work, on the file system of Dir, when the caller has a folder that is
	// swept after a kill; "": Dir, where what was killed stays for a day.
	Tmp string
	// Skip is a directory that is never part of a local source, absolute: the state
	// directory may lie inside the project.
	Skip string
	// Again: the caller has had this commit from this URL with these credentials before, so a checkout of
	// it that is there is taken without asking the server.
	Again bool
	Credentials
	Allow Policy
}

// Credentials let git in. They never reach a command line, an environment, a URL or a message.
type Credentials struct {
	TokenFile string // password or access token for https, first line
	Username  string // for https; default "x-access-token", which the large forges take
	SSHKey    string // private key file for ssh; default: the agent's and the user's own
	// Secrets are in no file, each for one server; what is for the URL's goes before the rest. Whoever has others sees
	// none of the checkouts that were made with one.
	Secrets []secret.Secret
}

// Elsewhere are those that may be used on any server, in place of the one that c was given for: each secret says itself
// whose it is.
func (c Credentials) Elsewhere() Credentials { return Credentials{Secrets: c.Secrets} }

// Policy opens what is refused by default.
type Policy struct {
	Local    bool // local paths
	Loopback bool // hosts with loopback, private or link-local addresses
	HTTP     bool // http without TLS
}

// Checkout is the tree of one commit, or a copy of a work tree. Immutable.
type Checkout struct {
	Dir    string `json:"-"`      // absolute; holds no .git
	URL    string `json:"url"`    // canonical
	Commit string `json:"commit"` // 40 or 64 hex digits; with "-dirty" for a changed work tree; "tree-DIGEST" for a plain directory
	Ref    string `json:"ref"`    // the branch or tag it came from, or the commit id asked for
	// Written are files that an archive of the checkout has in place of, or beside, those of Dir: what
	// only the repository could tell (SourceTar). By slash-separated path.
	Written    map[string][]byte `json:"-"`
	Describe   string            `json:"describe"`    // nearest tag as git describe --tags prints it; "" when there is none
	CommitTime time.Time         `json:"commit_time"` // of the commit; for a changed work tree the newest file's
	Warnings   []string          `json:"warnings,omitempty"`
	Tree       string            `json:"tree"` // digest of names, modes and contents
}

// FS is the tree, confined: links that lead out of it do not open.
func (c Checkout) FS() (fs.FS, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	return root.FS(), nil
}

// Sub is a folder of the tree as a tree of its own, named by a slash path; "" and "." are the
// whole. A folder that is not there, or lies outside, is ErrNotFound.
func (c Checkout) Sub(dir string) (Checkout, error) {
	if dir == "" || dir == "." {
		return c, nil
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return Checkout{}, fmt.Errorf("open checkout: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(filepath.FromSlash(dir))
	if err != nil || !info.IsDir() {
		return Checkout{}, fmt.Errorf("%w: there is no folder %q in %s", ErrNotFound, dir, c.URL)
	}
	c.Dir = filepath.Join(c.Dir, filepath.FromSlash(dir))
	return c, nil
}

// Fetch gets the tree that req names. A checkout that is there and intact is reused;
// a branch is asked for at the remote each time. Cancelling ctx ends git with all its
// children.
func Fetch(ctx context.Context, req Request) (Checkout, error) {
	if req.Dir == "" {
		return Checkout{}, errors.New("fetch: no directory for checkouts given")
	}
	dir, err := filepath.Abs(req.Dir)
	if err != nil {
		return Checkout{}, fmt.Errorf("fetch: %w", err)
	}
	req.Dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Checkout{}, fmt.Errorf("fetch: %w", err)
	}
	if err := checkRef(req.Ref); err != nil {
		return Checkout{}, err
	}
	loc, err := locate(ctx, req.URL, req.Allow)
	if err != nil {
		return Checkout{}, err
	}
	g, err := newGit(loc, req)
	if err != nil {
		return Checkout{}, err
	}
	defer g.close()
	var c Checkout
	if loc.local {
		c, err = g.fetchLocal(ctx, req)
	} else {
		c, err = g.fetchRemote(ctx, req)
	}
	if err != nil {
		return Checkout{}, fmt.Errorf("fetch %s: %w", loc.display(), err)
	}
	return c, nil
}

// Ref is one branch or tag of a repository.
type Ref struct {
	Name    string `json:"name"`   // short: "main", "v1.2"
	Kind    string `json:"kind"`   // "branch" or "tag"
	Commit  string `json:"commit"` // a tag object's commit, not its own id
	Default bool   `json:"default,omitempty"`
}

// Refs lists the branches and tags of req.URL, branches first; req.Ref is not looked at.
func Refs(ctx context.Context, req Request) ([]Ref, error) {
	loc, err := locate(ctx, req.URL, req.Allow)
	if err != nil {
		return nil, err
	}
	if req.Dir == "" {
		req.Dir = os.TempDir()
	}
	g, err := newGit(loc, req)
	if err != nil {
		return nil, err
	}
	defer g.close()
	refs, err := g.listRefs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list refs of %s: %w", loc.display(), err)
	}
	return refs, nil
}

// Head is what req.Ref means at the remote now, the default branch where it is "": the name and the commit.
// Nothing is fetched. A commit's id is itself, and an abbreviated one has no Commit.
func Head(ctx context.Context, req Request) (Ref, error) {
	if err := checkRef(req.Ref); err != nil {
		return Ref{}, err
	}
	loc, err := locate(ctx, req.URL, req.Allow)
	if err != nil {
		return Ref{}, err
	}
	if req.Dir == "" {
		req.Dir = os.TempDir()
	}
	g, err := newGit(loc, req)
	if err != nil {
		return Ref{}, err
	}
	defer g.close()
	r, err := g.ask(ctx)
	if err == nil {
		var w wanted
		if w, err = r.resolve(req.Ref); err == nil {
			kind := "branch"
			if strings.HasPrefix(w.full, "refs/tags/") {
				kind = "tag"
			}
			return Ref{Name: w.ref, Kind: kind, Commit: w.commit}, nil
		}
	}
	return Ref{}, fmt.Errorf("look at %s: %w", loc.display(), err)
}

// metaFile lies beside a checkout, not inside: the tree is the commit's and nothing else.
func metaFile(dir string) string { return dir + ".json" }

// checkoutDir is where the checkout of one commit of one repository lies. The URL is
// part of the name: two projects never share a checkout, nor can one prepare it for another.
// So is the secret that opened the repository, if one did: what it showed is not for those who do not have it.
func (g *git) checkoutDir(root, commit string) string {
	name := g.loc.canonical
	if g.held.ID != "" {
		name += "\nsecret " + g.held.ID
	}
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(root, hex.EncodeToString(sum[:8])+"-"+commit)
}

// reuse returns the checkout in dir when it is whole: its recorded tree digest still holds.
func reuse(ctx context.Context, dir string) (Checkout, bool) {
	data, err := os.ReadFile(metaFile(dir))
	if err != nil {
		return Checkout{}, false
	}
	var c Checkout
	if json.Unmarshal(data, &c) != nil || c.Tree == "" {
		return Checkout{}, false
	}
	sum, err := treeDigest(ctx, dir)
	if err != nil || sum != c.Tree {
		return Checkout{}, false
	}
	c.Dir = dir
	now := time.Now()
	_ = os.Chtimes(metaFile(dir), now, now) // for Unused; a checkout that seems unused is fetched again at worst
	return c, true
}

// keep moves a finished tree to its place, unless another process was first.
func (c Checkout) keep(ctx context.Context, tree, dir string) (Checkout, error) {
	var err error
	if c.Tree, err = treeDigest(ctx, tree); err != nil {
		return Checkout{}, err
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return Checkout{}, err
	}
	lock, err := filelock.Wait(ctx, dir+".lock")
	if err != nil {
		return Checkout{}, err
	}
	defer lock.Close()
	if have, ok := reuse(ctx, dir); ok && have.Tree == c.Tree {
		return have, nil
	}
	if err := os.RemoveAll(dir); err != nil { // damaged
		return Checkout{}, err
	}
	if err := os.Rename(tree, dir); err != nil {
		return Checkout{}, err
	}
	tmp := metaFile(dir) + ".tmp"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil {
		return Checkout{}, err
	}
	if err := os.Rename(tmp, metaFile(dir)); err != nil {
		return Checkout{}, err
	}
	c.Dir = dir
	return c, nil
}

// checkRef refuses names that git itself refuses, before they get near a command line.
// Check tells what is wrong with a request as it stands, a *URLError that every Fetch of it would be. Nobody is asked: a name
// of a private host is refused by Fetch.
func Check(req Request) error {
	if err := checkRef(req.Ref); err != nil {
		return err
	}
	nobody, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := locate(nobody, req.URL, req.Allow)
	if _, ok := errors.AsType[*URLError](err); ok {
		return err
	}
	return nil
}

func checkRef(ref string) error {
	bad := strings.HasPrefix(ref, "-") || strings.Contains(ref, "..") || len(ref) > 250 ||
		strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) })
	if bad {
		return &URLError{URL: ref, Reason: "this is not a valid name of a branch, tag or commit"}
	}
	return nil
}
