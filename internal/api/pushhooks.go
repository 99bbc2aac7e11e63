package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/pushhook"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Push hooks: what a project wants to be told of pushes, and the address where its forge tells it. That address
// asks for no session: the hook's secret says who it is.

const (
	pushHookPath = Prefix + "/hooks/"
	// maxPush bounds what a forge may send, bytes. A push of 2,048 commits, the most GitHub lists, has about 2 MiB.
	maxPush = 5 << 20
	// refusedEvery is how often a refused request is noted: whoever has no secret makes no more writes than that.
	refusedEvery = time.Second
)

// PushHook is a project's hook as answers have it; Secret is there once, when it is made.
type PushHook struct {
	Path        string     `json:"path" doc:"below the server's address: what the forge is given"`
	Secret      string     `json:"secret,omitempty" doc:"shown once: what the forge is given beside the address"`
	Branches    []string   `json:"branches" doc:"none: the project's own"`
	Tags        []string   `json:"tags" doc:"none: no tags"`
	Paths       []string   `json:"paths" doc:"none: whatever changed"`
	Created     time.Time  `json:"created"`
	Rotated     time.Time  `json:"rotated" doc:"when the secret was made"`
	Refused     *time.Time `json:"refused,omitempty" doc:"the last request without the secret"`
	RefusedFrom string     `json:"refused_from,omitempty"`
	RefusedWhy  string     `json:"refused_why,omitempty"`
}

// PushFilter is what of a push counts.
type PushFilter struct {
	Branches []string `json:"branches,omitempty" maxItems:"50" nullable:"false" doc:"patterns: * within a name, ** anything, ! in front takes out; absent: the project's own branch"`
	Tags     []string `json:"tags,omitempty" maxItems:"50" nullable:"false" doc:"patterns; absent: no tags"`
	Paths    []string `json:"paths,omitempty" maxItems:"50" nullable:"false" doc:"patterns of changed files; absent: whatever changed"`
}

// PushDelivery is something that a forge told.
type PushDelivery struct {
	ID       int64     `json:"id"`
	Delivery string    `json:"delivery" doc:"the forge's own id of it"`
	Forge    string    `json:"forge" enum:"github,gitlab,gitea"`
	Event    string    `json:"event"`
	Ref      string    `json:"ref,omitempty"`
	Commit   string    `json:"commit,omitempty"`
	From     string    `json:"from,omitempty" doc:"address"`
	Decision string    `json:"decision" enum:"run,joined,ignored,ping" doc:"joined: a run that waits, or is of the commit, already does it"`
	Why      string    `json:"why"`
	Run      int64     `json:"run,omitempty"`
	Times    int64     `json:"times" doc:"how often it came; only the first counts"`
	At       time.Time `json:"at"`
}

func pushView(d store.PushDelivery) PushDelivery {
	return PushDelivery{ID: d.ID, Delivery: d.Delivery, Forge: d.Forge, Event: d.Event, Ref: d.Ref, Commit: d.Commit, From: d.Address, Decision: d.Decision, Why: d.Why, Run: d.Run, Times: d.Times, At: d.At}
}

func (a *API) pushHookOperations() {
	const path = "/projects/{id}/hook"
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path, id: "get-push-hook", summary: "What a project is told of pushes", role: auth.Maintainer, tag: "hooks"}, a.getPushHook)
	register(a, operation{method: http.MethodPut, about: aboutProject, path: path, id: "set-push-hook", summary: "Make the push hook, or change what counts; a new one's secret is shown once", role: auth.Maintainer, tag: "hooks"}, a.setPushHook)
	register(a, operation{method: http.MethodDelete, about: aboutProject, path: path, id: "delete-push-hook", summary: "Be told of no more pushes", role: auth.Maintainer, status: http.StatusNoContent, tag: "hooks"}, a.deletePushHook)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: path + "/secret", id: "rotate-push-secret", summary: "Make a new secret, shown once; the old one ends at once", role: auth.Maintainer, tag: "hooks", secret: true}, a.rotatePushSecret)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path + "/deliveries", id: "list-push-deliveries", summary: "What forges told, and what was decided, newest first", role: auth.Maintainer, tag: "hooks"}, a.listPushes)
	a.addPushHook()
}

type pushHookOutput struct{ Body PushHook }

