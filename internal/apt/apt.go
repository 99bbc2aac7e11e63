// Package apt finds and downloads packages of this machine's own Debian or Ubuntu, without
// changing the machine.
//
// It runs apt-get and apt-cache with state and caches of its own. The machine's sources, keyrings,
// preferences and list of installed packages are read; nothing of them is written, no package is
// installed, and no maintainer script or hook of the machine's apt configuration runs. apt checks
// the signatures of the lists, and packages against the lists; the SHA-256 is checked here again.
package apt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/filelock"
)

// Config says where a Client keeps things and what it may do.
type Config struct {
	// Dir keeps lists and downloaded packages. Many processes may share it.
	Dir string
	// Offline: nothing is downloaded; what is on disk counts.
	Offline bool
	// Options are more options for apt ("-oDir::Etc::sourcelist=…"), for tests.
	Options []string
	// Report gets lines for people while something is downloaded; may be nil.
	Report func(string)
}

// Client asks apt. It is safe for concurrent use; calls of apt go one after the other.
type Client struct {
	cfg Config

	mu      sync.Mutex
	updated bool // the lists were fetched by this client
	failed  error
	solved  map[string][]Package
	known   map[string]string // candidates, by name
}

// Package is one package in one version, as the lists have it.
type Package struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Arch     string `json:"arch"`
	Size     int64  `json:"size"` // of the file, in bytes
	SHA256   string `json:"sha256"`
	Upgrades string `json:"upgrades,omitempty"` // the version that is installed on the machine
}

// NoCandidateError: the machine's sources have no such package.
type NoCandidateError struct {
	Names []string
	Why   string // what apt said, or "" when it merely does not know the names
}

func (e *NoCandidateError) Error() string {
	text := "apt has no candidate for " + strings.Join(e.Names, " or ")
	if e.Why != "" {
		return text + ": " + e.Why
	}
	return text + " in the sources of this machine (/etc/apt/sources.list.d)"
}

// ErrOffline: a package would have to be downloaded and must not.
var ErrOffline = errors.New("it is not downloaded yet, and --offline downloads nothing")

// New makes a Client; nothing is asked yet.
func New(cfg Config) *Client {
	if cfg.Report == nil {
		cfg.Report = func(string) {}
	}
	return &Client{cfg: cfg, solved: map[string][]Package{}, known: map[string]string{}}
}

// Here tells whether this machine has what the package needs: apt-get and dpkg-deb.
func Here() bool {
	for _, name := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			return false
		}
	}
	return true
}

// validName is a package name as Debian Policy 5.6.7 has it.
var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

// Candidates are the versions that apt would install, by name; a name without one is not in it.
// The lists are fetched first where there are none, or where none of names is known.
func (c *Client) Candidates(ctx context.Context, names []string) (map[string]string, error) {
	for _, n := range names {
		if !validName.MatchString(n) {
			return nil, fmt.Errorf("ask apt: %q is no package name", n)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]string{}
	all := true
	for _, n := range names {
		v, ok := c.known[n]
		all = all && ok
		if v != "" {
			found[n] = v
		}
	}
	if all {
		return found, nil
	}
	found, err := c.policy(ctx, names)
	if err == nil && len(found) == 0 && !c.updated && !c.cfg.Offline {
		if err = c.update(ctx); err == nil {
			found, err = c.policy(ctx, names)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		c.known[n] = found[n]
	}
	return found, nil
}

// policy asks apt-cache for candidates.
func (c *Client) policy(ctx context.Context, names []string) (map[string]string, error) {
	out, err := c.run(ctx, "apt-cache", append([]string{"policy"}, names...)...)
	if err != nil {
		return nil, err
	}
	return readPolicy(out), nil
}

// readPolicy reads the answer of apt-cache policy.
func readPolicy(out string) map[string]string {
	found := map[string]string{}
	name := ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, " ") {
			name = strings.TrimSuffix(line, ":")
			continue
		}
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && v != "(none)" {
			found[name] = v
		}
	}
	return found
}

