package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reqpm/internal/builder"
	"reqpm/internal/crates"
	"reqpm/internal/index"
	"reqpm/internal/lockfile"
	"reqpm/internal/override"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/pipeline"
	"reqpm/internal/secret"
	"reqpm/internal/source"
	"reqpm/internal/target"
	"reqpm/internal/tomltree"
)

// projectOptions are shared by the commands that start from a project.
type projectOptions struct {
	ref, tokenFile, user, sshKey string
	files, constraints, extras   []string
	ignore                       []string
	noProject                    bool
	targets                      []string // as given; see oneTarget and findTargets
	python                       string
	indexURL                     string
	extraIndex, findLinks        []string
	offline                      bool
	excludeNewer, minAge         string
	blocked                      []string // by the server, beside those of the configuration file
	allowWheel, allowPure        []string
	allowCompiled                []string
	buildConstraints, dropBuild  []string
	groups, env, constrain       []string
	overrideDirs                 []string
	saidByServer                 override.Set    // what a project of a server has in its settings
	secrets                      []secret.Secret // of a project of a server
	toolEnvs                     []string
	override                     []string
	slots                        int
	refresh, noRepair            bool
	allowSource                  []string
	distribution                 distributionOptions
	timeout, idle                time.Duration
	builder                      string

	keep    *lockfile.File // an earlier lock, whose versions are taken again where they fit
	upgrade []string       // but for these
	locked  *lockfile.File // the lock to follow

	lockPath string
	flags    *pflag.FlagSet // of the command
	deciding []string       // flags that decide what is locked
}

func (o *projectOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.ref, "ref", "", "branch, tag or commit (default: the remote's HEAD; a folder: as it is)")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the access token of a private repository")
	f.StringVar(&o.user, "git-user", "", "user name that goes with the token")
	f.StringVar(&o.sshKey, "ssh-key", "", "private key for an ssh repository")
	f.StringArrayVarP(&o.files, "requirement", "r", nil, "requirement file or pyproject.toml in the project; repeatable (default: found by itself)")
	f.StringArrayVarP(&o.constraints, "constraint", "c", nil, "constraint file in the project; repeatable")
	f.StringArrayVar(&o.constrain, "constrain", nil, "one constraint more, e.g. 'platformdirs<4.14'; repeatable")
	f.StringArrayVar(&o.override, "override", nil, "what counts in place of every other requirement on a name, e.g. 'cryptography==50.0.0'; repeatable")
	f.StringArrayVar(&o.extras, "extra", nil, "optional dependency group of [project]; repeatable")
	f.StringArrayVar(&o.groups, "group", nil, "dependency group (PEP 735); repeatable")
	f.StringArrayVar(&o.toolEnvs, "tool-env", nil, "what an environment of tox or Hatch installs, e.g. tox:py311, hatch:default; repeatable")
	f.StringArrayVar(&o.env, "env", nil, "show environment variable NAME to ${NAME} in requirement files; repeatable")
	f.StringArrayVar(&o.ignore, "ignore", nil, "leave a requirement out by name; repeatable")
	f.BoolVar(&o.noProject, "no-project", false, "do not package the project itself")
	o.registerTargets(cmd)
	o.registerIndex(cmd)
	o.distribution.register(cmd)
	f.StringArrayVar(&o.allowWheel, "allow-wheel", nil, "package NAME from its pure wheel when it cannot be built from source; repeatable")
	f.StringArrayVar(&o.allowCompiled, "allow-compiled-wheel", nil, "as --allow-wheel, also a wheel with compiled code; repeatable")
	f.StringArrayVar(&o.allowPure, "allow-pure", nil, "accept NAME without the compiled parts its wheels have; repeatable")
	f.StringArrayVar(&o.buildConstraints, "build-constraint", nil, "restrict a build tool, e.g. 'setuptools<80'; repeatable")
	f.StringArrayVar(&o.dropBuild, "drop-build-requirement", nil, "leave NAME out of every build's requirements; repeatable")
	f.StringSliceVar(&o.allowSource, "allow-source", nil, "also take sources from: local (file:///…), loopback (loopback and private addresses), http")
	o.registerSaid(cmd)
	o.remember(cmd)
}

