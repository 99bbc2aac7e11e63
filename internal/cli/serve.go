package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/builder/chroot"
	"reqpm/internal/dnf"
	"reqpm/internal/engine"
	"reqpm/internal/notify"
	"reqpm/internal/repo"
	"reqpm/internal/secret"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/target"
	"reqpm/internal/web"
	"reqpm/internal/web/pages"
)

// serviceOptions are shared by serve and worker.
type serviceOptions struct {
	database, blobs string
	name, builder   string
	slots           int
	labels          map[string]string
	lease           time.Duration
	allowSource     []string
	minFree         int64
	flags           *pflag.FlagSet // of the command
	stop            stopOptions
}

func (o *serviceOptions) register(cmd *cobra.Command) {
	o.stop.register(cmd)
	f := cmd.Flags()
	o.flags = f
	f.StringVar(&o.database, "database", os.Getenv("REQPM_DATABASE"), "postgres://… or the path of an SQLite file (default: reqpm.db in the state directory; REQPM_DATABASE)")
	f.StringVar(&o.blobs, "blobs", os.Getenv("REQPM_BLOBS"), "folder of blobs and logs, or s3://BUCKET/PREFIX?endpoint=URL&region=NAME (default: the state directory; REQPM_BLOBS)")
	f.StringVar(&o.name, "name", "", "name of the worker (default: the host's)")
	f.IntVarP(&o.slots, "slots", "j", runtime.NumCPU(), "builds at once")
	f.StringToStringVar(&o.labels, "labels", nil, "what the worker is, as NAME=VALUE, e.g. arch=x86_64,builder=mock")
	f.DurationVar(&o.lease, "lease", time.Minute, "how long a worker may be silent before its work goes to others")
	f.StringSliceVar(&o.allowSource, "allow-source", nil, "Git URLs may also be: local (file:///…), loopback (loopback and private addresses), http")
	f.StringVar(&o.builder, "builder", builderAuto, "what builds: mock, chroot, or auto")
	f.Int64Var(&o.minFree, "min-free", 2<<30, "bytes that must be free in the state directory for something new to be started, unless the server's settings say otherwise")
}

func (o *serviceOptions) check() error {
	if o.slots < 1 || o.lease < time.Second || o.minFree < 0 {
		return usagef("--slots is at least 1, --lease at least 1s, and --min-free not negative")
	}
	for _, allowed := range o.allowSource {
		if !slices.Contains([]string{"local", "loopback", "http"}, allowed) {
			return usagef("--allow-source %q is none of: loopback, http, local", allowed)
		}
	}
	return o.stop.check()
}

// parts are what every process of the service has.
type parts struct {
	store   *store.Store
	blobs   blob.Store
	logs    *blob.Logs
	bucket  *blob.Watch // nil: blobs and logs are folders
	service *service.Service
	vault   *auth.Vault
	notify  *notify.Notifier
	served  served
	state   string
	base    service.SettingsBase
}

func (p *parts) close() error {
	var err error
	if p.service != nil {
		err = p.service.Close()
	}
	if p.logs != nil {
		err = errors.Join(err, p.logs.Close())
	}
	if p.bucket != nil {
		p.bucket.Close()
	}
	if p.store != nil {
		err = errors.Join(err, p.store.Close())
	}
	return err
}

// signedWith is the fingerprint of the key that a published repository is signed with; "" where nobody can say.
func (p *parts) signedWith(project, channel, target string) string {
	fingerprint, err := repo.PublishedKey(filepath.Join(p.state, "repos", project, channel, target))
	if err != nil {
		return ""
	}
	return fingerprint
}