// Newer tells whether version a is higher than b, by dpkg's rules.
func Newer(ctx context.Context, a, b string) bool {
	return exec.CommandContext(ctx, "dpkg", "--compare-versions", a, "gt", b).Run() == nil
}

// Newest is the name of highest version among versions (by name).
func Newest(ctx context.Context, versions map[string]string) string {
	best := ""
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		if best == "" || Newer(ctx, versions[name], versions[best]) {
			best = name
		}
	}
	return best
}

// Resolve says what would have to be installed beside what the machine has, so that all of names
// are there: those themselves unless installed, and everything they depend on. Recommended
// packages are left out. Sorted by name; nothing is downloaded but lists.
func (c *Client) Resolve(ctx context.Context, names []string) ([]Package, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) == 0 {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.Join(names, " ")
	if list, ok := c.solved[key]; ok {
		return list, nil
	}
	list, err := c.resolve(ctx, names)
	if _, none := errors.AsType[*NoCandidateError](err); none && !c.updated && !c.cfg.Offline {
		if err = c.update(ctx); err == nil {
			list, err = c.resolve(ctx, names)
		}
	}
	if err != nil {
		return nil, err
	}
	c.solved[key] = list
	return list, nil
}

var (
	instLine = regexp.MustCompile(`^Inst (\S+) (?:\[([^\]]+)\] )?\((\S+) .*\[(\S+)\]\)`)
	aptError = regexp.MustCompile(`(?m)^E: (.+)$`)
)

func (c *Client) resolve(ctx context.Context, names []string) ([]Package, error) {
	out, err := c.run(ctx, "apt-get", append([]string{"--simulate", "--no-install-recommends", "install", "--"}, names...)...)
	if err != nil {
		var fail *Error
		if errors.As(err, &fail) && !fail.infrastructure() {
			return nil, &NoCandidateError{Names: names, Why: fail.Text}
		}
		return nil, err
	}
	var list []Package
	for line := range strings.Lines(out) {
		m := instLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		name, _, _ := strings.Cut(m[1], ":")
		list = append(list, Package{Name: name, Version: m[3], Arch: m[4], Upgrades: m[2]})
	}
	if len(list) == 0 {
		return nil, nil
	}
	slices.SortFunc(list, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return list, c.describe(ctx, list)
}

// describe adds size and SHA-256, which a simulation does not say.
func (c *Client) describe(ctx context.Context, list []Package) error {
	args := []string{"show", "--no-all-versions"}
	for _, p := range list {
		args = append(args, p.Name+"="+p.Version)
	}
	out, err := c.run(ctx, "apt-cache", args...)
	if err != nil {
		return err
	}
	found := map[string]map[string]string{}
	for record := range strings.SplitSeq(out, "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(record) {
			if k, v, ok := strings.Cut(line, ": "); ok && line[0] != ' ' {
				fields[k] = strings.TrimSpace(v)
			}
		}
		key := fields["Package"] + "=" + fields["Version"]
		if fields["SHA256"] != "" {
			found[key] = fields
		}
	}
	for i, p := range list {
		f := found[p.Name+"="+p.Version]
		if !hexSum.MatchString(f["SHA256"]) {
			return fmt.Errorf("apt's lists give no SHA-256 for %s %s", p.Name, p.Version)
		}
		list[i].SHA256 = f["SHA256"]
		list[i].Size, _ = strconv.ParseInt(f["Size"], 10, 64) // for people; 0 when it is not given
	}
	return nil
}

var hexSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Fetch downloads packages and returns their files, in the same order. What was downloaded before
// is not again.
func (c *Client) Fetch(ctx context.Context, list []Package) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files := make([]string, len(list))
	var missing []Package
	for i, p := range list {
		if !hexSum.MatchString(p.SHA256) {
			return nil, fmt.Errorf("download %s %s: it has no SHA-256", p.Name, p.Version)
		}
		files[i] = c.file(p)
		if _, err := os.Stat(files[i]); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return files, nil
	}
	if c.cfg.Offline {
		return nil, fmt.Errorf("download %s: %w", labels(missing), ErrOffline)
	}
	c.cfg.Report(fmt.Sprintf("download %s from the distribution (%s)", labels(missing), Bytes(total(missing))))
	return files, c.download(ctx, missing)
}