func (o *projectOptions) registerTargets(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&o.targets, "target", "t", []string{target.LocalName}, "release to build for; see 'reqpm targets'")
}

func (o *projectOptions) registerIndex(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.indexURL, "index-url", "i", "", "package index (default: ReqPM's configuration, then pip's)")
	f.StringArrayVar(&o.extraIndex, "extra-index-url", nil, "further index; the first that has a name owns it; repeatable")
	f.StringArrayVarP(&o.findLinks, "find-links", "f", nil, "folder or page with archives; repeatable")
	f.BoolVar(&o.offline, "offline", false, "use only what is in the cache")
	f.StringVar(&o.excludeNewer, "exclude-newer", "", "ignore files uploaded after this date (RFC 3339 or YYYY-MM-DD)")
	f.StringVar(&o.minAge, "min-age", "", "ignore files uploaded less than this long ago, e.g. 7d or 36h; 0: none (default: ReqPM's configuration)")
}

func (o *projectOptions) registerBuild(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.builder, "builder", builderAuto, "what builds: mock, chroot, or auto: Mock where it is installed and usable, else chroot")
	f.IntVarP(&o.slots, "slots", "j", 0, "builds at once (default: processors)")
	f.DurationVar(&o.timeout, "timeout", 0, "longest time of one build (default 2h)")
	f.DurationVar(&o.idle, "idle-timeout", 0, "longest silence of one build (default 30m)")
	f.BoolVar(&o.refresh, "refresh", false, "build everything again, whatever the cache of builds has")
	f.BoolVar(&o.noRepair, "no-repair", false, "leave a failed build at that; use nothing that earlier repairs learned")
}

// configFile is reqpm.toml but for what it says of packages and targets. Unknown keys are errors.
type configFile struct {
	Index        indexConfig      `toml:"index"`
	Distribution distributionFile `toml:"distribution"`
	Server       serverFile       `toml:"server"`
}

// configPath is the configuration file that is read, "" when there is none.
func (a *app) configPath() string {
	if a.global.config != "" {
		return a.global.config
	}
	for _, path := range []string{filepath.Join(configHome(), "reqpm", "reqpm.toml"), "/etc/reqpm/reqpm.toml"} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path
		}
	}
	return ""
}

func (a *app) readConfig() (configFile, error) {
	var c configFile
	path := a.configPath()
	if path == "" {
		return c, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c, usagef("configuration: %w", err)
	}
	// Packages and targets have readers of their own.
	ours := tomltree.Keep(data, func(key string) bool { return !slices.Contains([]string{"package", "target", "targets"}, key) })
	if err := toml.NewDecoder(bytes.NewReader(ours)).DisallowUnknownFields().Decode(&c); err != nil {
		if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
			return c, usagef("configuration %s has unknown keys:\n%s", path, strict.String())
		}
		return c, usagef("configuration %s: %w", path, err)
	}
	return c, nil
}

func configHome() string {
	home, _ := os.UserHomeDir()
	return cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config"))
}

// stateDir is --state, REQPM_STATE, or the XDG state directory.
func (a *app) stateDir() (string, error) {
	dir := a.global.state
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", usagef("no home directory for the state; name one with --state: %w", err)
		}
		dir = filepath.Join(cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state")), "reqpm")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", usagef("state directory: %w\nName another one with --state", err)
	}
	return dir, nil
}

// ownTargets are those of the user's own file,
// and [targets] of the configuration, which no other file may name again.
func (a *app) ownTargets() ([]target.Target, error) {
	var own []target.Target
	path := a.global.targets
	if path == "" {
		path = filepath.Join(configHome(), "reqpm", "targets.toml")
	}
	if _, err := os.Stat(path); err == nil || a.global.targets != "" {
		if own, err = target.Load(path); err != nil {
			return nil, usageError{err}
		}
	}
	config := a.configPath()
	if config == "" {
		return own, nil
	}
	data, err := os.ReadFile(config)
	if err != nil {
		return nil, usagef("configuration: %w", err)
	}
	more, err := target.Parse(config, tomltree.Keep(data, func(key string) bool { return key == "targets" }))
	if err != nil {
		return nil, usageError{err}
	}
	for _, t := range more {
		if slices.ContainsFunc(own, func(o target.Target) bool { return o.Name == t.Name }) {
			return nil, usagef("%s and %s both have a target %s", path, config, t.Name)
		}
	}
	return append(own, more...), nil
}