// openParts opens the database, the blobs and the logs. server takes an SQLite file for this process.
func (a *app) openParts(ctx context.Context, o serviceOptions, server bool, log *slog.Logger) (p *parts, err error) {
	p = &parts{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.state, err = a.stateDir(); err != nil {
		return p, err
	}
	url := o.database
	if url == "" {
		url = filepath.Join(p.state, "reqpm.db")
	}
	if p.store, err = store.Open(ctx, store.Config{URL: url, Server: server, Log: log}); err != nil {
		return p, err
	}
	if err = p.openBlobs(ctx, o.blobs, log); err != nil {
		return p, err
	}
	if p.vault, err = auth.OpenVault(p.state); err != nil {
		return p, err
	}
	if p.base, err = a.settingsBase(o.minFree, o.minFreeGiven()); err != nil {
		return p, err
	}
	p.served = served{a: a, allowSource: o.allowSource, builder: o.builder, slots: o.slots, settings: p.settings}
	p.service = service.New(service.Config{Settings: p.base, Store: p.store, Pipelines: p.served, Blobs: p.blobs, Logs: p.logs, StateDir: p.state, Log: log, Secrets: p.secrets, Targets: p.served.targets, KeyFile: dnf.KeyFile, Hide: hide})
	return p, nil
}

// secrets are those of a project.
func (p *parts) secrets(ctx context.Context, project int64) ([]secret.Secret, error) {
	return p.vault.ProjectSecrets(ctx, p.store.Queries, project)
}

// reseal seals with the newest key what older ones have sealed. What cannot be is told, and opens as it did, or not.
func (p *parts) reseal(ctx context.Context, log *slog.Logger) {
	if !p.vault.Rotated() {
		return
	}
	n, err := p.vault.Reseal(ctx, p.store)
	channels, channelErr := notify.Reseal(ctx, p.store, p.vault)
	if err = errors.Join(err, channelErr); err != nil {
		log.Error("secrets could not all be sealed with the newest key; keep the older ones in "+auth.KeyFile, "error", err)
	}
	if n+channels > 0 {
		log.Info("secrets were sealed with the newest key", "secrets", n+channels)
	}
}

// hide cuts secrets out of texts.
func hide(all []secret.Secret) func(string) string {
	return auth.NewRedactor(secret.Values(all)...).String
}

// newEngine makes this process a worker, or one that only watches; roles are what it does, and schedules are run by one of
// those that have them.
func (p *parts) newEngine(o serviceOptions, roles []string, takeover bool, log *slog.Logger, version string) (*engine.Engine, error) {
	works := slices.Contains(roles, roleWorker)
	cfg := engine.Config{Store: p.store, Name: o.name, Slots: o.slots, Lease: o.lease, Labels: map[string]string{"arch": runtime.GOARCH, "builder": o.builder},
		Versions: map[string]string{"reqpm": version}, DiskSize: diskSize(p.state), Health: p.health(), Takeover: takeover, Log: log,
		Handlers: p.handlers(o, works, slices.Contains(roles, roleWeb))}
	maps.Copy(cfg.Labels, o.labels)
	if work := p.served.a.work; works && work != nil {
		cfg.Handlers = work(p)
	}
	if slices.Contains(roles, roleScheduler) {
		cfg.Schedules = p.service.Schedules()
	}
	return engine.New(cfg)
}

func bytesText(n int64) string { return fmt.Sprintf("%.1f GB", float64(n)/1e9) }

type serveOptions struct {
	serviceOptions
	listen, tlsCert, tlsKey string
	publicURL               string
	insecure, publicRepos   bool
	roles                   []string
}

const (
	roleWeb       = "web"
	roleScheduler = "scheduler"
	roleWorker    = "worker"
)

func (a *app) newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service: projects, runs, builds, repositories, and the API",
		Long: `Serve the API and the published repositories, and do the work: all in one process on SQLite, or with
--database postgres://… and --roles split over processes and machines, beside 'reqpm worker'.

When it is ready one JSON line on stdout says where: {"event":"listening","url","admin_link"}. The link, there while
the server has no administrator, sets the first one's name and password; it works once.

SIGTERM hands running builds back and ends; they go on with the next start, or on another worker. With --stop wait it takes nothing
new and ends when what runs has ended. Nothing beyond
loopback is listened on without TLS (--tls-cert, --tls-key), or --insecure-http behind a proxy that has it.

` + exitCodesHelp,
		Example: `  reqpm serve
  reqpm serve --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  reqpm serve --roles web,scheduler --database postgres://reqpm@db.example.org/reqpm`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runServe(cmd.Context(), o) },
	}
	o.register(cmd)
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8470", "address and port; port 0 takes a free one")
	f.StringVar(&o.tlsCert, "tls-cert", "", "certificate chain, PEM")
	f.StringVar(&o.tlsKey, "tls-key", "", "its private key, PEM")
	f.BoolVar(&o.insecure, "insecure-http", false, "listen beyond loopback without TLS")
	f.StringVar(&o.publicURL, "public-url", "", "how people reach the server, e.g. https://reqpm.example.org: for links in messages (default: none have links)")
	f.BoolVar(&o.publicRepos, "public-repositories", false, "let everybody read the published repositories; else dnf needs a token")
	f.StringSliceVar(&o.roles, "roles", []string{roleWeb, roleScheduler, roleWorker}, "what this process does")
	return cmd
}

func (o *serveOptions) check() error {
	if err := o.serviceOptions.check(); err != nil {
		return err
	}
	for _, r := range o.roles {
		if !slices.Contains([]string{roleWeb, roleScheduler, roleWorker}, r) {
			return usagef("--roles %q is none of: web, scheduler, worker", r)
		}
	}
	if u, err := url.Parse(o.publicURL); o.publicURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		return usagef("--public-url %q: give it as https://reqpm.example.org", o.publicURL)
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return usagef("--listen %q: %w", o.listen, err)
	}
	if address, err := netip.ParseAddr(host); o.tlsCert == "" && !o.insecure && host != "localhost" && (err != nil || !address.IsLoopback()) {
		return usagef("--listen %s would let passwords and tokens travel in the clear: give --tls-cert and --tls-key, or --insecure-http behind a proxy that has TLS", o.listen)
	}
	return nil
}