// file is where a package is kept: by its digest, so that nothing else can be there.
func (c *Client) file(p Package) string {
	return filepath.Join(c.cfg.Dir, "debs", p.SHA256+".deb")
}

func (c *Client) download(ctx context.Context, list []Package) (err error) {
	if err := os.MkdirAll(filepath.Join(c.cfg.Dir, "debs"), 0o755); err != nil {
		return fmt.Errorf("download %s: %w", labels(list), err)
	}
	dir, err := os.MkdirTemp(c.cfg.Dir, "download-")
	if err != nil {
		return fmt.Errorf("download %s: %w", labels(list), err)
	}
	defer os.RemoveAll(dir)
	args := []string{"download"}
	for _, p := range list {
		args = append(args, p.Name+"="+p.Version)
	}
	if _, err := c.runIn(ctx, dir, "apt-get", args...); err != nil {
		return fmt.Errorf("download %s: %w", labels(list), err)
	}
	got, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	bySum := map[string]string{}
	for _, f := range got {
		sum, err := sumOf(f)
		if err != nil {
			return fmt.Errorf("download %s: %w", labels(list), err)
		}
		bySum[sum] = f
	}
	for _, p := range list {
		f, ok := bySum[p.SHA256]
		if !ok {
			return fmt.Errorf("download %s %s: no file with the SHA-256 of apt's lists came", p.Name, p.Version)
		}
		if err := errors.Join(os.Chmod(f, 0o644), os.Rename(f, c.file(p))); err != nil {
			return fmt.Errorf("download %s: %w", p.Name, err)
		}
	}
	return nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func labels(list []Package) string {
	names := make([]string, 0, len(list))
	for _, p := range list {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

func total(list []Package) int64 {
	var n int64
	for _, p := range list {
		n += p.Size
	}
	return n
}

// Bytes is a size for people.
func Bytes(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d kB", max(1, n>>10))
}

// Error is a call of apt that failed.
type Error struct {
	Program string
	Text    string // apt's own errors
	Err     error
}

func (e *Error) Error() string { return e.Program + ": " + e.Text }
func (e *Error) Unwrap() error { return e.Err }

// infrastructure tells a network or disk in trouble from a wish that cannot be met.
func (e *Error) infrastructure() bool {
	for _, sign := range []string{"Failed to fetch", "Could not resolve", "No space left", "Permission denied", "Could not open", "Unable to lock"} {
		if strings.Contains(e.Text, sign) {
			return true
		}
	}
	return false
}

func (c *Client) run(ctx context.Context, program string, args ...string) (string, error) {
	return c.runIn(ctx, c.cfg.Dir, program, args...)
}

// callTime bounds one call of apt, downloads included.
const callTime = 30 * time.Minute

// runIn runs apt in dir with state and caches of our own.
func (c *Client) runIn(ctx context.Context, dir, program string, args ...string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%w: %s, which only Debian and its kin have", builder.ErrMissingTool, program)
	}
	options, err := c.prepare()
	if err != nil {
		return "", fmt.Errorf("prepare apt's folders: %w", err)
	}
	lock, err := filelock.Wait(ctx, filepath.Join(c.cfg.Dir, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append(options, args...)...)
	cmd.Dir = dir
	cmd.Env = append(proxies(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent", "DEBIAN_FRONTEND=noninteractive")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, 5*time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		var lines []string
		for _, m := range aptError.FindAllStringSubmatch(errs.String(), 5) {
			lines = append(lines, m[1])
		}
		if len(lines) == 0 {
			lines = []string{err.Error()}
		}
		return "", &Error{Program: program, Text: strings.Join(lines, "; "), Err: err}
	}
	return out.String(), nil
}

// proxies is what of our environment apt needs to reach its sources as we do.
func proxies() []string {
	var env []string
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