// openIndex makes the index client; where its address came from is said with -v. What the
// command line says goes before what requirement files in root say, and both before
// configuration.
func (a *app) openIndex(ctx context.Context, o projectOptions, state string, file pipeline.Indexes) (*index.Client, error) {
	conf, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	links := slices.Clone(o.findLinks)
	for _, place := range file.FindLinks {
		if !strings.Contains(place, "://") {
			place = filepath.Join(file.Root, filepath.Clean("/"+place)) // stays inside the project
		}
		links = append(links, place)
	}
	flags := places(cmp.Or(o.indexURL, file.IndexURL), append(slices.Clone(o.extraIndex), file.ExtraIndexURLs...), links)
	flags.NoIndex = file.NoIndex && o.indexURL == ""
	cfg, from, err := index.Discover(ctx, index.DiscoverOptions{
		Flags:  flags,
		Config: places(conf.Index.URL, conf.Index.Extra, conf.Index.FindLinks), CacheDir: filepath.Join(state, "index"),
	})
	if err != nil {
		return nil, err
	}
	cfg.CacheDir = filepath.Join(state, "index")
	if a.global.verbose {
		a.say("index: from %s", from)
	}
	ordinary := ""
	if len(file.Indexes)+len(file.Pins) > 0 {
		ordinary, _ = index.PipDefault(ctx, cfg.CacheDir) // without pip every address stands for itself
	}
	if err := nameIndexes(&cfg, file, o.indexURL != "", ordinary); err != nil {
		return nil, err
	}
	cfg.Offline, cfg.Secrets = o.offline, o.secrets
	cfg.Log = a.logger()
	if cfg.ExcludeNewer, err = parseDate(o.excludeNewer); err != nil {
		return nil, err
	}
	if err := conf.Index.guard(&cfg, o.minAge, o.blocked); err != nil {
		return nil, err
	}
	client, err := index.New(cfg)
	if _, disk := errors.AsType[*fs.PathError](err); err != nil && !disk {
		return nil, usageError{err}
	}
	return client, err
}

// nameIndexes adds the indexes that a project's files have names for, in front of the one of the
// configuration, and leads packages to them. One that says it is the default takes that one's
// place, unless the command line named an index, or it is the one that pip has by itself (ordinary):
// tools write that into files without anybody having chosen it, and where the configuration names
// a mirror of it, it counts.
func nameIndexes(cfg *index.Config, file pipeline.Indexes, own bool, ordinary string) error {
	var named []index.IndexConfig
	known := map[string]string{} // by the name in the files: the name to pin to
	ours := slices.Clone(cfg.Indexes)
	configured := func(name string, explicit bool) {
		switch {
		case len(ours) == 0:
		case len(cfg.Indexes) > 0 && cfg.Indexes[0] == ours[0]:
			ours[0].Name = cmp.Or(ours[0].Name, name)
			cfg.Indexes[0] = ours[0]
			known[name] = ours[0].Name
		default: // a file has another default
			also := ours[0]
			also.Name, also.Explicit = name, explicit
			named = append(named, also)
			known[name] = name
		}
	}
	isOrdinary := func(url string) bool {
		return url == "" || ordinary != "" && strings.TrimRight(url, "/") == strings.TrimRight(ordinary, "/")
	}
	for _, n := range file.Indexes {
		if known[n.Name] != "" && n.Name != "" {
			return usagef("%s: two indexes are named %q", n.Where(), n.Name)
		}
		known[n.Name] = n.Name
		c := index.IndexConfig{Name: n.Name, URL: n.URL, Explicit: n.Explicit}
		switch {
		case n.Default && own, isOrdinary(n.URL):
			configured(n.Name, n.Explicit)
		case n.Default:
			cfg.Indexes, cfg.ExtraIndexes = []index.IndexConfig{c}, nil
		default:
			named = append(named, c)
		}
	}
	cfg.Pin = map[string]string{}
	for _, name := range sortedKeys(file.Pins) {
		where := file.Pins[name]
		pin, ok := known[where]
		switch {
		case ok:
		case !strings.Contains(where, "://"):
			return usagef("%s must come from index %q, which no file of the project names", name, where)
		case isOrdinary(where):
			configured(where, true)
			pin = known[where]
		default: // the address may hold a password, unlike the name
			pin = "index of " + name
			named = append(named, index.IndexConfig{Name: pin, URL: where, Explicit: true})
		}
		cfg.Pin[name] = pin
	}
	cfg.Indexes = append(named, cfg.Indexes...)
	return nil
}

