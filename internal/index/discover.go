package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNoIndex: nothing says where the index is. It is an ErrUnavailable as well; the
// message has the command that mends it.
var ErrNoIndex = fmt.Errorf("%w: nothing says which package index to use", ErrUnavailable)

// Places is where packages come from, as one source (flags, or ReqPM's configuration) has it.
// What is empty is left to the next source.
type Places struct {
	Indexes       []IndexConfig // in order; usually one
	ExtraIndexes  []IndexConfig
	FindLinks     []string
	NoIndex       bool // only find-links
	TrustedHosts  []string
	CAFile, Proxy string
}

// DiscoverOptions is what Discover looks at.
type DiscoverOptions struct {
	Flags  Places // command line, e.g. --index-url
	Config Places // ReqPM's own configuration

	Getenv func(string) string // nil: os.Getenv
	Root   string              // in front of /etc; "" is this machine
	// Pythons to ask for pip's default, in order; nil: python3, /usr/bin/python3 and the
	// python3.N on PATH.
	Pythons []string
	// CacheDir is where what pip said is remembered for a day; "": nowhere.
	CacheDir string
}

// Discover finds where packages come from, and says what named the index ("--index-url",
// "PIP_INDEX_URL", "/etc/pip.conf [global]", …; never with credentials). Each setting
// is looked up for itself, in this order: Flags, Config, pip's environment variables, pip's
// configuration files; the index last of all by asking an installed pip for its default.
// Only the caller's own fields (CacheDir, Offline, …) are left to be set.
func Discover(ctx context.Context, o DiscoverOptions) (Config, string, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	pip, err := o.pipSettings()
	if err != nil {
		return Config{}, "", err
	}
	cfg := Config{
		Getenv:       o.Getenv,
		ExtraIndexes: pick(o.Flags.ExtraIndexes, o.Config.ExtraIndexes, addresses(pip["extra-index-url"])),
		FindLinks:    pick(o.Flags.FindLinks, o.Config.FindLinks, words(pip["find-links"])),
		TrustedHosts: pick(o.Flags.TrustedHosts, o.Config.TrustedHosts, words(pip["trusted-host"])),
		CAFile:       firstOf(o.Flags.CAFile, o.Config.CAFile, pip["cert"].value, o.Getenv("REQUESTS_CA_BUNDLE"), o.Getenv("CURL_CA_BUNDLE")),
		Proxy:        firstOf(o.Flags.Proxy, o.Config.Proxy, pip["proxy"].value),
	}
	cfg.CAFile = expandHome(cfg.CAFile, o.Getenv)
	for i, place := range cfg.FindLinks {
		cfg.FindLinks[i] = expandHome(place, o.Getenv)
	}
	if seconds, err := strconv.ParseFloat(firstOf(pip["timeout"].value, pip["default-timeout"].value), 64); err == nil && seconds > 0 && seconds < 3600 {
		cfg.Timeout = time.Duration(seconds * float64(time.Second))
	}
	if n, err := strconv.Atoi(pip["retries"].value); err == nil && n >= 0 && n <= 100 {
		cfg.Retries = n
		if n == 0 {
			cfg.Retries = -1
		}
	}
	source, err := o.mainIndex(ctx, &cfg, pip)
	return cfg, source, err
}

func (o DiscoverOptions) mainIndex(ctx context.Context, cfg *Config, pip map[string]setting) (string, error) {
	noIndex := func(source string) (string, error) {
		cfg.ExtraIndexes = nil
		if len(cfg.FindLinks) == 0 {
			return source, fmt.Errorf("%w: %s turns indexes off, and no find-links place is given", ErrNoIndex, source)
		}
		return source, nil
	}
	switch {
	case o.Flags.NoIndex:
		return noIndex("--no-index")
	case len(o.Flags.Indexes) > 0:
		cfg.Indexes = o.Flags.Indexes
		return "--index-url", nil
	case o.Config.NoIndex:
		return noIndex("ReqPM's configuration")
	case len(o.Config.Indexes) > 0:
		cfg.Indexes = o.Config.Indexes
		return "ReqPM's configuration", nil
	case truth(pip["no-index"].value):
		return noIndex(pip["no-index"].source)
	case pip["index-url"].value != "":
		cfg.Indexes = addresses(setting{value: pip["index-url"].value})
		return pip["index-url"].source, nil
	}
	address, python, err := o.askPip(ctx)
	if err != nil {
		return "", err
	}
	cfg.Indexes = []IndexConfig{{URL: address}}
	return "pip's default (" + python + ")", nil
}

func pick[T any](choices ...[]T) []T {
	for _, c := range choices {
		if len(c) > 0 {
			return slices.Clone(c)
		}
	}
	return nil
}

func firstOf(choices ...string) string {
	for _, c := range choices {
		if c != "" {
			return c
		}
	}
	return ""
}

// words splits as pip does where an option may be given several times.
func words(s setting) []string { return strings.Fields(s.value) }

func addresses(s setting) []IndexConfig {
	var all []IndexConfig
	for _, w := range words(s) {
		all = append(all, IndexConfig{URL: w})
	}
	return all
}

// truth is Python's strtobool for the values that mean yes.
func truth(s string) bool {
	switch strings.ToLower(s) {
	case "y", "yes", "t", "true", "on", "1":
		return true
	}
	return false
}

