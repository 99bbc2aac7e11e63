package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"reqpm/internal/auth"
)

// loginPages are for those whom nobody knows yet, so they ask for no role.
func (p *Pages) loginPages() {
	p.mux.HandleFunc("GET /login", p.open(p.login))
	p.mux.HandleFunc("POST /login", p.open(p.logIn))
	p.mux.HandleFunc("POST /logout", p.open(p.logOut))
	p.mux.HandleFunc("GET /setup", p.open(p.setup))
	p.mux.HandleFunc("POST /setup", p.open(p.setUp))
}

// open is a page for everybody. Authenticate keeps away forms that other sites' pages sent.
func (p *Pages) open(do func(q *request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := &request{Request: r, w: w, p: p}
		who, err := p.cfg.Auth.Authenticate(r)
		if err != nil {
			q.fail(err)
			return
		}
		q.who = who
		do(q)
	}
}

// local is a path of this server, or "/": who logs in is sent nowhere else.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}

func (p *Pages) login(q *request) {
	if q.who.User != 0 {
		http.Redirect(q.w, q.Request, local(q.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	q.whole(http.StatusOK, view{Title: "Log in", Bare: true, Body: loginPage(local(q.URL.Query().Get("next")), "", "")})
}

func (p *Pages) logIn(q *request) {
	name, next := q.PostFormValue("name"), local(q.PostFormValue("next"))
	cookie, _, err := p.cfg.Auth.Login(q.ctx(), q.Request, name, q.PostFormValue("password"))
	if err != nil {
		if statusOf(err) == http.StatusInternalServerError {
			q.fail(err)
			return
		}
		text := err.Error()
		if errors.Is(err, auth.ErrLogin) {
			text = "Name or password is wrong."
		}
		q.whole(statusOf(err), view{Title: "Log in", Bare: true, Body: loginPage(next, name, sentence(text))})
		return
	}
	http.SetCookie(q.w, cookie)
	http.Redirect(q.w, q.Request, next, http.StatusSeeOther)
}

func (p *Pages) logOut(q *request) {
	cookie, err := p.cfg.Auth.Logout(q.ctx(), q.Request)
	if err != nil {
		q.fail(err)
		return
	}
	http.SetCookie(q.w, cookie)
	http.Redirect(q.w, q.Request, "/login", http.StatusSeeOther)
}

func (p *Pages) setup(q *request) {
	key := q.URL.Query().Get("key")
	if err := p.cfg.Auth.CheckSetup(q.ctx(), key); err != nil {
		q.whole(http.StatusForbidden, view{Title: "Set up", Bare: true, Body: setupGone()})
		return
	}
	q.whole(http.StatusOK, view{Title: "Set up", Bare: true, Body: setupPage(url.QueryEscape(key), "", "")})
}

// setUp makes the first administrator, and logs him in.
func (p *Pages) setUp(q *request) {
	key, name, password := q.URL.Query().Get("key"), q.PostFormValue("name"), q.PostFormValue("password")
	if _, err := p.cfg.Auth.Setup(q.ctx(), p.cfg.Auth.Address(q.Request).String(), key, name, password); err != nil {
		q.whole(http.StatusUnprocessableEntity, view{Title: "Set up", Bare: true, Body: setupPage(url.QueryEscape(key), name, sentence(err.Error()))})
		return
	}
	cookie, _, err := p.cfg.Auth.Login(q.ctx(), q.Request, name, password)
	if err != nil {
		http.Redirect(q.w, q.Request, "/login", http.StatusSeeOther)
		return
	}
	http.SetCookie(q.w, cookie)
	http.Redirect(q.w, q.Request, "/", http.StatusSeeOther)
}