// indexFor makes the client of the indexes that requirement files name: once, however many targets ask.
func (a *app) indexFor(ctx context.Context, o projectOptions, state string) func(pipeline.Indexes) (index.Reader, error) {
	var mu sync.Mutex
	known := map[string]*index.Client{}
	return func(asked pipeline.Indexes) (index.Reader, error) {
		mu.Lock()
		defer mu.Unlock()
		text, err := json.Marshal(asked)
		if err != nil {
			return nil, err
		}
		key := string(text)
		if known[key] == nil {
			client, err := a.openIndex(ctx, o, state, asked)
			if err != nil {
				return nil, err
			}
			known[key] = client
		}
		return known[key], nil
	}
}

func places(url string, extra, findLinks []string) index.Places {
	p := index.Places{FindLinks: findLinks}
	if url != "" {
		p.Indexes = []index.IndexConfig{{URL: url}}
	}
	for _, u := range extra {
		p.ExtraIndexes = append(p.ExtraIndexes, index.IndexConfig{URL: u})
	}
	return p
}

func (a *app) logger() *slog.Logger {
	level := slog.LevelError
	if a.global.verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
}

func parseDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--exclude-newer %q is neither RFC 3339 (2026-01-31T00:00:00Z) nor YYYY-MM-DD", s)
}

// oneTarget refuses several targets.
func (o *projectOptions) oneTarget() error {
	if len(o.targets) > 1 || slices.Contains(o.targets, allTargets) {
		return usagef("this command takes one target, got %s; 'reqpm build', 'plan', 'resolve', 'lock' and 'spec' take several", strings.Join(o.targets, ", "))
	}
	return nil
}

