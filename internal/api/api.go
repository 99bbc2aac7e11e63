// Package api is the JSON API of the service under /api/v1, with its OpenAPI document made from the code.
//
// Every operation is registered by one function, which also asks who may: the role that it needs, in the
// project that its input is about. What somebody may not see is not found. Errors are problem+json (RFC 9457).
package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/notify"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/target"
)

// Prefix is where the API is.
const Prefix = "/api/v1"

// Preview says what a schedule would do now: service.ErrNoPreview for one that cannot say, store.ErrNotFound for one that is not there.
type Preview func(ctx context.Context, schedule string) (service.Preview, error)

// Config is what the API works on. All fields but Log must be set.
type Config struct {
	Store    *store.Store
	Auth     *auth.Auth
	Vault    *auth.Vault // seals what must not be read in the database
	Notify   *notify.Notifier
	Blobs    blob.Store
	Logs     *blob.Logs
	Projects service.Projects
	Preview  Preview
	Plans    *service.PlanPreviews
	Settings service.SettingsBase
	Targets  []target.Target // all that a project may have, beside local
	// Repositories are where this process has them.
	Repositories service.Repositories
	Version      string
	Log          *slog.Logger
	// Events are those after a number, and then every new one until the context ends.
	Events func(ctx context.Context, after int64, filter store.EventFilter) iter.Seq2[store.Event, error]
}

// API has the operations.
type API struct {
	cfg Config
	mux *http.ServeMux
	api huma.API
	// roles are what operations need, by "METHOD PATH".
	roles map[string]auth.Role
	// searches has a place for each search of a log that goes on.
	searches chan struct{}
	// plain are the methods of the addresses that end with a word, which the mux would take for a value of a parameter; by
	// their patterns.
	plain map[string][]string
}

// New makes the API. It serves everything under Prefix.
func New(cfg Config) *API {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{cfg: cfg, mux: http.NewServeMux(), roles: map[string]auth.Role{}, searches: make(chan struct{}, searchesAtOnce)}
	conf := huma.DefaultConfig("ReqPM", cfg.Version)
	conf.Info.Description = "From a Git URL of a Python project to a signed dnf repository. Lists are pages: follow `next` as `cursor`."
	conf.OpenAPIPath, conf.DocsPath, conf.SchemasPath = Prefix+"/openapi", "", ""
	conf.CreateHooks = nil // no links to schemas in answers
	conf.Transformers = append(conf.Transformers, noEcho)
	conf.RejectUnknownQueryParameters = true
	conf.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "a token: rqp_…"},
		"session": {Type: "apiKey", In: "cookie", Name: "__Host-reqpm"},
	}
	a.api = humago.New(a.mux, conf)
	a.api.UseMiddleware(a.identify)
	a.projectOperations()
	a.runOperations()
	a.buildOperations()
	a.retryOperations()
	a.fixOperations()
	a.bulkOperations()
	a.searchOperations()
	a.findOperations()
	a.loginOperations()
	a.peopleOperations()
	a.userOperations()
	a.systemOperations()
	a.scheduleOperations()
	a.settingsOperations()
	a.outdatedOperations()
	a.pushHookOperations()
	a.channelOperations()
	a.secretOperations()
	a.specOperations()
	a.planOperations()
	a.snapshotOperations()
	a.specCheckOperations()
	a.overrideOperations()
	a.streams()
	a.withoutNull()
	a.strict()
	a.mux.HandleFunc("GET "+Prefix+"/docs", a.docs())
	return a
}

// withoutNull takes null out of the document: readBody refuses it, and no answer has it.
func (a *API) withoutNull() {
	var visit func(s *huma.Schema)
	visit = func(s *huma.Schema) {
		if s == nil {
			return
		}
		s.Nullable = false
		visit(s.Items)
		for _, field := range s.Properties {
			visit(field)
		}
		if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
			visit(more)
		}
	}
	for _, s := range a.api.OpenAPI().Components.Schemas.Map() {
		visit(s)
	}
}

// OpenAPI is the document, as JSON.
func (a *API) OpenAPI() ([]byte, error) { return a.api.OpenAPI().MarshalJSON() }