func (a *app) runServe(ctx context.Context, o serveOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	log := a.logger()
	p, err := a.openParts(ctx, o.serviceOptions, true, log)
	if errors.Is(err, store.ErrInUse) {
		return usagef("%w: stop that one first, or give this one another --state or --database", err)
	}
	if err != nil {
		return err
	}
	defer func() { _ = p.close() }()
	p.reseal(ctx, log)
	e, err := p.newEngine(o.serviceOptions, o.roles, p.store.Local(), log, a.version)
	if err != nil {
		return err
	}
	p.notify = notify.New(notify.Config{Store: p.store, Vault: p.vault, PublicURL: o.publicURL, Log: log})
	stopping := &stopper{}
	ctx, stop := stopping.work(ctx, o.stop, e, log)
	defer stop()
	var group sync.WaitGroup
	var failed error
	if slices.Contains(o.roles, roleScheduler) {
		group.Go(func() { p.notify.Run(ctx) })
	}
	group.Go(func() {
		defer stop()
		if err := e.Run(ctx); err != nil && ctx.Err() == nil {
			failed = err
		}
	})
	if slices.Contains(o.roles, roleWeb) {
		err = a.listen(ctx, o, p, e, stopping, log)
	} else if err = a.sayStarted(log, listening{Event: "started"}); err == nil {
		<-ctx.Done()
	}
	stop()
	group.Wait()
	return errors.Join(err, failed)
}

// listening is the line that says that the server is ready, or that a process which does not listen has started.
type listening struct {
	Event     string `json:"event"` // listening, started
	URL       string `json:"url,omitempty"`
	AdminLink string `json:"admin_link,omitempty"`
}

// sayStarted tells whoever started this process, and the log without the link.
func (a *app) sayStarted(log *slog.Logger, line listening) error {
	log.Info(line.Event, "pid", os.Getpid(), "address", line.URL, "version", a.version)
	err := a.printJSON(line)
	notifySystemd("READY=1")
	return err
}

// health is what this machine lacks for builds, where this process does any.
func (o serveOptions) health(context.Context) []pages.Problem {
	var problems []pages.Problem
	if !slices.Contains(o.roles, roleWorker) {
		return nil
	}
	for _, tool := range chroot.Missing(target.Host) {
		problems = append(problems, pages.Problem{Title: tool.Name + " is missing", Text: "Builds on this machine fail: " + tool.Why + ".", Command: installCommand(tool)})
	}
	if os.Geteuid() != 0 {
		problems = append(problems, pages.Problem{Title: "The server is not root", Text: "Build roots are mounted, which needs root: builds on this machine fail."})
	}
	return problems
}

// listen serves HTTP until ctx ends.
func (a *app) listen(ctx context.Context, o serveOptions, p *parts, e *engine.Engine, stopping *stopper, log *slog.Logger) error {
	people, err := auth.New(auth.Config{Store: p.store, Secure: o.tlsCert != "", Log: log})
	if err != nil {
		return err
	}
	own, err := a.ownTargets()
	if err != nil {
		return err
	}
	targets := target.With(own)
	plans := service.NewPlanPreviews(p.service)
	defer plans.Close()
	operations := api.New(api.Config{Store: p.store, Auth: people, Vault: p.vault, Notify: p.notify, Blobs: p.blobs, Logs: p.logs, Projects: p.served, Preview: p.service.Preview, Plans: plans, Settings: p.base, Targets: targets, Repositories: p.service, Version: a.version, Log: log, Events: e.Events})
	seen := pages.New(pages.Config{Store: p.store, Auth: people, Blobs: p.blobs, Logs: p.logs, Projects: p.served, Settings: p.base, Targets: targets, Version: a.version, Log: log, Health: o.health,
		Notify: p.notify, Vault: p.vault, Preview: p.service.Preview, Repositories: p.service, Plans: plans, SignedWith: p.signedWith, Events: e.Events})
	handler := web.New(web.Config{API: operations, Pages: seen, Store: p.store, Auth: people, Repos: filepath.Join(p.state, "repos"), PublicRepos: o.publicRepos, Version: a.version,
		Ready: stopping.ready(p.works), Metrics: web.Metrics(p.store)})
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	scheme := "http"
	if o.tlsCert != "" {
		certificate, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
		if err != nil {
			return errors.Join(usagef("--tls-cert: %w", err), listener.Close())
		}
		listener, scheme = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), "https"
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() {
		quick, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(quick) != nil {
			_ = server.Close() // event streams do not end by themselves
		}
	})
	defer stop()
	line := listening{Event: "listening", URL: scheme + "://" + listener.Addr().String()}
	if link, err := people.AdminLink(ctx); err == nil && link != "" {
		line.AdminLink = line.URL + link
	} else if err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := a.sayStarted(log, line); err != nil {
		return errors.Join(err, listener.Close())
	}
	if !strings.HasPrefix(scheme, "https") {
		log.Debug("listening without TLS", "address", listener.Addr().String())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
