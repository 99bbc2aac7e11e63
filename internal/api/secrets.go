package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/secret"
	"reqpm/internal/store"
)

// Secrets of a project are set and never given back: what is answered says what each is for, and by what its owner knows it
// again.

// Secret is a secret as answers have it.
type Secret struct {
	Name        string    `json:"name"`
	Kind        string    `json:"kind" enum:"git-token,ssh-key,index"`
	Origin      string    `json:"origin" doc:"the one server that it is sent to"`
	Username    string    `json:"username,omitempty"`
	Ends        string    `json:"ends,omitempty" doc:"last four characters of a long token"`
	Fingerprint string    `json:"fingerprint,omitempty" doc:"of a key, as ssh-keygen -l prints it"`
	SetBy       string    `json:"set_by"`
	SetAt       time.Time `json:"set_at"`
}

func secretView(s secret.Secret) Secret {
	return Secret{Name: s.Name, Kind: string(s.Kind), Origin: s.Origin, Username: s.Username, Ends: s.Ends(), Fingerprint: s.Fingerprint(), SetBy: s.SetBy, SetAt: s.SetAt}
}

// SecretValue is what is never answered.
type SecretValue struct {
	Value      string `json:"value" minLength:"6" maxLength:"8000" writeOnly:"true" doc:"token, password, or private key as ssh-keygen makes it, without a passphrase"`
	KnownHosts string `json:"known_hosts,omitempty" maxLength:"4000" doc:"for a key: lines of a known_hosts file, which say by what key the server is known"`
}

// SecretFields are what people say of a secret.
type SecretFields struct {
	Kind     string `json:"kind" enum:"git-token,ssh-key,index"`
	Origin   string `json:"origin,omitempty" maxLength:"2000" doc:"any address on the server that it is for; absent for Git: that of the project"`
	Username string `json:"username,omitempty" maxLength:"200" pattern:"^[!-9;-~]*$" doc:"absent for Git: x-access-token; for an index: the value is a bearer token"`
	SecretValue
}

// SecretPath names a secret of a project.
type SecretPath struct {
	ProjectPath
	Secret string `path:"secret" maxLength:"64" pattern:"^[a-z0-9][a-z0-9._-]*$" doc:"name of the secret"`
}

type setSecretInput struct {
	SecretPath
	Body SecretFields
}

type secretOutput struct{ Body Secret }

func (a *API) secretOperations() {
	const path = "/projects/{id}/secrets"
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path, id: "list-secrets", summary: "What a project has secrets for; no values", role: auth.Maintainer, tag: "secrets"}, a.listSecrets)
	register(a, operation{method: http.MethodPut, about: aboutProject, path: path + "/{secret}", id: "set-secret", summary: "Set a secret for one Git server or index; it is never given back", role: auth.Maintainer, tag: "secrets"}, a.setSecret)
	register(a, operation{method: http.MethodDelete, about: aboutProject, path: path + "/{secret}", id: "delete-secret", summary: "Delete a secret", role: auth.Maintainer, status: http.StatusNoContent, tag: "secrets"}, a.deleteSecret)
}

func (a *API) listSecrets(ctx context.Context, in *ProjectPath) (*listOf[Secret], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	all, err := a.cfg.Vault.ProjectSecrets(ctx, a.cfg.Store.Queries, p.ID)
	return newList(store.Part[secret.Secret]{Items: all}, secretView), err
}

func (a *API) setSecret(ctx context.Context, in *setSecretInput) (*secretOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s, err := a.cfg.Auth.SetProjectSecret(ctx, auth.FromContext(ctx), a.cfg.Vault, p, auth.NewSecret{Name: in.Secret, Kind: secret.Kind(in.Body.Kind), Origin: in.Body.Origin,
		Username: in.Body.Username, Value: in.Body.Value, KnownHosts: in.Body.KnownHosts})
	if err != nil {
		return nil, secretProblem(err)
	}
	return &secretOutput{secretView(s)}, nil
}

func (a *API) deleteSecret(ctx context.Context, in *SecretPath) (*struct{}, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Auth.DeleteSecret(ctx, auth.FromContext(ctx), p.ID, in.Secret)
}

// secretProblem is 422 for what is no secret. It does not repeat what was sent.
func secretProblem(err error) error {
	if field, ok := errors.AsType[*secret.FieldError](err); ok {
		return huma.Error422UnprocessableEntity(field.Error(), &huma.ErrorDetail{Location: "body." + field.Field, Message: field.Reason})
	}
	return err
}

// withoutSecrets has the kind of an error, and a text without secrets.
func withoutSecrets(err error, all []secret.Secret) error {
	if len(all) == 0 {
		return err
	}
	return secret.Reworded(err, auth.NewRedactor(secret.Values(all)...).String(err.Error()))
}
