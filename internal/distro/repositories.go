package distro

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/builder"
	"reqpm/internal/dnf"
	"reqpm/internal/proc"
	"reqpm/internal/target"
)

const (
	cacheFormat = 1
	stateTime   = 20 * time.Second // for all repositories of a target to say in which state they are
	queryTime   = 10 * time.Minute // for dnf, which may have to fetch 100 MB of metadata
	maxAnswer   = 256 << 20        // bytes of it; EL 9 with CRB makes 3 MB
)

// Config says how Repositories works.
type Config struct {
	// Dir keeps answers and dnf's copies of the metadata. Many processes may share it.
	Dir string
	// Offline: answer from what is remembered, ask nobody.
	Offline bool
}

// Repositories asks the repositories of a target by dnf. An answer is kept under the state of
// the repositories: while their repomd.xml stays the same, nothing but that is asked for. It
// needs no privilege, and no base root. It is a Provider.
type Repositories struct {
	cfg Config

	mu    sync.Mutex
	known map[string]*Set // of this process, by repositories and stack
}

// NewRepositories makes a Repositories; nothing is asked yet.
func NewRepositories(cfg Config) *Repositories {
	return &Repositories{cfg: cfg, known: map[string]*Set{}}
}

// answer is one answer on disk.
type answer struct {
	Format   int       `json:"format"`
	Revision string    `json:"revision"`
	Asked    time.Time `json:"asked"`
	RPMs     []RPM     `json:"rpms"`
}

// Provides implements Provider.
func (r *Repositories) Provides(ctx context.Context, t target.Target) (*Set, error) {
	if t.Kind != target.DNF {
		return nil, &UnknownError{t.Name, errors.New("it has no dnf repositories")}
	}
	r.mu.Lock()
	defer r.mu.Unlock() // a second caller waits for the first one's answer
	key := questionKey(t)
	if s := r.known[key]; s != nil {
		return s, nil
	}
	s, err := r.ask(ctx, t, filepath.Join(r.cfg.Dir, t.Name+"-"+t.Python.Minor()+"-"+key[:16]))
	if err != nil {
		return nil, err
	}
	r.known[key] = s
	return s, nil
}

// questionKey digests what an answer depends on besides the state of the repositories.
func questionKey(t target.Target) string {
	text, _ := json.Marshal([]any{t.Repos, t.ReleaseVer, t.Arch, t.Python.Minor()}) // plain data: it cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// ask answers from the repositories, or from path.json as long as that is what they have.
func (r *Repositories) ask(ctx context.Context, t target.Target, path string) (*Set, error) {
	kept, cached, err := readAnswer(path + ".json")
	if err != nil {
		return nil, err
	}
	if r.cfg.Offline {
		if !cached {
			return nil, &UnknownError{t.Name, errors.New("its repositories were not asked before, and --offline asks nobody")}
		}
		return remembered(t, kept, "--offline"), nil
	}
	revision, err := state(ctx, t)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && cached:
		return remembered(t, kept, "its repositories do not answer: "+err.Error()), nil
	case err != nil:
		return nil, &UnknownError{t.Name, fmt.Errorf("its repositories do not answer: %w", err)}
	case cached && kept.Revision == revision:
		return NewSet(t, FromRepositories, revision, kept.RPMs), nil
	}
	rpms, err := query(ctx, t, path, "python"+t.Python.Minor()+"dist(*)")
	if err != nil {
		return nil, err
	}
	if err := writeAnswer(path+".json", answer{cacheFormat, revision, time.Now().UTC().Truncate(time.Second), rpms}); err != nil {
		return nil, err
	}
	return NewSet(t, FromRepositories, revision, rpms), nil
}

// remembered is the answer of an earlier time.
func remembered(t target.Target, kept answer, reason string) *Set {
	s := NewSet(t, FromCache, kept.Revision, kept.RPMs)
	s.Reason = fmt.Sprintf("as last seen on %s (%s)", kept.Asked.Format(time.DateOnly), reason)
	return s
}

