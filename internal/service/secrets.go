package service

import (
	"context"
	"errors"
	"fmt"

	"reqpm/internal/secret"
	"reqpm/internal/source"
	"reqpm/internal/store"
)

// A project's secrets come to a step with its subject. What is said in the step, and why it failed, is written without
// them: to its log, the project's, the events and the results.

// addSecrets gives a subject those of its project.
func (s *Service) addSecrets(ctx context.Context, sub *Subject, project int64) (err error) {
	if s.cfg.Secrets == nil {
		return nil
	}
	if sub.Secrets, err = s.cfg.Secrets(ctx, project); err != nil {
		return fmt.Errorf("the secrets of the project %s: %w", sub.Project, err)
	}
	if len(sub.Secrets) > 0 {
		sub.hide = s.cfg.Hide(sub.Secrets)
	}
	return nil
}

// clean is a text without the subject's secrets.
func (sub Subject) clean(text string) string {
	if sub.hide == nil {
		return text
	}
	return sub.hide(text)
}

// cleanError is an error whose text has no secrets.
func (sub Subject) cleanError(err error) error {
	if err == nil || sub.hide == nil {
		return err
	}
	text := sub.hide(err.Error())
	if errors.Is(err, source.ErrAuth) {
		text += sub.unused()
	}
	return secret.Reworded(err, text)
}

// unused says why a secret for Git was of no use: a token is sent to no other server than the one that it was set for.
func (sub Subject) unused() string {
	kind := secret.GitToken
	origin, err := secret.Origin(sub.GitURL)
	if err != nil {
		return ""
	}
	if origin[:3] == "ssh" {
		kind = secret.SSHKey
	}
	if _, ok := secret.For(sub.Secrets, kind, sub.GitURL); ok {
		return ""
	}
	for _, s := range sub.Secrets {
		if s.Kind != secret.Index {
			return fmt.Sprintf(" (the project has no %s for %s; %q is for %s)", kind, origin, s.Name, s.Origin)
		}
	}
	return ""
}

// sameSecrets tells whether two lists have the same values in them.
func sameSecrets(a, b []secret.Secret) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

// projectSubject is a project as it is, and no run of it.
func (s *Service) projectSubject(ctx context.Context, p store.Project) (Subject, error) {
	sub := Subject{Project: p.Name, GitURL: p.GitURL, Ref: p.Ref, Files: p.RequirementFiles}
	if err := decode(p.Settings, &sub.Settings); err != nil {
		return sub, err
	}
	return sub, s.addSecrets(ctx, &sub, p.ID)
}