func (a *API) showPushHook(ctx context.Context, p store.Project) (*pushHookOutput, error) {
	h, err := a.cfg.Store.PushHook(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	return &pushHookOutput{PushHook{Path: pushHookPath + p.Name, Branches: h.Branches, Tags: h.Tags, Paths: h.Paths, Created: h.Created, Rotated: h.Rotated,
		Refused: at(h.Refused), RefusedFrom: h.RefusedFrom, RefusedWhy: h.RefusedWhy}}, nil
}

func (a *API) getPushHook(ctx context.Context, in *ProjectPath) (*pushHookOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return a.showPushHook(ctx, p)
}

type setPushHookInput struct {
	ProjectPath
	Body PushFilter
}

func (a *API) setPushHook(ctx context.Context, in *setPushHookInput) (*pushHookOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := (pushhook.Filter{Branches: in.Body.Branches, Tags: in.Body.Tags, Paths: in.Body.Paths}).Check(); err != nil {
		return nil, invalid("", "%v", err)
	}
	h := store.PushHook{Project: p.ID, Branches: in.Body.Branches, Tags: in.Body.Tags, Paths: in.Body.Paths}
	who := auth.FromContext(ctx)
	var secret string
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		change := auth.Change{Action: "hook.change", Object: p.Name, Project: p.ID, Detail: map[string]any{"branches": h.Branches, "tags": h.Tags, "paths": h.Paths}}
		was, err := tx.PushHook(ctx, p.ID)
		if err == nil {
			change.Detail = auth.Differences(map[string]any{"branches": was.Branches, "tags": was.Tags, "paths": was.Paths}, change.Detail)
			err = tx.ChangePushHook(ctx, h)
		}
		if errors.Is(err, store.ErrNotFound) {
			secret, h.Sealed = a.cfg.Vault.NewPushSecret(p.ID)
			change.Action, err = "hook.create", tx.AddPushHook(ctx, h)
		}
		if err != nil {
			return err
		}
		return who.Audit(ctx, tx, change)
	})
	if err != nil {
		return nil, err
	}
	out, err := a.showPushHook(ctx, p)
	if err == nil {
		out.Body.Secret = secret
	}
	return out, err
}

func (a *API) rotatePushSecret(ctx context.Context, in *ProjectPath) (*pushHookOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	who := auth.FromContext(ctx)
	text, sealed := a.cfg.Vault.NewPushSecret(p.ID)
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SetPushSecret(ctx, p.ID, sealed, time.Now()); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "hook.rotate", Object: p.Name, Project: p.ID})
	})
	if err != nil {
		return nil, err
	}
	out, err := a.showPushHook(ctx, p)
	if err == nil {
		out.Body.Secret = text
	}
	return out, err
}

func (a *API) deletePushHook(ctx context.Context, in *ProjectPath) (*struct{}, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	who := auth.FromContext(ctx)
	return nil, a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.DeletePushHook(ctx, p.ID); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "hook.delete", Object: p.Name, Project: p.ID})
	})
}

type listPushesInput struct {
	ProjectPath
	Page
}

func (a *API) listPushes(ctx context.Context, in *listPushesInput) (*listOf[PushDelivery], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	part, err := a.cfg.Store.Pushes(ctx, p.ID, in.store())
	if err != nil {
		return nil, err
	}
	return newList(part, pushView), nil
}

// PushAnswer is what a forge is told, and shows among its deliveries.
type PushAnswer struct {
	Decision string `json:"decision" enum:"run,joined,ignored,ping"`
	Why      string `json:"why"`
	Run      int64  `json:"run,omitempty"`
	Again    bool   `json:"again,omitempty" doc:"this delivery came before: nothing more was done"`
}

// addPushHook adds the address that forges send to. It is no operation like the others: the body is read as it comes, for
// that is what is signed.
func (a *API) addPushHook() {
	const path = pushHookPath + "{project}"
	problem := &huma.Response{Description: "Error", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: a.api.OpenAPI().Components.Schemas.Schema(errorModel, true, "")}}}
	most := 64
	anything := &huma.Schema{Type: "object", AdditionalProperties: true}
	op := &huma.Operation{OperationID: "push", Summary: "Where a forge tells of a push (GitHub, GitLab, Gitea, Forgejo)", Tags: []string{"hooks"}, Method: http.MethodPost, Path: path,
		Description: "Role: none. The hook's secret says who it is: X-Hub-Signature-256, X-Gitlab-Token or X-Gitea-Signature.", Security: []map[string][]string{},
		Parameters: []*huma.Param{{Name: "project", In: "path", Required: true, Description: "name or id", Schema: &huma.Schema{Type: "string", MaxLength: &most}}},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: anything},
			"application/x-www-form-urlencoded": {Schema: anything}}},
		Responses: map[string]*huma.Response{
			"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {Schema: a.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[PushAnswer](), true, "")}}},
			"403": problem, "413": problem, "415": problem, "422": problem, "500": problem, "503": problem,
		}}
	a.roles[op.Method+" "+path] = auth.None
	a.api.OpenAPI().AddOperation(op)
	a.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // a connection that has none is a test's
		answer, err := a.push(r)
		if err != nil {
			status, ok := errors.AsType[huma.StatusError](a.problem(r.Context(), err))
			if !ok {
				status = huma.Error500InternalServerError("something went wrong here")
			}
			writeProblem(w, status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // a client that has gone away does not matter
	})
}

