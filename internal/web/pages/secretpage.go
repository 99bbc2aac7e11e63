package pages

import (
	"errors"
	"strings"

	"reqpm/internal/auth"
	"reqpm/internal/secret"
	"reqpm/internal/store"
)

// The secrets of a project: what opens its Git server and its index. They are set here and never shown.

func (p *Pages) secretPages() {
	p.get("/projects/{project}/secrets", auth.Maintainer, aboutProject, p.secrets)
	p.post("/projects/{project}/secrets", auth.Maintainer, aboutProject, p.setSecret)
	p.post("/projects/{project}/secrets/delete", auth.Maintainer, aboutProject, p.deleteSecret)
}

type secretsData struct {
	Project store.Project
	Base    string
	All     []secret.Secret
	None    bool          // this server keeps none
	Again   secret.Secret // that is to be replaced; zero: a new one
}

func secretsPath(project string) string { return projectPath(project) + "/secrets" }

func (p *Pages) secrets(q *request) (view, error) {
	d := secretsData{Project: q.project, Base: secretsPath(q.project.Name), None: p.cfg.Vault == nil}
	if !d.None {
		var err error
		if d.All, err = p.cfg.Vault.ProjectSecrets(q.ctx(), q.store().Queries, q.project.ID); err != nil {
			return view{}, err
		}
	}
	for _, s := range d.All {
		if s.Name == q.URL.Query().Get("replace") {
			d.Again = s
		}
	}
	v := q.projectView("Secrets of "+q.project.Name, "secrets", projectData{})
	v.Crumbs = append(v.Crumbs, crumb{Text: "Secrets"})
	v.Body = secretsPage(d)
	return v, nil
}

func (p *Pages) setSecret(q *request) error {
	if p.cfg.Vault == nil {
		return &invalid{"", "This server keeps no secrets."}
	}
	value := q.PostFormValue("value")
	if q.PostFormValue("kind") == string(secret.SSHKey) {
		value = strings.TrimSpace(strings.ReplaceAll(value, "\r\n", "\n")) + "\n" // as a form sends lines, and as a key's file has them
	} else {
		value = strings.TrimSpace(value)
	}
	given := auth.NewSecret{Name: strings.TrimSpace(q.PostFormValue("name")), Kind: secret.Kind(q.PostFormValue("kind")), Origin: strings.TrimSpace(q.PostFormValue("origin")),
		Username: strings.TrimSpace(q.PostFormValue("username")), Value: value, KnownHosts: strings.TrimSpace(strings.ReplaceAll(q.PostFormValue("known_hosts"), "\r\n", "\n"))}
	s, err := p.cfg.Auth.SetProjectSecret(q.ctx(), q.who, p.cfg.Vault, q.project, given)
	if field, ok := errors.AsType[*secret.FieldError](err); ok {
		return &invalid{field.Field, sentence(field.Reason)}
	}
	if err != nil {
		return err
	}
	return q.again("The secret "+s.Name+" is set. The next step that needs it takes it.", secretsPath(q.project.Name), p.secrets)
}

func (p *Pages) deleteSecret(q *request) error {
	name := q.PostFormValue("name")
	if err := p.cfg.Auth.DeleteSecret(q.ctx(), q.who, q.project.ID, name); err != nil {
		return err
	}
	return q.again("The secret is removed.", secretsPath(q.project.Name), p.secrets)
}

// What secretpage.templ says.

var secretKinds = []option{{string(secret.GitToken), "Token or password for Git over https"}, {string(secret.SSHKey), "Private key for Git over ssh"}, {string(secret.Index), "Password or token of a package index"}}

func secretKind(k secret.Kind) string {
	return map[secret.Kind]string{secret.GitToken: "Git token", secret.SSHKey: "SSH key", secret.Index: "Index"}[k]
}

// known is by what its owner knows a secret again.
func known(s secret.Secret) string {
	switch {
	case s.Kind == secret.SSHKey:
		return s.Fingerprint()
	case s.Ends() != "":
		return "ends in " + s.Ends()
	}
	return "not shown"
}
