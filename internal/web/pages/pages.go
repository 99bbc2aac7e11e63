// Package pages is what people see: the server-rendered pages, and the one stream with which an open page stays
// what it shows.
//
// A page is a loader (load), which reads what it needs and gives a view: title, place in the navigation, and a
// body of templ components. The same view is sent in three ways: whole, to whoever opens the page; as a stream of
// the fragments that change, to the page that is open (live.go); and as fragments once, to a form that has been
// filled in further. Every page and every action is registered by get or post, which ask first whether who comes
// may. Pages call store, service and auth, as the API does, and never the API.
package pages

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/notify"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/target"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate

// Config is what the pages work on. Store, Auth, Blobs, Logs, Projects and Events must be set.
type Config struct {
	Store    *store.Store
	Auth     *auth.Auth
	Blobs    blob.Store
	Logs     *blob.Logs
	Projects service.Projects
	Settings service.SettingsBase
	// Targets are all that a project may have, beside local.
	Targets []target.Target
	Version string
	Log     *slog.Logger
	// Health says what keeps this machine from its work; nil: it is not looked at. It answers at once.
	Health func(ctx context.Context) []Problem
	// Notify sends messages to channels, Vault seals the secrets of push hooks, Preview says what a schedule would do. Each may be nil: what needs it
	// then says so.
	Notify  *notify.Notifier
	Vault   *auth.Vault
	Preview func(ctx context.Context, schedule string) (service.Preview, error)
	// Repositories are rolled back here; nil: not on this server.
	Repositories service.Repositories
	// Plans are previews of plans; nil: none are made.
	Plans *service.PlanPreviews
	// SignedWith is the fingerprint of the key that a published repository is signed with; nil, or "": not known.
	SignedWith func(project, channel, target string) string
	// Events are those after a number, and then every new one until the context ends.
	Events func(ctx context.Context, after int64, filter store.EventFilter) iter.Seq2[store.Event, error]
}

// Pages is the handler of everything that people look at. Safe for concurrent use.
type Pages struct {
	cfg Config
	mux *http.ServeMux
	// roles are what pages and actions need, by pattern: for the test that asks each with every role.
	roles map[string]auth.Role

	memos     memos
	logs      logIndexes
	lockfiles lockCache
	pictures  pictures
}

// New makes the pages.
func New(cfg Config) *Pages {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pages{cfg: cfg, mux: http.NewServeMux(), roles: map[string]auth.Role{}}
	p.mux.HandleFunc("GET "+assetPrefix+"{file}", serveAsset)
	p.loginPages()
	p.dashboardPages()
	p.runPages()
	p.logPages()
	p.buildPages()
	p.comparePages()
	p.projectPages()
	p.packagePages()
	p.newProjectPages()
	p.queuePages()
	p.searchPages()
	p.workerPages()
	p.repositoryPages()
	p.snapshotPages()
	p.schedulePages()
	p.peoplePages()
	p.hookPages()
	p.secretPages()
	p.saidPages()
	p.channelPages()
	p.auditPages()
	p.settingsPages()
	p.morePages()
	return p
}

// policy lets a page load what this server serves, and nothing else: no script or style inside it counts.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const maxForm = 1 << 20

// ServeHTTP implements http.Handler.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin") // a form's Origin is told to this server alone
	h.Add("Vary", "Accept-Encoding")
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if takesGzip(r) {
		packed := &packing{ResponseWriter: w}
		p.answer(packed, r)
		packed.close() // not after a panic
		return
	}
	p.answer(w, r)
}