// openPipelines wires a pipeline for each target of the options, all with the same index client, the
// same builder and the same slots. The caller closes each.
func (a *app) openPipelines(ctx context.Context, o projectOptions, report func(pipeline.Event)) ([]*pipeline.Pipeline, error) {
	cfg, err := a.pipelineConfig(ctx, o, report)
	if err != nil {
		return nil, err
	}
	targets, err := a.findTargets(ctx, o)
	if err != nil {
		return nil, err
	}
	var all []*pipeline.Pipeline
	for _, t := range targets {
		cfg.Target = t
		if cfg.Pythons, err = a.otherPythons(t, o.python != ""); err != nil {
			closeAll(all)
			return nil, err
		}
		if o.keep != nil {
			cfg.Keep = o.keep.Target(t.Name)
		}
		p, err := pipeline.New(cfg)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func closeAll(pipelines []*pipeline.Pipeline) {
	for _, p := range pipelines {
		p.Close()
	}
}

// pipelineConfig is everything but the target.
func (a *app) pipelineConfig(ctx context.Context, o projectOptions, report func(pipeline.Event)) (pipeline.Config, error) {
	var none pipeline.Config
	if err := o.check(); err != nil {
		return none, err
	}
	state, err := a.stateDir()
	if err != nil {
		return none, err
	}
	client, err := a.openIndex(ctx, o, state, pipeline.Indexes{})
	if err != nil {
		return none, err
	}
	var reader index.Reader = client
	if a.record != nil {
		if reader, err = a.record(client); err != nil {
			return none, err
		}
	}
	b, err := a.openBuilder(o.builder, state, o.slots)
	if err != nil {
		return none, usageError{err} // it does no more yet than look at the state directory
	}
	extra, err := parseRequirements("--constrain", o.constrain)
	if err != nil {
		return none, err
	}
	overrides, err := parseRequirements("--override", o.override)
	if err != nil {
		return none, err
	}
	if i := slices.IndexFunc(overrides, func(r pep508.Requirement) bool { return r.URL != "" }); i >= 0 {
		return none, usagef("--override %q: only versions can be overridden, not by an address", overrides[i])
	}
	constraints, err := parseRequirements("--build-constraint", o.buildConstraints)
	if err != nil {
		return none, err
	}
	conf, err := a.readConfig()
	if err != nil {
		return none, err
	}
	said, err := a.said(o)
	if err != nil {
		return none, err
	}
	said = said.And(o.saidByServer)
	has, err := o.distribution.config(conf.Distribution, state, o.offline)
	if err != nil {
		return none, err
	}
	system := a.systemPackages(state, o.offline, report)
	return pipeline.Config{
		System: system, NoSystemPackages: o.distribution.noSystem,
		IndexFor: a.indexFor(ctx, o, state),
		Getenv: func(name string) (string, bool) {
			if !slices.Contains(o.env, name) {
				return "", false
			}
			return os.LookupEnv(name)
		},
		Constraints: extra, Overrides: overrides, BuildConstraints: constraints, Said: said,
		Distribution: has,
		StateDir:     state, Index: reader, Builder: b, Crates: crates.Cargo{Offline: o.offline}, Pool: pipeline.NewPool(cmp.Or(o.slots, runtime.NumCPU())),
		Report: report, Log: a.logger(), AllowWheel: normalNames(o.allowWheel), AllowCompiledWheel: normalNames(o.allowCompiled), Refresh: o.refresh, NoRepair: o.noRepair,
		Limits: builder.Limits{Total: o.timeout, Idle: o.idle}, Upgrade: normalNames(o.upgrade), Locked: o.locked,
	}, nil
}

// withPython is t for another Python, given as X.Y or X.Y.Z. X.Y counts as X.Y.0, as uv takes it:
// what is chosen then works on every X.Y.
func withPython(t target.Target, version string) (target.Target, error) {
	parts := strings.Split(version, ".")
	if v, err := pep440.Parse(version); err != nil || len(parts) < 2 || len(parts) > 3 || v.IsPrerelease() {
		return t, usagef("--python %q is not a Python version such as 3.12", version)
	}
	if len(parts) == 2 {
		version += ".0"
	}
	t.Python.Version = version
	return t, nil
}

func parseRequirements(flag string, texts []string) ([]pep508.Requirement, error) {
	var reqs []pep508.Requirement
	for _, text := range texts {
		r, err := pep508.Parse(text)
		if err != nil {
			return nil, usagef("%s %q: %w", flag, text, err)
		}
		reqs = append(reqs, r)
	}
	return reqs, nil
}

func normalNames(names []string) []string {
	var normal []string
	for _, n := range names {
		normal = append(normal, pep508.NormalizeName(n))
	}
	return normal
}

// check refuses values that would be read as something else than meant.
func (o *projectOptions) check() error {
	for _, allowed := range o.allowSource {
		if allowed != "loopback" && allowed != "http" && allowed != "local" {
			return usagef("--allow-source %q is none of: loopback, http, local", allowed)
		}
	}
	if o.slots < 0 || o.timeout < 0 || o.idle < 0 {
		return usagef("--slots, --timeout and --idle-timeout cannot be negative")
	}
	return nil
}

// request is what a run starts from; where is the command's argument, "" for the current folder.
func (o *projectOptions) request(where, state string) pipeline.Request {
	where = cmp.Or(where, ".")
	var policy source.Policy
	if _, err := os.Stat(where); err == nil {
		where, _ = filepath.Abs(where)
	}
	for _, allowed := range o.allowSource {
		switch allowed {
		case "local":
			policy.Local = true
		case "loopback":
			policy.Loopback = true
		case "http":
			policy.HTTP = true
		}
	}
	references := policy // a project that lies here does not mean that it may name others that do
	policy.Local = policy.Local || !strings.Contains(where, "://")
	return pipeline.Request{
		References: references,
		Source: source.Request{
			URL: where, Ref: o.ref, Dir: filepath.Join(state, "checkouts"), Skip: state, Allow: policy,
			Credentials: source.Credentials{TokenFile: o.tokenFile, SSHKey: o.sshKey, Username: o.user},
		},
		Wanted: pipeline.Wanted{Files: o.files, Constraints: o.constraints, Extras: o.extras, Groups: o.groups, ToolEnvs: o.toolEnvs, Ignore: normalNames(o.ignore), NoProject: o.noProject},
	}
}
