package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Token is a token as answers have it; Token is there once, when it is made.
type Token struct {
	ID       int64      `json:"id"`
	Token    string     `json:"token,omitempty" doc:"shown once"`
	Name     string     `json:"name"`
	Role     string     `json:"role"`
	Project  int64      `json:"project,omitempty"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty"`
	LastUsed *time.Time `json:"last_used,omitempty"`
}

func tokenView(t store.Token) Token {
	return Token{ID: t.ID, Name: t.Name, Role: t.Role, Project: t.Project, Created: t.Created, Expires: at(t.Expires), LastUsed: at(t.LastUsed)}
}

// AuditEntry is a change that somebody made.
type AuditEntry struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Address string    `json:"address,omitempty"`
	Action  string    `json:"action"`
	Object  string    `json:"object,omitempty"`
	Project int64     `json:"project,omitempty"`
	// Detail has no secrets.
	Detail map[string]any `json:"detail,omitempty" doc:"what was changed, by name; {from, to}: what it was and is"`
}

func auditView(e store.AuditEntry) AuditEntry {
	v := AuditEntry{ID: e.ID, At: e.At, Who: e.Who, Address: e.Address, Action: e.Action, Object: e.Object, Project: e.Project}
	_ = json.Unmarshal(e.Detail, &v.Detail) // as it was marshalled
	return v
}

func (a *API) peopleOperations() {
	register(a, operation{method: http.MethodGet, path: "/tokens", id: "list-tokens", summary: "One's own tokens; an admin's are everybody's", role: auth.Viewer, tag: "people"}, a.listTokens)
	register(a, operation{method: http.MethodPost, path: "/tokens", id: "create-token", summary: "Make a token; it is shown once", role: auth.Viewer, status: http.StatusCreated, tag: "people", secret: true}, a.createToken)
	register(a, operation{method: http.MethodDelete, path: "/tokens/{id}", id: "revoke-token", summary: "Revoke a token", role: auth.Viewer, status: http.StatusNoContent, tag: "people"}, a.revokeToken)
	register(a, operation{method: http.MethodGet, path: "/audit", id: "audit", summary: "Who changed what", role: auth.Admin, tag: "people"}, a.audit)
}

func (a *API) listTokens(ctx context.Context, _ *nothing) (*listOf[Token], error) {
	all, err := a.cfg.Auth.Tokens(ctx, auth.FromContext(ctx))
	return newList(store.Part[store.Token]{Items: all}, tokenView), err
}

type createTokenInput struct {
	Body struct {
		Name    string `json:"name" minLength:"1" maxLength:"100"`
		Role    string `json:"role" enum:"viewer,builder,maintainer,admin"`
		Project string `json:"project,omitempty" maxLength:"64" doc:"id or name; good for it alone"`
		Days    int    `json:"days,omitempty" minimum:"1" maximum:"366" default:"90"`
	}
}

type tokenOutput struct {
	Body Token
}

func (a *API) createToken(ctx context.Context, in *createTokenInput) (*tokenOutput, error) {
	role, err := auth.ParseRole(in.Body.Role)
	if err != nil {
		return nil, err
	}
	project, err := a.maybeProject(ctx, in.Body.Project)
	if err != nil {
		return nil, err
	}
	text, t, err := a.cfg.Auth.CreateToken(ctx, auth.FromContext(ctx), auth.NewToken{Name: in.Body.Name, Role: role, Project: project, For: time.Duration(in.Body.Days) * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	out := &tokenOutput{tokenView(t)}
	out.Body.Token = text
	return out, nil
}

// NumberPath names one thing by its number. It is exported because huma does not look into what is not.
type NumberPath struct {
	ID int64 `path:"id" minimum:"1"`
}

func (a *API) revokeToken(ctx context.Context, in *NumberPath) (*struct{}, error) {
	return nil, a.cfg.Auth.RevokeToken(ctx, auth.FromContext(ctx), in.ID)
}

type auditInput struct {
	Page
	Project string `query:"project" maxLength:"64" doc:"id or name"`
	Who     string `query:"who" maxLength:"100" doc:"part of the name of who did it"`
	Object  string `query:"object" maxLength:"100" doc:"part of the action, or of what it was done to"`
}

func (a *API) audit(ctx context.Context, in *auditInput) (*listOf[AuditEntry], error) {
	project, err := a.maybeProject(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	part, err := a.cfg.Store.Audit(ctx, store.AuditFilter{Project: project, Who: in.Who, Object: in.Object}, in.store())
	if err != nil {
		return nil, err
	}
	return newList(part, auditView), nil
}
