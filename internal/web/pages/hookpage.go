package pages

import (
	"errors"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/pushhook"
	"reqpm/internal/store"
)

// The push hook of a project: the address that its forge is given, what of a push counts, and what was told.

func (p *Pages) hookPages() {
	p.get("/projects/{project}/hook", auth.Maintainer, aboutProject, p.hook)
	p.post("/projects/{project}/hook", auth.Maintainer, aboutProject, p.setHook)
	p.post("/projects/{project}/hook/secret", auth.Maintainer, aboutProject, p.rotateHook)
	p.post("/projects/{project}/hook/delete", auth.Maintainer, aboutProject, p.deleteHook)
}

type hookData struct {
	Project store.Project
	Base    string // of the hook's page
	Address string
	Hook    store.PushHook
	There   bool
	Pushes  []store.PushDelivery
	Next    string
}

func hookPath(project string) string { return projectPath(project) + "/hook" }

func (p *Pages) hook(q *request) (view, error) {
	d := hookData{Project: q.project, Base: hookPath(q.project.Name), Address: Address(q.Request) + "/api/v1/hooks/" + q.project.Name}
	var err error
	d.Hook, err = q.store().PushHook(q.ctx(), q.project.ID)
	d.There = err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return view{}, err
	}
	part, err := q.store().Pushes(q.ctx(), q.project.ID, store.Page{Limit: 30, Cursor: q.URL.Query().Get("cursor")})
	if err != nil {
		return view{}, err
	}
	d.Pushes = part.Items
	if part.Next != "" {
		d.Next = q.with("cursor", part.Next)
	}
	v := q.projectView("Push hook of "+q.project.Name, "hook", projectData{})
	v.Crumbs = append(v.Crumbs, crumb{Text: "Push hook"})
	v.Body = hookPage(d)
	return v, nil
}

// patterns are the lines of a field.
func patterns(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == ' ' || r == '\t' })
}

func (p *Pages) setHook(q *request) error {
	h := store.PushHook{Project: q.project.ID, Branches: patterns(q.PostFormValue("branches")), Tags: patterns(q.PostFormValue("tags")), Paths: patterns(q.PostFormValue("paths"))}
	if err := (pushhook.Filter{Branches: h.Branches, Tags: h.Tags, Paths: h.Paths}).Check(); err != nil {
		return &invalid{"", sentence(err.Error())}
	}
	if len(h.Branches) > 50 || len(h.Tags) > 50 || len(h.Paths) > 50 {
		return &invalid{"", "50 patterns of each kind at most."}
	}
	if p.cfg.Vault == nil {
		return &invalid{"", "This server keeps no secrets, so there is no push hook."}
	}
	secret := ""
	err := q.store().Write(q.ctx(), func(tx *store.Tx) error {
		change := auth.Change{Action: "hook.change", Object: q.project.Name, Project: q.project.ID, Detail: map[string]any{"branches": h.Branches, "tags": h.Tags, "paths": h.Paths}}
		err := tx.ChangePushHook(q.ctx(), h)
		if errors.Is(err, store.ErrNotFound) {
			secret, h.Sealed = p.cfg.Vault.NewPushSecret(q.project.ID)
			change.Action, err = "hook.create", tx.AddPushHook(q.ctx(), h)
		}
		if err != nil {
			return err
		}
		return q.who.Audit(q.ctx(), tx, change)
	})
	if err != nil {
		return err
	}
	if secret == "" {
		return q.again("Saved. The next push goes by it.", hookPath(q.project.Name), p.hook)
	}
	return q.showHookSecret("The push hook is made.", secret)
}

func (q *request) showHookSecret(toast, secret string) error {
	return q.againWith(toast, hookPath(q.project.Name), q.p.hook, secretOnce("The secret of the push hook", "It is shown this once. Give it to the forge beside the address.", secret))
}

func (p *Pages) rotateHook(q *request) error {
	if p.cfg.Vault == nil {
		return &invalid{"", "This server keeps no secrets, so there is no push hook."}
	}
	text, sealed := p.cfg.Vault.NewPushSecret(q.project.ID)
	err := q.write(auth.Change{Action: "hook.rotate", Object: q.project.Name, Project: q.project.ID}, func(tx *store.Tx) error {
		return tx.SetPushSecret(q.ctx(), q.project.ID, sealed, time.Now())
	})
	if err != nil {
		return err
	}
	return q.showHookSecret("The old secret has ended.", text)
}

func (p *Pages) deleteHook(q *request) error {
	err := q.write(auth.Change{Action: "hook.delete", Object: q.project.Name, Project: q.project.ID}, func(tx *store.Tx) error { return tx.DeletePushHook(q.ctx(), q.project.ID) })
	if err != nil {
		return err
	}
	return q.again("The project is told of no more pushes.", hookPath(q.project.Name), p.hook)
}

// What hookpage.templ says.

func pushState(d store.PushDelivery) string {
	switch d.Decision {
	case "run":
		return "succeeded"
	case "joined":
		return "reused"
	case "ping":
		return "queued"
	}
	return "skipped"
}

func pushWord(d store.PushDelivery) string {
	return map[string]string{"run": "Run", "joined": "Joined a run", "ignored": "Ignored", "ping": "Ping"}[d.Decision]
}
