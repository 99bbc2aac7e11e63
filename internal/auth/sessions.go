package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"reqpm/internal/store"
)

// Session is one of a user's, as they see it.
type Session struct {
	ID      string // names it; it lets nobody in
	Created time.Time
	Expires time.Time // unless it is used before
	Address string    // where it began; "": unknown
	Agent   string    // the browser or program, as it called itself
	Current bool      // it is the one that asks
}

// sessionID is the beginning of a session's digest: from it nobody comes to the rest, far less to the key.
func sessionID(hash string) string { return hash[:min(len(hash), 16)] }

// agent is how a browser calls itself, on one line that people read.
func agent(r *http.Request) string {
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(r.UserAgent(), ""))
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200])
	}
	return text
}

// maySessions: sessions are a user's own, without a token, and an admin's to see and to end.
func maySessions(who Identity, user int64) error {
	if who.User == user && user != 0 && who.Token == 0 {
		return nil
	}
	return Allowed(who, Admin, 0)
}

// Sessions are a user's that go on, the newest first: ErrForbidden.
func (a *Auth) Sessions(ctx context.Context, who Identity, user int64) ([]Session, error) {
	if err := maySessions(who, user); err != nil {
		return nil, err
	}
	kept, err := a.store.Sessions(ctx, user)
	all := make([]Session, 0, len(kept))
	for _, s := range kept {
		all = append(all, Session{ID: sessionID(s.Hash), Created: s.Created, Expires: s.Expires, Address: s.Address, Agent: s.Agent,
			Current: who.credential.kind == "session" && who.credential.hash == s.Hash})
	}
	return all, err
}

// EndSession ends one session of a user: store.ErrNotFound, ErrForbidden.
func (a *Auth) EndSession(ctx context.Context, who Identity, user int64, id string) error {
	if err := maySessions(who, user); err != nil {
		return err
	}
	return a.store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.User(ctx, user)
		if err != nil {
			return err
		}
		kept, err := tx.Sessions(ctx, user)
		if err != nil {
			return err
		}
		for _, s := range kept {
			if sessionID(s.Hash) != id {
				continue
			}
			if err := tx.DeleteSession(ctx, s.Hash); err != nil {
				return err
			}
			return who.Audit(ctx, tx, Change{Action: "session.end", Object: "user " + u.Name})
		}
		return fmt.Errorf("end a session of %s: %w", u.Name, store.ErrNotFound)
	})
}

// EndSessions ends all sessions of a user, that of the request included: store.ErrNotFound, ErrForbidden.
func (a *Auth) EndSessions(ctx context.Context, who Identity, user int64) error {
	if err := maySessions(who, user); err != nil {
		return err
	}
	return a.store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.User(ctx, user)
		if err != nil {
			return err
		}
		if err := tx.DeleteSessions(ctx, user); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "session.end-all", Object: "user " + u.Name})
	})
}
