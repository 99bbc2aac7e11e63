package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// User is a person.
type User struct {
	ID       int64     `json:"id"`
	Name     string    `json:"name"`
	Role     string    `json:"role" enum:"none,viewer,builder,maintainer,admin" doc:"on the server as a whole"`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
}

func userView(u store.User) User {
	if u.Role == "" {
		u.Role = auth.None.String()
	}
	return User{ID: u.ID, Name: u.Name, Role: u.Role, Disabled: u.Disabled, Created: u.Created}
}

// Member is a user's role in a project beyond that on the server.
type Member struct {
	User int64  `json:"user"`
	Name string `json:"name"`
	Role string `json:"role" enum:"viewer,builder,maintainer,admin"`
}

func (a *API) userOperations() {
	busy := []int{http.StatusServiceUnavailable} // hashing takes its turn
	register(a, operation{method: http.MethodGet, path: "/users", id: "list-users", summary: "Users", role: auth.Admin, tag: "people", sorts: []string{"name"}}, a.listUsers)
	register(a, operation{method: http.MethodPost, path: "/users", id: "create-user", summary: "Create a user", role: auth.Admin, status: http.StatusCreated, tag: "people", errors: busy}, a.createUser)
	register(a, operation{method: http.MethodGet, path: "/users/{id}", id: "get-user", summary: "One user", role: auth.Admin, tag: "people"}, a.getUser)
	register(a, operation{method: http.MethodPatch, path: "/users/{id}", id: "change-user", summary: "Change a user's role, lock them out or let them in again", role: auth.Admin, tag: "people", errors: []int{http.StatusPreconditionFailed}}, a.changeUser)
	register(a, operation{method: http.MethodDelete, path: "/users/{id}", id: "delete-user", summary: "Delete a user with their sessions, tokens and memberships", role: auth.Admin, status: http.StatusNoContent, tag: "people"}, a.deleteUser)
	register(a, operation{method: http.MethodPut, path: "/users/{id}/password", id: "set-password", summary: "Set somebody else's password; all of their sessions end", role: auth.Admin, status: http.StatusNoContent, tag: "people", errors: busy}, a.setPassword)
	register(a, operation{method: http.MethodGet, path: "/users/{id}/sessions", id: "user-sessions", summary: "Where a user is logged in", role: auth.Admin, tag: "people"}, a.userSessions)
	register(a, operation{method: http.MethodDelete, path: "/users/{id}/sessions", id: "end-user-sessions", summary: "End all sessions of a user", role: auth.Admin, status: http.StatusNoContent, tag: "people"}, a.endUserSessions)

	register(a, operation{method: http.MethodGet, about: aboutProject, path: "/projects/{id}/members", id: "list-members", summary: "Who has a role in a project beyond that on the server", role: auth.Maintainer, tag: "people"}, a.listMembers)
	register(a, operation{method: http.MethodPut, about: aboutProject, path: "/projects/{id}/members/{user}", id: "set-member", summary: "Give a user a role in a project", role: auth.Maintainer, status: http.StatusNoContent, tag: "people"}, a.setMember)
	register(a, operation{method: http.MethodDelete, about: aboutProject, path: "/projects/{id}/members/{user}", id: "remove-member", summary: "Take away a user's role in a project", role: auth.Maintainer, status: http.StatusNoContent, tag: "people"}, a.removeMember)
}

type listUsersInput struct{ Page }

func (a *API) listUsers(ctx context.Context, in *listUsersInput) (*listOf[User], error) {
	part, err := a.cfg.Auth.Users(ctx, auth.FromContext(ctx), in.store())
	if err != nil {
		return nil, err
	}
	return newList(part, userView), nil
}

type createUserInput struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9._@-]*$" doc:"capitals are made small"`
		Password string `json:"password" minLength:"12" maxLength:"1024" doc:"12 to 1,024 bytes"`
		Role     string `json:"role" enum:"none,viewer,builder,maintainer,admin" doc:"on the server as a whole; none: only as a member of projects"`
	}
}

type userOutput struct {
	ETag string `header:"ETag"`
	Body User
}

func newUserOutput(u store.User) *userOutput {
	return &userOutput{ETag: versionOf(u), Body: userView(u)}
}

