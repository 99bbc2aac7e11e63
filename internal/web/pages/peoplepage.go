package pages

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// People: users and everybody's tokens, for administrators; the members of a project; and one's own account.

func (p *Pages) peoplePages() {
	p.get("/users", auth.Admin, nil, p.users)
	p.post("/users", auth.Admin, nil, p.createUser)
	p.get("/users/{user}", auth.Admin, nil, p.user)
	p.post("/users/{user}", auth.Admin, nil, p.changeUser)
	p.post("/users/{user}/password", auth.Admin, nil, p.setPassword)
	p.post("/users/{user}/sessions", auth.Admin, nil, p.endUserSessions)
	p.post("/users/{user}/delete", auth.Admin, nil, p.deleteUser)
	p.post("/tokens", auth.Admin, nil, p.serverToken)
	p.post("/tokens/{token}/revoke", auth.Admin, nil, p.revokeToken)

	p.get("/projects/{project}/members", auth.Maintainer, aboutProject, p.members)
	p.post("/projects/{project}/members", auth.Maintainer, aboutProject, p.setMember)

	p.own("GET /account", func(q *request) error { return p.show(q, p.account, func() error { return nil }) })
	p.own("POST /account/password", p.ownPassword)
	p.own("POST /account/tokens", p.ownToken)
	p.own("POST /account/tokens/{token}/revoke", p.revokeOwnToken)
	p.own("POST /account/sessions", p.endOwnSessions)
	p.own("POST /account/sessions/{session}", p.endOwnSession)
}

// own registers what is about whoever has logged in: it takes no role, and no token does.
func (p *Pages) own(pattern string, do func(q *request) error) {
	p.handle(pattern, auth.None, nil, func(q *request) error {
		switch {
		case q.who.Anonymous():
			return auth.ErrUnauthenticated
		case q.who.User == 0 || q.who.Token != 0:
			return fmt.Errorf("%w: an account is its user's own: log in; a token does not do", auth.ErrForbidden)
		}
		return do(q)
	})
}

type usersData struct {
	Users  []store.User
	Next   string
	Tokens []tokenRow
	Self   int64
	Form   tokenForm
}

// tokenRow is a token with whom it is of.
type tokenRow struct {
	store.Token
	Owner, Project string
}

func (p *Pages) users(q *request) (view, error) {
	part, err := p.cfg.Auth.Users(q.ctx(), q.who, store.Page{Limit: 100, Sort: "name", Cursor: q.URL.Query().Get("cursor")})
	if err != nil {
		return view{}, err
	}
	d := usersData{Users: part.Items, Self: q.who.User}
	if part.Next != "" {
		d.Next = q.with("cursor", part.Next)
	}
	if d.Tokens, err = q.tokens(0); err != nil {
		return view{}, err
	}
	if d.Form, err = q.tokenForm("/tokens"); err != nil {
		return view{}, err
	}
	return view{Title: "Users and tokens", Nav: "users", Body: usersPage(d), Watch: store.EventFilter{Project: -1}}, nil
}

