package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"reqpm/internal/secret"
	"reqpm/internal/store"
)

// What a project has secrets for: the one place where they are opened and set, for the API, the pages and the steps of runs.

// ProjectSecrets are those of a project, opened, by name.
func (v *Vault) ProjectSecrets(ctx context.Context, q store.Queries, project int64) ([]secret.Secret, error) {
	texts, err := v.Secrets(ctx, q, project)
	if err != nil {
		return nil, err
	}
	return secret.DecodeAll(texts, project)
}

// NewSecret is what somebody says of a secret.
type NewSecret struct {
	Name       string
	Kind       secret.Kind
	Origin     string // any address on the server that it is for; "" for Git: that of the project
	Username   string
	Value      string
	KnownHosts string
}

// SetProjectSecret sets a secret of a project, in place of the one of that name. A *secret.FieldError says which part cannot be as it is,
// store.ErrConflict that another secret of the project is for the same already.
func (a *Auth) SetProjectSecret(ctx context.Context, who Identity, v *Vault, p store.Project, given NewSecret) (secret.Secret, error) {
	where := given.Origin
	if given.Kind != secret.Index {
		where = cmp.Or(where, p.GitURL)
	}
	s, err := secret.New(given.Name, given.Kind, where, given.Username, given.Value, given.KnownHosts)
	if err != nil {
		return s, err
	}
	all, err := v.ProjectSecrets(ctx, a.store.Queries, p.ID)
	if err != nil {
		return s, err
	}
	for _, other := range all {
		if other.Name != s.Name && other.Kind == s.Kind && other.Origin == s.Origin {
			return s, fmt.Errorf("%w: the secret %s is the %s for %s already", store.ErrConflict, other.Name, s.Kind, s.Origin)
		}
	}
	s.Set(rand.Text(), who.String(), time.Now())
	return s, a.SetSecret(ctx, who, v, p.ID, s.Name, s.Encode())
}