func (a *API) createUser(ctx context.Context, in *createUserInput) (*userOutput, error) {
	role, err := auth.ParseRole(in.Body.Role)
	if err != nil {
		return nil, err
	}
	u, err := a.cfg.Auth.CreateUser(ctx, auth.FromContext(ctx), in.Body.Name, in.Body.Password, role)
	if err != nil {
		return nil, err
	}
	return newUserOutput(u), nil
}

func (a *API) getUser(ctx context.Context, in *NumberPath) (*userOutput, error) {
	u, err := a.cfg.Auth.User(ctx, auth.FromContext(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return newUserOutput(u), nil
}

type changeUserInput struct {
	NumberPath
	IfMatch
	Body struct {
		Role     *string `json:"role,omitempty" enum:"none,viewer,builder,maintainer,admin"`
		Disabled *bool   `json:"disabled,omitempty" doc:"true locks the user out, with all sessions and tokens"`
	}
}

func (a *API) changeUser(ctx context.Context, in *changeUserInput) (*userOutput, error) {
	change := auth.UserChange{Disabled: in.Body.Disabled, If: func(u store.User) error { return in.IfMatch.check(versionOf(u)) }}
	if in.Body.Role != nil {
		role, err := auth.ParseRole(*in.Body.Role)
		if err != nil {
			return nil, err
		}
		change.Role = &role
	}
	if err := a.cfg.Auth.ChangeUser(ctx, auth.FromContext(ctx), in.ID, change); err != nil {
		return nil, err
	}
	return a.getUser(ctx, &in.NumberPath)
}

func (a *API) deleteUser(ctx context.Context, in *NumberPath) (*struct{}, error) {
	return nil, a.cfg.Auth.DeleteUser(ctx, auth.FromContext(ctx), in.ID)
}

type setPasswordInput struct {
	NumberPath
	Body struct {
		Password string `json:"password" minLength:"12" maxLength:"1024" doc:"12 to 1,024 bytes"`
	}
}

func (a *API) setPassword(ctx context.Context, in *setPasswordInput) (*struct{}, error) {
	who := auth.FromContext(ctx)
	if who.User == in.ID {
		return nil, conflict("one's own password is changed at %s/me/password, with the old one", Prefix)
	}
	return nil, a.cfg.Auth.SetPassword(ctx, who, in.ID, "", in.Body.Password)
}

func (a *API) userSessions(ctx context.Context, in *NumberPath) (*listOf[Session], error) {
	who := auth.FromContext(ctx)
	if _, err := a.cfg.Auth.User(ctx, who, in.ID); err != nil {
		return nil, err
	}
	return a.sessions(ctx, who, in.ID)
}

func (a *API) endUserSessions(ctx context.Context, in *NumberPath) (*struct{}, error) {
	return nil, a.cfg.Auth.EndSessions(ctx, auth.FromContext(ctx), in.ID)
}

func (a *API) listMembers(ctx context.Context, in *ProjectPath) (*listOf[Member], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	all, err := a.cfg.Auth.Members(ctx, auth.FromContext(ctx), p.ID)
	return newList(store.Part[auth.Member]{Items: all}, func(m auth.Member) Member {
		return Member{User: m.User, Name: m.Name, Role: m.Role.String()}
	}), err
}

// MemberPath names a user of a project.
type MemberPath struct {
	ProjectPath
	User string `path:"user" maxLength:"64" doc:"id or name of the user"`
}

type memberInput struct {
	MemberPath
	Body struct {
		Role string `json:"role" enum:"viewer,builder,maintainer,admin"`
	}
}

func (a *API) setMember(ctx context.Context, in *memberInput) (*struct{}, error) {
	role, err := auth.ParseRole(in.Body.Role)
	if err != nil {
		return nil, err
	}
	return nil, a.member(ctx, in.MemberPath, role)
}

func (a *API) removeMember(ctx context.Context, in *MemberPath) (*struct{}, error) {
	return nil, a.member(ctx, *in, auth.None)
}

func (a *API) member(ctx context.Context, in MemberPath, role auth.Role) error {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(in.User, 10, 64)
	if err != nil {
		u, err := a.cfg.Store.UserNamed(ctx, in.User)
		if err != nil {
			return err
		}
		id = u.ID
	}
	return a.cfg.Auth.SetMember(ctx, auth.FromContext(ctx), id, p.ID, role)
}
