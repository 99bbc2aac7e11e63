package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"reqpm/internal/store"
)

// ErrLogin says that name and password do not fit. It does not say which: who asks may be guessing names.
var ErrLogin = fmt.Errorf("%w: name or password is wrong", ErrUnauthenticated)

// randomKey is 256 random bits as text.
func randomKey() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// cookieName begins with __Host- where browsers come by HTTPS: they take it from this very host over HTTPS only
// (RFC 6265bis, section 4.1.3.2).
func (a *Auth) cookieName() string {
	if a.secure {
		return "__Host-reqpm"
	}
	return "reqpm"
}

func (a *Auth) cookie(value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{Name: a.cookieName(), Value: value, Path: "/", HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds())}
	if life <= 0 {
		c.MaxAge = -1
	}
	return c
}

// Login begins a session, and ends the one that the request has. The cookie is for the answer. ErrLogin: name and password do
// not fit, or the user is disabled; *LimitError, *BusyError: not tried. The caller has asked Authenticate
// before, which keeps other sites' pages away.
func (a *Auth) Login(ctx context.Context, r *http.Request, name, password string) (*http.Cookie, Identity, error) {
	address := a.Address(r)
	back, err := a.attempt(limitKey(address), name)
	if err != nil {
		a.log.WarnContext(ctx, "too many logins", "address", address, "error", err)
		return nil, Identity{}, err
	}
	u, stale, err := a.checkPassword(ctx, name, password)
	if err != nil {
		if errors.Is(err, ErrLogin) {
			a.log.WarnContext(ctx, "a login failed", "address", address)
		} else {
			back() // it was no guess: nothing was learned
		}
		return nil, Identity{}, err
	}
	back()
	who, err := a.userIdentity(ctx, u.ID)
	if err != nil {
		return nil, Identity{}, err
	}
	var better string // the same password's hash, at today's cost
	if stale {
		if better, err = a.hasher.hash(ctx, password); err != nil {
			return nil, Identity{}, err
		}
	}
	who.Address = addressText(address)
	key, now := randomKey(), time.Now()
	who.credential = credential{kind: "session", hash: digest(key), expires: now.Add(min(a.idle, a.longest))}
	err = a.store.Write(ctx, func(tx *store.Tx) error {
		current, err := tx.User(ctx, u.ID)
		if err != nil {
			return err
		}
		if current.Disabled || current.Hash != u.Hash { // changed while the password was checked
			return ErrLogin
		}
		if stale {
			current.Hash = better
			if err := tx.UpdateUser(ctx, current); err != nil {
				return err
			}
		}
		for _, old := range r.CookiesNamed(a.cookieName()) {
			if err := tx.DeleteSession(ctx, digest(old.Value)); err != nil {
				return err
			}
		}
		if err := tx.CreateSession(ctx, store.Session{Hash: who.credential.hash, User: u.ID, Expires: who.credential.expires, Address: who.Address, Agent: agent(r)}); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "session.login", Object: "user " + u.Name})
	})
	if err != nil {
		return nil, Identity{}, err
	}
	return a.cookie(key, a.longest), who, nil
}

// attempt takes an attempt of the address and one of the name; back gives them back.
func (a *Auth) attempt(address, name string) (back func(), err error) {
	name = digest(name) // of whatever length it is
	if wait := a.byAddress.take(address); wait > 0 {
		return nil, &LimitError{RetryAfter: wait}
	}
	if wait := a.byName.take(name); wait > 0 {
		return nil, &LimitError{RetryAfter: wait}
	}
	return func() {
		a.byAddress.give(address)
		a.byName.give(name)
	}, nil
}

// checkPassword takes as long for names that nobody has.
func (a *Auth) checkPassword(ctx context.Context, name, password string) (u store.User, stale bool, err error) {
	if name, err = checkName(name); err == nil {
		u, err = a.store.UserNamed(ctx, name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return u, false, err
		}
	}
	ok, stale, err := a.hasher.verify(ctx, u.Hash, password)
	if err != nil {
		return u, false, err
	}
	if !ok || u.Disabled {
		return u, false, ErrLogin
	}
	return u, stale, nil
}

// Logout ends the session of a request, if it has one. The cookie, for the answer, takes the browser's away.
func (a *Auth) Logout(ctx context.Context, r *http.Request) (*http.Cookie, error) {
	for _, cookie := range r.CookiesNamed(a.cookieName()) {
		if err := a.store.DeleteSession(ctx, digest(cookie.Value)); err != nil {
			return nil, err
		}
	}
	return a.cookie("", 0), nil
}

// sessionIdentity is ErrUnauthenticated for a session that has ended. One that is used lives on: its end is moved when
// an eighth of its idle time has passed, so that most requests write nothing.
func (a *Auth) sessionIdentity(ctx context.Context, hash string) (Identity, error) {
	s, err := a.store.SessionByHash(ctx, hash)
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, fmt.Errorf("%w: the session has ended", ErrUnauthenticated)
	}
	if err != nil {
		return Identity{}, err
	}
	who, err := a.userIdentity(ctx, s.User)
	if err != nil {
		return Identity{}, err
	}
	end := time.Now().Add(a.idle)
	if last := s.Created.Add(a.longest); end.After(last) {
		end = last
	}
	if end.Sub(s.Expires) > a.idle/8 {
		if err := a.store.RenewSession(ctx, hash, end); err != nil && !errors.Is(err, store.ErrNotFound) {
			a.log.WarnContext(ctx, "a session was not prolonged", "user", who.Name, "error", err)
		}
	}
	who.credential = credential{kind: "session", hash: s.Hash, expires: s.Expires}
	return who, nil
}