func (p *Pages) answer(w http.ResponseWriter, r *http.Request) {
	if _, pattern := p.mux.Handler(r); pattern == "" {
		p.nowhere(w, r)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// nowhere answers for an address that there is not, to whoever may know.
func (p *Pages) nowhere(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: r, w: w, p: p}
	who, err := p.cfg.Auth.Authenticate(r)
	if err == nil {
		q.who, err = who, store.ErrNotFound
	}
	q.fail(err)
}

// request is one request of somebody who may make it.
type request struct {
	*http.Request
	w       http.ResponseWriter
	p       *Pages
	who     auth.Identity
	project store.Project // that the address is about; else the zero one
}

func (q *request) ctx() context.Context { return q.Context() }

func (q *request) store() *store.Store { return q.p.cfg.Store }

// may says whether who asks has a role in the project that the page is about.
func (q *request) may(role auth.Role) bool { return q.who.In(q.project.ID) >= role }

// visible are the projects whose things a list may show: nil for all.
func (q *request) visible() []int64 {
	if all, ids := q.who.Projects(auth.Viewer); !all {
		return append([]int64{-1}, ids...) // never none, which would be all
	}
	return nil
}

// number is a number of the query; 0 where there is none.
func (q *request) number(name string) int64 {
	n, _ := strconv.ParseInt(q.URL.Query().Get(name), 10, 64)
	return n
}

// pathID is the id in the path: store.ErrNotFound for what is none.
func (q *request) pathID(name string) (int64, error) {
	n, err := strconv.ParseInt(q.PathValue(name), 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s %q: %w", name, q.PathValue(name), store.ErrNotFound)
	}
	return n, nil
}

// about finds the project that an address is about.
type about func(q *request) (store.Project, error)

// What addresses are about. nil is the server as a whole.
var (
	aboutProject about = func(q *request) (store.Project, error) {
		return q.store().ProjectNamed(q.ctx(), q.PathValue("project"))
	}
	aboutRun about = func(q *request) (store.Project, error) {
		id, err := q.pathID("run")
		if err != nil {
			return store.Project{}, err
		}
		r, err := q.store().Run(q.ctx(), id)
		if err != nil {
			return store.Project{}, err
		}
		return q.store().Project(q.ctx(), r.Project)
	}
	aboutBuild about = func(q *request) (store.Project, error) {
		id, err := q.pathID("build")
		if err != nil {
			return store.Project{}, err
		}
		s, err := q.store().Step(q.ctx(), id)
		if err != nil {
			return store.Project{}, err
		}
		return q.store().Project(q.ctx(), s.Project)
	}
	// aboutMany is a page of many projects' things, of which each sees his own (request.visible).
	aboutMany about = func(*request) (store.Project, error) { return store.Project{}, nil }
)

// load reads what a page shows. It is asked again for every change that the open page shows.
type load func(q *request) (view, error)

// act does what a form asks, and answers with done, or an error.
type act func(q *request) error

// get registers a page: its pattern ("/runs/{run}"), the role that it needs, and what it is about.
func (p *Pages) get(pattern string, role auth.Role, about about, page load) {
	p.handle("GET "+pattern, role, about, func(q *request) error { return p.show(q, page, func() error { return q.allow(role, about) }) })
}

// post registers an action.
func (p *Pages) post(pattern string, role auth.Role, about about, do act) {
	p.handle("POST "+pattern, role, about, do)
}

// handle registers a pattern, behind the one question who may.
func (p *Pages) handle(pattern string, role auth.Role, about about, do func(q *request) error) {
	p.roles[pattern] = role
	p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		q := &request{Request: r, w: w, p: p}
		who, err := p.cfg.Auth.Authenticate(r)
		if err == nil {
			q.who = who
			q.Request = r.WithContext(auth.NewContext(r.Context(), who))
			err = q.allow(role, about)
		}
		if err == nil {
			err = do(q)
		}
		if err != nil {
			q.fail(err)
		}
	})
}

// allow asks whether who comes may. Of a project that he may not even see he learns nothing.
func (q *request) allow(role auth.Role, about about) error {
	if about == nil {
		return auth.Allowed(q.who, role, 0)
	}
	project, err := about(q)
	if err == nil && project.ID == 0 { // of many
		if all, ids := q.who.Projects(role); all || len(ids) > 0 {
			return nil
		}
		return auth.Allowed(q.who, role, 0)
	}
	if err == nil && q.who.In(project.ID) < auth.Viewer {
		err = store.ErrNotFound
	}
	if err != nil {
		if q.who.Anonymous() && q.who.In(0) < auth.Viewer {
			return auth.Allowed(q.who, auth.Viewer, 0) // whether it is there or not
		}
		return err
	}
	q.project = project
	return auth.Allowed(q.who, role, project.ID)
}