// tokens are those of a user; with 0 all that who asks may see.
func (q *request) tokens(owner int64) ([]tokenRow, error) {
	all, err := q.p.cfg.Auth.Tokens(q.ctx(), q.who)
	if err != nil {
		return nil, err
	}
	names, users := projectNames{q: q}, map[int64]string{0: "command line"}
	var rows []tokenRow
	for _, t := range all {
		if owner != 0 && t.Owner != owner {
			continue
		}
		row := tokenRow{Token: t}
		if _, ok := users[t.Owner]; !ok {
			u, err := q.store().User(q.ctx(), t.Owner)
			if err != nil {
				u.Name = "user " + itoa(t.Owner) // deleted meanwhile
			}
			users[t.Owner] = u.Name
		}
		row.Owner = users[t.Owner]
		if t.Project != 0 {
			row.Project = names.of(t.Project)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// tokenForm is what a new token may be of.
type tokenForm struct {
	Action   string
	Roles    []option
	Projects []option
}

// roles are those that somebody with one may give, the highest last.
func roles(most auth.Role, none bool) []option {
	var all []option
	if none {
		all = append(all, option{"none", "None"})
	}
	for r := auth.Viewer; r <= most; r++ {
		all = append(all, option{r.String(), roleText(r)})
	}
	return all
}

func roleText(r auth.Role) string {
	return map[auth.Role]string{auth.Viewer: "Viewer: read", auth.Builder: "Builder: start, cancel and retry runs", auth.Maintainer: "Maintainer: change projects", auth.Admin: "Admin: people, workers, settings"}[r]
}

func (q *request) tokenForm(action string) (tokenForm, error) {
	f := tokenForm{Action: action}
	most := q.who.In(0)
	all, ids := q.who.Projects(auth.Viewer)
	if all {
		f.Projects, ids = []option{{"", "All projects"}}, nil
	}
	part, err := q.store().Projects(q.ctx(), store.ProjectFilter{IDs: ids}, store.Page{Limit: 200, Sort: "name"})
	if err != nil {
		return f, err
	}
	for _, p := range part.Items {
		if q.who.In(p.ID) < auth.Viewer {
			continue
		}
		most = max(most, q.who.In(p.ID))
		f.Projects = append(f.Projects, option{itoa(p.ID), "Only " + p.Name})
	}
	f.Roles = roles(most, false)
	return f, nil
}

// createToken makes a token of whoever asks, and gives its text.
func (q *request) createToken() (string, store.Token, error) {
	role, err := auth.ParseRole(q.PostFormValue("role"))
	if err != nil {
		return "", store.Token{}, err
	}
	days, err := strconv.Atoi(orText(strings.TrimSpace(q.PostFormValue("days")), "90"))
	if err != nil || days < 1 || days > 366 {
		return "", store.Token{}, &invalid{"days", "Between 1 and 366 days."}
	}
	name := strings.TrimSpace(q.PostFormValue("name"))
	if name == "" {
		return "", store.Token{}, &invalid{"name", "Say where it is used."}
	}
	project := int64(0)
	if text := q.PostFormValue("project"); text != "" {
		if project, err = strconv.ParseInt(text, 10, 64); err != nil {
			return "", store.Token{}, &invalid{"project", "There is no such project."}
		}
	}
	return q.p.cfg.Auth.CreateToken(q.ctx(), q.who, auth.NewToken{Name: name, Role: role, Project: project, For: time.Duration(days) * 24 * time.Hour})
}

func (q *request) showToken(path string, page load) error {
	text, t, err := q.createToken()
	if err != nil {
		return err
	}
	return q.againWith("The token is made.", path, page, secretOnce("The token "+t.Name, "It is shown this once. It is good until "+exact(t.Expires)+".", text))
}

func (p *Pages) serverToken(q *request) error { return q.showToken("/users", p.users) }

func (q *request) revoke() error {
	id, err := q.pathID("token")
	if err != nil {
		return err
	}
	return q.p.cfg.Auth.RevokeToken(q.ctx(), q.who, id)
}

func (p *Pages) revokeToken(q *request) error {
	if err := q.revoke(); err != nil {
		return err
	}
	return q.again("The token is good for nothing any more.", "/users", p.users)
}

func (p *Pages) createUser(q *request) error {
	role, err := auth.ParseRole(q.PostFormValue("role"))
	if err != nil {
		return err
	}
	u, err := p.cfg.Auth.CreateUser(q.ctx(), q.who, q.PostFormValue("name"), q.PostFormValue("password"), role)
	if err != nil {
		return fieldError(err, "name", "password")
	}
	return q.again(u.Name+" can log in now.", "/users", p.users)
}

// fieldError puts an error of a new user beside the field that it is about.
func fieldError(err error, name, password string) error {
	switch text := err.Error(); {
	case statusOf(err) == http.StatusConflict:
		return &invalid{name, "There is a user of that name."}
	case statusOf(err) != http.StatusUnprocessableEntity:
		return err
	case strings.Contains(text, "password"):
		return &invalid{password, sentence(text)}
	default:
		return &invalid{name, sentence(text)}
	}
}

type userData struct {
	User     store.User
	Self     bool
	Sessions []auth.Session
	Tokens   []tokenRow
	Members  []memberRow
}

type memberRow struct {
	Project string
	Role    string
}

func (p *Pages) user(q *request) (view, error) {
	id, err := q.pathID("user")
	if err != nil {
		return view{}, err
	}
	d := userData{Self: q.who.User == id}
	if d.User, err = p.cfg.Auth.User(q.ctx(), q.who, id); err != nil {
		return view{}, err
	}
	if d.Sessions, err = p.cfg.Auth.Sessions(q.ctx(), q.who, id); err != nil {
		return view{}, err
	}
	if d.Tokens, err = q.tokens(id); err != nil {
		return view{}, err
	}
	kept, err := q.store().Members(q.ctx(), id, 0)
	if err != nil {
		return view{}, err
	}
	names := projectNames{q: q}
	for _, m := range kept {
		d.Members = append(d.Members, memberRow{names.of(m.Project), m.Role})
	}
	return view{Title: d.User.Name, Nav: "users", Crumbs: []crumb{{"Users and tokens", "/users"}, {Text: d.User.Name}}, Body: userPage(d), Watch: store.EventFilter{Project: -1}}, nil
}

func userPath(id int64) string { return "/users/" + itoa(id) }

func (p *Pages) changeUser(q *request) error {
	id, err := q.pathID("user")
	if err != nil {
		return err
	}
	var c auth.UserChange
	if text := q.PostFormValue("role"); text != "" {
		role, err := auth.ParseRole(text)
		if err != nil {
			return err
		}
		c.Role = &role
	}
	if text := q.PostFormValue("disabled"); text != "" {
		off := text == "yes"
		c.Disabled = &off
	}
	if err := p.cfg.Auth.ChangeUser(q.ctx(), q.who, id, c); err != nil {
		return lastAdmin(err)
	}
	return q.again("Changed.", userPath(id), p.user)
}

func (p *Pages) setPassword(q *request) error {
	id, err := q.pathID("user")
	if err != nil {
		return err
	}
	if id == q.who.User {
		return &invalid{"", "Your own password is changed in your account, with the old one."}
	}
	if err := p.cfg.Auth.SetPassword(q.ctx(), q.who, id, "", q.PostFormValue("password")); err != nil {
		return fieldError(err, "password", "password")
	}
	return q.again("The password is set, and all their sessions have ended.", userPath(id), p.user)
}

func (p *Pages) endUserSessions(q *request) error {
	id, err := q.pathID("user")
	if err != nil {
		return err
	}
	if err := p.cfg.Auth.EndSessions(q.ctx(), q.who, id); err != nil {
		return err
	}
	return q.again("They are logged out everywhere.", userPath(id), p.user)
}

func (p *Pages) deleteUser(q *request) error {
	id, err := q.pathID("user")
	if err != nil {
		return err
	}
	if err := p.cfg.Auth.DeleteUser(q.ctx(), q.who, id); err != nil {
		return lastAdmin(err)
	}
	return q.done("", "/users")
}

// membersData are the people of a project.
type membersData struct {
	Project store.Project
	Members []auth.Member
	Names   []string // of users, for administrators, who may know them all
	Roles   []option
	Most    auth.Role
	Base    string
}

func (p *Pages) members(q *request) (view, error) {
	d := membersData{Project: q.project, Most: q.who.In(q.project.ID), Base: projectPath(q.project.Name)}
	d.Roles = roles(d.Most, false)
	var err error
	if d.Members, err = p.cfg.Auth.Members(q.ctx(), q.who, q.project.ID); err != nil {
		return view{}, err
	}
	if q.who.In(0) >= auth.Admin {
		part, err := p.cfg.Auth.Users(q.ctx(), q.who, store.Page{Limit: 200, Sort: "name"})
		if err != nil {
			return view{}, err
		}
		for _, u := range part.Items {
			if !slices.ContainsFunc(d.Members, func(m auth.Member) bool { return m.User == u.ID }) {
				d.Names = append(d.Names, u.Name)
			}
		}
	}
	v := q.projectView("Members of "+q.project.Name, "members", projectData{})
	v.Crumbs = append(v.Crumbs, crumb{Text: "Members"})
	v.Body, v.Watch = membersPage(d), store.EventFilter{Project: -1}
	return v, nil
}

// setMember gives somebody a role in the project, or takes it away.
func (p *Pages) setMember(q *request) error {
	role, err := auth.ParseRole(q.PostFormValue("role"))
	if err != nil {
		return err
	}
	name := strings.ToLower(strings.TrimSpace(q.PostFormValue("name")))
	u, err := q.store().UserNamed(q.ctx(), name)
	if err != nil {
		if statusOf(err) == http.StatusNotFound {
			return &invalid{"name", "There is no user of that name."}
		}
		return err
	}
	if err := p.cfg.Auth.SetMember(q.ctx(), q.who, u.ID, q.project.ID, role); err != nil {
		return err
	}
	said := u.Name + " is " + role.String() + " here now."
	if role == auth.None {
		said = u.Name + " has no role of their own here any more."
	}
	return q.again(said, projectPath(q.project.Name)+"/members", p.members)
}

// accountData is what somebody sees of themselves.
type accountData struct {
	User     store.User
	Sessions []auth.Session
	Tokens   []tokenRow
	Form     tokenForm
}

func (p *Pages) account(q *request) (view, error) {
	d := accountData{}
	var err error
	if d.User, err = p.cfg.Auth.User(q.ctx(), q.who, q.who.User); err != nil {
		return view{}, err
	}
	if d.Sessions, err = p.cfg.Auth.Sessions(q.ctx(), q.who, q.who.User); err != nil {
		return view{}, err
	}
	if d.Tokens, err = q.tokens(q.who.User); err != nil {
		return view{}, err
	}
	if d.Form, err = q.tokenForm("/account/tokens"); err != nil {
		return view{}, err
	}
	return view{Title: "Your account", Nav: "account", Body: accountPage(d), Watch: store.EventFilter{Project: -1}}, nil
}

func (p *Pages) ownPassword(q *request) error {
	err := p.cfg.Auth.SetPassword(q.ctx(), q.who, q.who.User, q.PostFormValue("old"), q.PostFormValue("password"))
	switch {
	case err == nil:
		return q.done("", "/login") // all sessions have ended
	case isLogin(err):
		return &invalid{"old", "This is not the password until now."}
	}
	return fieldError(err, "password", "password")
}

func (p *Pages) ownToken(q *request) error { return q.showToken("/account", p.account) }

func (p *Pages) revokeOwnToken(q *request) error {
	id, err := q.pathID("token")
	if err != nil {
		return err
	}
	own, err := q.tokens(q.who.User)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(own, func(t tokenRow) bool { return t.ID == id }) {
		return store.ErrNotFound
	}
	if err := q.revoke(); err != nil {
		return err
	}
	return q.again("The token is good for nothing any more.", "/account", p.account)
}

func (p *Pages) endOwnSession(q *request) error {
	if err := p.cfg.Auth.EndSession(q.ctx(), q.who, q.who.User, q.PathValue("session")); err != nil {
		return err
	}
	return q.again("That session has ended.", "/account", p.account)
}

func (p *Pages) endOwnSessions(q *request) error {
	if err := p.cfg.Auth.EndSessions(q.ctx(), q.who, q.who.User); err != nil {
		return err
	}
	return q.done("", "/login")
}