// errNoHook is the answer to whoever has not the secret, whether there is a project and a hook or not.
var errNoHook = huma.Error403Forbidden("there is no push hook here with this secret")

// push takes what a forge tells.
func (a *API) push(r *http.Request) (PushAnswer, error) {
	ctx := r.Context()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if as[*http.MaxBytesError](err) {
			return PushAnswer{}, huma.NewError(http.StatusRequestEntityTooLarge, "a push has at most 5 MiB")
		}
		return PushAnswer{}, huma.Error422UnprocessableEntity("the body could not be read")
	}
	d, err := pushhook.Read(r.Header, body)
	switch {
	case errors.Is(err, pushhook.ErrType):
		return PushAnswer{}, huma.Error415UnsupportedMediaType(err.Error())
	case err != nil:
		return PushAnswer{}, huma.Error422UnprocessableEntity(err.Error())
	}
	p, err := a.project(ctx, r.PathValue("project"))
	if err != nil {
		return PushAnswer{}, hidden(err)
	}
	hook, err := a.cfg.Store.PushHook(ctx, p.ID)
	if err != nil {
		return PushAnswer{}, hidden(err)
	}
	secret, err := a.cfg.Vault.Open(p.ID, auth.PushSecretName, hook.Sealed)
	if err != nil {
		return PushAnswer{}, err
	}
	from := ""
	if address := a.cfg.Auth.Address(r); address.IsValid() { // else a socket of the machine
		from = address.String()
	}
	if err := d.Verify(secret); err != nil {
		if time.Since(hook.Refused) >= refusedEvery {
			if err := a.cfg.Store.NoteRefusedPush(ctx, p.ID, from, err.Error()); err != nil && !errors.Is(err, store.ErrNotFound) {
				return PushAnswer{}, err
			}
		}
		return PushAnswer{}, errNoHook
	}
	return a.pushed(ctx, p, hook, d, from)
}

// hidden makes "not found" what whoever has no secret is told anyhow.
func hidden(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNoHook
	}
	return err
}

// pushed decides about a delivery whose sender has the secret, once.
func (a *API) pushed(ctx context.Context, p store.Project, hook store.PushHook, d pushhook.Delivery, from string) (answer PushAnswer, err error) {
	row := store.PushDelivery{Project: p.ID, Delivery: d.ID, Forge: d.Forge, Event: d.Event, Address: from, Decision: "ignored"}
	var decision pushhook.Decision
	var push pushhook.Push
	switch {
	case d.IsPing():
		row.Decision, row.Why = "ping", "the forge tries the address"
	case !d.IsPush():
		row.Why = "the event is not a push"
	default:
		if push, err = d.Push(); err != nil {
			return answer, huma.Error422UnprocessableEntity(err.Error())
		}
		decision = pushhook.Filter{Branches: hook.Branches, Tags: hook.Tags, Paths: hook.Paths}.Decide(push, p.Ref)
		row.Ref, row.Commit, row.Why = push.Branch+push.Tag, push.Commit, decision.Why
	}
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		was, err := tx.RepeatPush(ctx, p.ID, d.ID)
		if err == nil {
			answer = PushAnswer{Decision: was.Decision, Why: was.Why, Run: was.Run, Again: true}
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if decision.Run {
			run, created, err := service.StartPushed(ctx, tx, p, push.Refs(decision), push.Commit, "push to "+row.Ref+" at "+d.Forge)
			if err != nil {
				return err
			}
			if row.Run, row.Decision = run.ID, "run"; !created {
				row.Decision = "joined"
			}
		}
		_, err = tx.AddPush(ctx, row)
		answer = PushAnswer{Decision: row.Decision, Why: row.Why, Run: row.Run}
		return err
	})
	return answer, err
}