// invalid is an error that people can mend: what they gave is not right. field names the form's field; "" is
// the form as a whole.
type invalid struct{ field, text string }

func (e *invalid) Error() string { return e.text }

// statusOf is the status of an error that was expected; 500 for all others.
func statusOf(err error) int {
	switch {
	case errors.Is(err, auth.ErrUnauthenticated):
		return http.StatusUnauthorized
	case errors.Is(err, auth.ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, store.ErrNotFound), errors.Is(err, blob.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrReference):
		return http.StatusConflict
	case errors.Is(err, store.ErrCursor), errors.Is(err, store.ErrSort), errors.Is(err, auth.ErrInvalid), as[*invalid](err):
		return http.StatusUnprocessableEntity
	case as[*auth.LimitError](err):
		return http.StatusTooManyRequests
	case as[*auth.BusyError](err), errors.Is(err, store.ErrUnavailable), errors.Is(err, blob.ErrUnavailable):
		return http.StatusServiceUnavailable
	case as[*http.MaxBytesError](err):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// fail answers with an error: a page, or for the page's own script a text. Who has not logged in is asked to.
func (q *request) fail(err error) {
	status := statusOf(err)
	if status == http.StatusInternalServerError || status == http.StatusServiceUnavailable {
		if q.ctx().Err() != nil {
			return // nobody waits for it any more
		}
		q.p.cfg.Log.Error("pages", "path", q.URL.Path, "error", err)
	}
	if status == http.StatusServiceUnavailable {
		q.w.Header().Set("Retry-After", "5")
	}
	switch {
	case q.wants(typeStream):
		q.w.WriteHeader(http.StatusNoContent) // which tells the browser not to come again
	case q.wants(typeParts):
		writeAnswer(q.w, status, answer{Error: errorText(status, err), Field: fieldOf(err)})
	case status == http.StatusUnauthorized && q.Method == http.MethodGet:
		http.Redirect(q.w, q.Request, "/login?next="+url.QueryEscape(q.URL.RequestURI()), http.StatusSeeOther)
	default:
		q.whole(status, view{Title: strconv.Itoa(status) + " " + http.StatusText(status), Still: status == http.StatusNotFound, Bare: q.who.In(0) < auth.Viewer, Body: errorPage(status, errorText(status, err))})
	}
}

func fieldOf(err error) string {
	if e, ok := errors.AsType[*invalid](err); ok {
		return e.field
	}
	return ""
}

// errorText is what people are told: what was not expected is in the log, and told without its text.
func errorText(status int, err error) string {
	switch status {
	case http.StatusInternalServerError:
		return "Something went wrong here. The server's log says what."
	case http.StatusNotFound:
		return "There is nothing at this address, or it is not for you to see."
	case http.StatusServiceUnavailable:
		if !as[*auth.BusyError](err) {
			return "The server cannot reach its database or its blobs. Nothing is lost; try again."
		}
	}
	return sentence(err.Error())
}

// sentence is an error's text as a sentence.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") {
		text += "."
	}
	return text
}

// done answers an action: what happened, in a word to the one who asked, and where he goes on ("": where he was).
func (q *request) done(toast, to string) error {
	if q.wants(typeParts) {
		writeAnswer(q.w, http.StatusOK, answer{Toast: toast, To: to})
		return nil
	}
	if to == "" {
		to = "/"
		if back, err := url.Parse(q.Referer()); err == nil && back.Host == q.Host && strings.HasPrefix(back.Path, "/") && !strings.HasPrefix(back.Path, "//") {
			to = back.RequestURI()
		}
	}
	http.Redirect(q.w, q.Request, to, http.StatusSeeOther)
	return nil
}

// write runs fn in a transaction and notes who did what.
func (q *request) write(change auth.Change, fn func(tx *store.Tx) error) error {
	return q.store().Write(q.ctx(), func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return q.who.Audit(q.ctx(), tx, change)
	})
}

// now is when a page was made; components get it from the context, so that tests can hold it.
func now(ctx context.Context) time.Time {
	if t, ok := ctx.Value(nowKey{}).(time.Time); ok {
		return t
	}
	return time.Now()
}

type nowKey struct{}