// Roles are the role that each operation needs, by "METHOD PATH".
func (a *API) Roles() map[string]auth.Role { return maps.Clone(a.roles) }

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit := int64(maxBody)
	if strings.HasPrefix(r.URL.Path, pushHookPath) {
		limit = maxPush
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if methods := a.plainMethods(r.URL.Path); methods != nil && !slices.Contains(methods, r.Method) {
		notAllowed(w, strings.Join(methods, ", "))
		return
	}
	if h, pattern := a.mux.Handler(r); pattern == "" {
		a.nowhere(w, r, h)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// nowhere answers for an address or method that there is not; h is the mux's own answer, as text.
func (a *API) nowhere(w http.ResponseWriter, r *http.Request, h http.Handler) {
	said := &headersOnly{header: http.Header{}}
	h.ServeHTTP(said, r)
	if said.status != http.StatusMethodNotAllowed {
		writeProblem(w, huma.Error404NotFound("there is no such address; see "+Prefix+"/openapi.json"))
		return
	}
	notAllowed(w, said.header.Get("Allow"))
}

func notAllowed(w http.ResponseWriter, methods string) {
	w.Header().Set("Allow", methods)
	writeProblem(w, huma.Error405MethodNotAllowed("this address takes "+methods))
}

// headersOnly takes an answer and keeps no text of it.
type headersOnly struct {
	header http.Header
	status int
}

func (w *headersOnly) Header() http.Header         { return w.header }
func (w *headersOnly) Write(p []byte) (int, error) { return len(p), nil }
func (w *headersOnly) WriteHeader(status int)      { w.status = status }

// writeProblem answers with an error as problem made it.
func writeProblem(w http.ResponseWriter, err error) {
	problem, ok := errors.AsType[huma.StatusError](err)
	if !ok {
		problem = huma.Error500InternalServerError("something went wrong here")
	}
	if more, ok := errors.AsType[huma.HeadersError](err); ok {
		maps.Copy(w.Header(), more.GetHeaders())
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(problem.GetStatus())
	text, _ := marshalProblem(problem)
	_, _ = w.Write(text)
}

// identify puts who asks into the context. A credential that is wrong is refused everywhere.
func (a *API) identify(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	who, err := a.cfg.Auth.Authenticate(r)
	if unavailable(err) { // nobody was refused: the database could not be asked
		writeProblem(w, a.problem(r.Context(), err))
		return
	}
	if err != nil {
		_ = huma.WriteErr(a.api, ctx, statusOf(err), err.Error())
		return
	}
	next(huma.WithContext(ctx, auth.NewContext(ctx.Context(), who)))
}

// about finds the project that a request is about, by the id in its path.
type about func(ctx context.Context, a *API, id string) (project int64, err error)

// What requests are about.
var (
	aboutProject about = func(ctx context.Context, a *API, id string) (int64, error) {
		p, err := a.project(ctx, id)
		return p.ID, err
	}
	aboutRun about = func(ctx context.Context, a *API, id string) (int64, error) {
		n, err := number(id)
		if err != nil {
			return 0, err
		}
		r, err := a.cfg.Store.Run(ctx, n)
		return r.Project, err
	}
	aboutStep about = func(ctx context.Context, a *API, id string) (int64, error) {
		n, err := number(id)
		if err != nil {
			return 0, err
		}
		s, err := a.cfg.Store.Step(ctx, n)
		return s.Project, err
	}
	aboutArtifact about = func(ctx context.Context, a *API, id string) (int64, error) {
		n, err := number(id)
		if err != nil {
			return 0, err
		}
		x, err := a.cfg.Store.Artifact(ctx, n)
		if err != nil {
			return 0, err
		}
		return aboutRun(ctx, a, strconv.FormatInt(x.Run, 10))
	}
)

func number(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 1 || n > mostNumber {
		return 0, huma.Error422UnprocessableEntity("the id is a whole number from 1", &huma.ErrorDetail{Location: "path.id", Message: "expected a whole number from 1", Value: id})
	}
	return n, nil
}

// operation describes what register needs to know.
type operation struct {
	method, path, id, summary string
	role                      auth.Role
	about                     about  // nil: the server as a whole
	many                      bool   // a list of many projects' things, of which each sees his own
	status                    int    // 0: 200
	tag                       string // of the document
	errors                    []int
	sorts                     []string      // what a list can be sorted by, beside id
	unkeyed                   bool          // a POST that may be sent twice: it takes no Idempotency-Key
	params                    []*huma.Param // of the document, beside those of the input
	secret                    bool          // its answer is shown once, and must not be kept
}

// pathID is the key of the context's value that has the {id} of the address.
type pathID struct{}

// connection is where a request's context has what controls its connection.
type connection struct{}

// register adds an operation. Before anything of a request is looked at, it is asked whether who makes it has the
// operation's role, in the project that it is about.
func register[I, O any](a *API, op operation, do func(ctx context.Context, in *I) (*O, error)) {
	op.errors = append([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable}, op.errors...)
	if op.method != http.MethodGet {
		op.errors = append(op.errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	a.roles[op.method+" "+Prefix+op.path] = op.role
	may := func(ctx huma.Context, next func(huma.Context)) {
		if err := a.allow(ctx.Context(), op.role, op.about, op.many, ctx.Param("id")); err != nil {
			a.refuse(ctx, err)
			return
		}
		r, w := humago.Unwrap(ctx)
		if err := emptyParameter(ctx.Operation(), r); err != nil {
			a.refuse(ctx, err)
			return
		}
		next(huma.WithValue(huma.WithValue(ctx, pathID{}, ctx.Param("id")), connection{}, http.NewResponseController(w)))
	}
	document := huma.Operation{
		Method: op.method, Path: Prefix + op.path, OperationID: op.id, Summary: op.summary, DefaultStatus: op.status, Tags: []string{op.tag}, Errors: op.errors,
		Security: []map[string][]string{{"token": {}}, {"session": {}}}, Description: "Role: " + op.role.String() + ".", Middlewares: huma.Middlewares{may}, Parameters: slices.Clone(op.params),
	}
	if op.role == auth.None {
		document.Security = append(document.Security, map[string][]string{}) // none at all
	}
	a.middlewares(op, &document)
	huma.Register(a.api, document, func(ctx context.Context, in *I) (*O, error) {
		// A body has 5 s to come. When it has, that time must not run on: at its end the request would be cancelled, though
		// the client waits for what takes longer, as a question to a Git server may.
		if c, ok := ctx.Value(connection{}).(*http.ResponseController); ok {
			_ = c.SetReadDeadline(time.Time{}) // where there is no connection there is no deadline
		}
		out, err := do(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
	a.tighten(op)
}

// middlewares adds what every operation of a method does: conditions of reads, the body and the key of the rest.
func (a *API) middlewares(op operation, document *huma.Operation) {
	if op.method == http.MethodGet {
		document.Parameters = append(document.Parameters, &huma.Param{Name: "If-None-Match", In: "header", Description: "ETag of an answer that is known", Schema: &huma.Schema{Type: huma.TypeString}})
		document.Responses = map[string]*huma.Response{"304": {Description: "Not Modified"}}
		document.Middlewares = append(document.Middlewares, conditional)
		return
	}
	document.Middlewares = append(document.Middlewares, a.readBody)
	if op.method == http.MethodPost && !op.unkeyed {
		one, most := 1, 200
		document.Parameters = append(document.Parameters, &huma.Param{Name: keyHeader, In: "header", Description: "the same request with the same key is done once in 24 hours; its answer is given again, with " + replayed,
			Schema: &huma.Schema{Type: huma.TypeString, MinLength: &one, MaxLength: &most, Pattern: "^[!-~]*$"}})
		document.Middlewares = append(document.Middlewares, a.idempotent(op.secret))
	} else {
		document.Middlewares = append(document.Middlewares, conditional) // for the ETag of what was changed
	}
}

// mostNumber is the largest whole number that every reader of JSON keeps exactly (RFC 8259, section 6).
const mostNumber = 1<<53 - 1

// tighten has the document say of parameters what is enforced, and huma enforce it.
func (a *API) tighten(op operation) {
	paths := a.api.OpenAPI().Paths[Prefix+op.path]
	for _, o := range []*huma.Operation{paths.Get, paths.Post, paths.Put, paths.Patch, paths.Delete} {
		if o == nil || o.Method != op.method {
			continue
		}
		for _, p := range o.Parameters {
			switch {
			case p.Name == "sort" && p.In == "query":
				p.Schema.Enum = []any{"id", "-id"}
				for _, field := range op.sorts {
					p.Schema.Enum = append(p.Schema.Enum, field, "-"+field)
				}
			case p.Schema.Type == huma.TypeInteger && p.Schema.Maximum == nil:
				most := float64(mostNumber)
				p.Schema.Maximum = &most
			default:
				continue
			}
			p.Schema.PrecomputeMessages()
		}
	}
}

// allow asks whether somebody may. Of a project that he may not even see he learns nothing.
func (a *API) allow(ctx context.Context, role auth.Role, about about, many bool, id string) error {
	who := auth.FromContext(ctx)
	if many {
		if all, ids := who.Projects(role); all || len(ids) > 0 {
			return nil
		}
		return auth.Allowed(who, role, 0)
	}
	if about == nil {
		return auth.Allowed(who, role, 0)
	}
	project, err := about(ctx, a, id)
	if err == nil && who.In(project) < auth.Viewer {
		err = store.ErrNotFound
	}
	if err != nil {
		if who.Anonymous() && who.In(0) < auth.Viewer {
			return auth.Allowed(who, auth.Viewer, 0) // whether it is there or not
		}
		return err
	}
	return auth.Allowed(who, role, project)
}

// statusOf is the status of an error that was expected; 500 for all others.
func statusOf(err error) int {
	switch {
	case errors.Is(err, auth.ErrUnauthenticated):
		return http.StatusUnauthorized
	case errors.Is(err, auth.ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, store.ErrNotFound), errors.Is(err, blob.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrReference), errors.Is(err, auth.ErrLastAdmin):
		return http.StatusConflict
	case errors.Is(err, store.ErrCursor), errors.Is(err, store.ErrSort), errors.Is(err, auth.ErrInvalid):
		return http.StatusUnprocessableEntity
	case as[*auth.LimitError](err):
		return http.StatusTooManyRequests
	case as[*auth.BusyError](err), unavailable(err):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// unavailable tells what may work later: the database or the blobs do not answer.
func unavailable(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, blob.ErrUnavailable)
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// problem is an error as the client sees it. What was not expected is logged, and told without its text.
func (a *API) problem(ctx context.Context, err error) error {
	if as[huma.StatusError](err) {
		return err
	}
	status := statusOf(err)
	if status != http.StatusInternalServerError && !unavailable(err) {
		return withRetryAfter(huma.NewError(status, err.Error()), err)
	}
	if ctx.Err() == nil {
		a.cfg.Log.Error("api", "error", err)
	}
	if unavailable(err) {
		return huma.ErrorWithHeaders(huma.NewError(status, "the server cannot reach its database or its blobs; nothing is lost, try again"), http.Header{"Retry-After": {"5"}})
	}
	return huma.NewError(status, "something went wrong here; the server's log has it")
}

// withRetryAfter says when to come again, where the cause knows it.
func withRetryAfter(answer, cause error) error {
	var wait time.Duration
	if limit, ok := errors.AsType[*auth.LimitError](cause); ok {
		wait = limit.RetryAfter
	} else if busy, ok := errors.AsType[*auth.BusyError](cause); ok {
		wait = busy.RetryAfter
	}
	if wait == 0 {
		return answer
	}
	return huma.ErrorWithHeaders(answer, http.Header{"Retry-After": {strconv.Itoa(int(wait.Seconds()))}})
}

// Page are the parameters of every list.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"items at most"`
	Cursor string `query:"cursor" maxLength:"500" pattern:"^[A-Za-z0-9_-]*$" doc:"next of the page before, with the same sort and filters"`
	Sort   string `query:"sort" maxLength:"40" doc:"field; with - in front downwards"`
}

func (p Page) store() store.Page { return store.Page{Limit: p.Limit, Cursor: p.Cursor, Sort: p.Sort} }

// listOf is a page of a list.
type listOf[T any] struct {
	Body struct {
		Items []T    `json:"items"`
		Next  string `json:"next,omitempty" doc:"cursor of the next page; absent at the end"`
	}
}

func newList[S, T any](part store.Part[S], view func(S) T) *listOf[T] {
	out := &listOf[T]{}
	out.Body.Items = make([]T, 0, len(part.Items))
	for _, item := range part.Items {
		out.Body.Items = append(out.Body.Items, view(item))
	}
	out.Body.Next = part.Next
	return out
}

// at is a time as answers have it, nil for never.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// invalid is an answer 422 about one field.
func invalid(field, format string, args ...any) error {
	location := strings.TrimSuffix("body."+field, ".") // no field: it is of the whole
	return huma.Error422UnprocessableEntity(fmt.Sprintf(format, args...), &huma.ErrorDetail{Location: location, Message: fmt.Sprintf(format, args...)})
}

// states splits a filter of several values.
func states[T ~string](text string) []T {
	var list []T
	for part := range strings.SplitSeq(text, ",") {
		if part != "" {
			list = append(list, T(part))
		}
	}
	return list
}