// state digests the state of all repositories of t, asked side by side.
func state(ctx context.Context, t target.Target) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	texts := make([][]byte, len(t.Repos))
	for i, repo := range t.Repos {
		group.Go(func() error {
			var err error
			if texts[i], err = dnf.State(ctx, repo, t); err != nil {
				return fmt.Errorf("repository %s: %w", repo.ID, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	h := sha256.New()
	for i, text := range texts {
		fmt.Fprintf(h, "%s %d\n%s\n", t.Repos[i].ID, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// format is one RPM's record for --queryformat; dnf puts each entry of a list on a line of its own.
const format = "package %{name} %{epoch} %{version} %{release} %{arch} %{repoid}\nlicense %{license}\nprovides\n%{provides}\nrequires\n%{requires}\nend\n"

// query asks dnf for the newest packages that provide one of capabilities. Its folder keeps the metadata, so
// that only what changed is fetched next time.
func query(ctx context.Context, t target.Target, dir string, capabilities ...string) ([]RPM, error) {
	program, err := exec.LookPath("dnf")
	if err != nil {
		return nil, fmt.Errorf("%w: dnf, which asks repositories what they provide; run: apt-get install -y dnf (or dnf install -y dnf)", builder.ErrMissingTool)
	}
	if err := dnf.Write(dir, dir, dnf.Repos(t.Repos)); err != nil {
		return nil, fmt.Errorf("ask the repositories of %s: %w", t.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	args := append(dnf.Options(dir, filepath.Join(dir, "root"), t), "--quiet", "--disableplugin=*", "--forcearch="+t.Arch, "--refresh",
		"repoquery", "--latest-limit=1", "--arch="+t.Arch+",noarch", "--whatprovides", strings.Join(capabilities, ","), "--queryformat", format)
	out, errs := &proc.Head{Max: maxAnswer}, &proc.Head{Max: 64 << 10}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(proxies(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME="+filepath.Join(dir, "home"))
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, errs, 5*time.Second
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, &QueryError{Target: t.Name, Tail: lastLine(errs.String()), Err: err}
	case out.Cut():
		return nil, &QueryError{Target: t.Name, Tail: fmt.Sprintf("more than %d MB", maxAnswer>>20), Err: errors.New("the answer is too long")}
	}
	rpms, err := readRecords(out.String())
	if err != nil {
		return nil, &QueryError{Target: t.Name, Tail: lastLine(errs.String()), Err: err}
	}
	return rpms, nil
}

// proxies is what of our environment dnf needs to reach the repositories as we do.
func proxies() []string {
	var env []string
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// readRecords reads what format makes of each RPM.
func readRecords(text string) ([]RPM, error) {
	rpms := []RPM{}
	var r *RPM
	var list *[]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "package" && r == nil:
			f := strings.Fields(rest)
			if len(f) != 6 {
				return nil, fmt.Errorf("dnf's answer has a line %.200q", line)
			}
			r = &RPM{Name: f[0], Epoch: strings.TrimPrefix(f[1], "0"), Version: f[2], Release: f[3], Arch: f[4], Repo: f[5]}
		case r == nil:
			if line != "" {
				return nil, fmt.Errorf("dnf's answer has a line %.200q", line)
			}
		case word == "license" && list == nil:
			r.License = rest
		case line == "provides" && list == nil:
			list = &r.Provides
		case line == "requires" && list == &r.Provides:
			list = &r.Requires
		case line == "end":
			rpms, r, list = append(rpms, *r), nil, nil
		case list != nil && line != "":
			*list = append(*list, line)
		}
	}
	if r != nil {
		return nil, errors.New("dnf's answer ends too early")
	}
	return rpms, nil
}

func readAnswer(path string) (a answer, ok bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("read what the distribution provides: %w", err)
	}
	// One that is damaged or of another format is asked for again.
	if json.Unmarshal(text, &a) != nil || a.Format != cacheFormat {
		return answer{}, false, nil
	}
	return a, true, nil
}

// writeAnswer replaces path as a whole: others may read it meanwhile.
func writeAnswer(path string, a answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return replaceFile(path, text)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
