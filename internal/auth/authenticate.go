package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"reqpm/internal/store"
)

// ErrCrossSite says that the page of another site made a browser send a request that changes something. It wraps
// ErrForbidden.
var ErrCrossSite = fmt.Errorf("%w: the request was sent by a page of another site", ErrForbidden)

// credential is what somebody showed, as it is kept.
type credential struct {
	kind    string // token, session, local, setup; "": none
	hash    string
	expires time.Time
}

// Authenticate is who sends a request: the owner of a token, the user of a session, or else whoever has not logged in.
//
// A token comes as "Authorization: Bearer rqp_…", or as the password of Basic authentication under any name (dnf and
// curl know no other way). One that is wrong is ErrUnauthenticated and never anonymous. A session that has ended is as
// none. Requests that change something must not come from pages of other sites (ErrCrossSite), unless they have a Bearer
// token, which no page of another site can know; so logging in is protected too.
func (a *Auth) Authenticate(r *http.Request) (Identity, error) {
	who, bearer, err := a.identify(r)
	if err != nil {
		return Identity{}, err
	}
	if !bearer {
		if err := a.origins.Check(r); err != nil {
			return Identity{}, ErrCrossSite
		}
	}
	who.Address = addressText(a.Address(r))
	return who, nil
}

func (a *Auth) identify(r *http.Request) (who Identity, bearer bool, err error) {
	ctx := r.Context()
	switch headers := r.Header.Values("Authorization"); len(headers) {
	case 0:
	case 1:
		scheme, text, _ := strings.Cut(headers[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			who, err = a.withToken(ctx, strings.TrimSpace(text))
			return who, true, err
		}
		_, password, ok := r.BasicAuth()
		if !ok {
			return who, false, fmt.Errorf("%w: the Authorization header has neither a Bearer token nor one as a password", ErrUnauthenticated)
		}
		who, err = a.withToken(ctx, password)
		return who, false, err
	default:
		return who, false, fmt.Errorf("%w: there are %d Authorization headers", ErrUnauthenticated, len(headers))
	}
	// A browser may have several of the name where it is not __Host-: whoever has planted one must not lock out the right one.
	for _, cookie := range r.CookiesNamed(a.cookieName()) {
		who, err = a.sessionIdentity(ctx, digest(cookie.Value))
		if !errors.Is(err, ErrUnauthenticated) {
			return who, false, err
		}
	}
	who, err = a.anonymous(ctx)
	return who, false, err
}

func (a *Auth) anonymous(ctx context.Context) (Identity, error) {
	name, err := a.store.Setting(ctx, SettingAnonymousRole)
	if err != nil {
		return Identity{}, err
	}
	role := min(stored(name), Maintainer)
	return Identity{role: role, ceiling: role}, nil
}

// userIdentity is a user with all their roles: ErrUnauthenticated for one that is disabled.
func (a *Auth) userIdentity(ctx context.Context, id int64) (Identity, error) {
	u, err := a.store.User(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && u.Disabled {
		return Identity{}, fmt.Errorf("%w: the user was disabled", ErrUnauthenticated)
	}
	if err != nil {
		return Identity{}, err
	}
	members, err := a.store.Members(ctx, id, 0)
	if err != nil {
		return Identity{}, err
	}
	who := Identity{User: u.ID, Name: u.Name, role: stored(u.Role), ceiling: Admin, projects: map[int64]Role{}}
	for _, m := range members {
		who.projects[m.Project] = stored(m.Role)
	}
	return who, nil
}

// Refresh is who somebody is now: for streams that go on after roles, tokens and sessions have changed. ErrUnauthenticated
// when they are nobody any more.
func (a *Auth) Refresh(ctx context.Context, who Identity) (Identity, error) {
	var now Identity
	var err error
	switch {
	case who.credential.kind == "token":
		now, err = a.tokenIdentity(ctx, who.credential.hash)
	case who.credential.kind == "session":
		now, err = a.sessionIdentity(ctx, who.credential.hash)
	case who.Anonymous():
		now, err = a.anonymous(ctx)
	default:
		now = who
	}
	now.Address = who.Address
	return now, err
}

// Address is where a request came from. What X-Forwarded-For says counts as far as the proxies of Config wrote it.
func (a *Auth) Address(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a socket of the machine
	}
	address := from.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !slices.ContainsFunc(a.proxies, func(p netip.Prefix) bool { return p.Contains(address) }) {
			break
		}
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = before.Unmap().WithZone("")
	}
	return address
}

// addressText is "" for a socket of the machine.
func addressText(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.String()
}

type contextKey struct{}

// NewContext carries an Identity to the handlers of a request.
func NewContext(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, who)
}

// FromContext is NewContext's Identity; where there is none, nobody, who may do nothing.
func FromContext(ctx context.Context) Identity {
	who, _ := ctx.Value(contextKey{}).(Identity)
	return who
}
