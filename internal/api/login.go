package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Me is whoever asks.
type Me struct {
	Name      string `json:"name" doc:"of the user, or of the token where nobody owns it"`
	User      int64  `json:"user,omitempty" doc:"absent: no user"`
	Token     int64  `json:"token,omitempty" doc:"absent: no token was used"`
	Anonymous bool   `json:"anonymous" doc:"nobody has logged in: the role is what everybody has"`
	Role      string `json:"role" enum:"none,viewer,builder,maintainer,admin" doc:"on the server as a whole"`
	Projects  []Seat `json:"projects" doc:"where the role is another one than on the server"`
}

// Seat is a role in a project.
type Seat struct {
	Project int64  `json:"project"`
	Role    string `json:"role" enum:"viewer,builder,maintainer,admin"`
}

func meView(who auth.Identity) Me {
	v := Me{Name: who.Name, User: who.User, Token: who.Token, Anonymous: who.Anonymous(), Role: who.In(0).String(), Projects: []Seat{}}
	_, ids := who.Projects(auth.Viewer)
	for _, id := range ids {
		if in := who.In(id); in != who.In(0) {
			v.Projects = append(v.Projects, Seat{Project: id, Role: in.String()})
		}
	}
	return v
}

// Session is one that goes on.
type Session struct {
	ID      string    `json:"id" doc:"names it; it lets nobody in"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires" doc:"unless it is used before"`
	Address string    `json:"address,omitempty" doc:"where it began"`
	Agent   string    `json:"agent,omitempty" doc:"the browser or program, as it called itself"`
	Current bool      `json:"current" doc:"it is the one that asks"`
}

func sessionView(s auth.Session) Session {
	return Session{ID: s.ID, Created: s.Created, Expires: s.Expires, Address: s.Address, Agent: s.Agent, Current: s.Current}
}

// CookieRequest is an input that needs the request itself: its cookies, and where it came from.
type CookieRequest struct{ request *http.Request }

// Resolve implements huma.Resolver.
func (in *CookieRequest) Resolve(ctx huma.Context) []error {
	in.request, _ = humago.Unwrap(ctx)
	return nil
}

func (a *API) loginOperations() {
	register(a, operation{method: http.MethodPost, path: "/login", id: "login", summary: "Begin a session: name and password against a cookie", role: auth.None, tag: "login", unkeyed: true,
		errors: []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}}, a.login)
	register(a, operation{method: http.MethodPost, path: "/logout", id: "logout", summary: "End the session of the cookie", role: auth.None, status: http.StatusNoContent, tag: "login", unkeyed: true}, a.logout)
	register(a, operation{method: http.MethodGet, path: "/me", id: "me", summary: "Who asks, and what they may", role: auth.None, tag: "login"}, a.me)
	register(a, operation{method: http.MethodPut, path: "/me/password", id: "change-password", summary: "Change one's own password; all of one's sessions end", role: auth.None, status: http.StatusNoContent, tag: "login",
		errors: []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}}, a.changePassword)
	register(a, operation{method: http.MethodGet, path: "/me/sessions", id: "my-sessions", summary: "Where one is logged in", role: auth.None, tag: "login"}, a.mySessions)
	register(a, operation{method: http.MethodDelete, path: "/me/sessions", id: "end-my-sessions", summary: "End all of one's sessions, this one too", role: auth.None, status: http.StatusNoContent, tag: "login"}, a.endMySessions)
	register(a, operation{method: http.MethodDelete, path: "/me/sessions/{session}", id: "end-my-session", summary: "End one of one's sessions", role: auth.None, status: http.StatusNoContent, tag: "login"}, a.endMySession)
}

type loginInput struct {
	CookieRequest
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64"`
		Password string `json:"password" minLength:"1" maxLength:"1024"`
	}
}

type loginOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      Me
}

func (a *API) login(ctx context.Context, in *loginInput) (*loginOutput, error) {
	cookie, who, err := a.cfg.Auth.Login(ctx, in.request, in.Body.Name, in.Body.Password)
	if err != nil {
		return nil, err
	}
	return &loginOutput{SetCookie: *cookie, Body: meView(who)}, nil
}

type logoutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (a *API) logout(ctx context.Context, in *CookieRequest) (*logoutOutput, error) {
	cookie, err := a.cfg.Auth.Logout(ctx, in.request)
	if err != nil {
		return nil, err
	}
	return &logoutOutput{SetCookie: *cookie}, nil
}

type meOutput struct{ Body Me }

func (a *API) me(ctx context.Context, _ *nothing) (*meOutput, error) {
	return &meOutput{meView(auth.FromContext(ctx))}, nil
}

// user is who has logged in: what one's password and sessions are about.
func user(ctx context.Context) (auth.Identity, error) {
	who := auth.FromContext(ctx)
	switch {
	case who.Anonymous():
		return who, auth.ErrUnauthenticated
	case who.User == 0 || who.Token != 0:
		return who, huma.Error403Forbidden("passwords and sessions are a user's own affair: log in; a token does not do")
	}
	return who, nil
}

type passwordInput struct {
	Body struct {
		Old      string `json:"old" minLength:"1" maxLength:"1024"`
		Password string `json:"password" minLength:"12" maxLength:"1024" doc:"12 to 1,024 bytes"`
	}
}

func (a *API) changePassword(ctx context.Context, in *passwordInput) (*struct{}, error) {
	who, err := user(ctx)
	if err != nil {
		return nil, err
	}
	err = a.cfg.Auth.SetPassword(ctx, who, who.User, in.Body.Old, in.Body.Password)
	if errors.Is(err, auth.ErrLogin) {
		err = invalid("old", "this is not the password until now")
	}
	return nil, err
}

func (a *API) mySessions(ctx context.Context, _ *nothing) (*listOf[Session], error) {
	who, err := user(ctx)
	if err != nil {
		return nil, err
	}
	return a.sessions(ctx, who, who.User)
}

func (a *API) sessions(ctx context.Context, who auth.Identity, user int64) (*listOf[Session], error) {
	all, err := a.cfg.Auth.Sessions(ctx, who, user)
	return newList(store.Part[auth.Session]{Items: all}, sessionView), err
}

func (a *API) endMySessions(ctx context.Context, _ *nothing) (*struct{}, error) {
	who, err := user(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Auth.EndSessions(ctx, who, who.User)
}

type sessionPath struct {
	Session string `path:"session" maxLength:"64" doc:"id of the session"`
}

func (a *API) endMySession(ctx context.Context, in *sessionPath) (*struct{}, error) {
	who, err := user(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Auth.EndSession(ctx, who, who.User, in.Session)
}