// PipDefault is the index that an installed pip asks when nobody names one. Lock files and Pipfiles
// name it without anybody having chosen it. What pip said is remembered in cacheDir for a day.
func PipDefault(ctx context.Context, cacheDir string) (string, error) {
	address, _, err := DiscoverOptions{Getenv: os.Getenv, CacheDir: cacheDir}.askPip(ctx)
	return address, err
}

func expandHome(path string, getenv func(string) string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && getenv("HOME") != "" {
		return filepath.Join(getenv("HOME"), rest)
	}
	return path
}

// pipScript prints pip's default index, which only pip knows.
const pipScript = `
try:
    from pip._internal.models.index import PyPI
    print(PyPI.simple_url)
except Exception:
    from pip._internal.cli.cmdoptions import index_url
    print(index_url().default)
`

const askTimeout = 20 * time.Second

// askPip asks the Pythons in turn. First isolated (no user packages, no PYTHON* variables),
// then as the user has it; always from the root folder, so that no package of a
// checkout gets imported.
func (o DiscoverOptions) askPip(ctx context.Context) (address, python string, err error) {
	pythons := o.Pythons
	if pythons == nil {
		pythons = findPythons(o.Getenv("PATH"))
	}
	memory := pipMemory{dir: o.CacheDir, stamp: stampOf(pythons)}
	if said, ok := memory.read(); ok {
		return said.Address, said.Python, nil
	}
	for _, flags := range [][]string{{"-I"}, nil} {
		for _, python := range pythons {
			if address, ok := askOne(ctx, python, flags); ok {
				memory.write(pipSaid{Address: address, Python: python})
				return address, python, nil
			}
			if ctx.Err() != nil {
				return "", "", fmt.Errorf("asking pip for its index: %w", context.Cause(ctx))
			}
		}
	}
	return "", "", fmt.Errorf("%w: no --index-url, no PIP_INDEX_URL, no index-url in pip's configuration, and no Python here has pip to ask for its default; run: %s (or pass --index-url)", ErrNoIndex, installPip())
}

// pipMemory remembers what pip said: to ask it costs more time than many a whole resolution.
type pipMemory struct{ dir, stamp string }

type pipSaid struct{ Stamp, Address, Python string }

// pipForgotten is when pip is asked again though no interpreter has changed: the one on PATH may be a
// script that starts another one.
const pipForgotten = 24 * time.Hour

// stampOf tells whether the interpreters are still the same files.
func stampOf(pythons []string) string {
	var b strings.Builder
	for _, p := range pythons {
		if info, err := os.Stat(p); err == nil {
			fmt.Fprintf(&b, "%s %s\n", p, statKey(info))
		}
	}
	return b.String()
}

func (m pipMemory) path() string { return filepath.Join(m.dir, "pip-default.json") }

func (m pipMemory) read() (pipSaid, bool) {
	var said pipSaid
	info, err := os.Stat(m.path())
	if err != nil || m.dir == "" || time.Since(info.ModTime()) > pipForgotten {
		return said, false
	}
	text, err := readLocal(m.path(), 64<<10)
	return said, err == nil && json.Unmarshal(text, &said) == nil && said.Stamp == m.stamp && said.Address != ""
}

// write is worth no error: next time pip is asked again.
func (m pipMemory) write(said pipSaid) {
	if m.dir == "" || os.MkdirAll(filepath.Join(m.dir, "tmp"), 0o755) != nil {
		return
	}
	said.Stamp = m.stamp
	text, _ := json.Marshal(said) // texts only: it cannot fail
	f, err := os.CreateTemp(filepath.Join(m.dir, "tmp"), "pip-default-*")
	if err != nil {
		return
	}
	_, err = f.Write(text)
	if cerr := f.Close(); err != nil || cerr != nil || os.Rename(f.Name(), m.path()) != nil {
		os.Remove(f.Name())
	}
}

func installPip() string {
	for _, tool := range []string{"dnf", "apt-get", "zypper"} {
		if _, err := exec.LookPath(tool); err == nil {
			return tool + " install python3-pip"
		}
	}
	return "python3 -m ensurepip"
}

// findPythons lists the interpreters on PATH, each file once, newest python3.N first.
func findPythons(path string) []string {
	var found []string
	seen := map[string]bool{}
	add := func(file string) {
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || seen[file] {
			return
		}
		seen[file] = true
		found = append(found, file)
	}
	dirs := filepath.SplitList(path)
	for _, dir := range dirs {
		if filepath.IsAbs(dir) {
			add(filepath.Join(dir, "python3"))
		}
	}
	add("/usr/bin/python3")
	for minor := 20; minor >= 6; minor-- {
		for _, dir := range dirs {
			if filepath.IsAbs(dir) {
				add(filepath.Join(dir, fmt.Sprintf("python3.%d", minor)))
			}
		}
	}
	return found
}

func askOne(ctx context.Context, python string, flags []string) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, append(slices.Clone(flags), "-c", pipScript)...)
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	var out limitedBuffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return "", false
	}
	address := strings.TrimSpace(out.String())
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return "", false
	}
	return address, true
}

// limitedBuffer keeps the first few kilobytes; an address is shorter.
type limitedBuffer struct{ strings.Builder }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > 4<<10 {
		return 0, errors.New("too much output")
	}
	return b.Builder.Write(p)
}
